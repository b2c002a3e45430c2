//! A task's way to its home, and what keeps the home there for as long as the task is.
//!
//! Most tasks come and go while their loop is open, on its thread: the loop keeps the home, and the task
//! is only counted, in a plain cell of the owner's (`pins`). One that other threads may have when its end
//! has come, or that was born in their hands, keeps the home by a share of its own (`KEEPS`, one of the
//! bits of its state). When a loop goes, what is counted gets shares, and counting ends.

use std::cell::Cell;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;

use super::header::Header;
use super::home::{Home, Local, LocalHome};
use super::state::{KEEPS, State};

/// The address of a home that is there for as long as the header is that this is part of.
pub(super) struct Anchor(NonNull<Home>);

impl Deref for Anchor {
    type Target = Home;

    fn deref(&self) -> &Home {
        // SAFETY: by what stands above, the header keeps it, or is counted by its loop, which does.
        unsafe { self.0.as_ref() }
    }
}

impl Anchor {
    pub(super) fn as_ptr(&self) -> *const Home {
        self.0.as_ptr()
    }

    pub(super) fn share(&self) -> Arc<Home> {
        // SAFETY: homes are made in an `Arc`, and this one is there.
        unsafe {
            Arc::increment_strong_count(self.as_ptr());
            Arc::from_raw(self.as_ptr())
        }
    }

    fn to(home: &Arc<Home>) -> Self {
        Anchor(NonNull::from(&**home))
    }

    /// For a header in another thread's hands, with a share of its own.
    pub(super) fn with_share(home: &Arc<Home>) -> (Self, State) {
        // Given up by `let_go`.
        std::mem::forget(Arc::clone(home));
        (Anchor::to(home), KEEPS)
    }
}

/// Headers that are counted.
#[derive(Default)]
pub(super) struct Pins {
    count: Cell<usize>,
    /// The loop is gone: whoever is there has a share of its own.
    is_over: Cell<bool>,
}

impl LocalHome {
    /// For a header that is born at home.
    #[inline]
    pub(super) fn anchor(&self) -> (Anchor, State) {
        let pins = &self.local().pins;
        if pins.is_over.get() {
            return Anchor::with_share(self);
        }
        pins.count.set(pins.count.get() + 1);
        (Anchor::to(self), 0)
    }

    /// The same, of a loop that is open.
    #[inline]
    pub(super) fn anchor_open(&self) -> (Anchor, State) {
        let pins = &self.local().pins;
        debug_assert!(!pins.is_over.get());
        pins.count.set(pins.count.get() + 1);
        (Anchor::to(self), 0)
    }

    /// The loop goes: its tasks that are still there, because somebody has them, keep the home
    /// themselves from here on.
    pub(crate) fn lift_anchors(&self) {
        let pins = &self.local().pins;
        pins.is_over.set(true);
        for _ in 0..pins.count.take() {
            std::mem::forget(Arc::clone(self));
        }
    }
}

/// Others may have the task from here on, wherever they are and for as long as they like.
///
/// # Safety
/// On the owner's thread.
pub(super) unsafe fn keep(head: &Header) {
    if head.has(KEEPS) {
        return;
    }
    // SAFETY: on the owner's thread.
    let pins = unsafe { &head.home.local().pins };
    if !pins.is_over.get() {
        pins.count.set(pins.count.get() - 1);
        std::mem::forget(head.home.share());
    }
    head.set(KEEPS);
}

/// The header is gone, at home, where the loop runs.
#[inline]
pub(super) fn let_go_at_home(local: &Local) {
    debug_assert!(!local.pins.is_over.get());
    local.pins.count.set(local.pins.count.get() - 1);
}

/// The header is gone.
///
/// # Safety
/// `home` was its anchor's and `state` its state; on the owner's thread, unless it `KEEPS`.
#[inline]
pub(super) unsafe fn let_go(home: *const Home, state: State) {
    // SAFETY: the home is there until here. One that is not kept is the owner's business.
    unsafe {
        if state & KEEPS == 0 {
            let pins = &(*home).local().pins;
            if !pins.is_over.get() {
                return pins.count.set(pins.count.get() - 1);
            }
        }
        drop(Arc::from_raw(home));
    }
}
