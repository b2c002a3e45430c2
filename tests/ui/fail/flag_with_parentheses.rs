//! A flag takes no parentheses either.

use loopbind::loop_test;

#[loop_test(virtual_time())]
async fn check() {}

fn main() {}
