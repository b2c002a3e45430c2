//! Describing a task before it is started.

use std::fmt;

use super::birth::Birth;
use super::context::Context;
use super::home::LocalHome;
use super::join::Task;

/// A task about to be started: made by
/// [`EventLoop::task_builder`](crate::EventLoop::task_builder).
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// let task = event_loop.task_builder().name("answer").spawn(async { 42 });
/// assert_eq!(event_loop.run_until_complete(task)?.unwrap(), 42);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "a builder starts nothing until `spawn`"]
pub struct TaskBuilder {
    home: LocalHome,
    name: Option<String>,
    context: Option<Context>,
}

impl TaskBuilder {
    pub(crate) fn new(home: LocalHome) -> Self {
        TaskBuilder { home, name: None, context: None }
    }

    /// Names the task; the empty string is a name too.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.task_builder().name("fetch").spawn(async {});
    /// assert!(task.info().to_string().starts_with("'fetch' (Task-"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "set_name")]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Has the task run in `context` itself, and not in a copy of the one that is current as it is
    /// started: what the task sets, whoever has the context sees. CTX-04.
    ///
    /// ```
    /// use loopbind::{EventLoop, task::{Context, ContextVar}};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let event_loop = EventLoop::new()?;
    /// let context = Context::new();
    /// context.run(|| USER.set("ada"));
    /// let builder = event_loop.task_builder().context(&context);
    /// let task = builder.spawn(async { USER.set("grace") });
    /// assert_eq!(event_loop.run_until_complete(task)?.unwrap(), Some("ada"));
    /// assert_eq!(context.run(|| USER.get()), Some("grace"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "get_context")]
    pub fn context(mut self, context: &Context) -> Self {
        self.context = Some(context.clone());
        self
    }

    /// Starts the task: its first step is behind everything that is ready.
    ///
    /// # Panics
    /// As [`EventLoop::create_task`](crate::EventLoop::create_task).
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.task_builder().spawn(async { 42 });
    /// assert!(!task.is_finished()); // started, not yet run
    /// assert_eq!(event_loop.run_until_complete(task)?.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let task = self.home.spawn(future, Birth { name: self.name, ..Birth::here() });
        if let Some(context) = self.context {
            task.adopt(context);
        }
        task
    }
}

impl fmt::Debug for TaskBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
