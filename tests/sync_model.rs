//! Locks, semaphores, events and conditions against models of a few lines: thousands of random steps, after
//! each of which the same ones have, wait and were woken as the model says, in the same order.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use loopbind::sync::{Condition, Event, Lock, RwLock, Semaphore};
use loopbind::{loop_test, sleep, spawn, timeout};
use scripted::{Moment, poll, scripted};

/// A guard of whatever kind.
type Guard = Box<dyn Any>;
type Asking = Pin<Box<dyn Future<Output = Guard>>>;
type Woken = Rc<RefCell<Vec<usize>>>;

/// Small numbers in an order that a seed gives.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % below
    }
}

fn waker(number: usize, woken: &Woken) -> Waker {
    let woken = Rc::clone(woken);
    scripted(move |moment| {
        if moment == Moment::Wake {
            woken.borrow_mut().push(number);
        }
    })
}

/// Something of which there is so much, and of which everybody wants a part.
trait Subject {
    /// How much there is to begin with.
    const AMOUNT: usize;

    fn new() -> Rc<Self>;
    fn wish(dice: &mut Dice) -> usize;
    fn ask(self: Rc<Self>, wish: usize) -> Asking;
    fn try_now(self: Rc<Self>, wish: usize) -> Option<Guard>;
    fn add(&self, _amount: usize) -> usize {
        0
    }

    /// How much is free, where it says so.
    fn free(&self) -> Option<usize> {
        None
    }
}

impl Subject for Lock<()> {
    const AMOUNT: usize = 1;

    fn new() -> Rc<Self> {
        Rc::new(Lock::new(()))
    }

    fn wish(_: &mut Dice) -> usize {
        1
    }

    fn ask(self: Rc<Self>, _: usize) -> Asking {
        Box::pin(async { Box::new(self.lock_owned().await) as Guard })
    }

    fn try_now(self: Rc<Self>, _: usize) -> Option<Guard> {
        self.try_lock_owned().map(|guard| Box::new(guard) as Guard)
    }
}

/// To write is to have all of it, and there is enough for everybody to read.
impl Subject for RwLock<()> {
    const AMOUNT: usize = 1_000_000;

    fn new() -> Rc<Self> {
        Rc::new(RwLock::new(()))
    }

    fn wish(dice: &mut Dice) -> usize {
        if dice.roll(3) == 0 { Self::AMOUNT } else { 1 }
    }

    fn ask(self: Rc<Self>, wish: usize) -> Asking {
        Box::pin(async move {
            match wish {
                1 => Box::new(self.read_owned().await) as Guard,
                _ => Box::new(self.write_owned().await) as Guard,
            }
        })
    }

    fn try_now(self: Rc<Self>, wish: usize) -> Option<Guard> {
        match wish {
            1 => self.try_read_owned().map(|guard| Box::new(guard) as Guard),
            _ => self.try_write_owned().map(|guard| Box::new(guard) as Guard),
        }
    }
}

impl Subject for Semaphore {
    const AMOUNT: usize = 3;

    fn new() -> Rc<Self> {
        Rc::new(Semaphore::new(Self::AMOUNT))
    }

    fn wish(dice: &mut Dice) -> usize {
        1 + dice.roll(3)
    }

    fn ask(self: Rc<Self>, wish: usize) -> Asking {
        Box::pin(async move { Box::new(self.acquire_many_owned(wish).await) as Guard })
    }

    fn try_now(self: Rc<Self>, wish: usize) -> Option<Guard> {
        self.try_acquire_many_owned(wish).map(|permit| Box::new(permit) as Guard)
    }

    fn add(&self, amount: usize) -> usize {
        self.add_permits(amount);
        amount
    }

    fn free(&self) -> Option<usize> {
        Some(self.available())
    }
}

/// The model: what is free, and a line. Whatever happens, the first is served while there is enough.
#[derive(Default)]
struct Model {
    free: usize,
    line: VecDeque<(usize, usize)>,
    /// Served, in this order, since this was looked at last.
    served: Vec<usize>,
}

