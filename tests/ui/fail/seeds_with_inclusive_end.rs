//! `..=` is another type of range.

use loopbind::loop_test;

#[loop_test(seeds = 0..=63)]
async fn check() {}

fn main() {}
