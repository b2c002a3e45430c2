//! The life of a task, written down before the code.
//!
//! Two words. `State` belongs to the loop's thread alone and is a plain cell; `refs` is atomic and
//! is all that other threads ever touch.
//!
//! ```text
//!              spawn                pop, poll → Pending
//!   (none) ───────────▶ SCHEDULED ─────────────────────▶ (idle) ──┐
//!                           ▲ ▲                                    │ wake, cancel
//!                           │ └────────────────────────────────────┘
//!                           │ wake during the poll
//!                     (being polled, and SCHEDULED)
//!
//!   pop, poll → Ready or panic ─────────────────▶ DONE, outcome stored
//!   pop with CANCEL, no listener ── drop ───────▶ DONE, `Cancelled`
//!   pop with CANCEL, listeners ─── tell, poll ──▶ as any poll, TOLD
//!   close ───────────────────────── drop ───────▶ DONE, `Cancelled`
//! ```
//!
//! | bit | set by | cleared by | promises |
//! |---|---|---|---|
//! | `SCHEDULED` | `schedule` | `run`, before the poll | the task is in the ready list, once |
//! | `CALLED` | `run` | never | a callback whose closure was taken out, to be called |
//! | `CANCEL` | `cancel`, `abort` | telling the listeners; `DONE` | the next turn drops or tells |
//! | `ABORT` | `abort` | `DONE` | the next turn drops, listeners or not |
//! | `TOLD` | telling the listeners | never | the task knows, and ends by itself |
//! | `DONE` | `settle` | never | the future is gone, the outcome was stored |
//! | `HANDLE` | birth | the `Task` handle's end | somebody may still want the outcome |
//! | `AWAITED` | the handle's `poll` → Pending | never | dropping the handle cancels |
//! | `TAKEN` | the outcome's leaving | never | the outcome is no longer in the cell |
//! | `DETACHED` | `Task::detach` | never | meant to outlive whoever started it |
//! | `CALLBACK` | birth | never | a callback: no task to the eyes of users |
//! | `ROOT` | birth | never | the main future of a run; queued again when done, to stop it |
//! | `NEW` | birth on another thread | arrival | not yet counted among the loop's tasks |
//! | `FAILED` | the panic | never | the outcome is a panic |
//! | `CONTEXT` | birth, `task::context` | its end | it may have a context: what it starts looks for it |
//! | `REMOTE` | the first reference that may leave the thread | never | the end is to be shown in `refs`, too |
//!
//! The loop holds one reference to a task until it is `DONE` and not `SCHEDULED`.

use std::sync::atomic::{AtomicUsize, Ordering};

pub(crate) type State = u32;

pub(crate) const SCHEDULED: State = 1 << 0;
pub(crate) const CALLED: State = 1 << 1;
pub(crate) const CANCEL: State = 1 << 3;
pub(crate) const ABORT: State = 1 << 4;
pub(crate) const TOLD: State = 1 << 5;
pub(crate) const DONE: State = 1 << 6;
pub(crate) const HANDLE: State = 1 << 7;
pub(crate) const AWAITED: State = 1 << 8;
pub(crate) const TAKEN: State = 1 << 9;
pub(crate) const DETACHED: State = 1 << 10;
pub(crate) const CALLBACK: State = 1 << 11;
pub(crate) const ROOT: State = 1 << 12;
pub(crate) const NEW: State = 1 << 13;
pub(crate) const CONTEXT: State = 1 << 14;
pub(crate) const REMOTE: State = 1 << 15;
pub(crate) const FAILED: State = 1 << 16;

/// References, and what other threads have to say, in one word.
///
/// `QUEUED`: the task is in the inbox, or on its way there, with a reference of its own. Who sets
/// it posts; who finds it set need not, because the taking clears it before it acts. Setting it is
/// a read-modify-write also when it was set already: the poll to come must see what was written
/// before this wake, too.
///
/// `ASKED`: another thread wants the task cancelled, and `FORCED`: without a say. Both are set together
/// with `QUEUED`, in one step, so that the post that takes them along is on its way or yet to be taken
/// in; they are read when it is.
///
/// `OVER`: the task is `DONE`. Set once, by the owner, of a task that other threads may ask for it
/// (`REMOTE`), after its future was dropped; never cleared.
#[derive(Debug)]
pub(crate) struct Refs(AtomicUsize);

