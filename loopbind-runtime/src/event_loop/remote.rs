//! What other threads have of a loop, and of the tasks they start on it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::FusedFuture;

use super::delivery::{Delivery, discard_from_afar};
use crate::attention::Matter;
use crate::error::LoopError;
use crate::ids::LoopId;
use crate::sync::reply::{Receiver, channel};
use crate::task::{
    AbortHandle, Birth, Home, LocalHome, RemoteRef, TaskError, Tie, post_callback, post_task,
};

/// A loop, from any thread: posts callbacks and starts tasks there.
///
/// `Send` and `Sync`; it does not keep the loop open. Once the loop is closed every call gives
/// [`LoopError::Closed`], and what was accepted before that has run or was dropped by then.
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// let handle = event_loop.handle();
/// let worker = std::thread::spawn(move || {
///     handle.spawn(|| async { 6 * 7 })?.join().map_err(std::io::Error::other)
/// });
/// while !worker.is_finished() {
///     event_loop.turn(Some(std::time::Duration::from_millis(1)))?;
/// }
/// assert_eq!(worker.join().unwrap().unwrap(), 42);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("BlockingPortal", "Spawner", "TrioToken"))]
#[derive(Clone)]
pub struct LoopHandle {
    home: Tie,
}

impl LoopHandle {
    pub(crate) fn of(home: &Arc<Home>) -> Self {
        LoopHandle { home: Tie::to(home) }
    }

    /// The loop's number.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let id = std::thread::spawn(move || handle.id()).join().unwrap();
    /// assert_eq!(id, event_loop.id());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn id(&self) -> LoopId {
        self.home.id
    }

    /// The name the loop's builder gave it.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::builder().name("ui").build()?;
    /// assert_eq!(event_loop.handle().name(), Some("ui"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.home.name.as_deref()
    }

    /// Has `callback` called on the loop's thread, and wakes the loop for it. In one queue with what
    /// the loop's own thread schedules: what happened before, runs before. THR-01, THR-02.
    ///
    /// Nothing holds a caller back who posts faster than the loop runs: the queue grows. Where that can
    /// be, wait for an answer now and then, [`RemoteTask::join`] for one.
    ///
    /// # Errors
    /// [`LoopError::Closed`], and the callback is dropped here; [`LoopError::Forked`] in a forked
    /// child. A loop that does not run accepts, and runs it when it does: THR-14.
    ///
    /// ```
    /// use loopbind::{EventLoop, LoopError, get_event_loop};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let poster = std::thread::spawn(move || {
    ///     handle.call_soon_threadsafe(|| get_event_loop().unwrap().stop())
    /// });
    /// event_loop.run_forever()?; // until the callback ran, on this thread
    /// poster.join().unwrap()?;
    /// event_loop.close()?;
    /// let refused = event_loop.handle().call_soon_threadsafe(|| {});
    /// assert!(matches!(refused, Err(LoopError::Closed)));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("run_sync", "run_sync_soon"))]
    #[track_caller]
    pub fn call_soon_threadsafe(
        &self,
        callback: impl FnOnce() + Send + 'static,
    ) -> Result<(), LoopError> {
        self.home.check_fork()?;
        post_callback(&self.home, callback)
    }

    /// Starts a task on the loop: the closure crosses threads, and the future, `Send` or not, is made
    /// and lives on the loop's thread. A closure that panics settles the task as
    /// [`TaskError::Panicked`]. THR-08, THR-15.
    ///
    /// # Errors
    /// As [`call_soon_threadsafe`](LoopHandle::call_soon_threadsafe).
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    /// use std::{rc::Rc, time::Duration};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().spawn(|| async {
    ///     let not_send = Rc::new(42); // lives on the loop's thread alone
    ///     loopbind::sleep(Duration::from_millis(1)).await;
    ///     *not_send
    /// })?;
    /// assert_eq!(task.join().unwrap(), 42);
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, Fut>(&self, make: F) -> Result<RemoteTask<Fut::Output>, LoopError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        self.home.check_fork()?;
        let (sender, receiver) = channel();
        let delivery = Delivery::new(make, sender);
        let task = post_task(&self.home, delivery, Birth::here())?;
        let home = Arc::clone(&*self.home);
        Ok(RemoteTask { receiver, task, home, awaited_on: None, resolved: false })
    }

    /// Starts a future that may cross threads: asyncio's name for [`spawn`](LoopHandle::spawn).
    ///
    /// # Errors
    /// As [`call_soon_threadsafe`](LoopHandle::call_soon_threadsafe).
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().run_coroutine_threadsafe(async { 6 * 7 })?;
    /// assert_eq!(task.join().unwrap(), 42);
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn run_coroutine_threadsafe<F>(&self, future: F) -> Result<RemoteTask<F::Output>, LoopError>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn(move || future)
    }

    /// Stops the loop, behind what was posted before, and wakes it for that; before a run, it makes
    /// that one as short as `EventLoop::stop` would. On a closed loop, and in a forked child, it does
    /// nothing. RUN-35.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// let stopper = std::thread::spawn(move || handle.stop());
    /// event_loop.run_forever()?;
    /// stopper.join().unwrap();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn stop(&self) {
        let stop = || {
            if let Some(home) = LocalHome::running() {
                home.local().attention.call_for(Matter::Stop);
            }
        };
        // Closed: there is nothing left to stop.
        let _ = self.call_soon_threadsafe(stop);
    }

    /// Whether a run, or a turn, of the loop is on.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// assert!(!handle.is_running());
    /// assert!(event_loop.run_until_complete(async { handle.is_running() })?);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_running(&self) -> bool {
        self.home.is_running()
    }

    /// Whether the loop was closed.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// assert!(!handle.is_closed());
    /// drop(event_loop); // the last one: that closes the loop
    /// assert!(handle.is_closed());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.home.is_closed()
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.home.is_closed() && !self.is_inherited()
    }

    pub(crate) fn is_inherited(&self) -> bool {
        self.home.is_inherited()
    }
}

