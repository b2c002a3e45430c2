//! Each end of the range is a number.

use loopbind::loop_test;

#[loop_test(seeds = 0.."64")]
async fn check() {}

fn main() {}
