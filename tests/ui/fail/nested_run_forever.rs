//! The other way to run.

use loopbind::{EventLoop, loop_thread};

#[loop_thread]
async fn worker() {
    EventLoop::new().unwrap().run_forever().unwrap();
}

fn main() {
    worker();
}
