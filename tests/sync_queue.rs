//! Queues: who waits is served in order, nothing is lost or given twice, and the end is heard by all.

#![cfg(feature = "macros")]

#[path = "support/polled.rs"]
mod polled;
#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Deref;
use std::rc::Rc;
use std::task::Poll;

use loopbind::sync::{LifoQueue, PriorityQueue, Queue, QueueShutDown, TryPut};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use polled::{Dice, Polled, at_once};
use scripted::{Moment, poll, scripted};
use support::{Bomb, Trace, on_drop, panic_of};

/// A task that notes what it gets, until the end.
fn getter(queue: &Rc<Queue<u32>>, trace: &Trace, name: &'static str) -> loopbind::Task<()> {
    let (queue, trace) = (Rc::clone(queue), trace.clone());
    spawn(async move {
        let item = queue.get().await;
        trace.note(format!("{name} got {item:?}"));
    })
}

/// A task that puts an item, and notes that it did.
fn putter(queue: &Rc<Queue<u32>>, trace: &Trace, item: u32) -> loopbind::Task<()> {
    let (queue, trace) = (Rc::clone(queue), trace.clone());
    spawn(async move {
        match queue.put(item).await {
            Ok(()) => trace.note(format!("{item} put")),
            Err(QueueShutDown(item)) => trace.note(format!("{item} refused")),
        }
    })
}

/// QUE-01: without waiting, full and empty are said at once; a capacity of zero is no bound.
#[test]
fn tried_on_a_full_and_an_empty_one_and_on_one_without_a_bound() {
    let queue = Queue::bounded(2);
    assert_eq!(queue.try_get(), None);
    assert_eq!((queue.try_put(1), queue.try_put(2)), (Ok(()), Ok(())));
    assert!(queue.is_full());
    assert_eq!(queue.try_put(3), Err(TryPut::Full(3)));
    assert_eq!((queue.try_get(), queue.try_get(), queue.try_get()), (Some(1), Some(2), None));
    assert_eq!((queue.len(), queue.capacity()), (0, Some(2)));
    let endless = Queue::bounded(0);
    for item in 0..1000 {
        endless.try_put(item).unwrap();
    }
    assert_eq!((endless.len(), endless.capacity(), endless.is_full()), (1000, None, false));
}

/// QUE-03: FIFO among those who wait for items, and for places.
#[loop_test(virtual_time)]
async fn who_waits_is_served_in_the_order_of_coming() {
    let (queue, trace) = (Rc::new(Queue::bounded(1)), Trace::new());
    let getters = ["a", "b", "c"].map(|name| getter(&queue, &trace, name));
    yield_now().await;
    let putters = [1, 2, 3].map(|item| putter(&queue, &trace, item));
    futures::future::join_all(getters.into_iter().chain(putters)).await;
    trace.assert(&["1 put", "a got Some(1)", "2 put", "b got Some(2)", "3 put", "c got Some(3)"]);

    let putters = [1, 2, 3].map(|item| putter(&queue, &trace, item));
    yield_now().await;
    trace.assert(&["1 put"]);
    let getters = ["a", "b", "c"].map(|name| getter(&queue, &trace, name));
    futures::future::join_all(getters.into_iter().chain(putters)).await;
    trace.assert(&["a got Some(1)", "2 put", "b got Some(2)", "3 put", "c got Some(3)"]);
}

/// No barging: an item that somebody was woken for is not to be had for anybody else, nor is a place.
#[test]
fn what_was_promised_to_one_who_waits_is_not_taken_by_who_comes_later() {
    let queue = Queue::bounded(1);
    let mut gets = [Polled::waiting(queue.get()), Polled::waiting(queue.get())];
    queue.try_put(1).unwrap();
    assert_eq!((gets[0].wakes.take(), gets[1].wakes.take()), (1, 0), "one item wakes one");
    assert_eq!(queue.try_get(), None);
    let mut late = Polled::waiting(queue.get());
    assert_eq!(gets[0].ready(), Some(1));

    queue.try_put(2).unwrap();
    assert_eq!(gets[1].ready(), Some(2));
    queue.try_put(3).unwrap();
    assert_eq!(late.ready(), Some(3));

    queue.try_put(4).unwrap();
    let mut puts = [Polled::waiting(queue.put(5)), Polled::waiting(queue.put(6))];
    assert_eq!(queue.try_get(), Some(4));
    assert_eq!((puts[0].wakes.take(), puts[1].wakes.take()), (1, 0), "one place wakes one");
    assert_eq!((queue.len(), queue.is_full()), (0, true));
    assert_eq!(queue.try_put(7), Err(TryPut::Full(7)));
    puts[0].ready().unwrap();
    assert_eq!(queue.try_get(), Some(5));
    puts[1].ready().unwrap();
    assert_eq!(queue.try_get(), Some(6));
}

