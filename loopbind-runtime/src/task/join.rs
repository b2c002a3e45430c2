//! The handle of a task, and the ways to wait for it.

use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::FusedFuture;

use super::abort::AbortHandle;
use super::abort_on_drop::AbortOnDrop;
use super::error::{ExceptionContext, TaskError};
use super::header::TaskRef;
use super::home::LocalHome;
use super::info::TaskInfo;
use super::remains;
use super::state::{CONTEXT, DETACHED, DONE, HANDLE, OUTCOME};
use super::waker;
use crate::ids::TaskId;
use crate::panic::caught;

/// A task of the loop, and its outcome once it is there.
///
/// Awaiting it gives `Ok` with the task's value, or a [`TaskError`] that says why there is none.
///
/// The loop owns its tasks: a `Task` that is dropped without ever having been awaited leaves the
/// task running (detached). Cancellation travels along awaits: one that somebody was awaiting, and
/// that is dropped unfinished, takes its task along. [`join`](Task::join),
/// [`shield`](super::shield()) and [`detach`](Task::detach) opt out.
///
/// A panic reaches who awaits; where the handle is dropped unread, the loop's exception handler.
///
/// # Panics
/// When awaited after it gave its outcome, be it by [`try_result`](Task::try_result).
///
/// # Cancel safety
/// Dropping the handle while it is awaited cancels the task; see above.
///
/// ```
/// use loopbind::{run, spawn};
///
/// let sum = run(async {
///     let one = spawn(async { 1 });
///     let two = spawn(async { 2 });
///     one.await.unwrap() + two.await.unwrap()
/// })?;
/// assert_eq!(sum, 3);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "JoinHandle")]
pub struct Task<T> {
    task: TaskRef,
    /// It resolved: with the outcome, or with an error about the waiting.
    resolved: bool,
    /// Somebody awaited it in vain: dropping it unfinished takes the task along.
    tied: bool,
    _output: PhantomData<(T, *const ())>,
}

impl<T> Task<T> {
    /// Has it run in `context`, unless it is over already.
    pub(super) fn adopt(&self, context: super::context::Context) {
        if !self.task.is_done() {
            self.task.head().adopt(context);
        }
    }

    pub(crate) fn new(task: TaskRef) -> Self {
        Task { task, resolved: false, tied: false, _output: PhantomData }
    }