impl fmt::Debug for LoopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopHandle")
            .field("id", &self.id().get())
            .field("name", &self.name())
            .field("running", &self.is_running())
            .field("closed", &self.is_closed())
            .finish()
    }
}

impl PartialEq for LoopHandle {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for LoopHandle {}

impl Hash for LoopHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

/// A task that was started from elsewhere. Await it from any executor, or block on it from any
/// other thread. Dropping it detaches the task. THR-08 to THR-13.
///
/// A closing loop settles every task it had accepted, as [`TaskError::Cancelled`].
///
/// # Cancel safety
/// Dropping it while it is awaited leaves the task running.
///
/// ```
/// use loopbind::{run, task::cancelled, thread::ThreadBuilder};
///
/// let thread = ThreadBuilder::new().spawn(cancelled)?;
/// let task = thread.handle().spawn(|| async { 6 * 7 })?;
/// assert_eq!(run(task)?.unwrap(), 42); // awaited by another thread's loop
/// thread.stop();
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("Future", "JoinHandle"))]
pub struct RemoteTask<T> {
    receiver: Receiver<Result<T, TaskError>>,
    task: RemoteRef,
    home: Arc<Home>,
    /// To the loop that awaits it, where that is another.
    awaited_on: Option<Tie>,
    resolved: bool,
}

impl<T> RemoteTask<T> {
    /// Blocks until the task is over, and gives its outcome.
    ///
    /// # Errors
    /// The task's; and on the thread that owns the task's loop [`TaskError::WouldDeadlock`], at once,
    /// unless the task is over: the task goes on, detached.
    ///
    /// # Panics
    /// When the outcome was taken by awaiting the task before.
    ///
    /// ```
    /// use loopbind::{EventLoop, TaskError, task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// assert_eq!(thread.handle().spawn(|| async { 42 })?.join().unwrap(), 42);
    /// thread.stop();
    ///
    /// let event_loop = EventLoop::new()?;
    /// let ours = event_loop.handle().spawn(|| async { 42 })?;
    /// assert!(matches!(ours.join(), Err(TaskError::WouldDeadlock)));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "result")]
    #[track_caller]
    pub fn join(self) -> Result<T, TaskError> {
        self.settle_if_inherited();
        if self.would_deadlock() {
            return Err(TaskError::WouldDeadlock);
        }
        self.receiver.wait().expect("a RemoteTask was joined after it gave its outcome")
    }

