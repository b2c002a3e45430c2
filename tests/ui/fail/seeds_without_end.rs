//! A range needs both of its ends.

use loopbind::loop_test;

#[loop_test(seeds = 0..)]
async fn check() {}

fn main() {}
