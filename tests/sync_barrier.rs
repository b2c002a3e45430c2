//! Barriers: all wait for each other, or are told that it broke.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::sync::{Barrier, BrokenBarrier};
use loopbind::{Task, loop_test, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

fn comer(barrier: &Rc<Barrier>, trace: &Trace, name: &'static str) -> Task<()> {
    let (barrier, trace) = (Rc::clone(barrier), trace.clone());
    spawn(async move {
        for _ in 0..2 {
            let said = barrier.wait().await;
            trace.note(format!("{name}: {said:?}"));
        }
    })
}

/// BAR-01: each has a number of its own in the order of coming; the last goes on first; round after round.
#[loop_test(virtual_time)]
async fn all_go_on_the_last_one_first_each_with_its_number_round_after_round() {
    let (barrier, trace) = (Rc::new(Barrier::new(3)), Trace::new());
    let tasks = ["a", "b", "c"].map(|name| comer(&barrier, &trace, name));
    futures::future::join_all(tasks).await;
    trace.assert(&[
        "c: Ok(2)", "a: Ok(0)", "b: Ok(1)", //
        "b: Ok(2)", "c: Ok(0)", "a: Ok(1)",
    ]);
    assert_eq!((barrier.n_waiting(), barrier.parties(), barrier.is_broken()), (0, 3, false));
}

/// BAR-01: one for one needs nobody; one for none is a mistake.
#[test]
fn one_for_one_does_not_wait_and_one_for_none_is_refused() {
    let barrier = Barrier::new(1);
    for _ in 0..2 {
        assert_eq!(poll(&mut Box::pin(barrier.wait()), Waker::noop()), Poll::Ready(Ok(0)));
    }
    assert_eq!(panic_of(|| Barrier::new(0)), "parties must be > 0");
}

/// BAR-02: aborted, all who wait and all who come are told, until it is reset.
#[loop_test(virtual_time)]
async fn aborted_then_all_are_told_until_it_is_reset() {
    let (barrier, trace) = (Rc::new(Barrier::new(3)), Trace::new());
    let tasks = ["a", "b"].map(|name| comer(&barrier, &trace, name));
    yield_now().await;
    assert_eq!(format!("{barrier:?}"), "Barrier { parties: 3, waiters: 2, broken: false }");
    barrier.abort();
    futures::future::join_all(tasks).await;
    let broken = "Err(BrokenBarrier)";
    trace.assert(
        &["a", "a", "b", "b"].map(|name| format!("{name}: {broken}")).each_ref().map(|s| &**s),
    );
    assert_eq!(barrier.wait().await, Err(BrokenBarrier));
    assert_eq!(BrokenBarrier.to_string(), "barrier is broken");
    barrier.reset().await;
    let three = futures::future::join_all((0..3).map(|_| barrier.wait())).await;
    assert_eq!(three, [Ok(0), Ok(1), Ok(2)]);
}

/// BAR-02: reset, those who wait are told, and those who come wait.
#[test]
fn reset_then_who_waits_is_told_and_who_comes_waits() {
    let (barrier, trace) = (Barrier::new(2), Trace::new());
    let mut before = Box::pin(barrier.wait());
    assert!(poll(&mut before, &noting(&trace, "before")).is_pending());
    assert!(poll(&mut Box::pin(barrier.reset()), Waker::noop()).is_ready());
    trace.assert(&["before woken"]);
    let mut after = Box::pin(barrier.wait());
    assert!(poll(&mut after, Waker::noop()).is_pending());
    assert_eq!(poll(&mut before, Waker::noop()), Poll::Ready(Err(BrokenBarrier)));
    assert_eq!(poll(&mut Box::pin(barrier.wait()), Waker::noop()), Poll::Ready(Ok(1)));
    assert_eq!(poll(&mut after, Waker::noop()), Poll::Ready(Ok(0)));
}

/// BAR-02, cancel safety: given up before all have come, it has not come, and the numbers stay unlike; given up
/// afterwards, the others go on.
#[test]
fn given_up_before_all_came_somebody_else_has_to_come_and_afterwards_not() {
    let barrier = Barrier::new(3);
    let mut waits = [0, 1].map(|_| Box::pin(barrier.wait()));
    for wait in &mut waits {
        assert!(poll(wait, Waker::noop()).is_pending());
    }
    let [a, mut b] = waits;
    drop(a);
    assert_eq!(barrier.n_waiting(), 1);
    let mut c = Box::pin(barrier.wait());
    assert!(poll(&mut c, Waker::noop()).is_pending());
    assert_eq!(poll(&mut Box::pin(barrier.wait()), Waker::noop()), Poll::Ready(Ok(2)));
    drop(c);
    assert_eq!(poll(&mut b, Waker::noop()), Poll::Ready(Ok(0)));
    assert_eq!(barrier.n_waiting(), 0);
}

/// A waker whose clone brings the others: who was about to wait is the last. One that panics loses nobody else.
#[test]
fn wakers_that_call_back_or_panic_leave_the_barrier_whole() {
    let (barrier, trace) = (Rc::new(Barrier::new(2)), Trace::new());
    let kept = Rc::new(std::cell::RefCell::new(None));
    let brings = scripted({
        let (barrier, kept) = (Rc::clone(&barrier), Rc::clone(&kept));
        move |moment| {
            if moment == Moment::Clone {
                let barrier = Rc::clone(&barrier);
                let mut wait = Box::pin(async move { barrier.wait().await });
                assert!(poll(&mut wait, Waker::noop()).is_pending());
                kept.replace(Some(wait));
            }
        }
    });
    assert_eq!(poll(&mut Box::pin(barrier.wait()), &brings), Poll::Ready(Ok(1)));
    assert_eq!(poll(kept.take().as_mut().unwrap(), Waker::noop()), Poll::Ready(Ok(0)));

    let barrier = Barrier::new(3);
    let rude = scripted(|moment| assert_ne!(moment, Moment::Wake, "rude"));
    let (mut bad, mut good) = (Box::pin(barrier.wait()), Box::pin(barrier.wait()));
    assert!(poll(&mut bad, &rude).is_pending());
    assert!(poll(&mut good, &noting(&trace, "good")).is_pending());
    let mut last = Box::pin(barrier.wait());
    assert!(panic_of(|| poll(&mut last, Waker::noop())).contains("rude"));
    trace.assert(&["good woken"]);
    assert_eq!(poll(&mut bad, Waker::noop()), Poll::Ready(Ok(0)));
    assert_eq!(poll(&mut good, Waker::noop()), Poll::Ready(Ok(1)));
}
