//! A value that is watched: the latest is seen, each change wakes, and nobody who looks stands in the way.

#![cfg(feature = "macros")]

#[path = "support/polled.rs"]
mod polled;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use loopbind::sync::watch::{self, Closed, SendError};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use polled::{Dice, Polled, at_once};
use scripted::{Moment, scripted};
use support::{Bomb, Trace, on_drop, panic_of};

#[loop_test(virtual_time)]
async fn who_watches_sees_the_latest_of_several_changes() {
    let (sender, mut receiver) = watch::channel(0);
    let trace = Trace::new();
    let noted = trace.clone();
    let watches = spawn(async move {
        while receiver.changed().await.is_ok() {
            noted.note(receiver.borrow_and_update().to_string());
        }
        noted.note(format!("the end, at {}", *receiver.borrow()));
    });
    yield_now().await;
    sender.send(1).unwrap();
    sender.send(2).unwrap();
    yield_now().await;
    sender.send_modify(|value| *value += 1);
    yield_now().await;
    assert!(!sender.send_if_modified(|value| *value > 5));
    yield_now().await;
    sender.send(4).unwrap();
    drop(sender);
    watches.await.unwrap();
    trace.assert(&["2", "3", "4", "the end, at 4"]);
}

#[test]
fn a_change_is_seen_once_by_each_and_marked_by_hand() {
    let (sender, mut one) = watch::channel("a");
    assert_eq!(one.has_changed(), Ok(false), "the first value is not news");
    sender.send("b").unwrap();
    let mut other = one.clone();
    let mut late = sender.subscribe();
    assert_eq!(at_once(one.changed()), Ok(()));
    assert_eq!(at_once(other.changed()), Ok(()), "a clone has seen what its original had");
    drop(Polled::waiting(one.changed()));
    drop(Polled::waiting(late.changed()));
    one.mark_changed();
    assert!(one.borrow().has_changed());
    assert!(one.borrow_and_update().has_changed());
    assert!(!one.borrow().has_changed());
    sender.send("c").unwrap();
    other.mark_unchanged();
    assert_eq!((one.has_changed(), other.has_changed()), (Ok(true), Ok(false)));
}

#[test]
fn the_senders_go_and_what_was_not_seen_is_seen_first() {
    let (sender, mut receiver) = watch::channel(1);
    let other = sender.clone();
    assert_eq!(sender.sender_count(), 2);
    drop(sender);
    other.send(2).unwrap();
    drop(other);
    assert_eq!(receiver.has_changed(), Ok(true));
    assert_eq!(at_once(receiver.changed()), Ok(()));
    assert_eq!(receiver.has_changed(), Err(Closed));
    assert_eq!(at_once(receiver.changed()), Err(Closed));
    assert_eq!(*receiver.borrow(), 2);

    let (sender, mut receiver) = watch::channel(1);
    let mut waits = Polled::waiting(receiver.changed());
    drop(sender);
    assert!(waits.is_woken());
    assert_eq!(waits.ready(), Err(Closed));
}

#[test]
fn the_receivers_go_and_come_again() {
    let (sender, receiver) = watch::channel(1);
    let other = receiver.clone();
    let mut closed = Polled::waiting(sender.closed());
    drop(receiver);
    assert!(!closed.is_woken());
    drop(other);
    closed.ready();
    assert_eq!(sender.send(2), Err(SendError(2)));
    assert_eq!(*sender.borrow(), 1);
    assert_eq!(sender.send_replace(3), 1);
    let receiver = sender.subscribe();
    assert_eq!((*receiver.borrow(), sender.receiver_count()), (3, 1));
    drop(Polled::waiting(sender.closed()));

    // There is one again before who waits had its turn.
    let mut closed = Polled::waiting(sender.closed());
    drop(receiver);
    let receiver = sender.subscribe();
    assert!(closed.poll().is_pending());
    drop(receiver);
    closed.ready();
}

#[test]
fn waited_for_until_it_is_as_wanted_or_cannot_be_any_more() {
    let (sender, mut receiver) = watch::channel(1);
    assert_eq!(*at_once(receiver.wait_for(|value| *value == 1)).unwrap(), 1, "seen before");
    let looked = RefCell::new(Vec::new());
    let mut waits = Polled::waiting(receiver.wait_for(|value| {
        looked.borrow_mut().push(*value);
        *value > 3
    }));
    sender.send(2).unwrap();
    assert!(waits.poll().is_pending());
    sender.send(9).unwrap();
    sender.send(5).unwrap();
    assert_eq!(*waits.ready().unwrap(), 5);
    drop(waits);
    assert_eq!(looked.take(), [1, 2, 5]);
    assert_eq!(receiver.has_changed(), Ok(false), "what was looked at is seen");
    sender.send(0).unwrap();
    drop(sender);
    assert_eq!(*at_once(receiver.wait_for(|value| *value == 0)).unwrap(), 0, "the last counts");
    assert_eq!(at_once(receiver.wait_for(|value| *value == 7)).unwrap_err(), Closed);
}

