//! Two tasks of one thread that play ball.

use std::time::Duration;

use futures::channel::mpsc;

use crate::runtime::{Receiver, Runtime, Sender, Spawner};
use crate::stopwatch::{Clock, Stopwatch};

pub fn its_own<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    ping_pong(runtime, n, R::channel::<usize>, R::channel::<usize>)
}

pub fn of_futures<R: Runtime>(runtime: &mut R, n: usize) -> Duration {
    ping_pong(runtime, n, mpsc::unbounded, mpsc::unbounded)
}

fn ping_pong<R: Runtime, S1, R1, S2, R2>(
    runtime: &mut R,
    n: usize,
    there: impl FnOnce() -> (S1, R1) + 'static,
    back: impl FnOnce() -> (S2, R2) + 'static,
) -> Duration
where
    S1: Sender<usize>,
    R1: Receiver<usize>,
    S2: Sender<usize>,
    R2: Receiver<usize>,
{
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let watch = Stopwatch::start(Clock::Thread);
        let (there, mut at_echo) = there();
        let (back, mut here) = back();
        let echo = spawner.spawn(async move {
            while let Some(ball) = at_echo.receive().await {
                back.send(ball);
            }
        });
        let player = spawner.spawn(async move {
            for i in 0..n {
                there.send(i);
                assert_eq!(here.receive().await, Some(i));
            }
        });
        player.await;
        echo.await;
        watch.elapsed()
    })
}
