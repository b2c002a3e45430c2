//! A handle that takes its task along.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::FusedFuture;

use super::abort::AbortHandle;
use super::error::TaskError;
use super::join::{self, Task};

/// A task that is aborted when this drops: see [`Task::abort_on_drop`].
///
/// Awaiting it gives what awaiting the [`Task`] would.
///
/// # Cancel safety
/// Dropping it aborts the task, awaited or not.
///
/// ```
/// use loopbind::{EventLoop, spawn, yield_now};
///
/// let event_loop = EventLoop::new()?;
/// event_loop.run_until_complete(async {
///     let guard = spawn(std::future::pending::<()>()).abort_on_drop();
///     yield_now().await;
///     drop(guard);
///     yield_now().await;
/// })?;
/// assert!(event_loop.all_tasks().is_empty());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "AbortOnDropHandle")]
#[must_use = "dropping it aborts the task"]
pub struct AbortOnDrop<T> {
    task: Task<T>,
}

impl<T> AbortOnDrop<T> {
    pub(super) fn of(task: Task<T>) -> Self {
        AbortOnDrop { task }
    }

    /// Asks the task to end, and lets it have its say: see [`Task::cancel`].
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    ///
    /// let last_words = run(async {
    ///     let guard = spawn(async { cancelled().await; "good bye" }).abort_on_drop();
    ///     yield_now().await;
    ///     guard.cancel();
    ///     guard.await.unwrap()
    /// })?;
    /// assert_eq!(last_words, "good bye");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// Asks the task to end, and bounds its say: see [`Task::cancel_within`].
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    /// use std::time::Duration;
    ///
    /// let last_words = run(async {
    ///     let guard = spawn(async { cancelled().await; "good bye" }).abort_on_drop();
    ///     yield_now().await;
    ///     guard.cancel_within(Duration::from_secs(5));
    ///     guard.await.unwrap()
    /// })?;
    /// assert_eq!(last_words, "good bye");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel_within(&self, grace: Duration) -> bool {
        self.task.cancel_within(grace)
    }

    /// A handle for asking the task to end from any thread: see [`Task::abort_handle`].
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// run(async {
    ///     let guard = spawn(std::future::pending::<()>()).abort_on_drop();
    ///     assert!(guard.abort_handle().abort());
    ///     assert!(guard.await.unwrap_err().is_cancelled());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort_handle(&self) -> AbortHandle {
        self.task.abort_handle()
    }

    /// Whether the task is over, whatever its outcome.
    ///
    /// ```
    /// use loopbind::{run, spawn, yield_now};
    ///
    /// run(async {
    ///     let guard = spawn(async {}).abort_on_drop();
    ///     yield_now().await;
    ///     assert!(guard.is_finished());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "done")]
    #[must_use = "looking changes nothing"]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }
}

impl<T> Future for AbortOnDrop<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.task).poll(cx)
    }
}

impl<T> FusedFuture for AbortOnDrop<T> {
    fn is_terminated(&self) -> bool {
        self.task.is_terminated()
    }
}

impl<T> Unpin for AbortOnDrop<T> {}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> fmt::Debug for AbortOnDrop<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        join::debug(&self.task.info(), "AbortOnDrop", f)
    }
}
