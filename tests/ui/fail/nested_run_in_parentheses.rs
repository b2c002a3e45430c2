//! Parentheses and brackets do not hide it.

use loopbind::{EventLoop, loop_thread};

#[loop_thread]
async fn worker() {
    let other = EventLoop::new().unwrap();
    let _ = [(1, other.run_until_complete(async { 1 }))];
}

fn main() {
    worker();
}