/// QUE-02: giving up a `get` loses no item: unpolled, waiting, and woken; the item goes to the next.
#[test]
fn a_get_that_is_dropped_at_any_point_loses_no_item() {
    for polls in 0..3 {
        let queue = Queue::unbounded();
        let mut given_up = Polled::new(queue.get());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut next = Polled::waiting(queue.get());
        queue.try_put(1).unwrap();
        assert_eq!(next.is_woken(), polls == 0);
        drop(given_up);
        assert!(next.is_woken());
        queue.try_put(2).unwrap();
        assert_eq!(next.ready(), Some(1), "in its place in the order");
        assert_eq!(queue.try_get(), Some(2));
    }
    let queue = Queue::unbounded();
    let given_up = Polled::waiting(queue.get());
    queue.try_put(1).unwrap();
    drop(given_up);
    assert_eq!(queue.try_get(), Some(1), "nobody else waited");
}

/// QUE-02: giving up a `put` puts nothing, and its place goes to the next.
#[test]
fn a_put_that_is_dropped_at_any_point_gives_its_place_to_the_next() {
    for polls in 0..3 {
        let trace = Trace::new();
        let queue = Queue::bounded(1);
        at_once(queue.put(trace.probe("first"))).unwrap();
        let mut given_up = Polled::new(queue.put(trace.probe("given up")));
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut next = Polled::waiting(queue.put(trace.probe("next")));
        drop(queue.try_get());
        drop(given_up);
        trace.assert(&["first dropped", "given up dropped"]);
        assert!(next.is_woken());
        next.ready().unwrap();
        drop(queue.try_get());
        trace.assert(&["next dropped"]);
    }
}

/// QUE-02, as asyncio has it: cancelled in the iteration in which its item came.
#[loop_test(virtual_time)]
async fn cancelled_in_the_iteration_in_which_its_item_came() {
    let (queue, trace) = (Rc::new(Queue::unbounded()), Trace::new());
    let (first, second) = (getter(&queue, &trace, "a"), getter(&queue, &trace, "b"));
    yield_now().await;
    queue.try_put(1).unwrap();
    first.cancel();
    assert!(first.await.unwrap_err().is_cancelled());
    second.await.unwrap();
    trace.assert(&["b got Some(1)"]);
}

/// QUE-04: `join` waits until each item is done, and what comes then does not hold it up.
#[loop_test(virtual_time)]
async fn joined_until_everything_is_done() {
    let (queue, trace) = (Rc::new(Queue::unbounded()), Trace::new());
    at_once(queue.join());
    queue.try_put(1).unwrap();
    queue.try_put(2).unwrap();
    let joins = ["a", "b"].map(|name| {
        let (queue, trace) = (Rc::clone(&queue), trace.clone());
        spawn(async move {
            queue.join().await;
            trace.note(format!("{name} joined"));
        })
    });
    yield_now().await;
    for done in ["one", "two"] {
        queue.try_get().unwrap();
        queue.task_done();
        trace.note(format!("{done} done"));
    }
    queue.try_put(3).unwrap();
    futures::future::join_all(joins).await;
    trace.assert(&["one done", "two done", "a joined", "b joined"]);
    drop(Polled::waiting(queue.join()));
}

/// QUE-04: done more often than put is a mistake, and changes nothing.
#[test]
fn done_too_often_panics_and_changes_nothing() {
    let queue = Queue::unbounded();
    assert!(panic_of(|| queue.task_done()).contains("task_done() called too many times"));
    queue.try_put(1).unwrap();
    queue.task_done();
    assert!(panic_of(|| queue.task_done()).contains("more often than items were put"));
    queue.try_put(2).unwrap();
    drop(Polled::waiting(queue.join()));
}

/// Cancel safety of `join`: one that is given up takes nothing from another.
#[test]
fn a_join_that_is_dropped_at_any_point_takes_nothing_from_the_other() {
    for polls in 0..3 {
        let queue = Queue::unbounded();
        queue.try_put(1).unwrap();
        let mut given_up = Polled::new(queue.join());
        for _ in 0..polls {
            assert!(given_up.poll_elsewhere().is_pending());
        }
        let mut stays = Polled::waiting(queue.join());
        queue.task_done();
        drop(given_up);
        assert!(stays.is_woken());
        stays.ready();
    }
}

