//! An option that no attribute has.

use loopbind::loop_main;

#[loop_main(colour = "red")]
async fn start() {}

fn main() {}
