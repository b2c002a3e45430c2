//! No options, in every way to write none, and a comma at the end.
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rust_2018_idioms,
    unused_qualifications,
    unreachable_pub
)]
#![forbid(unsafe_code)]

#[loopbind::loop_main()]
async fn main() {
    std::future::ready(()).await;
    std::thread::spawn(worker).join().expect("it ends");
    std::thread::spawn(other).join().expect("it ends");
}

#[loopbind::loop_thread(name = "one")]
async fn worker() {
    std::future::ready(()).await;
}

#[loopbind::loop_thread{debug}]
async fn other() {
    std::future::ready(()).await;
}
