//! Looking for work for a moment before the loop lies down: `Builder::spin`.
//!
//! A sleeper has to be woken: by a system call of whoever wakes it, on a processor that may be asleep as well. That
//! takes longer than many an answer does. Who spins instead finds its post at once, and nobody rings for it, since its
//! inbox is not parked. But what a spin costs, it costs whether anything comes or not; and where the one who is waited
//! for wants this same processor, nothing can come. So each spin is judged by what came of it:
//!
//! * it paid, if work came from outside before its time was over;
//! * it was wasted if none did, or if that came while this thread was off its processor: who had it meanwhile has
//!   posted, and would have sooner, had nobody spun.
//!
//! After a waste the loop spins no more for a rest, many times as long as the waste was: twice as many each time, until
//! the waste is a thousandth part. Each spin that pays halves that, and the next sleep is tried again. So the loop spins
//! where more than every other spin pays, and elsewhere asks again now and then.

use std::cell::{Cell, OnceCell};
use std::hint;
use std::time::{Duration, Instant};

use crate::sys;

/// How many times as long as a waste its rest is, at most.
const LONGEST_REST: u32 = 1023;

/// Looks at the inbox between two readings of the clock, which costs as much as some of them.
const GLANCES: u32 = 16;

/// Who spins reads the clock many times in that time: it was off its processor.
const ABSENCE: Duration = Duration::from_micros(10);

/// What a spin found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Post,
    Readiness,
}

/// The spinning of one loop.
#[derive(Debug)]
pub(super) struct Spin {
    limit: Duration,
    /// Whether others can run meanwhile; asked at the first use, on the loop's thread.
    is_of_use: OnceCell<bool>,
    habit: Habit,
    spun: Cell<Duration>,
}

impl Spin {
    /// `None`: never.
    pub(super) fn new(limit: Duration) -> Option<Self> {
        let spin = Spin {
            limit,
            is_of_use: OnceCell::new(),
            habit: Habit::default(),
            spun: Cell::default(),
        };
        (!limit.is_zero()).then_some(spin)
    }

    /// Time that was spent so.
    pub(super) fn spun(&self) -> Duration {
        self.spun.get()
    }

    /// Whether to spin before the sleep that begins.
    pub(super) fn is_due(&self, began: Instant) -> bool {
        self.habit.is_rested(began) && *self.is_of_use.get_or_init(sys::runs_beside_others)
    }

    /// Spins from `began` on, for no longer than `most`, until there is a post, or `look` sees
    /// something. Says when it ended.
    pub(super) fn watch<E>(
        &self,
        began: Instant,
        most: Option<Duration>,
        has_mail: impl Fn() -> bool,
        look: impl Fn() -> Result<bool, E>,
    ) -> Result<(Found, Instant), E> {
        let limit = most.map_or(self.limit, |most| self.limit.min(most));
        let (mut last, mut now) = (began, began);
        let found = loop {
            if (0..GLANCES).any(|_| glance(&has_mail)) {
                break Found::Post;
            }
            if look()? {
                break Found::Readiness;
            }
            (last, now) = (now, Instant::now());
            if now.saturating_duration_since(began) >= limit {
                break Found::Nothing;
            }
        };
        if found != Found::Nothing {
            (last, now) = (now, Instant::now());
        }
        self.spun.set(self.spun.get() + now.saturating_duration_since(began));
        self.habit.learn(Spell { began, last, ended: now, found });
        Ok((found, now))
    }
}

/// One spin: what it found, and the readings of the clock around it. The `last` before the end tells whether the
/// thread was there when it was found.
struct Spell {
    began: Instant,
    last: Instant,
    ended: Instant,
    found: Found,
}

impl Spell {
    fn paid(&self) -> bool {
        self.found != Found::Nothing && self.ended.saturating_duration_since(self.last) < ABSENCE
    }
}

/// When to spin, as learned from what came of it.
#[derive(Debug, Default)]
struct Habit {
    /// How many times as long as the last waste its rest was.
    rest: Cell<u32>,
    until: Cell<Option<Instant>>,
}

impl Habit {
    fn is_rested(&self, now: Instant) -> bool {
        self.until.get().is_none_or(|until| now >= until)
    }

