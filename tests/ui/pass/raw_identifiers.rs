//! Names that are keywords elsewhere.
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

#[loopbind::loop_main]
async fn r#move(r#type: u32, mut r#async: u32) -> u32 {
    r#async += 1;
    std::future::ready(r#type + r#async).await
}

fn main() {
    assert_eq!(r#move(1, 2), 4);
}
