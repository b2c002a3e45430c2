//! Once cells: made once, by whoever comes first and gets it done.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::sync::OnceCell;
use loopbind::{loop_test, spawn, yield_now};
use scripted::{noting, poll};
use support::{Trace, panic_of};

/// Asked for by three at once, it is made by the first, and all have it in the order of asking.
#[loop_test(virtual_time)]
async fn made_by_the_first_and_had_by_all() {
    let (cell, trace) = (Rc::new(OnceCell::new()), Trace::new());
    let tasks = ["a", "b", "c"].map(|name| {
        let (cell, trace) = (Rc::clone(&cell), trace.clone());
        spawn(async move {
            let init = async || {
                trace.note(format!("{name} makes it"));
                yield_now().await;
                name
            };
            let made = cell.get_or_init(init).await;
            trace.note(format!("{name} has {made}'s"));
        })
    });
    futures::future::join_all(tasks).await;
    trace.assert(&["a makes it", "a has a's", "b has a's", "c has a's"]);
    assert_eq!(cell.get(), Some(&"a"));
    assert_eq!(cell.set("late"), Err("late"));
}

/// Made in vain, by one that fails, one that panics, one that is cancelled: each time the next in line makes it.
#[loop_test(virtual_time)]
async fn failed_then_panicked_then_cancelled_the_next_makes_it() {
    let (cell, trace) = (Rc::new(OnceCell::new()), Trace::new());
    let [fails, panics, hangs, mut works, mut comes] =
        ["fails", "panics", "hangs", "works", "comes"].map(|name| {
            let (cell, trace) = (Rc::clone(&cell), trace.clone());
            spawn(async move {
                let init = async || {
                    trace.note(format!("{name}: tried"));
                    yield_now().await;
                    match name {
                        "fails" => Err(name),
                        "panics" => panic!("oh"),
                        "hangs" => std::future::pending().await,
                        _ => Ok(name),
                    }
                };
                cell.get_or_try_init(init).await.copied()
            })
        });
    assert_eq!(fails.await.unwrap(), Err("fails"));
    assert!(panics.await.is_err());
    yield_now().await;
    yield_now().await;
    trace.assert(&["fails: tried", "panics: tried", "hangs: tried"]);
    assert_eq!(cell.set("by hand"), Err("by hand")); // one is being made
    hangs.cancel();
    assert_eq!((&mut works).await.unwrap(), Ok("works"));
    assert_eq!((&mut comes).await.unwrap(), Ok("works"));
    trace.assert(&["works: tried"]);
}

/// Cancel safety: told to make it and given up, it is the next one's; given up in line, nobody notices.
#[test]
fn given_up_when_it_was_told_to_make_it_the_next_is_told() {
    let (cell, trace) = (OnceCell::new(), Trace::new());
    let [a, b, c] = ["a", "b", "c"].map(|name| noting(&trace, name));
    let mut first = Box::pin(cell.get_or_init(async || std::future::pending::<u8>().await));
    assert!(poll(&mut first, Waker::noop()).is_pending());
    let mut waits = [1, 2, 3].map(|value| Box::pin(cell.get_or_init(async move || value)));
    for (wait, waker) in waits.iter_mut().zip([&a, &b, &c]) {
        assert!(poll(wait, waker).is_pending());
    }
    let [one, two, mut three] = waits;
    drop(first);
    trace.assert(&["a woken"]);
    drop(two);
    drop(one);
    trace.assert(&["c woken"]);
    assert_eq!(poll(&mut three, &c), Poll::Ready(&3));
}

/// Nobody in line: failed, it is as new, also for `set`; and it says what it holds.
#[test]
fn failed_with_nobody_in_line_it_is_as_new() {
    let mut cell = OnceCell::new();
    let failed = poll(&mut Box::pin(cell.get_or_try_init(async || Err("no"))), Waker::noop());
    assert_eq!(failed, Poll::Ready(Err("no")));
    let thrown = panic_of(|| {
        poll(&mut Box::pin(cell.get_or_init(async || panic!("oh"))), Waker::noop()).is_ready()
    });
    assert_eq!(thrown, "oh");
    assert_eq!(format!("{cell:?}"), "OnceCell(<empty>)");
    assert_eq!(cell.set(5), Ok(()));
    assert_eq!(format!("{cell:?}"), "OnceCell(5)");
    *cell.get_mut().unwrap() += 1;
    let made = Cell::new(false);
    let had = poll(
        &mut Box::pin(cell.get_or_init(async || {
            made.set(true);
            9
        })),
        Waker::noop(),
    );
    assert_eq!((had, made.get()), (Poll::Ready(&6), false));
    assert_eq!((cell.take(), cell.into_inner()), (Some(6), None));
}
