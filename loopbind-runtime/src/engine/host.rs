//! Who sees and waits for a loop that does not do so itself.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::error::LoopError;

/// What a host lends a loop that it drives: its eyes, and its timer.
///
/// Both methods are polled, and are `Ready` once what they wait for is there; each poll replaces what
/// the one before waited for. Readiness that was reported must be reported again only if it is new, or
/// still there: an edge-triggered reactor and a level-triggered one both fit.
///
/// ```
/// use loopbind::{EventLoop, Host};
/// use std::{io, os::fd::BorrowedFd, task::{Context, Poll}, time::Instant};
///
/// /// A host that looks at nothing, and is polled all the time.
/// struct Busy;
///
/// impl Host for Busy {
///     fn poll_readable(&mut self, _: BorrowedFd<'_>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
///         Poll::Pending
///     }
///
///     fn poll_deadline(&mut self, at: Instant, _: &mut Context<'_>) -> Poll<()> {
///         if at <= Instant::now() { Poll::Ready(()) } else { Poll::Pending }
///     }
/// }
///
/// let event_loop = EventLoop::new()?;
/// let inner = event_loop.clone();
/// event_loop.call_soon(move || inner.stop());
/// futures::executor::block_on(event_loop.drive_with(Busy))?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot drive a loop: it is no `Host`",
    label = "it lends neither readiness nor deadlines",
    note = "implement `Host` for it by two methods, `poll_readable` and `poll_deadline`; where an executor has no reactor to \
            lend, `EventLoop::drive` needs no host"
)]
pub trait Host {
    /// Waits until `fd`, the loop's, is readable.
    ///
    /// # Errors
    /// The host's; they end the drive.
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Waits until `at`, on the monotonic clock.
    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()>;

    /// The loop has stopped; waits for what the host has promised its tasks for the end of this poll. Nothing, unless
    /// said otherwise.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        _ = cx;
        Poll::Ready(())
    }
}

/// Where a loop lives that is somebody's guest from its making to its end: its runs block in there.
pub(crate) trait Lodging {
    /// Whether a run may begin here and now.
    fn check(&self) -> Result<(), LoopError>;

    /// Polls `guest` until it is ready, and blocks; the host sees to its own things meanwhile, and once more at the end:
    /// it may have promised a wake for then.
    fn stay(&self, guest: &mut Guest<'_>);

    /// Calls `step` until it says that there is no other, inside of a stay. Each has as much of the host's patience as
    /// one of its own.
    fn steps(&self, step: &mut dyn FnMut() -> bool);

    /// Calls `f` where the guest's things find their host, without its going on.
    fn within(&self, f: &mut dyn FnMut());

    /// The end of it: blocking work of the host's is waited for that long. False: it was not over.
    fn leave(&self, limit: Duration) -> bool;
}

/// One poll of a guest, with what its host lends it.
pub(crate) type Guest<'a> = dyn FnMut(&mut Context<'_>, &mut dyn Host) -> Poll<()> + 'a;

/// How a lodging is made, on the loop's thread.
#[derive(Clone)]
pub(crate) struct LodgingMaker(Arc<dyn Fn() -> io::Result<Box<dyn Lodging>> + Send + Sync>);

impl LodgingMaker {
    #[cfg(any(test, feature = "tokio"))]
    pub(crate) fn new(
        make: impl Fn() -> io::Result<Box<dyn Lodging>> + Send + Sync + 'static,
    ) -> Self {
        LodgingMaker(Arc::new(make))
    }

    pub(super) fn make(&self) -> io::Result<Box<dyn Lodging>> {
        (self.0)()
    }
}

impl fmt::Debug for LodgingMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LodgingMaker")
    }
}
