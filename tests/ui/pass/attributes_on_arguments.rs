//! `#[cfg]` on an argument, and lints.
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
async fn some(#[cfg(all())] there: u32, #[cfg(any())] absent: Missing, always: u32) -> u32 {
    std::future::ready(there + always).await
}

#[loopbind::loop_thread(spawn)]
async fn away(#[cfg(all())] there: String, #[cfg(any())] absent: Missing) -> usize {
    std::future::ready(there.len()).await
}

struct Me;

impl Me {
    #[loopbind::loop_thread]
    async fn method(
        &self,
        #[cfg(all())] there: u32,
        #[cfg(any())] absent: Missing,
        (a, _): (u32, u32),
    ) -> u32 {
        std::future::ready(there + a).await
    }
}

#[loopbind::loop_thread]
async fn lints(#[expect(unused_variables)] unused: u32, #[allow(unused_mut)] mut kept: u32) -> u32 {
    std::future::ready(kept).await
}

fn main() {
    assert_eq!(some(1, 2), 3);
    assert_eq!(away(String::from("ab")).join().expect("it ends"), 2);
    assert_eq!(Me.method(1, (2, 3)), 3);
    assert_eq!(lints(1, 2), 2);
}
