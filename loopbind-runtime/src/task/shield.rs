//! Awaiting a task without a hold on it.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::error::TaskError;
use super::join::Task;

/// Awaits `task` without tying its fate to the awaiter's: cancelling who awaits leaves the task
/// running. SHI-01.
///
/// # Cancel safety
/// Dropping it detaches the task.
///
/// ```
/// use loopbind::{run, spawn, task};
///
/// let value = run(async { task::shield(spawn(async { 7 })).await.unwrap() })?;
/// assert_eq!(value, 7);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn shield<T>(mut task: Task<T>) -> impl Future<Output = Result<T, TaskError>> {
    task.untie();
    Shield { task }
}

struct Shield<T> {
    task: Task<T>,
}

impl<T> Future for Shield<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.task.poll_outcome(cx)
    }
}
