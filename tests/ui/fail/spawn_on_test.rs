//! `spawn` belongs to `loop_thread`, also next to options that are right.

use loopbind::loop_test;

#[loop_test(virtual_time, spawn)]
async fn check() {}

fn main() {}
