//! A path has no quotes.

use loopbind::loop_main;

#[loop_main(crate = "loopbind")]
async fn main() {}
