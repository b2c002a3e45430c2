//! Why a task has no value, and what nobody else could be told.

use std::any::Any;
use std::fmt;
use std::io;

use super::TaskInfo;
use crate::panic::{PanicPayload, caught};

/// Why waiting for a task gave no value.
///
/// ```
/// use loopbind::{TaskError, run, spawn};
///
/// let outcome = run(async { spawn(async { panic!("no more tea") }).await })?;
/// match outcome {
///     Err(TaskError::Panicked(payload)) => assert_eq!(payload.message(), Some("no more tea")),
///     Err(other) => panic!("{other}"),
///     Ok(never) => never,
/// }
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias(
    "JoinError",
    "CancelledError",
    "Cancelled",
    "InvalidStateError",
    "get_cancelled_exc_class"
))]
#[derive(Debug)]
#[non_exhaustive]
pub enum TaskError {
    /// It was asked to end, or its loop was closed while it was unfinished.
    Cancelled,
    /// It panicked; the payload is here and nowhere else.
    Panicked(PanicPayload),
    /// It was started on a loop that was closing: it never began.
    LoopClosed,
    /// A blocking wait on the thread that would have to do the work. `await` it instead.
    WouldDeadlock,
    /// A task waited for itself.
    SelfAwait,
    /// The task's loop is not the one that is being turned here, so that nothing would ever wake
    /// the waiter. Await it on its own loop, or hand the result over through a channel.
    ForeignLoop,
    /// The task, or the work, is the parent's of this forked process: nothing comes of it here.
    Forked,
    /// The system had no thread for blocking work, and no other was there to do it.
    NoThread(std::io::Error),
    /// It was started in a task group, or in a scope, that had ended: it never began. Start it while
    /// the group's body or one of its children still runs.
    GroupEnded,
}

impl TaskError {
    /// Whether the task was cancelled.
    ///
    /// ```
    /// use loopbind::{run, spawn};
    ///
    /// let error = run(async {
    ///     let task = spawn(std::future::pending::<()>());
    ///     task.cancel();
    ///     task.await.unwrap_err()
    /// })?;
    /// assert!(error.is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, TaskError::Cancelled)
    }

    /// The payload of a panicked task, as `std::panic::catch_unwind` gives it.
    ///
    /// # Errors
    /// Gives the error back where the task did not panic.
    ///
    /// ```
    /// use loopbind::{TaskError, run, spawn};
    ///
    /// let outcome = run(async { spawn(async { panic!("no more tea") }).await })?;
    /// let payload = outcome.map(|()| ()).unwrap_err().into_panic().unwrap();
    /// assert_eq!(payload.downcast_ref(), Some(&"no more tea"));
    /// assert!(TaskError::Cancelled.into_panic().unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "try_into_panic")]
    pub fn into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self {
            TaskError::Panicked(payload) => Ok(payload.into_inner()),
            other => Err(other),
        }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TaskError::Cancelled => f.write_str("the task was cancelled"),
            TaskError::Panicked(payload) => match payload.message() {
                Some(message) => write!(f, "the task panicked: {message}"),
                None => f.write_str("the task panicked"),
            },
            TaskError::LoopClosed => f.write_str("the task's event loop was closed before it began"),
            TaskError::WouldDeadlock => f.write_str(
                "waiting here would block the thread that has to do the work: await it instead",
            ),
            TaskError::SelfAwait => f.write_str("a task cannot await itself"),
            TaskError::ForeignLoop => f.write_str(
                "the task belongs to an event loop that is not running here: await it on its own loop",
            ),
            TaskError::NoThread(error) => {
                write!(f, "no thread could be started for blocking work: {error}")
            }
            TaskError::GroupEnded => {
                f.write_str("the task group has ended: it takes no more children")
            }
            TaskError::Forked => {
                f.write_str("the task belongs to the process that forked this one")
            }
        }
    }
}

impl std::error::Error for TaskError {}

/// An error that nobody awaits, as an exception handler sees it.
///
/// ```
/// use loopbind::{EventLoop, spawn, yield_now};
///
/// let event_loop = EventLoop::new()?;
/// event_loop.set_exception_handler(Some(Box::new(|_, context| {
///     assert_eq!(context.message, "Task exception was never retrieved");
///     assert_eq!(context.panic.as_ref().unwrap().message(), Some("no more tea"));
///     assert_eq!(context.task.as_ref().unwrap().polls, 1);
/// })));
/// event_loop.run_until_complete(async {
///     spawn(async { panic!("no more tea") });
///     yield_now().await;
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ExceptionContext {
    /// What happened, in a line.
    pub message: String,
    /// The panic, where there was one.
    pub panic: Option<PanicPayload>,
    /// The system's error, where it was one.
    pub error: Option<io::Error>,
    /// The task concerned.
    pub task: Option<TaskInfo>,
}

impl ExceptionContext {
    /// A context with a message alone.
    ///
    /// ```
    /// use loopbind::ExceptionContext;
    ///
    /// let context = ExceptionContext::new("connection lost");
    /// assert_eq!(context.to_string(), "connection lost");
    /// assert!(context.panic.is_none() && context.task.is_none());
    /// ```
    pub fn new(message: impl Into<String>) -> Self {
        ExceptionContext { message: message.into(), panic: None, error: None, task: None }
    }

    pub(crate) fn panicked(message: impl Into<String>, panic: PanicPayload) -> Self {
        ExceptionContext { panic: Some(panic), ..Self::new(message) }
    }

    pub(crate) fn failed(message: impl Into<String>, error: io::Error) -> Self {
        ExceptionContext { error: Some(error), ..Self::new(message) }
    }

    pub(crate) fn of(mut self, task: TaskInfo) -> Self {
        self.task = Some(task);
        self
    }
}

/// EXH-03: the message, then what else is known, a line each.
impl fmt::Display for ExceptionContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.message.as_str() {
            "" => f.write_str("Unhandled exception in event loop")?,
            message => f.write_str(message)?,
        }
        if let Some(panic) = &self.panic {
            match panic.message() {
                Some(message) => write!(f, "\npanic: {message}")?,
                None => f.write_str("\npanic: (a payload that is not text)")?,
            }
        }
        if let Some(error) = &self.error {
            // Its words may be the user's, and fail: what else there is to say is said.
            match caught(|| error.to_string()) {
                Ok(text) => write!(f, "\nerror: {text}")?,
                Err(_) => f.write_str("\nerror: (it panicked as it was shown)")?,
            }
        }
        if let Some(task) = &self.task {
            write!(f, "\ntask: {task}")?;
        }
        Ok(())
    }
}