    fn learn(&self, spell: Spell) {
        let rest = self.rest.get();
        if spell.paid() {
            // It was rested, and is.
            self.rest.set(rest / 2);
            return;
        }
        let rest = (2 * rest + 1).min(LONGEST_REST);
        let waste = spell.ended.saturating_duration_since(spell.began);
        self.rest.set(rest);
        self.until.set(spell.ended.checked_add(waste.saturating_mul(rest)));
    }
}

fn glance(has_mail: impl Fn() -> bool) -> bool {
    hint::spin_loop();
    has_mail()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(count: u64) -> Duration {
        Duration::from_micros(count)
    }

    /// A habit, and a time that goes on as it is told.
    struct Story {
        habit: Habit,
        now: Instant,
        began: Instant,
        wasted: Duration,
        tried: u32,
    }

    impl Story {
        fn new() -> Self {
            let now = Instant::now();
            Story { habit: Habit::default(), now, began: now, wasted: Duration::ZERO, tried: 0 }
        }

        /// Before a sleep: a spin of this length, if it is time for one. Says whether it was.
        fn spins(&mut self, length: Duration, found: Found, absent: Duration) -> bool {
            if !self.habit.is_rested(self.now) {
                return false;
            }
            let (began, ended) = (self.now, self.now + length);
            let spell = Spell { began, last: ended - absent, ended, found };
            if !spell.paid() {
                self.wasted += length;
            }
            self.habit.learn(spell);
            self.now = ended;
            self.tried += 1;
            true
        }

        fn pays(&mut self) -> bool {
            self.spins(us(1), Found::Post, Duration::ZERO)
        }

        fn wastes(&mut self) -> bool {
            self.spins(us(50), Found::Nothing, Duration::ZERO)
        }

        /// How much of the time was wasted, in thousandths.
        fn share(&self) -> u128 {
            self.wasted.as_nanos() * 1000 / (self.now - self.began).as_nanos()
        }
    }

    #[test]
    fn what_pays_is_done_each_time() {
        let mut story = Story::new();
        assert!((0..1000).all(|_| story.pays()));
        assert!(story.spins(us(49), Found::Readiness, Duration::ZERO), "what came in time");
        assert!(story.pays());
    }

    /// Each waste has a rest, about twice as many times as long as the one before, up to a thousand.
    #[test]
    fn what_is_wasted_is_followed_by_a_longer_rest_each_time() {
        let mut story = Story::new();
        for times in [1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1023] {
            assert!(story.wastes());
            story.now += us(50) * times - us(1);
            assert!(!story.wastes(), "{times} times as long, and not over");
            story.now += us(1);
        }
        assert!(story.wastes());
    }

    #[test]
    fn a_longer_waste_has_a_longer_rest() {
        let mut story = Story::new();
        assert!(story.spins(us(3000), Found::Nothing, Duration::ZERO));
        story.now += us(2999);
        assert!(!story.pays());
        story.now += us(1);
        assert!(story.pays());
    }

    /// Half of it is enough: what pays again is done again, and what does not is not.
    #[test]
    fn each_that_pays_halves_the_rest_and_is_followed_at_once() {
        let mut story = Story::new();
        for _ in 0..6 {
            story.wastes();
            story.now += us(50 * 64);
        }
        // The next waste would have a rest of 127 times.
        assert!(story.pays() && story.pays() && story.wastes());
        story.now += us(50 * 31) - us(1);
        assert!(!story.pays());
        story.now += us(1);
        assert!((0..6).all(|_| story.pays()) && story.wastes());
        story.now += us(50);
        assert!(story.pays(), "as in the beginning");
    }

    /// Who had this processor meanwhile has posted.
    #[test]
    fn what_came_while_the_thread_was_away_was_no_merit_of_the_spins() {
        let mut story = Story::new();
        assert!(story.spins(us(500), Found::Post, ABSENCE));
        assert!(!story.pays(), "a rest");
        story.now += us(500);
        assert!(story.spins(us(500), Found::Readiness, ABSENCE - us(1)));
        assert!(story.pays(), "an interrupt takes a moment too");
    }

    /// Two loops on one processor: nothing ever comes while one spins, and a trip takes 6 us without.
    #[test]
    fn on_a_shared_core_it_is_off_in_no_time() {
        let mut story = Story::new();
        for _ in 0..20_000 {
            story.wastes();
            story.now += us(3);
        }
        assert!(story.share() < 20, "{} thousandths", story.share());
        for _ in 0..200_000 {
            story.wastes();
            story.now += us(3);
        }
        assert!(story.share() < 3, "{} thousandths", story.share());
    }

    /// The system takes the processor away only after some milliseconds.
    #[test]
    fn on_a_shared_core_a_large_limit_is_no_disaster() {
        let mut story = Story::new();
        for _ in 0..2_000_000 {
            story.spins(us(3000), Found::Post, us(2900));
            story.now += us(3);
        }
        assert!(story.share() < 10, "{} thousandths", story.share());
    }

    /// Answers that come at once, but for one in a hundred, which comes late.
    #[test]
    fn a_waste_now_and_then_changes_nothing() {
        let mut story = Story::new();
        for trip in 0..10_000 {
            if trip % 100 == 0 {
                story.wastes()
            } else {
                story.pays()
            };
            story.now += us(75);
        }
        assert!(story.tried > 9_900, "{}", story.tried);
    }

    #[test]
    fn what_pays_one_time_in_four_is_hardly_done() {
        let mut story = Story::new();
        for trip in 0..100_000 {
            if trip % 4 == 0 {
                story.pays()
            } else {
                story.wastes()
            };
            story.now += us(75);
        }
        assert!(story.share() < 10, "{} thousandths", story.share());
    }

    /// It was off for long; then the other side has moved to a processor of its own.
    #[test]
    fn tried_again_once_it_pays_it_is_on_within_a_moment() {
        let mut story = Story::new();
        while story.habit.rest.get() < LONGEST_REST {
            story.wastes();
            story.now += us(3);
        }
        let moved = story.now;
        while story.habit.rest.get() > 0 {
            if !story.pays() {
                story.now += us(75);
            }
        }
        assert!(story.now - moved < us(60_000), "{:?}", story.now - moved);
    }

    type Looked = Result<bool, &'static str>;

    fn watch(
        spin: &Spin,
        most: Option<Duration>,
        has_mail: impl Fn() -> bool,
        look: impl Fn() -> Looked,
    ) -> Result<(Found, Duration), &'static str> {
        let began = Instant::now();
        let before = spin.spun();
        let (found, ended) = spin.watch(began, most, has_mail, look)?;
        assert_eq!(spin.spun() - before, ended - began);
        Ok((found, ended - began))
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_post_ends_it_and_so_does_what_a_look_sees() {
        let spin = Spin::new(HOUR).unwrap();
        let glances = Cell::new(0);
        let on_the_hundredth = || {
            glances.set(glances.get() + 1);
            glances.get() == 100
        };
        let (found, _) = watch(&spin, None, on_the_hundredth, || Ok(false)).unwrap();
        assert_eq!((found, glances.get()), (Found::Post, 100));
        let looks = Cell::new(0);
        let on_the_third = || {
            looks.set(looks.get() + 1);
            Ok(looks.get() == 3)
        };
        let (found, _) = watch(&spin, None, || false, on_the_third).unwrap();
        assert_eq!((found, looks.get()), (Found::Readiness, 3));
        assert_eq!(watch(&spin, None, || false, || Err("broken")), Err("broken"));
    }

    #[test]
    fn nothing_ends_it_when_its_time_is_over_or_that_of_the_sleep_is() {
        let spin = Spin::new(us(300)).unwrap();
        let (found, took) = watch(&spin, None, || false, || Ok(false)).unwrap();
        assert!(found == Found::Nothing && took >= us(300));
        let spin = Spin::new(HOUR).unwrap();
        for most in [Duration::ZERO, us(300)] {
            let (found, took) = watch(&spin, Some(most), || false, || Ok(false)).unwrap();
            assert!(found == Found::Nothing && took >= most);
        }
    }

    #[test]
    fn no_time_is_no_spin() {
        assert!(Spin::new(Duration::ZERO).is_none());
    }
}
