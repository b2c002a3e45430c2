//! `debug` alone, or a bool.

use loopbind::loop_main;

#[loop_main(debug = "yes")]
async fn main() {}
