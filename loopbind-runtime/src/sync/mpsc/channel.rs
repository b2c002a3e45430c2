//! What the two ends of a channel share.
//!
//! As in [`Queue`](crate::sync::Queue), somebody waits for a place only where each is taken or promised
//! whenever user code runs. A place is promised to who was called from the line, until it comes; or to a
//! permit, until that is used.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::{Receiver, Sender};
use crate::sync::line::{Line, Served};
use crate::sync::waker_slot::WakerSlot;

pub(super) fn new<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Rc::new(Channel {
        first: Cell::new(None),
        items: RefCell::new(VecDeque::new()),
        capacity,
        len: Cell::new(0),
        permits: Cell::new(0),
        senders: Cell::new(0),
        life: Cell::new(Life::Open),
        receiver: WakerSlot::new(),
        places: Line::new(),
        closed: Line::new(),
    });
    (Sender::of(Rc::clone(&channel)), Receiver { channel, is_done: false })
}

pub(super) struct Channel<T> {
    /// The item that came when there was no other, as most do where the receiver waits for them. It comes
    /// before those in `items`.
    first: Cell<Option<T>>,
    items: RefCell<VecDeque<T>>,
    /// `usize::MAX` where there is no bound.
    pub(super) capacity: usize,
    len: Cell<usize>,
    /// Places kept for permits.
    permits: Cell<usize>,
    senders: Cell<usize>,
    life: Cell<Life>,
    receiver: WakerSlot,
    /// Who waits for a place.
    places: Line,
    /// Who waits for the receiver to lose interest.
    pub(super) closed: Line,
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Open,
    /// The receiver wants nothing new; what is there, and what permits were given for, it still takes.
    Closed,
    /// The receiver is gone.
    Abandoned,
}

impl<T> Channel<T> {
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len.get()
    }

    #[inline]
    pub(super) fn is_closed(&self) -> bool {
        self.life.get() != Life::Open
    }

    /// Whether there is a place that nobody was promised.
    #[inline]
    pub(super) fn has_place(&self) -> bool {
        let promised = self.places.called() + self.permits.get();
        self.len.get() + promised < self.capacity
    }

    /// Gives `true` once there is a place for who asked, to be taken at once; `false` if the channel is
    /// closed.
    pub(super) async fn place(&self) -> bool {
        loop {
            if self.is_closed() {
                return false;
            }
            if self.has_place() {
                return true;
            }
            let served = self.places.turn(|| self.has_place() || self.is_closed()).await;
            if served == Served::Yes {
                return !self.is_closed();
            }
        }
    }

    /// Puts an item into a place that nobody else was promised.
    #[inline]
    pub(super) fn push(&self, item: T) {
        if self.len.get() > 0 {
            return self.push_behind(item);
        }
        self.first.set(Some(item));
        self.len.set(1);
        self.receiver.wake();
    }

    #[inline(never)]
    fn push_behind(&self, item: T) {
        self.items.borrow_mut().push_back(item);
        self.len.set(self.len.get() + 1);
        self.receiver.wake();
    }

    pub(super) fn keep_place(&self) {
        self.permits.set(self.permits.get() + 1);
    }

    /// Uses a place that was kept. The item comes back where the receiver is gone.
    pub(super) fn push_kept(&self, item: T) -> Result<(), T> {
        self.permits.set(self.permits.get() - 1);
        if self.life.get() == Life::Abandoned {
            return Err(item);
        }
        self.push(item);
        Ok(())
    }

    pub(super) fn give_up_kept(&self) {
        self.permits.set(self.permits.get() - 1);
        self.serve();
        if self.is_closed() && self.permits.get() == 0 {
            // It may have been the last thing that could come.
            self.receiver.wake();
        }
    }

    fn serve(&self) {
        self.places.serve(|| self.has_place());
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<T> {
        if self.len.get() == 0 {
            return None;
        }
        let item = match self.first.take() {
            Some(item) => item,
            None => self.items.borrow_mut().pop_front()?,
        };
        self.len.set(self.len.get() - 1);
        if self.places.waiting() > 0 && self.has_place() {
            return self.serve_with(item);
        }
        Some(item)
    }

    /// An item is out, and its place is another's. If a waker throws, the item goes back.
    #[cold]
    #[inline(never)]
    fn serve_with(&self, item: T) -> Option<T> {
        struct Back<'a, T>(&'a Channel<T>, Option<T>);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                if let Some(item) = self.1.take() {
                    // One that came meanwhile comes after it.
                    if let Some(next) = self.0.first.replace(Some(item)) {
                        self.0.items.borrow_mut().push_front(next);
                    }
                    self.0.len.set(self.0.len.get() + 1);
                }
            }
        }
        let mut back = Back(self, Some(item));
        self.serve();
        back.1.take()
    }

    /// Whether anything can come still.
    #[inline]
    pub(super) fn is_fed(&self) -> bool {
        (self.senders.get() > 0 && !self.is_closed()) || self.permits.get() > 0
    }

    #[inline]
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.len.get() == 0 {
            return self.poll_empty(cx);
        }
        Poll::Ready(self.pop())
    }

    /// Nothing is here.
    #[inline]
    fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if !self.is_fed() {
            return Poll::Ready(None);
        }
        if self.receiver.is_set_for(cx) {
            return Poll::Pending;
        }
        self.poll_unknown(cx)
    }

    /// To clone a waker is user code, which may have brought something, or the end.
    #[cold]
    #[inline(never)]
    fn poll_unknown(&self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.receiver.set(cx);
        match self.pop() {
            Some(item) => Poll::Ready(Some(item)),
            None if !self.is_fed() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    pub(super) fn close(&self) {
        if self.life.get() == Life::Open {
            self.life.set(Life::Closed);
            self.dismiss();
        }
    }

    /// The receiver goes. What it has not received is dropped here, last of all.
    pub(super) fn abandon(&self) {
        self.life.set(Life::Abandoned);
        self.len.set(0);
        let _unreceived = mem::take(&mut *self.items.borrow_mut());
        let _first = self.first.take();
        let _waker = self.receiver.take();
        self.dismiss();
    }

    /// All who wait for a place, then all who wait for this, hear that the channel is closed.
    fn dismiss(&self) {
        struct Rest<'a>(&'a Line);
        impl Drop for Rest<'_> {
            fn drop(&mut self) {
                self.0.dismiss();
            }
        }
        // Also if a waker of the first throws.
        let _closed = Rest(&self.closed);
        self.places.dismiss();
    }

    pub(super) fn senders(&self) -> usize {
        self.senders.get()
    }

    #[inline]
    pub(super) fn add_sender(&self) {
        self.senders.set(self.senders.get() + 1);
    }

    #[inline]
    pub(super) fn remove_sender(&self) {
        self.senders.set(self.senders.get() - 1);
        if self.senders.get() == 0 {
            self.receiver.wake();
        }
    }
}
