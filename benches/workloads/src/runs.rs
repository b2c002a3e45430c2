//! Runs that are over almost at once: a loop entered again and again.

use std::future::ready;
use std::hint::black_box;
use std::time::Duration;

use crate::runtime::{Runtime, Spawner};
use crate::stopwatch::{Clock, Stopwatch};
use crate::wakes::SelfWake;

pub fn of_a_ready_future<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let watch = Stopwatch::start(Clock::Thread);
    for i in 0..n {
        black_box(runtime.block_on(ready(black_box(i))));
    }
    watch.elapsed()
}

pub fn of_a_yield<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let watch = Stopwatch::start(Clock::Thread);
    for _ in 0..n {
        runtime.block_on(SelfWake::default());
    }
    watch.elapsed()
}

pub fn of_a_task<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let watch = Stopwatch::start(Clock::Thread);
    for i in 0..n {
        let spawner = runtime.spawner();
        let run = async move { spawner.spawn(async move { black_box(i) }).await };
        black_box(runtime.block_on(run));
    }
    watch.elapsed()
}

/// Loopbind's alone.
pub fn of_lookups<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        for _ in 0..n {
            black_box(&loopbind::get_event_loop().expect("this one"));
        }
        watch.elapsed()
    })
}
