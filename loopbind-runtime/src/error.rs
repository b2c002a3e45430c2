//! What can go wrong with a loop, in asyncio's words.

use std::fmt::{self, Write as _};
use std::io;
use std::panic::Location;

use crate::ids::{LoopId, TaskId};

/// Why a loop could not be found, made, run or used.
///
/// The texts are asyncio's where asyncio has one, so that a search for the message finds help.
///
/// ```
/// use loopbind::{LoopError, get_event_loop};
///
/// let outcome = std::thread::Builder::new()
///     .name("Thread-385".into())
///     .spawn(|| get_event_loop().unwrap_err())
///     .unwrap()
///     .join()
///     .unwrap();
/// assert!(matches!(outcome, LoopError::NoCurrentLoop { .. }));
/// assert_eq!(outcome.to_string(), "There is no current event loop in thread 'Thread-385'.");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoopError {
    /// No loop runs on this thread, none is bound to it, and it is not the main thread with
    /// automatic creation on. Bind one: `#[loop_thread]`, `EventLoop::bind`, `set_event_loop`.
    #[error("There is no current event loop in thread {}.", Quoted(.thread))]
    NoCurrentLoop {
        /// The thread's name, read when the error was made; `<unnamed ThreadId(n)>` without one.
        thread: String,
    },
    /// Something that works only inside a run was used outside of one.
    #[error("no running event loop")]
    NoRunningLoop,
    /// The loop that was asked to run is the one that is running here already.
    #[error("This event loop is already running")]
    AlreadyRunning,
    /// Another loop runs on this thread. `await` instead, or run the loop on a thread of its own.
    #[error("Cannot run the event loop while another loop is running")]
    AnotherLoopRunning {
        /// The loop that is running.
        running: LoopId,
    },
    /// A loop cannot be closed from inside its own run: stop it first.
    #[error("Cannot close a running event loop")]
    CloseWhileRunning,
    /// The loop was closed: it takes no more work.
    #[error("Event loop is closed")]
    Closed,
    /// `stop` ended the run before its main future was done.
    #[error("Event loop stopped before Future completed.")]
    StoppedBeforeComplete,
    /// The main future waits, and nothing is left that could wake it: nothing is ready, no timer is
    /// set, nothing is awaited of the outside, and no other thread has a way to the loop. Said of loops
    /// with virtual time, by `run_until_complete`; any other would wait for ever.
    #[error("{}", Dead(.tasks))]
    Deadlock {
        /// The tasks that were not at their end, in order of creation.
        tasks: Vec<StuckTask>,
    },
    /// This process was forked from the one that made the loop. Make a new loop here.
    #[error("the event loop belongs to the process that forked this one")]
    Forked,
    /// The thread's own storage is being torn down, and its loops with it.
    #[error("this thread is exiting: its event loop is gone")]
    ThreadExiting,
    /// `time::advance` works on loops built with `Builder::virtual_time` only.
    #[error("the clock of this event loop is real: it cannot be advanced")]
    RealClock,
    /// A loop that was built as a guest of tokio's has its host for good: run it, and tokio runs with it.
    #[error(
        "this event loop is tokio's guest: run it, and tokio runs with it; nobody else can drive it"
    )]
    HasHost,
    /// A loop that brings a tokio runtime along was to run inside of another one. There, drive an ordinary
    /// loop: `EventLoop::drive_with(loopbind::tokio::Host::new())`.
    #[error(
        "Cannot run the event loop, and the tokio runtime it is a guest of, inside of another tokio runtime"
    )]
    InsideTokio,
    /// Virtual time and a host do not go together: tokio's timers and sockets go by the real clock.
    #[error(
        "an event loop with virtual time cannot be tokio's guest: tokio goes by the real clock"
    )]
    VirtualGuest,
    /// The operating system refused something the loop needs, such as a descriptor or a thread.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl LoopError {
    /// The error of a lookup in the calling thread.
    pub(crate) fn no_current_loop() -> Self {
        let Some(thread) = crate::sys::current_thread() else { return LoopError::ThreadExiting };
        let thread = match thread.name() {
            Some(name) => name.to_owned(),
            None => format!("<unnamed {:?}>", thread.id()),
        };
        LoopError::NoCurrentLoop { thread }
    }

    /// For methods without a `Result`: the text of the error as a panic at the caller's line.
    #[track_caller]
    #[cold]
    pub(crate) fn raise(self) -> ! {
        panic!("{self}")
    }
}

