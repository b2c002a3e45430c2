//! The outcome of a scope's child, on its way to whoever wants it.

use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::FusedFuture;

use super::scope::Inner;
use crate::panic::discard;
use crate::sync::KeptWaker;
use crate::task::TaskError;

/// A child of a scope, and its outcome once it is there: made by [`Scope::spawn`](super::Scope::spawn).
///
/// Awaiting it gives `Ok` with the child's value, or [`TaskError::Cancelled`]. Dropping it leaves the
/// child to the scope. A panic of the child is not heard of here: it ends the scope.
///
/// # Panics
/// When awaited after it gave its outcome.
///
/// # Cancel safety
/// Dropping it loses the outcome, and the child goes on.
///
/// ```
/// use loopbind::{run, task::{self, Scoped}};
///
/// let text = String::from("to be");
/// let words = run(task::scope(async |scope| {
///     let child: Scoped<'_, usize> = scope.spawn(async { text.split(' ').count() });
///     child.await.unwrap()
/// }))?;
/// assert_eq!(words, 2);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct Scoped<'env, R> {
    slot: Rc<Slot<R>>,
    number: u64,
    scope: Rc<Inner<'env>>,
}

struct Slot<R> {
    outcome: Cell<Option<Result<R, TaskError>>>,
    is_over: Cell<bool>,
    is_taken: Cell<bool>,
    waiter: Cell<Option<KeptWaker>>,
}

/// The giving end: a child that is dropped before it gave was cancelled.
pub(super) struct Given<R> {
    slot: Rc<Slot<R>>,
}

impl<R> Given<R> {
    pub(super) fn new<'env>(number: u64, scope: Rc<Inner<'env>>) -> (Self, Scoped<'env, R>) {
        let slot = Rc::new(Slot {
            outcome: Cell::new(None),
            is_over: Cell::new(false),
            is_taken: Cell::new(false),
            waiter: Cell::new(None),
        });
        (Given { slot: Rc::clone(&slot) }, Scoped { slot, number, scope })
    }

    pub(super) fn give(&self, outcome: Result<R, TaskError>) {
        if self.slot.is_over.replace(true) {
            return;
        }
        self.slot.outcome.set(Some(outcome));
        if let Some(waiter) = self.slot.waiter.take() {
            super::wake(waiter);
        }
    }
}

impl<R> Drop for Given<R> {
    fn drop(&mut self) {
        self.give(Err(TaskError::Cancelled));
    }
}

impl<R> Scoped<'_, R> {
    /// Asks for the child to be dropped, in the scope's next poll; true if it was not over yet.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// run(task::scope(async |scope| {
    ///     let child = scope.spawn(std::future::pending::<()>());
    ///     assert!(child.cancel());
    ///     assert!(!child.is_finished()); // a request
    ///     assert!(child.await.unwrap_err().is_cancelled());
    /// }))?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) -> bool {
        !self.is_finished() && self.scope.cancel(self.number)
    }

    /// Whether the child is over, whatever its outcome.
    ///
    /// ```
    /// use loopbind::{run, task, yield_now};
    ///
    /// run(task::scope(async |scope| {
    ///     let child = scope.spawn(async {});
    ///     assert!(!child.is_finished());
    ///     yield_now().await;
    ///     assert!(child.is_finished());
    /// }))?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_finished(&self) -> bool {
        self.slot.is_over.get()
    }

    /// The outcome if the child is over, without waiting; taken once.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let mut child = run(task::scope(async |scope| scope.spawn(async { 42 })))?;
    /// assert_eq!(child.try_result().unwrap().unwrap(), 42); // the scope has waited for it
    /// assert!(child.try_result().is_none()); // taken
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn try_result(&mut self) -> Option<Result<R, TaskError>> {
        let outcome = self.slot.outcome.take();
        if outcome.is_some() {
            self.slot.is_taken.set(true);
        }
        outcome
    }
}

impl<R> Future for Scoped<'_, R> {
    type Output = Result<R, TaskError>;

    /// # Panics
    /// When polled again after it gave the outcome.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.slot.is_taken.get(), "a Scoped was polled after it gave its outcome");
        if let Some(outcome) = self.try_result() {
            return Poll::Ready(outcome);
        }
        let known = self.slot.waiter.take();
        if known.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.slot.waiter.set(known);
        } else {
            self.slot.waiter.set(Some(KeptWaker::of(cx)));
            discard(known);
        }
        Poll::Pending
    }
}

impl<R> FusedFuture for Scoped<'_, R> {
    fn is_terminated(&self) -> bool {
        self.slot.is_taken.get()
    }
}

impl<R> Unpin for Scoped<'_, R> {}

impl<R> Drop for Scoped<'_, R> {
    fn drop(&mut self) {
        discard(self.slot.waiter.take());
    }
}

impl<R> fmt::Debug for Scoped<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").field("finished", &self.is_finished()).finish_non_exhaustive()
    }
}
