//! tokio is the one host that an attribute knows.

use loopbind::loop_main;

#[loop_main(host = "smol")]
async fn main() {}
