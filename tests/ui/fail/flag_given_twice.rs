//! A flag is not stronger for being there twice.

use loopbind::loop_main;

#[loop_main(debug, debug)]
async fn main() {}
