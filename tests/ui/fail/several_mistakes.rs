//! All mistakes are told at once.

use loopbind::loop_main;

#[loop_main(spawn, name = 5, colour, debug, debug, builder = 1)]
const fn start() {}

fn main() {}