/// QUE-05: shut down, puts fail at once, those that wait included; gets drain, then end.
#[loop_test(virtual_time)]
async fn shut_down_with_items_and_with_puts_that_wait() {
    let (queue, trace) = (Rc::new(Queue::bounded(1)), Trace::new());
    queue.try_put(1).unwrap();
    let waits = [putter(&queue, &trace, 2), putter(&queue, &trace, 3)];
    yield_now().await;
    queue.shutdown(false);
    assert!(queue.is_shut_down());
    futures::future::join_all(waits).await;
    trace.assert(&["2 refused", "3 refused"]);
    assert_eq!(queue.try_put(4), Err(TryPut::ShutDown(4)));
    assert_eq!(at_once(queue.put(5)), Err(QueueShutDown(5)));
    drop(Polled::waiting(queue.join()));
    assert_eq!(at_once(queue.get()), Some(1));
    assert_eq!(at_once(queue.get()), None);
    queue.task_done();
    at_once(queue.join());
}

/// QUE-05: who was promised an item still has it, and all who wait for one hear of the end; not before the
/// last item is out, because one that was promised may be given up.
#[test]
fn shut_down_while_some_wait_and_one_was_promised_an_item() {
    let queue = Queue::unbounded();
    let [mut promised, mut one, mut other] = [0, 1, 2].map(|_| Polled::waiting(queue.get()));
    queue.try_put(1).unwrap();
    queue.shutdown(false);
    let mut late = Polled::waiting(queue.get());
    assert!(one.poll().is_pending() && other.poll().is_pending());
    assert_eq!(promised.ready(), Some(1));
    assert!(one.is_woken() && other.is_woken() && late.is_woken());
    assert_eq!([late.ready(), other.ready(), one.ready()], [None; 3]);

    // Given up, the item goes to the next in line, and the rest hear of the end behind that one.
    let queue = Queue::unbounded();
    let [promised, mut one, mut other] = [0, 1, 2].map(|_| Polled::waiting(queue.get()));
    queue.try_put(1).unwrap();
    queue.shutdown(false);
    let mut late = Polled::waiting(queue.get());
    drop(promised);
    assert!(one.is_woken() && !other.is_woken() && !late.is_woken());
    assert_eq!(one.ready(), Some(1));
    assert_eq!([other.ready(), late.ready()], [None; 2]);

    // Thrown away, there is nothing to wait for.
    let queue = Queue::unbounded();
    let [mut promised, mut one] = [0, 1].map(|_| Polled::waiting(queue.get()));
    queue.try_put(1).unwrap();
    queue.shutdown(false);
    queue.shutdown(true);
    assert!(one.is_woken());
    assert_eq!([one.ready(), promised.ready()], [None; 2]);

    let queue = Queue::bounded(1);
    queue.try_put(1).unwrap();
    let mut put = Polled::waiting(queue.put(2));
    assert_eq!(queue.try_get(), Some(1));
    queue.shutdown(false);
    assert_eq!(put.ready(), Err(QueueShutDown(2)), "a place that was promised is none any more");
}

/// QUE-05: at once, what is in it is thrown away and counts as done; what was taken out does not.
#[test]
fn shut_down_at_once_throws_away_and_joins_what_was_not_taken_out() {
    let trace = Trace::new();
    let queue = Queue::unbounded();
    for name in ["a", "b", "c"] {
        queue.try_put(trace.probe(name)).unwrap();
    }
    let taken = queue.try_get();
    let mut join = Polled::waiting(queue.join());
    queue.shutdown(true);
    trace.assert(&["b dropped", "c dropped"]);
    assert!(at_once(queue.get()).is_none());
    assert!(!join.is_woken());
    queue.task_done();
    join.ready();
    drop(taken);
    trace.assert(&["a dropped"]);

    // Drained at first, then at once.
    let queue = Queue::unbounded();
    queue.try_put(1).unwrap();
    let mut get = Polled::new(queue.get());
    queue.shutdown(false);
    let mut join = Polled::waiting(queue.join());
    queue.shutdown(true);
    assert!(join.is_woken());
    join.ready();
    assert_eq!(get.ready(), None);
    queue.shutdown(false);
    assert_eq!(at_once(queue.get()), None);
}

