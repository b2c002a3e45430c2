//! One host.

use loopbind::loop_main;

#[loop_main(host = "glib", host = "qt")]
async fn main() {}
