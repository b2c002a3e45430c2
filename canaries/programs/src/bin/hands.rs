//! Wakers, abort handles and loop handles in the hands of other threads, which use and drop them while tasks come
//! to their end, and loops close.
//!
//! ThreadSanitizer must find: a count of references that is given up and releases nothing. It does not see into
//! the locks of std, so there are none here.

use std::cell::UnsafeCell;
use std::future::poll_fn;
use std::hint::spin_loop;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use loopbind::{AbortHandle, EventLoop, LoopHandle};

const LOOPS: u64 = 40;
const THREADS: u64 = 3;
const TURNS: u64 = 150;

#[derive(Clone)]
enum Hand {
    Wakes(Waker),
    Aborts(AbortHandle),
    Posts(LoopHandle),
}

/// What lies about for anybody, behind a lock that spins.
#[derive(Default)]
struct Pile {
    is_taken: AtomicBool,
    hands: UnsafeCell<Vec<Hand>>,
}

// SAFETY: `with` lets one in at a time, and what is in there may cross threads.
unsafe impl Sync for Pile {}

impl Pile {
    fn with<R>(&self, f: impl FnOnce(&mut Vec<Hand>) -> R) -> R {
        while self.is_taken.swap(true, Ordering::Acquire) {
            spin_loop();
        }
        // SAFETY: nobody else is in here until the flag is given back.
        let result = f(unsafe { &mut *self.hands.get() });
        self.is_taken.store(false, Ordering::Release);
        result
    }

    fn put(&self, hand: Hand) {
        let too_much = self.with(|hands| {
            if hands.len() < 40 {
                hands.push(hand);
                None
            } else {
                Some(hand)
            }
        });
        drop(too_much);
    }

    fn take(&self, draw: u64) -> Option<Hand> {
        self.with(|hands| {
            let len = hands.len();
            (len > 0).then(|| hands.swap_remove(draw as usize % len))
        })
    }

    fn use_one(&self, dice: &mut Dice) {
        let Some(hand) = self.take(dice.draw()) else { return thread::yield_now() };
        if dice.draw() % 3 == 0 {
            self.put(hand.clone());
        }
        match (hand, dice.draw() % 4) {
            (_, 0) => {}
            (Hand::Wakes(waker), 1) => waker.wake(),
            (Hand::Wakes(waker), _) => {
                waker.wake_by_ref();
                self.put(Hand::Wakes(waker));
            }
            (Hand::Aborts(handle), _) => {
                handle.abort();
            }
            (Hand::Posts(handle), _) => {
                let sent = Box::new(dice.draw());
                let _ = handle.call_soon_threadsafe(move || drop(sent));
            }
        }
    }
}

struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

fn main() {
    let pile: &'static Pile = Box::leak(Box::default());
    let over = Arc::new(AtomicBool::new(false));
    let others: Vec<_> = (1..=THREADS)
        .map(|number| {
            let (over, mut dice) = (Arc::clone(&over), Dice(number * 0x9e37_79b9));
            thread::spawn(move || {
                while !over.load(Ordering::Acquire) {
                    pile.use_one(&mut dice);
                }
            })
        })
        .collect();
    let mut dice = Dice(0x0005_eed5);
    for _ in 0..LOOPS {
        let event_loop = EventLoop::new().unwrap();
        let mut kept = Vec::new();
        for _ in 0..TURNS {
            let (mut left, mut written) = (dice.draw() % 6, Box::new(0_u64));
            let task = event_loop.create_task(poll_fn(move |cx| {
                *written += 1;
                pile.put(Hand::Wakes(cx.waker().clone()));
                left = left.saturating_sub(1);
                if left == 0 { Poll::Ready(*written) } else { Poll::Pending }
            }));
            match dice.draw() % 3 {
                0 => {
                    pile.put(Hand::Aborts(task.abort_handle()));
                    task.detach();
                }
                1 => kept.push(task),
                _ => pile.put(Hand::Posts(event_loop.handle())),
            }
            if dice.draw() % 16 == 0 {
                kept.clear();
            }
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        // What the others have of it goes on beyond its end.
        drop((kept, event_loop));
    }
    over.store(true, Ordering::Release);
    for other in others {
        other.join().unwrap();
    }
    pile.with(Vec::clear);
}