/// QUE-05: an item that was promised is thrown away all the same.
#[test]
fn shut_down_at_once_while_one_was_promised_an_item() {
    let queue = Queue::unbounded();
    let mut get = Polled::waiting(queue.get());
    queue.try_put(1).unwrap();
    queue.shutdown(true);
    assert_eq!(get.ready(), None);
    assert_eq!(queue.len(), 0);
}

/// QUE-06: the least first, ties in order of coming; and the last first.
#[test]
fn the_least_or_the_last_comes_out_first() {
    /// Compared by its number alone.
    #[derive(Debug, PartialEq, Eq)]
    struct Job(u32, &'static str);
    impl Ord for Job {
        fn cmp(&self, other: &Self) -> Ordering {
            self.0.cmp(&other.0)
        }
    }
    impl PartialOrd for Job {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            Some(self.cmp(other))
        }
    }
    let jobs = PriorityQueue::bounded(9);
    for job in [Job(2, "a"), Job(1, "b"), Job(2, "c"), Job(0, "d"), Job(1, "e"), Job(2, "f")] {
        jobs.try_put(job).unwrap();
    }
    assert_eq!(jobs.try_get(), Some(Job(0, "d")));
    jobs.try_put(Job(1, "g")).unwrap();
    let rest: Vec<_> = std::iter::from_fn(|| jobs.try_get()).map(|job| job.1).collect();
    assert_eq!(rest, ["b", "e", "g", "a", "c", "f"]);

    // What goes back, because a waker panics, comes before its equals again.
    let jobs = PriorityQueue::bounded(2);
    jobs.try_put(Job(1, "a")).unwrap();
    jobs.try_put(Job(1, "b")).unwrap();
    let mut put = Box::pin(jobs.put(Job(2, "c")));
    let explosive = scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    assert!(poll(&mut put, &explosive).is_pending());
    assert!(panic_of(|| jobs.try_get()).contains("woken"));
    assert_eq!([0; 2].map(|_| jobs.try_get().unwrap().1), ["a", "b"]);

    let mut dice = Dice::new(6);
    let numbers = PriorityQueue::unbounded();
    let mut model = Vec::new();
    for _ in 0..2000 {
        if dice.roll(3) < 2 {
            let number = dice.roll(50);
            numbers.try_put(number).unwrap();
            model.push(number);
        } else {
            model.sort_unstable_by(|one, other| other.cmp(one));
            assert_eq!(numbers.try_get(), model.pop());
        }
    }

    let stack = LifoQueue::unbounded();
    for item in [1, 2, 3] {
        at_once(stack.put(item)).unwrap();
    }
    assert_eq!(at_once(stack.get()), Some(3));
    at_once(stack.put(4)).unwrap();
    assert_eq!([0; 3].map(|_| stack.try_get().unwrap()), [4, 2, 1]);
}

/// Relatives are queues: who waits, the end and the count are theirs too.
#[test]
fn the_relatives_are_queues() {
    fn one_after_the_other(queue: &Queue<u32>) {
        let mut get = Polled::waiting(queue.get());
        queue.try_put(1).unwrap();
        assert_eq!(get.ready(), Some(1));
        queue.task_done();
        at_once(queue.join());
        queue.try_put(2).unwrap();
        let mut put = Polled::waiting(queue.put(3));
        assert_eq!(queue.try_get(), Some(2));
        put.ready().unwrap();
        queue.shutdown(true);
        assert_eq!(at_once(queue.get()), None);
    }
    one_after_the_other(&Queue::bounded(1));
    one_after_the_other(&LifoQueue::bounded(1));
    one_after_the_other(&PriorityQueue::bounded(1));
}

type OnCompare = Rc<RefCell<Option<Box<dyn FnMut()>>>>;

/// An item that calls the test when it is compared.
struct Compared {
    number: u32,
    on_compare: OnCompare,
}

impl Compared {
    fn call(&self) {
        // Taken out, so that a comparison that compares does not call again.
        let call = self.on_compare.borrow_mut().take();
        if let Some(mut call) = call {
            call();
            *self.on_compare.borrow_mut() = Some(call);
        }
    }
}

