//! The public loop: asyncio's vocabulary over one engine.

mod blocking;
mod builder;
mod embed;
pub(crate) mod entry;
mod group;
mod handle;
mod lookup;
mod readiness;
mod remote;
mod run;
mod runner;
pub(crate) mod test_entry;
pub mod thread;
mod watcher;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

pub use blocking::{BlockingTask, spawn_blocking};
pub use builder::Builder;
pub use embed::{Drive, DriveWith, Host};
pub use handle::{Handle, TimerHandle};
pub use lookup::{
    get_bound_loop, get_event_loop, get_running_loop, main_loop, new_event_loop, set_event_loop,
};
pub use remote::{LoopHandle, RemoteTask};
pub use run::Turn;
pub use runner::{Runner, run};

use crate::binding::{self, Bound};
use crate::engine::{Hold, Metrics};
use crate::error::LoopError;
use crate::ids::LoopId;
use crate::task::{Birth, ExceptionContext, Task, TaskBuilder, TaskInfo};

/// An event loop, on the thread that made it.
///
/// A handle: clones name the same loop, and equality is identity. It cannot leave its thread, and
/// nothing that hangs on it can; [`LoopHandle`] is what other threads get.
///
/// Dropping the last `EventLoop` closes the loop. A loop that its own tasks hold lives until its
/// thread ends.
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// event_loop.call_soon(|| println!("hello"));
/// let answer = event_loop.run_until_complete(async { 42 })?;
/// assert_eq!(answer, 42);
/// event_loop.close()?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone)]
pub struct EventLoop {
    hold: Hold,
}

impl EventLoop {
    /// A loop with the defaults, bound to nothing.
    ///
    /// # Errors
    /// [`LoopError::Io`] where the system refuses a descriptor; [`LoopError::ThreadExiting`] in a
    /// destructor of a thread-local that runs after the loop's own were torn down.
    pub fn new() -> Result<Self, LoopError> {
        Builder::default().build()
    }

    /// A loop to be described first.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn of(hold: Hold) -> Self {
        EventLoop { hold }
    }

    pub(crate) fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Its number, unique in the process.
    pub fn id(&self) -> LoopId {
        self.hold.home.id
    }

    /// The name its builder gave it.
    pub fn name(&self) -> Option<&str> {
        self.hold.home.name.as_deref()
    }

    /// What other threads may have of it.
    pub fn handle(&self) -> LoopHandle {
        LoopHandle::of(&self.hold.home)
    }

    /// Binds the loop to this thread until the guard drops, which restores what was bound before,
    /// also on unwinding.
    ///
    /// # Panics
    /// With [`LoopError::ThreadExiting`]'s text in a destructor of a thread-local that runs after
    /// the loop's own were torn down.
    ///
    /// ```
    /// use loopbind::{EventLoop, get_bound_loop};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let before = get_bound_loop();
    /// {
    ///     let _bound = event_loop.bind();
    ///     assert_eq!(get_bound_loop().as_ref(), Some(&event_loop));
    /// }
    /// assert_eq!(get_bound_loop(), before);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn bind(&self) -> Bound {
        match binding::push(self.hold.clone()) {
            Ok(bound) => bound,
            Err(error) => error.raise(),
        }
    }

    /// Ends the loop: queued callbacks and timers are dropped unrun, then every unfinished task, in
    /// order of creation, on this thread; descriptors are given back. Idempotent. What other threads
    /// wait for settles; blocking work that runs is not waited for. RUN-27.
    ///
    /// # Errors
    /// [`LoopError::CloseWhileRunning`] from inside its own run, and nothing changes;
    /// [`LoopError::Forked`] in a forked child.
    pub fn close(&self) -> Result<(), LoopError> {
        self.hold.close()
    }

    /// Whether a run is on.
    pub fn is_running(&self) -> bool {
        self.hold.home.is_running()
    }

    /// Whether the loop was closed.
    pub fn is_closed(&self) -> bool {
        self.hold.home.is_closed()
    }

    /// The loop's clock: monotonic, or virtual where the loop's is.
    pub fn time(&self) -> Instant {
        self.hold.now()
    }

    /// Starts a task; its first step is behind everything that is ready. On a stopped loop it waits
    /// for the next run. TSK-01.
    ///
    /// # Panics
    /// With `Event loop is closed` where the loop is closed, unless the thread is panicking.
    #[track_caller]
    pub fn create_task<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.hold.home.spawn(future, Birth::here())
    }

    /// A task to be named first: `.name("..").spawn(future)`.
    pub fn task_builder(&self) -> TaskBuilder {
        TaskBuilder::new(self.hold.home.clone())
    }

    /// The loop's task that is being polled; `None` in plain callbacks. TSK-18.
    pub fn current_task(&self) -> Option<TaskInfo> {
        Some(self.hold.home.current_task()?.info())
    }

    /// The tasks that are not finished, in order of creation; the future of `run_until_complete` is
    /// one of them while it runs. TSK-20.
    pub fn all_tasks(&self) -> Vec<TaskInfo> {
        self.hold.home.live_tasks().iter().map(|task| task.info()).collect()
    }

    /// Installs who hears of errors that nobody awaits; `None` restores the default, which writes to
    /// standard error. A handler that panics is survived. EXH-01.
    ///
    /// A handler that captures the loop itself keeps it alive until its thread ends: use the loop it
    /// is given.
    #[allow(clippy::type_complexity)] // Two words of a type: an alias would have to be looked up.
    pub fn set_exception_handler(
        &self,
        handler: Option<Box<dyn Fn(&EventLoop, &ExceptionContext)>>,
    ) {
        let handler = handler.map(|handler| -> crate::engine::Handler {
            std::rc::Rc::new(move |engine, context| {
                // A handler runs on an engine that somebody holds; see `Hold`.
                if let Some(hold) = engine.hold() {
                    handler(&EventLoop::of(hold), context);
                }
            })
        });
        drop(self.hold.replace_handler(handler));
    }

    /// What the default handler does: writes to standard error.
    pub fn default_exception_handler(&self, context: &ExceptionContext) {
        self.hold.default_handler(context);
    }

    /// Hands `context` to the installed handler, or to the default one.
    pub fn call_exception_handler(&self, context: &ExceptionContext) {
        self.hold.call_handler(context);
    }

    /// Turns debug mode on or off: slow steps are reported, and time is counted. `LOOPBIND_DEBUG=1`
    /// turns it on from the start. DBG-01, DBG-02.
    pub fn set_debug(&self, enabled: bool) {
        self.hold.home.local().debug.set(enabled);
    }

    /// Whether debug mode is on.
    pub fn get_debug(&self) -> bool {
        self.hold.home.local().debug()
    }

    /// How long a step may take before debug mode reports it; 100 ms from the start. DBG-03.
    pub fn set_slow_callback_duration(&self, limit: Duration) {
        self.hold.set_slow_limit(limit);
    }

    /// What the loop has done since it was made.
    pub fn metrics(&self) -> Metrics {
        self.hold.metrics()
    }
}

impl PartialEq for EventLoop {
    fn eq(&self, other: &Self) -> bool {
        self.hold.is_same(&other.hold)
    }
}

impl Eq for EventLoop {}

impl Hash for EventLoop {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop")
            .field("id", &self.id().get())
            .field("name", &self.name())
            .field("running", &self.is_running())
            .field("closed", &self.is_closed())
            .field("debug", &self.get_debug())
            .finish()
    }
}
