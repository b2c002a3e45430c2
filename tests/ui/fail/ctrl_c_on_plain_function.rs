//! What is no future cannot be cancelled.

use loopbind::loop_main;

#[loop_main(debug, ctrl_c = "cancel")]
fn main() {}
