//! Room for the waker of the only one who can wait for something.

use std::cell::Cell;
use std::task::Context;

use super::waiters::KeptWaker;

pub(super) struct WakerSlot {
    waker: Cell<Option<KeptWaker>>,
}

impl WakerSlot {
    pub(super) const fn new() -> Self {
        WakerSlot { waker: Cell::new(None) }
    }

    /// Whoever calls this looks again afterwards at what it waits for: cloning and dropping wakers is
    /// user code, which may have brought it.
    #[inline]
    pub(super) fn set(&self, cx: &Context<'_>) {
        let before = self.waker.take();
        let is_known = before.as_ref().is_some_and(|known| known.will_wake(cx.waker()));
        self.waker.set(before);
        if !is_known {
            let ours = KeptWaker::of(cx);
            drop(self.waker.replace(Some(ours)));
        }
    }

    #[inline]
    pub(super) fn take(&self) -> Option<KeptWaker> {
        self.waker.take()
    }

    /// Wakes who waits, if anybody does. What is waited for is there by now, and nothing is borrowed.
    #[inline]
    pub(super) fn wake(&self) {
        if let Some(waker) = self.take() {
            waker.wake();
        }
    }
}
