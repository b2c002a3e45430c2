//! Deadlines in order: an exact four-way heap, ties by order of creation.
//!
//! An entry of the heap is 24 bytes and carries the whole key, so that comparing touches nothing
//! else; a slot remembers where its entry stands, so that cancelling is a true removal: a timer
//! that was cancelled costs nothing afterwards, in the heap or in memory.

use crate::clock::Tick;

const ARITY: usize = 4;

/// Below this many slots a heap that ran empty keeps its memory.
const KEEP: usize = 64;

#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    free: Option<u32>,
    next_seq: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    deadline: Tick,
    seq: u64,
    slot: u32,
}

impl Entry {
    fn key(&self) -> (Tick, u64) {
        (self.deadline, self.seq)
    }
}

#[derive(Debug)]
enum Slot<T> {
    Taken { seq: u64, position: u32, value: T },
    Free { next: Option<u32> },
}

/// Names one timer for ever: its sequence number is never given out again, so that a late cancel
/// cannot reach the slot's next tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    slot: u32,
    seq: u64,
}

impl<T> Timers<T> {
    pub(crate) const fn new() -> Self {
        Timers { heap: Vec::new(), slots: Vec::new(), free: None, next_seq: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// What waits, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Taken { value, .. } => Some(value),
            Slot::Free { .. } => None,
        })
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Tick> {
        self.heap.first().map(|entry| entry.deadline)
    }

    pub(crate) fn insert(&mut self, deadline: Tick, value: T) -> TimerKey {
        let seq = self.next_seq;
        self.next_seq += 1;
        let position = self.heap.len() as u32;
        let tenant = Slot::Taken { seq, position, value };
        let slot = match self.free {
            Some(slot) => {
                let Slot::Free { next } = std::mem::replace(&mut self.slots[slot as usize], tenant)
                else {
                    unreachable!("the free list names free slots only")
                };
                self.free = next;
                slot
            }
            None => {
                let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 timers at once");
                self.slots.push(tenant);
                slot
            }
        };
        self.heap.push(Entry { deadline, seq, slot });
        self.rise(position as usize);
        TimerKey { slot, seq }
    }

    /// Takes the timer out, if it is still waiting.
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let position = self.position(key)?;
        Some(self.take(position))
    }

    /// What a waiting timer holds.
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        match self.slots.get_mut(key.slot as usize) {
            Some(Slot::Taken { seq, value, .. }) if *seq == key.seq => Some(value),
            _ => None,
        }
    }

    /// Takes out the earliest timer if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Tick) -> Option<T> {
        (self.next()? <= now).then(|| self.take(0))
    }

    /// Takes out the earliest timer, due or not.
    pub(crate) fn pop(&mut self) -> Option<T> {
        (!self.heap.is_empty()).then(|| self.take(0))
    }

    fn position(&self, key: TimerKey) -> Option<usize> {
        match self.slots.get(key.slot as usize) {
            Some(Slot::Taken { seq, position, .. }) if *seq == key.seq => Some(*position as usize),
            _ => None,
        }
    }

    fn take(&mut self, position: usize) -> T {
        let entry = self.heap.swap_remove(position);
        if position < self.heap.len() {
            // The entry moved here came from the end: it may belong higher up as well as deeper.
            self.settle(position);
            self.rise(position);
            self.sink(position);
        }
        let slot =
            std::mem::replace(&mut self.slots[entry.slot as usize], Slot::Free { next: self.free });
        self.free = Some(entry.slot);
        if self.heap.is_empty() && self.slots.len() > KEEP {
            // Sequence numbers, not slots, tell timers apart: the whole table can go.
            (self.heap, self.slots, self.free) = (Vec::new(), Vec::new(), None);
        }
        match slot {
            Slot::Taken { value, .. } => value,
            Slot::Free { .. } => unreachable!("an entry of the heap names a taken slot"),
        }
    }

    fn rise(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.heap[parent].key() <= self.heap[position].key() {
                break;
            }
            self.heap.swap(parent, position);
            self.settle(position);
            position = parent;
        }
        self.settle(position);
    }

    fn sink(&mut self, mut position: usize) {
        loop {
            let first = position * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child].key()) else {
                break;
            };
            if self.heap[position].key() <= self.heap[least].key() {
                break;
            }
            self.heap.swap(position, least);
            self.settle(position);
            position = least;
        }
        self.settle(position);
    }

    /// Tells the slot of the entry at `position` where its entry stands.
    fn settle(&mut self, position: usize) {
        let slot = self.heap[position].slot as usize;
        if let Slot::Taken { position: known, .. } = &mut self.slots[slot] {
            *known = position as u32;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn equal_deadlines_come_out_in_order_of_creation() {
        let mut timers = Timers::new();
        for i in 0..1000 {
            timers.insert(7, i);
        }
        let order: Vec<i32> = std::iter::from_fn(|| timers.pop_due(7)).collect();
        assert_eq!(order, (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_stale_key_reaches_no_later_tenant() {
        let mut timers = Timers::new();
        let key = timers.insert(1, "first");
        assert_eq!(timers.remove(key), Some("first"));
        let next = timers.insert(2, "second");
        assert_eq!(next.slot, key.slot, "the slot was used again, or this test tests nothing");
        assert_eq!(timers.remove(key), None);
        assert_eq!(timers.get_mut(key), None);
        assert_eq!(timers.pop_due(2), Some("second"));
    }

    #[test]
    fn cancelled_timers_leave_no_memory_behind() {
        let mut timers = Timers::new();
        let keys: Vec<_> = (0..10_000).map(|i| timers.insert(i, i)).collect();
        for key in keys {
            timers.remove(key);
        }
        assert_eq!((timers.heap.capacity(), timers.slots.capacity()), (0, 0));
    }

    /// Random inserts, removals and expiries beside an ordered map that cannot be wrong.
    #[test]
    fn agrees_with_an_ordered_map() {
        let mut random = 0x9e37_79b9_7f4a_7c15_u64;
        let mut draw = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut timers = Timers::new();
        let mut model: BTreeMap<(Tick, u64), u64> = BTreeMap::new();
        let mut keys: Vec<(TimerKey, (Tick, u64))> = Vec::new();
        for step in 0..60_000_u64 {
            match draw(8) {
                0..=3 => {
                    // Deadlines around the powers of two, and often equal.
                    let deadline = (1_i64 << draw(62)) + draw(3) as i64 - 1;
                    let key = timers.insert(deadline, step);
                    model.insert((deadline, key.seq), step);
                    keys.push((key, (deadline, key.seq)));
                }
                4..=5 if !keys.is_empty() => {
                    let (key, known) = keys.swap_remove(draw(keys.len() as u64) as usize);
                    assert_eq!(timers.remove(key), model.remove(&known));
                }
                _ => {
                    let now = 1_i64 << draw(62);
                    let due = model.first_entry().filter(|entry| entry.key().0 <= now);
                    assert_eq!(timers.pop_due(now), due.map(|entry| entry.remove()));
                }
            }
            assert_eq!(timers.len(), model.len());
            assert_eq!(timers.next(), model.first_key_value().map(|(key, _)| key.0));
        }
    }
}
