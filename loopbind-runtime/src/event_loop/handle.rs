//! Callbacks: now, later, at.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::EventLoop;
use crate::clock::Tick;
use crate::engine::{Alarms, Due};
use crate::task::TaskRef;
use crate::timers::TimerKey;

/// A callback that was scheduled by `call_soon`. Dropping it changes nothing. CB-14.
///
/// ```
/// use loopbind::EventLoop;
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// let event_loop = EventLoop::new()?;
/// let called = Rc::new(Cell::new(false));
/// let flag = called.clone();
/// drop(event_loop.call_soon(move || flag.set(true)));
/// event_loop.turn(Some(Duration::ZERO))?;
/// assert!(called.get());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
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
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::{rc::Rc, time::Duration};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let captured = Rc::new(());
    /// let theirs = captured.clone();
    /// let handle = event_loop.call_soon(move || drop(theirs));
    /// handle.cancel();
    /// assert_eq!(Rc::strong_count(&captured), 1); // gone at once
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert_eq!(event_loop.metrics().callbacks, 0); // and never called
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) {
        self.cancelled.set(true);
        self.callback.retract();
    }

    /// Whether `cancel` was called.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let handle = event_loop.call_soon(|| {});
    /// assert!(!handle.is_cancelled());
    /// handle.cancel();
    /// assert!(handle.is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "cancelled")]
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
///
/// ```
/// use loopbind::{EventLoop, sleep};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// drop(event_loop.call_later(Duration::from_secs(1), || {}));
/// event_loop.run_until_complete(sleep(Duration::from_secs(2)))?;
/// assert_eq!(event_loop.metrics().callbacks, 1);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct TimerHandle {
    handle: Handle,
    alarms: Rc<Alarms>,
    key: Cell<Option<TimerKey>>,
    when: Instant,
}

impl TimerHandle {
    /// Takes the callback back, and drops it with what it captured, now: nothing of the timer is
    /// left. Idempotent. CB-13, CB-15.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let timer = event_loop.call_later(Duration::from_secs(60), || {});
    /// assert_eq!(event_loop.next_deadline(), Some(timer.when()));
    /// timer.cancel();
    /// assert_eq!(event_loop.next_deadline(), None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) {
        let timer = self.key.take().and_then(|key| self.alarms.unset(key));
        self.handle.cancel();
        drop(timer);
    }

    /// Whether `cancel` was called.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let timer = event_loop.call_later(Duration::from_secs(60), || {});
    /// assert!(!timer.is_cancelled());
    /// timer.cancel();
    /// assert!(timer.is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "cancelled")]
    pub fn is_cancelled(&self) -> bool {
        self.handle.is_cancelled()
    }

    /// The deadline, on the loop's clock; a `call_later` has it fixed when it is made. CB-08.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let timer = event_loop.call_later(Duration::from_secs(60), || {});
    /// assert_eq!(timer.when(), event_loop.time() + Duration::from_secs(60));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
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
    /// With `Event loop is closed` where the loop is closed, and with
    /// [`LoopError::Forked`](crate::LoopError::Forked)'s text in a forked child, unless the thread is
    /// panicking.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let trace = Rc::new(RefCell::new(Vec::new()));
    /// for word in ["first", "second"] {
    ///     let trace = trace.clone();
    ///     event_loop.call_soon(move || trace.borrow_mut().push(word));
    /// }
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert_eq!(*trace.borrow(), ["first", "second"]);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
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
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let (before, stopper) = (event_loop.time(), event_loop.handle());
    /// event_loop.call_later(Duration::from_secs(60), move || stopper.stop());
    /// event_loop.run_forever()?;
    /// assert_eq!(event_loop.time() - before, Duration::from_secs(60));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn call_later(&self, delay: Duration, callback: impl FnOnce() + 'static) -> TimerHandle {
        let clock = &self.hold().alarms.clock;
        let at = clock.after(delay);
        let when = clock.instant(at);
        self.call_at_tick(at, when, callback)
    }

    /// Has `callback` called at `when` on the loop's clock; a past instant is due at once, in order
    /// of deadlines, ties in order of setting. CB-05, CB-06.
    ///
    /// # Panics
    /// As [`call_soon`](EventLoop::call_soon).
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let (now, trace) = (event_loop.time(), Rc::new(RefCell::new(Vec::new())));
    /// for second in [2, 1] {
    ///     let trace = trace.clone();
    ///     event_loop.call_at(now + Duration::from_secs(second), move || trace.borrow_mut().push(second));
    /// }
    /// event_loop.run_until_complete(loopbind::sleep(Duration::from_secs(3)))?;
    /// assert_eq!(*trace.borrow(), [1, 2]);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
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
        TimerHandle { handle: Handle::new(callback), alarms, key: Cell::new(key), when }
    }
}
