//! Only a function can run.

use loopbind::loop_thread;

#[loop_thread]
mod worker {
    pub fn work() {}
}

fn main() {
    worker::work();
}
