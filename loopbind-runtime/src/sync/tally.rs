//! Wakers that are kept by what cannot leave its thread, counted: while that thread sleeps nobody can use
//! them. A loop that may be dead asks for the number.
//!
//! Whose wakers are counted, and where, is decided where wakers are made, which is no business of this floor.

use std::sync::OnceLock;
use std::task::Waker;

/// What happened to a waker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tally {
    Kept,
    LetGo,
}

static COUNTER: OnceLock<fn(&Waker, Tally)> = OnceLock::new();

/// Names who counts, once for the process: with nobody who wants to know, nothing is counted.
pub(crate) fn count_by(counter: fn(&Waker, Tally)) {
    // Refused: it is known already.
    let _ = COUNTER.set(counter);
}

/// Whether anybody does.
pub(crate) fn is_counting() -> bool {
    COUNTER.get().is_some()
}

/// The waker, once it is counted.
#[inline]
pub(super) fn counted(waker: Waker, tally: Tally) -> Waker {
    match COUNTER.get() {
        None => waker,
        Some(counter) => count(waker, tally, *counter),
    }
}

/// By value, so that the waker of who is not counted need not have an address.
#[cold]
#[inline(never)]
fn count(waker: Waker, tally: Tally, counter: fn(&Waker, Tally)) -> Waker {
    counter(&waker, tally);
    waker
}
