//! Where a queue keeps its items, and which of them comes out next.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem;

use super::heap::Heap;

pub(super) enum Shelf<T> {
    Fifo(RefCell<VecDeque<T>>),
    Lifo(RefCell<Vec<T>>),
    Least(Heap<T>),
}

impl<T> Shelf<T> {
    #[inline]
    pub(super) fn push(&self, item: T) {
        match self {
            Shelf::Fifo(items) => items.borrow_mut().push_back(item),
            Shelf::Lifo(items) => items.borrow_mut().push(item),
            Shelf::Least(heap) => heap.push(item),
        }
    }

    /// `None` also where the items are just being compared.
    #[inline]
    pub(super) fn pop(&self) -> Option<T> {
        match self {
            Shelf::Fifo(items) => items.borrow_mut().pop_front(),
            Shelf::Lifo(items) => items.borrow_mut().pop(),
            Shelf::Least(heap) => heap.pop(),
        }
    }

    /// Puts what came out last back to where it was.
    pub(super) fn put_back(&self, item: T) {
        match self {
            Shelf::Fifo(items) => items.borrow_mut().push_front(item),
            Shelf::Lifo(items) => items.borrow_mut().push(item),
            Shelf::Least(heap) => heap.put_back(item),
        }
    }

    /// Items are just being compared, and none can come out.
    #[inline]
    pub(super) fn is_comparing(&self) -> bool {
        match self {
            Shelf::Fifo(_) | Shelf::Lifo(_) => false,
            Shelf::Least(heap) => heap.is_comparing(),
        }
    }

    /// All there is, in the order in which it was kept, to be dropped where nothing is borrowed.
    pub(super) fn take(&self) -> Vec<T> {
        match self {
            Shelf::Fifo(items) => mem::take(&mut *items.borrow_mut()).into(),
            Shelf::Lifo(items) => mem::take(&mut *items.borrow_mut()),
            Shelf::Least(heap) => heap.take(),
        }
    }
}
