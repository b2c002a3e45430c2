//! The word is read at compile time, so it stands there.

use loopbind::loop_main;

const WHAT: &str = "cancel";

#[loop_main(ctrl_c = WHAT)]
async fn main() {}
