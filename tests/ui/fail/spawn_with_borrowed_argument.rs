//! What goes to another thread is not borrowed from this one.

use loopbind::loop_thread;

#[loop_thread(spawn)]
async fn worker(name: &str, fine: &'static str) -> usize {
    name.len() + fine.len()
}

fn main() {
    let _ = worker("a", "b");
}
