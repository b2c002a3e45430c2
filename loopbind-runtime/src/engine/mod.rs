//! One loop: what it owns. `turn` is where to read on: one iteration, in four steps.

mod alarms;
mod close;
mod dead_end;
mod exploration;
mod guest;
mod host;
mod main_future;
mod report;
mod running;
mod settings;
#[cfg(feature = "hyper")]
mod slate;
mod spin;
mod turn;

use std::cell::{Cell, OnceCell, RefCell};
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(crate) use alarms::{Alarms, Due};
use exploration::Exploration;
#[cfg(any(test, feature = "tokio"))]
pub(crate) use host::Guest;
pub use host::Host;
pub(crate) use host::{Lodging, LodgingMaker};
use report::Witness;
pub(crate) use report::{Handler, Leftover};
pub(crate) use running::{Exit, Reason, check_none_runs};
pub(crate) use settings::Settings;
pub use settings::UnhandledPanic;
#[cfg(feature = "hyper")]
pub(crate) use slate::{SLATE, Slate};
use spin::Spin;
pub(crate) use turn::Patience;

use crate::attention::Matter;
use crate::clock::{Clock, ClockKind};
use crate::current;
use crate::error::LoopError;
use crate::ids::LoopId;
use crate::reactor::Reactor;
use crate::sys::{self, Bell, Driver, Lent};
use crate::task::{self, ExceptionContext, Home, Keeper, LocalHome};

pub(crate) struct Engine {
    pub(crate) home: LocalHome,
    pub(crate) alarms: Rc<Alarms>,
    pub(crate) reactor: Rc<Reactor>,
    /// The reactor's descriptor, once a host has it: it lives as long as the engine from then on.
    lent: OnceCell<Lent>,
    /// The bell of a closed loop whose descriptor was lent.
    kept_bell: RefCell<Option<Bell>>,
    /// Zero with a virtual clock, which is looked at each time: what depends on it must not depend on
    /// how much work happens to be ready.
    event_interval: isize,
    /// Entries that may run before the next look.
    until_look: Cell<isize>,
    /// How it looks for work before it sleeps, if it does.
    spin: Option<Spin>,
    /// Who finds another order for what is ready, if somebody does.
    exploration: Option<Exploration>,
    /// Batches run as they come: nobody arranges them, and nobody's host has a part in it.
    is_plain: bool,
    unhandled: UnhandledPanic,
    /// Panics that nobody received, on their way out of a run (`UnhandledPanic::Resume`), with what else is
    /// known of each: it may come to be told after all.
    thrown: RefCell<Vec<ExceptionContext>>,
    handler: RefCell<Option<Handler>>,
    slow_limit: Cell<Duration>,
    pub(crate) shutdown_limit: Duration,
    /// The end of `run` is cancelling what is left.
    shutting_down: Cell<bool>,
    /// The entry of the last main future.
    spare_root: Cell<Option<task::SpareRoot<main_future::Signpost>>>,
    meters: Meters,
    /// Runs end at this instant of real time, whatever the loop's clock says: tests have time-outs.
    watchdog: Cell<Option<Instant>>,
    /// Who writes down what a test must not miss.
    witness: RefCell<Option<Witness>>,
    /// Who keeps a list of the thread's loops, to be told when this one is gone.
    registrar: Cell<Option<fn(LoopId)>>,
    /// Where it lives, if it is a guest.
    lodging: Option<Box<dyn Lodging>>,
    /// What small reads are written to first.
    #[cfg(feature = "hyper")]
    pub(crate) slate: Slate,
    me: Weak<Engine>,
}

#[derive(Default)]
struct Meters {
    turns: Cell<u64>,
    parked: Cell<Duration>,
    /// Of a guest that its host is to wake.
    asleep_since: Cell<Option<Instant>>,
}

