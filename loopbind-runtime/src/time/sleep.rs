//! Sleeping.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::FusedFuture;

use super::alarm::Alarm;

/// Waits until `duration` has passed on the loop's clock; never wakes early.
///
/// Made inside a run it counts from then, outside from its first poll. Any duration is fine: zero
/// suspends for exactly one iteration (CB-24), and what does not fit the clock never ends (CB-10).
/// Fractions of a millisecond count: what comes on top is what the system takes to wake a thread.
/// Where many timers are due within 0.4 ms, those behind the first may be late by as much: they fire together,
/// in order. Linux kernels before 5.11 round up to whole milliseconds.
///
/// # Panics
/// When polled outside of a run, with `no running event loop`.
///
/// # Cancel safety
/// Dropping it takes its timer back.
///
/// ```
/// use loopbind::{run, sleep};
/// use std::time::{Duration, Instant};
///
/// let began = Instant::now();
/// run(sleep(Duration::from_millis(3)))?;
/// assert!(began.elapsed() >= Duration::from_millis(3));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("sleep_forever", "wait_all_tasks_blocked", "Timer"))]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep { alarm: Alarm::after(duration), stage: Stage::New }
}

/// Waits until `deadline` on the loop's clock; one that has passed suspends for one iteration, as
/// [`sleep`] of zero does.
///
/// # Panics
/// As [`sleep`].
///
/// # Cancel safety
/// As [`sleep`].
///
/// ```
/// use loopbind::{EventLoop, sleep_until};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let deadline = event_loop.time() + Duration::from_secs(60);
/// event_loop.run_until_complete(sleep_until(deadline))?;
/// assert_eq!(event_loop.time(), deadline);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep { alarm: Alarm::at(deadline), stage: Stage::New }
}

/// Waits for a deadline: made by [`sleep`] and [`sleep_until`].
///
/// # Panics
/// When polled outside of a run, with `no running event loop`.
///
/// # Cancel safety
/// Dropping it takes its timer back.
///
/// ```
/// use loopbind::EventLoop;
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let mut nap = loopbind::sleep(Duration::from_secs(60));
/// event_loop.run_until_complete(&mut nap)?;
/// assert!(nap.is_elapsed());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct Sleep {
    alarm: Alarm,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// Due when first polled: gives way for one iteration.
    Yielding,
    Waiting,
    Done,
}

impl Sleep {
    /// When it ends. One that was made outside of runs, and not polled yet, would end then if it were
    /// polled now.
    ///
    /// ```
    /// use loopbind::{run, sleep, time};
    /// use std::time::Duration;
    ///
    /// run(async {
    ///     let minute = Duration::from_secs(60);
    ///     let nap = sleep(minute);
    ///     assert!(nap.deadline() <= time::now() + minute);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn deadline(&self) -> Instant {
        self.alarm.deadline()
    }

    /// Moves the end to `deadline`, also of one that is over: awaited again, it waits for the new one. It is
    /// as if it were made anew: of those that end together it is the last. Moving it later, as a time-out is
    /// for each thing that came in time, costs next to nothing.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, time};
    /// use std::{pin::pin, time::Duration};
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let (began, mut nap) = (time::now(), pin!(sleep(Duration::from_secs(60))));
    ///     nap.as_mut().reset(began + Duration::from_secs(90));
    ///     nap.await;
    ///     assert_eq!(time::now() - began, Duration::from_secs(90));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.alarm.reset(deadline);
        self.stage = if self.alarm.is_armed() { Stage::Waiting } else { Stage::New };
    }

    /// Whether the deadline has come.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, time};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let nap = sleep(Duration::from_secs(60));
    ///     assert!(!nap.is_elapsed());
    ///     sleep(Duration::from_secs(60)).await;
    ///     assert!(nap.is_elapsed()); // nobody awaited it
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_elapsed(&self) -> bool {
        self.stage == Stage::Done || self.deadline() <= super::now()
    }
}

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.stage = match self.stage {
            Stage::Done | Stage::Yielding => Stage::Done,
            stage => match (stage, self.alarm.is_due(cx)) {
                (Stage::New, true) => {
                    cx.waker().wake_by_ref();
                    Stage::Yielding
                }
                (_, true) => Stage::Done,
                (_, false) => Stage::Waiting,
            },
        };
        if self.stage == Stage::Done { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl FusedFuture for Sleep {
    fn is_terminated(&self) -> bool {
        self.stage == Stage::Done
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .field("elapsed", &self.is_elapsed())
            .finish()
    }
}
