//! Ticks at a steady pace.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use super::sleep::{Sleep, sleep_until};

/// Ticks every `period`, the first time at once.
///
/// Ticks are counted from the first one, so that a slow consumer does not make them drift; what
/// happens to those it missed is [`missed`](Interval::missed)'s to say. A period of zero ticks once
/// per iteration.
///
/// ```
/// use loopbind::{EventLoop, time};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// event_loop.run_until_complete(async {
///     let mut ticks = time::interval(Duration::from_secs(2));
///     let first = ticks.tick().await;
///     let second = ticks.tick().await;
///     assert_eq!(second - first, Duration::from_secs(2));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("Ticker", "Timer"))]
pub fn interval(period: Duration) -> Interval {
    Interval { period, missed: MissedTick::Burst, next: None }
}

/// Ticks at a steady pace: made by [`interval`].
///
/// It is a `Stream` too, one without an end: each item is what [`tick`](Interval::tick) gives.
///
/// ```
/// use futures::StreamExt;
/// use loopbind::{EventLoop, time};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let ticks = time::interval(Duration::from_secs(1)).take(3).collect::<Vec<_>>();
/// let ticks = event_loop.run_until_complete(ticks)?;
/// assert_eq!(ticks[2] - ticks[0], Duration::from_secs(2));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "an interval does nothing unless awaited"]
pub struct Interval {
    period: Duration,
    missed: MissedTick,
    /// The wait for the next tick; `None` before the first.
    next: Option<Sleep>,
}

/// What becomes of ticks that nobody was there for.
///
/// ```
/// use loopbind::{EventLoop, sleep, time::{MissedTick, interval}};
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// event_loop.run_until_complete(async {
///     let mut ticks = interval(second).missed(MissedTick::Delay);
///     ticks.tick().await;
///     sleep(second * 5 / 2).await;
///     let late = ticks.tick().await; // was due after one second, noticed after two and a half
///     assert_eq!(ticks.tick().await - late, second * 5 / 2);
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "MissedTickBehavior")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissedTick {
    /// They come one after the other, until the pace is caught up with.
    Burst,
    /// The next one comes a whole period after the late one.
    Delay,
    /// They are left out: the next one comes at the next multiple of the period.
    Skip,
}

impl Interval {
    /// What becomes of ticks that nobody was there for; `Burst` unless said.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, time::{MissedTick, interval}};
    /// use std::time::Duration;
    ///
    /// let second = Duration::from_secs(1);
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let mut ticks = interval(second).missed(MissedTick::Skip);
    ///     let first = ticks.tick().await;
    ///     sleep(second * 5 / 2).await;
    ///     ticks.tick().await; // late
    ///     assert_eq!(ticks.tick().await - first, second * 3);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "set_missed_tick_behavior")]
    pub fn missed(mut self, policy: MissedTick) -> Self {
        self.missed = policy;
        self
    }

    /// Waits for the next tick, and gives the instant it was due at.
    ///
    /// # Panics
    /// When it has to wait outside of a run, with `no running event loop`.
    ///
    /// # Cancel safety
    /// Dropping it loses no tick.
    ///
    /// ```
    /// use loopbind::{EventLoop, time};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let mut ticks = time::interval(Duration::from_secs(2));
    ///     assert_eq!(ticks.tick().await, time::now()); // the first, at once
    ///     assert_eq!(ticks.tick().await, time::now()); // two seconds later
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let Some(sleep) = &mut self.next else {
            let now = super::now();
            self.next = Some(sleep_until(later(now, self.period)));
            return Poll::Ready(now);
        };
        ready!(Pin::new(&mut *sleep).poll(cx));
        let due = sleep.deadline();
        let next = match self.missed {
            MissedTick::Burst => later(due, self.period),
            MissedTick::Delay => later(super::now(), self.period),
            MissedTick::Skip => {
                let period = self.period.as_nanos().max(1);
                let late = super::now().saturating_duration_since(due).as_nanos();
                let left = period - late % period;
                later(super::now(), Duration::from_nanos(left.try_into().unwrap_or(u64::MAX)))
            }
        };
        *sleep = sleep_until(next);
        Poll::Ready(due)
    }
}

/// A sum that saturates: 272 years from now is never, for a tick.
fn later(at: Instant, period: Duration) -> Instant {
    at.checked_add(period).unwrap_or_else(|| at + Duration::from_secs(1 << 33))
}

impl Stream for Interval {
    type Item = Instant;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        self.poll_tick(cx).map(Some)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interval")
            .field("period", &self.period)
            .field("missed", &self.missed)
            .finish_non_exhaustive()
    }
}
