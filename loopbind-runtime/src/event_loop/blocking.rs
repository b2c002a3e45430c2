//! Work that blocks, on threads of its own: the pool's.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_core::FusedFuture;

use super::EventLoop;
use super::delivery::discard_from_afar;
use crate::error::LoopError;
use crate::panic::{caught, discard};
use crate::sync::reply::{Receiver, channel};
use crate::task::{Home, LocalHome, Phase, TaskError, post_callback};

/// Runs `work` on a pool of threads for blocking work, at once, and gives its outcome to whoever
/// awaits: [`EventLoop::run_in_executor`] of the running loop.
///
/// # Panics
/// With `no running event loop` outside of a run.
///
/// ```
/// use loopbind::{run, spawn_blocking};
///
/// let sum = run(async { spawn_blocking(|| (1..=10).sum::<u32>()).await.unwrap() })?;
/// assert_eq!(sum, 55);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("block_in_place", "run_sync", "to_thread", "unblock"))]
#[track_caller]
pub fn spawn_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> BlockingTask<T> {
    match LocalHome::running() {
        Some(home) => submit(&home, work),
        None => LoopError::NoRunningLoop.raise(),
    }
}

impl EventLoop {
    /// Runs `work` on a pool of threads for blocking work: asyncio's name for
    /// [`spawn_blocking`](crate::spawn_blocking), for this loop.
    ///
    /// The pool is made at the first use, shared by all loops, and grows to 500 threads
    /// (`LOOPBIND_MAX_BLOCKING_THREADS`). Closing a loop does not wait for its work; the end of `run` does,
    /// for at most five minutes ([`Builder::shutdown_limit`](crate::Builder::shutdown_limit)), and says
    /// which lines gave work that is not over then. EXE-01, EXE-09.
    ///
    /// # Panics
    /// With `Event loop is closed` where the loop is closed, and with [`LoopError::Forked`]'s text in a
    /// forked child, unless the thread is panicking.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let work = event_loop.run_in_executor(|| (1..=10).product::<u32>());
    /// assert_eq!(event_loop.run_until_complete(work)?.unwrap(), 3_628_800);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("to_thread", "spawn_blocking", "unblock"))]
    #[track_caller]
    pub fn run_in_executor<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> BlockingTask<T> {
        submit(&self.hold().home, work)
    }
}

/// Work on the pool, and its outcome once it is there.
///
/// Like a [`Task`](crate::Task), one that was never awaited and is dropped goes on by itself, and
/// one that somebody was awaiting is cancelled: work that is still queued is then never run, and
/// work that runs is not interrupted. EXE-03.
///
/// # Cancel safety
/// Dropping it while it is awaited cancels, as said.
///
/// ```
/// use loopbind::{TaskError, run, spawn_blocking};
///
/// let outcome = run(async { spawn_blocking(|| -> u32 { panic!("disk on fire") }).await })?;
/// let Err(TaskError::Panicked(payload)) = outcome else { unreachable!() };
/// assert_eq!(payload.message(), Some("disk on fire"));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct BlockingTask<T> {
    receiver: Receiver<Result<T, TaskError>>,
    /// Set: the work must not begin.
    recalled: Arc<AtomicBool>,
    home: Arc<Home>,
    awaited: bool,
    resolved: bool,
}

#[track_caller]
fn submit<T: Send + 'static>(
    home: &LocalHome,
    work: impl FnOnce() -> T + Send + 'static,
) -> BlockingTask<T> {
    let (sender, receiver) = channel();
    let recalled = Arc::new(AtomicBool::new(false));
    let home_of_task = Arc::clone(home);
    let task = BlockingTask {
        receiver,
        recalled: Arc::clone(&recalled),
        home: home_of_task,
        awaited: false,
        resolved: false,
    };
    let refusal = match home.local().phase.get() {
        _ if home.is_inherited() => Some(LoopError::Forked),
        Phase::Open => None,
        Phase::Closing | Phase::Closed => Some(LoopError::Closed),
    };
    if let Some(refusal) = refusal {
        if home.local().phase.get() != Phase::Closing && !std::thread::panicking() {
            refusal.raise();
        }
        discard(work);
        let _ = sender.settle(Err(TaskError::LoopClosed));
        return task;
    }
    let in_flight = InFlight::begin(home);
    let job = move || {
        if recalled.load(Ordering::Acquire) {
            // Dropped unrun, on this thread: it may be anywhere.
            discard(work);
        } else {
            let outcome = caught(work).map_err(TaskError::Panicked);
            if let Err(unwanted) = sender.settle(outcome) {
                discard_from_afar(&in_flight.home, unwanted);
            }
        }
        // The outcome is delivered before the job counts as over.
        drop(in_flight);
    };
    if let Err((error, job)) = crate::blocking::submit(Box::new(job)) {
        // No thread, and none to be had: nobody would ever bring the outcome. The job is run for
        // what it does when it was recalled: it drops the work.
        let _ = task.receiver.preempt(Err(TaskError::NoThread(error)));
        task.recalled.store(true, Ordering::Release);
        job();
    }
    task
}

