//! `ctrl_c` is not there yet: it is unknown, not ignored.

use loopbind::loop_main;

#[loop_main(ctrl_c = "cancel")]
async fn main() {}
