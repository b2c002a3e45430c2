//! A size is a number of bytes, not a text with a unit.

use loopbind::loop_thread;

#[loop_thread(spawn, stack_size = "1M")]
async fn worker() {}

fn main() {}
