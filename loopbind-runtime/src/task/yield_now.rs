//! Giving way for one iteration.

use std::pin::Pin;
use std::task::{Context, Poll};

/// Suspends the task for exactly one iteration: everything that is ready runs first. CB-24.
///
/// # Cancel safety
/// Dropping it loses nothing.
///
/// ```
/// use loopbind::{run, spawn, yield_now};
/// # use std::{cell::RefCell, rc::Rc};
///
/// let trace = Rc::new(RefCell::new(Vec::new()));
/// # let log = trace.clone();
/// run(async move {
///     let other = log.clone();
///     spawn(async move { other.borrow_mut().push("other") });
///     log.borrow_mut().push("before");
///     yield_now().await;
///     log.borrow_mut().push("after");
/// })?;
/// assert_eq!(*trace.borrow(), ["before", "other", "after"]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("checkpoint", "cancel_shielded_checkpoint"))]
pub fn yield_now() -> impl Future<Output = ()> {
    YieldNow { yielded: false }
}

struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
