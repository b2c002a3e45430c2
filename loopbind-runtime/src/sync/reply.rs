//! An outcome on its way from a loop, or from a blocking job, to whoever waits for it anywhere.
//!
//! One sender, one receiver, one value. The receiver may await, block, or go away; whatever the
//! sender was not able to hand over comes back to it, so that nothing is lost unseen.
//!
//! A lock and not a protocol of its own: it is taken twice in the life of a reply, and each side
//! holds it for a few instructions. No waker is cloned, woken or dropped while it is held.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(crate) fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared =
        Arc::new(Shared { slot: Mutex::new(Slot::Waiting(None)), settled: Condvar::new() });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

struct Shared<T> {
    slot: Mutex<Slot<T>>,
    settled: Condvar,
}

enum Slot<T> {
    /// Nothing yet; the waker of who awaits it.
    Waiting(Option<Waker>),
    Settled(T),
    /// The value was taken, or will never be wanted.
    Over,
}

impl<T> Shared<T> {
    fn slot(&self) -> MutexGuard<'_, Slot<T>> {
        // Nothing panics while the lock is held.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settle(&self, value: T) -> Result<(), T> {
        let waiting = {
            let mut slot = self.slot();
            match &mut *slot {
                Slot::Waiting(waker) => {
                    let waker = waker.take();
                    *slot = Slot::Settled(value);
                    waker
                }
                Slot::Settled(_) | Slot::Over => return Err(value),
            }
        };
        self.settled.notify_all();
        if let Some(waker) = waiting {
            waker.wake();
        }
        Ok(())
    }
}

pub(crate) struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Hands `value` over, or gives it back where nobody wants it any more.
    pub(crate) fn settle(self, value: T) -> Result<(), T> {
        self.shared.settle(value)
    }
}

pub(crate) struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    pub(crate) fn is_settled(&self) -> bool {
        !matches!(*self.shared.slot(), Slot::Waiting(_))
    }

    /// Answers in the sender's place: what the sender brings later goes back to it.
    pub(crate) fn preempt(&self, value: T) -> Result<(), T> {
        self.shared.settle(value)
    }

    /// Ready with the value once it is there; pending for ever after it was taken.
    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<T> {
        // Cloned before and dropped after the lock: both are user code.
        let ours = cx.waker().clone();
        let stale;
        {
            let mut slot = self.shared.slot();
            if let Some(value) = take(&mut slot) {
                return Poll::Ready(value);
            }
            stale = match &mut *slot {
                Slot::Waiting(waker) => waker.replace(ours),
                _ => Some(ours),
            };
        }
        drop(stale);
        Poll::Pending
    }

    /// Blocks until the value is there. `None`: it was taken before.
    pub(crate) fn wait(&self) -> Option<T> {
        let mut slot = self.shared.slot();
        while matches!(*slot, Slot::Waiting(_)) {
            slot = self.shared.settled.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        take(&mut slot)
    }

    /// Blocks until the value is there or `limit` is over.
    pub(crate) fn wait_timeout(&self, limit: Duration) -> Option<T> {
        let Some(deadline) = Instant::now().checked_add(limit) else { return self.wait() };
        let mut slot = self.shared.slot();
        while matches!(*slot, Slot::Waiting(_)) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.shared.settled.wait_timeout(slot, left);
            slot = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        take(&mut slot)
    }

    /// Gives the value up; what had arrived unread comes out.
    pub(crate) fn abandon(&self) -> Option<T> {
        let before = std::mem::replace(&mut *self.shared.slot(), Slot::Over);
        match before {
            Slot::Settled(value) => Some(value),
            Slot::Waiting(_) | Slot::Over => None,
        }
    }
}

fn take<T>(slot: &mut Slot<T>) -> Option<T> {
    match std::mem::replace(slot, Slot::Over) {
        Slot::Settled(value) => Some(value),
        before => {
            *slot = before;
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_then_taken_once() {
        let (sender, receiver) = channel();
        assert!(!receiver.is_settled());
        sender.settle(5).unwrap();
        assert!(receiver.is_settled());
        assert_eq!((receiver.wait(), receiver.wait()), (Some(5), None));
    }

    #[test]
    fn what_nobody_wants_comes_back() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.abandon(), None);
        assert_eq!(sender.settle("late"), Err("late"));
        let (sender, receiver) = channel();
        sender.settle("unread").unwrap();
        assert_eq!(receiver.abandon(), Some("unread"));
        let (sender, receiver) = channel();
        receiver.preempt("mine").unwrap();
        assert_eq!(sender.settle("yours"), Err("yours"));
        assert_eq!(receiver.wait(), Some("mine"));
    }

    #[test]
    fn a_blocked_receiver_is_woken_and_a_hasty_one_goes() {
        let (sender, receiver) = channel();
        assert_eq!(receiver.wait_timeout(Duration::from_millis(1)), None);
        let waiting = std::thread::spawn(move || receiver.wait_timeout(Duration::MAX));
        sender.settle(9).unwrap();
        assert_eq!(waiting.join().unwrap(), Some(9));
    }
}
