//! Options are separated by commas.

use loopbind::loop_main;

#[loop_main(debug name = "ui")]
async fn main() {}
