//! A flag takes no value.

use loopbind::loop_thread;

#[loop_thread(spawn = true)]
async fn worker() {}

fn main() {}
