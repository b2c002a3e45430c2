//! Tests of the heap: beside an ordered map that cannot be wrong, and by counting what it does.
//!
//! Programs are drawn from seeds; one that fails is made smaller first, and says its seed:
//! `LOOPBIND_PROGRAMS=17..18` plays that one alone, `0..100000` more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

/// Timers are named by their number in the order of setting, counted from the last one backwards.
#[derive(Clone, Copy, Debug)]
enum Step {
    Set(Tick),
    Cancel(usize),
    Reset(usize, Tick),
    /// To a deadline so much later than the one it has; earlier where negative.
    Shift(usize, Tick),
    Fire(Tick),
    Look,
}

struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        // Splitmix: one multiplication would leave seeds beside each other alike.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    /// At and beside the powers of two, both ends of time, and often the same.
    fn deadline(&mut self) -> Tick {
        let power = 1_i64 << if self.below(2) == 0 { self.below(4) } else { self.below(63) };
        match self.below(16) {
            0 => NEVER,
            1 => NEVER - 1,
            2 => -power,
            3 => 0,
            _ => power.saturating_add(self.below(3) as Tick - 1),
        }
    }

    fn program(&mut self) -> Vec<Step> {
        let length = self.below(400);
        // Programs differ in what they do most.
        let weights: [u64; 6] = std::array::from_fn(|_| 1 + self.below(8));
        (0..length)
            .map(|_| {
                let mut left = self.below(weights.iter().sum());
                let kind = weights.iter().position(|&weight| match left.checked_sub(weight) {
                    None => true,
                    Some(rest) => {
                        left = rest;
                        false
                    }
                });
                let which = self.below(64) as usize;
                match kind {
                    Some(0) => Step::Set(self.deadline()),
                    Some(1) => Step::Cancel(which),
                    Some(2) => Step::Reset(which, self.deadline()),
                    Some(3) => Step::Shift(which, self.below(7) as Tick - 2),
                    Some(4) => Step::Fire(self.deadline().min(NEVER - 1)),
                    _ => Step::Look,
                }
            })
            .collect()
    }
}

/// An ordered map of what waits, and of each timer ever set: its key here and there.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<(Tick, u64), usize>,
    known: Vec<(TimerKey, (Tick, u64))>,
    next_seq: u64,
}

impl Model {
    fn key(&mut self, deadline: Tick) -> (Tick, u64) {
        self.next_seq += 1;
        (deadline, self.next_seq)
    }

    fn name(&self, which: usize) -> Option<usize> {
        self.known.len().checked_sub(which % self.known.len().max(1) + 1)
    }

    fn reset(&mut self, timers: &mut Timers<usize>, name: usize, deadline: Tick) {
        let (key, known) = self.known[name];
        let new = timers.reset(key, deadline);
        assert_eq!(new.is_some(), self.waiting.contains_key(&known), "whether it waits");
        if let Some(new) = new {
            assert_eq!(timers.remove(key), None, "its old name is nobody's");
            self.waiting.remove(&known);
            let known = self.key(deadline);
            self.waiting.insert(known, name);
            self.known[name] = (new, known);
        }
    }
}

