//! A path to a crate has no generics.

use loopbind::loop_main;

#[loop_main(crate = loopbind::<u32>)]
async fn main() {}
