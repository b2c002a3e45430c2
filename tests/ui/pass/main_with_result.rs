//! `?` and a boxed error, as in any `main`.
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
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    std::future::ready(()).await;
    let number: u32 = "7".parse()?;
    assert_eq!(number, 7);
    Ok(())
}
