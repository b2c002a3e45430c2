//! Loops that come and go, with the tests' own counter of descriptors.
//!
//! The counter must find: a descriptor of a loop's that outlives it.

#[path = "../../../../tests/support/mod.rs"]
mod support;

use support::open_descriptors;

fn main() {
    let life = || loopbind::run(loopbind::yield_now()).unwrap();
    // What a process opens once is open from here on.
    life();
    let before = open_descriptors();
    for _ in 0..3 {
        life();
    }
    assert_eq!(open_descriptors(), before, "descriptors that are open");
}
