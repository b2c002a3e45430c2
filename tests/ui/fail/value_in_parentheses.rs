//! A value follows `=`.

use loopbind::loop_main;

#[loop_main(name("ui"))]
async fn main() {}
