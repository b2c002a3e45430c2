//! Only a thread that the attribute starts has a stack to size.

use loopbind::loop_thread;

#[loop_thread(stack_size = 1 << 20)]
async fn worker() {}

fn main() {}
