//! One deadline of one future, on the loop that polls it.

use std::rc::Rc;
use std::task::Context;
use std::time::{Duration, Instant};

use crate::clock::{self, Tick};
use crate::engine::{Alarms, Due, Engine};
use crate::error::LoopError;
use crate::timers::TimerKey;

/// A deadline, and the timer that stands for it once it was waited for.
pub(super) struct Alarm {
    when: When,
    timer: Option<(Rc<Alarms>, TimerKey)>,
}

#[derive(Clone, Copy)]
enum When {
    /// Made outside of runs: counts from the first poll.
    After(Duration),
    At(Instant),
}

impl Alarm {
    /// Inside a run it counts from now.
    pub(super) fn after(delay: Duration) -> Self {
        let when = Engine::with_running(|engine| {
            let clock = &engine.alarms.clock;
            When::At(clock.instant(clock::after(clock.read(), delay)))
        });
        Alarm { when: when.unwrap_or(When::After(delay)), timer: None }
    }

    pub(super) fn at(deadline: Instant) -> Self {
        Alarm { when: When::At(deadline), timer: None }
    }

    /// What is known of the deadline: outside of runs an unpolled delay counts from this call.
    pub(super) fn deadline(&self) -> Instant {
        match self.when {
            When::At(deadline) => deadline,
            When::After(delay) => {
                let now = super::now();
                now.checked_add(delay).unwrap_or_else(|| now + Duration::from_secs(1 << 33))
            }
        }
    }

    /// Whether the deadline has come, by the loop's last look; if not, `cx` is woken when it has.
    ///
    /// # Panics
    /// With `no running event loop` where none runs: nothing would ever wake who waits.
    #[track_caller]
    pub(super) fn is_due(&mut self, cx: &mut Context<'_>) -> bool {
        match Engine::with_running(|engine| self.is_due_on(engine, cx)) {
            Some(due) => due,
            None => LoopError::NoRunningLoop.raise(),
        }
    }

    fn is_due_on(&mut self, engine: &Engine, cx: &mut Context<'_>) -> bool {
        let alarms = &engine.alarms;
        if let Some((known, key)) = &self.timer {
            // On another loop now, the timer moves with the future.
            if Rc::ptr_eq(known, alarms) && alarms.renew(*key, cx.waker()) {
                return false;
            }
        }
        self.disarm();
        let at = self.resolve(alarms);
        if at <= alarms.clock.last() {
            return true;
        }
        let key = alarms.set(at, Due::Wake(cx.waker().clone()));
        self.timer = Some((Rc::clone(alarms), key));
        false
    }

    fn resolve(&mut self, alarms: &Alarms) -> Tick {
        let clock = &alarms.clock;
        match self.when {
            When::At(deadline) => clock.tick(deadline),
            When::After(delay) => {
                let at = clock::after(clock.read(), delay);
                self.when = When::At(clock.instant(at));
                at
            }
        }
    }

    /// Moves the deadline; who was waiting goes on waiting, for the new one.
    pub(super) fn reset(&mut self, deadline: Instant) {
        self.when = When::At(deadline);
        if let Some((alarms, key)) = self.timer.take() {
            if let Some(due) = alarms.unset(key) {
                let key = alarms.set(alarms.clock.tick(deadline), due);
                self.timer = Some((alarms, key));
            }
        }
    }

    pub(super) fn is_armed(&self) -> bool {
        self.timer.is_some()
    }

    pub(super) fn disarm(&mut self) {
        if let Some((alarms, key)) = self.timer.take() {
            // Dropped with nothing borrowed: a waker is user code.
            drop(alarms.unset(key));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.disarm();
    }
}
