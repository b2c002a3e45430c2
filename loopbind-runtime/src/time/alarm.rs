//! One deadline of one future, on the loop that polls it.

use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::clock::{NEVER, Tick};
use crate::engine::{Alarms, Engine};
use crate::error::LoopError;
use crate::timers::TimerKey;

/// A deadline, and the timer that stands for it once it was waited for.
pub(super) enum Alarm {
    /// Made outside of runs: counts from the first poll.
    After(Duration),
    /// Not waited for yet.
    At(Instant),
    On(Set),
}

/// A deadline on a loop's clock. Kept as the number that the timer goes by: an instant is made of it for
/// those who ask.
pub(super) struct Set {
    alarms: Rc<Alarms>,
    at: Tick,
    timer: Option<TimerKey>,
}

impl Alarm {
    /// Inside a run it counts from now.
    #[inline]
    pub(super) fn after(delay: Duration) -> Self {
        let alarms = Engine::with_running(|engine| Rc::clone(&engine.alarms));
        match alarms {
            Some(alarms) => Alarm::On(Set { at: alarms.clock.after(delay), alarms, timer: None }),
            None => Alarm::After(delay),
        }
    }

    pub(super) fn at(deadline: Instant) -> Self {
        Alarm::At(deadline)
    }

    /// What is known of the deadline: outside of runs an unpolled delay counts from this call.
    pub(super) fn deadline(&self) -> Instant {
        match self {
            Alarm::On(set) => set.deadline(),
            Alarm::At(deadline) => *deadline,
            Alarm::After(delay) => {
                let now = super::now();
                now.checked_add(*delay).unwrap_or_else(|| now + Duration::from_secs(1 << 33))
            }
        }
    }

    /// Whether the deadline has come, by the loop's last look; if not, `cx` is woken when it has.
    ///
    /// # Panics
    /// With `no running event loop` where none runs: nothing would ever wake who waits.
    #[track_caller]
    #[inline]
    pub(super) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        match Engine::with_running(|engine| self.is_due_on(&engine.alarms, cx)) {
            Some(due) => due,
            None => LoopError::NoRunningLoop.raise(),
        }
    }

    #[inline]
    fn is_due_on(&mut self, alarms: &Rc<Alarms>, cx: &mut Context<'_>) -> bool {
        match self {
            Alarm::On(set) if Rc::ptr_eq(&set.alarms, alarms) => set.is_due(cx),
            _ => self.is_due_from_here_on(alarms, cx),
        }
    }

    /// Polled on this loop for the first time. A timer that another one has moves with the future.
    fn is_due_from_here_on(&mut self, alarms: &Rc<Alarms>, cx: &mut Context<'_>) -> bool {
        let mut set = match self {
            Alarm::After(delay) => Set::after(*delay, alarms),
            Alarm::At(deadline) => Set::at(*deadline, alarms),
            // Clocks end at different instants: what is behind the end of one is behind that of any.
            Alarm::On(Set { at: NEVER, .. }) => Set::after(Duration::MAX, alarms),
            Alarm::On(set) => Set::at(set.deadline(), alarms),
        };
        let is_due = set.is_due(cx);
        *self = Alarm::On(set);
        is_due
    }

    /// Moves the deadline; who was waiting goes on waiting, for the new one.
    #[inline]
    pub(super) fn reset(&mut self, deadline: Instant) {
        match self {
            Alarm::On(set) => set.reset(deadline),
            Alarm::After(_) | Alarm::At(_) => *self = Alarm::At(deadline),
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        matches!(self, Alarm::On(Set { timer: Some(_), .. }))
    }

    pub(super) fn disarm(&mut self) {
        if let Alarm::On(set) = self {
            set.disarm();
        }
    }
}

impl Set {
    fn after(delay: Duration, alarms: &Rc<Alarms>) -> Self {
        let at = alarms.clock.after(delay);
        Set { alarms: Rc::clone(alarms), at, timer: None }
    }

    fn at(deadline: Instant, alarms: &Rc<Alarms>) -> Self {
        Set { alarms: Rc::clone(alarms), at: alarms.clock.tick(deadline), timer: None }
    }

    fn deadline(&self) -> Instant {
        self.alarms.clock.instant(self.at)
    }

    #[inline]
    fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        if let Some(key) = self.timer {
            if self.alarms.renew(key, cx.waker()) {
                return false;
            }
            self.timer = None;
        }
        if self.at <= self.alarms.clock.last() {
            return true;
        }
        self.timer = Some(self.alarms.set_waker(self.at, cx.waker()));
        false
    }

    #[inline]
    fn reset(&mut self, deadline: Instant) {
        self.at = self.alarms.clock.tick(deadline);
        self.timer = self.timer.and_then(|key| self.alarms.reset(key, self.at));
    }

    #[inline]
    fn disarm(&mut self) {
        if let Some(key) = self.timer.take() {
            // Dropped with nothing borrowed: a waker is user code.
            drop(self.alarms.unset(key));
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        self.disarm();
    }
}
