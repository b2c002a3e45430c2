//! Conditions: the lock is given back and had again, and no notification is lost.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Waker;

use loopbind::sync::{Condition, Lock, LockGuard};
use loopbind::{Task, loop_test, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

/// What is in the store, and who waits for it to change.
#[derive(Default)]
struct Store {
    goods: Lock<VecDeque<u32>>,
    changed: Condition,
}

fn taker(store: &Rc<Store>, trace: &Trace, name: &'static str) -> Task<()> {
    let (store, trace) = (Rc::clone(store), trace.clone());
    spawn(async move {
        let goods = store.goods.lock().await;
        trace.note(format!("{name} waits"));
        let mut goods = store.changed.wait_for(goods, |goods| !goods.is_empty()).await;
        trace.note(format!("{name} has {}", goods.pop_front().unwrap()));
    })
}

type Waiting<'a> = Pin<Box<dyn Future<Output = LockGuard<'a, u32>> + 'a>>;

fn waiting<'a>(condition: &'a Condition, lock: &'a Lock<u32>) -> Waiting<'a> {
    Box::pin(condition.wait(lock.try_lock().unwrap()))
}

/// CND-01, CND-04: they wait with the lock given back; of those notified each has it in turn, with the lock.
#[loop_test(virtual_time)]
async fn notified_two_of_three_then_all_each_has_its_own_in_order() {
    let (store, trace) = (Rc::new(Store::default()), Trace::new());
    let tasks = ["a", "b", "c"].map(|name| taker(&store, &trace, name));
    yield_now().await;
    trace.assert(&["a waits", "b waits", "c waits"]);
    assert_eq!(store.changed.waiting(), 3);
    let mut goods = store.goods.try_lock().unwrap();
    goods.extend([1, 2]);
    store.changed.notify(2);
    trace.note("notified");
    yield_now().await;
    trace.assert(&["notified"]); // the lock is not given back yet
    drop(goods);
    for _ in 0..3 {
        yield_now().await;
    }
    trace.assert(&["a has 1", "b has 2"]);
    store.goods.lock().await.push_back(3);
    store.changed.notify_all();
    futures::future::join_all(tasks).await;
    trace.assert(&["c has 3"]);
}

/// CND-04: notified for nothing, `wait_for` waits on.
#[loop_test(virtual_time)]
async fn notified_for_nothing_it_waits_on() {
    let (store, trace) = (Rc::new(Store::default()), Trace::new());
    let task = taker(&store, &trace, "a");
    for _ in 0..3 {
        yield_now().await;
        store.changed.notify_all();
    }
    assert!(!task.is_finished());
    store.goods.lock().await.push_back(1);
    store.changed.notify(1);
    task.await.unwrap();
    trace.assert(&["a waits", "a has 1"]);
}

/// CND-02, cancel safety: a wait that is dropped has given the lock back, and does not take it again.
#[test]
fn given_up_the_lock_stays_given_back() {
    let (lock, condition) = (Lock::new(0), Condition::new());
    let mut wait = waiting(&condition, &lock);
    assert!(lock.is_locked());
    assert!(poll(&mut wait, Waker::noop()).is_pending());
    assert!(!lock.is_locked());
    assert_eq!(format!("{condition:?}"), "Condition { waiters: 1 }");
    drop(wait);
    assert!(!lock.is_locked());
    assert_eq!(condition.waiting(), 0);
    // Never begun, it gives the lock back as well.
    drop(waiting(&condition, &lock));
    assert!(!lock.is_locked());
}

/// CND-03: notified, then given up, before it came for the lock and while it waits for it: the next is notified.
#[test]
fn given_up_after_it_was_notified_the_next_is() {
    for comes_for_the_lock in [false, true] {
        let (lock, condition, trace) = (Lock::new(0), Condition::new(), Trace::new());
        let [a, b] = ["a", "b"].map(|name| noting(&trace, name));
        let mut first = waiting(&condition, &lock);
        assert!(poll(&mut first, &a).is_pending());
        let mut second = waiting(&condition, &lock);
        assert!(poll(&mut second, &b).is_pending());
        let held = lock.try_lock();
        condition.notify(1);
        trace.assert(&["a woken"]);
        if comes_for_the_lock {
            assert!(poll(&mut first, &a).is_pending());
        }
        drop(first);
        trace.assert(&["b woken"]);
        drop(held);
        assert!(poll(&mut second, &b).is_ready());
        assert!(!lock.is_locked());
    }
}

/// CND-03: by tasks, one of which is cancelled in the turn in which it was notified.
#[loop_test(virtual_time)]
async fn a_task_cancelled_as_it_is_notified_passes_it_on() {
    let (store, trace) = (Rc::new(Store::default()), Trace::new());
    let [a, b] = ["a", "b"].map(|name| taker(&store, &trace, name));
    yield_now().await;
    store.goods.lock().await.push_back(1);
    store.changed.notify(1);
    a.cancel();
    b.await.unwrap();
    trace.assert(&["a waits", "b waits", "b has 1"]);
    assert!(a.await.unwrap_err().is_cancelled());
}

/// Heeded, a notification is used up: who waits again waits for the next.
#[test]
fn heeded_it_notifies_nobody_else() {
    let (lock, condition, trace) = (Lock::new(0), Condition::new(), Trace::new());
    let [a, b] = ["a", "b"].map(|name| noting(&trace, name));
    let mut first = waiting(&condition, &lock);
    assert!(poll(&mut first, &a).is_pending());
    let mut second = waiting(&condition, &lock);
    assert!(poll(&mut second, &b).is_pending());
    condition.notify(1);
    let guard = poll(&mut first, &a);
    assert!(guard.is_ready());
    drop((guard, first));
    trace.assert(&["a woken"]);
    assert_eq!(condition.waiting(), 1);
    drop(second);
}

/// Guards with a share wait in the same line.
#[loop_test(virtual_time)]
async fn owned_guards_wait_as_well_and_several_conditions_share_a_lock() {
    let lock = Rc::new(Lock::new(0));
    let (even, odd) = (Rc::new(Condition::new()), Rc::new(Condition::new()));
    let wait = |condition: &Rc<Condition>, rest: u32| {
        let (lock, condition) = (Rc::clone(&lock), Rc::clone(condition));
        spawn(async move {
            let guard = lock.lock_owned().await;
            let is_so = |value: &mut u32| *value > 0 && *value % 2 == rest;
            *condition.wait_for_owned(guard, is_so).await
        })
    };
    let (waits_for_even, waits_for_odd) = (wait(&even, 0), wait(&odd, 1));
    yield_now().await;
    *lock.lock().await = 3;
    odd.notify(1);
    assert_eq!(waits_for_odd.await.unwrap(), 3);
    assert!(!waits_for_even.is_finished());
    *lock.lock().await = 4;
    even.notify(1);
    assert_eq!(waits_for_even.await.unwrap(), 4);
}

/// Notified by whom the lock was given back to, in the very moment: not missed.
#[test]
fn notified_in_the_moment_the_lock_is_given_back_it_is_not_missed() {
    let (lock, condition) = (Rc::new(Lock::new(0)), Rc::new(Condition::new()));
    let guard = Rc::clone(&lock).try_lock_owned().unwrap();
    let mut next = Box::pin(lock.lock());
    let notifies = scripted({
        let condition = Rc::clone(&condition);
        move |moment| {
            if moment == Moment::Wake {
                condition.notify(1);
            }
        }
    });
    assert!(poll(&mut next, &notifies).is_pending());
    let trace = Trace::new();
    let mut wait = Box::pin(condition.wait_owned(guard));
    assert!(poll(&mut wait, &noting(&trace, "wait")).is_pending());
    trace.assert(&["wait woken"]);
    drop(next);
    assert!(poll(&mut wait, Waker::noop()).is_ready());
}

/// A waker that panics as it is cloned leaves nobody in line, and the lock is given back; one that panics as it
/// is woken takes nothing from those behind.
#[test]
fn wakers_that_panic_leave_the_condition_whole() {
    let (lock, condition, trace) = (Lock::new(0), Condition::new(), Trace::new());
    let rude = scripted(|moment| assert_ne!(moment, Moment::Clone, "rude"));
    assert!(panic_of(|| drop(poll(&mut waiting(&condition, &lock), &rude))).contains("rude"));
    assert!(condition.waiting() == 0 && !lock.is_locked());
    let rude = scripted(|moment| assert_ne!(moment, Moment::Wake, "rude"));
    let mut bad = waiting(&condition, &lock);
    assert!(poll(&mut bad, &rude).is_pending());
    let mut good = waiting(&condition, &lock);
    assert!(poll(&mut good, &noting(&trace, "good")).is_pending());
    assert!(panic_of(|| condition.notify_all()).contains("rude"));
    trace.assert(&["good woken"]);
    assert!(poll(&mut good, Waker::noop()).is_ready() && poll(&mut bad, Waker::noop()).is_ready());
}

/// The first that is woken drops the wait of the second, which was notified as well, and whose waker panics as
/// it drops: the notification has gone on to the third by then.
#[test]
fn a_waker_that_panics_as_it_drops_takes_no_notification_along() {
    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    let (shared, trace) = (Rc::new((Lock::new(0), Condition::new())), Trace::new());
    let wait = || -> Wait {
        let shared = Rc::clone(&shared);
        Box::pin(async move { drop(shared.1.wait(shared.0.lock().await).await) })
    };
    let (mut first, mut other, mut third) = (wait(), wait(), wait());
    let second: Rc<RefCell<Option<Wait>>> = Rc::default();
    let drops = scripted({
        let (second, trace) = (Rc::clone(&second), trace.clone());
        move |moment| {
            if moment == Moment::Wake {
                trace.note(panic_of(|| drop(second.take())));
            }
        }
    });
    let is_kept = Rc::new(Cell::new(true));
    let rude = scripted({
        let is_kept = Rc::clone(&is_kept);
        move |moment| assert!(moment != Moment::Drop || is_kept.get(), "rude")
    });
    assert!(poll(&mut first, &drops).is_pending());
    assert!(poll(&mut other, &rude).is_pending());
    assert!(poll(&mut third, &noting(&trace, "third")).is_pending());
    second.replace(Some(other));
    is_kept.set(false);
    shared.1.notify(2);
    is_kept.set(true);
    trace.assert(&["third woken", "rude"]);
    assert!(poll(&mut third, Waker::noop()).is_ready());
}

/// Cancel safety of each way to wait, given up at any point: the lock is given back, and is not kept from
/// others; one that was notified by then passes it on, one that was not takes nothing from the other.
#[test]
fn given_up_at_any_point_each_way_to_wait_loses_nothing() {
    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    type Way = fn(&Rc<Lock<u32>>, &Rc<Condition>) -> Wait;
    let ways: [Way; 4] = [
        |lock, condition| {
            let (lock, condition) = (Rc::clone(lock), Rc::clone(condition));
            Box::pin(async move { drop(condition.wait(lock.lock().await).await) })
        },
        |lock, condition| {
            let (guard, condition) = (Rc::clone(lock).try_lock_owned(), Rc::clone(condition));
            Box::pin(async move { drop(condition.wait_owned(guard.unwrap()).await) })
        },
        |lock, condition| {
            let (lock, condition) = (Rc::clone(lock), Rc::clone(condition));
            Box::pin(async move {
                drop(condition.wait_for(lock.lock().await, |value| *value == 1).await)
            })
        },
        |lock, condition| {
            let (guard, condition) = (Rc::clone(lock).try_lock_owned(), Rc::clone(condition));
            Box::pin(async move {
                drop(condition.wait_for_owned(guard.unwrap(), |value| *value == 1).await);
            })
        },
    ];
    for way in ways {
        for point in ["not begun", "waits", "notified", "waits for the lock"] {
            let (lock, condition) = (Rc::new(Lock::new(0)), Rc::new(Condition::new()));
            let trace = Trace::new();
            let mut given_up = Some(way(&lock, &condition));
            match &mut given_up {
                Some(_) if point == "not begun" => given_up = None,
                begun => {
                    assert!(begun.iter_mut().all(|wait| poll(wait, Waker::noop()).is_pending()))
                }
            }
            let mut other = way(&lock, &condition);
            assert!(poll(&mut other, &noting(&trace, "other")).is_pending());
            let mut guard = lock.try_lock().unwrap();
            *guard = 1;
            let is_notified = matches!(point, "notified" | "waits for the lock");
            if is_notified {
                condition.notify(1);
            }
            if let (Some(wait), "waits for the lock") = (&mut given_up, point) {
                assert!(poll(wait, Waker::noop()).is_pending());
            }
            drop(given_up);
            assert_eq!(condition.waiting(), usize::from(!is_notified), "{point}");
            trace.assert(if is_notified { &["other woken"] } else { &[] });
            condition.notify(1);
            drop(guard);
            assert!(poll(&mut other, Waker::noop()).is_ready(), "{point}");
            assert!(!lock.is_locked());
        }
    }
}
