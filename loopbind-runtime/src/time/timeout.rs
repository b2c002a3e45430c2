//! A limit on how long one waits.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::alarm::Alarm;

/// Awaits `future` for at most `limit`, on the loop's clock.
///
/// Polls `future` before it looks at the deadline: what is ready wins, also at zero. Of nested ones the one
/// that expired reports, and of two that are due together the inner one. A limit that does not fit the
/// clock never comes. TMO-02, TMO-04.
///
/// A future that is given up is dropped, and its destructors have run, before the caller hears of it.
/// WFR-02. A [`Task`](crate::Task) is asked to end by that, as by its `cancel`, and `Elapsed` does not wait
/// for it: it ends in its own next turn, or once it has cleaned up. To see its end, keep it and `join` it:
///
/// ```
/// use loopbind::{EventLoop, spawn, task::cancelled, timeout};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let last_words = event_loop.run_until_complete(async {
///     let mut task = spawn(async { cancelled().await; "cleaned up" });
///     if let Ok(outcome) = timeout(Duration::from_secs(1), task.join()).await {
///         return outcome;
///     }
///     task.cancel_within(Duration::from_secs(5));
///     task.await
/// })?;
/// assert_eq!(last_words.unwrap(), "cleaned up");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
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
#[doc(alias("wait_for", "move_on_after", "fail_after"))]
pub fn timeout<F: Future>(limit: Duration, future: F) -> Timeout<F> {
    Timeout { future: Some(future), alarm: Alarm::after(limit), elapsed: false }
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
#[doc(alias("move_on_at", "fail_at"))]
pub fn timeout_at<F: Future>(deadline: Instant, future: F) -> Timeout<F> {
    Timeout { future: Some(future), alarm: Alarm::at(deadline), elapsed: false }
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
    #[doc(alias = "CancelScope")]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: Option<F>,
        alarm: Alarm,
        elapsed: bool,
    }
}

impl<F> Timeout<F> {
    /// When the future is given up. One that was made outside of runs, and not polled yet, would be then
    /// if it were polled now.
    ///
    /// ```
    /// use loopbind::{run, time, timeout};
    /// use std::{future::pending, time::Duration};
    ///
    /// run(async {
    ///     let minute = Duration::from_secs(60);
    ///     let waiting = timeout(minute, pending::<()>());
    ///     assert!(waiting.deadline() <= time::now() + minute);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "when")]
    #[must_use = "looking changes nothing"]
    pub fn deadline(&self) -> Instant {
        self.alarm.deadline()
    }

    /// How long until then, on the loop's clock; zero where it has come.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, timeout};
    /// use std::{future::pending, time::Duration};
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let waiting = timeout(Duration::from_secs(60), pending::<()>());
    ///     sleep(Duration::from_secs(45)).await;
    ///     assert_eq!(waiting.remaining(), Duration::from_secs(15));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn remaining(&self) -> Duration {
        self.deadline().saturating_duration_since(super::now())
    }

    /// Moves the deadline, whether it has come or not; whoever waits goes on waiting, for the new one. To
    /// the past, the future is polled once more before it is given up. Once it is over, nothing comes of
    /// it. TMO-05.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, time, timeout};
    /// use std::{pin::pin, time::Duration};
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(async {
    ///     let second = Duration::from_secs(1);
    ///     let mut download = pin!(timeout(2 * second, sleep(3 * second)));
    ///     assert!(futures::poll!(download.as_mut()).is_pending());
    ///     sleep(second).await;
    ///     download.as_mut().reset(time::now() + 10 * second); // something came: a new limit
    ///     assert!(download.await.is_ok());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "reschedule")]
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().alarm.reset(deadline);
    }

    /// Whether the deadline came first: the future was given up, and awaiting gave [`Elapsed`].
    ///
    /// ```
    /// use loopbind::{run, time::Elapsed, timeout};
    /// use std::{future::pending, pin::pin, time::Duration};
    ///
    /// run(async {
    ///     let mut waiting = pin!(timeout(Duration::ZERO, pending::<()>()));
    ///     assert!(!waiting.is_elapsed()); // what is ready would win
    ///     assert_eq!(waiting.as_mut().await, Err(Elapsed));
    ///     assert!(waiting.is_elapsed());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "expired")]
    #[must_use = "looking changes nothing"]
    pub fn is_elapsed(&self) -> bool {
        self.elapsed
    }

    /// The future; `None` once it is over and gone.
    ///
    /// ```
    /// use loopbind::timeout;
    /// use std::{future::ready, time::Duration};
    ///
    /// let waiting = timeout(Duration::from_secs(1), ready(42));
    /// assert!(waiting.get_ref().is_some());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn get_ref(&self) -> Option<&F> {
        self.future.as_ref()
    }

    /// The future, to be changed; `None` once it is over and gone.
    ///
    /// ```
    /// use loopbind::{sleep, time, timeout};
    /// use std::{pin::pin, time::Duration};
    ///
    /// let mut waiting = pin!(timeout(Duration::from_secs(60), sleep(Duration::from_secs(1))));
    /// let later = time::now() + Duration::from_secs(2);
    /// waiting.as_mut().get_pin_mut().unwrap().reset(later);
    /// assert_eq!(waiting.get_ref().unwrap().deadline(), later);
    /// ```
    #[doc(alias = "get_mut")]
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Option<Pin<&mut F>> {
        self.project().future.as_pin_mut()
    }

    /// The future without its deadline; `None` once it is over and gone.
    ///
    /// ```
    /// use loopbind::{run, spawn, timeout};
    /// use std::time::Duration;
    ///
    /// let value = run(async {
    ///     let waiting = timeout(Duration::from_secs(1), spawn(async { 42 }));
    ///     waiting.into_inner().unwrap().await.unwrap()
    /// })?;
    /// assert_eq!(value, 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn into_inner(self) -> Option<F> {
        self.future
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
    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a Timeout was polled after it was ready");
        let outcome = match future.poll(cx) {
            Poll::Ready(value) => Ok(value),
            Poll::Pending if this.alarm.is_due(cx) => Err(Elapsed),
            Poll::Pending => return Poll::Pending,
        };
        // Before the drop, which may panic: it is over then.
        *this.elapsed = outcome.is_err();
        this.alarm.disarm();
        this.future.set(None);
        Poll::Ready(outcome)
    }
}

impl<F: Future> FusedFuture for Timeout<F> {
    fn is_terminated(&self) -> bool {
        self.future.is_none()
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout")
            .field("deadline", &self.alarm.deadline())
            .field("over", &self.future.is_none())
            .field("elapsed", &self.elapsed)
            .finish()
    }
}
