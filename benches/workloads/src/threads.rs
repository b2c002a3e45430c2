//! What comes from other threads, by the clock on the wall.

use std::thread;
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc;

use crate::runtime::Runtime;
use crate::stopwatch::{Clock, Stopwatch};

/// Two threads with a runtime each play ball.
pub fn round_trip<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let (there, mut at_echo) = mpsc::unbounded();
    let (back, mut here) = mpsc::unbounded();
    let echo = thread::spawn(move || {
        R::new().block_on(async move {
            while let Some(ball) = at_echo.next().await {
                back.unbounded_send(ball).expect("somebody listens");
            }
        });
    });
    let took = runtime.block_on(async move {
        let mut watch = Stopwatch::start(Clock::Wall);
        for i in 0..=n {
            there.unbounded_send(i).expect("somebody listens");
            assert_eq!(here.next().await, Some(i));
            if i == 0 {
                // The other one is there.
                watch = Stopwatch::start(Clock::Wall);
            }
        }
        watch.elapsed()
    });
    echo.join().expect("the echo ends well");
    took
}

/// A thread without a runtime sends as fast as it can.
pub fn flood<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    let (sender, mut receiver) = mpsc::unbounded();
    let source = thread::spawn(move || {
        for i in 0..=n {
            sender.unbounded_send(i).expect("somebody listens");
        }
    });
    let took = runtime.block_on(async move {
        assert_eq!(receiver.next().await, Some(0));
        let watch = Stopwatch::start(Clock::Wall);
        for i in 1..=n {
            assert_eq!(receiver.next().await, Some(i));
        }
        watch.elapsed()
    });
    source.join().expect("the source ends well");
    took
}

/// A job for another thread, and back, one at a time.
pub fn blocking<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    runtime.block_on(async move {
        R::spawn_blocking(|| {}).await;
        let watch = Stopwatch::start(Clock::Wall);
        for _ in 0..n {
            R::spawn_blocking(|| {}).await;
        }
        watch.elapsed()
    })
}