fn play(program: &[Step]) {
    let (mut timers, mut model) = (Timers::new(), Model::default());
    for step in program {
        match *step {
            Step::Set(deadline) => {
                let name = model.known.len();
                let key = timers.insert(deadline, name);
                let known = model.key(deadline);
                model.waiting.insert(known, name);
                model.known.push((key, known));
            }
            Step::Cancel(which) => {
                if let Some(name) = model.name(which) {
                    let (key, known) = model.known[name];
                    assert_eq!(timers.remove(key), model.waiting.remove(&known));
                }
            }
            Step::Reset(which, deadline) => {
                if let Some(name) = model.name(which) {
                    model.reset(&mut timers, name, deadline);
                }
            }
            Step::Shift(which, by) => {
                if let Some(name) = model.name(which) {
                    let deadline = model.known[name].1.0.saturating_add(by);
                    model.reset(&mut timers, name, deadline);
                }
            }
            Step::Fire(now) => loop {
                let due = model.waiting.first_entry().filter(|entry| entry.key().0 <= now);
                let due = due.map(|entry| entry.remove());
                assert_eq!(timers.pop_due(now), due);
                check(&timers);
                if due.is_none() {
                    break;
                }
            },
            Step::Look => {
                let next = model.waiting.first_key_value().map_or(NEVER, |(key, _)| key.0);
                assert_eq!(timers.next(), next);
            }
        }
        check(&timers);
        assert_eq!(timers.len(), model.waiting.len());
        let next = model.waiting.first_key_value().map_or(NEVER, |(key, _)| key.0);
        assert!(timers.bound() <= next);
        let crowd = timers.crowd(next);
        assert!(
            crowd <= model.waiting.range(..=(next, u64::MAX)).count(),
            "it counts who is not due"
        );
    }
    // What is left comes out in order.
    for name in model.waiting.into_values() {
        assert_eq!(timers.pop(), Some(name));
    }
    assert_eq!(timers.pop(), None);
}

/// What must hold between any two steps.
fn check(timers: &Timers<usize>) {
    let mut moved = 0;
    for (position, entry) in timers.heap.iter().enumerate() {
        let slot = &timers.slots[entry.slot as usize];
        assert_eq!(slot.position as usize, position);
        assert!(slot.value.is_some() && entry.key() <= (slot.deadline, slot.seq), "too late");
        assert!(slot.is_moved || entry.key() == (slot.deadline, slot.seq), "too early");
        moved += usize::from(slot.is_moved);
        if position > 0 {
            assert!(timers.heap[(position - 1) / ARITY].key() < entry.key(), "out of order");
        }
    }
    assert_eq!(timers.moved, moved);
}

fn fails(program: &[Step]) -> bool {
    catch_unwind(AssertUnwindSafe(|| play(program))).is_err()
}

/// Leaves out what can be left out of a program that fails.
fn smallest(mut program: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let mut size = program.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < program.len() {
            let mut without = program.clone();
            without.drain(at..(at + size).min(program.len()));
            if fails(&without) { program = without } else { at += size }
        }
        size /= 2;
    }
    program
}

fn seeds(usual: Range<u64>) -> Range<u64> {
    let Ok(wanted) = std::env::var("LOOPBIND_PROGRAMS") else { return usual };
    let bounds = wanted
        .split_once("..")
        .and_then(|(from, to)| Some(from.trim().parse().ok()?..to.trim().parse().ok()?));
    bounds.unwrap_or_else(|| panic!("LOOPBIND_PROGRAMS={wanted}: two numbers, as in 0..100000"))
}

/// CB-05, CB-06: whatever is set, cancelled, moved earlier, later, or to where it was, in any order:
/// timers come out by deadline, and of equal ones in the order in which they were set or moved there.
#[test]
fn any_program_ends_as_with_an_ordered_map() {
    for seed in seeds(0..1_000) {
        let program = Draw(seed).program();
        if fails(&program) {
            let program = smallest(program, fails);
            eprintln!("LOOPBIND_PROGRAMS={seed}..{} plays it: {program:#?}", seed + 1);
            play(&program);
        }
    }
}

#[test]
fn a_program_that_fails_is_made_as_small_as_it_can_be() {
    // Fails, let us say, where somebody looks behind a timer for seven.
    let fails = |program: &[Step]| {
        let mut behind = program.iter().skip_while(|step| !matches!(step, Step::Set(7)));
        behind.any(|step| matches!(step, Step::Look))
    };
    let mut program: Vec<Step> = (0..40).map(Step::Set).collect();
    program.splice(20..20, [Step::Look, Step::Cancel(3), Step::Look]);
    program.push(Step::Look);
    assert!(fails(&program));
    let smallest = smallest(program, fails);
    assert!(matches!(smallest[..], [Step::Set(7), Step::Look]), "{smallest:?}");
}

