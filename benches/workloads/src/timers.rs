//! Timers that never fire: the timeouts of a program in which all goes well.

use std::future::poll_fn;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::runtime::{Runtime, Sleep};
use crate::stopwatch::{Clock, Stopwatch};

const LONG: Duration = Duration::from_secs(3_600);

/// Made, polled once, dropped, while `others` wait.
pub fn made_and_dropped<R: Runtime>(runtime: &mut R, others: usize, n: usize) -> Duration {
    runtime.block_on(poll_fn(move |cx| {
        let others = waiting::<R>(others, cx);
        let watch = Stopwatch::start(Clock::Thread);
        for _ in 0..n {
            let sleep = pin!(R::sleep(LONG * 2));
            assert!(black_box(sleep.poll(cx)).is_pending());
        }
        let took = watch.elapsed();
        drop(others);
        Poll::Ready(took)
    }))
}

/// Made and polled once, and kept, while `others` wait: due anywhere between those.
pub fn set<R: Runtime>(runtime: &mut R, others: usize, n: usize) -> Duration {
    runtime.block_on(poll_fn(move |cx| {
        let others = waiting::<R>(others, cx);
        let mut sleeps = Vec::with_capacity(n);
        let watch = Stopwatch::start(Clock::Thread);
        for i in 0..n {
            let place = i * 61_803 % others.len();
            let mut sleep = Box::pin(R::sleep(LONG + Duration::from_micros(place as u64)));
            assert!(black_box(sleep.as_mut().poll(cx)).is_pending());
            sleeps.push(sleep);
        }
        let took = watch.elapsed();
        drop((others, sleeps));
        Poll::Ready(took)
    }))
}

/// Each of `many` in turn gets a later deadline, and is polled.
pub fn reset<R: Runtime>(runtime: &mut R, many: usize, n: usize) -> Duration {
    runtime.block_on(poll_fn(move |cx| {
        let mut sleeps = waiting::<R>(many, cx);
        let watch = Stopwatch::start(Clock::Thread);
        for i in 0..n {
            let sleep = &mut sleeps[i % many];
            sleep.as_mut().reset(LONG * 2);
            assert!(black_box(sleep.as_mut().poll(cx)).is_pending());
        }
        let took = watch.elapsed();
        drop(sleeps);
        Poll::Ready(took)
    }))
}

fn waiting<R: Runtime>(many: usize, cx: &mut Context<'_>) -> Vec<Pin<Box<impl Sleep + use<R>>>> {
    let make = |i: usize| {
        let mut sleep = Box::pin(R::sleep(LONG + Duration::from_micros(i as u64)));
        assert!(sleep.as_mut().poll(cx).is_pending());
        sleep
    };
    (0..many).map(make).collect()
}
