//! Each of them is told.

use loopbind::{EventLoop, loop_main};

#[loop_main(name = "ui")]
async fn main() {
    let other = EventLoop::new().unwrap();
    let _ = other.run_until_complete(async {});
    let _ = other.run_forever();
}
