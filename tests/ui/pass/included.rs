//! From another file, and several on one function.
#![deny(warnings)]

include!("../included/worker.in");

#[cfg_attr(all(), loopbind::loop_main)]
#[cfg_attr(any(), loopbind::loop_thread(spawn))]
async fn main() {
    std::future::ready(()).await;
    std::thread::spawn(worker).join().expect("it ends");
}
