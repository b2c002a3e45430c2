//! What `main` returns is what the user's function returns.
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

use std::process::ExitCode;

#[loopbind::loop_main(name = "ui", debug)]
async fn main() -> ExitCode {
    std::future::ready(ExitCode::SUCCESS).await
}