impl Model {
    fn serve(&mut self) {
        while let Some(&(number, wish)) = self.line.front() {
            if wish > self.free {
                break;
            }
            self.free -= wish;
            self.served.push(number);
            self.line.pop_front();
        }
    }

    fn takes(&mut self, wish: usize) -> bool {
        let takes = self.line.is_empty() && wish <= self.free;
        self.free -= if takes { wish } else { 0 };
        takes
    }

    fn gives_back(&mut self, wish: usize) {
        self.free += wish;
        self.serve();
    }
}

/// One who asks: in line or served, and with what was asked for once polled.
struct Asker {
    number: usize,
    wish: usize,
    asking: Option<Asking>,
    guard: Option<Guard>,
    waker: Waker,
}

fn against_the_model<S: Subject + 'static>() {
    for seed in support::programs(0..60) {
        let (subject, woken, mut dice) = (S::new(), Woken::default(), Dice::new(seed + 1));
        let mut model = Model { free: S::AMOUNT, ..Model::default() };
        let mut askers: Vec<Asker> = Vec::new();
        for number in 0..400 {
            match dice.roll(8) {
                0..=2 => {
                    let wish = S::wish(&mut dice);
                    let (mut asking, waker) =
                        (Rc::clone(&subject).ask(wish), waker(number, &woken));
                    let guard = match poll(&mut asking, &waker) {
                        Poll::Ready(guard) => Some(guard),
                        Poll::Pending => None,
                    };
                    assert_eq!(guard.is_some(), model.takes(wish), "seed {seed}, step {number}");
                    if guard.is_none() {
                        model.line.push_back((number, wish));
                    }
                    let asking = guard.is_none().then_some(asking);
                    askers.push(Asker { number, wish, asking, guard, waker });
                }
                3 => {
                    let wish = S::wish(&mut dice);
                    let got = Rc::clone(&subject).try_now(wish);
                    assert_eq!(got.is_some(), model.takes(wish), "seed {seed}, step {number}");
                    if got.is_some() {
                        drop(got);
                        model.gives_back(wish);
                    }
                }
                4 => {
                    model.free += subject.add(usize::from(dice.roll(4) == 0));
                    model.serve();
                }
                // Polled: has it if it was served, and not else.
                5 | 6 if !askers.is_empty() => {
                    let at = dice.roll(askers.len());
                    let asker = &mut askers[at];
                    if let Some(asking) = &mut asker.asking {
                        let in_line = model.line.iter().any(|(number, _)| *number == asker.number);
                        match poll(asking, &asker.waker) {
                            Poll::Ready(guard) => {
                                assert!(!in_line, "seed {seed}, step {number}");
                                (asker.asking, asker.guard) = (None, Some(guard));
                            }
                            Poll::Pending => assert!(in_line, "seed {seed}, step {number}"),
                        }
                    }
                }
                // Given up, or given back: from wherever it stands.
                _ if !askers.is_empty() => {
                    let Asker { number, wish, .. } = askers.swap_remove(dice.roll(askers.len()));
                    let before = model.line.len();
                    model.line.retain(|(other, _)| *other != number);
                    model.gives_back(if model.line.len() < before { 0 } else { wish });
                }
                _ => {}
            }
            assert_eq!(
                woken.take(),
                std::mem::take(&mut model.served),
                "seed {seed}, step {number}"
            );
            assert_eq!(subject.free().unwrap_or(model.free), model.free, "seed {seed}");
        }
        // All go, the last first: what was there in the beginning, or was added, is there again.
        while askers.pop().is_some() {}
        let total = Rc::clone(&subject).try_now(S::AMOUNT);
        assert!(total.is_some(), "seed {seed}");
    }
}

#[test]
fn locks_do_as_the_model_does() {
    against_the_model::<Lock<()>>();
}

#[test]
fn read_write_locks_do_as_the_model_does() {
    against_the_model::<RwLock<()>>();
}

