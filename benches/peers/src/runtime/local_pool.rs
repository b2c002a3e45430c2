//! The pool of the futures crate: an executor, and nothing else.

use std::future::pending;
use std::time::Duration;

use futures::channel::mpsc;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt as _;
use workloads::{Fixed, Need, Receiver, Runtime, Sender, Sleep, Spawner};

pub struct FuturesLocalPool(LocalPool);

#[derive(Clone)]
pub struct OnLocalPool(LocalSpawner);

impl Runtime for FuturesLocalPool {
    const NAME: &'static str = "futures LocalPool";
    type Spawner = OnLocalPool;

    fn new() -> Self {
        FuturesLocalPool(LocalPool::new())
    }

    fn spawner(&self) -> OnLocalPool {
        OnLocalPool(self.0.spawner())
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run_until(future)
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Yield => Some("has none of its own"),
            Need::Channel => Some("its channel is futures mpsc"),
            Need::Timers | Need::Reset => Some("has no driver"),
            Need::Blocking => Some("has no threads"),
            Need::Lookup | Need::ManyWakers => None,
        }
    }

    async fn yield_now() {
        unreachable!("it lacks this")
    }

    fn sleep(_duration: Duration) -> impl Sleep {
        Fixed::new(pending())
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        mpsc::unbounded()
    }

    async fn spawn_blocking(_work: fn()) {
        unreachable!("it lacks this")
    }
}

impl Spawner for OnLocalPool {
    type Handle<T: 'static> = RemoteHandle<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        self.0.spawn_local_with_handle(future).expect("the pool is there")
    }
}
