//! Who may begin: at most so many at once, the others in the order in which they came.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::wake;
use crate::panic::discard;
use crate::sync::KeptWaker;

pub(super) struct Gate {
    limit: Cell<usize>,
    inside: Cell<usize>,
    /// By their numbers, which count up: the first came first.
    waiting: RefCell<BTreeMap<u64, Rc<Ticket>>>,
    next: Cell<u64>,
}

/// What somebody who waits has in hand.
pub(super) struct Ticket {
    /// Its turn has come: it counts as inside, though it may not know yet.
    called: Cell<bool>,
    waker: Cell<Option<KeptWaker>>,
}

/// Where somebody stands.
pub(super) enum Pass {
    Outside,
    Waiting(u64, Rc<Ticket>),
    Inside,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            limit: Cell::new(usize::MAX),
            inside: Cell::new(0),
            waiting: RefCell::default(),
            next: Cell::new(0),
        }
    }
}

impl Gate {
    /// More room lets in who waits; less sends nobody out.
    ///
    /// # Panics
    /// With a limit of zero: nobody would ever get in.
    #[track_caller]
    pub(super) fn set_limit(&self, limit: usize) {
        assert!(limit > 0, "a limit of 0 would let no child run: at least 1");
        self.limit.set(limit);
        self.call();
    }

    pub(super) fn poll_enter(&self, pass: &mut Pass, cx: &mut Context<'_>) -> Poll<()> {
        match pass {
            Pass::Inside => Poll::Ready(()),
            Pass::Outside if self.has_room() && self.waiting.borrow().is_empty() => {
                self.inside.set(self.inside.get() + 1);
                *pass = Pass::Inside;
                Poll::Ready(())
            }
            Pass::Outside => {
                let number = self.next.get();
                self.next.set(number + 1);
                let waker = Cell::new(Some(KeptWaker::of(cx)));
                let ticket = Rc::new(Ticket { called: Cell::new(false), waker });
                self.waiting.borrow_mut().insert(number, Rc::clone(&ticket));
                *pass = Pass::Waiting(number, ticket);
                Poll::Pending
            }
            Pass::Waiting(_, ticket) if ticket.called.get() => {
                *pass = Pass::Inside;
                Poll::Ready(())
            }
            Pass::Waiting(_, ticket) => {
                let waker = KeptWaker::of(cx);
                drop(ticket.waker.replace(Some(waker)));
                Poll::Pending
            }
        }
    }

    /// Somebody goes, from wherever it stood.
    pub(super) fn leave(&self, pass: Pass) {
        let was_inside = match pass {
            Pass::Outside => false,
            Pass::Inside => true,
            Pass::Waiting(number, ticket) => {
                self.waiting.borrow_mut().remove(&number);
                discard(ticket.waker.take());
                ticket.called.get()
            }
        };
        if was_inside {
            self.inside.set(self.inside.get() - 1);
            self.call();
        }
    }

    fn has_room(&self) -> bool {
        self.inside.get() < self.limit.get()
    }

    /// Lets in as many as there is room for. Wakers are the user's code: they are called one by one,
    /// with nothing borrowed.
    fn call(&self) {
        while self.has_room() {
            let Some((_, ticket)) = self.waiting.borrow_mut().pop_first() else { return };
            ticket.called.set(true);
            self.inside.set(self.inside.get() + 1);
            if let Some(waker) = ticket.waker.take() {
                wake(waker);
            }
        }
    }
}
