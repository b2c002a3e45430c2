//! Tasks: from birth to outcome, one by one and many at once.

use std::cell::RefCell;
use std::future::poll_fn;
use std::hint::black_box;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::runtime::{Runtime, Spawner};
use crate::stopwatch::{Clock, Stopwatch};
use crate::wakes::SelfWake;

pub fn spawned_and_joined<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        for i in 0..n {
            black_box(spawner.spawn(async move { black_box(i) }).await);
        }
        watch.elapsed()
    })
}

/// `batch` of them at a time: all are started before the first is waited for.
pub fn in_batches<R: Runtime>(runtime: &mut R, batch: usize, n: usize) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let mut handles = Vec::with_capacity(batch);
        let watch = Stopwatch::start(Clock::Thread);
        for _ in 0..n / batch {
            handles.extend((0..batch).map(|i| spawner.spawn(async move { black_box(i) })));
            for handle in handles.drain(..) {
                black_box(handle.await);
            }
        }
        watch.elapsed()
    })
}

/// What a task took that waited among others, or `n` of them did: its birth and first step, a wake by a clone of its waker,
/// and its second step and end, which are waited for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waited {
    pub born: Duration,
    pub woken: Duration,
    pub joined: Duration,
}

impl Waited {
    pub fn all(self) -> Duration {
        self.born + self.woken + self.joined
    }
}

/// `batch` of them at a time, all of which wait before the first is woken.
pub fn waiting<R: Runtime>(runtime: &mut R, batch: usize, n: usize) -> Waited {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let wakers: Rc<RefCell<Vec<Waker>>> = Rc::new(RefCell::new(Vec::with_capacity(batch)));
        let mut handles = Vec::with_capacity(batch);
        let mut waited = Waited::default();
        for _ in 0..n / batch {
            let watch = Stopwatch::start(Clock::Thread);
            for i in 0..batch {
                let (wakers, mut is_woken) = (Rc::clone(&wakers), false);
                handles.push(spawner.spawn(poll_fn(move |cx| {
                    if std::mem::replace(&mut is_woken, true) {
                        return Poll::Ready(black_box(i));
                    }
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::Pending
                })));
            }
            while wakers.borrow().len() < batch {
                SelfWake::default().await;
            }
            waited.born += watch.elapsed();
            let watch = Stopwatch::start(Clock::Thread);
            wakers.borrow_mut().drain(..).for_each(Waker::wake);
            waited.woken += watch.elapsed();
            let watch = Stopwatch::start(Clock::Thread);
            for handle in handles.drain(..) {
                black_box(handle.await);
            }
            waited.joined += watch.elapsed();
        }
        waited
    })
}

/// Not tasks, but many futures in one, each of which yields ten times.
pub fn unordered<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    const MANY: usize = 1_000;
    const YIELDS: usize = 10;
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        for _ in 0..n / (MANY * YIELDS) {
            let one = || async {
                for _ in 0..YIELDS {
                    SelfWake::default().await;
                }
            };
            let mut all: FuturesUnordered<_> = (0..MANY).map(|_| one()).collect();
            while all.next().await.is_some() {}
        }
        watch.elapsed()
    })
}
