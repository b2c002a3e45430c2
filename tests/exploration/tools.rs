//! What the programs wait with: small, and without a memory of its own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::yield_now;

/// Work that takes some steps.
pub(crate) async fn steps(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Whether it was rung for who waits, and who that is.
type Waiting = (Rc<Cell<bool>>, Waker);

/// A condition variable: it wakes who waits, and remembers nothing for who does not yet.
#[derive(Clone, Default)]
pub(crate) struct Bell {
    waiting: Rc<RefCell<VecDeque<Waiting>>>,
}

impl Bell {
    /// Until the next ring after the first poll.
    pub(crate) async fn heard(&self) {
        let rung = Rc::new(Cell::new(false));
        let mut waits = false;
        poll_fn(|cx| {
            if rung.get() {
                return Poll::Ready(());
            }
            if !waits {
                waits = true;
                self.waiting.borrow_mut().push_back((Rc::clone(&rung), cx.waker().clone()));
            }
            Poll::Pending
        })
        .await;
    }

    /// Wakes who has waited longest.
    pub(crate) fn ring_one(&self) {
        let first = self.waiting.borrow_mut().pop_front();
        if let Some((rung, waker)) = first {
            rung.set(true);
            waker.wake();
        }
    }

    pub(crate) fn ring(&self) {
        let all = self.waiting.take();
        for (rung, waker) in all {
            rung.set(true);
            waker.wake();
        }
    }
}

/// So many may have one at a time.
#[derive(Clone)]
pub(crate) struct Permits {
    left: Rc<Cell<usize>>,
    given_back: Bell,
}

impl Permits {
    pub(crate) fn new(count: usize) -> Self {
        Permits { left: Rc::new(Cell::new(count)), given_back: Bell::default() }
    }

    pub(crate) async fn take(&self) {
        while self.left.get() == 0 {
            self.given_back.heard().await;
        }
        self.left.set(self.left.get() - 1);
    }

    pub(crate) fn give_back(&self) {
        self.left.set(self.left.get() + 1);
        self.given_back.ring();
    }
}
