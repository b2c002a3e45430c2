//! The signal is for the whole process.

use loopbind::loop_test;

#[loop_test(ctrl_c = "cancel")]
async fn check() {}

fn main() {}
