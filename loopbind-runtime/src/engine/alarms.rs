//! A loop's timers, and the clock they go by.
//!
//! Shared by the engine and by every sleeping future, which must be able to cancel its timer but
//! must not keep the loop alive.

use std::cell::{Cell, OnceCell, RefCell};
use std::task::Waker;

use crate::clock::{Clock, NEVER, Tick};
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

/// How long timers that are many and close together are waited for together: see
/// [`wake_at`](Alarms::wake_at).
const TOGETHER: Tick = 400_000;

/// How many make a crowd.
const CROWD: usize = 8;

pub(crate) struct Alarms {
    pub(crate) clock: Clock,
    timers: RefCell<Timers<Due>>,
    /// No deadline is earlier: what every iteration asks for. [`NEVER`] where there is none that comes.
    bound: Cell<Tick>,
    fired: Cell<u64>,
    /// When a timer fired last.
    last_fired: Cell<Tick>,
    /// Of a loop that is a guest, or was lent: who sleeps for it has deadlines to hear of.
    hosted: OnceCell<LocalHome>,
}

impl Alarms {
    pub(super) fn new(clock: Clock) -> Self {
        Alarms {
            clock,
            timers: RefCell::new(Timers::new()),
            bound: Cell::new(NEVER),
            fired: Cell::new(0),
            last_fired: Cell::new(-NEVER),
            hosted: OnceCell::new(),
        }
    }

    /// From here on a host may sleep for the loop whose home this is.
    pub(super) fn tell_by(&self, home: &LocalHome) {
        self.hosted.get_or_init(|| home.clone());
    }

    #[inline(always)]
    fn change<R>(&self, f: impl FnOnce(&mut Timers<Due>) -> R) -> R {
        let mut timers = self.timers.borrow_mut();
        let result = f(&mut timers);
        self.bound.set(timers.bound());
        result
    }

    /// Sets a timer that wakes.
    #[inline(never)]
    pub(crate) fn set_waker(&self, at: Tick, waker: &Waker) -> TimerKey {
        // Cloned with nothing borrowed: a waker is user code.
        let waker = waker.clone();
        self.set(at, Due::Wake(waker))
    }

    #[inline(always)]
    pub(crate) fn set(&self, at: Tick, due: Due) -> TimerKey {
        let key = self.change(|timers| timers.insert(at, due));
        self.tell_host(at);
        key
    }

    /// Takes a timer back, if it has not fired. What comes out is the user's: drop it, or not, with
    /// nothing borrowed.
    #[inline]
    pub(crate) fn unset(&self, key: TimerKey) -> Option<Due> {
        self.change(|timers| timers.remove(key))
    }

    /// Moves a timer that has not fired, as if it were set anew, and gives its new name.
    #[inline]
    pub(crate) fn reset(&self, key: TimerKey, at: Tick) -> Option<TimerKey> {
        let key = self.change(|timers| timers.reset(key, at));
        self.tell_host(at);
        key
    }

    #[inline]
    fn tell_host(&self, at: Tick) {
        if let Some(home) = self.hosted.get() {
            self.tell_sleeper(home, at);
        }
    }

    /// Who sleeps until the earliest deadline has to hear of one that is earlier, and of no other.
    #[cold]
    #[inline(never)]
    fn tell_sleeper(&self, home: &LocalHome, at: Tick) {
        if !home.is_quiet() && self.next() == Some(at) {
            home.take_in();
        }
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

    /// Whether none is set that ever comes.
    pub(crate) fn is_empty(&self) -> bool {
        self.bound.get() == NEVER
    }

    /// The earliest deadline, if one ever comes.
    pub(crate) fn next(&self) -> Option<Tick> {
        if self.is_empty() {
            return None;
        }
        let next = self.change(Timers::next);
        (next != NEVER).then_some(next)
    }

    /// Until when a loop with a real clock sleeps for its timers: to the earliest deadline, and where they
    /// are many, a little longer. Of eight that are due within 0.4 ms of the last firing, none is worth
    /// a wake of its own: they fire together when that time is over. One that is alone is never kept
    /// waiting, and neither is the first of many.
    pub(super) fn wake_at(&self) -> Option<Tick> {
        let next = self.next()?;
        let together = self.last_fired.get().saturating_add(TOGETHER);
        if next < together && self.timers.borrow().crowd(together) >= CROWD {
            return Some(together);
        }
        Some(next)
    }

    pub(super) fn fired(&self) -> u64 {
        self.fired.get()
    }

    /// Whether a timer is due by the last reading of the clock.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.bound.get() <= self.clock.last() && self.is_one_due()
    }