    /// Asks the task to end; true if it was not over yet.
    ///
    /// Nothing is dropped inside this call: the future is dropped in the task's own next turn. A
    /// task that has not begun never begins. A task that holds a polled, living
    /// [`cancelled()`](super::cancelled()) is told instead, and ends by itself. In a forked child the
    /// task is the parent's: nothing happens, and it is false. CAN-01, CAN-02.
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// run(async {
    ///     let task = spawn(std::future::pending::<()>());
    ///     assert!(task.cancel());
    ///     assert!(!task.is_finished()); // a request: its own next turn ends it
    ///     assert!(task.await.unwrap_err().is_cancelled());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// Asks the task to end, as [`cancel`](Task::cancel) does, and bounds what it does with its say: a
    /// task that was told is aborted when `grace` is over, on the loop's clock, unless it ended before.
    /// True if it was not over yet.
    ///
    /// A task that does not listen is dropped in its next turn, and no timer is set for it. At a grace
    /// of zero a task is told all the same, and has one turn. Called several times, the shortest grace
    /// counts; on a task that was told before and is cleaning up it sets the bound and does not ask
    /// again, unless the task listens again. What the task itself awaits, and takes along, has no bound
    /// of its own. A loop that does not run ends nothing, and one that closes drops the task with the
    /// rest.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, spawn, task::cancelled, time, yield_now};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let task = spawn(async {
    ///         cancelled().await;
    ///         sleep(Duration::from_secs(3600)).await; // a long good bye
    ///     });
    ///     yield_now().await;
    ///     let asked = time::now();
    ///     task.cancel_within(Duration::from_secs(5));
    ///     assert!(task.await.unwrap_err().is_cancelled());
    ///     assert_eq!(time::now() - asked, Duration::from_secs(5));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel_within(&self, grace: Duration) -> bool {
        self.task.cancel_within(grace)
    }

    /// Asks the task to end, as [`cancel`](Task::cancel) does, but gives it no say; true if it was not
    /// over yet. In a forked child it does nothing, and is false.
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    ///
    /// let outcome = run(async {
    ///     let task = spawn(cancelled());
    ///     yield_now().await;
    ///     task.abort(); // it listens, and is not told
    ///     task.await
    /// })?;
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort(&self) -> bool {
        self.task.abort()
    }

    /// A handle for asking the task to end from any thread, also when this one is gone.
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// run(async {
    ///     let task = spawn(std::future::pending::<()>());
    ///     let handle = task.abort_handle();
    ///     task.detach();
    ///     assert!(handle.abort());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::of(self.task.remote())
    }

    /// Whether the task is over, whatever its outcome.
    ///
    /// ```
    /// use loopbind::{run, spawn, yield_now};
    ///
    /// run(async {
    ///     let task = spawn(async {});
    ///     assert!(!task.is_finished());
    ///     yield_now().await;
    ///     assert!(task.is_finished());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "done")]
    #[must_use = "looking changes nothing"]
    pub fn is_finished(&self) -> bool {
        self.task.is_done()
    }

    /// Its number, unique in the process.
    ///
    /// ```
    /// use loopbind::{run, spawn, task};
    ///
    /// run(async {
    ///     let task = spawn(async { task::current().unwrap().id });
    ///     let id = task.id();
    ///     assert_eq!(task.await.unwrap(), id);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn id(&self) -> TaskId {
        self.task.id()
    }

    /// The name its builder gave it.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.task_builder().name("fetch").spawn(async {});
    /// assert_eq!(task.name().as_deref(), Some("fetch"));
    /// assert_eq!(event_loop.create_task(async {}).name(), None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "get_name")]
    #[must_use = "looking changes nothing"]
    pub fn name(&self) -> Option<String> {
        self.task.info().name
    }

    /// What is known of it now.
    ///
    /// ```
    /// use loopbind::{TaskState, run, spawn, yield_now};
    ///
    /// let info = run(async {
    ///     let task = spawn(yield_now());
    ///     yield_now().await;
    ///     task.info()
    /// })?;
    /// assert_eq!((info.polls, info.state), (1, TaskState::Ready));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("get_coro", "get_stack", "print_stack"))]
    #[must_use = "looking changes nothing"]
    pub fn info(&self) -> TaskInfo {
        self.task.info()
    }

    /// The outcome if the task is over, without waiting; taken once.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let mut task = event_loop.create_task(async { 42 });
    /// assert!(task.try_result().is_none());
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert_eq!(task.try_result().unwrap().unwrap(), 42);
    /// assert!(task.try_result().is_none()); // taken
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("result", "exception"))]
    pub fn try_result(&mut self) -> Option<Result<T, TaskError>> {
        self.task.head().has(DONE).then(|| self.take()).flatten()
    }

    /// Lets the task run on by itself, to its end or the loop's.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.create_task(async {}).detach();
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert_eq!(event_loop.metrics().polls, 1);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn detach(self) {
        self.task.head().set(DETACHED);
    }

    /// Waits without tying the task's fate to the wait: for `select!` in a loop.
    ///
    /// # Cancel safety
    /// Dropping what is returned stops the waiting, and nothing else.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, spawn, timeout};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let mut task = spawn(sleep(Duration::from_secs(2)));
    ///     let second = Duration::from_secs(1);
    ///     assert!(timeout(second, task.join()).await.is_err()); // given up, and the task goes on
    ///     task.await.unwrap();
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn join(&mut self) -> Join<'_, T> {
        Join { task: self }
    }

    /// Makes a handle that aborts its task when dropped.
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// assert_eq!(run(async { spawn(async { 42 }).abort_on_drop().await.unwrap() })?, 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort_on_drop(self) -> AbortOnDrop<T> {
        AbortOnDrop::of(self)
    }

    /// Has `callback` called, as if by `call_soon`, once the task is over; in order of registration
    /// with other callbacks and with whoever awaits. FUT-07, FUT-08.
    ///
    /// # Panics
    /// As [`EventLoop::create_task`](crate::EventLoop::create_task).
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async {});
    /// let same_loop = event_loop.clone();
    /// task.add_done_callback(move || same_loop.stop());
    /// event_loop.run_forever()?;
    /// assert!(task.is_finished());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn add_done_callback(&self, callback: impl FnOnce() + 'static) {
        let head = self.task.head();
        // SAFETY: a `Task` is on its owner's thread.
        let home = unsafe { LocalHome::assume(head.home.share()) };
        let callback = home.callback(callback);
        if head.has(DONE) {
            home.queue(callback);
        } else {
            head.with_cold(|cold| cold.callbacks.push(callback));
        }
    }

    /// The outcome, out of the cell; `None` if it was taken before.
    fn take(&mut self) -> Option<Result<T, TaskError>> {
        let head = self.task.head();
        let mut state = head.state.get();
        if state & OUTCOME == 0 {
            return None;
        }
        if state & CONTEXT != 0 {
            // It was kept for the report that nobody has to make any more.
            // SAFETY: a `Task` is on its owner's thread.
            remains::drop_context(head, unsafe { head.home.local() });
            state = head.state.get();
        }
        head.state.set(state & !OUTCOME);
        self.resolved = true;
        let mut outcome = MaybeUninit::<Result<T, TaskError>>::uninit();
        // SAFETY: done, and the outcome is there, so nobody is in the stage; its bit is gone; it is of
        // this type, since the handle was made with the cell. It is written where it is taken to.
        unsafe {
            (head.vtable.take_outcome)(self.task.header(), outcome.as_mut_ptr().cast());
            Some(outcome.assume_init())
        }
    }

    /// A reference to the task itself, whatever becomes of the handle.
    pub(crate) fn task_ref(&self) -> TaskRef {
        self.task.clone()
    }

    /// Why waiting for the outcome here would never end, if so.
    pub(crate) fn obstacle(&self) -> Option<TaskError> {
        let home = &self.task.head().home;
        match home.at_home() {
            None if home.is_inherited() => Some(TaskError::Forked),
            None => Some(TaskError::ForeignLoop),
            Some(local) if local.current.get() == Some(self.task.header()) => {
                Some(TaskError::SelfAwait)
            }
            Some(_) => None,
        }
    }

    /// Polls, and leaves `cx` as the one to wake.
    pub(super) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, TaskError>> {
        let head = self.task.head();
        if head.has(DONE) {
            let outcome = self.take();
            return Poll::Ready(outcome.expect("a Task was polled after it gave its outcome"));
        }
        if let Some(error) = self.obstacle() {
            self.resolved = true;
            return Poll::Ready(Err(error));
        }
        self.wait(cx);
        Poll::Pending
    }

    fn wait(&self, cx: &mut Context<'_>) {
        let head = self.task.head();
        let known = head.waiter.take();
        match &known {
            Some(waker) if waker.will_wake(cx.waker()) => return head.waiter.set(known),
            Some(_) => head.waiter.set(known),
            None => {
                head.if_cold(|cold| cold.before_waiter = cold.callbacks.len());
            }
        }
        // Cloning and dropping wakers is user code: nothing of ours is borrowed here.
        let waker = waker::cloned(cx.waker());
        drop(head.waiter.replace(Some(waker)));
    }

    /// Forgets that it was awaited before: dropping it detaches.
    pub(super) fn untie(&mut self) {
        self.tied = false;
    }

    /// A waker is the user's code: one that panics as it is dropped is reported, and whoever stops
    /// waiting goes on with what it was about to do.
    fn stop_waiting(&self) {
        let head = self.task.head();
        let Some(waker) = head.waiter.take() else { return };
        if let Err(payload) = caught(move || drop(waker)) {
            let context = ExceptionContext::panicked("exception in a waker", payload);
            // SAFETY: a `Task` is on its owner's thread.
            unsafe { head.home.local() }.report(context);
        }
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, TaskError>;

    /// # Panics
    /// When polled again after it gave the task's outcome.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.poll_outcome(cx);
        self.tied |= polled.is_pending();
        polled
    }
}

