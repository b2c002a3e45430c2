//! `stack_size` belongs to `loop_thread`: the main thread has its stack already.

use loopbind::loop_main;

#[loop_main(stack_size = 4096)]
async fn main() {}
