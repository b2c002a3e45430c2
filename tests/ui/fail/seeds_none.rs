//! A test that never runs passes for nothing.

use loopbind::loop_test;

#[loop_test(seeds = 8..8)]
async fn check() {}

fn main() {}
