//! Room for the waker of the only one who can wait for something.
//!
//! The waker stays here after it was woken: whoever waits is mostly who waited before, and clones nothing
//! then. So a waker in a slot is not somebody who waits. That is said beside it.

use std::cell::Cell;
use std::task::Context;

use super::waiters::KeptWaker;

pub(super) struct WakerSlot {
    /// Who waits, or waited last. Out while it is being woken.
    waker: Cell<KeptWaker>,
    standing: Cell<Standing>,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    /// Nobody waits.
    Idle,
    /// Who the waker is of.
    Waiting,
    /// Nobody waits; who did is being woken, and the waker comes back if this is so still afterwards.
    Waking,
}

impl WakerSlot {
    pub(super) const fn new() -> Self {
        WakerSlot { waker: Cell::new(KeptWaker::NONE), standing: Cell::new(Standing::Idle) }
    }

    /// Waits, if that is possible without a call of the user's code: the waker of `cx` is here. To be
    /// told false is to [`set`](WakerSlot::set) it.
    #[inline]
    #[must_use = "who is not known does not wait"]
    pub(super) fn is_set_for(&self, cx: &Context<'_>) -> bool {
        let known = self.waker.replace(KeptWaker::NONE);
        let is_known = known.will_wake(cx.waker());
        self.waker.set(known);
        if is_known {
            self.standing.set(Standing::Waiting);
        }
        is_known
    }

    /// Waits with the waker of `cx`. Whoever calls this looks again afterwards at what it waits for:
    /// cloning and dropping wakers is user code, which may have brought it.
    pub(super) fn set(&self, cx: &Context<'_>) {
        let ours = KeptWaker::of(cx);
        self.standing.set(Standing::Waiting);
        drop(self.waker.replace(ours));
    }

    /// Nobody will wait any more, or wakes once and for all with what comes out.
    #[inline]
    pub(super) fn take(&self) -> KeptWaker {
        self.standing.set(Standing::Idle);
        self.waker.replace(KeptWaker::NONE)
    }

    /// Wakes who waits, if anybody does. What is waited for is there by now, and nothing is borrowed.
    #[inline]
    pub(super) fn wake(&self) {
        if self.standing.get() == Standing::Waiting {
            self.wake_waiting();
        }
    }

    fn wake_waiting(&self) {
        self.standing.set(Standing::Waking);
        let waker = self.waker.replace(KeptWaker::NONE);
        waker.wake_by_ref();
        // Not so: it woke somebody who waits again already, or who went away, and it goes, too.
        if self.standing.get() == Standing::Waking {
            self.standing.set(Standing::Idle);
            self.waker.set(waker);
        }
    }
}
