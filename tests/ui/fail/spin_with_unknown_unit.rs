//! There are no such units.

use loopbind::loop_main;

#[loop_main(spin = "50 us")]
async fn main() {}
