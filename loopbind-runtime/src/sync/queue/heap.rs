//! Items of which the least comes out first, and of equal ones the first that came.
//!
//! To compare two items is user code. So the sorted ones are taken out of their cell while they are
//! compared, and new ones wait beside it, uncompared, until somebody wants the least. Everything is moved by
//! swaps: a comparison that panics loses nothing, and what it left half sorted is sorted anew.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::mem;

pub(super) struct Heap<T> {
    compare: fn(&T, &T) -> Ordering,
    sorted: RefCell<Vec<Entry<T>>>,
    unsorted: RefCell<Vec<Entry<T>>>,
    /// Number the entries in the order in which they came: up from zero, and down for those that went back.
    next: Cell<i64>,
    first: Cell<i64>,
    /// The sorted ones are out.
    is_comparing: Cell<bool>,
}

struct Entry<T> {
    item: T,
    number: i64,
}

impl<T: Ord> Heap<T> {
    pub(super) const fn new() -> Self {
        Heap {
            compare: T::cmp,
            sorted: RefCell::new(Vec::new()),
            unsorted: RefCell::new(Vec::new()),
            next: Cell::new(0),
            first: Cell::new(0),
            is_comparing: Cell::new(false),
        }
    }
}

impl<T> Heap<T> {
    pub(super) fn push(&self, item: T) {
        let number = self.next.get();
        self.next.set(number + 1);
        self.unsorted.borrow_mut().push(Entry { item, number });
    }

    /// Takes back what came out last: it comes before its equals again.
    pub(super) fn put_back(&self, item: T) {
        let number = self.first.get() - 1;
        self.first.set(number);
        self.unsorted.borrow_mut().push(Entry { item, number });
    }

    pub(super) fn is_comparing(&self) -> bool {
        self.is_comparing.get()
    }

    /// None can come out while some are compared: a comparison that asks for the least gets nothing.
    pub(super) fn pop(&self) -> Option<T> {
        if self.is_comparing() {
            return None;
        }
        let mut out = Out::of(self);
        while let Some(entry) = self.next_unsorted() {
            out.entries.push(entry);
            out.rise();
        }
        let least = out.sink();
        out.is_sorted = true;
        least
    }

    fn next_unsorted(&self) -> Option<Entry<T>> {
        self.unsorted.borrow_mut().pop()
    }

    /// Those that are being compared stay.
    pub(super) fn take(&self) -> Vec<T> {
        let mut entries = mem::take(&mut *self.sorted.borrow_mut());
        entries.append(&mut self.unsorted.borrow_mut());
        entries.into_iter().map(|entry| entry.item).collect()
    }
}

/// The sorted entries, out of their cell to be compared, until this drops.
struct Out<'a, T> {
    heap: &'a Heap<T>,
    entries: Vec<Entry<T>>,
    is_sorted: bool,
}

impl<'a, T> Out<'a, T> {
    fn of(heap: &'a Heap<T>) -> Self {
        heap.is_comparing.set(true);
        Out { heap, entries: mem::take(&mut *heap.sorted.borrow_mut()), is_sorted: false }
    }

    fn is_less(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.entries[one], &self.entries[other]);
        let order = (self.heap.compare)(&one.item, &other.item);
        order.then(one.number.cmp(&other.number)) == Ordering::Less
    }

    /// Puts the last entry in its place.
    fn rise(&mut self) {
        let mut at = self.entries.len() - 1;
        while at > 0 {
            let above = (at - 1) / 2;
            if !self.is_less(at, above) {
                break;
            }
            self.entries.swap(at, above);
            at = above;
        }
    }

    /// Takes the first entry out: it goes to the end, what was there to its place, and only then, with
    /// nothing left to compare, out of the heap.
    fn sink(&mut self) -> Option<T> {
        let end = self.entries.len().checked_sub(1)?;
        self.entries.swap(0, end);
        let mut at = 0;
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= end {
                break;
            }
            let below = if right < end && self.is_less(right, left) { right } else { left };
            if !self.is_less(below, at) {
                break;
            }
            self.entries.swap(at, below);
            at = below;
        }
        self.entries.pop().map(|entry| entry.item)
    }
}

impl<T> Drop for Out<'_, T> {
    fn drop(&mut self) {
        let to = if self.is_sorted { &self.heap.sorted } else { &self.heap.unsorted };
        let mut to = to.borrow_mut();
        if to.is_empty() {
            *to = mem::take(&mut self.entries);
        } else {
            to.append(&mut self.entries);
        }
        self.heap.is_comparing.set(false);
    }
}
