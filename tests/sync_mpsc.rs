//! Channels of many senders: each item is received once, in order, or handed back; each side hears when the
//! other is gone.

#![cfg(feature = "macros")]

#[path = "support/polled.rs"]
mod polled;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use futures::stream::{FusedStream, Stream, StreamExt};
use loopbind::sync::TryPut;
use loopbind::sync::mpsc::{self, Receiver, SendError, Sender};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use polled::{Dice, Polled, at_once};
use scripted::{Moment, scripted};
use support::{Bomb, Trace, on_drop, panic_of};

#[loop_test(virtual_time, seeds = 0..8)]
async fn sent_in_order_is_received_in_order_then_the_end() {
    let (sender, mut receiver) = mpsc::unbounded();
    let sends = spawn(async move {
        for number in 0..100 {
            sender.send(number).await.unwrap();
            if number % 7 == 0 {
                yield_now().await;
            }
        }
    });
    for number in 0..100 {
        assert_eq!(receiver.recv().await, Some(number));
    }
    assert_eq!(receiver.recv().await, None);
    assert_eq!(receiver.recv().await, None, "and again");
    sends.await.unwrap();
}

/// Senders wait for a place in the order of coming, and run in it.
#[loop_test(virtual_time)]
async fn senders_that_wait_for_a_place_are_served_in_the_order_of_coming() {
    let (sender, mut receiver) = mpsc::bounded(1);
    let trace = Trace::new();
    let sends = [1, 2, 3].map(|item| {
        let (sender, trace) = (sender.clone(), trace.clone());
        spawn(async move {
            sender.send(item).await.unwrap();
            trace.note(format!("{item} sent"));
        })
    });
    yield_now().await;
    for _ in 0..3 {
        let item = receiver.recv().await;
        trace.note(format!("{item:?} received"));
    }
    futures::future::join_all(sends).await;
    trace.assert(&[
        "1 sent",
        "Some(1) received",
        "2 sent",
        "Some(2) received",
        "3 sent",
        "Some(3) received",
    ]);
}

#[test]
fn a_place_that_was_promised_is_not_taken_by_who_comes_later() {
    let (sender, mut receiver) = mpsc::bounded(1);
    sender.try_send(1).unwrap();
    let mut sends = [Polled::waiting(sender.send(2)), Polled::waiting(sender.send(3))];
    assert_eq!(receiver.try_recv(), Some(1));
    assert_eq!((sends[0].wakes.take(), sends[1].wakes.take()), (1, 0), "one place wakes one");
    assert_eq!(sender.try_send(4), Err(TryPut::Full(4)));
    assert!(matches!(sender.try_reserve(), Err(TryPut::Full(()))));
    let mut late = Polled::waiting(sender.send(5));
    sends[0].ready().unwrap();
    assert_eq!(receiver.try_recv(), Some(2));
    sends[1].ready().unwrap();
    assert_eq!(receiver.try_recv(), Some(3));
    late.ready().unwrap();
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Some(5), None));
}

#[test]
fn the_receiver_is_woken_once_for_a_batch() {
    let (sender, mut receiver) = mpsc::unbounded();
    let mut sum = Polled::waiting(async move {
        let mut sum = 0;
        while let Some(item) = receiver.recv().await {
            sum += item;
        }
        sum
    });
    for item in 1..=100 {
        sender.try_send(item).unwrap();
    }
    assert_eq!(sum.wakes.take(), 1);
    assert!(sum.poll().is_pending());
    assert_eq!(sender.len(), 0);
    drop(sender);
    assert_eq!((sum.wakes.take(), sum.ready()), (1, 5050));
}

/// Cancel safety of `recv`: given up at any poll, it has taken nothing.
#[test]
fn a_recv_that_is_dropped_at_any_poll_takes_nothing() {
    for sent_after in 0..3 {
        let (sender, mut receiver) = mpsc::unbounded();
        for poll in 0..3 {
            if poll == sent_after {
                sender.try_send(1).unwrap();
            }
            let mut recv = Polled::new(receiver.recv());
            if poll < sent_after {
                assert!(recv.poll().is_pending());
            }
        }
        let mut recv = Polled::waiting(async {
            assert_eq!(receiver.recv().await, Some(1));
            receiver.recv().await
        });
        sender.try_send(2).unwrap();
        assert!(recv.is_woken());
        assert_eq!(recv.ready(), Some(2));
    }
}

