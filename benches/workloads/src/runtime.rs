//! What a workload may ask of a runtime, and loopbind's answers.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

/// One single-threaded executor.
pub trait Runtime: 'static {
    const NAME: &'static str;
    type Spawner: Spawner;

    fn new() -> Self;
    fn spawner(&self) -> Self::Spawner;
    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T;

    /// Why it cannot do what needs this.
    fn lacks(_need: Need) -> Option<&'static str> {
        None
    }

    // From inside of a run, and only if they are not lacking.
    fn yield_now() -> impl Future<Output = ()> + 'static;
    fn sleep(duration: Duration) -> impl Sleep;
    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>);
    fn spawn_blocking(work: fn()) -> impl Future<Output = ()> + 'static;
}

/// What not every runtime has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A yield of its own.
    Yield,
    /// Sleeping.
    Timers,
    /// Giving a sleep another deadline.
    Reset,
    /// A million wakers of one task.
    ManyWakers,
    /// A channel between tasks of one thread.
    Channel,
    /// Threads for what blocks.
    Blocking,
    /// Loopbind's lookup.
    Lookup,
}

/// A way to start tasks from inside of one.
pub trait Spawner: Clone + 'static {
    type Handle<T: 'static>: Future<Output = T> + 'static;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T>;
}

pub trait Sleep: Future<Output = ()> + 'static {
    fn reset(self: Pin<&mut Self>, after: Duration);
}

/// The sending side of an unbounded channel.
pub trait Sender<T>: 'static {
    fn send(&self, item: T);
}

pub trait Receiver<T>: 'static {
    fn receive(&mut self) -> impl Future<Output = Option<T>>;
}

/// A handle whose task is known to end well.
pub struct Sure<H>(pub H);

impl<T, E, H> Future for Sure<H>
where
    E: std::fmt::Debug,
    H: Future<Output = Result<T, E>> + Unpin,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| outcome.expect("no task of a workload fails"))
    }
}

pin_project! {
    /// A sleep that keeps its deadline: see [`Need::Reset`].
    pub struct Fixed<F> {
        #[pin]
        sleep: F,
    }
}

impl<F> Fixed<F> {
    pub fn new(sleep: F) -> Self {
        Fixed { sleep }
    }
}

impl<F: Future<Output = ()>> Future for Fixed<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl<F: Future<Output = ()> + 'static> Sleep for Fixed<F> {
    fn reset(self: Pin<&mut Self>, _after: Duration) {
        unreachable!("who lacks it is not asked")
    }
}

/// A channel of the futures crate, for those that have none.
impl<T: 'static> Sender<T> for futures::channel::mpsc::UnboundedSender<T> {
    fn send(&self, item: T) {
        self.unbounded_send(item).expect("somebody listens");
    }
}

impl<T: 'static> Receiver<T> for futures::channel::mpsc::UnboundedReceiver<T> {
    fn receive(&mut self) -> impl Future<Output = Option<T>> {
        futures::StreamExt::next(self)
    }
}

/// With so many microseconds of spinning before each sleep.
pub struct Loopbind<const SPIN: u64 = 0>(loopbind::EventLoop);

pub type LoopbindSpinning = Loopbind<50>;

#[derive(Clone)]
pub struct OnLoopbind;

impl<const SPIN: u64> Runtime for Loopbind<SPIN> {
    const NAME: &'static str = if SPIN == 0 { "loopbind" } else { "loopbind, spinning" };
    type Spawner = OnLoopbind;

    fn new() -> Self {
        let builder = loopbind::EventLoop::builder().spin(Duration::from_micros(SPIN));
        Loopbind(builder.build().expect("a loop"))
    }

    fn spawner(&self) -> OnLoopbind {
        OnLoopbind
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run_until_complete(future).expect("nothing stops it")
    }

    fn yield_now() -> impl Future<Output = ()> + 'static {
        loopbind::yield_now()
    }

    fn sleep(duration: Duration) -> impl Sleep {
        loopbind::sleep(duration)
    }

    fn channel<T: 'static>() -> (impl Sender<T>, impl Receiver<T>) {
        loopbind::sync::mpsc::unbounded()
    }

    async fn spawn_blocking(work: fn()) {
        loopbind::spawn_blocking(work).await.expect("it does not panic");
    }
}

impl Spawner for OnLoopbind {
    type Handle<T: 'static> = Sure<loopbind::Task<T>>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        Sure(loopbind::spawn(future))
    }
}

impl Sleep for loopbind::time::Sleep {
    fn reset(self: Pin<&mut Self>, after: Duration) {
        self.reset(Instant::now() + after);
    }
}

impl<T: 'static> Sender<T> for loopbind::sync::mpsc::Sender<T> {
    fn send(&self, item: T) {
        assert!(self.try_send(item).is_ok(), "somebody listens");
    }
}

impl<T: 'static> Receiver<T> for loopbind::sync::mpsc::Receiver<T> {
    fn receive(&mut self) -> impl Future<Output = Option<T>> {
        self.recv()
    }
}
