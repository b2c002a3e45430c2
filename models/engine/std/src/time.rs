//! Time that passes when the scheduler has it pass: where somebody waits for it.

use ::std::cell::Cell;
use ::std::ops::{Add, AddAssign, Sub, SubAssign};

pub use ::std::time::*;

use shuttle::rand::{Rng as _, thread_rng};

::std::thread_local! {
    /// The scheduler's threads are all on one.
    static NOW: Cell<Duration> = const { Cell::new(Duration::from_secs(1_000_000)) };
}

/// Of waits with a limit, one in so many looks finds it over.
const PATIENCE: u32 = 6;

/// Until `is_over`, or until the scheduler has `limit` pass. True: it passed.
pub fn wait(limit: Duration, is_over: impl Fn() -> bool) -> bool {
    let until = NOW.get().saturating_add(limit);
    loop {
        if is_over() {
            return false;
        }
        if NOW.get() >= until || thread_rng().gen_ratio(1, PATIENCE) {
            NOW.set(NOW.get().max(until));
            return true;
        }
        crate::thread::yield_now();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(Duration);

impl Instant {
    pub fn now() -> Self {
        Instant(NOW.get())
    }

    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }

    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0)
    }

    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration).map(Instant)
    }

    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration).map(Instant)
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0 + duration)
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        self.0 += duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0 - duration)
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        self.0 -= duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}