impl Ord for Compared {
    fn cmp(&self, other: &Self) -> Ordering {
        self.call();
        self.number.cmp(&other.number)
    }
}
impl PartialOrd for Compared {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Compared {}

/// Comparing is user code, and may use the queue: what it puts is there afterwards, and it gets nothing.
#[test]
fn a_comparison_that_uses_its_own_queue_is_harmless() {
    let on_compare = OnCompare::default();
    let item = |number| Compared { number, on_compare: Rc::clone(&on_compare) };
    let queue = Rc::new(PriorityQueue::unbounded());
    for number in [5, 3, 4] {
        queue.try_put(item(number)).unwrap();
    }
    let waits = Rc::new(RefCell::new(None));
    let (other, late, kept) = (Rc::clone(&queue), Cell::new(Some(item(1))), Rc::clone(&waits));
    *on_compare.borrow_mut() = Some(Box::new(move || {
        assert!(other.try_get().is_none());
        if let Some(late) = late.take() {
            other.try_put(late).unwrap();
            let queue = Rc::clone(&other);
            let get = async move { queue.get().await.map(|item| item.number) };
            *kept.borrow_mut() = Some(Polled::waiting(get));
        }
        assert!(other.len() >= 3);
    }));
    assert_eq!(queue.try_get().unwrap().number, 1, "what came meanwhile counts");
    let mut get = waits.borrow_mut().take().unwrap();
    assert!(get.is_woken(), "it waited while items were compared, and is served now");
    assert_eq!(get.ready(), Some(3));
    drop(get);
    *on_compare.borrow_mut() = None;
    let rest: Vec<_> = std::iter::from_fn(|| queue.try_get()).map(|item| item.number).collect();
    assert_eq!(rest, [4, 5]);

    // A comparison that shuts the queue down.
    for number in [5, 3, 4] {
        queue.try_put(item(number)).unwrap();
    }
    let other = Rc::clone(&queue);
    *on_compare.borrow_mut() = Some(Box::new(move || other.shutdown(true)));
    assert_eq!(queue.try_get().unwrap().number, 3);
    *on_compare.borrow_mut() = None;
    assert_eq!(queue.len(), 0);
    assert!(at_once(queue.get()).is_none());
}

/// A comparison that panics loses nothing, whichever it is, and the order is right afterwards.
#[test]
fn a_comparison_that_panics_loses_nothing() {
    for panics_at in 0..12 {
        let on_compare = OnCompare::default();
        let queue = PriorityQueue::unbounded();
        for number in [6, 2, 5, 1, 4, 3] {
            let on_compare = Rc::clone(&on_compare);
            queue.try_put(Compared { number, on_compare }).unwrap();
        }
        let mut count = 0;
        *on_compare.borrow_mut() = Some(Box::new(move || {
            assert_ne!(count, panics_at, "compared");
            count += 1;
        }));
        let mut waits = Polled::new(queue.get());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| waits.poll()));
        *on_compare.borrow_mut() = None;
        let mut got = match caught {
            Ok(Poll::Ready(item)) => vec![item.unwrap().number],
            Ok(Poll::Pending) => panic!("it has items"),
            Err(_) => Vec::new(),
        };
        got.extend(std::iter::from_fn(|| queue.try_get()).map(|item| item.number));
        assert_eq!(got, [1, 2, 3, 4, 5, 6], "with a panic at comparison {panics_at}");
    }
}

/// What came while items were compared is promised to who waits; if their waker panics, the item that was
/// just taken out goes back.
#[test]
fn a_waker_that_panics_behind_a_comparison_loses_nothing() {
    let on_compare = OnCompare::default();
    let item = |number| Compared { number, on_compare: Rc::clone(&on_compare) };
    let queue = Rc::new(PriorityQueue::<Compared>::unbounded());
    let number = async || queue.get().await.map(|item| item.number);
    let [mut first, mut second] = [0, 1].map(|_| Polled::waiting(number()));
    let explosive = scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    let mut third = Box::pin(number());
    assert!(poll(&mut third, &explosive).is_pending());
    queue.try_put(item(1)).unwrap();
    queue.try_put(item(2)).unwrap();
    let (other, late) = (Rc::clone(&queue), Cell::new(Some(item(3))));
    *on_compare.borrow_mut() = Some(Box::new(move || {
        if let Some(late) = late.take() {
            other.try_put(late).unwrap();
        }
    }));
    assert!(panic_of(|| first.poll()).contains("woken"));
    *on_compare.borrow_mut() = None;
    assert_eq!(queue.len(), 3, "it went back");
    assert_eq!((second.ready(), queue.try_get().unwrap().number), (Some(1), 2));
    assert_eq!(poll(&mut third, std::task::Waker::noop()), Poll::Ready(Some(3)));
}

