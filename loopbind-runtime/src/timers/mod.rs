//! Deadlines in order: an exact four-way heap, ties by order of setting.
//!
//! An entry of the heap is 24 bytes and carries the whole key, so that comparing touches nothing
//! else; a slot remembers where its entry stands, so that cancelling is a true removal: a timer
//! that was cancelled costs nothing afterwards, in the heap or in memory.
//!
//! A timer that is moved to a later deadline, as every time-out is that something came in time for,
//! is only written down in its slot. Its entry stands too early from then on, and is put right when it
//! has come to the front: no entry stands too late, so what is in front and in its place is the
//! earliest. Many such moves between two looks at the front cost one sorting.

#[cfg(test)]
mod model;

use crate::clock::{NEVER, Tick};

const ARITY: usize = 4;

/// Below this many slots a heap that ran empty keeps its memory.
const KEEP: usize = 64;

/// The first entries of the heap, three layers: enough to say whether many are close to the front.
const FRONT: usize = 1 + ARITY + ARITY * ARITY;

/// No slot: the end of the list of free ones.
const NONE: u32 = u32::MAX;

/// No timer's sequence number.
const FREE: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Timers<T> {
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    free: u32,
    next_seq: u64,
    /// How many entries stand too early.
    moved: usize,
    /// How many entries were put into a place, for tests that count instead of measuring.
    #[cfg(test)]
    placed: u64,
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
struct Slot<T> {
    deadline: Tick,
    seq: u64,
    /// Where its entry stands; of a free slot, which is the next free one.
    position: u32,
    /// Whether its entry stands too early, under a key that was its own before.
    is_moved: bool,
    value: Option<T>,
}

/// Names one timer, as it was set: its sequence number is never given out again, so that a late cancel
/// cannot reach the slot's next tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    slot: u32,
    seq: u64,
}

impl<T> Timers<T> {
    pub(crate) const fn new() -> Self {
        Timers {
            heap: Vec::new(),
            slots: Vec::new(),
            free: NONE,
            next_seq: 0,
            moved: 0,
            #[cfg(test)]
            placed: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.heap.len()
    }

    /// What waits, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    /// No deadline is earlier than this, though the earliest may be later; [`NEVER`] where there is none.
    #[inline]
    pub(crate) fn bound(&self) -> Tick {
        self.heap.first().map_or(NEVER, |entry| entry.deadline)
    }

    /// The earliest deadline; [`NEVER`] where there is none.
    pub(crate) fn next(&mut self) -> Tick {
        self.put_front_right();
        self.bound()
    }

    /// How many are due by `until`, of those in front: all of them, where they are few.
    pub(crate) fn crowd(&self, until: Tick) -> usize {
        let front = self.heap.iter().take(FRONT);
        front.filter(|entry| entry.deadline <= until && self.deadline_of(entry) <= until).count()
    }

    fn deadline_of(&self, entry: &Entry) -> Tick {
        self.slots[entry.slot as usize].deadline
    }

    /// All of it where it is called, so that what is waited for goes to its slot at once, and not by way of a
    /// place in memory out of which it is read wider than it was written: such a load waits.
    #[inline(always)]
    pub(crate) fn insert(&mut self, deadline: Tick, value: T) -> TimerKey {
        let seq = self.take_seq();
        let position = self.heap.len();
        let tenant =
            Slot { deadline, seq, position: position as u32, is_moved: false, value: Some(value) };
        let slot = match self.slots.get_mut(self.free as usize) {
            Some(place) => {
                let slot = self.free;
                self.free = place.position;
                *place = tenant;
                slot
            }
            None => self.add_slot(tenant),
        };
        self.heap.push(Entry { deadline, seq, slot });
        // Most stay at the end: what is set later is due later.
        if position > 0 && self.heap[(position - 1) / ARITY].deadline > deadline {
            self.rise(position);
        }
        TimerKey { slot, seq }
    }

    #[inline(never)]
    fn add_slot(&mut self, tenant: Slot<T>) -> u32 {
        let slot = u32::try_from(self.slots.len()).ok().filter(|&slot| slot != NONE);
        let slot = slot.expect("fewer than 2^32 timers at once");
        self.slots.push(tenant);
        slot
    }

    fn take_seq(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Moves a waiting timer to another deadline, as if it were set anew: of equal ones it is the last. It
    /// has another name from then on.
    #[inline]
    pub(crate) fn reset(&mut self, key: TimerKey, deadline: Tick) -> Option<TimerKey> {
        let seq = self.take_seq();
        let slot = self.slot(key)?;
        let is_later = deadline >= slot.deadline;
        (slot.deadline, slot.seq) = (deadline, seq);
        if !is_later {
            self.hasten(key.slot);
        } else if !slot.is_moved {
            slot.is_moved = true;
            self.moved += 1;
        }
        Some(TimerKey { slot: key.slot, seq })
    }

    /// Puts the entry of this slot, whose deadline became an earlier one, into its place, unless it still
    /// stands too early.
    fn hasten(&mut self, slot: u32) {
        let Slot { deadline, seq, position, is_moved, .. } = self.slots[slot as usize];
        let position = position as usize;
        let entry = Entry { deadline, seq, slot };
        if self.heap[position].key() > entry.key() {
            if is_moved {
                self.slots[slot as usize].is_moved = false;
                self.moved -= 1;
            }
            self.heap[position] = entry;
            self.rise(position);
        }
    }

    /// Takes the timer out, if it is still waiting.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        let position = self.slot(key)?.position;
        self.take(position as usize)
    }

    /// What a waiting timer holds.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: TimerKey) -> Option<&mut T> {
        self.slot(key)?.value.as_mut()
    }

