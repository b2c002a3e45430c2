//! What may leave its thread, what may be shared, what may be moved: every public type, asserted where
//! it is compiled. A row that is wrong does not build.
//!
//! THR-03: what belongs to a loop's thread cannot leave it. asyncio finds that out at run time, in
//! debug mode; here the type says so. FUT-16's and THR-16's like cannot be written down either.

use std::cell::Cell;
use std::future::Ready;
use std::marker::PhantomPinned;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use loopbind::task::{
    Carried, ChildFailed, ContextVar, GroupError, JoinSet, Scope, Scoped, TaskGroup,
};
use loopbind::thread::{LoopGroup, LoopThread, ThreadBuilder};
use loopbind::time::{Elapsed, Interval, MissedTick, Sleep, Timeout};
use loopbind::{
    Abandoned, AbortHandle, AbortOnDrop, Async, BlockingInfo, BlockingTask, Bound, Builder, Drive,
    DriveWith, EventLoop, ExceptionContext, Handle, Join, LoopError, LoopHandle, LoopId, Metrics,
    PanicPayload, RemoteTask, Runner, Task, TaskBuilder, TaskError, TaskId, TaskInfo, TaskState,
    TimerHandle, Turn, UnhandledPanic, Watch, net, process, signal, sync, task,
};

/// Sendable, not shareable: the inner type of what takes its traits from its type argument.
type JustSend = Cell<u8>;

/// A future that must not move.
struct Pinned(#[allow(dead_code)] PhantomPinned);

impl Future for Pinned {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Compiles only where `$type` does not implement `$trait`: with both of the impls below, the
/// inference of `_` would have two answers.
macro_rules! assert_not {
    ($type:ty: $trait:path) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn answer() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            struct Two;
            impl<T: ?Sized + $trait> Ambiguous<Two> for T {}
            let _ = <$type as Ambiguous<_>>::answer;
        };
    };
}

macro_rules! assert_is {
    ($type:ty: $trait:path) => {
        const _: fn() = || {
            fn check<T: ?Sized + $trait>() {}
            check::<$type>();
        };
    };
}

macro_rules! rows {
    ($($type:ty: $send:ident $sync:ident $unpin:ident;)*) => { $(
        rows!(@ $send $type: Send);
        rows!(@ $sync $type: Sync);
        rows!(@ $unpin $type: Unpin);
    )* };
    (@ yes $type:ty: $trait:path) => { assert_is!($type: $trait); };
    (@ no $type:ty: $trait:path) => { assert_not!($type: $trait); };
}

