//! `spawn` belongs to `loop_thread`.

use loopbind::loop_main;

#[loop_main(spawn)]
async fn main() {}
