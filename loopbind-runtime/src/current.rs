//! RUNNING: which loop runs on this thread, as one word that outlives every destructor.
//!
//! The cell is const-made and has no destructor, so that a lookup works, and cannot panic, in
//! every phase of a thread's life: before anything else was touched and after everything else of
//! the thread was torn down. It holds the address of the running loop's home; an address names one
//! loop for as long as anything refers to it, which a thread's id or name does not.
//!
//! Beside it, of the same kind, with the feature `tracing`, whether a subscriber is being told of something; and the place of the context that is current where no step of a loop has
//! one of its own. The thread's own, with a destructor, is touched by those alone who set a variable
//! outside of loops.

use std::cell::{Cell, OnceCell};
use std::ptr;
use std::rc::Rc;

use crate::context::Place;

#[cfg(feature = "faults")]
use crate::sys::fault::Plan;

thread_local! {
    static RUNNING: Cell<*const ()> = const { Cell::new(ptr::null()) };
    static CONTEXT: Cell<*const Place> = const { Cell::new(ptr::null()) };
    static OWN_CONTEXT: Own = const { Own(OnceCell::new()) };
}

#[cfg(feature = "faults")]
thread_local! {
    /// Which of this thread's calls to the system a test has fail. Read in signal handlers.
    static PLAN: Cell<Option<&'static Plan>> = const { Cell::new(None) };
}

#[cfg(feature = "faults")]
pub(crate) fn plan() -> Option<&'static Plan> {
    PLAN.get()
}

#[cfg(feature = "faults")]
pub(crate) fn replace_plan(plan: Option<&'static Plan>) -> Option<&'static Plan> {
    PLAN.replace(plan)
}

#[cfg(feature = "tracing")]
thread_local! {
    /// A subscriber is being told of something.
    static TELLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f` as what tells a subscriber, unless that is what called this.
#[cfg(feature = "tracing")]
pub(crate) fn telling<R>(f: impl FnOnce() -> R) -> Option<R> {
    struct Told;
    impl Drop for Told {
        fn drop(&mut self) {
            TELLING.set(false);
        }
    }
    if TELLING.replace(true) {
        return None;
    }
    let _told = Told;
    Some(f())
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

/// The context that is current whatever runs, or null.
#[inline]
pub(crate) fn context() -> *const Place {
    CONTEXT.get()
}

/// Makes `place` that context, and gives the one before: put that back before `place` goes.
#[inline]
pub(crate) fn replace_context(place: *const Place) -> *const Place {
    CONTEXT.replace(place)
}

/// The thread's own context, made if need be; null once the thread's storage is gone.
pub(crate) fn own_context() -> *const Place {
    OWN_CONTEXT.try_with(|own| Rc::as_ptr(own.0.get_or_init(Rc::default))).unwrap_or(ptr::null())
}

struct Own(OnceCell<Rc<Place>>);

impl Drop for Own {
    fn drop(&mut self) {
        let Some(place) = self.0.take() else { return };
        if !ptr::eq(CONTEXT.get(), Rc::as_ptr(&place)) {
            // The thread ends inside of something that goes back to it, by `process::exit`.
            std::mem::forget(place);
            return;
        }
        CONTEXT.set(ptr::null());
        // Nobody is there to receive what a destructor throws; the hook has printed it.
        let _ = place.clear();
    }
}
