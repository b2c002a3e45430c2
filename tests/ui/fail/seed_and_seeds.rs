//! One seed or many, not both.

use loopbind::loop_test;

#[loop_test(seed = 7, seeds = 0..64)]
async fn check() {}

fn main() {}
