//! Waiting for time to pass, on the running loop's clock.
//!
//! | you want to | use |
//! |---|---|
//! | wait for a while, or until an instant | [`sleep`], [`sleep_until`] |
//! | wait for something, and not for ever | [`timeout`], [`timeout_at`] |
//! | do something again and again | [`interval`] |
//! | know what time it is | [`now`] |
//! | have a day pass in no time | [`Builder::virtual_time`](crate::Builder::virtual_time), [`advance`] |
//!
//! Instants are std's. Where a loop's clock may be virtual, as in tests, compare with [`now`] and not with
//! [`Instant::now`], which does not jump along. Nothing here is early, nothing panics where it is made, and a
//! duration that does not fit the clock never ends.
//!
//! ```
//! use loopbind::{EventLoop, sleep, time, timeout};
//! use std::time::Duration;
//!
//! let event_loop = EventLoop::builder().virtual_time(true).build()?;
//! event_loop.run_until_complete(async {
//!     let began = time::now();
//!     let (hour, minute) = (Duration::from_secs(3600), Duration::from_secs(60));
//!     assert_eq!(timeout(minute, sleep(hour)).await, Err(time::Elapsed));
//!     assert_eq!(time::now() - began, minute);
//! })?;
//! # Ok::<(), loopbind::LoopError>(())
//! ```

mod alarm;
mod interval;
mod sleep;
mod timeout;

use std::time::{Duration, Instant};

pub use interval::{Interval, MissedTick, interval};
pub use sleep::{Sleep, sleep, sleep_until};
pub use timeout::{Elapsed, Timeout, timeout, timeout_at};

use crate::engine::Engine;
use crate::error::LoopError;
use crate::task::yield_now;

/// Now, on the running loop's clock: virtual where the loop's is. Outside of runs, the monotonic
/// clock's now.
///
/// ```
/// use loopbind::{EventLoop, sleep, time};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// event_loop.run_until_complete(async {
///     let before = time::now();
///     sleep(Duration::from_secs(60)).await;
///     assert_eq!(time::now() - before, Duration::from_secs(60));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "current_time")]
#[must_use = "looking changes nothing"]
pub fn now() -> Instant {
    Engine::with_running(Engine::now).unwrap_or_else(Instant::now)
}

/// Moves the running loop's virtual clock by `by`, from timer to timer: each that is due on the way
/// fires at its own time, and what it wakes runs, before the clock moves on. A span of 146 years or more,
/// [`Duration::MAX`] for one, moves it to 146 years after the loop's making: there is time left then for
/// what is set there.
///
/// # Errors
/// [`LoopError::RealClock`] where the loop's clock is real, [`LoopError::NoRunningLoop`] outside of
/// runs.
///
/// # Cancel safety
/// Dropped on the way, it leaves the clock where it had got to.
///
/// ```
/// use loopbind::{EventLoop, spawn, time};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// event_loop.run_until_complete(async {
///     let nap = spawn(time::sleep(Duration::from_secs(60)));
///     time::advance(Duration::from_secs(59)).await?;
///     assert!(!nap.is_finished());
///     time::advance(Duration::from_secs(1)).await?;
///     assert!(nap.is_finished());
///     Ok::<(), loopbind::LoopError>(())
/// })??;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "jump")]
pub async fn advance(by: Duration) -> Result<(), LoopError> {
    let target = Engine::with_running(|engine| {
        let clock = &engine.alarms.clock;
        clock.is_virtual().then(|| clock.ahead(by)).ok_or(LoopError::RealClock)
    })
    .ok_or(LoopError::NoRunningLoop)??;
    loop {
        // What was started but has not run yet may set timers on the way.
        yield_now().await;
        let arrived = Engine::with_running(|engine| {
            let next = engine.alarms.next().map_or(target, |at| at.min(target));
            engine.alarms.clock.move_to(next);
            next == target
        })
        .ok_or(LoopError::NoRunningLoop)?;
        // One iteration fires what is due, the next is behind what that woke.
        yield_now().await;
        yield_now().await;
        if arrived {
            return Ok(());
        }
    }
}