/// Items whose destructors use their own queue, or panic, in a shutdown.
#[test]
fn destructors_that_use_their_own_queue_or_panic_are_harmless() {
    let queue: Rc<Queue<Box<dyn std::any::Any>>> = Rc::new(Queue::unbounded());
    let trace = Trace::new();
    for _ in 0..2 {
        let (other, trace) = (Rc::clone(&queue), trace.clone());
        let item = on_drop(move || {
            trace.note(format!("{} {:?}", other.len(), other.try_put(Box::new(1)).is_err()));
            assert!(other.try_get().is_none());
            other.shutdown(true);
        });
        assert!(queue.try_put(Box::new(item)).is_ok());
    }
    let mut join = Polled::waiting(queue.join());
    queue.shutdown(true);
    trace.assert(&["0 true", "0 true"]);
    join.ready();

    let queue: Queue<Box<dyn std::any::Any>> = Queue::unbounded();
    assert!(queue.try_put(Box::new(Bomb("item"))).is_ok());
    assert!(queue.try_put(Box::new(trace.probe("behind it"))).is_ok());
    let mut join = Polled::waiting(queue.join());
    assert_eq!(panic_of(|| queue.shutdown(true)), "item");
    trace.assert(&["behind it dropped"]);
    assert!(join.is_woken(), "everybody was told before");
    join.ready();
}

/// Wakers that panic leave the queue whole, lose no item, and keep nobody from hearing of the end.
#[test]
fn wakers_that_panic_lose_nothing() {
    let explosive = || scripted(|moment| assert_ne!(moment, Moment::Wake, "woken"));
    let queue = Queue::bounded(1);
    let mut get = Box::pin(queue.get());
    assert!(poll(&mut get, &explosive()).is_pending());
    assert!(panic_of(|| queue.try_put(1)).contains("woken"));
    drop(get);
    assert_eq!(queue.len(), 1, "it was put before");
    let mut put = Box::pin(queue.put(2));
    assert!(poll(&mut put, &explosive()).is_pending());
    assert!(panic_of(|| queue.try_get()).contains("woken"));
    assert_eq!(queue.len(), 1, "it went back");
    assert_eq!(queue.try_get(), Some(1));
    let woken = std::task::Waker::noop();
    assert_eq!(poll(&mut put, woken), Poll::Ready(Ok(())));
    assert_eq!(queue.try_get(), Some(2));

    let mut first = Box::pin(queue.get());
    assert!(poll(&mut first, &explosive()).is_pending());
    let mut second = Polled::waiting(queue.get());
    let mut join = Polled::waiting(queue.join());
    assert!(panic_of(|| queue.shutdown(false)).contains("woken"));
    assert!(second.is_woken());
    assert_eq!(second.ready(), None);
    assert_eq!(poll(&mut first, woken), Poll::Ready(None));
    queue.task_done();
    queue.task_done();
    join.ready();

    // One was promised the only item, one waits for another, and one for its place.
    let queue = Queue::bounded(1);
    let mut first = Polled::waiting(queue.get());
    let mut second = Box::pin(queue.get());
    assert!(poll(&mut second, &explosive()).is_pending());
    queue.try_put(1).unwrap();
    let mut put = Polled::waiting(queue.put(2));
    queue.shutdown(false);
    assert!(panic_of(|| first.poll()).contains("woken"), "the other heard of the end");
    assert_eq!(put.ready(), Err(QueueShutDown(2)));
    assert_eq!(poll(&mut second, woken), Poll::Ready(Some(1)), "it went back");

    // The same, thrown away: who puts hears of it whatever the waker before it throws.
    let queue = Queue::bounded(1);
    let mut first = Polled::waiting(queue.get());
    let mut second = Box::pin(queue.get());
    assert!(poll(&mut second, &explosive()).is_pending());
    queue.try_put(1).unwrap();
    let mut put = Polled::waiting(queue.put(2));
    assert!(panic_of(|| queue.shutdown(true)).contains("woken"));
    assert!(put.is_woken());
    assert_eq!((first.ready(), put.ready()), (None, Err(QueueShutDown(2))));
}

