//! An option that no attribute has.

use loopbind::loop_test;

#[loop_test(colour = "red")]
async fn check() {}

fn main() {}
