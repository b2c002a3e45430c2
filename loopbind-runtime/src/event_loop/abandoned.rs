//! What the end of a loop did not wait for any longer.

use std::fmt;
use std::panic::Location;

use crate::task::{LocalHome, TaskInfo};

/// How many of a kind are named in a message.
const NAMED: usize = 20;

/// What was not over when a loop ended, and its time was: given back by
/// [`Runner::shutdown_timeout`](crate::Runner::shutdown_timeout), and reported to the exception handler by
/// the ends that give nothing back.
///
/// Its `Display` is a line for each.
///
/// ```
/// use loopbind::{EventLoop, Runner, sleep, spawn, task::cancelled, yield_now};
/// use std::time::Duration;
///
/// let runner = Runner::with(EventLoop::builder().virtual_time(true))?;
/// runner.run(async {
///     spawn(async { cancelled().await; sleep(Duration::from_secs(3600)).await });
///     yield_now().await;
/// })?;
/// let abandoned = runner.shutdown_timeout(Duration::from_secs(5))?;
/// assert!(!abandoned.is_empty());
/// assert!(abandoned.to_string().contains(", cancelling, spawned at "));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it names what was cut off"]
#[non_exhaustive]
pub struct Abandoned {
    /// Tasks that had not ended, in order of creation. They were dropped with the loop.
    pub tasks: Vec<TaskInfo>,
    /// Blocking work that was queued or running, in the order in which it was given. What runs goes on
    /// to its end on its own thread, and its outcome is dropped there.
    pub blocking: Vec<BlockingInfo>,
    /// Writes to the standard streams that nobody has read: a number.
    pub writes: usize,
}

impl Abandoned {
    pub(super) fn left_on(home: &LocalHome) -> Self {
        let blocking = home.jobs.all().into_iter();
        Abandoned {
            tasks: home.live_tasks().iter().map(|task| task.info()).collect(),
            blocking: blocking.map(|spawned_at| BlockingInfo { spawned_at }).collect(),
            writes: home.writes().0,
        }
    }

    /// Whether everything was over.
    ///
    /// ```
    /// use loopbind::Runner;
    /// use std::time::Duration;
    ///
    /// let runner = Runner::new()?;
    /// assert!(runner.shutdown_timeout(Duration::from_secs(1))?.is_empty());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.blocking.is_empty() && self.writes == 0
    }
}

impl fmt::Display for Abandoned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let mut lines = Vec::new();
        lines.extend(self.tasks.iter().take(NAMED).map(|task| format!("task: {task}")));
        lines.extend(more(self.tasks.len(), "tasks"));
        lines.extend(self.blocking.iter().take(NAMED).map(BlockingInfo::to_string));
        lines.extend(more(self.blocking.len(), "pieces of blocking work"));
        if self.writes > 0 {
            lines.push(format!("{} writes that nobody has read", self.writes));
        }
        f.write_str(&lines.join("\n"))
    }
}

fn more(count: usize, what: &str) -> Option<String> {
    (count > NAMED).then(|| format!("and {} more {what}", count - NAMED))
}

/// A piece of blocking work that was not over.
///
/// ```
/// use loopbind::{Runner, spawn_blocking};
/// use std::{sync::mpsc, time::Duration};
///
/// let runner = Runner::new()?;
/// let (release, gate) = mpsc::channel::<()>();
/// runner.run(async { drop(spawn_blocking(move || gate.recv())) })?;
/// let abandoned = runner.shutdown_timeout(Duration::from_millis(1))?;
/// assert!(abandoned.blocking[0].to_string().starts_with("blocking work, spawned at "));
/// drop(release);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingInfo {
    /// The line that gave it to the pool.
    pub spawned_at: &'static Location<'static>,
}

impl fmt::Display for BlockingInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blocking work, spawned at {}", self.spawned_at)
    }
}