/// Cancel safety of `send`: given up at any poll, nothing was sent, and its place goes to the next.
#[test]
fn a_send_that_is_dropped_at_any_poll_gives_its_place_to_the_next() {
    for polls in 0..3 {
        let trace = Trace::new();
        let (sender, mut receiver) = mpsc::bounded(1);
        sender.try_send(trace.probe("first")).unwrap();
        let mut given_up = Polled::new(sender.send(trace.probe("given up")));
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut next = Polled::waiting(sender.send(trace.probe("next")));
        drop(receiver.try_recv());
        drop(given_up);
        trace.assert(&["first dropped", "given up dropped"]);
        assert!(next.is_woken());
        next.ready().unwrap();
        drop(receiver.try_recv());
        trace.assert(&["next dropped"]);
    }
}

/// Cancel safety of `reserve`: given up at any poll, its place goes to the next; a permit that is dropped
/// gives it up as well.
#[test]
fn a_reserve_that_is_dropped_at_any_poll_gives_its_place_to_the_next() {
    for polls in 0..4 {
        let (sender, mut receiver) = mpsc::bounded(1);
        sender.try_send(1).unwrap();
        let mut given_up = Polled::new(sender.reserve());
        for _ in 0..polls.min(2) {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut next = Polled::waiting(sender.send(2));
        assert_eq!(receiver.try_recv(), Some(1));
        if polls == 3 {
            drop(given_up.ready().unwrap());
        }
        drop(given_up);
        assert!(next.is_woken());
        next.ready().unwrap();
        assert_eq!(receiver.try_recv(), Some(2));
    }
}

/// Cancel safety of `closed`: one that is given up takes nothing from another.
#[test]
fn a_wait_for_the_close_that_is_dropped_at_any_poll_takes_nothing_from_the_other() {
    for polls in 0..3 {
        let (sender, receiver) = mpsc::unbounded::<u32>();
        let mut given_up = Polled::new(sender.closed());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut stays = Polled::waiting(sender.closed());
        receiver.close();
        drop(given_up);
        assert!(stays.is_woken());
        stays.ready();
        at_once(sender.closed());
    }
}

#[test]
fn the_receiver_goes_and_everybody_hears_of_it_and_items_come_back() {
    let trace = Trace::new();
    let (sender, receiver) = mpsc::bounded(1);
    sender.try_send(trace.probe("unreceived")).unwrap();
    let mut send = Polled::waiting(sender.send(trace.probe("waiting")));
    let mut reserve = Polled::waiting(sender.reserve());
    let mut closed = Polled::waiting(sender.closed());
    drop(receiver);
    trace.assert(&["unreceived dropped"]);
    assert!(send.is_woken() && reserve.is_woken() && closed.is_woken());
    let SendError(item) = send.ready().unwrap_err();
    trace.assert(&[]);
    drop(item);
    trace.assert(&["waiting dropped"]);
    assert_eq!(reserve.ready().unwrap_err(), SendError(()));
    closed.ready();
    assert!(matches!(sender.try_send(trace.probe("late")), Err(TryPut::ShutDown(_))));
    assert!(matches!(sender.try_reserve(), Err(TryPut::ShutDown(()))));
}

/// Closed by the receiver, what is there is still received, and what permits were given out for; who was only
/// promised a place has none any more.
#[test]
fn closed_then_drained_then_the_permits_then_the_end() {
    let (sender, mut receiver) = mpsc::bounded(3);
    sender.try_send(1).unwrap();
    let (used, unused) = (sender.try_reserve().unwrap(), sender.try_reserve().unwrap());
    let mut waits = Polled::waiting(sender.send(2));
    assert_eq!(receiver.try_recv(), Some(1));
    assert!(waits.is_woken());
    sender.try_send(9).unwrap_err();
    receiver.close();
    assert_eq!(waits.ready(), Err(SendError(2)));
    let mut end = Polled::waiting(async { (receiver.recv().await, receiver.recv().await) });
    used.send(3).unwrap();
    assert!(end.is_woken());
    assert!(end.poll().is_pending(), "a permit is out");
    drop(unused);
    assert!(end.is_woken());
    assert_eq!(end.ready(), (Some(3), None));
}

#[test]
fn a_permit_outlives_its_receiver_and_the_item_comes_back() {
    let (sender, receiver) = mpsc::bounded(1);
    let permit = sender.try_reserve().unwrap();
    drop(receiver);
    assert_eq!(permit.send(1), Err(SendError(1)));
}

/// Cancel safety of `reserve_owned`: given up at any poll, its place goes to the next, and its sender with it
/// to nobody; a permit that is dropped or released gives its place up as well.
#[test]
fn an_owned_reserve_that_is_dropped_at_any_poll_gives_its_place_to_the_next() {
    for polls in 0..5 {
        let (sender, mut receiver) = mpsc::bounded(1);
        sender.try_send(1).unwrap();
        let mut given_up = Polled::new(sender.clone().reserve_owned());
        for _ in 0..polls.min(2) {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut next = Polled::waiting(sender.send(2));
        assert_eq!(receiver.try_recv(), Some(1));
        match polls {
            3 => drop(given_up.ready().unwrap()),
            4 => assert!(given_up.ready().unwrap().release().same_channel(&sender)),
            _ => {}
        }
        drop(given_up);
        assert!(next.is_woken());
        next.ready().unwrap();
        drop(next);
        assert_eq!(receiver.try_recv(), Some(2));
        assert!(!receiver.is_closed());
        drop(sender);
        assert!(receiver.is_closed(), "no sender is left behind");
    }
}

/// An owned permit goes to another task, and keeps the channel open until it is used.
#[loop_test]
async fn an_owned_permit_goes_to_another_task_and_its_sender_comes_back() {
    let (sender, mut receiver) = mpsc::bounded(1);
    let permit = sender.clone().try_reserve_owned().unwrap();
    assert!(matches!(sender.try_reserve_owned(), Err(TryPut::Full(_))));
    let sends = spawn(async move { permit.send("tea").unwrap() });
    assert_eq!(receiver.recv().await, Some("tea"));
    let sender = sends.await.unwrap();
    let permit = sender.reserve_owned().await.unwrap();
    receiver.close();
    assert!(!is_over(&mut receiver), "the permit may bring something");
    let sender = permit.send("milk").unwrap();
    assert_eq!((receiver.recv().await, receiver.recv().await), (Some("milk"), None));
    assert!(matches!(sender.try_reserve_owned(), Err(TryPut::ShutDown(_))));

    let (sender, receiver) = mpsc::bounded(1);
    let permit = sender.clone().reserve_owned().await.unwrap();
    drop(receiver);
    assert_eq!(permit.send(1).unwrap_err(), SendError(1));
    assert_eq!(sender.reserve_owned().await.unwrap_err(), SendError(()));
}

fn is_over<T>(receiver: &mut mpsc::Receiver<T>) -> bool {
    Polled::new(receiver.recv()).poll().is_ready()
}

#[test]
fn a_weak_sender_keeps_nothing_open() {
    let (sender, mut receiver) = mpsc::unbounded::<u32>();
    let weak = sender.downgrade();
    let mut end = Polled::waiting(receiver.recv());
    let other = weak.clone().upgrade().unwrap();
    assert!(other.same_channel(&sender));
    drop(sender);
    assert!(!end.is_woken());
    drop(other);
    assert!(end.is_woken());
    assert_eq!(end.ready(), None);
    assert!(weak.upgrade().is_none());
}

#[loop_test(virtual_time)]
async fn a_receiver_is_a_stream_that_says_when_it_is_over() {
    let (sender, mut receiver) = mpsc::bounded(4);
    for item in 0..3 {
        sender.try_send(item).unwrap();
    }
    assert_eq!(receiver.size_hint(), (3, None));
    drop(sender);
    assert_eq!(receiver.size_hint(), (3, Some(3)));
    assert!(!receiver.is_terminated());
    assert_eq!(receiver.by_ref().collect::<Vec<_>>().await, [0, 1, 2]);
    assert!(receiver.is_terminated());
}

#[test]
fn a_capacity_of_zero_is_refused() {
    assert!(panic_of(|| drop(mpsc::bounded::<u32>(0))).contains("at least 1"));
}

/// Items that hold an end of their own channel, and use it as they drop.
#[test]
fn items_whose_destructors_use_their_own_channel_are_harmless() {
    let trace = Trace::new();
    let (sender, receiver) = mpsc::bounded::<Box<dyn Any>>(4);
    for _ in 0..2 {
        let (inner, trace) = (sender.clone(), trace.clone());
        let item = on_drop(move || {
            let refused = inner.try_send(Box::new(1)).is_err();
            trace.note(format!("{} {refused}", inner.len()));
            drop(inner.clone());
        });
        assert!(sender.try_send(Box::new(item)).is_ok());
    }
    let mut closed = Polled::waiting(sender.closed());
    drop(receiver);
    trace.assert(&["0 true", "0 true"]);
    closed.ready();

    let (sender, receiver) = mpsc::unbounded::<Box<dyn Any>>();
    sender.try_send(Box::new(Bomb("item"))).unwrap();
    sender.try_send(Box::new(trace.probe("behind it"))).unwrap();
    let mut closed = Polled::waiting(sender.closed());
    assert_eq!(panic_of(move || drop(receiver)), "item");
    trace.assert(&["behind it dropped"]);
    closed.ready();
}

/// Wakers that panic lose no item, and keep nobody from hearing of the end.
#[test]
fn wakers_that_panic_lose_nothing() {
    let explosive = || scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    let (sender, mut receiver) = mpsc::bounded(1);
    assert!(Polled::new(receiver.recv()).poll_with(&explosive()).is_pending());
    assert!(panic_of(|| sender.try_send(1)).contains("woken"));
    let mut send = Polled::new(sender.send(2));
    assert!(send.poll_with(&explosive()).is_pending());
    assert!(panic_of(|| receiver.try_recv()).contains("woken"));
    assert_eq!(receiver.len(), 1, "it went back");
    assert_eq!(receiver.try_recv(), Some(1));
    send.ready().unwrap();

    let mut first = Polled::new(sender.send(3));
    assert!(first.poll_with(&explosive()).is_pending());
    let mut second = Polled::waiting(sender.send(4));
    let mut closed = Polled::waiting(sender.closed());
    assert!(panic_of(move || drop(receiver)).contains("woken"));
    assert!(second.is_woken() && closed.is_woken());
    assert_eq!(second.ready(), Err(SendError(4)));
    assert_eq!(first.ready(), Err(SendError(3)));
    closed.ready();

    // While the thread unwinds already, a waker that panics does not end the process.
    let (sender, mut receiver) = mpsc::unbounded::<u32>();
    assert!(Polled::new(receiver.recv()).poll_with(&explosive()).is_pending());
    let unwinds = panic_of(move || {
        let _sender = sender;
        panic!("first");
    });
    assert_eq!(unwinds, "first");
    assert_eq!(at_once(receiver.recv()), None);
}

/// What happens while a waker is cloned is seen by the poll that clones it.
#[test]
fn sent_or_ended_by_the_clone_of_the_waker_that_is_registered() {
    for sends in [true, false] {
        let (sender, mut receiver) = mpsc::unbounded();
        let sender = RefCell::new(Some(sender));
        let waker = scripted(move |moment| {
            if let (Moment::Clone, Some(sender)) = (moment, sender.take()) {
                if sends {
                    sender.try_send(1).unwrap();
                }
            }
        });
        let expected = sends.then_some(1);
        assert_eq!(Polled::new(receiver.recv()).poll_with(&waker), Poll::Ready(expected));
    }
    let (sender, receiver) = mpsc::bounded(1);
    sender.try_send(1).unwrap();
    let receiver = Cell::new(Some(receiver));
    let waker = scripted(move |moment| {
        if moment == Moment::Clone {
            drop(receiver.take());
        }
    });
    let sent = Polled::new(sender.send(2)).poll_with(&waker);
    assert_eq!(sent, Poll::Ready(Err(SendError(2))));
}

/// Who waits again with the waker of before clones nothing; another's takes its place. It goes with the receiver,
/// also where nobody waits, and not with its channel.
#[test]
fn the_waker_of_who_waits_again_is_kept_until_another_waits_or_the_receiver_goes() {
    let (sender, mut receiver) = mpsc::unbounded();
    let trace = Trace::new();
    let waker = |name: &'static str| {
        let trace = trace.clone();
        scripted(move |moment| trace.note(format!("{name}: {moment:?}")))
    };
    let (first, second) = (waker("first"), waker("second"));
    for number in 0..2 {
        let mut recv = Polled::new(receiver.recv());
        assert!(recv.poll_with(&first).is_pending());
        sender.try_send(number).unwrap();
        // Nobody waits now.
        sender.try_send(number).unwrap();
        assert_eq!(recv.poll_with(&first), Poll::Ready(Some(number)));
        drop(recv);
        assert_eq!(receiver.try_recv(), Some(number));
        let expected: &[_] =
            if number == 0 { &["first: Clone", "first: Wake"] } else { &["first: Wake"] };
        trace.assert(expected);
    }
    assert!(Polled::new(receiver.recv()).poll_with(&second).is_pending());
    trace.assert(&["second: Clone", "first: Drop"]);
    sender.try_send(2).unwrap();
    trace.assert(&["second: Wake"]);
    drop(receiver);
    trace.assert(&["second: Drop"]);
    assert!(sender.is_closed());
}

/// A waker that is woken may do anything: it does not come back where its receiver has gone meanwhile, or
/// waits for more.
#[test]
fn woken_and_gone_or_waiting_again_at_the_same_time() {
    let trace = Trace::new();
    let (sender, receiver) = mpsc::unbounded();
    let place = Rc::new(RefCell::new(Some(receiver)));
    let noting = |name: &'static str, act: Box<dyn Fn()>| {
        let trace = trace.clone();
        scripted(move |moment| {
            trace.note(format!("{name}: {moment:?}"));
            if moment == Moment::Wake {
                act();
            }
        })
    };
    let wait = |waker: &Waker| {
        let mut receiver = place.borrow_mut().take().unwrap();
        let polled = Polled::new(receiver.recv()).poll_with(waker);
        *place.borrow_mut() = Some(receiver);
        polled
    };
    let second = noting("second", {
        let place = Rc::clone(&place);
        Box::new(move || drop(place.take()))
    });
    let first = noting("first", {
        let (place, second) = (Rc::clone(&place), second.clone());
        Box::new(move || {
            let mut receiver = place.borrow_mut().take().unwrap();
            assert_eq!(receiver.try_recv(), Some(1));
            assert!(Polled::new(receiver.recv()).poll_with(&second).is_pending());
            *place.borrow_mut() = Some(receiver);
        })
    });
    trace.assert(&["second: Clone"]);
    assert!(wait(&first).is_pending());
    trace.assert(&["first: Clone"]);
    sender.try_send(1).unwrap();
    trace.assert(&["first: Wake", "second: Clone", "first: Drop"]);
    sender.try_send(2).unwrap();
    trace.assert(&["second: Wake", "second: Drop"]);
    assert_eq!(sender.try_send(3), Err(TryPut::ShutDown(3)));
}

