//! Longer than a clock can count.

use loopbind::loop_test;

#[loop_test(timeout = "99999999999999999999h")]
async fn check() {}

fn main() {}
