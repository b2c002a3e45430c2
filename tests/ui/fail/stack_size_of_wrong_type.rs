//! A suffix that says another type.

use loopbind::loop_thread;

#[loop_thread(spawn, stack_size = 65536u64)]
async fn worker() {}

fn main() {}
