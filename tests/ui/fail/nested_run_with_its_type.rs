//! Nor does a type between name and parentheses.

use loopbind::{EventLoop, loop_main};

#[loop_main]
async fn main() {
    let other = EventLoop::new().unwrap();
    let _ = other.run_until_complete::<std::future::Ready<()>>(std::future::ready(()));
}