/// What a loop has done since it was made.
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// event_loop.call_soon(|| {});
/// event_loop.run_until_complete(async {})?;
/// let metrics = event_loop.metrics();
/// assert_eq!((metrics.callbacks, metrics.polls), (1, 1));
/// assert_eq!(metrics.tasks_alive, 0);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "RuntimeMetrics")]
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Metrics {
    /// Iterations.
    pub turns: u64,
    /// Polls of tasks, main futures included.
    pub polls: u64,
    /// Callbacks that ran, timers' included.
    pub callbacks: u64,
    /// Wakes, callbacks and tasks that came from outside of the loop's run.
    pub remote_wakes: u64,
    /// Timers that fired.
    pub timers_fired: u64,
    /// Readiness events.
    pub io_events: u64,
    /// Tasks that are not finished.
    pub tasks_alive: usize,
    /// Tasks ever started, main futures included.
    pub tasks_spawned: u64,
    /// Time spent in polls and callbacks. Zero unless debug: no clock is read otherwise.
    pub busy: Duration,
    /// Time spent asleep, waiting for something to do. What a loop's own host (`Builder::tokio`) does
    /// meanwhile is counted in; a loop that is turned by somebody else's sleeps there, uncounted.
    pub parked: Duration,
    /// Time spent awake, looking for something to do, before going to sleep: see
    /// [`Builder::spin`](crate::Builder::spin).
    pub spun: Duration,
    /// The longest poll or callback. Zero unless debug.
    pub slowest_poll: Duration,
}

impl Engine {
    /// Creating is cheap, and all that can fail fails here: nothing is left behind then.
    pub(crate) fn make(settings: Settings) -> Result<Hold, LoopError> {
        let owner = sys::current_thread().ok_or(LoopError::ThreadExiting)?.id();
        sys::watch_forks();
        if settings.virtual_time && settings.lodging.is_some() {
            return Err(LoopError::VirtualGuest);
        }
        let (driver, bell) = Driver::new()?;
        let kind = if settings.virtual_time { ClockKind::Virtual } else { ClockKind::Real };
        let event_interval = match kind {
            ClockKind::Real => isize::try_from(settings.event_interval).unwrap_or(isize::MAX),
            ClockKind::Virtual => {
                // The one that may be found dead.
                task::count_kept();
                0
            }
        };
        // Time that stands still while somebody looks would look for ever.
        let spin = Spin::new(settings.spin).filter(|_| kind == ClockKind::Real);
        let home = LocalHome::new(settings.name, owner, kind, bell);
        home.local().debug.set(settings.debug.unwrap_or_else(settings::debug_by_environment));
        let reactor = Rc::new(Reactor::new(home.clone(), driver));
        let lodging = settings.lodging.as_ref().map(LodgingMaker::make).transpose()?;
        let alarms = Alarms::new(Clock::new(kind));
        if lodging.is_some() {
            alarms.tell_by(&home);
        }
        let engine = Rc::new_cyclic(|me| Engine {
            home,
            alarms: Rc::new(alarms),
            reactor,
            lent: OnceCell::new(),
            kept_bell: RefCell::new(None),
            event_interval,
            until_look: Cell::new(0),
            spin,
            exploration: settings.shuffle.map(Exploration::new),
            is_plain: settings.shuffle.is_none() && lodging.is_none(),
            unhandled: settings.unhandled,
            thrown: RefCell::new(Vec::new()),
            handler: RefCell::new(None),
            slow_limit: Cell::new(settings.slow_callback_duration),
            shutdown_limit: settings.shutdown_limit,
            shutting_down: Cell::new(false),
            spare_root: Cell::new(None),
            meters: Meters::default(),
            watchdog: Cell::new(None),
            witness: RefCell::new(None),
            registrar: Cell::new(None),
            lodging,
            #[cfg(feature = "hyper")]
            slate: Slate::default(),
            me: Weak::clone(me),
        });
        let keeper: NonNull<dyn Keeper> = NonNull::from(&*engine);
        // SAFETY: the engine takes itself out as it is dropped.
        unsafe { engine.home.set_keeper(Some(keeper)) };
        Ok(Hold { engine })
    }

    /// Calls `f` with the running engine, if one runs on this thread.
    #[inline]
    pub(crate) fn with_running<R>(f: impl FnOnce(&Engine) -> R) -> Option<R> {
        let home = current::running().cast::<Home>();
        if home.is_null() {
            return None;
        }
        // SAFETY: whoever made it the running one holds the engine, and so the home, until it no
        // longer is; that cannot be while `f` runs, since runs end in the reverse order of calls.
        // A home's keeper is its engine: nothing else is ever set.
        let engine = unsafe { (*home).local().keeper()?.cast::<Engine>().as_ref() };
        Some(f(engine))
    }

