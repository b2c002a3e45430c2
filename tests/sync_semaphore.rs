//! Semaphores: permits in the order of asking, and none is lost or made up.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::sync::{Permit, Semaphore};
use loopbind::{Task, loop_test, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

type Asking<'a> = Pin<Box<dyn Future<Output = Permit<'a>> + 'a>>;

fn asking(semaphore: &Semaphore, permits: usize) -> Asking<'_> {
    Box::pin(semaphore.acquire_many(permits))
}

fn worker(semaphore: &Rc<Semaphore>, trace: &Trace, name: &'static str) -> Task<()> {
    let (semaphore, trace) = (Rc::clone(semaphore), trace.clone());
    spawn(async move {
        for round in 1..=2 {
            let _permit = semaphore.acquire().await;
            trace.note(format!("{name}{round}"));
            yield_now().await;
        }
    })
}

/// SEM-02: two at a time, in the order of asking; who was there comes again behind those who wait.
#[loop_test(virtual_time)]
async fn permits_go_round_in_the_order_of_asking() {
    let (semaphore, trace) = (Rc::new(Semaphore::new(2)), Trace::new());
    let tasks = ["a", "b", "c"].map(|name| worker(&semaphore, &trace, name));
    futures::future::join_all(tasks).await;
    trace.assert(&["a1", "b1", "c1", "a2", "b2", "c2"]);
    assert_eq!(semaphore.available(), 2);
}

/// SEM-01: it counts, up and down and for ever; a permit is given back once, and forgotten ones are not.
#[test]
fn permits_are_counted_given_back_once_forgotten_and_added() {
    let semaphore = Semaphore::new(2);
    let (one, other) = (semaphore.try_acquire().unwrap(), semaphore.try_acquire().unwrap());
    assert!(semaphore.try_acquire().is_none() && semaphore.is_locked());
    drop(one);
    other.forget();
    assert_eq!((semaphore.available(), semaphore.is_locked()), (1, false));
    semaphore.add_permits(2);
    let all = semaphore.try_acquire_many(3).unwrap();
    assert_eq!((all.count(), semaphore.available()), (3, 0));
    assert_eq!(format!("{semaphore:?} {all:?}"), {
        "Semaphore { available: 0, waiters: 0 } Permit { count: 3, .. }"
    });
    drop(all);
    let thrown = panic_of(|| semaphore.add_permits(usize::MAX - 2));
    assert_eq!(thrown, "a semaphore has at most usize::MAX permits");
    assert_eq!(semaphore.available(), 3);
    // More than there can be, of which nobody is to hear in a destructor.
    let permit = semaphore.try_acquire();
    semaphore.add_permits(usize::MAX - 2);
    drop(permit);
    assert_eq!(semaphore.available(), usize::MAX);
}

/// SEM-02: who wants many is not passed by who wants few; while somebody waits it is locked though permits are
/// there.
#[test]
fn who_wants_many_is_not_passed_and_it_is_locked_meanwhile() {
    let (semaphore, trace) = (Semaphore::new(2), Trace::new());
    let [many, few] = ["many", "few"].map(|name| noting(&trace, name));
    let held = semaphore.try_acquire().unwrap();
    let (mut first, mut second) = (asking(&semaphore, 2), asking(&semaphore, 1));
    assert!(poll(&mut first, &many).is_pending() && poll(&mut second, &few).is_pending());
    assert_eq!((semaphore.available(), semaphore.is_locked()), (1, true));
    assert!(semaphore.try_acquire().is_none());
    drop(held);
    trace.assert(&["many woken"]);
    assert_eq!(semaphore.available(), 0);
    let permit = poll(&mut first, &many);
    assert!(poll(&mut second, &few).is_pending());
    drop(permit);
    trace.assert(&["few woken"]);
    assert!(poll(&mut second, &few).is_ready());
    assert_eq!(semaphore.available(), 2);
}

/// SEM-03, cancel safety: given up in line, those behind are served if there is enough; given up with permits
/// granted, they go to the next.
#[test]
fn given_up_in_line_or_granted_the_permits_go_to_the_next() {
    let (semaphore, trace) = (Semaphore::new(1), Trace::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| noting(&trace, name));
    let (mut big, mut one) = (asking(&semaphore, 2), asking(&semaphore, 1));
    assert!(poll(&mut big, Waker::noop()).is_pending() && poll(&mut one, &a).is_pending());
    drop(big);
    trace.assert(&["a woken"]);
    let (mut two, mut three) = (asking(&semaphore, 1), asking(&semaphore, 1));
    assert!(poll(&mut two, &b).is_pending() && poll(&mut three, &c).is_pending());
    drop(one);
    trace.assert(&["b woken"]);
    drop(three);
    drop(two);
    trace.assert(&[]);
    assert_eq!(semaphore.available(), 1);
}

