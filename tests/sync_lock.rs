//! Locks: served in the order of coming, handed from one to the next, never lost.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use loopbind::sync::{Lock, LockGuard, OwnedLockGuard};
use loopbind::{Task, loop_test, sleep, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

/// A task that notes when it has the lock, and has it for a turn.
fn worker(lock: &Rc<Lock<Trace>>, name: &'static str) -> Task<()> {
    let lock = Rc::clone(lock);
    spawn(async move {
        let trace = lock.lock().await;
        trace.note(format!("{name} has it"));
        yield_now().await;
        trace.note(format!("{name} gives it back"));
    })
}

type Locking<'a> = Pin<Box<dyn Future<Output = LockGuard<'a, u32>> + 'a>>;

fn locking(lock: &Lock<u32>) -> Locking<'_> {
    Box::pin(lock.lock())
}

/// LCK-02: who waits has it in the order of coming, and only one at a time.
#[loop_test(virtual_time)]
async fn asked_for_by_three_then_had_by_each_in_the_order_of_asking() {
    let trace = Trace::new();
    let lock = Rc::new(Lock::new(trace.clone()));
    let tasks = ["a", "b", "c"].map(|name| worker(&lock, name));
    futures::future::join_all(tasks).await;
    trace.assert(&[
        "a has it",
        "a gives it back",
        "b has it",
        "b gives it back",
        "c has it",
        "c gives it back",
    ]);
    assert!(!lock.is_locked());
}

/// LCK-02: handed over and not yet taken home, it is nobody else's: neither of who tries, nor of who comes.
#[test]
fn handed_over_then_tried_and_asked_for_by_others_it_is_still_the_first_ones() {
    let (lock, trace) = (Lock::new(0), Trace::new());
    let [a, b] = ["a", "b"].map(|name| noting(&trace, name));
    let held = lock.try_lock().unwrap();
    let mut first = locking(&lock);
    assert!(poll(&mut first, &a).is_pending());
    drop(held);
    trace.assert(&["a woken"]);
    assert!(lock.try_lock().is_none() && lock.is_locked());
    let mut newcomer = locking(&lock);
    assert!(poll(&mut newcomer, &b).is_pending());
    let guard = poll(&mut first, &a);
    assert!(guard.is_ready() && poll(&mut newcomer, &b).is_pending());
    drop(guard);
    trace.assert(&["b woken"]);
    assert!(poll(&mut newcomer, &b).is_ready());
}

/// LCK-03, cancel safety: given up in line it is passed by; given up with the lock handed over, the next has it;
/// nobody left, it is free.
#[test]
fn given_up_before_and_after_it_was_handed_over_the_next_has_it() {
    let (lock, trace) = (Lock::new(0), Trace::new());
    let names = ["a", "b", "c", "d"];
    let wakers = names.map(|name| noting(&trace, name));
    let held = lock.try_lock().unwrap();
    let mut waits = names.map(|_| locking(&lock));
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        assert!(poll(wait, waker).is_pending());
    }
    let [a, b, c, d] = waits;
    drop(b);
    drop(held);
    trace.assert(&["a woken"]);
    drop(a);
    trace.assert(&["c woken"]);
    drop(c);
    trace.assert(&["d woken"]);
    assert!(lock.try_lock().is_none());
    drop(d);
    assert!(!lock.is_locked());
    assert!(lock.try_lock().is_some());
}

/// LCK-03: the same by tasks of a loop that are cancelled, before and in the turn in which they were woken.
#[loop_test(virtual_time)]
async fn a_task_cancelled_as_it_is_handed_the_lock_passes_it_on() {
    let trace = Trace::new();
    let lock = Rc::new(Lock::new(trace.clone()));
    let held = Rc::clone(&lock).lock_owned().await;
    let [a, b, c] = ["a", "b", "c"].map(|name| worker(&lock, name));
    yield_now().await;
    drop(held);
    a.cancel();
    b.cancel();
    c.await.unwrap();
    trace.assert(&["c has it", "c gives it back"]);
    assert!(a.is_finished() && b.is_finished() && !lock.is_locked());
}