    /// The running loop, if one runs on this thread.
    #[inline]
    pub(crate) fn running() -> Option<Hold> {
        Self::with_running(|engine| engine.hold())?
    }

    pub(crate) fn hold(&self) -> Option<Hold> {
        Some(Hold { engine: self.me.upgrade()? })
    }

    /// A way to the engine that does not keep it; `registrar` is told when it is gone.
    pub(crate) fn enroll(&self, registrar: fn(LoopId)) -> Weak<Engine> {
        self.registrar.set(Some(registrar));
        Weak::clone(&self.me)
    }

    /// Which iteration this is.
    pub(crate) fn iteration(&self) -> u64 {
        self.meters.turns.get()
    }

    pub(crate) fn now(&self) -> Instant {
        self.alarms.clock.instant(self.alarms.clock.read())
    }

    /// Lends the descriptor that is readable when the loop has something to see to, and has whoever
    /// sleeps on it woken from now on.
    pub(crate) fn lend(&self) -> Result<BorrowedFd<'_>, LoopError> {
        let fd = match self.lent.get() {
            Some(fd) => fd,
            None => {
                let fd = self.reactor.lend().ok_or(LoopError::Closed)?;
                self.lent.get_or_init(|| fd)
            }
        };
        let local = self.home.local();
        self.alarms.tell_by(&self.home);
        if !local.hosted.replace(true) && !current::is_running(Arc::as_ptr(&self.home)) {
            self.home.park();
        }
        Ok(fd.as_fd())
    }

    /// Whether it is a guest from its making to its end.
    pub(crate) fn has_host(&self) -> bool {
        self.lodging.is_some()
    }

    pub(crate) fn watch(&self, until: Option<Instant>) {
        self.watchdog.set(until);
        let attention = &self.home.local().attention;
        match until {
            Some(_) => attention.call_for(Matter::Watchdog),
            None => attention.settle(Matter::Watchdog),
        }
    }

    /// Whether the watchdog's instant has passed.
    pub(crate) fn is_overdue(&self) -> bool {
        self.watchdog.get().is_some_and(|at| Instant::now() >= at)
    }

    pub(crate) fn set_slow_limit(&self, limit: Duration) {
        self.slow_limit.set(limit);
    }

    /// Callbacks that ran and steps of tasks so far. The end of a task that was asked to end is a
    /// step; an entry that was taken back is none.
    pub(crate) fn steps(&self) -> usize {
        let counts = &self.home.local().counts;
        (counts.polls.get() + counts.callbacks.get() + counts.dropped.get()) as usize
    }

    pub(crate) fn metrics(&self) -> Metrics {
        let counts = &self.home.local().counts;
        Metrics {
            turns: self.meters.turns.get(),
            polls: counts.polls.get(),
            callbacks: counts.callbacks.get(),
            remote_wakes: counts.remote_wakes.get(),
            timers_fired: self.alarms.fired(),
            io_events: self.reactor.events(),
            tasks_alive: counts.alive(),
            tasks_spawned: counts.spawned.get(),
            busy: counts.busy.get(),
            parked: self.meters.parked.get(),
            spun: self.spin.as_ref().map(Spin::spun).unwrap_or_default(),
            slowest_poll: counts.slowest.get(),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: nobody is named any more.
        unsafe { self.home.set_keeper(None) };
        self.home.lift_anchors();
        if let Some(registrar) = self.registrar.take() {
            registrar(self.home.id);
        }
    }
}

/// A share in an engine. The last one to go closes it, while it is still whole: what the loop's
/// tasks call in their destructors finds a loop, and not the ruins of one.
#[derive(Clone)]
pub(crate) struct Hold {
    engine: Rc<Engine>,
}

impl Hold {
    pub(crate) fn revive(engine: &Weak<Engine>) -> Option<Self> {
        Some(Hold { engine: engine.upgrade()? })
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.engine, &other.engine)
    }
}

impl Deref for Hold {
    type Target = Rc<Engine>;

    fn deref(&self) -> &Rc<Engine> {
        &self.engine
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if Rc::strong_count(&self.engine) == 1 {
            self.engine.close_for_good();
        }
    }
}
