//! Arguments nobody knows cannot be passed on.

use loopbind::loop_main;

#[loop_main]
unsafe extern "C" fn start(count: i32, _: ...) {}

fn main() {}
