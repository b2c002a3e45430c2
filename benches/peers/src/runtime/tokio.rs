//! tokio, twice: its local runtime, and a set of local tasks on its runtime of one thread.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;
use tokio::runtime::{Builder, LocalRuntime};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::Instant;
use workloads::{Receiver, Runtime, Sender, Sleep, Spawner, Sure};

#[derive(Clone)]
pub struct OnTokio;

impl Spawner for OnTokio {
    type Handle<T: 'static> = Sure<tokio::task::JoinHandle<T>>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        Sure(tokio::task::spawn_local(future))
    }
}

pub struct TokioLocalRuntime(LocalRuntime);

impl Runtime for TokioLocalRuntime {
    const NAME: &'static str = "tokio LocalRuntime";
    type Spawner = OnTokio;

    fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        TokioLocalRuntime(
            builder.enable_all().build_local(Default::default()).expect("a local runtime"),
        )
    }

    fn spawner(&self) -> OnTokio {
        OnTokio
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.block_on(future)
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        Sleeping { sleep: tokio::time::sleep(duration) }
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Sending(sender), Receiving(receiver))
    }

    async fn spawn_blocking(work: fn()) {
        tokio::task::spawn_blocking(work).await.expect("it does not panic");
    }
}

pub struct TokioLocalSet {
    runtime: tokio::runtime::Runtime,
    set: LocalSet,
}

impl Runtime for TokioLocalSet {
    const NAME: &'static str = "tokio LocalSet";
    type Spawner = OnTokio;

    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        TokioLocalSet { runtime, set: LocalSet::new() }
    }

    fn spawner(&self) -> OnTokio {
        OnTokio
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.set.block_on(&self.runtime, future)
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        TokioLocalRuntime::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        TokioLocalRuntime::sleep(duration)
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        TokioLocalRuntime::channel()
    }

    fn spawn_blocking(work: fn()) -> impl Future<Output = ()> + 'static {
        TokioLocalRuntime::spawn_blocking(work)
    }
}

pin_project! {
    struct Sleeping {
        #[pin]
        sleep: tokio::time::Sleep,
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

struct Sending<T>(mpsc::UnboundedSender<T>);
struct Receiving<T>(mpsc::UnboundedReceiver<T>);

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
