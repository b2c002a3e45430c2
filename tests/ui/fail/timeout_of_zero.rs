//! No test ends in no time.

use loopbind::loop_test;

#[loop_test(timeout = "0s")]
async fn check() {}

fn main() {}