/// LCK-01: a guard is the only way to give it back; a task that asks again waits, others are not hindered.
#[loop_test(virtual_time)]
async fn asked_for_again_by_its_holder_it_waits_and_any_task_may_give_it_back() {
    let lock = Rc::new(Lock::new(0));
    let guard = Rc::clone(&lock).lock_owned().await;
    let again = loopbind::timeout(Duration::from_secs(9), lock.lock()).await;
    assert!(again.is_err());
    let elsewhere = spawn(async move { drop(guard) });
    elsewhere.await.unwrap();
    assert!(lock.try_lock().is_some());
}

/// LCK-05: how it shows itself.
#[test]
fn shows_its_value_or_that_it_is_locked_and_how_many_wait() {
    let lock = Lock::new(7);
    assert_eq!(format!("{lock:?}"), "Lock { value: 7, waiters: 0 }");
    let guard = lock.try_lock().unwrap();
    let mut wait = locking(&lock);
    assert!(poll(&mut wait, Waker::noop()).is_pending());
    assert_eq!(format!("{lock:?}"), "Lock { value: <locked>, waiters: 1 }");
    assert_eq!(format!("{guard} {guard:?}"), "7 7");
}

/// LCK-04: it belongs to no loop: made outside, used under another executor, under two at once, and by hand.
#[test]
fn used_under_another_executor_then_a_loop_then_by_hand() {
    let (lock, trace) = (Rc::new(Lock::new(0)), Trace::new());
    let by_hand = Rc::clone(&lock).try_lock_owned().unwrap();
    let mut pool = LocalPool::new();
    let in_pool = (Rc::clone(&lock), trace.clone());
    pool.spawner()
        .spawn_local(async move {
            *in_pool.0.lock().await += 1;
            in_pool.1.note("pool");
        })
        .unwrap();
    pool.run_until_stalled();
    let event_loop = support::virtual_loop();
    let in_loop = (Rc::clone(&lock), trace.clone());
    let task = event_loop.create_task(async move {
        *in_loop.0.lock().await += 1;
        in_loop.1.note("loop");
    });
    support::turn(&event_loop);
    drop(by_hand);
    support::turn(&event_loop);
    trace.assert(&[]);
    pool.run();
    trace.assert(&["pool"]);
    event_loop.run_until_complete(task).unwrap().unwrap();
    trace.assert(&["loop"]);
    assert_eq!(*lock.try_lock().unwrap(), 2);
}

