//! One loop per core against one loop: messages between tasks, which is all CPU. Ours alone.
//!
//! `cargo run --release --bin cores` prints messages per second, the most of the rounds, and how many times one core's
//! they are. Loops share nothing, so that where cores are whole, and idle, it is their number.

use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::Instant;

use loopbind::sync::mpsc as local;
use loopbind::thread::{ThreadBuilder, per_core};

const ROUNDS: usize = 9;
const MESSAGES: usize = 1_000_000;

async fn messages() {
    let (there, mut at_echo) = local::unbounded();
    let (back, mut here) = local::unbounded();
    let echo = loopbind::spawn(async move {
        while let Some(ball) = at_echo.recv().await {
            back.try_send(ball).expect("somebody listens");
        }
    });
    for i in 0..MESSAGES / 2 {
        there.try_send(i).expect("somebody listens");
        assert_eq!(here.recv().await, Some(i));
    }
    drop(there);
    echo.await.expect("the echo ends well");
}

/// Messages per second of one loop, on a thread of its own.
fn of_one() -> f64 {
    let began = Instant::now();
    let thread = ThreadBuilder::new().spawn(messages).expect("a thread");
    thread.join().expect("it ends well");
    MESSAGES as f64 / began.elapsed().as_secs_f64()
}

fn of_all(cores: usize) -> f64 {
    // Counted from when all are there.
    let barrier = Arc::new(Barrier::new(cores));
    let (began, when) = mpsc::channel();
    let group = per_core(move |_| {
        let (barrier, began) = (Arc::clone(&barrier), began.clone());
        async move {
            barrier.wait();
            began.send(Instant::now()).expect("somebody counts");
            messages().await;
            Instant::now()
        }
    });
    let ends = group.expect("a loop per core").join();
    let last = ends.into_iter().map(|end| end.expect("it ends well")).max().expect("a core");
    let first = when.iter().min().expect("a core");
    (MESSAGES * cores) as f64 / (last - first).as_secs_f64()
}

fn main() {
    let cores = std::thread::available_parallelism().expect("cores").get();
    let (mut one, mut all) = (0.0_f64, 0.0_f64);
    for _ in 0..ROUNDS {
        one = one.max(of_one());
        all = all.max(of_all(cores));
    }
    println!("one loop: {one:.0} messages/s");
    println!("{cores} loops: {all:.0} messages/s, {:.2} times that", all / one);
}
