//! Read-write locks: readers together, writers alone, all in one line.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::sync::{OwnedRwLockWriteGuard, RwLock, RwLockWriteGuard};
use loopbind::{Task, loop_test, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

/// A task that has the lock for a turn: a writer where its name begins with a `w`.
fn worker(lock: &Rc<RwLock<Trace>>, name: &'static str) -> Task<()> {
    let lock = Rc::clone(lock);
    spawn(async move {
        if name.starts_with('w') {
            let trace = lock.write().await;
            trace.note(format!("{name} in"));
            yield_now().await;
            trace.note(format!("{name} out"));
        } else {
            let trace = lock.read().await;
            trace.note(format!("{name} in"));
            yield_now().await;
            trace.note(format!("{name} out"));
        }
    })
}

/// Readers that stand next to each other come in together, a writer alone, and nobody passes anybody.
#[loop_test(virtual_time)]
async fn readers_come_in_together_and_nobody_passes_a_writer() {
    let trace = Trace::new();
    let lock = Rc::new(RwLock::new(trace.clone()));
    let names = ["r1", "r2", "w1", "r3", "r4", "w2", "w3"];
    futures::future::join_all(names.map(|name| worker(&lock, name))).await;
    trace.assert(&[
        "r1 in", "r2 in", "r1 out", "r2 out", // together
        "w1 in", "w1 out", // alone, before the readers behind it
        "r3 in", "r4 in", "r3 out", "r4 out", //
        "w2 in", "w2 out", "w3 in", "w3 out",
    ]);
    assert!(lock.try_write().is_some());
}

/// A writer that waits keeps newcomers out, also those who only try; one let in and not come yet as well.
#[test]
fn a_writer_in_line_or_let_in_keeps_newcomers_out() {
    let (lock, trace) = (RwLock::new(0), Trace::new());
    let reads = lock.try_read().unwrap();
    assert!(lock.try_read().is_some() && lock.try_write().is_none());
    let mut writer = Box::pin(lock.write());
    assert!(poll(&mut writer, &noting(&trace, "writer")).is_pending());
    assert!(lock.try_read().is_none());
    let mut reader = Box::pin(lock.read());
    assert!(poll(&mut reader, &noting(&trace, "reader")).is_pending());
    drop(reads);
    trace.assert(&["writer woken"]);
    assert!(lock.try_read().is_none() && lock.try_write().is_none());
    assert!(poll(&mut reader, &noting(&trace, "reader")).is_pending());
    let Poll::Ready(mut guard) = poll(&mut writer, Waker::noop()) else { panic!("let in") };
    *guard = 5;
    drop(guard);
    trace.assert(&["reader woken"]);
    let Poll::Ready(guard) = poll(&mut reader, Waker::noop()) else { panic!("let in") };
    assert_eq!((*guard, format!("{guard} {guard:?}")), (5, "5 5".into()));
}

/// Cancel safety: a writer that gives up lets the readers behind it come in, beside those who are there; one that
/// gives up when it was let in makes room for the next; a reader likewise.
#[test]
fn given_up_in_line_or_let_in_those_behind_come_in() {
    let (lock, trace) = (RwLock::new(0), Trace::new());
    let [r1, r2, w2] = ["r1", "r2", "w2"].map(|name| noting(&trace, name));
    let reads = lock.try_read().unwrap();
    let mut first = Box::pin(lock.write());
    assert!(poll(&mut first, Waker::noop()).is_pending());
    let (mut one, mut other) = (Box::pin(lock.read()), Box::pin(lock.read()));
    assert!(poll(&mut one, &r1).is_pending() && poll(&mut other, &r2).is_pending());
    let mut second = Box::pin(lock.write());
    assert!(poll(&mut second, &w2).is_pending());
    drop(first); // in line: both readers come in beside the first
    trace.assert(&["r1 woken", "r2 woken"]);
    drop(one); // let in
    drop(reads);
    trace.assert(&[]);
    let guard = poll(&mut other, &r2);
    assert!(guard.is_ready());
    drop(guard);
    trace.assert(&["w2 woken"]);
    let mut last = Box::pin(lock.read());
    assert!(poll(&mut last, &r1).is_pending());
    drop(second); // let in
    trace.assert(&["r1 woken"]);
    assert!(poll(&mut last, &r1).is_ready());
    assert!(lock.try_write().is_some());
}

/// A writer that becomes a reader lets the readers behind it in, and no writer.
#[test]
fn downgraded_the_readers_behind_come_in_and_the_value_is_the_same() {
    let (lock, trace) = (Rc::new(RwLock::new(1)), Trace::new());
    let mut guard = lock.try_write().unwrap();
    let mut reader = Box::pin(lock.read());
    assert!(poll(&mut reader, &noting(&trace, "reader")).is_pending());
    let mut writer = Box::pin(lock.write());
    assert!(poll(&mut writer, &noting(&trace, "writer")).is_pending());
    *guard = 2;
    let looks = RwLockWriteGuard::downgrade(guard);
    trace.assert(&["reader woken"]);
    let Poll::Ready(other) = poll(&mut reader, Waker::noop()) else { panic!("let in") };
    assert_eq!((*looks, *other), (2, 2));
    drop(looks);
    trace.assert(&[]);
    drop(other);
    trace.assert(&["writer woken"]);
    drop(poll(&mut writer, Waker::noop()));
    let owned = OwnedRwLockWriteGuard::downgrade(Rc::clone(&lock).try_write_owned().unwrap());
    assert!(lock.try_write().is_none() && lock.try_read().is_some());
    drop(owned);
    assert!(lock.try_write().is_some());
}

/// Guards with a share: the last keeps the value.
#[loop_test(virtual_time)]
async fn owned_guards_wait_in_the_same_line_and_keep_the_value() {
    let trace = Trace::new();
    let lock = Rc::new(RwLock::new(trace.probe("value")));
    let writes = Rc::clone(&lock).write_owned().await;
    let reads = [0, 1].map(|_| spawn(Rc::clone(&lock).read_owned()));
    yield_now().await;
    assert!(Rc::clone(&lock).try_read_owned().is_none());
    drop(writes);
    drop(lock);
    let reads = futures::future::join_all(reads).await;
    trace.assert(&[]);
    drop(reads);
    trace.assert(&["value dropped"]);
}

/// How it shows itself.
#[test]
fn shows_its_value_or_that_it_is_locked_and_how_many_wait() {
    let mut lock = RwLock::from(7);
    *lock.get_mut() += 1;
    let reads = lock.try_read();
    assert_eq!(format!("{lock:?}"), "RwLock { value: 8, waiters: 0 }");
    drop(reads);
    let _writes = lock.try_write().unwrap();
    let mut wait = Box::pin(lock.read());
    assert!(poll(&mut wait, Waker::noop()).is_pending());
    assert_eq!(format!("{lock:?}"), "RwLock { value: <locked>, waiters: 1 }");
}

/// A waker that panics, or gives back what it is to wait for: the lock is whole and the others come in.
#[test]
fn wakers_that_panic_or_call_back_leave_the_lock_whole() {
    let (lock, trace) = (Rc::new(RwLock::new(0)), Trace::new());
    let held = std::cell::RefCell::new(Rc::clone(&lock).try_write_owned());
    let gives_back = scripted(move |moment| {
        if moment == Moment::Clone {
            drop(held.take());
        }
    });
    assert!(poll(&mut Box::pin(lock.read()), &gives_back).is_ready());
    let rude = scripted(|moment| assert_ne!(moment, Moment::Wake, "rude"));
    let held = lock.try_write().unwrap();
    let (mut bad, mut good) = (Box::pin(lock.read()), Box::pin(lock.read()));
    assert!(poll(&mut bad, &rude).is_pending());
    assert!(poll(&mut good, &noting(&trace, "good")).is_pending());
    assert!(panic_of(|| drop(held)).contains("rude"));
    trace.assert(&["good woken"]);
    assert!(poll(&mut good, Waker::noop()).is_ready() && poll(&mut bad, Waker::noop()).is_ready());
    assert!(lock.try_write().is_some());
}
