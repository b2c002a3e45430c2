//! Tasks: from birth to outcome, one by one and many at once.

use std::hint::black_box;
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