/// A job that is not over, as its loop counts it.
pub(crate) struct InFlight {
    home: Arc<Home>,
    kind: Kind,
}

enum Kind {
    /// By its number among the loop's.
    Work(u64),
    Write,
}

impl InFlight {
    #[track_caller]
    fn begin(home: &Arc<Home>) -> Self {
        home.blocking_began();
        let number = home.jobs.add(Location::caller());
        InFlight { home: Arc::clone(home), kind: Kind::Work(number) }
    }

    /// Of a write whose reader may never read.
    pub(crate) fn write(home: &Arc<Home>) -> Self {
        home.blocking_began();
        home.write_began();
        InFlight { home: Arc::clone(home), kind: Kind::Write }
    }

    /// The reader has taken something.
    pub(crate) fn progressed(&self) {
        self.home.write_progressed();
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        match self.kind {
            Kind::Work(number) => self.home.jobs.remove(number),
            Kind::Write => self.home.write_ended(),
        }
        if self.home.blocking_ended() {
            // Who waits for the last job, or for a virtual clock that may go on now, looks again. A
            // post, and not a mere nudge: the loop may have looked a moment ago and be on its way to
            // sleep. Refused: it is closed, and waits for nothing.
            let _ = post_callback(&self.home, || {});
        }
    }
}

impl<T> BlockingTask<T> {
    /// Gives the work up; true if its outcome was not there yet. Awaiting it gives
    /// [`TaskError::Cancelled`] at once. Work that has not begun never begins; work that runs is not
    /// interrupted, and its outcome is dropped. EXE-03.
    ///
    /// ```
    /// use loopbind::{run, spawn_blocking};
    ///
    /// run(async {
    ///     let (go, wait) = std::sync::mpsc::channel::<()>();
    ///     let work = spawn_blocking(move || wait.recv());
    ///     assert!(work.cancel());
    ///     assert!(work.await.unwrap_err().is_cancelled());
    ///     drop(go); // it ends, and nobody hears of it
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.recalled.store(true, Ordering::Release);
        self.receiver.preempt(Err(TaskError::Cancelled)).is_ok()
    }

    /// Whether the outcome is there.
    ///
    /// ```
    /// use loopbind::{run, sleep, spawn_blocking};
    /// use std::time::Duration;
    ///
    /// run(async {
    ///     let work = spawn_blocking(|| 42);
    ///     while !work.is_finished() {
    ///         sleep(Duration::from_millis(1)).await;
    ///     }
    ///     assert_eq!(work.await.unwrap(), 42);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.receiver.is_settled()
    }
}

impl<T> Future for BlockingTask<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When polled again after it gave the work's outcome.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.resolved, "a BlockingTask was polled after it gave its outcome");
        if self.home.is_inherited() {
            // The pool's threads stayed with the parent. Refused: the outcome came before the fork.
            let _ = self.receiver.preempt(Err(TaskError::Forked));
        }
        let polled = self.receiver.poll(cx);
        self.resolved |= polled.is_ready();
        self.awaited = true;
        polled
    }
}

impl<T> FusedFuture for BlockingTask<T> {
    fn is_terminated(&self) -> bool {
        self.resolved
    }
}

impl<T> Unpin for BlockingTask<T> {}

impl<T> Drop for BlockingTask<T> {
    fn drop(&mut self) {
        if self.awaited {
            self.recalled.store(true, Ordering::Release);
        }
        if let Some(unread) = self.receiver.abandon() {
            discard_from_afar(&self.home, unread);
        }
    }
}

impl<T> fmt::Debug for BlockingTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTask")
            .field("finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}
