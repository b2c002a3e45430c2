//! loopbind as the guest of a tokio runtime: what it costs to have both on one thread. What is asked for is loopbind's.

use std::time::Duration;

use loopbind::EventLoop;
use workloads::{Loopbind, Receiver, Runtime, Sender, Sleep};

pub struct LoopbindAtTokio(EventLoop);

impl Runtime for LoopbindAtTokio {
    const NAME: &'static str = "loopbind at tokio";
    type Spawner = <Loopbind as Runtime>::Spawner;

    fn new() -> Self {
        LoopbindAtTokio(EventLoop::builder().tokio().build().expect("a loop"))
    }

    fn spawner(&self) -> Self::Spawner {
        workloads::OnLoopbind
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run_until_complete(future).expect("nothing stops it")
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        <Loopbind as Runtime>::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        <Loopbind as Runtime>::sleep(duration)
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        <Loopbind as Runtime>::channel()
    }

    fn spawn_blocking(work: fn()) -> impl Future<Output = ()> + 'static {
        <Loopbind as Runtime>::spawn_blocking(work)
    }
}
