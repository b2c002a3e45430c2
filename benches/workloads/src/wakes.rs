//! Waking: oneself, by a stored waker, in vain; and what a waker costs by itself.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::runtime::{Runtime, Spawner};
use crate::stopwatch::{Clock, Stopwatch};

/// The yield every executor can do: it wakes itself, and is pending once.
#[derive(Default)]
pub struct SelfWake {
    woken: bool,
}

impl Future for SelfWake {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.woken {
            return Poll::Ready(());
        }
        self.woken = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

async fn yields(times: usize) {
    for _ in 0..times {
        SelfWake::default().await;
    }
}

/// Tasks that yield by turns.
pub fn yielding<R: Runtime>(runtime: &mut R, tasks: usize, n: usize) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let handles: Vec<_> = (0..tasks).map(|_| spawner.spawn(yields(n / tasks + 1))).collect();
        // From when all of them have begun: what a birth costs is told elsewhere.
        SelfWake::default().await;
        let watch = Stopwatch::start(Clock::Thread);
        for handle in handles {
            handle.await;
        }
        watch.elapsed()
    })
}

pub fn yielding_its_way<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        let task = spawner.spawn(async move {
            for _ in 0..n {
                R::yield_now().await;
            }
        });
        task.await;
        watch.elapsed()
    })
}

/// Each time by the clone that was stored when the task began.
pub fn stored<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        let mut stored: Option<Waker> = None;
        let mut left = n;
        let task = spawner.spawn(poll_fn(move |cx| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            stored.get_or_insert_with(|| cx.waker().clone()).wake_by_ref();
            Poll::Pending
        }));
        task.await;
        watch.elapsed()
    })
}

/// The first of them says it all.
pub fn redundant<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    in_one_poll(runtime, move |cx| {
        for _ in 0..n {
            black_box(cx.waker()).wake_by_ref();
        }
    })
}

pub fn cloned_and_dropped<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    in_one_poll(runtime, move |cx| {
        for _ in 0..n {
            drop(black_box(cx.waker().clone()));
        }
    })
}

fn in_one_poll<R: Runtime>(runtime: &mut R, work: impl Fn(&mut Context<'_>) + 'static) -> Duration {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let task = spawner.spawn(poll_fn(move |cx| {
            let watch = Stopwatch::start(Clock::Thread);
            work(cx);
            Poll::Ready(watch.elapsed())
        }));
        task.await
    })
}
