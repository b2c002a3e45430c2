//! Tasks: futures the loop owns, from their birth to the handing over of their outcome.
//!
//! Reading order: `state` (the life of a task, in words), `header` and `raw` (its one allocation),
//! `life` (what happens to it), `remains` (what it leaves behind), `refs`, `custody` and `anchor` (who has it, and what keeps its home),
//! `waker`, `birth`, `home` (where tasks live), `summons` (how they are called when they sleep), `join` and `abort` (the handles), `cancelled` and `grace` (a
//! say in the end), `context` and `context_var` (what a task inherits).

mod abort;
mod abort_on_drop;
mod anchor;
mod birth;
mod builder;
mod cancelled;
mod cold;
mod context;
mod context_var;
mod custody;
mod error;
mod grace;
mod header;
mod home;
mod info;
mod join;
mod kept;
mod life;
mod memory;
mod raw;
mod refs;
mod remains;
mod shield;
mod span;
mod state;
mod summons;
mod tie;
mod waits;
mod waker;
mod yield_now;

pub use abort::AbortHandle;
pub use abort_on_drop::AbortOnDrop;
pub use builder::TaskBuilder;
pub use cancelled::cancelled;
pub use context::Context;
pub use context_var::{Carried, ContextVar};
pub use error::{ExceptionContext, TaskError};
pub use info::{TaskInfo, TaskState};
pub use join::{Join, Task};
pub use shield::shield;
pub use yield_now::yield_now;

pub(crate) use birth::{Birth, Root, SpareRoot, post_callback, post_task};
pub(crate) use context::{copy_current, within};
pub(crate) use header::{RemoteRef, TaskRef};
pub(crate) use home::{Entry, Home, Keeper, Local, LocalHome, Phase, Step, report_to_stderr};
pub(crate) use kept::KeptTask;
pub(crate) use span::SUBSCRIBER_FAILED;
pub(crate) use tie::Tie;
pub(crate) use waits::Waits;
pub(crate) use waker::{count_kept, is_spent, task_of};

/// The task that is being polled here: `None` in plain callbacks and outside of runs. TSK-18.
///
/// ```
/// use loopbind::{run, task};
///
/// assert!(task::current().is_none());
/// run(async { assert_eq!(task::current().unwrap().polls, 1) })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("current_task", "try_id"))]
pub fn current() -> Option<TaskInfo> {
    Some(LocalHome::running()?.current_task()?.info())
}

/// Starts a task on the running loop: its first step comes after the current one, behind
/// everything that is ready. TSK-01.
///
/// The future is moved into its task, and a build without optimisations copies it several times on the way, each time on
/// the stack. One that is large, some hundred KiB, is better given as `Box::pin(future)`.
///
/// # Panics
/// With `no running event loop` outside of a run.
///
/// ```
/// use loopbind::{run, spawn};
///
/// assert_eq!(run(async { spawn(async { 6 * 7 }).await.unwrap() })?, 42);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("create_task", "ensure_future", "spawn_local"))]
#[track_caller]
pub fn spawn<F>(future: F) -> Task<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let birth = Birth::here();
    match LocalHome::with_running(|home| home.spawn(future, birth)) {
        Some(task) => task,
        None => crate::LoopError::NoRunningLoop.raise(),
    }
}
