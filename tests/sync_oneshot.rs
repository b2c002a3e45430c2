//! One value from one sender to one receiver: received once, or handed back, or dropped with its channel.

#![cfg(feature = "macros")]

#[path = "support/polled.rs"]
mod polled;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;

use futures::future::FusedFuture;
use futures::{FutureExt, select_biased};
use loopbind::sync::oneshot::{self, Closed};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use polled::{Polled, at_once};
use scripted::{Moment, scripted};
use support::{Bomb, Trace, on_drop, panic_of};

#[loop_test(virtual_time, seeds = 0..8)]
async fn awaited_then_sent_and_sent_then_awaited() {
    let (sender, receiver) = oneshot::channel();
    let waits = spawn(receiver);
    yield_now().await;
    sender.send("first").unwrap();
    assert_eq!(waits.await.unwrap(), Ok("first"));

    let (sender, receiver) = oneshot::channel();
    sender.send("second").unwrap();
    assert_eq!(at_once(receiver), Ok("second"), "no wait");
}

#[loop_test(virtual_time)]
async fn the_sender_goes_unused_before_and_while_it_is_awaited() {
    let (sender, receiver) = oneshot::channel::<u32>();
    drop(sender);
    assert_eq!(at_once(receiver), Err(Closed));

    let (sender, receiver) = oneshot::channel::<u32>();
    let waits = spawn(receiver);
    yield_now().await;
    drop(sender);
    assert_eq!(waits.await.unwrap(), Err(Closed));
}

#[test]
fn the_value_comes_back_from_a_receiver_that_is_gone_or_closed() {
    let (sender, receiver) = oneshot::channel();
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(1));

    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    assert_eq!(sender.send(2), Err(2));
    assert_eq!(receiver.try_recv(), Err(Closed));
}

#[test]
fn sent_then_closed_is_received_all_the_same() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(3).unwrap();
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(Some(3)));
    assert_eq!(at_once(receiver), Err(Closed), "once");
}

#[test]
fn closed_while_it_is_awaited_is_heard_by_both_sides() {
    let (sender, receiver) = oneshot::channel::<u32>();
    let mut waits = [Polled::waiting(sender.closed()), Polled::waiting(sender.closed())];
    drop(receiver);
    for wait in &mut waits {
        assert!(wait.is_woken());
        wait.ready();
    }
    drop(waits);
    at_once(sender.closed());
}

/// Cancel safety of `closed`: one that is given up takes nothing from another.
#[test]
fn a_wait_for_the_close_that_is_dropped_at_any_point_takes_nothing_from_the_other() {
    for polls in 0..3 {
        let (sender, receiver) = oneshot::channel::<u32>();
        let mut given_up = Polled::new(sender.closed());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut stays = Polled::waiting(sender.closed());
        if polls == 2 {
            receiver.close();
        }
        drop(given_up);
        drop(receiver);
        assert!(stays.is_woken());
        stays.ready();
    }
}

/// Cancel safety of the receiver: given up by reference at each poll, it has the value later.
#[test]
fn a_receiver_that_is_given_up_by_reference_at_any_poll_has_the_value_later() {
    for sent_after in 0..3 {
        let (sender, mut receiver) = oneshot::channel();
        let mut sender = Some(sender);
        for poll in 0..3 {
            if poll == sent_after {
                sender.take().unwrap().send(9).unwrap();
            }
            let mut waits = Polled::new(&mut receiver);
            if poll < sent_after {
                assert!(waits.poll().is_pending());
            }
            // Dropped, woken and not polled, or never polled.
        }
        assert_eq!(receiver.try_recv(), Ok(Some(9)));
    }
}

#[test]
fn the_last_waker_is_the_one_that_is_woken_once() {
    let (sender, receiver) = oneshot::channel();
    let mut waits = Polled::waiting(receiver);
    let before = waits.wakes.clone();
    assert!(waits.poll_elsewhere().is_pending());
    sender.send(1).unwrap();
    assert_eq!((before.take(), waits.wakes.take()), (0, 1));
    assert_eq!(waits.poll(), Poll::Ready(Ok(1)));
}

