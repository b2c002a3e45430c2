//! A limit on how long one waits.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pin_project_lite::pin_project;

use super::alarm::Alarm;

/// Awaits `future` for at most `limit`, on the loop's clock.
///
/// Polls `future` before it looks at the deadline: what is ready wins, also at zero. Of two deadlines
/// that are due together the inner one reports. A future that is given up is dropped before the
/// caller hears of it; a `Task` is asked to end by that. TMO-04, WFR-02.
///
/// Made inside a run it counts from then, outside from its first poll.
///
/// # Panics
/// When it has to wait outside of a run, with `no running event loop`.
///
/// # Cancel safety
/// Dropping it drops `future`.
///
/// ```
/// use loopbind::{run, time::Elapsed, timeout};
/// use std::{future::{pending, ready}, time::Duration};
///
/// run(async {
///     assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
///     assert_eq!(timeout(Duration::from_millis(1), pending::<()>()).await, Err(Elapsed));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "wait_for")]
pub fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    Timeout { future: Some(future), alarm: Alarm::after(limit) }
}

/// Awaits `future` until `deadline`, on the loop's clock: see [`timeout`].
///
/// # Panics
/// As [`timeout`].
///
/// # Cancel safety
/// As [`timeout`].
///
/// ```
/// use loopbind::{EventLoop, time::Elapsed, timeout_at};
/// use std::{future::pending, time::Duration};
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let deadline = event_loop.time() + Duration::from_secs(60);
/// let outcome = event_loop.run_until_complete(timeout_at(deadline, pending::<()>()))?;
/// assert_eq!(outcome, Err(Elapsed));
/// assert_eq!(event_loop.time(), deadline);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future: Some(future), alarm: Alarm::at(deadline) }
}

pin_project! {
    /// A future with a deadline: made by [`timeout`] and [`timeout_at`].
    ///
    /// Awaiting it gives `Ok` with the future's value, or [`Elapsed`].
    ///
    /// # Panics
    /// When it has to wait outside of a run, with `no running event loop`; when polled again after it was
    /// ready.
    ///
    /// # Cancel safety
    /// Dropping it drops the future.
    ///
    /// ```
    /// use loopbind::{run, time::Timeout, timeout};
    /// use std::{future::{Ready, ready}, time::Duration};
    ///
    /// let waiting: Timeout<Ready<u32>> = timeout(Duration::from_secs(1), ready(42));
    /// assert_eq!(run(waiting)?, Ok(42));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: Option<F>,
        alarm: Alarm,
    }
}

/// The deadline came first.
///
/// ```
/// use loopbind::{run, timeout};
/// use std::{future::pending, time::Duration};
///
/// let elapsed = run(timeout(Duration::ZERO, pending::<()>()))?.unwrap_err();
/// assert_eq!(elapsed.to_string(), "deadline has elapsed");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "TimeoutError")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("deadline has elapsed")]
pub struct Elapsed;

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    /// # Panics
    /// When polled again after it was ready.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a Timeout was polled after it was ready");
        let outcome = match future.poll(cx) {
            Poll::Ready(value) => Ok(value),
            Poll::Pending if this.alarm.is_due(cx) => Err(Elapsed),
            Poll::Pending => return Poll::Pending,
        };
        this.future.set(None);
        Poll::Ready(outcome)
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("deadline", &self.alarm.deadline())
            .field("over", &self.future.is_none())
            .finish()
    }
}