/// An item that goes back, because a waker threw, comes before those that came meanwhile.
#[test]
fn an_item_that_went_back_comes_before_what_came_meanwhile() {
    let (sender, mut receiver) = mpsc::bounded(2);
    let permit = Cell::new(Some(sender.clone().try_reserve_owned().unwrap()));
    sender.try_send(1).unwrap();
    let throws = scripted(move |moment| {
        if moment == Moment::Wake {
            drop(permit.take().unwrap().send(2));
            panic!("woken");
        }
    });
    let mut send = Polled::new(sender.send(3));
    assert!(send.poll_with(&throws).is_pending());
    assert_eq!(panic_of(|| receiver.try_recv()), "woken");
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Some(1), Some(2)));
    send.ready().unwrap();
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Some(3), None));
}

/// No loop is captured.
#[test]
fn made_outside_sent_on_one_loop_and_received_on_another_or_on_none() {
    let (sender, mut receiver) = mpsc::bounded(2);
    EventLoop::new().unwrap().run_until_complete(sender.send(1)).unwrap().unwrap();
    futures::executor::block_on(sender.send(2)).unwrap();
    assert_eq!(EventLoop::new().unwrap().run_until_complete(receiver.recv()).unwrap(), Some(1));
    assert_eq!(futures::executor::block_on(receiver.recv()), Some(2));
}

