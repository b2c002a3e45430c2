//! The error stands at the second of the two, whichever it is.

use loopbind::loop_test;

#[loop_test(seeds = 0..64, timeout = "5s", seed = 7)]
async fn check() {}

fn main() {}
