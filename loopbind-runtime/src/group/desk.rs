//! Where the tasks of a set say that they are over.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::gate::{Gate, Pass};
use super::waiter::Waiter;

#[derive(Default)]
pub(super) struct Desk {
    pub(super) gate: Gate,
    /// How many tasks there ever were.
    born: Cell<u64>,
    /// Those that are over, in order.
    pub(super) over: RefCell<VecDeque<u64>>,
    /// Who waits for the next one.
    waiter: Waiter,
}

impl Desk {
    /// A seat for a task that is about to be started, and its number.
    pub(super) fn seat(self: &Rc<Self>) -> (u64, Seat) {
        let number = self.born.get();
        self.born.set(number + 1);
        (number, Seat { desk: Rc::clone(self), number, pass: Pass::Outside })
    }

    pub(super) fn forget(&self) {
        self.waiter.forget();
    }

    fn is_over(&self, number: u64) {
        self.over.borrow_mut().push_back(number);
        self.waiter.wake();
    }

    pub(super) fn watch(&self, cx: &mut Context<'_>) {
        self.waiter.watch(cx);
    }
}

pin_project! {
    /// A task of a set. Fields drop in this order: the future is gone before the set hears of it.
    pub(super) struct Member<F> {
        #[pin]
        future: F,
        seat: Seat,
    }
}

/// Taken by a task until its future is gone.
pub(super) struct Seat {
    desk: Rc<Desk>,
    number: u64,
    pass: Pass,
}

impl<F> Member<F> {
    pub(super) fn new(future: F, seat: Seat) -> Self {
        Member { future, seat }
    }
}

impl<F: Future> Future for Member<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        std::task::ready!(this.seat.desk.gate.poll_enter(&mut this.seat.pass, cx));
        this.future.poll(cx)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.desk.gate.leave(std::mem::replace(&mut self.pass, Pass::Outside));
        self.desk.is_over(self.number);
    }
}
