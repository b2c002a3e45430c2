//! What a workload may ask of a runtime, and the runtimes that are asked.
//!
//! Each is set up as its documentation has a program do it: tokio with its driver and its timers
//! on, since a loop of loopbind has both.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures::executor::{LocalPool, LocalSpawner};
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt as _;

/// One single-threaded executor.
pub trait Runtime: 'static {
    const NAME: &'static str;
    type Spawner: Spawner;

    fn new() -> Self;
    fn spawner(&self) -> Self::Spawner;
    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T;
}

/// A way to start tasks from inside of one.
pub trait Spawner: Clone + 'static {
    type Handle<T: 'static>: Future<Output = T> + 'static;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T>;
}

/// A handle whose task is known to end well.
pub struct Sure<H>(H);

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

pub struct Loopbind(loopbind::EventLoop);

#[derive(Clone)]
pub struct OnLoopbind;

impl Runtime for Loopbind {
    const NAME: &'static str = "loopbind";
    type Spawner = OnLoopbind;

    fn new() -> Self {
        Loopbind(loopbind::EventLoop::new().expect("a loop"))
    }

    fn spawner(&self) -> OnLoopbind {
        OnLoopbind
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.0.run_until_complete(future).expect("nothing stops it")
    }
}

impl Spawner for OnLoopbind {
    type Handle<T: 'static> = Sure<loopbind::Task<T>>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        Sure(loopbind::spawn(future))
    }
}

#[derive(Clone)]
pub struct OnTokio;

impl Spawner for OnTokio {
    type Handle<T: 'static> = Sure<tokio::task::JoinHandle<T>>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        Sure(tokio::task::spawn_local(future))
    }
}

pub struct TokioLocalRuntime(tokio::runtime::LocalRuntime);

impl Runtime for TokioLocalRuntime {
    const NAME: &'static str = "tokio LocalRuntime";
    type Spawner = OnTokio;

    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
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
}

pub struct TokioLocalSet {
    runtime: tokio::runtime::Runtime,
    set: tokio::task::LocalSet,
}

impl Runtime for TokioLocalSet {
    const NAME: &'static str = "tokio LocalSet";
    type Spawner = OnTokio;

    fn new() -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        TokioLocalSet {
            runtime: builder.enable_all().build().expect("a runtime"),
            set: tokio::task::LocalSet::new(),
        }
    }

    fn spawner(&self) -> OnTokio {
        OnTokio
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        self.set.block_on(&self.runtime, future)
    }
}

pub struct AsyncExecutor(Rc<async_executor::LocalExecutor<'static>>);

#[derive(Clone)]
pub struct OnAsyncExecutor(Rc<async_executor::LocalExecutor<'static>>);

impl Runtime for AsyncExecutor {
    const NAME: &'static str = "async-executor";
    type Spawner = OnAsyncExecutor;

    fn new() -> Self {
        AsyncExecutor(Rc::new(async_executor::LocalExecutor::new()))
    }

    fn spawner(&self) -> OnAsyncExecutor {
        OnAsyncExecutor(Rc::clone(&self.0))
    }

    fn block_on<T: 'static>(&mut self, future: impl Future<Output = T> + 'static) -> T {
        futures_lite::future::block_on(self.0.run(future))
    }
}

impl Spawner for OnAsyncExecutor {
    type Handle<T: 'static> = async_executor::Task<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        self.0.spawn(future)
    }
}

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
}

impl Spawner for OnLocalPool {
    type Handle<T: 'static> = RemoteHandle<T>;

    fn spawn<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> Self::Handle<T> {
        self.0.spawn_local_with_handle(future).expect("the pool is there")
    }
}
