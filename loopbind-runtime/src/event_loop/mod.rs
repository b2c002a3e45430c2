//! The public loop: asyncio's vocabulary over one engine.

mod abandoned;
mod blocking;
mod builder;
#[cfg(all(feature = "calloop", target_os = "linux"))]
pub mod calloop;
mod delivery;
mod embed;
pub(crate) mod entry;
mod group;
mod handle;
mod interrupt;
mod lookup;
mod readiness;
mod remote;
mod run;
mod runner;
mod seeds;
pub(crate) mod test_entry;
pub mod thread;
#[cfg(feature = "tokio")]
pub mod tokio;
mod watcher;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

pub use abandoned::{Abandoned, BlockingInfo};
pub(crate) use blocking::InFlight;
pub use blocking::{BlockingTask, spawn_blocking};
pub use builder::Builder;
pub use embed::{Drive, DriveWith};
pub use handle::{Handle, TimerHandle};
pub use lookup::{
    get_bound_loop, get_event_loop, get_running_loop, main_loop, new_event_loop, set_event_loop,
};
pub use remote::{LoopHandle, RemoteTask};
pub use run::Turn;
pub use runner::{Runner, run};

use crate::binding::{self, Bound};
pub use crate::engine::Host;
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
#[doc(alias(
    "AbstractEventLoop",
    "LocalSet",
    "BaseEventLoop",
    "SelectorEventLoop",
    "LocalRuntime",
    "LocalExecutor",
    "LocalPool"
))]
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
    ///
    /// ```
    /// use loopbind::{EventLoop, get_bound_loop};
    ///
    /// let event_loop = EventLoop::new()?;
    /// assert!(!event_loop.is_running());
    /// assert_eq!(get_bound_loop(), None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("new_current_thread", "new_event_loop"))]
    pub fn new() -> Result<Self, LoopError> {
        Builder::default().build()
    }

    /// A builder for a loop with other settings than the defaults.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::builder().name("ui").debug(true).build()?;
    /// assert_eq!(event_loop.name(), Some("ui"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
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
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let (first, second) = (EventLoop::new()?, EventLoop::new()?);
    /// assert_ne!(first.id(), second.id());
    /// assert_eq!(first.id(), first.handle().id());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn id(&self) -> LoopId {
        self.hold.home.id
    }

    /// The name its builder gave it.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// assert_eq!(EventLoop::builder().name("ui").build()?.name(), Some("ui"));
    /// assert_eq!(EventLoop::new()?.name(), None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn name(&self) -> Option<&str> {
        self.hold.home.name.as_deref()
    }

    /// A handle for other threads: it posts callbacks and starts tasks here.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.handle();
    /// std::thread::spawn(move || handle.stop()).join().unwrap();
    /// event_loop.run_forever()?; // ends: it was stopped
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn handle(&self) -> LoopHandle {
        LoopHandle::of(&self.hold.home)
    }

    /// Binds the loop to this thread until the guard drops, which restores what was bound before,
    /// also on unwinding.
    ///
    /// # Panics
    /// With [`LoopError::ThreadExiting`]'s text in a destructor of a thread-local that runs after
    /// the loop's own were torn down, and with [`LoopError::Forked`]'s in a forked child.
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
    #[doc(alias = "enter")]
    #[track_caller]
    pub fn bind(&self) -> Bound {
        match self.hold.home.check_fork().and_then(|()| binding::push(self.hold.clone())) {
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
    ///
    /// ```
    /// use loopbind::{EventLoop, LoopError};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(std::future::pending::<()>());
    /// event_loop.close()?;
    /// assert!(task.is_finished());
    /// assert!(matches!(event_loop.run_until_complete(async {}), Err(LoopError::Closed)));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn close(&self) -> Result<(), LoopError> {
        self.hold.close()
    }

    /// Whether a run, or a turn, of this loop is on.
    ///
    /// ```
    /// use loopbind::{EventLoop, get_running_loop};
    ///
    /// let event_loop = EventLoop::new()?;
    /// assert!(!event_loop.is_running());
    /// assert!(event_loop.run_until_complete(async { get_running_loop().unwrap().is_running() })?);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_running(&self) -> bool {
        self.hold.home.is_running()
    }

    /// Whether the loop was closed.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// assert!(!event_loop.is_closed());
    /// event_loop.close()?;
    /// assert!(event_loop.is_closed());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        self.hold.home.is_closed()
    }

    /// The loop's clock: monotonic, or virtual where the loop's is.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let before = event_loop.time();
    /// event_loop.run_until_complete(sleep(Duration::from_secs(60)))?;
    /// assert_eq!(event_loop.time() - before, Duration::from_secs(60));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn time(&self) -> Instant {
        self.hold.now()
    }

    /// Starts a task; its first step is behind everything that is ready. On a stopped loop it waits
    /// for the next run. TSK-01.
    ///
    /// # Panics
    /// With `Event loop is closed` where the loop is closed, and with [`LoopError::Forked`]'s text in a
    /// forked child, unless the thread is panicking.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async { 6 * 7 });
    /// assert_eq!(event_loop.run_until_complete(task)?.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("ensure_future", "spawn_local"))]
    #[track_caller]
    pub fn create_task<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.hold.home.spawn(future, Birth::here())
    }

    /// A builder for a task that is to have a name: `.name("..").spawn(future)`.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.task_builder().name("fetch").spawn(async {});
    /// assert_eq!(task.name().as_deref(), Some("fetch"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn task_builder(&self) -> TaskBuilder {
        TaskBuilder::new(self.hold.home.clone())
    }

    /// The loop's task that is being polled; `None` in plain callbacks. TSK-18.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let same_loop = event_loop.clone();
    /// let task = event_loop.create_task(async move { same_loop.current_task().unwrap().id });
    /// let id = task.id();
    /// assert_eq!(event_loop.run_until_complete(task)?.unwrap(), id);
    /// assert!(event_loop.current_task().is_none());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn current_task(&self) -> Option<TaskInfo> {
        Some(self.hold.home.current_task()?.info())
    }

    /// The tasks that are not finished, in order of creation; the future of `run_until_complete` is
    /// one of them while it runs. TSK-20.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let first = event_loop.create_task(std::future::pending::<()>());
    /// let second = event_loop.create_task(std::future::pending::<()>());
    /// let ids: Vec<_> = event_loop.all_tasks().iter().map(|task| task.id).collect();
    /// assert_eq!(ids, [first.id(), second.id()]);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("dump", "capture_call_graph"))]
    pub fn all_tasks(&self) -> Vec<TaskInfo> {
        self.hold.home.live_tasks().iter().map(|task| task.info()).collect()
    }

    /// Installs who hears of errors that nobody awaits; `None` restores the default, which writes to
    /// standard error. A handler that panics is survived. EXH-01.
    ///
    /// A handler that captures the loop itself keeps it alive until its thread ends: use the loop it
    /// is given.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let log = Rc::new(RefCell::new(String::new()));
    /// let errors = log.clone();
    /// event_loop.set_exception_handler(Some(Box::new(move |_, context| {
    ///     errors.borrow_mut().push_str(context.panic.as_ref().unwrap().message().unwrap());
    /// })));
    /// event_loop.call_soon(|| panic!("out of tea"));
    /// event_loop.run_until_complete(async {})?;
    /// assert_eq!(*log.borrow(), "out of tea");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
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
    ///
    /// ```
    /// use loopbind::{EventLoop, ExceptionContext};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let count = Rc::new(Cell::new(0));
    /// let errors = count.clone();
    /// event_loop.set_exception_handler(Some(Box::new(move |event_loop, context| {
    ///     errors.set(errors.get() + 1);
    ///     event_loop.default_exception_handler(context); // and on to standard error, as before
    /// })));
    /// event_loop.call_exception_handler(&ExceptionContext::new("out of tea"));
    /// assert_eq!(count.get(), 1);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn default_exception_handler(&self, context: &ExceptionContext) {
        self.hold.default_handler(context);
    }

    /// Hands `context` to the installed handler, or to the default one.
    ///
    /// ```
    /// use loopbind::{EventLoop, ExceptionContext};
    /// use std::{cell::RefCell, rc::Rc};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let seen = Rc::new(RefCell::new(String::new()));
    /// let message = seen.clone();
    /// event_loop.set_exception_handler(Some(Box::new(move |_, context| {
    ///     *message.borrow_mut() = context.to_string();
    /// })));
    /// event_loop.call_exception_handler(&ExceptionContext::new("out of tea"));
    /// assert_eq!(*seen.borrow(), "out of tea");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn call_exception_handler(&self, context: &ExceptionContext) {
        self.hold.call_handler(context);
    }

    /// Turns debug mode on or off: slow steps are reported, and time is counted. `LOOPBIND_DEBUG=1`
    /// turns it on from the start. DBG-01, DBG-02.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.set_debug(true);
    /// event_loop.call_soon(|| std::thread::sleep(Duration::from_millis(1)));
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert!(event_loop.metrics().busy >= Duration::from_millis(1));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn set_debug(&self, enabled: bool) {
        self.hold.home.local().debug.set(enabled);
    }

    /// Whether debug mode is on.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::builder().debug(false).build()?;
    /// assert!(!event_loop.get_debug());
    /// event_loop.set_debug(true);
    /// assert!(event_loop.get_debug());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn get_debug(&self) -> bool {
        self.hold.home.local().debug()
    }

    /// Sets how long one poll or callback may take before debug mode reports it to standard error;
    /// 100 ms from the start. DBG-03.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().debug(true).build()?;
    /// let limit = Duration::from_millis(1);
    /// event_loop.set_slow_callback_duration(limit);
    /// event_loop.call_soon(move || std::thread::sleep(limit)); // standard error names this line
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert!(event_loop.metrics().slowest_poll >= limit);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "slow_callback_duration")]
    pub fn set_slow_callback_duration(&self, limit: Duration) {
        self.hold.set_slow_limit(limit);
    }

    /// What the loop has done since it was made: counts of items, and times.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.create_task(std::future::pending::<()>());
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// let metrics = event_loop.metrics();
    /// assert_eq!((metrics.turns, metrics.polls, metrics.tasks_alive), (1, 1, 1));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "Instrument")]
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