impl From<LoopError> for io::Error {
    fn from(error: LoopError) -> Self {
        match error {
            LoopError::Io(error) => error,
            other => io::Error::other(other),
        }
    }
}

/// A task that waited for ever, in a [`LoopError::Deadlock`].
///
/// ```
/// use loopbind::{EventLoop, LoopError};
/// use std::future::pending;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let stuck = event_loop.task_builder().name("stuck").spawn(pending::<()>());
/// let id = stuck.id();
/// match event_loop.run_until_complete(stuck) {
///     Err(LoopError::Deadlock { tasks }) => {
///         assert_eq!((tasks[0].id, tasks[0].name.as_deref()), (id, Some("stuck")));
///         assert!(tasks[1].is_main && tasks[1].awaits == [id]);
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), LoopError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StuckTask {
    /// Its number.
    pub id: TaskId,
    /// The name its builder gave it.
    pub name: Option<String>,
    /// The line that started it; of the main future, the line that ran it.
    pub spawned_at: &'static Location<'static>,
    /// Whether it is the main future.
    pub is_main: bool,
    /// The tasks it awaits, as far as that is known: where it awaits a `Task` by itself, and not
    /// through something that has a waker of its own, such as `join_all` of many.
    pub awaits: Vec<TaskId>,
}

impl fmt::Display for StuckTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "'{name}' (Task-{})", self.id.get())?,
            None => write!(f, "Task-{}", self.id.get())?,
        }
        let (what, made) =
            if self.is_main { (", the main future,", "run") } else { (",", "spawned") };
        write!(f, "{what} {made} at {}", self.spawned_at)?;
        for (position, task) in self.awaits.iter().enumerate() {
            let word = if position == 0 { ", awaits" } else { " and" };
            write!(f, "{word} Task-{}", task.get())?;
        }
        Ok(())
    }
}

/// The text of a deadlock.
struct Dead<'a>(&'a [StuckTask]);

impl fmt::Display for Dead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deadlock: nothing is left that could wake the tasks that wait:")?;
        self.0.iter().try_for_each(|task| write!(f, "\n  {task}"))
    }
}

/// A name as Python's `repr` shows it: in single quotes, unless only double ones need no escape.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.0.contains('\'') && !self.0.contains('"') { '"' } else { '\'' };
        f.write_char(quote)?;
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c == quote => write!(f, "\\{c}")?,
                c if c.is_control() && (c as u32) < 0x100 => write!(f, "\\x{:02x}", c as u32)?,
                c if c.is_control() => write!(f, "\\u{:04x}", c as u32)?,
                c => f.write_char(c)?,
            }
        }
        f.write_char(quote)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GEL-06: the name is rendered as `repr` renders it.
    #[test]
    fn names_are_quoted_as_python_does() {
        let shown = |name: &str| Quoted(name).to_string();
        assert_eq!(shown("Thread-385"), "'Thread-385'");
        assert_eq!(shown("it's"), "\"it's\"");
        assert_eq!(shown("it's \"so\""), r#"'it\'s "so"'"#);
        assert_eq!(shown("a\\b\n\t\u{7}"), r"'a\\b\n\t\x07'");
        assert_eq!(shown(""), "''");
        assert_eq!(shown("poller-é"), "'poller-é'");
    }

    #[test]
    fn an_os_error_keeps_its_kind_on_the_way_back_to_io() {
        let error = LoopError::from(io::Error::from(io::ErrorKind::AddrInUse));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrInUse);
        assert_eq!(io::Error::from(LoopError::Closed).to_string(), "Event loop is closed");
    }
}