/// Wakers that use their own queue while they are cloned, woken and dropped.
#[test]
fn wakers_that_use_their_own_queue_are_harmless() {
    let queue = Rc::new(Queue::unbounded());
    let (other, puts) = (Rc::clone(&queue), Cell::new(true));
    let waker = scripted(move |moment| {
        if moment == Moment::Clone && puts.replace(false) {
            other.try_put(1).unwrap();
        }
        assert!(other.len() < 5);
    });
    let mut get = Box::pin(queue.get());
    assert_eq!(poll(&mut get, &waker), Poll::Ready(Some(1)), "put while its waker was cloned");

    // A waker that takes what there is: the item of who is called stays that one's.
    let (other, trace) = (Rc::clone(&queue), Trace::new());
    let seen = trace.clone();
    let waker = scripted(move |moment| {
        seen.note(format!("{moment:?} {:?}", other.try_get()));
    });
    let mut get = Box::pin(queue.get());
    assert!(poll(&mut get, &waker).is_pending());
    queue.try_put(2).unwrap();
    trace.assert(&["Clone None", "Wake None"]);
    assert_eq!(poll(&mut get, &waker), Poll::Ready(Some(2)));
    drop(waker);
    trace.assert(&["Drop None"]);
}

/// One wake for a batch: who waits hears of the first item, and takes all.
#[test]
fn a_batch_wakes_who_waits_once() {
    let queue = Queue::unbounded();
    let mut get = Polled::waiting(async {
        let mut sum = 0;
        while let Some(item) = queue.get().await {
            sum += item;
        }
        sum
    });
    for item in 1..=100 {
        queue.try_put(item).unwrap();
    }
    assert_eq!(get.wakes.take(), 1);
    assert!(get.poll().is_pending());
    assert!(queue.is_empty());
    queue.shutdown(false);
    assert_eq!(get.ready(), 5050);
}

/// One that waits with another waker each time is woken by the last.
#[test]
fn polled_by_another_task_it_is_woken_there() {
    let queue = Queue::bounded(1);
    let mut get = Polled::waiting(queue.get());
    let before = get.wakes.clone();
    assert!(get.poll_elsewhere().is_pending());
    queue.try_put(1).unwrap();
    assert_eq!((before.take(), get.wakes.take()), (0, 1));
    assert_eq!(get.ready(), Some(1));
}

/// No loop is captured, and a queue may be older than every loop.
#[test]
fn made_outside_filled_on_one_loop_and_emptied_on_another() {
    let queue = Queue::unbounded();
    EventLoop::new().unwrap().run_until_complete(queue.put(1)).unwrap().unwrap();
    assert_eq!(EventLoop::new().unwrap().run_until_complete(queue.get()).unwrap(), Some(1));
    // And under no loop at all.
    let items = async { (queue.put(2).await, queue.get().await) };
    assert_eq!(futures::executor::block_on(items), (Ok(()), Some(2)));
}

/// Many orders of everything one can do, against a plain list: each item that was put is got once, in the
/// order of putting; nobody waits who could go on; nobody overtakes.
#[test]
fn any_order_of_everything_gives_each_item_once() {
    for seed in support::programs(0..400) {
        let capacity = (seed % 4) as usize; // Zero: no bound.
        Model::new(&Queue::bounded(capacity), seed).play(300);
    }
}

type Put<'a> = Polled<'a, Result<(), QueueShutDown<usize>>>;

struct Model<'a> {
    queue: &'a Queue<usize>,
    dice: Dice,
    /// What was put, and not got.
    held: VecDeque<usize>,
    next: usize,
    gets: Vec<Polled<'a, Option<usize>>>,
    puts: Vec<(usize, Put<'a>)>,
    /// What was put, got, and refused or given up, in all.
    put: usize,
    got: usize,
    refused: usize,
}

impl<'a> Model<'a> {
    fn new(queue: &'a Queue<usize>, seed: u64) -> Self {
        let (held, gets, puts) = (VecDeque::new(), Vec::new(), Vec::new());
        let dice = Dice::new(seed);
        Model { queue, dice, held, next: 0, gets, puts, put: 0, got: 0, refused: 0 }
    }

    fn play(mut self, steps: usize) {
        for _ in 0..steps {
            match self.dice.roll(12) {
                0 | 1 => self.gets.push(Polled::new(self.queue.get())),
                2 | 3 => {
                    self.puts.push((self.next, Polled::new(self.queue.put(self.next))));
                    self.next += 1;
                }
                4 => {
                    let tried = self.queue.try_put(self.next);
                    self.was_put(self.next, tried.is_ok());
                    self.next += 1;
                }
                5 => {
                    let tried = self.queue.try_get();
                    if tried.is_some() {
                        self.was_got(tried);
                    }
                }
                6 if !self.gets.is_empty() => {
                    let at = self.dice.roll(self.gets.len());
                    drop(self.gets.remove(at));
                }
                7 if !self.puts.is_empty() => {
                    let at = self.dice.roll(self.puts.len());
                    drop(self.puts.remove(at));
                    self.refused += 1;
                }
                8 => self.settle(),
                9 | 10 if !self.gets.is_empty() => {
                    let at = self.dice.roll(self.gets.len());
                    self.poll_get(at);
                }
                _ if !self.puts.is_empty() => {
                    let at = self.dice.roll(self.puts.len());
                    self.poll_put(at);
                }
                _ => {}
            }
            assert_eq!(self.queue.len(), self.held.len());
        }
        self.queue.shutdown(false);
        self.settle();
        while let Some(item) = at_once(self.queue.get()) {
            self.was_got(Some(item));
        }
        assert!(self.gets.is_empty() && self.puts.is_empty() && self.held.is_empty());
        assert_eq!((self.put, self.put + self.refused), (self.got, self.next));
    }

