//! `virtual_time` belongs to `loop_test`.

use loopbind::loop_thread;

#[loop_thread(virtual_time)]
async fn worker() {}

fn main() {}
