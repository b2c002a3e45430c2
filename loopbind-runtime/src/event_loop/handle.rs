//! Callbacks: now, later, at.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::EventLoop;
use crate::clock::{self, Tick};
use crate::engine::{Alarms, Due};
use crate::task::TaskRef;
use crate::timers::TimerKey;

/// A callback that was scheduled by `call_soon`. Dropping it changes nothing. CB-14.
pub struct Handle {
    callback: TaskRef,
    cancelled: Cell<bool>,
}

impl Handle {
    fn new(callback: TaskRef) -> Self {
        // One that a closing loop took is over already.
        let cancelled = Cell::new(callback.is_done());
        Handle { callback, cancelled }
    }

    /// Takes the callback back, and drops it with what it captured, now. Idempotent; after the
    /// callback ran it changes nothing but what `is_cancelled` says. CB-12, CB-13.
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.callback.retract();
    }

    /// Whether `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("created_at", &format_args!("{}", self.callback.info().spawned_at))
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

/// A callback that was scheduled by `call_later` or `call_at`. Dropping it changes nothing.
pub struct TimerHandle {
    handle: Handle,
    alarms: Rc<Alarms>,
    key: Cell<Option<TimerKey>>,
    when: Instant,
}

impl TimerHandle {
    /// Takes the callback back, and drops it with what it captured, now: nothing of the timer is
    /// left. Idempotent. CB-13, CB-15.
    pub fn cancel(&self) {
        let timer = self.key.take().and_then(|key| self.alarms.unset(key));
        self.handle.cancel();
        drop(timer);
    }

    /// Whether `cancel` was called.
    pub fn is_cancelled(&self) -> bool {
        self.handle.is_cancelled()
    }

    /// The deadline, on the loop's clock. CB-08.
    pub fn when(&self) -> Instant {
        self.when
    }
}

impl fmt::Debug for TimerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerHandle")
            .field("when", &self.when)
            .field("created_at", &format_args!("{}", self.handle.callback.info().spawned_at))
            .field("cancelled", &self.is_cancelled())
            .finish()
    }
}

impl EventLoop {
    /// Has `callback` called by the loop, once, behind everything that is ready. CB-01.
    ///
    /// # Panics
    /// With `Event loop is closed` where the loop is closed, unless the thread is panicking.
    #[track_caller]
    pub fn call_soon(&self, callback: impl FnOnce() + 'static) -> Handle {
        let home = &self.hold().home;
        let callback = home.callback(callback);
        home.queue(callback.clone());
        Handle::new(callback)
    }

    /// Has `callback` called once `delay` is over; never early. A delay of any size is fine: what
    /// does not fit the clock never comes. CB-05, CB-10.
    ///
    /// # Panics
    /// As [`call_soon`](EventLoop::call_soon).
    #[track_caller]
    pub fn call_later(&self, delay: Duration, callback: impl FnOnce() + 'static) -> TimerHandle {
        let clock = &self.hold().alarms.clock;
        let at = clock::after(clock.read(), delay);
        let when = clock.instant(at);
        self.call_at_tick(at, when, callback)
    }

    /// Has `callback` called at `when` on the loop's clock; a past instant is due at once, in order
    /// of deadlines, ties in order of creation. CB-05, CB-06.
    ///
    /// # Panics
    /// As [`call_soon`](EventLoop::call_soon).
    #[track_caller]
    pub fn call_at(&self, when: Instant, callback: impl FnOnce() + 'static) -> TimerHandle {
        let clock = &self.hold().alarms.clock;
        clock.read();
        self.call_at_tick(clock.tick(when), when, callback)
    }

    #[track_caller]
    fn call_at_tick(
        &self,
        at: Tick,
        when: Instant,
        callback: impl FnOnce() + 'static,
    ) -> TimerHandle {
        let engine = self.hold();
        let callback = engine.home.callback(callback);
        let alarms = Rc::clone(&engine.alarms);
        let key = (!callback.is_done()).then(|| alarms.set(at, Due::Call(callback.clone())));
        // A host that sleeps for this loop has a new deadline to hear of.
        engine.home.take_in();
        TimerHandle { handle: Handle::new(callback), alarms, key: Cell::new(key), when }
    }
}