/// Permits that are added serve as many as there are, in one go, before any of them runs.
#[test]
fn added_permits_serve_as_many_as_there_are_before_any_waker_runs() {
    let (semaphore, trace) = (Rc::new(Semaphore::new(0)), Trace::new());
    let wakers = ["a", "b", "c"].map(|name| {
        let (semaphore, trace) = (Rc::clone(&semaphore), trace.clone());
        scripted(move |moment| {
            if moment == Moment::Wake {
                trace.note(format!("{name} woken, {} left", semaphore.available()));
            }
        })
    });
    let mut asks = [0, 1, 2].map(|_| asking(&semaphore, 1));
    for (ask, waker) in asks.iter_mut().zip(&wakers) {
        assert!(poll(ask, waker).is_pending());
    }
    semaphore.add_permits(2);
    trace.assert(&["a woken, 0 left", "b woken, 0 left"]);
    semaphore.add_permits(2);
    trace.assert(&["c woken, 1 left"]);
}

/// Who is served by a waker that is being woken comes behind those who were served before.
#[test]
fn served_while_others_are_being_woken_and_woken_behind_them() {
    let semaphore = Rc::new(Semaphore::new(0));
    let trace = Trace::new();
    let serves = scripted({
        let (semaphore, trace) = (Rc::clone(&semaphore), trace.clone());
        move |moment| {
            if moment == Moment::Wake {
                trace.note("first woken");
                semaphore.add_permits(1);
                trace.note("served one more");
            }
        }
    });
    let mut asking: Vec<_> = (0..3).map(|_| asking(&semaphore, 1)).collect();
    let wakers = [serves, noting(&trace, "second"), noting(&trace, "third")];
    for (asking, waker) in asking.iter_mut().zip(&wakers) {
        assert!(poll(asking, waker).is_pending());
    }
    semaphore.add_permits(2);
    trace.assert(&["first woken", "second woken", "third woken", "served one more"]);
    assert!(asking.iter_mut().all(|asking| poll(asking, Waker::noop()).is_ready()));
}

/// Permits with a share: they wait in the same line, go to other tasks, and give back to the same.
#[loop_test(virtual_time)]
async fn owned_permits_wait_in_the_same_line_and_go_elsewhere() {
    let semaphore = Rc::new(Semaphore::new(2));
    let both = Rc::clone(&semaphore).acquire_many_owned(2).await;
    assert!(Rc::clone(&semaphore).try_acquire_owned().is_none());
    let waits = spawn(Rc::clone(&semaphore).acquire_owned());
    yield_now().await;
    spawn(async move { drop(both) }).await.unwrap();
    let permit = waits.await.unwrap();
    assert_eq!((permit.count(), semaphore.available()), (1, 1));
    permit.forget();
    assert_eq!(semaphore.available(), 1);
    let mut asks = Box::pin(Rc::clone(&semaphore).acquire_many_owned(2));
    assert!(poll(&mut asks, Waker::noop()).is_pending());
    semaphore.add_permits(1);
    drop(asks);
    assert_eq!((semaphore.available(), Rc::strong_count(&semaphore)), (2, 1));
}

/// Wakers that call back, and wakers that panic: nothing is lost.
#[test]
fn wakers_that_call_back_or_panic_lose_no_permit() {
    let semaphore = Rc::new(Semaphore::new(1));
    let held = RefCell::new(Rc::clone(&semaphore).try_acquire_owned());
    let gives_back = scripted({
        let semaphore = Rc::clone(&semaphore);
        move |moment| match moment {
            Moment::Clone => drop(held.take()),
            Moment::Wake | Moment::Drop => drop(semaphore.try_acquire()),
        }
    });
    assert!(poll(&mut asking(&semaphore, 1), &gives_back).is_ready());
    for wanted in [Moment::Clone, Moment::Wake, Moment::Drop] {
        let trace = Trace::new();
        let rude = scripted(move |moment| assert_ne!(moment, wanted, "rude"));
        let held = semaphore.try_acquire().unwrap();
        let (mut bad, mut good) = (asking(&semaphore, 1), asking(&semaphore, 1));
        let polled =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut bad, &rude)));
        assert_eq!(polled.is_err(), wanted == Moment::Clone);
        assert!(poll(&mut good, &noting(&trace, "good")).is_pending());
        match wanted {
            Moment::Clone => drop(held),
            Moment::Wake => {
                assert!(panic_of(|| drop(held)).contains("rude"));
                drop(bad);
            }
            Moment::Drop => {
                assert!(panic_of(|| drop(bad)).contains("rude"));
                drop(held);
            }
        }
        trace.assert(&["good woken"]);
        let Poll::Ready(permit) = poll(&mut good, Waker::noop()) else { panic!("granted") };
        drop(permit);
        assert_eq!(semaphore.available(), 1, "{wanted:?}");
        std::mem::forget(rude);
    }
}
