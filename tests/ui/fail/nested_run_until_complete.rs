//! A run inside a run, in plain sight.

use loopbind::{EventLoop, loop_main};

#[loop_main]
async fn main() {
    let other = EventLoop::new().unwrap();
    other.run_until_complete(async {}).unwrap();
}