#[loop_test(virtual_time)]
async fn select_passes_a_receiver_over_that_has_said_what_it_had_to_say() {
    let (sender, mut receiver) = oneshot::channel();
    let (other, mut waits) = oneshot::channel();
    sender.send(1).unwrap();
    drop(other);
    let mut heard = Vec::new();
    for _ in 0..2 {
        select_biased! {
            value = receiver => heard.push(value),
            value = waits => heard.push(value),
        }
    }
    assert_eq!(heard, [Ok(1), Err(Closed)], "a sender that is gone is told of, too");
    assert!(receiver.is_terminated() && waits.is_terminated());
    assert_eq!(receiver.now_or_never(), Some(Err(Closed)), "polled again it is no mistake");
}

/// An unread value goes with its receiver, and its destructor may send in turn.
#[test]
fn sent_then_dropped_unread_and_its_destructor_sends() {
    let trace = Trace::new();
    let (sender, receiver) = oneshot::channel();
    let kept = Rc::new(RefCell::new(None));
    let (seen, inner) = (Rc::clone(&kept), trace.clone());
    let value = on_drop(move || {
        let sender: Option<oneshot::Sender<u32>> = seen.borrow_mut().take();
        inner.note(format!("{:?}", sender.unwrap().send(5)));
    });
    let (other, unread) = oneshot::channel();
    *kept.borrow_mut() = Some(other);
    assert!(sender.send((value, unread)).is_ok());
    trace.assert(&[]);
    drop(receiver);
    trace.assert(&["Ok(())"]);
}

/// A value that panics as it drops, and wakers that panic, leave the channel whole.
#[test]
fn wakers_and_values_that_panic_leave_the_channel_whole() {
    let (sender, receiver) = oneshot::channel();
    assert!(sender.send(Bomb("value")).is_ok());
    assert_eq!(panic_of(move || drop(receiver)), "value");

    let (sender, mut receiver) = oneshot::channel();
    let waker = scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    assert!(Polled::new(&mut receiver).poll_with(&waker).is_pending());
    assert!(panic_of(move || sender.send(4)).contains("woken"));
    assert_eq!(receiver.try_recv(), Ok(Some(4)), "it was sent before");

    let (sender, mut receiver) = oneshot::channel();
    let waker = scripted(|moment| assert_ne!(moment, Moment::Clone, "cloned"));
    let mut waits = Polled::new(&mut receiver);
    assert!(panic_of(|| waits.poll_with(&waker)).contains("cloned"));
    drop(waits);
    sender.send(6).unwrap();
    assert_eq!(at_once(receiver), Ok(6));

    let (sender, mut receiver) = oneshot::channel::<u32>();
    let is_kept = Rc::new(Cell::new(true));
    let kept = Rc::clone(&is_kept);
    let waker = scripted(move |moment| assert!(moment != Moment::Drop || kept.get(), "dropped"));
    assert!(Polled::new(&mut receiver).poll_with(&waker).is_pending());
    let mut closed = Polled::waiting(sender.closed());
    is_kept.set(false);
    assert!(panic_of(move || drop(receiver)).contains("dropped"));
    is_kept.set(true);
    assert!(closed.is_woken(), "the sender heard of it before");
    closed.ready();
}

/// What the clone of a waker sends is there when the poll ends.
#[test]
fn sent_by_the_clone_of_the_waker_that_is_registered() {
    let (sender, receiver) = oneshot::channel();
    let sender = RefCell::new(Some(sender));
    let waker = scripted(move |moment| {
        if moment == Moment::Clone {
            sender.take().unwrap().send(8).unwrap();
        }
    });
    assert_eq!(Polled::new(receiver).poll_with(&waker), Poll::Ready(Ok(8)));
}

/// No loop is captured: made outside, sent on one, received on another.
#[test]
fn made_outside_sent_on_one_loop_and_received_on_another() {
    let (sender, receiver) = oneshot::channel();
    EventLoop::new().unwrap().run_until_complete(async move { sender.send(1).unwrap() }).unwrap();
    assert_eq!(EventLoop::new().unwrap().run_until_complete(receiver).unwrap(), Ok(1));
}

#[test]
fn what_is_shown_of_it() {
    let (sender, receiver) = oneshot::channel::<u32>();
    assert_eq!(format!("{sender:?}"), "Sender { is_closed: false }");
    assert_eq!(format!("{receiver:?}"), "Receiver { is_sent: false, is_closed: false }");
    assert_eq!(Closed.to_string(), "the channel is closed: no value will come");
}
