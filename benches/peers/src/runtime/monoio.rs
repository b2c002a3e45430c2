//! monoio, on either of its drivers: epoll and io_uring. Its users take their local channels from local-sync.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use local_sync::mpsc::unbounded;
use monoio::blocking::DefaultThreadPool;
use monoio::time::{Instant, TimeDriver};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};
use workloads::{Need, Receiver, Runtime, Sender, Sleep, Spawner};

pub struct Monoio<Driver: 'static>(monoio::Runtime<TimeDriver<Driver>>);

pub type MonoioEpoll = Monoio<LegacyDriver>;
pub type MonoioUring = Monoio<IoUringDriver>;

#[derive(Clone)]
pub struct OnMonoio;

impl Spawner for OnMonoio {
    type Handle<T: 'static> = monoio::task::JoinHandle<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        monoio::spawn(future)
    }
}

macro_rules! monoio {
    ($driver:ty, $name:literal) => {
        impl Runtime for Monoio<$driver> {
            const NAME: &'static str = $name;
            type Spawner = OnMonoio;

            fn new() -> Self {
                let builder = RuntimeBuilder::<$driver>::new();
                let threads = Box::new(DefaultThreadPool::new(1));
                let builder = builder.attach_thread_pool(threads).enable_timer();
                Monoio(builder.build().expect("a runtime"))
            }

            fn spawner(&self) -> OnMonoio {
                OnMonoio
            }

            fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
                self.0.block_on(future)
            }

            fn lacks(need: Need) -> Option<&'static str> {
                (need == Need::Yield).then_some("has none of its own")
            }

            async fn yield_now() {
                unreachable!("it lacks this")
            }

            fn sleep(duration: Duration) -> impl Sleep {
                Sleeping { sleep: monoio::time::sleep(duration) }
            }

            fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
                let (sender, receiver) = unbounded::channel();
                (Sending(sender), Receiving(receiver))
            }

            async fn spawn_blocking(work: fn()) {
                monoio::spawn_blocking(work).await.expect("it does not panic");
            }
        }
    };
}
monoio!(LegacyDriver, "monoio epoll");
monoio!(IoUringDriver, "monoio io_uring");

pin_project_lite::pin_project! {
    struct Sleeping {
        #[pin]
        sleep: monoio::time::Sleep,
    }
}

impl Future for Sleeping {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl Sleep for Sleeping {
    fn reset(self: Pin<&mut Self>, after: Duration) {
        self.project().sleep.reset(Instant::now() + after);
    }
}

pub struct Sending<T>(pub unbounded::Tx<T>);
pub struct Receiving<T>(pub unbounded::Rx<T>);

impl<T: 'static> Sender<T> for Sending<T> {
    fn send(&self, item: T) {
        assert!(self.0.send(item).is_ok(), "somebody listens");
    }
}

impl<T: 'static> Receiver<T> for Receiving<T> {
    fn receive(&mut self) -> impl Future<Output = Option<T>> {
        self.0.recv()
    }
}
