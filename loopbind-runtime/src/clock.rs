//! A loop's clock: the monotonic one, or one that stands still until it is moved.

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Nanoseconds since the loop's epoch, negative before it; saturates after 292 years.
pub(crate) type Tick = i64;

/// A deadline that never comes.
pub(crate) const NEVER: Tick = i64::MAX;

/// As far as a clock is moved by a span of that much or more: 146 years from the epoch, and as much again
/// is left behind it for what is set then.
const FAR: Tick = NEVER / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClockKind {
    Real,
    Virtual,
}

#[derive(Debug)]
pub(crate) struct Clock {
    kind: ClockKind,
    epoch: Instant,
    /// The last reading: what "now" means until the next look.
    last: Cell<Tick>,
}

impl Clock {
    pub(crate) fn new(kind: ClockKind) -> Self {
        Clock { kind, epoch: Instant::now(), last: Cell::new(0) }
    }

    pub(crate) fn is_virtual(&self) -> bool {
        self.kind == ClockKind::Virtual
    }

    /// Reads the clock, and remembers the reading.
    pub(crate) fn read(&self) -> Tick {
        if self.kind == ClockKind::Real {
            self.hear(Instant::now());
        }
        self.last.get()
    }

    /// When `delay` will be over that begins now; too much means never.
    #[inline(never)]
    pub(crate) fn after(&self, delay: Duration) -> Tick {
        after(self.read(), delay)
    }

    /// Remembers a reading of the real clock, which means nothing to a virtual one.
    pub(crate) fn note(&self, now: Instant) {
        if self.kind == ClockKind::Real {
            self.hear(now);
        }
    }

    #[inline]
    fn hear(&self, now: Instant) {
        // Monotonic by contract, also where the platform's clock is not quite.
        self.last.set(self.last.get().max(self.tick(now)));
    }

    /// The last reading, without a system call.
    pub(crate) fn last(&self) -> Tick {
        self.last.get()
    }

    /// Where moving the clock on by `by` leads. Not to the end of time: a deadline that is set there would
    /// be one that never comes.
    pub(crate) fn ahead(&self, by: Duration) -> Tick {
        let now = self.read();
        match saturate(by) {
            FAR.. => FAR.max(now),
            by => now.saturating_add(by),
        }
    }

    /// Moves a virtual clock forward to `to`; never back. The real one moves by itself.
    pub(crate) fn move_to(&self, to: Tick) {
        debug_assert!(self.is_virtual(), "only a virtual clock can be moved");
        // Not to where deadlines lie that never come.
        self.last.set(self.last.get().max(to.min(NEVER - 1)));
    }

    pub(crate) fn tick(&self, at: Instant) -> Tick {
        match at.checked_duration_since(self.epoch) {
            Some(after) => saturate(after),
            None => -saturate(self.epoch.duration_since(at)),
        }
    }

    pub(crate) fn instant(&self, tick: Tick) -> Instant {
        let distance = Duration::from_nanos(tick.unsigned_abs());
        let at = if tick >= 0 {
            self.epoch.checked_add(distance)
        } else {
            self.epoch.checked_sub(distance)
        };
        // An `Instant` that cannot hold 292 years: no platform of ours, but no reason to panic.
        at.unwrap_or(self.epoch)
    }
}

/// `tick + delay`, where too much means never.
pub(crate) fn after(tick: Tick, delay: Duration) -> Tick {
    tick.saturating_add(saturate(delay))
}

fn saturate(duration: Duration) -> Tick {
    // In 64 bits, which `as_nanos` is not: that is most of what a sleep's deadline costs.
    let nanos = duration.as_secs().checked_mul(1_000_000_000);
    let nanos = nanos.and_then(|nanos| nanos.checked_add(duration.subsec_nanos().into()));
    nanos.and_then(|nanos| nanos.try_into().ok()).unwrap_or(NEVER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_survive_the_way_to_ticks_and_back() {
        let clock = Clock::new(ClockKind::Virtual);
        for offset in [0, 1, 999, 1_000_000_007, 86_400_000_000_000] {
            let after = clock.epoch + Duration::from_nanos(offset);
            assert_eq!(clock.instant(clock.tick(after)), after);
            let before = clock.epoch - Duration::from_nanos(offset);
            assert_eq!(clock.instant(clock.tick(before)), before);
        }
    }

    /// CB-10: a delay of any size is harmless.
    #[test]
    fn what_does_not_fit_is_never() {
        assert_eq!(after(5, Duration::MAX), NEVER);
        assert_eq!(after(NEVER - 1, Duration::from_nanos(7)), NEVER);
        assert_eq!(after(5, Duration::ZERO), 5);
    }

    #[test]
    fn a_clock_is_not_moved_to_the_end_of_time() {
        let clock = Clock::new(ClockKind::Virtual);
        for _ in 0..3 {
            clock.move_to(clock.ahead(Duration::MAX));
            assert_eq!(clock.read(), FAR);
            assert!(after(clock.read(), Duration::from_secs(100 * 365 * 86_400)) < NEVER);
        }
        clock.move_to(FAR + 5);
        assert_eq!(clock.ahead(Duration::MAX), FAR + 5, "never back");
        assert_eq!(clock.ahead(Duration::from_nanos(7)), FAR + 12);
    }

    /// What begins now begins now, and not at the last look.
    #[test]
    fn a_delay_counts_from_its_making() {
        let clock = Clock::new(ClockKind::Real);
        let mut now = Instant::now();
        while clock.tick(now) == 0 {
            now = Instant::now();
        }
        assert_eq!(clock.last(), 0, "nobody looked");
        assert!(clock.after(Duration::from_nanos(7)) >= clock.tick(now) + 7);
    }

    #[test]
    fn a_virtual_clock_stands_still_and_never_goes_back() {
        let clock = Clock::new(ClockKind::Virtual);
        assert_eq!((clock.read(), clock.read()), (0, 0));
        clock.move_to(50);
        clock.move_to(20);
        assert_eq!(clock.read(), 50);
    }
}
