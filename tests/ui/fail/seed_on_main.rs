//! `seed` belongs to `loop_test`.

use loopbind::loop_main;

#[loop_main(seed = 7)]
async fn main() {}
