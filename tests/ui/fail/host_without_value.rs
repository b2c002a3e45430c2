//! Whose guest it is has to be said.

use loopbind::loop_main;

#[loop_main(host)]
async fn main() {}
