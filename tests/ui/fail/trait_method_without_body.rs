//! There is nothing to run.

use loopbind::loop_thread;

trait Work {
    #[loop_thread]
    async fn work(&self) -> u32;
}

struct Worker;

impl Work for Worker {
    fn work(&self) -> u32 {
        1
    }
}

fn main() {
    Worker.work();
}
