//! Many seeds are a range.

use loopbind::loop_test;

#[loop_test(seeds = 64)]
async fn check() {}

fn main() {}
