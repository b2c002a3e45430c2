//! The host is chosen as the program is compiled.

use loopbind::loop_main;

const HOST: &str = "tokio";

#[loop_main(host = HOST)]
async fn main() {}