/// Many orders of everything one can do, against a plain list: each item that was sent is received once, in
/// order; nobody waits who could go on.
#[test]
fn any_order_of_everything_gives_each_item_once() {
    for seed in support::programs(0..400) {
        let capacity = (seed % 4) as usize;
        let (sender, receiver) =
            if capacity == 0 { mpsc::unbounded() } else { mpsc::bounded(capacity) };
        let model =
            Model { capacity: sender.capacity(), dice: Dice::new(seed), ..Model::default() };
        model.play(&sender, receiver);
    }
}

#[derive(Default)]
struct Model {
    capacity: Option<usize>,
    dice: Dice,
    /// What was sent, and not received.
    held: VecDeque<usize>,
    next: usize,
    sent: usize,
    refused: usize,
    received: usize,
}

type Sends<'a> = Vec<(usize, Polled<'a, Result<(), SendError<usize>>>)>;

impl Model {
    fn play(mut self, sender: &Sender<usize>, mut receiver: Receiver<usize>) {
        let mut sends: Sends<'_> = Vec::new();
        let mut permits = Vec::new();
        for _ in 0..300 {
            match self.dice.roll(12) {
                0..3 => {
                    sends.push((self.next, Polled::new(sender.send(self.next))));
                    self.next += 1;
                }
                3 => {
                    let is_sent = sender.try_send(self.next).is_ok();
                    self.was_sent(self.next, is_sent);
                    self.next += 1;
                }
                4 => permits.extend(sender.try_reserve()),
                5 => {
                    if let Some(permit) = permits.pop() {
                        if self.dice.roll(2) == 0 {
                            permit.send(self.next).unwrap();
                            self.was_sent(self.next, true);
                            self.next += 1;
                        }
                    }
                }
                6 | 7 => {
                    if let Poll::Ready(received) = Polled::new(receiver.recv()).poll() {
                        self.was_received(received);
                    }
                }
                8 => {
                    let received = receiver.try_recv();
                    if received.is_some() {
                        self.was_received(received);
                    }
                }
                9 if !sends.is_empty() => {
                    drop(sends.remove(self.dice.roll(sends.len())));
                    self.refused += 1;
                }
                10 => self.settle(&mut sends, permits.len()),
                _ if !sends.is_empty() => {
                    let at = self.dice.roll(sends.len());
                    self.poll(&mut sends, at);
                }
                _ => {}
            }
            assert_eq!(sender.len(), self.held.len());
        }
        permits.clear();
        receiver.close();
        self.settle(&mut sends, 0);
        assert!(sends.is_empty());
        while let Some(item) = at_once(receiver.recv()) {
            self.was_received(Some(item));
        }
        assert!(self.held.is_empty());
        assert_eq!((self.sent, self.sent + self.refused), (self.received, self.next));
    }

