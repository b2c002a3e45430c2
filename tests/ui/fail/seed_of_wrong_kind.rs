//! A seed is a number.

use loopbind::loop_test;

#[loop_test(seed = "lucky")]
async fn check() {}

fn main() {}
