//! Nothing after `=`.

use loopbind::loop_test;

#[loop_test(seed = , virtual_time)]
async fn check() {}

fn main() {}
