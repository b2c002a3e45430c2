//! Who waits for news of a group or a set. Cloning, waking and dropping wakers is the user's code: what it
//! throws keeps nobody from going on.

use std::cell::Cell;
use std::task::Context;

use super::wake;
use crate::panic::discard;
use crate::sync::KeptWaker;

#[derive(Default)]
pub(super) struct Waiter(Cell<Option<KeptWaker>>);

impl Waiter {
    /// Remembers whom to wake.
    pub(super) fn watch(&self, cx: &mut Context<'_>) {
        let known = self.0.take();
        if known.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            self.0.set(known);
            return;
        }
        self.0.set(Some(KeptWaker::of(cx)));
        discard(known);
    }

    pub(super) fn wake(&self) {
        if let Some(waiter) = self.0.take() {
            wake(waiter);
        }
    }

    /// Nobody waits any more.
    pub(super) fn forget(&self) {
        discard(self.0.take());
    }
}
