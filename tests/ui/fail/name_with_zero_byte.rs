//! The system's names end at a zero byte.

use loopbind::loop_thread;

#[loop_thread(spawn, name = "i\0o")]
async fn worker() {}

fn main() {}
