//! A hand on a task that is not its outcome: from any thread, for asking it to end.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use super::header::RemoteRef;
use crate::ids::TaskId;

/// Asks one task to end, from any thread, at any time: made by [`Task::abort_handle`](super::Task::abort_handle)
/// and [`RemoteTask::abort_handle`](crate::RemoteTask::abort_handle).
///
/// It neither keeps the task running nor has its outcome, and what it asks for is never done inside the
/// call: the future is dropped on its loop's thread, in the task's own next turn. Inside the loop's own
/// run the methods are those of the [`Task`](super::Task). From elsewhere the request is posted: the loop is
/// woken for it, and what was posted before is done before. After the task's end, the loop's close or
/// its thread's end the methods do nothing, and are false.
///
/// Two are equal if they are the same task's. Each keeps the task's memory, of which everything of
/// yours was dropped when the task ended.
///
/// ```
/// use loopbind::{AbortHandle, run, spawn};
///
/// let outcome = run(async {
///     let task = spawn(std::future::pending::<()>());
///     let handle: AbortHandle = task.abort_handle();
///     std::thread::spawn(move || handle.cancel()); // `Send`, as the task is not
///     task.await
/// })?;
/// assert!(outcome.unwrap_err().is_cancelled());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct AbortHandle {
    task: RemoteRef,
}

impl AbortHandle {
    pub(crate) fn of(task: RemoteRef) -> Self {
        AbortHandle { task }
    }

    /// Asks the task to end, as [`Task::cancel`](super::Task::cancel) does: one that listens is told.
    /// True if it was not over yet. THR-11.
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    ///
    /// let last_words = run(async {
    ///     let task = spawn(async { cancelled().await; "good bye" });
    ///     let handle = task.abort_handle();
    ///     yield_now().await;
    ///     assert!(handle.cancel());
    ///     let last_words = task.await.unwrap();
    ///     assert!(!handle.cancel()); // it is over
    ///     last_words
    /// })?;
    /// assert_eq!(last_words, "good bye");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        self.task.cancel()
    }

    /// Asks the task to end, and aborts it where it was told and has not ended when `grace` is over, as
    /// [`Task::cancel_within`](super::Task::cancel_within) does. From elsewhere the grace counts from
    /// when the loop hears of it. True if the task was not over yet.
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    /// use std::time::Duration;
    ///
    /// let outcome = run(async {
    ///     let task = spawn(async {
    ///         cancelled().await;
    ///         std::future::pending::<()>().await // a cleanup without end
    ///     });
    ///     let handle = task.abort_handle();
    ///     yield_now().await;
    ///     assert!(handle.cancel_within(Duration::from_millis(1)));
    ///     task.await
    /// })?;
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn cancel_within(&self, grace: Duration) -> bool {
        self.task.cancel_within(grace)
    }

    /// Ends the task as [`Task::abort`](super::Task::abort) does, without a say. True if it was not over yet.
    ///
    /// ```
    /// use loopbind::{run, spawn, task::cancelled, yield_now};
    ///
    /// let outcome = run(async {
    ///     let task = spawn(cancelled());
    ///     yield_now().await;
    ///     task.abort_handle().abort(); // it listens, and is not told
    ///     task.await
    /// })?;
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort(&self) -> bool {
        self.task.abort()
    }

    /// Whether the task is over, whatever its outcome; its future is gone then.
    ///
    /// ```
    /// use loopbind::{run, spawn, yield_now};
    ///
    /// run(async {
    ///     let handle = spawn(async {}).abort_handle();
    ///     assert!(!handle.is_finished());
    ///     yield_now().await;
    ///     assert!(handle.is_finished());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "done")]
    #[must_use = "looking changes nothing"]
    pub fn is_finished(&self) -> bool {
        self.task.is_over()
    }

    /// The task's number, unique in the process.
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// run(async {
    ///     let task = spawn(async {});
    ///     assert_eq!(task.abort_handle().id(), task.id());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn id(&self) -> TaskId {
        self.task.id()
    }
}

impl Eq for AbortHandle {}

impl Hash for AbortHandle {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id().get())
            .field("finished", &self.is_finished())
            .finish()
    }
}