/// Cancel safety of `changed`: given up at any poll, the change is still news.
#[test]
fn a_wait_for_a_change_that_is_dropped_at_any_poll_has_seen_nothing() {
    for polls in 0..3 {
        let (sender, mut receiver) = watch::channel(1);
        let mut other = receiver.clone();
        let mut given_up = Polled::new(receiver.changed());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut stays = Polled::waiting(other.changed());
        sender.send(2).unwrap();
        drop(given_up);
        assert_eq!(receiver.has_changed(), Ok(true));
        assert_eq!((stays.wakes.take(), stays.ready()), (1, Ok(())));
    }
}

/// Cancel safety of `wait_for`: given up at any poll, the receiver goes on with what it has not looked at.
#[test]
fn a_wait_for_a_value_that_is_dropped_at_any_poll_goes_on_from_there() {
    for polls in 0..3 {
        let (sender, mut receiver) = watch::channel(1);
        let mut given_up = Polled::new(receiver.wait_for(|value| *value == 9));
        for poll in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
            sender.send(poll + 2).unwrap();
        }
        sender.send(9).unwrap();
        drop(given_up);
        assert_eq!(receiver.has_changed(), Ok(true));
        assert_eq!(*at_once(receiver.wait_for(|value| *value == 9)).unwrap(), 9);
    }
}

/// Cancel safety of `closed`: one that is given up takes nothing from another.
#[test]
fn a_wait_for_the_close_that_is_dropped_at_any_poll_takes_nothing_from_the_other() {
    for polls in 0..3 {
        let (sender, receiver) = watch::channel(1);
        let mut given_up = Polled::new(sender.closed());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut stays = Polled::waiting(sender.closed());
        drop(receiver);
        drop(given_up);
        assert!(stays.is_woken());
        stays.ready();
    }
}

/// Who looks at a value keeps it, also across an `await`; sending another does not mind.
#[test]
fn sent_while_somebody_looks_leaves_what_they_look_at() {
    let trace = Trace::new();
    let (sender, receiver) = watch::channel(trace.probe("first"));
    let look = receiver.borrow();
    sender.send(trace.probe("second")).unwrap();
    sender.send(trace.probe("third")).unwrap();
    trace.assert(&["second dropped"]);
    drop(look);
    trace.assert(&["first dropped"]);
    drop((sender, receiver));
    trace.assert(&["third dropped"]);
}

/// What cannot be is said, and changes nothing.
#[test]
fn modified_while_somebody_looks_or_looked_at_while_modified_panics_and_changes_nothing() {
    let (sender, receiver) = watch::channel(1);
    let look = receiver.borrow();
    for modify in [|value: &mut i32| *value = 2, |_: &mut i32| unreachable!()] {
        let text = panic_of(|| sender.send_modify(modify));
        assert_eq!(text, "the watched value cannot be modified while a `Ref` to it is held");
    }
    assert!(panic_of(|| sender.send_replace(2)).contains("while a `Ref` to it is held"));
    assert_eq!((*look, receiver.has_changed()), (1, Ok(false)));
    drop(look);
    let text = panic_of(|| sender.send_modify(|_| assert_eq!(*receiver.borrow(), 1)));
    assert!(text.contains("cannot be looked at from in there"), "{text}");
    let text = panic_of(|| sender.send_modify(|_| sender.send(3).unwrap()));
    assert!(text.contains("cannot be changed from in there"), "{text}");
    assert_eq!((*receiver.borrow(), receiver.has_changed()), (1, Ok(false)));
    sender.send(4).unwrap();
    assert_eq!(*receiver.borrow(), 4);
}

