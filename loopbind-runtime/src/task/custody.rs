//! Who has a task: what is done with a reference, other than keep it.
//!
//! Every function is `unsafe` for one reason: `header` must be alive by a reference that the caller has,
//! and, unless it says "any thread", this must be the owner's thread.

use std::ptr::NonNull;

use super::anchor;
use super::header::Header;
use super::home::Home;
use super::refs::{Errand, Released, Settled};
use super::state::HANDLE;

/// Another thread's errand, with a reference to give to the inbox. Any thread.
#[inline(never)]
pub(super) unsafe fn post_owned(header: NonNull<Header>, errand: Errand) {
    // SAFETY: alive by the reference, and its home with it; what is not posted is released.
    unsafe {
        let wants_post = header.as_ref().refs.send(errand);
        let home = header.as_ref().home.as_ptr();
        if !wants_post || Home::post(home, header.cast()).is_err() {
            release(header);
        }
    }
}

/// The same for who keeps the reference it has. Any thread.
#[inline(never)]
pub(super) unsafe fn post_shared(header: NonNull<Header>, errand: Errand) {
    // SAFETY: alive by the caller's reference, and its home with it; the inbox gets one of its own.
    unsafe {
        let head = header.as_ref();
        if !head.refs.send(errand) {
            return;
        }
        head.refs.add();
        if Home::post(head.home.as_ptr(), header.cast()).is_err() {
            release(header);
        }
    }
}

/// The loop gives up its reference: the task is over, and in no queue.
#[inline]
pub(super) unsafe fn settle(header: NonNull<Header>) {
    // SAFETY: alive by the reference, and on the owner's thread; see `free_if`.
    unsafe {
        let head = header.as_ref();
        // The handle cannot leave the thread.
        let bound = isize::from(head.has(HANDLE));
        match head.refs.settle(bound) {
            Settled::Last => free_if(Released::Last, header),
            Settled::Alone => {}
            Settled::Shared => {
                // Before the merge, after which anybody may free.
                anchor::keep(head);
                head.refs.merge();
                release(header);
            }
        }
    }
}

/// Gives up a reference; the last one frees. Any thread.
#[inline]
pub(super) unsafe fn release(header: NonNull<Header>) {
    // SAFETY: alive by the reference; see `free_if`.
    unsafe { free_if(header.as_ref().refs.release(), header) }
}

/// The same on the owner's thread, where it costs less.
#[inline]
pub(super) unsafe fn release_own(header: NonNull<Header>) {
    // SAFETY: alive by the reference; see `free_if`.
    unsafe { free_if(header.as_ref().refs.release_own(), header) }
}

#[inline]
unsafe fn free_if(released: Released, header: NonNull<Header>) {
    // SAFETY: when it was the last, nobody else can reach the cell. The loop, whose reference is gone, has
    // emptied it at home; what never was the loop's, a callback in no queue, is at home still.
    unsafe {
        if released == Released::Last {
            (header.as_ref().vtable.free)(header);
        }
    }
}
