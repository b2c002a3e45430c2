//! `timeout` belongs to `loop_test`.

use loopbind::loop_thread;

#[loop_thread(timeout = "5s")]
async fn worker() {}

fn main() {}