/// Destructors, wakers and predicates that use their own channel, and those that panic.
#[test]
fn user_code_that_uses_its_own_channel_or_panics_leaves_it_whole() {
    let (sender, receiver) = watch::channel::<Option<Box<dyn Any>>>(None);
    let (sender, trace) = (Rc::new(sender), Trace::new());
    let (inner, noted) = (Rc::clone(&sender), trace.clone());
    let value = on_drop(move || {
        noted.note(format!("{}", inner.borrow().is_none()));
        inner.send(None).unwrap();
    });
    sender.send(Some(Box::new(value))).unwrap();
    sender.send(None).unwrap();
    trace.assert(&["true"]);
    drop(receiver);

    let (sender, mut receiver) = watch::channel(0);
    let sender = Rc::new(sender);
    let found = at_once(receiver.wait_for(|value| {
        if *value < 3 {
            sender.send(value + 1).unwrap();
        }
        *value == 3
    }));
    assert_eq!(*found.unwrap(), 3, "sent by the predicate");
    let text = panic_of(|| drop(at_once(receiver.wait_for(|_| panic!("predicate")))));
    assert_eq!(text, "predicate");
    sender.send_modify(|value| *value += 1);

    let inner = Rc::clone(&sender);
    let waker = scripted(move |moment| {
        if moment != Moment::Drop && *inner.borrow() < 9 {
            inner.send(9).unwrap();
        }
    });
    receiver.mark_unchanged();
    assert!(Polled::new(receiver.changed()).poll_with(&waker).is_ready(), "sent by the clone");

    let explosive = scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    let mut other = receiver.clone();
    let mut first = Polled::new(receiver.changed());
    assert!(first.poll_with(&explosive).is_pending());
    let mut second = Polled::waiting(other.changed());
    assert!(panic_of(|| sender.send(5)).contains("woken"));
    assert_eq!((*sender.borrow(), second.is_woken()), (5, true));
    assert_eq!((first.ready(), second.ready()), (Ok(()), Ok(())));

    let (sender, receiver) = watch::channel(None);
    sender.send(Some(Bomb("value"))).unwrap();
    assert_eq!(panic_of(|| sender.send(None)), "value");
    assert_eq!((receiver.borrow().is_none(), receiver.has_changed()), (true, Ok(true)));
    let modify = || sender.send_modify(|_| panic!("modifying"));
    assert_eq!(panic_of(modify), "modifying");
    assert!(sender.send(None).is_ok());
}

/// Many orders: nobody who waits has missed a change, and what is seen never goes back.
#[test]
fn in_any_order_nobody_misses_the_latest() {
    for seed in support::programs(0..200) {
        let mut dice = Dice::new(seed);
        let (sender, first) = watch::channel(0);
        let mut receivers: Vec<_> = (0..3).map(|_| first.clone()).collect();
        drop(first);
        let seen = RefCell::new([0; 3]);
        let mut tasks: Vec<_> = receivers
            .iter_mut()
            .enumerate()
            .map(|(at, receiver)| {
                let seen = &seen;
                Polled::new(async move {
                    while receiver.changed().await.is_ok() {
                        let value = *receiver.borrow();
                        assert!(value > seen.borrow()[at], "a change is a change");
                        seen.borrow_mut()[at] = value;
                    }
                })
            })
            .collect();
        for value in 1..50 {
            match dice.roll(4) {
                0 => sender.send(value).unwrap(),
                1 => sender.send_modify(|place| *place = value),
                2 => drop(sender.borrow()),
                _ => {
                    let at = dice.roll(3);
                    assert!(tasks[at].poll().is_pending());
                }
            }
            if dice.roll(5) == 0 {
                for task in tasks.iter_mut().filter(|task| task.is_woken()) {
                    assert!(task.poll().is_pending());
                }
            }
        }
        let latest = *sender.borrow();
        drop(sender);
        tasks.iter_mut().for_each(|task| task.ready());
        assert_eq!(*seen.borrow(), [latest; 3]);
    }
}

/// With tasks, in every order that a loop can run them in.
#[loop_test(virtual_time, seeds = 0..16)]
async fn tasks_in_any_order_see_the_last_value() {
    let (sender, receiver) = watch::channel(0);
    let watches: Vec<_> = (0..5)
        .map(|_| {
            let mut receiver = receiver.clone();
            spawn(async move { *receiver.wait_for(|value| *value == 50).await.unwrap() })
        })
        .collect();
    for value in 1..=50 {
        sender.send(value).unwrap();
        if value % 3 == 0 {
            yield_now().await;
        }
    }
    for watch in watches {
        assert_eq!(watch.await.unwrap(), 50);
    }
}

#[test]
fn no_loop_is_captured_and_what_is_shown_of_it() {
    let (sender, mut receiver) = watch::channel(1);
    assert_eq!(format!("{sender:?}"), "Sender { version: 0, receivers: 1 }");
    assert_eq!(format!("{receiver:?}"), "Receiver { has_changed: Ok(false) }");
    assert_eq!(format!("{:?}", sender.borrow()), "Ref { value: 1, has_changed: false }");
    EventLoop::new().unwrap().run_until_complete(async { sender.send(2).unwrap() }).unwrap();
    futures::executor::block_on(receiver.changed()).unwrap();
}
