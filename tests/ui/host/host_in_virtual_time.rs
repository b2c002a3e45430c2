//! tokio's clock is real.

use loopbind::loop_test;

#[loop_test(host = "tokio", virtual_time)]
async fn host_first() {}

#[loop_test(virtual_time, host = "tokio")]
async fn time_first() {}

fn main() {}
