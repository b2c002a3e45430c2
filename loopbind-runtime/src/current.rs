//! RUNNING: which loop runs on this thread, as one word that outlives every destructor.
//!
//! The cell is const-made and has no destructor, so that a lookup works, and cannot panic, in
//! every phase of a thread's life: before anything else was touched and after everything else of
//! the thread was torn down. It holds the address of the running loop's home; an address names one
//! loop for as long as anything refers to it, which a thread's id or name does not.

use std::cell::Cell;
use std::ptr;

thread_local! {
    static RUNNING: Cell<*const ()> = const { Cell::new(ptr::null()) };
}

/// The running loop's home, or null.
#[inline]
pub(crate) fn running() -> *const () {
    RUNNING.get()
}

/// Whether `home` is that of the loop running on this thread.
#[inline]
pub(crate) fn is_running<T>(home: *const T) -> bool {
    ptr::eq(RUNNING.get(), home.cast())
}

/// In a forked child: nothing runs here any more, whatever the parent's thread was doing.
pub(crate) fn forget() {
    RUNNING.set(ptr::null());
}

/// Makes `home` the running one until the guard drops, which restores what was there before.
///
/// Call it after every check that may refuse the run: a guard that undoes what it did not do is
/// how CPython 3.13.0 lost its outer loop.
pub(crate) fn enter<T>(home: *const T) -> Entered {
    Entered { before: RUNNING.replace(home.cast()) }
}

#[must_use = "the loop is the running one until this drops"]
pub(crate) struct Entered {
    before: *const (),
}

impl Drop for Entered {
    fn drop(&mut self) {
        RUNNING.set(self.before);
    }
}
