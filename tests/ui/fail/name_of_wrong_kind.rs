//! A name is a string.

use loopbind::loop_main;

#[loop_main(name = 5)]
async fn main() {}
