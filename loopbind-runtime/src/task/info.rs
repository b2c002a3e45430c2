//! What can be said of a task from outside.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use crate::ids::{LoopId, TaskId};
use crate::trace::Facts;

/// A task as it stood when it was asked for.
///
/// ```
/// use loopbind::{EventLoop, TaskState};
///
/// let event_loop = EventLoop::new()?;
/// let task = event_loop.task_builder().name("fetch").spawn(async {});
/// let info = task.info();
/// assert_eq!((info.name.as_deref(), info.state, info.polls), (Some("fetch"), TaskState::Ready, 0));
/// assert!(info.to_string().starts_with("'fetch' (Task-"));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its number, unique in the process.
    pub id: TaskId,
    /// The name its builder gave it.
    pub name: Option<String>,
    /// The task that started it; `None` for the main future and for what was started outside of
    /// tasks.
    pub parent: Option<TaskId>,
    /// The line that started it.
    pub spawned_at: &'static Location<'static>,
    /// What it was doing.
    pub state: TaskState,
    /// How often it was polled.
    pub polls: u64,
    /// Time spent in its polls. Zero unless the loop is in debug mode: no clock is read otherwise.
    pub busy: Duration,
}

impl TaskInfo {
    /// The same for a subscriber.
    pub(crate) fn facts(&self, event_loop: LoopId) -> Facts<'_> {
        Facts {
            event_loop,
            id: self.id,
            name: self.name.as_deref(),
            parent: self.parent,
            place: self.spawned_at,
        }
    }
}

/// What a task is doing.
///
/// ```
/// use loopbind::{EventLoop, TaskState};
/// use std::{future::pending, time::Duration};
///
/// let event_loop = EventLoop::new()?;
/// let task = event_loop.create_task(pending::<()>());
/// assert_eq!(task.info().state, TaskState::Ready);
/// event_loop.turn(Some(Duration::ZERO))?;
/// assert_eq!(task.info().state, TaskState::Waiting);
/// task.cancel();
/// assert_eq!(task.info().state, TaskState::Cancelling);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskState {
    /// In the ready queue.
    Ready,
    /// Being polled.
    Running,
    /// Waiting for a wake-up.
    Waiting,
    /// Asked to end, and not there yet.
    Cancelling,
    /// Over.
    Finished,
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "'{name}' ({})", self.id)?,
            None => write!(f, "{}", self.id)?,
        }
        write!(f, ", {}, spawned at {}", self.state, self.spawned_at)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TaskState::Ready => "ready",
            TaskState::Running => "running",
            TaskState::Waiting => "waiting",
            TaskState::Cancelling => "cancelling",
            TaskState::Finished => "finished",
        })
    }
}