/// LCK-04: the same under tokio, among its local tasks.
#[test]
fn asked_for_by_local_tasks_of_tokio_it_is_had_in_the_order_of_asking() {
    let trace = Trace::new();
    let lock = Rc::new(Lock::new(trace.clone()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let tasks = tokio::task::LocalSet::new();
    for name in ["a", "b", "c"] {
        let lock = Rc::clone(&lock);
        tasks.spawn_local(async move {
            let trace = lock.lock().await;
            tokio::task::yield_now().await;
            trace.note(name);
        });
    }
    runtime.block_on(tasks);
    trace.assert(&["a", "b", "c"]);
}

/// A panic under the lock gives it back: nothing is poisoned, and the next has it.
#[loop_test(virtual_time)]
async fn a_panic_under_the_lock_hands_it_to_the_next() {
    let lock = Rc::new(Lock::new(0));
    let same = Rc::clone(&lock);
    let fails = spawn(async move {
        let _guard = same.lock().await;
        yield_now().await;
        panic!("oh");
    });
    let same = Rc::clone(&lock);
    let next = spawn(async move { *same.lock().await += 1 });
    assert!(fails.await.is_err());
    next.await.unwrap();
    assert_eq!(*lock.try_lock().unwrap(), 1);
}

/// Owned guards: of any lifetime, also of values without a size, and the last to keep the lock.
#[test]
fn an_owned_guard_keeps_the_lock_and_hands_it_over() {
    let lock: Rc<Lock<[u8]>> = Rc::new(Lock::new([1, 2, 3]));
    let mut guard: OwnedLockGuard<[u8]> = Rc::clone(&lock).try_lock_owned().unwrap();
    let trace = Trace::new();
    let mut wait = Box::pin(Rc::clone(&lock).lock_owned());
    assert!(poll(&mut wait, &noting(&trace, "wait")).is_pending());
    assert!(Rc::clone(&lock).try_lock_owned().is_none());
    guard[1] = 9;
    drop(lock);
    drop(guard);
    trace.assert(&["wait woken"]);
    let Poll::Ready(guard) = poll(&mut wait, Waker::noop()) else { panic!("it was handed over") };
    assert_eq!(*guard, [1, 9, 3]);
}

/// A value dropped with its lock is dropped once, with the last guard that has a share.
#[test]
fn the_value_is_dropped_once_with_the_last_share() {
    let trace = Trace::new();
    let guard = Rc::new(Lock::new(trace.probe("value"))).try_lock_owned().unwrap();
    trace.note("guard left");
    drop(guard);
    trace.assert(&["guard left", "value dropped"]);
}

/// Leaked, a guard keeps the lock and a wait its place: the others wait, and nothing else.
#[test]
fn leaked_guards_and_waits_keep_what_they_had() {
    let lock = Lock::new(1);
    std::mem::forget(lock.try_lock());
    assert!(lock.try_lock().is_none());
    let lock = Lock::new(1);
    let held = lock.try_lock().unwrap();
    let (mut first, mut second) = (locking(&lock), locking(&lock));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    assert!(poll(&mut second, Waker::noop()).is_pending());
    std::mem::forget(first);
    drop(held);
    assert!(poll(&mut second, Waker::noop()).is_pending());
    drop(second);
    assert!(lock.is_locked());
    assert_eq!(lock.into_inner(), 1);
}

/// A waker whose clone gives the lock back: who was about to wait has it instead.
#[test]
fn given_back_by_the_clone_of_the_waker_nobody_waits() {
    let lock = Rc::new(Lock::new(0));
    let held = RefCell::new(Some(Rc::clone(&lock).try_lock_owned().unwrap()));
    let waker = scripted(move |moment| {
        if moment == Moment::Clone {
            drop(held.take());
        }
    });
    assert!(poll(&mut locking(&lock), &waker).is_ready());
}

/// The same, and the clone that nobody needs panics as it is dropped: the lock is not lost with it.
#[test]
fn had_in_the_moment_and_the_needless_waker_panics_the_lock_is_free_again() {
    let lock = Rc::new(Lock::new(0));
    let held = RefCell::new(Some(Rc::clone(&lock).try_lock_owned().unwrap()));
    let waker = scripted(move |moment| match moment {
        Moment::Clone => drop(held.take()),
        Moment::Drop => panic!("rude"),
        Moment::Wake => {}
    });
    assert_eq!(panic_of(|| poll(&mut locking(&lock), &waker).is_ready()), "rude");
    assert!(!lock.is_locked());
    std::mem::forget(waker);
}

/// Wakers that ask, try, give back and give up themselves, at each of their moments: harmless, and in the end
/// everybody had it.
#[test]
fn wakers_that_call_back_into_the_lock_are_harmless() {
    for wanted in [Moment::Clone, Moment::Wake, Moment::Drop] {
        let (lock, had) = (Rc::new(Lock::new(0)), Rc::new(Cell::new(0)));
        let waker = scripted({
            let (lock, had) = (Rc::clone(&lock), Rc::clone(&had));
            move |moment| {
                if moment == wanted {
                    had.set(had.get() + usize::from(lock.try_lock().is_some()));
                    let (mut stays, mut goes) = (locking(&lock), locking(&lock));
                    drop(poll(&mut goes, Waker::noop()));
                    let got = poll(&mut stays, Waker::noop());
                    had.set(had.get() + usize::from(got.is_ready()));
                    assert!(format!("{lock:?}").starts_with("Lock"));
                }
            }
        });
        let held = lock.try_lock().unwrap();
        let mut waits = [0, 1, 2].map(|_| locking(&lock));
        for wait in &mut waits {
            assert!(poll(wait, &waker).is_pending());
        }
        assert!(poll(&mut waits[0], Waker::noop()).is_pending());
        drop(held);
        for wait in &mut waits {
            let guard = poll(wait, &waker);
            assert!(guard.is_ready(), "{wanted:?}");
        }
        assert_eq!(had.get(), 0, "{wanted:?}: nobody took what was another's");
        assert!(!lock.is_locked());
    }
}

/// A waker that panics at each of its moments: the panic reaches whoever called it, the lock is whole, the next
/// has it.
#[test]
fn wakers_that_panic_leave_the_lock_whole_and_the_next_is_served() {
    for wanted in [Moment::Clone, Moment::Wake, Moment::Drop] {
        let (lock, trace) = (Lock::new(0), Trace::new());
        let rude = scripted(move |moment| assert_ne!(moment, wanted, "rude"));
        let noting = noting(&trace, "next");
        let held = lock.try_lock().unwrap();
        let (mut bad, mut next) = (locking(&lock), locking(&lock));
        if wanted == Moment::Clone {
            assert!(panic_of(|| poll(&mut bad, &rude).is_ready()).contains("rude"));
        } else {
            assert!(poll(&mut bad, &rude).is_pending());
        }
        assert!(poll(&mut next, &noting).is_pending());
        match wanted {
            Moment::Clone => drop(held),
            Moment::Wake => {
                assert!(panic_of(|| drop(held)).contains("rude"));
                trace.assert(&[]); // it was handed over, and is `bad`'s
                drop(bad);
            }
            Moment::Drop => {
                assert!(panic_of(|| drop(bad)).contains("rude"));
                drop(held);
            }
        }
        trace.assert(&["next woken"]);
        assert!(poll(&mut next, &noting).is_ready());
        assert!(!lock.is_locked());
        std::mem::forget(rude);
    }
}

/// A guard that is dropped by a panic wakes a waker that panics as well: the first one goes on, alone.
#[test]
fn a_rude_waker_in_an_unwinding_thread_is_not_heard() {
    let lock = Lock::new(0);
    let rude = scripted(|moment| assert_ne!(moment, Moment::Wake, "rude"));
    let mut wait = locking(&lock);
    let thrown = panic_of(|| {
        let _held = lock.try_lock().unwrap();
        assert!(poll(&mut wait, &rude).is_pending());
        panic!("first");
    });
    assert_eq!(thrown, "first");
    assert!(poll(&mut wait, Waker::noop()).is_ready());
}

/// The same waker again is not cloned again.
#[test]
fn polled_again_with_the_same_waker_it_is_not_cloned() {
    let (lock, clones) = (Lock::new(0), Rc::new(Cell::new(0)));
    let waker = scripted({
        let clones = Rc::clone(&clones);
        move |moment| clones.set(clones.get() + u32::from(moment == Moment::Clone))
    });
    let _held = lock.try_lock().unwrap();
    let mut wait = locking(&lock);
    for _ in 0..9 {
        assert!(poll(&mut wait, &waker).is_pending());
    }
    assert_eq!(clones.get(), 1);
}

/// In whatever order tasks run, they have it one after the other, in the order in which they asked.
#[loop_test(virtual_time, seeds = 0..16)]
async fn in_any_order_of_running_it_is_had_in_the_order_of_asking() {
    let lock = Rc::new(Lock::new(Vec::new()));
    let asked = Rc::new(RefCell::new(Vec::new()));
    let tasks = (0..20).map(|number| {
        let (lock, asked) = (Rc::clone(&lock), Rc::clone(&asked));
        spawn(async move {
            sleep(Duration::from_millis(number % 3)).await;
            asked.borrow_mut().push(number);
            let mut had = lock.lock().await;
            yield_now().await;
            had.push(number);
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(*lock.lock().await, *asked.borrow());
}
