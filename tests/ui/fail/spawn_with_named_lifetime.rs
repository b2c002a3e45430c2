//! A lifetime with a name is no longer for it.

use loopbind::loop_thread;

#[loop_thread(spawn)]
fn worker<'a>(words: &'a [String]) -> usize {
    words.len()
}

fn main() {}
