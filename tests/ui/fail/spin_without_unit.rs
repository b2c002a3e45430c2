//! Fifty what?

use loopbind::loop_main;

#[loop_main(spin = "50")]
async fn main() {}
