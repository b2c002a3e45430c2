//! Every item to every receiver, in order; who is slow hears how many it missed.

#![cfg(feature = "macros")]

#[path = "support/polled.rs"]
mod polled;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Poll;

use futures::StreamExt;
use futures::stream::FusedStream;
use loopbind::sync::broadcast::{self, Lagged, Receiver, RecvError, SendError};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use polled::{Dice, Polled, at_once};
use scripted::{Moment, scripted};
use support::{Trace, panic_of};

/// An item that notes when it is cloned, and when one of it is dropped.
struct Item(Trace, u32);

impl Clone for Item {
    fn clone(&self) -> Self {
        self.0.note(format!("{} cloned", self.1));
        Item(self.0.clone(), self.1)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.0.note(format!("{} dropped", self.1));
    }
}

#[loop_test(virtual_time, seeds = 0..8)]
async fn each_receives_everything_in_order_then_the_end() {
    let (sender, receiver) = broadcast::channel(16);
    let tasks: Vec<_> = (0..3)
        .map(|_| {
            let receiver = receiver.resubscribe();
            spawn(receiver.collect::<Vec<_>>())
        })
        .collect();
    drop(receiver);
    for number in 0..10 {
        assert_eq!(sender.send(number), Ok(3));
        if number % 4 == 0 {
            yield_now().await;
        }
    }
    drop(sender);
    for task in tasks {
        assert_eq!(task.await.unwrap(), (0..10).map(Ok).collect::<Vec<_>>());
    }
}

/// Cloned for all but the last, which gets the item itself; gone as soon as everybody has it.
#[test]
fn the_last_to_receive_gets_the_item_itself() {
    let trace = Trace::new();
    let (sender, mut one) = broadcast::channel(4);
    let mut other = sender.subscribe();
    assert!(sender.send(Item(trace.clone(), 1)).is_ok());
    drop(one.try_recv().unwrap());
    trace.assert(&["1 cloned", "1 dropped"]);
    assert_eq!((sender.len(), one.len(), other.len()), (1, 0, 1));
    let last = other.try_recv().unwrap();
    trace.assert(&[]);
    assert!(sender.is_empty());
    drop(last);
    trace.assert(&["1 dropped"]);
}

#[test]
fn who_is_slow_hears_how_many_it_missed_and_goes_on_with_the_oldest() {
    let (sender, mut slow) = broadcast::channel(2);
    let mut fast = sender.subscribe();
    for number in 1..=5 {
        sender.send(number).unwrap();
        assert_eq!(fast.try_recv(), Ok(Some(number)));
    }
    assert_eq!(slow.len(), 2);
    assert_eq!(slow.try_recv(), Err(RecvError::Lagged(3)));
    assert_eq!((slow.try_recv(), slow.try_recv()), (Ok(Some(4)), Ok(Some(5))));
    assert_eq!(slow.try_recv(), Ok(None));
    for number in 6..=8 {
        sender.send(number).unwrap();
    }
    drop(sender);
    let rest: Vec<_> = futures::executor::block_on(slow.by_ref().collect());
    assert_eq!(rest, [Err(Lagged(1)), Ok(7), Ok(8)], "the end waits for what is left");
    assert!(slow.is_terminated());
    assert_eq!(slow.try_recv(), Err(RecvError::Closed));
}

/// What is overwritten, or was for a receiver that goes, is dropped at once.
#[test]
fn items_are_dropped_as_soon_as_nobody_will_receive_them() {
    let trace = Trace::new();
    let (sender, receiver) = broadcast::channel(2);
    let mut other = sender.subscribe();
    for number in 1..=3 {
        assert!(sender.send(Item(trace.clone(), number)).is_ok());
    }
    trace.assert(&["1 dropped"]);
    assert!(other.try_recv().is_err());
    drop(other.try_recv());
    trace.assert(&["2 cloned", "2 dropped"]);
    drop(receiver);
    trace.assert(&["2 dropped"]);
    assert_eq!(sender.len(), 1);
    drop(other);
    trace.assert(&["3 dropped"]);
    assert!(sender.is_closed() && sender.is_empty());
    let SendError(refused) = sender.send(Item(trace.clone(), 4)).unwrap_err();
    trace.assert(&[]);
    drop(refused);
}

