//! For how long?

use loopbind::loop_main;

#[loop_main(spin)]
async fn main() {}
