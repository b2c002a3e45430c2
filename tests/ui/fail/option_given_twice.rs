//! The second of two is the one too many.

use loopbind::loop_main;

#[loop_main(name = "a", debug, name = "b")]
async fn main() {}
