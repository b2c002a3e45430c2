//! An option that no attribute has.

use loopbind::loop_thread;

#[loop_thread(colour = "red")]
async fn worker() {}

fn main() {}
