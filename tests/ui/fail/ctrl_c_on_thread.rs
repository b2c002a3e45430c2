//! The signal is for the whole process.

use loopbind::loop_thread;

#[loop_thread(ctrl_c = "cancel")]
async fn worker() {}

fn main() {}
