//! There is no loop at compile time.

use loopbind::loop_thread;

#[loop_thread]
const fn worker() -> u32 {
    1
}

const _: () = {
    // The name still exists, and still is const.
    let _ = worker as fn() -> u32;
};

fn main() {}
