//! What is to be done has to be said.

use loopbind::loop_main;

#[loop_main(ctrl_c)]
async fn main() {}
