//! Each argument that may not be there doubles the calls.

use loopbind::loop_main;

#[loop_main]
async fn start(
    #[cfg(unix)] _a: u8,
    #[cfg(unix)] _b: u8,
    #[cfg(unix)] _c: u8,
    #[cfg(unix)] _d: u8,
    #[cfg(unix)] _e: u8,
) {
}

fn main() {}