#[test]
fn receivers_hear_of_the_end_and_senders_of_the_last_receiver() {
    let (sender, mut receiver) = broadcast::channel::<u32>(2);
    let other = sender.clone();
    assert!(other.same_channel(&sender));
    let mut recv = Polled::waiting(receiver.recv());
    drop(other);
    assert!(!recv.is_woken());
    let late = sender.subscribe();
    drop(sender);
    assert!(recv.is_woken() && late.is_closed());
    assert_eq!(recv.ready(), Err(RecvError::Closed));
    drop(recv);

    let (sender, receiver) = broadcast::channel::<u32>(2);
    let mut closed = Polled::waiting(sender.closed());
    let other = receiver.resubscribe();
    drop(receiver);
    assert!(!closed.is_woken());
    drop(other);
    closed.ready();
    let again = sender.subscribe();
    assert!(Polled::new(sender.closed()).poll().is_pending());
    drop(again);
}

#[test]
fn a_batch_wakes_who_waits_once() {
    let (sender, mut receiver) = broadcast::channel(64);
    let mut sum = Polled::waiting(async {
        let mut sum = 0;
        while let Ok(item) = receiver.recv().await {
            sum += item;
        }
        sum
    });
    for item in 0..50 {
        sender.send(item).unwrap();
    }
    assert_eq!(sum.wakes.take(), 1);
    drop(sender);
    assert_eq!(sum.ready(), 1225);
}

/// Cancel safety of `recv`: given up at any poll, it has received nothing.
#[test]
fn a_recv_that_is_dropped_at_any_poll_has_received_nothing() {
    for sent_after in 0..3 {
        let (sender, mut receiver) = broadcast::channel(4);
        for poll in 0..3 {
            if poll == sent_after {
                sender.send(1).unwrap();
            }
            let mut recv = Polled::new(receiver.recv());
            if poll < sent_after {
                assert!(recv.poll().is_pending());
                assert!(recv.poll_elsewhere().is_pending());
            }
        }
        assert_eq!(at_once(receiver.recv()), Ok(1));
        let mut recv = Polled::waiting(receiver.recv());
        sender.send(2).unwrap();
        assert!(recv.is_woken());
        assert_eq!(recv.ready(), Ok(2));
    }
}