#[test]
fn semaphores_do_as_the_model_does() {
    against_the_model::<Semaphore>();
}

/// Events: set, all who wait are woken, in order, and go; the flag decides about newcomers only.
#[test]
fn events_do_as_the_model_does() {
    for seed in support::programs(0..60) {
        let (event, woken, mut dice) =
            (Rc::new(Event::new()), Woken::default(), Dice::new(seed + 1));
        let (mut line, mut is_set) = (Vec::new(), false);
        let mut waits = Vec::new();
        for number in 0..300 {
            let mut told = Vec::new();
            match dice.roll(6) {
                0..=2 => {
                    let (same, waker) = (Rc::clone(&event), waker(number, &woken));
                    let mut wait = Box::pin(async move { same.wait().await });
                    assert_eq!(poll(&mut wait, &waker).is_ready(), is_set);
                    if !is_set {
                        line.push(number);
                        waits.push((number, wait, waker));
                    }
                }
                3 if dice.roll(3) == 0 => {
                    event.set();
                    (is_set, told) = (true, std::mem::take(&mut line));
                }
                3 => {
                    event.clear();
                    is_set = false;
                }
                4 if !waits.is_empty() => {
                    let at = dice.roll(waits.len());
                    let (number, wait, waker) = &mut waits[at];
                    if poll(wait, waker).is_ready() {
                        assert!(!line.contains(number), "seed {seed}");
                        drop(waits.swap_remove(at));
                    } else {
                        assert!(line.contains(number), "seed {seed}");
                    }
                }
                _ if !waits.is_empty() => {
                    let (number, ..) = waits.swap_remove(dice.roll(waits.len()));
                    line.retain(|other| *other != number);
                }
                _ => {}
            }
            assert_eq!((woken.take(), event.is_set()), (told, is_set), "seed {seed}");
        }
    }
}

/// Where one who waits for a condition stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Waits,
    Notified,
    WaitsForTheLock,
    HandedTheLock,
}

/// The model of a condition and its lock: two lines.
#[derive(Default)]
struct TwoLines {
    locked: bool,
    waits: VecDeque<usize>,
    for_the_lock: VecDeque<usize>,
    stands: std::collections::BTreeMap<usize, Stands>,
    woken: Vec<usize>,
}

impl TwoLines {
    fn notify(&mut self, n: usize) {
        for number in self.waits.drain(..n.min(self.waits.len())) {
            self.stands.insert(number, Stands::Notified);
            self.woken.push(number);
        }
    }

    fn unlock(&mut self) {
        match self.for_the_lock.pop_front() {
            Some(number) => {
                self.stands.insert(number, Stands::HandedTheLock);
                self.woken.push(number);
            }
            None => self.locked = false,
        }
    }

    /// Whether it has the lock, with which it is out of the model.
    fn polled(&mut self, number: usize) -> bool {
        match self.stands[&number] {
            Stands::Waits | Stands::WaitsForTheLock => return false,
            Stands::Notified if self.locked => {
                self.stands.insert(number, Stands::WaitsForTheLock);
                self.for_the_lock.push_back(number);
                return false;
            }
            Stands::Notified => self.locked = true,
            Stands::HandedTheLock => {}
        }
        self.stands.remove(&number);
        true
    }

    fn given_up(&mut self, number: usize) {
        let stood = self.stands.remove(&number).unwrap();
        self.waits.retain(|other| *other != number);
        self.for_the_lock.retain(|other| *other != number);
        if stood == Stands::HandedTheLock {
            self.unlock();
        }
        if stood != Stands::Waits {
            self.notify(1);
        }
    }
}

