//! async-executor, twice: by itself, and on async-io's reactor, which is smol.
//!
//! With async-io a thread of its own looks at the reactor whenever nobody else does; what that thread does is not in
//! this one's CPU time.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_executor::LocalExecutor;
use async_io::Timer;
use workloads::{Need, Receiver, Runtime, Sender, Sleep, Spawner};

#[derive(Clone)]
pub struct OnExecutor(Rc<LocalExecutor<'static>>);

impl Spawner for OnExecutor {
    type Handle<T: 'static> = async_executor::Task<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        self.0.spawn(future)
    }
}

pub struct AsyncExecutor(Rc<LocalExecutor<'static>>);

impl Runtime for AsyncExecutor {
    const NAME: &'static str = "async-executor";
    type Spawner = OnExecutor;

    fn new() -> Self {
        AsyncExecutor(Rc::new(LocalExecutor::new()))
    }

    fn spawner(&self) -> OnExecutor {
        OnExecutor(Rc::clone(&self.0))
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        futures_lite::future::block_on(self.0.run(future))
    }

    fn lacks(need: Need) -> Option<&'static str> {
        matches!(need, Need::Timers | Need::Reset).then_some("has no driver: see smol")
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        futures_lite::future::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        Sleeping(Timer::after(duration))
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        let (sender, receiver) = async_channel::unbounded();
        (Sending(sender), Receiving(receiver))
    }

    fn spawn_blocking(work: fn()) -> impl Future<Output = ()> + 'static {
        blocking::unblock(work)
    }
}

pub struct Smol(Rc<LocalExecutor<'static>>);

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    type Spawner = OnExecutor;

    fn new() -> Self {
        Smol(Rc::new(LocalExecutor::new()))
    }

    fn spawner(&self) -> OnExecutor {
        OnExecutor(Rc::clone(&self.0))
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        async_io::block_on(self.0.run(future))
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        AsyncExecutor::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        AsyncExecutor::sleep(duration)
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        AsyncExecutor::channel()
    }

    fn spawn_blocking(work: fn()) -> impl Future<Output = ()> + 'static {
        AsyncExecutor::spawn_blocking(work)
    }
}

struct Sleeping(Timer);

impl Future for Sleeping {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Sleep for Sleeping {
    fn reset(mut self: Pin<&mut Self>, after: Duration) {
        self.0.set_after(after);
    }
}

struct Sending<T>(async_channel::Sender<T>);
struct Receiving<T>(async_channel::Receiver<T>);

impl<T: 'static> Sender<T> for Sending<T> {
    fn send(&self, item: T) {
        assert!(self.0.try_send(item).is_ok(), "somebody listens");
    }
}

impl<T: 'static> Receiver<T> for Receiving<T> {
    async fn receive(&mut self) -> Option<T> {
        self.0.recv().await.ok()
    }
}