    /// Polls those that were never polled, and those that were woken, until nobody is.
    fn settle(&mut self, sends: &mut Sends<'_>, permits: usize) {
        for at in (0..sends.len()).rev() {
            self.poll(sends, at);
        }
        while let Some(at) = sends.iter().position(|(_, send)| send.is_woken()) {
            self.poll(sends, at);
        }
        let capacity = self.capacity.unwrap_or(usize::MAX);
        assert!(sends.is_empty() || self.held.len() + permits == capacity, "one waits, with room");
    }

    fn poll(&mut self, sends: &mut Sends<'_>, at: usize) {
        if let Poll::Ready(sent) = sends[at].1.poll() {
            let (item, _) = sends.remove(at);
            self.was_sent(item, sent.is_ok());
        }
    }

    fn was_sent(&mut self, item: usize, is_sent: bool) {
        if is_sent {
            self.held.push_back(item);
            self.sent += 1;
            assert!(self.held.len() <= self.capacity.unwrap_or(usize::MAX));
        } else {
            self.refused += 1;
        }
    }

    fn was_received(&mut self, item: Option<usize>) {
        assert_eq!(item, self.held.pop_front());
        self.received += 1;
    }
}

/// The same with tasks, in every order that a loop can run them in.
#[loop_test(virtual_time, seeds = 0..32)]
async fn tasks_in_any_order_send_each_item_once() {
    let (sender, receiver) = mpsc::bounded(3);
    for task in 0..5 {
        let sender = sender.clone();
        spawn(async move {
            for number in 0..40 {
                sender.send((task, number)).await.unwrap();
            }
        })
        .detach();
    }
    for _ in 0..10 {
        let sender = sender.clone();
        let given_up = spawn(async move { sender.send((9, 0)).await });
        yield_now().await;
        given_up.cancel();
    }
    drop(sender);
    let received: Vec<_> = receiver.collect().await;
    for task in 0..5 {
        let numbers = received.iter().filter(|item| item.0 == task).map(|item| item.1);
        assert_eq!(numbers.collect::<Vec<_>>(), (0..40).collect::<Vec<_>>(), "in order");
    }
}

#[test]
fn what_is_shown_of_it() {
    let (sender, receiver) = mpsc::bounded(2);
    sender.try_send(1).unwrap();
    assert_eq!(format!("{sender:?}"), "Sender { len: 1, capacity: Some(2), is_closed: false }");
    assert_eq!(format!("{receiver:?}"), "Receiver { len: 1, is_closed: false }");
    assert!(sender.sends_to(&receiver));
    let error: Box<dyn std::error::Error> = Box::new(SendError(1));
    assert_eq!(error.to_string(), "the channel is closed: its receiver is gone or has closed it");
}