/// Conditions: notifications go to those in line, and from those who give up to the next.
#[test]
fn conditions_do_as_the_model_does() {
    for seed in support::programs(0..60) {
        let (woken, mut dice) = (Woken::default(), Dice::new(seed + 1));
        let (lock, condition) = (Rc::new(Lock::new(())), Rc::new(Condition::new()));
        let mut model = TwoLines::default();
        let (mut waits, mut held) = (Vec::<(usize, Asking, Waker)>::new(), None);
        for number in 0..400 {
            match dice.roll(8) {
                // Somebody has the lock, and waits.
                0..=2 => {
                    let guard = Rc::clone(&lock).try_lock_owned();
                    assert_eq!(guard.is_none(), model.locked, "seed {seed}, step {number}");
                    if let Some(guard) = guard {
                        let (same, waker) = (Rc::clone(&condition), waker(number, &woken));
                        let wait = async move { Box::new(same.wait_owned(guard).await) as Guard };
                        let mut wait: Asking = Box::pin(wait);
                        assert!(poll(&mut wait, &waker).is_pending());
                        model.waits.push_back(number);
                        model.stands.insert(number, Stands::Waits);
                        waits.push((number, wait, waker));
                    }
                }
                3 if held.is_none() && !model.locked => {
                    held = Rc::clone(&lock).try_lock_owned().map(|guard| Box::new(guard) as Guard);
                    model.locked = true;
                }
                3 | 4 if held.is_some() => {
                    held = None;
                    model.unlock();
                }
                5 => {
                    let n = dice.roll(3);
                    condition.notify(n);
                    model.notify(n);
                }
                6 if !waits.is_empty() => {
                    let (number, _, _) = waits[dice.roll(waits.len())];
                    waits.retain(|(other, ..)| *other != number);
                    model.given_up(number);
                }
                _ if !waits.is_empty() => {
                    let at = dice.roll(waits.len());
                    let (number, wait, waker) = &mut waits[at];
                    let (number, polled) = (*number, poll(wait, waker));
                    assert_eq!(polled.is_ready(), model.polled(number), "seed {seed}, of {number}");
                    if let Poll::Ready(guard) = polled {
                        assert!(held.is_none(), "seed {seed}");
                        held = Some(guard);
                        drop(waits.swap_remove(at));
                    }
                }
                _ => {}
            }
            assert_eq!(
                woken.take(),
                std::mem::take(&mut model.woken),
                "seed {seed}, step {number}"
            );
            assert_eq!(condition.waiting(), model.waits.len());
        }
        drop((held, waits));
        assert!(!lock.is_locked(), "seed {seed}");
    }
}

/// By tasks of a loop that run in any order, some of whom give up after a time: never more than there are,
/// and all are there in the end.
#[loop_test(virtual_time, seeds = 0..24)]
async fn in_any_order_of_running_nothing_is_lost_and_nothing_is_made_up() {
    let (semaphore, lock) = (Rc::new(Semaphore::new(3)), Rc::new(RwLock::new(0_i32)));
    let used = Rc::new(Cell::new(0));
    let mut dice = Dice::new(7);
    let tasks: Vec<_> = (0..60)
        .map(|_| {
            let (semaphore, lock, used) =
                (Rc::clone(&semaphore), Rc::clone(&lock), Rc::clone(&used));
            let rolls = [5, 3, 7, 4, 2].map(|below| dice.roll(below));
            let [starts, wish, stays, patience, writes] = rolls;
            let milliseconds = |count: usize| Duration::from_millis(count as u64);
            spawn(async move {
                sleep(milliseconds(starts)).await;
                let work = async {
                    let permit = semaphore.acquire_many(wish + 1).await;
                    used.set(used.get() + permit.count());
                    assert!(used.get() <= 3);
                    let gives_back = support::on_drop(|| used.set(used.get() - wish - 1));
                    if writes == 1 {
                        let mut value = lock.write().await;
                        let before = *value;
                        sleep(milliseconds(stays)).await;
                        *value = before + 1;
                    } else {
                        let value = lock.read().await;
                        let before = *value;
                        sleep(milliseconds(stays)).await;
                        assert_eq!(*value, before);
                    }
                    drop(gives_back);
                };
                let _ = timeout(milliseconds(patience * 20 + 1), work).await;
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!((semaphore.available(), used.get()), (3, 0));
    assert!(lock.try_write().is_some());
}
