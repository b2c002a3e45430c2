//! What the loop costs, one noun at a time. How it stands beside other executors is measured in
//! `peers/`, a package of its own.

use std::future::ready;
use std::hint::black_box;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use criterion::{Bencher, Criterion};
use futures::StreamExt as _;
use futures::channel::mpsc;
use futures::future::poll_fn;
use loopbind::{EventLoop, get_event_loop, sleep, spawn, yield_now};

const MANY: u64 = 1_000;

/// Measures inside of one run: `work` does `n` operations.
fn inside<Work>(bencher: &mut Bencher<'_>, work: impl Fn(u64) -> Work)
where
    Work: Future<Output = ()> + 'static,
{
    let event_loop = EventLoop::new().unwrap();
    bencher.iter_custom(|n| {
        let work = work(n);
        let began = Instant::now();
        event_loop.run_until_complete(work).unwrap();
        began.elapsed()
    });
}

fn spawn_join(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move {
        for i in 0..n {
            black_box(spawn(async move { black_box(i) }).await.unwrap());
        }
    });
}

fn spawn_batch(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move {
        for _ in 0..n {
            let tasks: Vec<_> = (0..MANY).map(|i| spawn(async move { black_box(i) })).collect();
            for task in tasks {
                black_box(task.await.unwrap());
            }
        }
    });
}

fn yield_one(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move { spawn(yields(n)).await.unwrap() });
}

fn yield_thousand(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move {
        let tasks: Vec<_> = (0..MANY).map(|_| spawn(yields(n))).collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn yields(times: u64) {
    for _ in 0..times {
        yield_now().await;
    }
}

fn ping_pong(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move {
        let (there, mut at_echo) = mpsc::unbounded();
        let (back, mut here) = mpsc::unbounded();
        let echo = spawn(async move {
            while let Some(ball) = at_echo.next().await {
                back.unbounded_send(ball).unwrap();
            }
        });
        let player = spawn(async move {
            for i in 0..n {
                there.unbounded_send(i).unwrap();
                assert_eq!(here.next().await, Some(i));
            }
        });
        player.await.unwrap();
        echo.await.unwrap();
    });
}

fn block_on_ready(bencher: &mut Bencher<'_>) {
    let event_loop = EventLoop::new().unwrap();
    bencher.iter(|| event_loop.run_until_complete(ready(black_box(7))).unwrap());
}

fn lookup(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| async move {
        for _ in 0..n {
            black_box(&get_event_loop().unwrap());
        }
    });
}

fn wake_clone_drop(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| {
        poll_fn(move |cx| {
            for _ in 0..n {
                drop(black_box(cx.waker().clone()));
            }
            Poll::Ready(())
        })
    });
}

/// The timeout that never fires: made, polled once, dropped.
fn timer_create_drop(bencher: &mut Bencher<'_>) {
    inside(bencher, |n| {
        poll_fn(move |cx| {
            for _ in 0..n {
                let sleep = pin!(sleep(Duration::from_secs(3_600)));
                let _ = black_box(sleep.poll(cx));
            }
            Poll::Ready(())
        })
    });
}

/// From another thread to a loop that runs: the posting and the running of an empty callback.
fn remote_post(bencher: &mut Bencher<'_>) {
    let event_loop = EventLoop::new().unwrap();
    bencher.iter_custom(|n| {
        let handle = event_loop.handle();
        let began = Instant::now();
        let poster = std::thread::spawn(move || {
            for i in 0..n {
                handle
                    .call_soon_threadsafe(move || {
                        black_box(i);
                    })
                    .unwrap();
            }
            handle.stop();
        });
        event_loop.run_forever().unwrap();
        let took = began.elapsed();
        poster.join().unwrap();
        took
    });
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    criterion.bench_function("spawn_join", spawn_join);
    criterion.bench_function("spawn_batch", spawn_batch);
    criterion.bench_function("yield_one", yield_one);
    criterion.bench_function("yield_thousand", yield_thousand);
    criterion.bench_function("ping_pong", ping_pong);
    criterion.bench_function("block_on_ready", block_on_ready);
    criterion.bench_function("lookup", lookup);
    criterion.bench_function("wake_clone_drop", wake_clone_drop);
    criterion.bench_function("timer_create_drop", timer_create_drop);
    criterion.bench_function("remote_post", remote_post);
    criterion.final_summary();
}
