//! Futures polled by hand, with wakers that remember, and a generator for tests that try many orders.

#![allow(dead_code)] // Each file uses its share of this.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Counts how often it was woken since it was last asked.
#[derive(Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A future, and whether it was woken.
pub(crate) struct Polled<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    pub(crate) wakes: Arc<Wakes>,
}

impl<'a, T> Polled<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + 'a) -> Self {
        Polled { future: Box::pin(future), wakes: Arc::default() }
    }

    pub(crate) fn poll(&mut self) -> Poll<T> {
        self.wakes.take();
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    /// As `poll`, with another waker than the last time.
    pub(crate) fn poll_elsewhere(&mut self) -> Poll<T> {
        self.wakes = Arc::default();
        self.poll()
    }

    pub(crate) fn poll_with(&mut self, waker: &Waker) -> Poll<T> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    /// Polled for the first time, it waits.
    #[track_caller]
    pub(crate) fn waiting(future: impl Future<Output = T> + 'a) -> Self {
        let mut polled = Polled::new(future);
        assert!(polled.poll().is_pending(), "it does not wait");
        polled
    }

    #[track_caller]
    pub(crate) fn ready(&mut self) -> T {
        match self.poll() {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("it still waits"),
        }
    }

    pub(crate) fn is_woken(&self) -> bool {
        self.wakes.is_woken()
    }
}

/// The output of a future that does not wait.
#[track_caller]
pub(crate) fn at_once<T>(future: impl Future<Output = T>) -> T {
    Polled::new(future).ready()
}

/// Numbers that look random, and are the same each time.
pub(crate) struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Dice::new(0)
    }
}

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        // Any odd number apart from the seed will do: the state must not be zero.
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// One of `0..sides`.
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }
}
