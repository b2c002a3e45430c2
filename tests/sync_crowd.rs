//! Crowds: what is handed over goes through a hundred thousand waits that are given up one behind the other, in
//! a time in proportion to their number and on the stack that there is.

#[path = "support/polled.rs"]
mod polled;

use std::rc::Rc;

use loopbind::sync::{Condition, Event, Lock, OnceCell, Queue, RwLock, Semaphore, mpsc};
use loopbind::{EventLoop, spawn, yield_now};
use polled::Polled;

const MANY: usize = 100_000;

/// So many wait; what `hands_over` frees is the first one's. All but the last give up, in the order in which they
/// are handed it, and it is the last one's.
#[track_caller]
fn given_up_by_all_but_the_last<'a, T>(
    wait: impl Fn() -> Polled<'a, T>,
    hands_over: impl FnOnce(),
) -> T {
    let mut waits: Vec<_> = (0..MANY).map(|_| wait()).collect();
    hands_over();
    assert!(waits[0].is_woken() && !waits[1].is_woken());
    let mut last = waits.pop().unwrap();
    for wait in waits {
        assert!(wait.is_woken() && !last.is_woken());
        drop(wait);
    }
    assert!(last.is_woken());
    last.ready()
}

#[test]
fn handed_from_one_to_the_next_that_gives_up() {
    let lock = Lock::new(());
    let guard = lock.try_lock();
    let had = given_up_by_all_but_the_last(|| Polled::waiting(lock.lock()), || drop(guard));
    drop(had);
    assert!(!lock.is_locked());

    let lock = RwLock::new(());
    let guard = lock.try_read();
    drop(given_up_by_all_but_the_last(|| Polled::waiting(lock.write()), || drop(guard)));
    assert!(lock.try_write().is_some());

    let semaphore = Semaphore::new(0);
    let waits = || Polled::waiting(semaphore.acquire_many(2));
    drop(given_up_by_all_but_the_last(waits, || semaphore.add_permits(2)));
    assert_eq!(semaphore.available(), 2);

    let cell = OnceCell::new();
    let makes = Polled::waiting(cell.get_or_init(async || std::future::pending().await));
    let waits = || Polled::waiting(cell.get_or_init(async || 5));
    assert_eq!(given_up_by_all_but_the_last(waits, || drop(makes)), &5);

    let (lock, condition) = (Lock::new(()), Condition::new());
    let waits = || Polled::waiting(condition.wait(lock.try_lock().unwrap()));
    drop(given_up_by_all_but_the_last(waits, || condition.notify(1)));
    assert_eq!(condition.waiting(), 0);

    let queue = Queue::unbounded();
    let waits = || Polled::waiting(queue.get());
    assert_eq!(given_up_by_all_but_the_last(waits, || queue.try_put(1).unwrap()), Some(1));

    let queue = Queue::bounded(1);
    queue.try_put(1).unwrap();
    let waits = || Polled::waiting(queue.put(2));
    let takes = || assert_eq!(queue.try_get(), Some(1));
    assert_eq!(given_up_by_all_but_the_last(waits, takes), Ok(()));

    let (sender, mut receiver) = mpsc::bounded(1);
    sender.try_send(1).unwrap();
    let waits = || Polled::waiting(sender.send(2));
    let takes = || assert_eq!(receiver.try_recv(), Some(1));
    assert_eq!(given_up_by_all_but_the_last(waits, takes), Ok(()));
}

/// The writer, or who wants more than there is, gives up: all behind are let in, and may go in any order.
#[test]
fn let_in_all_at_once_and_gone_in_any_order() {
    let lock = RwLock::new(());
    let guard = lock.try_read();
    let writes = Polled::waiting(lock.write());
    let reads: Vec<_> = (0..MANY).map(|_| Polled::waiting(lock.read())).collect();
    let last = Polled::waiting(lock.write());
    drop(writes);
    assert!(reads.iter().all(Polled::is_woken));
    drop((guard, reads));
    assert!(last.is_woken());

    let semaphore = Semaphore::new(MANY);
    let wants_more = Polled::waiting(semaphore.acquire_many(MANY + 1));
    let waits: Vec<_> = (0..MANY).map(|_| Polled::waiting(semaphore.acquire())).collect();
    drop(wants_more);
    assert!(waits.iter().all(Polled::is_woken));
    drop(waits);
    assert_eq!(semaphore.available(), MANY);

    // From the middle outwards, nobody was told.
    let event = Event::new();
    let waits = (0..10 * MANY).map(|_| Polled::waiting(event.wait()));
    let (mut even, mut odd) = (Vec::new(), Vec::new());
    for (number, wait) in waits.enumerate() {
        if number % 2 == 0 { &mut even } else { &mut odd }.push(wait);
    }
    even.into_iter().rev().zip(odd).for_each(drop);
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }");
}

/// A loop closes with tasks that wait for each other: each is dropped, and hands on to one that is dropped next.
#[test]
fn a_loop_closes_over_all_who_wait() {
    let event_loop = EventLoop::new().unwrap();
    let lock = Rc::new(Lock::new(()));
    let many = async {
        for _ in 0..MANY {
            let lock = Rc::clone(&lock);
            let holds = async move {
                let _guard = lock.lock().await;
                std::future::pending::<()>().await;
            };
            spawn(holds).detach();
        }
        yield_now().await;
        assert!(lock.is_locked());
    };
    event_loop.run_until_complete(many).unwrap();
    drop(event_loop);
    assert!(!lock.is_locked() && Rc::strong_count(&lock) == 1);
}
