//! A seed has 64 bits.

use loopbind::loop_test;

#[loop_test(seed = 18446744073709551616)]
async fn check() {}

fn main() {}
