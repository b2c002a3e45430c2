//! Cores count from zero.

use loopbind::loop_thread;

#[loop_thread(spawn, core = -1)]
async fn worker() {}

fn main() {}