    /// Polls those that were never polled, and those that were woken, until nobody is.
    fn settle(&mut self) {
        for at in (0..self.gets.len()).rev() {
            self.poll_get(at);
        }
        for at in (0..self.puts.len()).rev() {
            self.poll_put(at);
        }
        loop {
            if let Some(at) = self.gets.iter().position(Polled::is_woken) {
                self.poll_get(at);
            } else if let Some(at) = self.puts.iter().position(|(_, put)| put.is_woken()) {
                self.poll_put(at);
            } else {
                break;
            }
        }
        assert!(self.gets.is_empty() || self.held.is_empty(), "one waits, and there are items");
        assert!(self.puts.is_empty() || self.queue.is_full(), "one waits, and there is room");
        let capacity = self.queue.capacity().unwrap_or(usize::MAX);
        assert!(self.puts.is_empty() || self.held.len() == capacity);
    }

    fn poll_get(&mut self, at: usize) {
        if let Poll::Ready(got) = self.gets[at].poll() {
            drop(self.gets.remove(at));
            if got.is_some() {
                self.was_got(got);
            } else {
                assert!(self.queue.is_shut_down());
            }
        }
    }

    fn poll_put(&mut self, at: usize) {
        if let Poll::Ready(put) = self.puts[at].1.poll() {
            let (item, _) = self.puts.remove(at);
            self.was_put(item, put.is_ok());
        }
    }

    fn was_put(&mut self, item: usize, is_put: bool) {
        if is_put {
            self.held.push_back(item);
            self.put += 1;
            let capacity = self.queue.capacity().unwrap_or(usize::MAX);
            assert!(self.held.len() <= capacity);
        } else {
            self.refused += 1;
        }
    }

    fn was_got(&mut self, item: Option<usize>) {
        assert_eq!(item, self.held.pop_front());
        self.got += 1;
    }
}

/// The same with tasks, in every order that a loop can run them in.
#[loop_test(virtual_time, seeds = 0..32)]
async fn tasks_in_any_order_get_each_item_once() {
    let queue = Rc::new(Queue::bounded(3));
    let putters: Vec<_> = (0..5)
        .map(|putter| {
            let queue = Rc::clone(&queue);
            spawn(async move {
                for number in 0..40 {
                    queue.put((putter, number)).await.unwrap();
                }
            })
        })
        .collect();
    let got = Rc::new(RefCell::new(Vec::new()));
    let getters: Vec<_> = (0..4)
        .map(|_| {
            let (queue, got) = (Rc::clone(&queue), Rc::clone(&got));
            spawn(async move {
                while let Some(item) = queue.get().await {
                    got.borrow_mut().push(item);
                    queue.task_done();
                }
            })
        })
        .collect();
    // Some that give up.
    for _ in 0..10 {
        let queue = Rc::clone(&queue);
        let given_up = spawn(async move { queue.get().await.map(|_| queue.task_done()) });
        given_up.cancel();
    }
    futures::future::join_all(putters).await;
    queue.join().await;
    queue.shutdown(false);
    futures::future::join_all(getters).await;
    let got = got.borrow();
    for putter in 0..5 {
        let numbers = got.iter().filter(|item| item.0 == putter).map(|item| item.1);
        assert_eq!(numbers.collect::<Vec<_>>(), (0..40).collect::<Vec<_>>(), "in order");
    }
}

#[test]
fn what_is_shown_of_it() {
    let queue = Queue::bounded(2);
    queue.try_put(1).unwrap();
    let shown = "Queue { len: 1, capacity: Some(2), unfinished: 1, getters: 0, putters: 0, \
                 is_shut_down: false }";
    assert_eq!(format!("{queue:?}"), shown);
    assert_eq!(format!("{:?}", LifoQueue::<u32>::bounded(2).deref()), shown.replace("1", "0"));
}
