//! Who of a scope was woken, in order: what the wakers of its children, on any thread, have in common
//! with the task that polls them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

/// The bells of a scope, and the list of those that were rung.
pub(super) struct Bells {
    /// Sends without a lock.
    rung: Sender<u64>,
    /// The scope's task was woken, or is at it.
    awake: AtomicBool,
    /// Whom to wake. The lock is taken once for each poll of the scope's task and once for each time it
    /// is woken, and for a few instructions: no waker is cloned, woken or dropped meanwhile.
    sleeper: Mutex<Option<Waker>>,
}

/// A child's waker: rings once, until the child is polled.
pub(super) struct Bell {
    /// Never used again by another child: a bell that is rung late calls nobody.
    number: u64,
    rung: AtomicBool,
    bells: Arc<Bells>,
}

impl Bells {
    pub(super) fn new() -> (Arc<Self>, Receiver<u64>) {
        let (rung, calls) = mpsc::channel();
        let bells = Bells { rung, awake: AtomicBool::new(true), sleeper: Mutex::new(None) };
        (Arc::new(bells), calls)
    }

    pub(super) fn hang(self: &Arc<Self>, number: u64) -> Arc<Bell> {
        Arc::new(Bell { number, rung: AtomicBool::new(false), bells: Arc::clone(self) })
    }

    /// From here on a bell wakes `cx`; those that were rung before are in the list by now.
    pub(super) fn listen(&self, cx: &mut Context<'_>) {
        let known = self.take_sleeper();
        let sleeper = match known {
            Some(known) if known.will_wake(cx.waker()) => known,
            other => {
                let fresh = cx.waker().clone();
                drop(other);
                fresh
            }
        };
        *self.sleeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(sleeper);
        self.awake.swap(false, Ordering::AcqRel);
    }

    /// Nobody listens any more.
    pub(super) fn take_sleeper(&self) -> Option<Waker> {
        self.sleeper.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Bell {
    /// The child is about to be polled: it sees what was done before each ring so far, and the next
    /// one calls again.
    pub(super) fn answer(&self) {
        self.rung.swap(false, Ordering::AcqRel);
    }

    pub(super) fn ring(&self) {
        // A read-modify-write also where it was rung already: the poll to come must see what was done
        // before this ring, too.
        if self.rung.swap(true, Ordering::AcqRel) {
            return;
        }
        // Refused once the scope is gone.
        let _ = self.bells.rung.send(self.number);
        if !self.bells.awake.swap(true, Ordering::AcqRel) {
            if let Some(sleeper) = self.bells.take_sleeper() {
                sleeper.wake();
            }
        }
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}