rows! {
    // type: Send Sync Unpin
    // What belongs to a loop's thread.
    EventLoop: no no yes;
    Bound: no no yes;
    Runner: no no yes;
    Handle: no no yes;
    TimerHandle: no no yes;
    Task<u8>: no no yes;
    Task<PhantomPinned>: no no yes;
    Join<'static, u8>: no no yes;
    AbortOnDrop<u8>: no no yes;
    TaskBuilder: no no yes;
    Sleep: no no yes;
    Timeout<Ready<u8>>: no no yes;
    Timeout<Pinned>: no no no;
    Interval: no no yes;
    TaskGroup<u8>: no no yes;
    JoinSet<u8>: no no yes;
    JoinSet<PhantomPinned>: no no yes;
    Scope<'static>: no no yes;
    Scoped<'static, PhantomPinned>: no no yes;
    // Foreign executors of other threads are refused here, by the compiler.
    Drive: no no yes;
    DriveWith<Pinned>: no no no;
    Watch: no no yes;
    Async<OwnedFd>: no no yes;
    net::TcpStream: no no yes;
    net::TcpListener: no no yes;
    net::UdpSocket: no no yes;
    net::UnixStream: no no yes;
    net::UnixListener: no no yes;
    net::UnixDatagram: no no yes;
    net::Server: no no yes;
    signal::Signal: no no yes;
    sync::Lock<u8>: no no yes;
    sync::Lock<PhantomPinned>: no no no;
    sync::LockGuard<'static, u8>: no no yes;
    sync::LockGuard<'static, PhantomPinned>: no no yes;
    sync::OwnedLockGuard<u8>: no no yes;
    sync::RwLock<u8>: no no yes;
    sync::RwLockReadGuard<'static, u8>: no no yes;
    sync::RwLockWriteGuard<'static, u8>: no no yes;
    sync::OwnedRwLockReadGuard<u8>: no no yes;
    sync::OwnedRwLockWriteGuard<u8>: no no yes;
    sync::Event: no no yes;
    sync::Condition: no no yes;
    sync::Semaphore: no no yes;
    sync::Barrier: no no yes;
    sync::OnceCell<u8>: no no yes;
    sync::Permit<'static>: no no yes;
    sync::OwnedPermit: no no yes;
    sync::Queue<u8>: no no yes;
    sync::LifoQueue<u8>: no no yes;
    sync::PriorityQueue<u8>: no no yes;
    sync::oneshot::Sender<u8>: no no yes;
    sync::oneshot::Receiver<u8>: no no yes;
    sync::oneshot::Receiver<PhantomPinned>: no no yes;
    sync::mpsc::Sender<u8>: no no yes;
    sync::mpsc::WeakSender<u8>: no no yes;
    sync::mpsc::OwnedPermit<u8>: no no yes;
    sync::mpsc::Permit<'static, u8>: no no yes;
    sync::mpsc::Receiver<u8>: no no yes;
    sync::watch::Sender<u8>: no no yes;
    sync::watch::Receiver<u8>: no no yes;
    sync::watch::Ref<'static, u8>: no no yes;
    sync::broadcast::Sender<u8>: no no yes;
    sync::broadcast::Receiver<u8>: no no yes;
    task::Context: no no yes;
    process::Child: no no yes;
    process::ChildStdin: no no yes;
    process::ChildStdout: no no yes;
    process::ChildStderr: no no yes;
    // What other threads have.
    LoopHandle: yes yes yes;
    AbortHandle: yes yes yes;
    Builder: yes yes yes;
    RemoteTask<JustSend>: yes yes yes;
    BlockingTask<JustSend>: yes yes yes;
    RemoteTask<Rc<u8>>: no no yes;
    BlockingTask<Rc<u8>>: no no yes;
    LoopThread<u8>: yes yes yes;
    ThreadBuilder: yes yes yes;
    LoopGroup<u8>: yes yes yes;
    process::Command: yes yes yes;
    net::TcpSocket: yes yes yes;
    signal::SignalKind: yes yes yes;
    // A variable is a `static` whatever its values are; a value travels if it may.
    ContextVar<Rc<u8>>: yes yes yes;
    Carried<JustSend>: yes no yes;
    Carried<Rc<u8>>: no no yes;
    // Values.
    GroupError<JustSend>: yes no yes;
    GroupError<u8>: yes yes yes;
    ChildFailed: yes yes yes;
    Abandoned: yes yes yes;
    BlockingInfo: yes yes yes;
    sync::TryPut<JustSend>: yes no yes;
    sync::QueueShutDown<JustSend>: yes no yes;
    sync::mpsc::SendError<JustSend>: yes no yes;
    sync::oneshot::Closed: yes yes yes;
    sync::broadcast::RecvError: yes yes yes;
    sync::broadcast::Lagged: yes yes yes;
    LoopError: yes yes yes;
    TaskError: yes yes yes;
    PanicPayload: yes yes yes;
    ExceptionContext: yes yes yes;
    Metrics: yes yes yes;
    TaskInfo: yes yes yes;
    TaskState: yes yes yes;
    TaskId: yes yes yes;
    LoopId: yes yes yes;
    Turn: yes yes yes;
    UnhandledPanic: yes yes yes;
    sync::BrokenBarrier: yes yes yes;
    Elapsed: yes yes yes;
    MissedTick: yes yes yes;
}

#[cfg(feature = "hyper")]
rows! {
    loopbind::hyper::LoopExecutor: yes yes yes;
    loopbind::hyper::LoopTimer: yes yes yes;
    loopbind::hyper::HyperIo<JustSend>: yes no yes;
    loopbind::hyper::HyperIo<net::TcpStream>: no no yes;
}

#[cfg(feature = "calloop")]
rows! {
    loopbind::calloop::LoopEvent: yes yes yes;
    loopbind::calloop::LoopSource: no no yes;
}

/// The handles that `select!` takes say when they are over.
#[test]
fn what_select_takes_is_fused() {
    fn fused<T: futures::future::FusedFuture>() {}
    fused::<Task<u8>>();
    fused::<Join<'static, u8>>();
    fused::<AbortOnDrop<u8>>();
    fused::<RemoteTask<u8>>();
    fused::<BlockingTask<u8>>();
    fused::<Sleep>();
    fused::<Scoped<'static, u8>>();
    fused::<Timeout<Ready<u8>>>();
    fused::<sync::oneshot::Receiver<u8>>();
    fn fused_stream<T: futures::stream::FusedStream>() {}
    fused_stream::<sync::mpsc::Receiver<u8>>();
    fused_stream::<sync::broadcast::Receiver<u8>>();
}

/// Errors are errors.
#[test]
fn errors_are_errors_that_travel() {
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<LoopError>();
    error::<TaskError>();
    error::<GroupError<u8>>();
    error::<ChildFailed>();
    error::<Elapsed>();
    error::<sync::BrokenBarrier>();
    error::<sync::TryPut<u8>>();
    error::<sync::QueueShutDown<u8>>();
    error::<sync::mpsc::SendError<u8>>();
    error::<sync::oneshot::Closed>();
    error::<sync::broadcast::RecvError>();
    error::<sync::broadcast::Lagged>();
}
