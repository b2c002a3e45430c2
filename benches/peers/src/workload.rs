//! The workloads, each written once, for every runtime.

use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::channel::mpsc;

use crate::runtime::{Runtime, Spawner};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    SpawnJoin,
    SpawnBatch,
    YieldOne,
    YieldThousand,
    PingPong,
    BlockOnReady,
    /// Not a peer's: they have no such function.
    Lookup,
}

const BATCH: usize = 1_000;

impl Workload {
    pub const ALL: [Workload; 7] = [
        Workload::SpawnJoin,
        Workload::SpawnBatch,
        Workload::YieldOne,
        Workload::YieldThousand,
        Workload::PingPong,
        Workload::BlockOnReady,
        Workload::Lookup,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Workload::SpawnJoin => "spawn + join",
            Workload::SpawnBatch => "spawn 1,000, join all",
            Workload::YieldOne => "yield, 1 task",
            Workload::YieldThousand => "yield, 1,000 tasks",
            Workload::PingPong => "ping-pong, futures mpsc",
            Workload::BlockOnReady => "block_on, ready",
            Workload::Lookup => "get_event_loop()",
        }
    }

    /// Operations in one measurement: some milliseconds of work, a multiple of the batch.
    pub fn operations(self) -> usize {
        match self {
            Workload::SpawnJoin | Workload::SpawnBatch | Workload::PingPong => 20_000,
            Workload::YieldOne | Workload::YieldThousand | Workload::Lookup => 100_000,
            Workload::BlockOnReady => 20_000,
        }
    }

    /// Does `n` operations.
    pub fn perform<R: Runtime>(self, runtime: &mut R, n: usize) {
        let spawner = runtime.spawner();
        match self {
            Workload::SpawnJoin => runtime.block_on(async move {
                for i in 0..n {
                    black_box(spawner.spawn(async move { black_box(i) }).await);
                }
            }),
            Workload::SpawnBatch => runtime.block_on(async move {
                let mut handles = Vec::with_capacity(BATCH);
                for _ in 0..n / BATCH {
                    handles.extend((0..BATCH).map(|i| spawner.spawn(async move { black_box(i) })));
                    for handle in handles.drain(..) {
                        black_box(handle.await);
                    }
                }
            }),
            Workload::YieldOne => runtime.block_on(async move { spawner.spawn(yields(n)).await }),
            Workload::YieldThousand => runtime.block_on(async move {
                let handles: Vec<_> =
                    (0..BATCH).map(|_| spawner.spawn(yields(n / BATCH))).collect();
                for handle in handles {
                    handle.await;
                }
            }),
            Workload::PingPong => runtime.block_on(async move {
                let (there, mut at_echo) = mpsc::unbounded();
                let (back, mut here) = mpsc::unbounded();
                let echo = spawner.spawn(async move {
                    while let Some(ball) = at_echo.next().await {
                        back.unbounded_send(ball).expect("somebody listens");
                    }
                });
                let player = spawner.spawn(async move {
                    for i in 0..n {
                        there.unbounded_send(i).expect("somebody listens");
                        assert_eq!(here.next().await, Some(i));
                    }
                });
                player.await;
                echo.await;
            }),
            Workload::BlockOnReady => {
                for i in 0..n {
                    black_box(runtime.block_on(std::future::ready(black_box(i))));
                }
            }
            Workload::Lookup => runtime.block_on(async move {
                for _ in 0..n {
                    black_box(&loopbind::get_event_loop().expect("this one"));
                }
            }),
        }
    }
}

async fn yields(times: usize) {
    for _ in 0..times {
        SelfWake { woken: false }.await;
    }
}

/// The yield every executor can do: it wakes itself, and is pending once.
struct SelfWake {
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
