//! The type is told at the value.

use loopbind::loop_main;

#[loop_main(spin = "50us".len())]
async fn main() {}
