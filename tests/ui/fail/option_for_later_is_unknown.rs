//! `host` is not there yet: it is unknown, not ignored.

use loopbind::loop_main;

#[loop_main(host = "tokio")]
async fn main() {}
