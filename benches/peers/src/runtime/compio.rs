//! compio, on io_uring where it works. It has no local channel: local-sync's does for it.

use std::time::Duration;

use compio::runtime::JoinHandle;
use local_sync::mpsc::unbounded;
use workloads::{Fixed, Need, Receiver, Runtime, Sender, Sleep, Spawner, Sure};

use super::monoio::{Receiving, Sending};

pub struct Compio(compio::runtime::Runtime);

#[derive(Clone)]
pub struct OnCompio;

impl Runtime for Compio {
    const NAME: &'static str = "compio";
    type Spawner = OnCompio;

    fn new() -> Self {
        Compio(compio::runtime::Runtime::new().expect("a runtime"))
    }

    fn spawner(&self) -> OnCompio {
        OnCompio
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.block_on(future)
    }

    fn lacks(need: Need) -> Option<&'static str> {
        match need {
            Need::Yield => Some("has none of its own"),
            Need::Reset => Some("a sleep keeps its deadline"),
            _ => None,
        }
    }

    async fn yield_now() {
        unreachable!("it lacks this")
    }

    fn sleep(duration: Duration) -> impl Sleep {
        Fixed::new(compio::time::sleep(duration))
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        let (sender, receiver) = unbounded::channel();
        (Sending(sender), Receiving(receiver))
    }

    async fn spawn_blocking(work: fn()) {
        compio::runtime::spawn_blocking(work).await.expect("it does not panic");
    }
}

impl Spawner for OnCompio {
    type Handle<T: 'static> = Sure<JoinHandle<T>>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        Sure(compio::runtime::spawn(future))
    }
}
