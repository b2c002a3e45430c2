//! Only a thread that the attribute starts can be put on a core.

use loopbind::loop_thread;

#[loop_thread(name = "io", core = 0)]
fn worker() {}

fn main() {}
