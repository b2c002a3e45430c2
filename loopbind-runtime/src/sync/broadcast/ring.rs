//! The items that somebody has still to receive.
//!
//! Each is in an `Rc`, so that it can be cloned, which is user code, while nothing is borrowed: who clones
//! it has a share. The boxes are used again, so nothing is allocated for an item once the ring has been as
//! full before.
//!
//! A receiver receives all from its position on, so an item has at most as many left to receive it as those
//! behind it: the items that nobody has to receive any more are always at the front, and leave at once.

use std::collections::VecDeque;
use std::rc::Rc;

pub(super) struct Ring<T> {
    slots: VecDeque<Slot<T>>,
    capacity: usize,
    /// The position of the first slot: how many items have left.
    head: u64,
    /// Empty boxes that nobody else has a share in.
    spare: Vec<Rc<Option<T>>>,
}

struct Slot<T> {
    item: Rc<Option<T>>,
    /// How many receivers have still to receive it.
    left: usize,
}

pub(super) enum Received<T> {
    /// By the last one.
    Item(T),
    /// Others will want it: to be cloned.
    Share(Rc<Option<T>>),
    Lagged(u64),
    Nothing,
}

impl<T> Ring<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Ring { slots: VecDeque::new(), capacity, head: 0, spare: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The position of the next item to be sent.
    pub(super) fn tail(&self) -> u64 {
        self.head + self.slots.len() as u64
    }

    /// How many items there are from `position` on.
    pub(super) fn len_from(&self, position: u64) -> u64 {
        self.tail() - position.max(self.head)
    }

    /// Adds an item for `receivers` of them. The one that made room comes out, to be dropped where nothing is
    /// borrowed.
    pub(super) fn push(&mut self, item: T, receivers: usize) -> Option<Received<T>> {
        let overwritten = if self.slots.len() == self.capacity { self.pop_front() } else { None };
        let mut place = self.spare.pop().unwrap_or_default();
        match Rc::get_mut(&mut place) {
            Some(place) => *place = Some(item),
            None => place = Rc::new(Some(item)),
        }
        self.slots.push_back(Slot { item: place, left: receivers });
        overwritten
    }

    /// What is at `position`, which moves on.
    #[inline]
    pub(super) fn receive(&mut self, position: &mut u64) -> Received<T> {
        if *position < self.head {
            let missed = self.head - *position;
            *position = self.head;
            return Received::Lagged(missed);
        }
        // Within the ring it fits.
        let Some(slot) = self.slots.get_mut((*position - self.head) as usize) else {
            return Received::Nothing;
        };
        *position += 1;
        slot.left -= 1;
        if slot.left > 0 {
            return Received::Share(Rc::clone(&slot.item));
        }
        // Nobody has to receive those before it either: it is the first.
        self.pop_front().unwrap_or(Received::Nothing)
    }

    /// A receiver at `position` goes. What nobody has to receive any more comes out.
    pub(super) fn unsubscribe(&mut self, position: u64) -> Vec<Received<T>> {
        let from = position.saturating_sub(self.head) as usize;
        for slot in self.slots.iter_mut().skip(from) {
            slot.left -= 1;
        }
        let mut out = Vec::new();
        while self.slots.front().is_some_and(|slot| slot.left == 0) {
            out.extend(self.pop_front());
        }
        out
    }

    fn pop_front(&mut self) -> Option<Received<T>> {
        let mut item = self.slots.pop_front()?.item;
        self.head += 1;
        let Some(place) = Rc::get_mut(&mut item) else {
            // It is just being cloned, and dropped by who does that, or here.
            return Some(Received::Share(item));
        };
        let taken = place.take().map(Received::Item);
        if self.spare.len() < self.capacity {
            self.spare.push(item);
        }
        taken
    }
}
