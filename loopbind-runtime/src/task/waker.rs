//! A task's waker: sound on any thread, at any time, for as long as anybody keeps it.
//!
//! On the loop's own thread, while the loop runs, a wake is a push to the ready queue. Anywhere
//! else it is a post to the inbox. Which of the two is decided by which loop is running, not by a
//! thread's identity: several loops may live on one thread, and a thread's number may come again.

use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::custody;
use super::header::Header;
use super::home::LocalHome;
use super::life;
use super::refs::Errand;
use super::state::DONE;
use crate::ids::TaskId;
use crate::sync::{Tally, count_by};
use crate::sys;

/// One table, so that `will_wake` knows its own.
static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, release);

/// The waker a poll sees: it borrows the loop's reference, and counts only when cloned. Dropping it
/// is not possible, so one that a future moved out of its context would be leaked, not freed twice.
///
/// # Safety
/// The task outlives what is returned.
pub(super) unsafe fn borrowed(header: &NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the table's functions expect a header.
    ManuallyDrop::new(unsafe { Waker::new(header.as_ptr().cast_const().cast(), &VTABLE) })
}

/// From here on wakers are counted that are kept by what cannot leave its thread. Before the first loop that
/// asks for the number there is nothing to count: its tasks come after it.
pub(crate) fn count_kept() {
    count_by(count);
}

/// Counts a waker that something on this thread keeps, or lets go of, where it is the thread of its task:
/// both are said on the same one.
fn count(waker: &Waker, tally: Tally) {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return;
    }
    // SAFETY: as in `header_of`.
    let head = unsafe { header(waker.data()).as_ref() };
    let here = || sys::current_thread().is_some_and(|thread| thread.id() == head.home.owner);
    if head.home.at_home().is_none() && !here() {
        return;
    }
    // On the owner's thread, whose the count is.
    head.with_cold(|cold| match tally {
        Tally::Kept => cold.kept = cold.kept.wrapping_add(1),
        Tally::LetGo => cold.kept = cold.kept.wrapping_sub(1),
    });
}

/// Whether a wake would come to nothing: the waker is that of a task of `home`, and the task is over.
pub(crate) fn is_spent(waker: &Waker, home: &LocalHome) -> bool {
    // SAFETY: a waker is a reference, so the header is alive for as long as `waker` is borrowed.
    header_of(waker, home).is_some_and(|header| unsafe { header.as_ref().has(DONE) })
}

/// The task of `home` that a waker wakes, if it is one of those.
pub(crate) fn task_of(waker: &Waker, home: &LocalHome) -> Option<TaskId> {
    // SAFETY: a waker is a reference, so the header is alive for as long as `waker` is borrowed.
    header_of(waker, home).map(|header| unsafe { header.as_ref().id })
}

fn header_of(waker: &Waker, home: &LocalHome) -> Option<NonNull<Header>> {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return None;
    }
    // SAFETY: of our table, so made by `borrowed` or `clone`; a waker is a reference, so the header is
    // alive for as long as `waker` is borrowed.
    let header = unsafe { header(waker.data()) };
    // The state is its owner's thread's. A `LocalHome` is on that thread.
    // SAFETY: as above.
    unsafe { ptr::eq(header.as_ref().home.as_ptr(), Arc::as_ptr(home)) }.then_some(header)
}

/// # Safety
/// `data` was made by `borrowed`, or by `clone` from one that was.
unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: made from a `NonNull`.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

/// As `Waker::clone`, where most are ours.
#[inline]
pub(super) fn cloned(waker: &Waker) -> Waker {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return waker.clone();
    }
    // SAFETY: of our table, and alive as long as `waker` is borrowed.
    unsafe {
        count_one(waker.data());
        Waker::new(waker.data(), &VTABLE)
    }
}

/// As `Waker::wake`, where it is one of ours, which throws nothing: what a host's waker throws, the ring keeps; gives back any
/// other.
#[inline]
pub(super) fn wake_if_ours(waker: Waker) -> Option<Waker> {
    if !ptr::eq(waker.vtable(), &VTABLE) {
        return Some(waker);
    }
    // SAFETY: of our table; its reference is given away with it.
    unsafe { wake(ManuallyDrop::new(waker).data()) };
    None
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: by the table's contract.
    unsafe { count_one(data) };
    RawWaker::new(data, &VTABLE)
}

#[inline]
unsafe fn count_one(data: *const ()) {
    // SAFETY: a waker is a reference, so the header is alive. The running loop is on its owner's
    // thread.
    unsafe {
        let head = header(data).as_ref();
        match head.home.at_home() {
            Some(_) => head.refs.add_own(),
            None => head.refs.add(),
        }
    }
}

#[inline]
unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's reference is ours to give. The running loop is on its owner's thread.
    unsafe {
        let header = header(data);
        match header.as_ref().home.at_home() {
            Some(local) => {
                life::schedule(header, local);
                custody::release_own(header);
            }
            None => custody::post_owned(header, Errand::Wake),
        }
    }
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: as `wake`, and the waker keeps its reference.
    unsafe {
        let header = header(data);
        match header.as_ref().home.at_home() {
            Some(local) => life::schedule(header, local),
            None => custody::post_shared(header, Errand::Wake),
        }
    }
}

unsafe fn release(data: *const ()) {
    // SAFETY: the waker's reference is given up. The running loop is on its owner's thread.
    unsafe {
        let header = header(data);
        match header.as_ref().home.at_home() {
            Some(_) => custody::release_own(header),
            None => custody::release(header),
        }
    }
}
