//! A loop's timers, and the clock they go by.
//!
//! Shared by the engine and by every sleeping future, which must be able to cancel its timer but
//! must not keep the loop alive.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use crate::clock::{Clock, Tick};
use crate::ids::TaskId;
use crate::panic::caught;
use crate::task::{ExceptionContext, LocalHome, TaskRef, task_of};
use crate::timers::{TimerKey, Timers};

/// What happens when a timer is due.
pub(crate) enum Due {
    Wake(Waker),
    Call(TaskRef),
    /// The task's grace is over.
    Abort(TaskRef),
}

pub(crate) struct Alarms {
    pub(crate) clock: Clock,
    timers: RefCell<Timers<Due>>,
    /// The earliest deadline: what every iteration asks for.
    next: Cell<Option<Tick>>,
    fired: Cell<u64>,
}

impl Alarms {
    pub(super) fn new(clock: Clock) -> Self {
        Alarms {
            clock,
            timers: RefCell::new(Timers::new()),
            next: Cell::new(None),
            fired: Cell::new(0),
        }
    }

    fn change<R>(&self, f: impl FnOnce(&mut Timers<Due>) -> R) -> R {
        let mut timers = self.timers.borrow_mut();
        let result = f(&mut timers);
        self.next.set(timers.next());
        result
    }

    pub(crate) fn set(&self, at: Tick, due: Due) -> TimerKey {
        self.change(|timers| timers.insert(at, due))
    }

    /// Takes a timer back, if it has not fired. What comes out is the user's: drop it, or not, with
    /// nothing borrowed.
    pub(crate) fn unset(&self, key: TimerKey) -> Option<Due> {
        self.change(|timers| timers.remove(key))
    }

    /// Whether the timer is waiting; if it is, `waker` is the one it wakes from now on.
    pub(crate) fn renew(&self, key: TimerKey, waker: &Waker) -> bool {
        let same = match self.timers.borrow_mut().get_mut(key) {
            None => return false,
            Some(Due::Wake(known)) => known.will_wake(waker),
            Some(Due::Call(_) | Due::Abort(_)) => true,
        };
        if !same {
            // Clone before the borrow, drop after it.
            let mut due = Due::Wake(waker.clone());
            if let Some(known) = self.timers.borrow_mut().get_mut(key) {
                std::mem::swap(known, &mut due);
            }
            drop(due);
        }
        true
    }

    /// A task for each waker of theirs that a timer keeps.
    pub(super) fn sleepers(&self, home: &LocalHome) -> Vec<TaskId> {
        let timers = self.timers.borrow();
        let wakers = timers.values().filter_map(|due| match due {
            Due::Wake(waker) => task_of(waker, home),
            Due::Call(_) | Due::Abort(_) => None,
        });
        wakers.collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.next.get().is_none()
    }

    #[inline]
    pub(crate) fn next(&self) -> Option<Tick> {
        self.next.get()
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired.get()
    }

    /// Whether a timer is due by the last reading of the clock.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.next().is_some_and(|at| at <= self.clock.last())
    }

    /// Puts what is due by the last reading at the end of the ready queue: by deadline, ties in
    /// order of creation. One made meanwhile, due already, waits for the next iteration.
    #[inline]
    pub(super) fn fire(&self, home: &LocalHome) {
        if self.is_due() {
            self.fire_due(home);
        }
    }

    #[inline(never)]
    fn fire_due(&self, home: &LocalHome) {
        let now = self.clock.last();
        let waiting = self.timers.borrow().len();
        for _ in 0..waiting {
            let due = self.change(|timers| timers.pop_due(now));
            match due {
                None => break,
                Some(Due::Call(callback)) => home.queue(callback),
                Some(Due::Abort(task)) => {
                    task.abort();
                }
                Some(Due::Wake(waker)) => {
                    if let Err(payload) = caught(move || waker.wake()) {
                        let context = ExceptionContext::panicked("exception in a waker", payload);
                        home.local().report(context);
                    }
                }
            }
            self.fired.set(self.fired.get() + 1);
        }
    }

    /// For closing: any timer that is left.
    pub(super) fn pop(&self) -> Option<Due> {
        self.change(Timers::pop)
    }
}