    /// Takes out the earliest timer if it is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Tick) -> Option<T> {
        if self.heap.first()?.deadline > now || self.next() > now {
            return None;
        }
        self.take(0)
    }

    /// Takes out the earliest timer, due or not.
    pub(crate) fn pop(&mut self) -> Option<T> {
        self.put_front_right();
        if self.heap.is_empty() { None } else { self.take(0) }
    }

    #[inline]
    fn slot(&mut self, key: TimerKey) -> Option<&mut Slot<T>> {
        self.slots.get_mut(key.slot as usize).filter(|slot| slot.seq == key.seq)
    }

    #[inline]
    fn take(&mut self, position: usize) -> Option<T> {
        // Of what was set a moment ago no more is read than is needed: see `insert`.
        let number = self.heap[position].slot;
        if position + 1 == self.heap.len() {
            self.heap.truncate(position);
        } else {
            self.heap.swap_remove(position);
            self.fill(position);
        }
        let slot = &mut self.slots[number as usize];
        let value = slot.value.take();
        self.moved -= usize::from(slot.is_moved);
        (slot.seq, slot.position) = (FREE, self.free);
        self.free = number;
        if self.heap.is_empty() && self.slots.len() > KEEP {
            self.give_back();
        }
        value
    }

    /// What stands at `position` came from the end, and may belong higher up as well as deeper.
    fn fill(&mut self, position: usize) {
        let key = self.heap[position].key();
        if position > 0 && self.heap[(position - 1) / ARITY].key() > key {
            self.rise(position);
        } else {
            self.sink(position);
        }
    }

    /// Sequence numbers, not slots, tell timers apart: the whole table can go.
    #[cold]
    fn give_back(&mut self) {
        (self.heap, self.slots, self.free) = (Vec::new(), Vec::new(), NONE);
    }

    /// Until what is in front is in its place, puts it there.
    fn put_front_right(&mut self) {
        while let Some(front) = self.heap.first() {
            let slot = &mut self.slots[front.slot as usize];
            if !slot.is_moved {
                return;
            }
            // More than half: sorting all costs less than as many walks through the heap.
            if self.moved > self.heap.len() / 2 {
                return self.put_all_right();
            }
            slot.is_moved = false;
            self.moved -= 1;
            self.heap[0] = Entry { deadline: slot.deadline, seq: slot.seq, slot: front.slot };
            self.sink(0);
        }
    }

    #[cold]
    fn put_all_right(&mut self) {
        for entry in &mut self.heap {
            let slot = &mut self.slots[entry.slot as usize];
            slot.is_moved = false;
            (entry.deadline, entry.seq) = (slot.deadline, slot.seq);
        }
        self.moved = 0;
        let parents = self.heap.len().div_ceil(ARITY);
        for position in (0..parents).rev() {
            self.sink(position);
        }
    }

    /// Puts the entry at `position` where it belongs, there or above.
    fn rise(&mut self, mut position: usize) {
        let entry = self.heap[position];
        while position > 0 {
            let above = (position - 1) / ARITY;
            let parent = self.heap[above];
            if parent.key() <= entry.key() {
                break;
            }
            self.place(position, parent);
            position = above;
        }
        self.place(position, entry);
    }

    /// Puts the entry at `position` where it belongs, there or below.
    fn sink(&mut self, mut position: usize) {
        let entry = self.heap[position];
        loop {
            let first = position * ARITY + 1;
            let last = (first + ARITY).min(self.heap.len());
            let Some(least) = (first..last).min_by_key(|&child| self.heap[child].key()) else {
                break;
            };
            let child = self.heap[least];
            if entry.key() <= child.key() {
                break;
            }
            self.place(position, child);
            position = least;
        }
        self.place(position, entry);
    }

    #[inline]
    fn place(&mut self, position: usize, entry: Entry) {
        self.heap[position] = entry;
        self.slots[entry.slot as usize].position = position as u32;
        #[cfg(test)]
        {
            self.placed += 1;
        }
    }
}