#[test]
fn equal_deadlines_come_out_in_order_of_setting() {
    let mut timers = Timers::new();
    let first = timers.insert(7, 0);
    for i in 1..1000 {
        timers.insert(7, i);
    }
    timers.reset(first, 7);
    let order: Vec<i32> = std::iter::from_fn(|| timers.pop_due(7)).collect();
    assert_eq!(order, (1..1000).chain([0]).collect::<Vec<_>>());
}

#[test]
fn a_stale_key_reaches_no_later_tenant() {
    let mut timers = Timers::new();
    let key = timers.insert(1, "first");
    assert_eq!(timers.remove(key), Some("first"));
    assert_eq!((timers.remove(key), timers.reset(key, 5)), (None, None));
    let next = timers.insert(2, "second");
    assert_eq!(next.slot, key.slot, "the slot was used again, or this test tests nothing");
    assert_eq!((timers.remove(key), timers.reset(key, 5)), (None, None));
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

/// A crowd is of those that are due, not of those whose entries stand too early.
#[test]
fn a_crowd_is_of_those_that_are_due_by_then() {
    let mut timers = Timers::new();
    let keys: Vec<_> = (0..FRONT as Tick).map(|i| timers.insert(i, ())).collect();
    assert_eq!(timers.crowd(9), 10);
    for key in &keys[..5] {
        timers.reset(*key, 100);
    }
    assert_eq!(timers.crowd(9), 5);
    assert_eq!((timers.crowd(-1), timers.crowd(100)), (0, FRONT));
}

// ─── what it costs ──────────────────────────────────────────────────────────────────────────────

/// How many entries are put into a place while `many` timers wait and `change` is made.
fn placed_among(many: usize, change: impl FnOnce(&mut Timers<usize>, &mut [TimerKey])) -> u64 {
    let mut timers = Timers::new();
    let mut keys: Vec<_> = (0..many).map(|i| timers.insert(i as Tick, i)).collect();
    let before = timers.placed;
    change(&mut timers, &mut keys);
    check(&timers);
    timers.placed - before
}

const FAR: Tick = 1 << 40;

/// A time-out that does not come, or is moved on, costs the same among any number of others.
#[test]
fn setting_cancelling_and_moving_on_cost_the_same_among_a_thousand_and_a_hundred_thousand() {
    for many in [1_000, 100_000] {
        let set_and_cancelled = placed_among(many, |timers, _| {
            for i in 0..1_000 {
                let key = timers.insert(FAR + i, 0);
                timers.remove(key);
            }
        });
        assert_eq!(set_and_cancelled, 0, "from the end, and back");
        let moved_on = placed_among(many, |timers, keys| {
            for round in 1..=3 {
                for key in keys.iter_mut() {
                    *key = timers.reset(*key, FAR * round).unwrap();
                }
            }
        });
        assert_eq!(moved_on, 0, "written down, and no more");
    }
}

/// However often all were moved on: one sorting puts them right, in a time in proportion to their number,
/// and looking again costs nothing.
#[test]
fn all_moved_on_then_looked_at_are_sorted_once() {
    for many in [1_000, 100_000] {
        let placed = placed_among(many, |timers, keys| {
            for key in keys.iter_mut() {
                *key = timers.reset(*key, FAR - key.seq as Tick).unwrap();
            }
            assert_eq!(timers.next(), FAR - many as Tick + 1);
            let sorted = timers.placed;
            assert_eq!(timers.next(), FAR - many as Tick + 1);
            assert_eq!(timers.placed, sorted);
        });
        assert!(placed < 2 * many as u64, "{placed} of {many}");
    }
}

/// The one in front is moved on and looked at, again and again, as that of a lone connection among idle ones
/// is: a walk down the heap each time.
#[test]
fn the_front_moved_on_and_looked_at_walks_down_once() {
    let many = 100_000;
    let placed = placed_among(many, |timers, keys| {
        for (i, key) in keys.iter_mut().take(1_000).enumerate() {
            *key = timers.reset(*key, FAR + i as Tick).unwrap();
            assert_eq!(timers.next(), i as Tick + 1);
        }
    });
    let layers = 10; // 4 to the power of 9 is more than a hundred thousand.
    assert!(placed <= 1_000 * layers, "{placed}");
}
