//! One thing can be done about a Ctrl-C.

use loopbind::loop_main;

#[loop_main(ctrl_c = "ignore")]
async fn main() {}
