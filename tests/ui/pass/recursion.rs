//! A function that calls itself runs nothing twice: it calls the one the attribute made.
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

#[loopbind::loop_thread]
async fn countdown(from: u32) -> u32 {
    std::future::ready(()).await;
    if from == 0 {
        return 0;
    }
    // On a thread of its own, where no loop runs.
    std::thread::spawn(move || countdown(from - 1)).join().expect("the next one")
}

fn main() {
    assert_eq!(countdown(3), 0);
}
