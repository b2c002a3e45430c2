//! What a task group tells of its failures.

use std::fmt;

use crate::PanicPayload;

/// Why a task group has no value: every error and every panic of its children and its body, in the
/// order in which they happened.
///
/// Without any, the group was ended by [`TaskGroup::cancel`](super::TaskGroup::cancel).
///
/// `Display` gives asyncio's text; [`details`](GroupError::details) tells of each.
///
/// ```
/// use loopbind::{run, task::{self, GroupError}};
///
/// let outcome: Result<(), _> = run(task::group(async |group| {
///     group.spawn(async { Err::<(), _>("no tea") });
///     std::future::pending().await
/// }))?;
/// let GroupError { errors, panics } = outcome.unwrap_err();
/// assert_eq!((errors, panics.len()), (vec!["no tea"], 0));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("ExceptionGroup", "BaseExceptionGroup", "MultiError"))]
#[derive(Debug, thiserror::Error)]
#[error("unhandled errors in a TaskGroup")]
pub struct GroupError<E> {
    /// What children, and the body, returned as their errors; the first came first.
    pub errors: Vec<E>,
    /// What children, and the body, panicked with; the first came first.
    pub panics: Vec<PanicPayload>,
}

impl<E> GroupError<E> {
    /// Whether nobody failed: the group was cancelled.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let outcome = run(task::group::<(), ()>(async |group| {
    ///     group.cancel();
    ///     std::future::pending().await
    /// }))?;
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_cancelled(&self) -> bool {
        self.errors.is_empty() && self.panics.is_empty()
    }

    /// All that happened, for a log: a line for the group, then one for each error and each panic, with the child
    /// that panicked.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let outcome: Result<(), _> = run(task::group(async |group| {
    ///     group.spawn::<()>(async {
    ///         task::cancelled().await;
    ///         panic!("the pot broke") // as it cleaned up
    ///     });
    ///     group.spawn(async { Err::<(), _>("no tea") });
    ///     std::future::pending().await
    /// }))?;
    /// let shown = outcome.unwrap_err().details().to_string();
    /// let lines: Vec<&str> = shown.lines().collect();
    /// assert_eq!(lines[..3], [
    ///     "unhandled errors in a TaskGroup (2 sub-exceptions)",
    ///     "  error: no tea",
    ///     "  panic: the pot broke",
    /// ]);
    /// assert!(lines[3].starts_with("    in Task-")); // .., finished, spawned at src/main.rs:12:11
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn details(&self) -> Details<'_, E> {
        Details { error: self }
    }
}

/// Shows a [`GroupError`] with everything in it: made by [`GroupError::details`].
///
/// ```
/// use loopbind::task::GroupError;
///
/// let error = GroupError { errors: vec!["no tea"], panics: Vec::new() };
/// let shown = error.details().to_string();
/// assert_eq!(shown, "unhandled errors in a TaskGroup (1 sub-exception)\n  error: no tea");
/// ```
pub struct Details<'a, E> {
    error: &'a GroupError<E>,
}

impl<E: fmt::Display> fmt::Display for Details<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GroupError { errors, panics } = self.error;
        match errors.len() + panics.len() {
            0 => return f.write_str("the TaskGroup was cancelled"),
            1 => write!(f, "{} (1 sub-exception)", self.error)?,
            count => write!(f, "{} ({count} sub-exceptions)", self.error)?,
        }
        for error in errors {
            write!(f, "\n  error: {error}")?;
        }
        for panic in panics {
            write!(f, "\n  panic: {}", panic.message().unwrap_or("(a payload that is not text)"))?;
            if let Some(origin) = panic.origin() {
                write!(f, "\n    in {origin}")?;
            }
        }
        Ok(())
    }
}

impl<E: fmt::Debug> fmt::Debug for Details<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Details").field(self.error).finish()
    }
}

/// What the `Task` of a group's child gives when the child failed: the error, or the panic, is the
/// group's.
///
/// ```
/// use loopbind::{run, spawn, task::{self, ChildFailed}};
///
/// let seen = run(async {
///     let mut watcher = None;
///     let outcome = task::group(async |group| {
///         let child = group.spawn(async { Err::<(), _>("no tea") });
///         watcher = Some(spawn(child));
///         std::future::pending::<Result<(), _>>().await
///     });
///     assert_eq!(outcome.await.unwrap_err().errors, ["no tea"]);
///     watcher.unwrap().await.unwrap().unwrap()
/// })?;
/// assert!(matches!(seen, Err(ChildFailed)));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[error("the task group's child failed")]
pub struct ChildFailed;