const QUEUED: usize = 1;
const ASKED: usize = 2;
const FORCED: usize = 4;
const OVER: usize = 8;
const ONE: usize = 16;

/// Half of what fits: a program that forgets wakers in a loop ends here, not in a wrapped count.
const LIMIT: usize = usize::MAX / 2;

/// What a posted task was sent for.
pub(crate) enum Errand {
    Wake,
    Cancel,
    Abort,
}

impl Refs {
    pub(crate) const fn new(count: usize) -> Self {
        Refs(AtomicUsize::new(count * ONE))
    }

    /// Born in another thread's hands and on its way to the inbox, which has one of them.
    pub(crate) const fn posted(count: usize) -> Self {
        Refs(AtomicUsize::new((count * ONE) | QUEUED))
    }

    #[inline]
    pub(crate) fn add(&self) {
        if self.0.fetch_add(ONE, Ordering::Relaxed) > LIMIT {
            std::process::abort();
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire) / ONE
    }

    /// Whether the caller's reference is the only one.
    #[inline]
    pub(crate) fn is_unique(&self) -> bool {
        self.count() == 1
    }

    /// True if this was the last one: the caller frees.
    #[inline]
    pub(crate) fn release(&self) -> bool {
        // Where the one reference left is the caller's, nobody can make another: a load will do,
        // and acquires what all the others released.
        if self.is_unique() {
            return true;
        }
        if self.0.fetch_sub(ONE, Ordering::Release) / ONE != 1 {
            return false;
        }
        // A load, not a fence: it orders as well here, and race detectors understand it.
        self.0.load(Ordering::Acquire);
        true
    }

    /// Another thread's errand: true if the caller must post.
    pub(crate) fn send(&self, errand: Errand) -> bool {
        let bits = match errand {
            Errand::Wake => QUEUED,
            Errand::Cancel => QUEUED | ASKED,
            Errand::Abort => QUEUED | ASKED | FORCED,
        };
        self.0.fetch_or(bits, Ordering::AcqRel) & QUEUED == 0
    }

    /// The post was taken in.
    pub(crate) fn arrive(&self) -> Errand {
        let bits = self.0.fetch_and(!(QUEUED | ASKED | FORCED), Ordering::AcqRel);
        match (bits & ASKED, bits & FORCED) {
            (_, FORCED) => Errand::Abort,
            (ASKED, _) => Errand::Cancel,
            _ => Errand::Wake,
        }
    }

    /// The task is done, and its future gone.
    pub(crate) fn end(&self) {
        self.0.fetch_or(OVER, Ordering::Release);
    }

    /// Whether it is, of a task that is `REMOTE`. Who sees it sees what the future's drop did.
    pub(crate) fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) & OVER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_release_frees() {
        let refs = Refs::new(1);
        refs.add();
        assert!(!refs.release() && refs.release());
    }

    #[test]
    fn one_post_for_many_errands_and_a_cancel_among_them_is_heard() {
        let refs = Refs::new(2);
        assert!(refs.send(Errand::Wake));
        assert!(!refs.send(Errand::Cancel) && !refs.send(Errand::Wake));
        assert!(matches!(refs.arrive(), Errand::Cancel));
        assert!(refs.send(Errand::Wake), "taken in: the next errand is posted again");
        assert!(matches!(refs.arrive(), Errand::Wake));
    }

    #[test]
    fn an_abort_is_heard_among_cancels_and_the_end_is_no_errand() {
        let refs = Refs::new(2);
        assert!(refs.send(Errand::Cancel));
        assert!(!refs.send(Errand::Abort) && !refs.send(Errand::Cancel) && !refs.is_over());
        refs.end();
        assert!(matches!(refs.arrive(), Errand::Abort) && refs.is_over());
        assert!(refs.send(Errand::Cancel));
        assert!(matches!(refs.arrive(), Errand::Cancel), "no abort is left over");
        assert!(refs.is_over() && !refs.release() && refs.release());
    }
}
