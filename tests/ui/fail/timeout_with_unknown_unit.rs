//! The units are those of clocks.

use loopbind::loop_test;

#[loop_test(timeout = "5 seconds")]
async fn check() {}

fn main() {}
