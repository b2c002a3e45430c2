//! One of them is too many.

use loopbind::loop_main;

#[loop_main(spin = "50us", spin = "0us")]
async fn main() {}
