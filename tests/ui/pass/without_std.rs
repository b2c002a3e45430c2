//! In a crate that takes `std` only by name.
#![deny(warnings)]
#![no_std]

extern crate std;

#[loopbind::loop_main(name = "ui")]
async fn main() {
    core::future::ready(()).await;
    assert!(away(std::string::String::from("a")).join().is_ok());
}

#[loopbind::loop_thread(spawn)]
async fn away(text: std::string::String) -> usize {
    core::future::ready(text.len()).await
}
