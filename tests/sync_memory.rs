//! Queues and channels allocate nothing for an item, once they have been as full before.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use loopbind::sync::{PriorityQueue, Queue, broadcast, mpsc, oneshot, watch};

/// Counts the allocations of each thread: tests run beside each other.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counter is a plain cell, which needs no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often the third of three such rounds allocates: the first two fill what is kept.
#[track_caller]
fn allocations(mut round: impl FnMut()) -> usize {
    round();
    round();
    let before = COUNT.get();
    round();
    COUNT.get() - before
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn an_item_of_a_queue_that_is_waited_for_on_both_sides() {
    let queue = Queue::bounded(2);
    let round = || {
        for item in 0..100 {
            let mut gets = [pin!(queue.get()), pin!(queue.get()), pin!(queue.get())];
            assert!(gets.iter_mut().all(|get| poll(get.as_mut()).is_pending()));
            queue.try_put(item).unwrap();
            queue.try_put(item).unwrap();
            let mut put = pin!(queue.put(item));
            assert!(poll(put.as_mut()).is_pending());
            for get in &mut gets[..2] {
                assert_eq!(poll(get.as_mut()), Poll::Ready(Some(item)));
            }
            assert_eq!(poll(put.as_mut()), Poll::Ready(Ok(())));
            assert_eq!(poll(gets[2].as_mut()), Poll::Ready(Some(item)));
        }
    };
    assert_eq!(allocations(round), 0);
}

#[test]
fn an_item_of_a_priority_queue() {
    let queue = PriorityQueue::unbounded();
    let round = || {
        for item in (0..100).rev() {
            queue.try_put(item).unwrap();
        }
        for item in 0..100 {
            assert_eq!(queue.try_get(), Some(item));
        }
    };
    assert_eq!(allocations(round), 0);
}

#[test]
fn an_item_of_a_channel_that_is_waited_for_on_both_sides() {
    let (sender, mut receiver) = mpsc::bounded(1);
    let round = || {
        for item in 0..100 {
            assert!(poll(pin!(receiver.recv())).is_pending());
            sender.try_send(item).unwrap();
            let mut send = pin!(sender.send(item));
            assert!(poll(send.as_mut()).is_pending());
            assert_eq!(receiver.try_recv(), Some(item));
            assert_eq!(poll(send), Poll::Ready(Ok(())));
            assert_eq!(receiver.try_recv(), Some(item));
        }
    };
    assert_eq!(allocations(round), 0);
}

#[test]
fn a_value_that_is_watched() {
    let (sender, mut receiver) = watch::channel(0);
    let round = || {
        for value in 0..100 {
            let mut changed = pin!(receiver.changed());
            assert!(poll(changed.as_mut()).is_pending());
            sender.send(value).unwrap();
            assert_eq!(poll(changed), Poll::Ready(Ok(())));
        }
    };
    assert_eq!(allocations(round), 0);
}

#[test]
fn an_item_of_a_broadcast_for_each_of_four() {
    let (sender, receiver) = broadcast::channel(8);
    let mut receivers = [(); 4].map(|()| receiver.resubscribe());
    drop(receiver);
    let round = || {
        for item in 0..100 {
            for receiver in &mut receivers {
                assert!(poll(pin!(receiver.recv())).is_pending());
            }
            sender.send(item).unwrap();
            sender.send(item).unwrap();
            for receiver in &mut receivers {
                assert_eq!(poll(pin!(receiver.recv())), Poll::Ready(Ok(item)));
                assert_eq!(receiver.try_recv(), Ok(Some(item)));
            }
        }
    };
    assert_eq!(allocations(round), 0);
}

/// What one value costs is the channel it goes through.
#[test]
fn a_oneshot_is_one_allocation() {
    let round = || {
        let (sender, mut receiver) = oneshot::channel();
        assert!(poll(pin!(&mut receiver)).is_pending());
        sender.send(1).unwrap();
        assert_eq!(receiver.try_recv(), Ok(Some(1)));
    };
    assert_eq!(allocations(round), 1);
}

/// Where the receiver is there first, nothing is stored beside the channel itself.
#[test]
fn a_channel_that_never_has_more_than_one_item() {
    let round = || {
        let (sender, mut receiver) = mpsc::unbounded();
        for item in 0..100 {
            assert!(poll(pin!(receiver.recv())).is_pending());
            sender.try_send(item).unwrap();
            assert_eq!(receiver.try_recv(), Some(item));
        }
    };
    assert_eq!(allocations(round), 1);
}
