//! What few tasks have: a name, callbacks, listeners, a context. It lives in an allocation of its own, which
//! a header has room to point to, and a bit of its state (`COLD`) says whether there is one, so that the
//! others pay for nothing but the bit.

use std::cell::Cell;
use std::time::Duration;

use super::cancelled::Listeners;
use super::context::Context;
use super::grace::Grace;
use super::header::{Header, TaskRef};
use super::state::COLD;
use crate::ids::TaskId;
use crate::trace::Span;

#[derive(Default)]
pub(super) struct Cold {
    pub(super) name: Option<Box<str>>,
    pub(super) callbacks: Vec<TaskRef>,
    /// How many callbacks were there before the waiter came: CB-27 wakes in order of registration.
    pub(super) before_waiter: usize,
    pub(super) listeners: Listeners,
    /// Listeners that were told and have not said so to the task yet.
    pub(super) unheard: usize,
    pub(super) grace: Grace,
    pub(super) busy: Duration,
    /// Its own, once it has inherited or set anything. A root has none: see `Local::outside`.
    pub(super) context: Option<Context>,
    /// Its maker, where its number is too far away for `Header::parent`.
    pub(super) far_parent: Option<TaskId>,
    /// Polls that `Header::polls` had no room for.
    pub(super) former_polls: u64,
    /// Its wakers, and other references, that are kept by what cannot leave this thread: see `sync::Tally`.
    pub(super) kept: u32,
    /// What a subscriber has for it. Out while it is entered.
    pub(super) span: Option<Span>,
}

/// Where a header has it.
#[derive(Default)]
pub(super) struct Slot(Cell<Option<Box<Cold>>>);

impl Slot {
    /// Out, and back when it is let go of, also by a panic.
    fn take(&self) -> Taken<'_> {
        Taken { slot: self, cold: self.0.take() }
    }
}

struct Taken<'a> {
    slot: &'a Slot,
    cold: Option<Box<Cold>>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let meanwhile = self.slot.0.replace(self.cold.take());
        debug_assert!(meanwhile.is_none(), "nothing of the user's runs while it is out");
    }
}

impl Header {
    /// What it has of this, made if need be. No code of the user's may run in `f`.
    pub(super) fn with_cold<R>(&self, f: impl FnOnce(&mut Cold) -> R) -> R {
        let mut taken = self.cold.take();
        self.set(COLD);
        f(taken.cold.get_or_insert_default())
    }

    /// The same, if it has any.
    #[inline]
    pub(super) fn if_cold<R>(&self, f: impl FnOnce(&mut Cold) -> R) -> Option<R> {
        if self.has(COLD) { self.cold.take().cold.as_deref_mut().map(f) } else { None }
    }
}
