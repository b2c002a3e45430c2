//! One on top of the other: the outer one binds, the inner one runs.
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

#[loopbind::loop_thread(name = "outer")]
#[loopbind::loop_thread(name = "inner")]
async fn both(number: u32) -> u32 {
    std::future::ready(number).await
}

#[loopbind::loop_thread(spawn)]
#[loopbind::loop_thread]
fn plain(number: u32) -> u32 {
    number
}

fn main() {
    assert_eq!(plain(2).join().expect("it ends"), 2);
    assert_eq!(both(1), 1);
}
