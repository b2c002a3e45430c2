//! The word is read at compile time.

use loopbind::loop_main;

#[loop_main(ctrl_c = true)]
async fn main() {}
