//! A method that borrows its value cannot run on another thread.

use loopbind::loop_thread;

struct Worker;

impl Worker {
    #[loop_thread(spawn)]
    async fn work(&mut self) {}
}

fn main() {
    let _ = Worker.work();
}
