//! An option that takes a value, without one.

use loopbind::loop_main;

#[loop_main(name, debug)]
async fn main() {}