    /// Blocks until the task is over or `limit` has passed, which changes nothing and gives the
    /// handle back. THR-09.
    ///
    /// # Errors
    /// The handle, when the time is over. The outcome within is as [`join`](RemoteTask::join)'s.
    ///
    /// # Panics
    /// As [`join`](RemoteTask::join).
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    /// use std::{future::pending, time::Duration};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().spawn(pending::<()>)?;
    /// let task = task.join_timeout(Duration::from_millis(1)).unwrap_err(); // too short: again
    /// task.cancel();
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn join_timeout(self, limit: Duration) -> Result<Result<T, TaskError>, Self> {
        assert!(!self.resolved, "a RemoteTask was joined after it gave its outcome");
        self.settle_if_inherited();
        if self.would_deadlock() {
            return Ok(Err(TaskError::WouldDeadlock));
        }
        self.receiver.wait_timeout(limit).ok_or(self)
    }

    /// Asks the task to end, as `Task::cancel` does, and wakes its loop for that; true if it was not
    /// over. A task that has not begun never begins. In a forked child, where the task is not, it does
    /// nothing, and is false. THR-11.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    /// use std::future::pending;
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().spawn(pending::<()>)?;
    /// assert!(task.cancel());
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        !self.is_finished() && self.task.cancel()
    }

    /// Asks the task to end, and bounds what it does with its say, as `Task::cancel_within` does; the
    /// grace counts from when the loop hears of it. True if it was not over.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    /// use std::{future::pending, time::Duration};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().spawn(|| async {
    ///     cancelled().await;
    ///     pending::<()>().await // a cleanup without end
    /// })?;
    /// assert!(task.cancel_within(Duration::from_millis(1)));
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn cancel_within(&self, grace: Duration) -> bool {
        !self.is_finished() && self.task.cancel_within(grace)
    }

    /// A handle for asking the task to end, also when this one is gone: its `abort` gives the task no
    /// say.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// let task = thread.handle().spawn(cancelled)?;
    /// task.abort_handle().abort(); // it would listen
    /// assert!(task.join().unwrap_err().is_cancelled());
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::of(self.task.clone())
    }

    /// Whether the outcome is there.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.handle().spawn(|| async { 42 })?;
    /// assert!(!task.is_finished());
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert!(task.is_finished());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "done")]
    pub fn is_finished(&self) -> bool {
        self.receiver.is_settled()
    }

    /// In a forked child the thread that would bring the outcome is not there.
    fn settle_if_inherited(&self) {
        if self.home.is_inherited() {
            // Refused: the outcome came before the fork.
            let _ = self.receiver.preempt(Err(TaskError::Forked));
        }
    }

    fn would_deadlock(&self) -> bool {
        std::thread::current().id() == self.home.owner && !self.receiver.is_settled()
    }
}

impl<T> Future for RemoteTask<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When polled again after it gave the task's outcome.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.resolved, "a RemoteTask was polled after it gave its outcome");
        self.settle_if_inherited();
        if self.task.is_current() {
            // Refused: it has an outcome, of which nothing comes while it still runs.
            let _ = self.receiver.preempt(Err(TaskError::SelfAwait));
        }
        let polled = self.receiver.poll(cx);
        self.resolved |= polled.is_ready();
        // What comes of it comes from another loop's thread: this one is to wait for that.
        let awaiting = LocalHome::with_running(|here| {
            let is_foreign = polled.is_pending() && !Arc::ptr_eq(here, &self.home);
            is_foreign.then(|| Tie::to(here))
        });
        self.awaited_on = awaiting.flatten();
        polled
    }
}

impl<T> FusedFuture for RemoteTask<T> {
    fn is_terminated(&self) -> bool {
        self.resolved
    }
}

impl<T> Unpin for RemoteTask<T> {}

impl<T> Drop for RemoteTask<T> {
    fn drop(&mut self) {
        if let Some(unread) = self.receiver.abandon() {
            discard_from_afar(&self.home, unread);
        }
    }
}

impl<T> fmt::Debug for RemoteTask<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteTask")
            .field("loop", &self.home.id.get())
            .field("finished", &self.is_finished())
            .finish()
    }
}