    /// Whether one that may be due is.
    #[inline(never)]
    fn is_one_due(&self) -> bool {
        self.next().is_some_and(|next| next <= self.clock.last())
    }

    /// Puts what is due by the last reading at the end of the ready queue: by deadline, ties in
    /// order of setting. One made meanwhile, due already, waits for the next iteration.
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
            self.last_fired.set(now);
        }
    }

    /// For closing: any timer that is left.
    pub(super) fn pop(&self) -> Option<Due> {
        self.change(Timers::pop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockKind;

    /// Alarms of which one fired at zero, and that many wait `apart` from each other, from one tick on.
    fn waiting(many: Tick, apart: Tick) -> Alarms {
        let alarms = Alarms::new(Clock::new(ClockKind::Virtual));
        alarms.last_fired.set(0);
        for i in 0..many {
            alarms.set(1 + i * apart, Due::Wake(Waker::noop().clone()));
        }
        alarms
    }

    /// Who is alone is waited for to the tick, however short the wait: a task that sleeps for 0.1 ms at a time,
    /// and any number of them that is no crowd.
    #[test]
    fn few_are_waited_for_to_the_tick_whatever_fired_before() {
        for many in 1..CROWD as Tick {
            assert_eq!(waiting(many, 1).wake_at(), Some(1), "{many}");
        }
        assert_eq!(waiting(0, 1).wake_at(), None);
    }

    /// The first of many is, too: nothing fired a moment ago. The rest of them are not.
    #[test]
    fn a_crowd_waits_together_behind_a_firing_and_not_before() {
        let alarms = waiting(1_000, 10_000);
        assert_eq!(alarms.wake_at(), Some(TOGETHER));
        alarms.last_fired.set(-TOGETHER);
        assert_eq!(alarms.wake_at(), Some(1));
        alarms.last_fired.set(-TOGETHER + 2);
        assert_eq!(alarms.wake_at(), Some(1), "only one by then");
        assert_eq!(Alarms::new(Clock::new(ClockKind::Real)).wake_at(), None);
    }

    /// Eight, and not in all of an hour.
    #[test]
    fn timers_far_apart_are_no_crowd() {
        let near = TOGETHER / CROWD as Tick;
        assert_eq!(waiting(1_000, near - 1).wake_at(), Some(TOGETHER));
        assert_eq!(waiting(1_000, near + near / 4).wake_at(), Some(1));
    }

    /// What was moved away is in nobody's crowd.
    #[test]
    fn who_was_moved_on_counts_no_more() {
        let alarms = waiting(3, 1);
        let keys: Vec<_> =
            (0..40).map(|i| alarms.set(10 + i, Due::Wake(Waker::noop().clone()))).collect();
        assert_eq!(alarms.wake_at(), Some(TOGETHER));
        for key in keys {
            alarms.reset(key, 10 * TOGETHER).unwrap();
        }
        assert_eq!((alarms.wake_at(), alarms.next()), (Some(1), Some(1)));
    }

    /// Deadlines that never come are none.
    #[test]
    fn never_is_no_deadline_and_no_reason_to_look() {
        let alarms = waiting(0, 1);
        alarms.set(NEVER, Due::Wake(Waker::noop().clone()));
        assert!(alarms.is_empty() && !alarms.is_due());
        assert_eq!((alarms.next(), alarms.wake_at()), (None, None));
        let key = alarms.set(5, Due::Wake(Waker::noop().clone()));
        assert_eq!(alarms.next(), Some(5));
        alarms.reset(key, NEVER).unwrap();
        assert_eq!((alarms.next(), alarms.wake_at()), (None, None));
    }
}