impl<T> FusedFuture for Task<T> {
    fn is_terminated(&self) -> bool {
        self.resolved
    }
}

impl<T> Unpin for Task<T> {}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let head = self.task.head();
        // Most were read, and nobody else has them: what their state says is of no interest any more.
        if head.state.get() & (DONE | OUTCOME) == DONE && head.refs.is_last_own() {
            return;
        }
        head.clear(HANDLE);
        // Nobody waits for what is done.
        if !head.has(DONE) || head.has(OUTCOME) {
            self.leave_unread();
        }
    }
}

impl<T> Task<T> {
    #[inline(never)]
    fn leave_unread(&self) {
        let head = self.task.head();
        self.stop_waiting();
        if !head.has(DONE) {
            if self.tied && !head.has(DETACHED) {
                // One that was told already is cleaning up: that is not to be cut short.
                self.task.cancel_once();
            }
        } else {
            // SAFETY: a `Task` is on its owner's thread; done and not taken.
            unsafe { remains::discard_outcome(self.task.header(), head.home.local()) };
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&self.info(), "Task", f)
    }
}

pub(super) fn debug(info: &TaskInfo, kind: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let place: &Location<'_> = info.spawned_at;
    f.debug_struct(kind)
        .field("id", &info.id.get())
        .field("name", &info.name)
        .field("state", &info.state)
        .field("spawned_at", &format_args!("{place}"))
        .finish()
}

/// Waits for a task without tying its fate to the wait: see [`Task::join`].
///
/// # Cancel safety
/// Dropping it stops the waiting, and nothing else.
///
/// # Panics
/// When polled after the task's outcome was taken.
///
/// ```
/// use futures::{FutureExt, select_biased};
/// use loopbind::{run, spawn, yield_now};
///
/// let value = run(async {
///     let mut task = spawn(async { yield_now().await; 42 });
///     loop {
///         select_biased! {
///             outcome = task.join() => break outcome.unwrap(),
///             () = yield_now().fuse() => {} // the wait begins anew, the task does not
///         }
///     }
/// })?;
/// assert_eq!(value, 42);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Join<'a, T> {
    task: &'a mut Task<T>,
}

impl<T> Future for Join<'_, T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.task.poll_outcome(cx)
    }
}

impl<T> FusedFuture for Join<'_, T> {
    fn is_terminated(&self) -> bool {
        self.task.resolved
    }
}

impl<T> Unpin for Join<'_, T> {}

impl<T> Drop for Join<'_, T> {
    fn drop(&mut self) {
        self.task.stop_waiting();
    }
}

impl<T> fmt::Debug for Join<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        debug(&self.task.info(), "Join", f)
    }
}