/// Cancel safety of `closed`: one that is given up takes nothing from another.
#[test]
fn a_wait_for_the_close_that_is_dropped_at_any_poll_takes_nothing_from_the_other() {
    for polls in 0..3 {
        let (sender, receiver) = broadcast::channel::<u32>(1);
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

#[test]
fn a_capacity_of_zero_is_refused() {
    assert!(panic_of(|| drop(broadcast::channel::<u32>(0))).contains("at least 1"));
}

type OnClone = Rc<RefCell<Option<Box<dyn FnOnce()>>>>;

/// An item whose clone calls the test, once.
struct Called(u32, OnClone);

impl Clone for Called {
    fn clone(&self) -> Self {
        let call = self.1.borrow_mut().take();
        if let Some(call) = call {
            call();
        }
        Called(self.0, Rc::clone(&self.1))
    }
}

/// While an item is cloned it may be received by others, overwritten, and its receivers may go.
#[test]
fn a_clone_that_uses_its_own_channel_is_harmless() {
    let on_clone = OnClone::default();
    let (sender, mut receiver) = broadcast::channel(1);
    let mut other = sender.subscribe();
    let item = |number| Called(number, Rc::clone(&on_clone));
    assert!(sender.send(item(1)).is_ok());
    let sends = sender.clone();
    let next = item(2);
    *on_clone.borrow_mut() = Some(Box::new(move || {
        assert_eq!(other.try_recv().unwrap().unwrap().0, 1);
        assert!(sends.send(next).is_ok());
        drop(other);
        assert_eq!(sends.receiver_count(), 1);
    }));
    assert_eq!(receiver.try_recv().unwrap().unwrap().0, 1);
    assert_eq!(receiver.try_recv().unwrap().unwrap().0, 2);
    assert!(receiver.try_recv().unwrap().is_none() && sender.is_empty());

    // One that panics is passed over, for this receiver alone.
    let mut other = sender.subscribe();
    assert!(sender.send(item(3)).is_ok());
    *on_clone.borrow_mut() = Some(Box::new(|| panic!("cloning")));
    assert_eq!(panic_of(|| receiver.try_recv().map(|_| ())), "cloning");
    assert!(receiver.try_recv().unwrap().is_none());
    assert_eq!(other.try_recv().unwrap().unwrap().0, 3);
}

/// Wakers that use their own channel, or panic.
#[test]
fn wakers_that_use_their_own_channel_or_panic_are_harmless() {
    let (sender, mut receiver) = broadcast::channel(4);
    let (inner, sends) = (sender.clone(), Cell::new(true));
    let waker = scripted(move |moment| {
        if moment == Moment::Clone && sends.replace(false) {
            inner.send(1).unwrap();
        }
    });
    assert_eq!(Polled::new(receiver.recv()).poll_with(&waker), Poll::Ready(Ok(1)));
    drop(waker);

    let explosive = scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    let mut other = sender.subscribe();
    let mut first = Polled::new(receiver.recv());
    assert!(first.poll_with(&explosive).is_pending());
    let mut second = Polled::waiting(other.recv());
    assert!(panic_of(|| sender.send(2)).contains("woken"));
    assert!(second.is_woken());
    assert_eq!((first.ready(), second.ready()), (Ok(2), Ok(2)));
}

/// Many orders, against a plain list for each receiver: each receives everything once and in order, or hears
/// exactly how much it missed.
#[test]
fn in_any_order_each_receives_everything_or_hears_how_much_it_missed() {
    struct Reader {
        receiver: Receiver<u32>,
        /// What it has still to receive.
        model: VecDeque<u32>,
        missed: u64,
    }
    for seed in support::programs(0..400) {
        let mut dice = Dice::new(seed);
        let capacity = 1 + dice.roll(4);
        let (sender, receiver) = broadcast::channel(capacity);
        let mut readers = vec![Reader { receiver, model: VecDeque::new(), missed: 0 }];
        for number in 0..300 {
            match dice.roll(10) {
                0..4 => {
                    assert_eq!(sender.send(number).is_ok(), !readers.is_empty());
                    for reader in &mut readers {
                        reader.model.push_back(number);
                        if reader.model.len() > capacity {
                            reader.model.pop_front();
                            reader.missed += 1;
                        }
                    }
                }
                4 => {
                    let receiver = sender.subscribe();
                    readers.push(Reader { receiver, model: VecDeque::new(), missed: 0 });
                }
                5 if !readers.is_empty() => drop(readers.remove(dice.roll(readers.len()))),
                _ if !readers.is_empty() => {
                    let at = dice.roll(readers.len());
                    let reader = &mut readers[at];
                    assert_eq!(reader.receiver.len(), reader.model.len());
                    let expected = match std::mem::take(&mut reader.missed) {
                        0 => Ok(reader.model.pop_front()),
                        missed => Err(RecvError::Lagged(missed)),
                    };
                    assert_eq!(reader.receiver.try_recv(), expected);
                }
                _ => {}
            }
            let longest = readers.iter().map(|reader| reader.model.len()).max();
            assert_eq!(sender.len(), longest.unwrap_or(0), "kept for as long as anybody wants it");
        }
    }
}

#[test]
fn no_loop_is_captured_and_what_is_shown_of_it() {
    let (sender, mut receiver) = broadcast::channel(4);
    sender.send(1).unwrap();
    assert_eq!(format!("{sender:?}"), "Sender { len: 1, receivers: 1 }");
    assert_eq!(format!("{receiver:?}"), "Receiver { len: 1, is_closed: false }");
    assert_eq!(EventLoop::new().unwrap().run_until_complete(receiver.recv()).unwrap(), Ok(1));
    assert_eq!(RecvError::Closed.to_string(), "the channel is closed: no value will come");
}
