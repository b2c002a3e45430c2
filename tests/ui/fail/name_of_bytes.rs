//! Bytes are no name.

use loopbind::loop_main;

#[loop_main(name = b"ui")]
async fn main() {}
