//! Schedule exploration: in which order what is ready runs, and what of it is put off, by a seed.
//!
//! A batch that is only reordered never lets one task take two steps before another takes its next:
//! whatever was ready with it has run by then. Some mistakes need just that. So while a main future
//! runs, a batch is also taken apart: a few of its entries run, and the rest stands in front of what
//! they add. Every order in which nobody is put off for ever can come about so; the bound on the
//! putting off is what keeps a task that waits by yielding from waiting in vain.
//!
//! Two strategies, by the seed's last bit, because they are good at different mistakes:
//!
//! * **Even: a walk.** Each entry that is ready is as likely as any other to be next. Good at short
//!   windows that many orders hit.
//! * **Odd: priorities.** Each task has one, drawn when it is first seen; the highest that is ready
//!   runs, again and again, and now and then is made the lowest. Good at orders in which one task
//!   gets a long way before another takes a step, which a walk nearly never does.
//!   (Burckhardt, Kothari, Musuvathi, Nagarakatte: A Randomized Scheduler with Probabilistic
//!   Guarantees of Finding Bugs, 2010.)
//!
//! The same seed draws the same numbers for the same program: nothing here depends on an address, a
//! clock, or how many tasks other loops have made.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use crate::ids::TaskId;
use crate::task::Entry;

/// One in so many of what is ready runs in a batch that is taken apart, one at least: with more than
/// this, one at a time would be a walk over all that is ready for each step.
const PORTION: usize = 64;

/// Priorities that are remembered, besides those of what is ready.
const REMEMBERED: usize = 4096;

/// How much of a batch is to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    /// All of it, in some order.
    Whole,
    /// Some of it.
    Apart,
}

pub(super) struct Exploration {
    random: Random,
    strategy: Strategy,
    /// For how many batches those at the front of the queue were put off, in their order.
    put_off: RefCell<Vec<u32>>,
}

enum Strategy {
    Walk,
    Priorities(RefCell<Priorities>),
}

impl Exploration {
    pub(super) fn new(seed: u64) -> Self {
        let strategy = match seed % 2 {
            0 => Strategy::Walk,
            _ => Strategy::Priorities(RefCell::default()),
        };
        Exploration { random: Random(Cell::new(seed)), strategy, put_off: RefCell::default() }
    }

    /// Reorders what is ready, and says how many of the first are to run. The others have been put
    /// off once more.
    pub(super) fn arrange(&self, entries: &mut [Entry], pace: Pace) -> usize {
        let mut put_off = self.put_off.borrow_mut();
        let count = entries.len();
        if pace == Pace::Whole || count < 2 {
            put_off.clear();
            self.random.shuffle(entries);
            return count;
        }
        for (entry, age) in entries.iter_mut().zip(put_off.drain(..)) {
            entry.put_off = age;
        }
        match &self.strategy {
            Strategy::Walk => self.random.shuffle(entries),
            Strategy::Priorities(known) => known.borrow_mut().sort(entries, &self.random),
        }
        let portion = count.div_ceil(PORTION);
        let patience = (16 + 4 * count.div_ceil(portion)) as u32;
        // Stable: those behind keep the order that was just found.
        entries.sort_by_key(|entry| entry.put_off < patience);
        let overdue = entries.iter().take_while(|entry| entry.put_off >= patience).count();
        let runs = portion.max(overdue);
        put_off.extend(entries[runs..].iter().map(|entry| entry.put_off + 1));
        runs
    }

    /// The batch ended elsewhere than where it was said to: what stands in front now is not what was
    /// put off.
    pub(super) fn forget(&self) {
        self.put_off.borrow_mut().clear();
    }
}

#[derive(Default)]
struct Priorities {
    known: HashMap<TaskId, i64>,
    /// Below all others; the next is lower.
    lowest: i64,
    /// One step in so many takes its task's priority away. Drawn, so that short programs and long ones
    /// have seeds in which it happens a few times.
    rarity: Option<usize>,
}

impl Priorities {
    fn sort(&mut self, entries: &mut [Entry], random: &Random) {
        let rarity = *self.rarity.get_or_insert_with(|| 2 << random.below(6));
        if self.known.len() > REMEMBERED + 4 * entries.len() {
            self.known.clear();
        }
        for entry in &*entries {
            // Drawn in the order of the queue; the numbers of tasks only tell them apart.
            self.known.entry(entry.id).or_insert_with(|| (random.next() >> 1) as i64);
        }
        let known = &mut self.known;
        if random.below(rarity) == 0 {
            if let Some(first) = entries.iter().max_by_key(|entry| known[&entry.id]) {
                self.lowest -= 1;
                known.insert(first.id, self.lowest);
            }
        }
        entries.sort_by_key(|entry| std::cmp::Reverse(known[&entry.id]));
    }
}

/// A generator of the splitmix kind.
struct Random(Cell<u64>);

impl Random {
    fn next(&self) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    fn shuffle<T>(&self, entries: &mut [T]) {
        for last in (1..entries.len()).rev() {
            entries.swap(last, self.below(last + 1));
        }
    }
}
