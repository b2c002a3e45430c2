//! A loop inside somebody else's: its descriptor, its deadlines, and the loop as a future.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use super::EventLoop;
use super::run::Turn;
use super::watcher::Watched;
use crate::engine::{Host, Patience};
use crate::error::LoopError;

impl AsFd for EventLoop {
    /// The descriptor that is readable when something came from outside: readiness, or posts of other
    /// threads. [`next_deadline`](EventLoop::next_deadline) tells the rest.
    ///
    /// Once lent it lives until the last `EventLoop` value drops, whether the loop is closed or not.
    ///
    /// # Panics
    /// With `Event loop is closed` where the loop was closed before it was ever lent.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::os::fd::AsFd;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let fd = event_loop.as_fd();
    /// // A host waits for `fd` to be readable, or for `event_loop.next_deadline()`, and calls
    /// // `event_loop.turn(Some(Duration::ZERO))`.
    /// # let _ = fd;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self.hold().lend() {
            Ok(fd) => fd,
            Err(error) => error.raise(),
        }
    }
}

impl EventLoop {
    /// The loop as a future, with the host's own reactor and timer doing the watching: no thread of
    /// ours. It is done once the loop is stopped.
    ///
    /// Each poll gives the thread back behind [`event_interval`](crate::Builder::event_interval) entries and one
    /// batch at most. Inside a turn everything is as in a run:
    /// lookup finds this loop, and another cannot run. Wake-ups go both ways: what the host's other
    /// tasks schedule here wakes the host.
    ///
    /// A virtual clock jumps as it does in a run, when nothing else can happen; the host is asked for no
    /// deadline then.
    ///
    /// # Errors
    /// Those of a run, [`EventLoop::run_forever`]; the host's; [`LoopError::HasHost`] where the loop was
    /// built with a host of its own.
    ///
    /// # Cancel safety
    /// Dropping it leaves the loop as it is; it may be run, turned or driven again.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// # struct MyHost;
    /// # impl loopbind::Host for MyHost {
    /// #     fn poll_readable(&mut self, _: std::os::fd::BorrowedFd<'_>, _: &mut std::task::Context<'_>)
    /// #         -> std::task::Poll<std::io::Result<()>> { std::task::Poll::Pending }
    /// #     fn poll_deadline(&mut self, _: std::time::Instant, _: &mut std::task::Context<'_>)
    /// #         -> std::task::Poll<()> { std::task::Poll::Pending }
    /// # }
    ///
    /// let event_loop = EventLoop::new()?;
    /// let stop = event_loop.clone();
    /// event_loop.create_task(async move { stop.stop() }).detach();
    /// // `MyHost` has the reactor and the timer of whatever polls this future.
    /// futures::executor::block_on(event_loop.drive_with(MyHost))?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "start_guest_run")]
    pub fn drive_with<H: Host>(&self, host: H) -> DriveWith<H> {
        DriveWith { event_loop: self.clone(), host, has_stopped: false }
    }

    /// The loop as a future under any other executor, until it is stopped.
    ///
    /// One thread per process, started at the first `drive`, watches the descriptors and deadlines of
    /// driven loops; [`drive_with`](EventLoop::drive_with) needs none.
    ///
    /// # Errors
    /// Those of a run; [`LoopError::Io`] where the watcher could not be started.
    ///
    /// # Cancel safety
    /// As [`drive_with`](EventLoop::drive_with).
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, spawn};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let inner = event_loop.clone();
    /// let _task = event_loop.create_task(async move {
    ///     sleep(Duration::from_millis(1)).await;
    ///     inner.stop();
    /// });
    /// // Any executor will do.
    /// futures::executor::block_on(event_loop.drive())?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "start_guest_run")]
    pub fn drive(&self) -> Drive {
        Drive { driven: self.drive_with(Watched::default()) }
    }
}

impl EventLoop {
    fn is_virtual(&self) -> bool {
        self.hold().alarms.clock.is_virtual()
    }

    /// Whether another turn is to follow this one. A virtual clock goes on in the next turn, if this one left it
    /// nothing to do.
    pub(super) fn has_to_go_on(&self, turn: Turn) -> bool {
        turn.more || (self.is_virtual() && turn.polled > 0)
    }

    /// When a host that sleeps is to make a turn though nothing came. With a virtual clock, of which there is none
    /// left to wait for: what it waits for comes from outside.
    pub(super) fn wakes_host_at(&self) -> Option<Instant> {
        if self.is_virtual() { None } else { self.next_deadline() }
    }
}

/// A loop that a host drives: made by [`EventLoop::drive_with`].
///
/// ```
/// use loopbind::{DriveWith, EventLoop, Host};
///
/// fn driven<H: Host>(event_loop: &EventLoop, host: H) -> DriveWith<H> {
///     event_loop.drive_with(host)
/// }
/// # let _ = driven::<Never>;
/// # struct Never;
/// # impl Host for Never {
/// #     fn poll_readable(&mut self, _: std::os::fd::BorrowedFd<'_>, _: &mut std::task::Context<'_>)
/// #         -> std::task::Poll<std::io::Result<()>> { std::task::Poll::Pending }
/// #     fn poll_deadline(&mut self, _: std::time::Instant, _: &mut std::task::Context<'_>)
/// #         -> std::task::Poll<()> { std::task::Poll::Pending }
/// # }
/// ```
#[must_use = "futures do nothing unless awaited"]
pub struct DriveWith<H> {
    event_loop: EventLoop,
    host: H,
    /// The loop was told to stop, and the host is told of it.
    has_stopped: bool,
}

impl<H: Host + Unpin> Future for DriveWith<H> {
    type Output = Result<(), LoopError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if this.has_stopped {
            return this.end(cx);
        }
        let DriveWith { event_loop, host, .. } = &mut *this;
        if event_loop.hold().has_host() {
            return Poll::Ready(Err(LoopError::HasHost));
        }
        let mut left = event_loop.hold().portion();
        while left > 0 {
            let turn = event_loop.turn_once(Patience::Elsewhere)?;
            left = left.saturating_sub(turn.polled.max(1));
            if turn.stopped {
                return this.end(cx);
            }
            if event_loop.has_to_go_on(turn) {
                continue;
            }
            let fd = event_loop.hold().lend()?;
            if let Poll::Ready(seen) = host.poll_readable(fd, cx) {
                seen?;
                continue;
            }
            match event_loop.wakes_host_at() {
                Some(at) if host.poll_deadline(at, cx).is_ready() => {}
                _ => return Poll::Pending,
            }
        }
        // There is more to do; so has the host.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<H: Host> DriveWith<H> {
    fn end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LoopError>> {
        let ended = self.host.poll_end(cx);
        self.has_stopped = ended.is_pending();
        ended.map(Ok)
    }
}

impl<H> fmt::Debug for DriveWith<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriveWith").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}

/// A loop that any executor drives: made by [`EventLoop::drive`].
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// event_loop.handle().stop();
/// futures::executor::block_on(event_loop.drive())?;
/// assert!(!event_loop.is_closed());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "futures do nothing unless awaited"]
#[derive(Debug)]
pub struct Drive {
    driven: DriveWith<Watched>,
}

impl Future for Drive {
    type Output = Result<(), LoopError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.driven).poll(cx)
    }
}
