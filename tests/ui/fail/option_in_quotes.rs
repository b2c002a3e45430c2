//! An option is a word.

use loopbind::loop_main;

#[loop_main("debug")]
async fn main() {}
