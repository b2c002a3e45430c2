//! What the option needs is said by name.

use loopbind::{loop_main, loop_thread};

#[loop_thread(host = "tokio")]
async fn worker() {}

#[loop_main(host = "tokio")]
async fn main() {
    let _ = worker;
}
