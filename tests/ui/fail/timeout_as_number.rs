//! A number alone has no unit.

use loopbind::loop_test;

#[loop_test(timeout = 5)]
async fn check() {}

fn main() {}
