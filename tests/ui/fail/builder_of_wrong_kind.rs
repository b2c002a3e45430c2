//! A builder is no literal.

use loopbind::loop_main;

#[loop_main(builder = "default")]
async fn main() {}
