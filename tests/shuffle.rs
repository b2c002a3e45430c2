//! What a seed changes, and what it leaves alone: every order in which nobody waits for ever can come
//! about, the same seed brings the same one about, and the promises about the ends of runs hold in all.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::net::UnixStream;
use loopbind::{EventLoop, LoopError, Task, sleep, spawn, timeout, yield_now};
use support::{Trace, turn};

const SEEDS: u64 = 200;

fn shuffled(seed: u64) -> EventLoop {
    EventLoop::builder().virtual_time(true).shuffle(seed).build().unwrap()
}

/// Notes `count` steps of a task.
fn walker(trace: &Trace, name: &'static str, count: usize) -> Task<()> {
    let trace = trace.clone();
    spawn(async move {
        for _ in 0..count {
            trace.note(name);
            yield_now().await;
        }
    })
}

/// Batches that are reordered alone would show those orders only in which nobody is two steps ahead.
#[test]
fn two_of_three_steps_each_in_all_twenty_orders() {
    let order = |seed: u64| {
        let trace = Trace::new();
        let (one, other) = (trace.clone(), trace.clone());
        let main = async move {
            let (one, other) = (walker(&one, "a", 3), walker(&other, "b", 3));
            one.await.unwrap();
            other.await.unwrap();
        };
        shuffled(seed).run_until_complete(main).unwrap();
        trace.take().concat()
    };
    let walks: BTreeSet<_> = (0..1000).step_by(2).map(order).collect();
    assert_eq!(walks.len(), 20, "{walks:?}");
    let by_priority: BTreeSet<_> = (1..1000).step_by(2).map(order).collect();
    for far_ahead in ["aaabbb", "bbbaaa"] {
        assert!(by_priority.contains(far_ahead), "{by_priority:?}");
    }
}

/// Timers, channels, cancellation, sockets of this very loop: one trace per seed.
#[test]
fn a_seed_is_one_trace_to_the_last_step() {
    let run = |seed: u64| {
        let (event_loop, trace) = (shuffled(seed), Trace::new());
        let log = trace.clone();
        event_loop.call_soon({
            let log = log.clone();
            move || log.note("callback")
        });
        event_loop
            .run_until_complete(async move {
                let (sender, mut receiver) = mpsc::unbounded();
                let (mut here, mut there) = UnixStream::pair().unwrap();
                let walkers = [walker(&log, "a", 5), walker(&log, "b", 5), walker(&log, "c", 5)];
                let echo = spawn(async move {
                    let mut word = [0; 4];
                    for _ in 0..3 {
                        there.read_exact(&mut word).await.unwrap();
                        there.write_all(&word).await.unwrap();
                    }
                });
                let clocks = (0..3).map(|number| {
                    let (sender, log) = (sender.clone(), log.clone());
                    spawn(async move {
                        sleep(Duration::from_secs(1)).await;
                        log.note(format!("clock {number}"));
                        sender.unbounded_send(number).unwrap();
                    })
                });
                let clocks: Vec<_> = clocks.collect();
                drop(sender);
                let cancelled = walker(&log, "d", 1000);
                while let Some(number) = receiver.next().await {
                    log.note(format!("received {number}"));
                    here.write_all(b"ping").await.unwrap();
                    let mut word = [0; 4];
                    here.read_exact(&mut word).await.unwrap();
                    log.note("pong");
                }
                cancelled.cancel();
                log.note(format!("cancelled: {}", cancelled.await.is_err()));
                for task in walkers.into_iter().chain(clocks).chain([echo]) {
                    task.await.unwrap();
                }
                let late = timeout(Duration::from_secs(1), pending::<()>()).await;
                log.note(format!("late: {}", late.is_err()));
            })
            .unwrap();
        let metrics = event_loop.metrics();
        (trace.take(), metrics.turns, metrics.polls)
    };
    let traces: Vec<_> = (0..20).map(run).collect();
    for (seed, trace) in (0..).zip(&traces) {
        assert_eq!(&run(seed), trace, "seed {seed}");
    }
    let different: BTreeSet<_> = traces.iter().map(|(trace, ..)| trace).collect();
    assert_eq!(different.len(), traces.len(), "seeds differ");
}

/// RUN-12: what was ready when main is done runs before the run returns.
#[test]
fn main_is_done_then_all_that_was_ready_runs() {
    for seed in 0..SEEDS {
        let (event_loop, ran) = (shuffled(seed), Rc::new(Cell::new(0)));
        for _ in 0..10 {
            let (in_callback, in_task) = (Rc::clone(&ran), Rc::clone(&ran));
            event_loop.call_soon(move || in_callback.set(in_callback.get() + 1));
            event_loop.create_task(async move { in_task.set(in_task.get() + 1) }).detach();
        }
        event_loop.run_until_complete(async {}).unwrap();
        assert_eq!(ran.get(), 20, "seed {seed}");
    }
}

/// RUN-16, RUN-17: a run that is stopped, before or in a batch, still runs what was ready.
#[test]
fn stopped_then_all_that_was_ready_runs() {
    for seed in 0..SEEDS {
        let (event_loop, ran) = (shuffled(seed), Rc::new(Cell::new(0)));
        let schedule = |stops: bool| {
            for number in 0..10 {
                let (ran, same) = (Rc::clone(&ran), event_loop.clone());
                event_loop.call_soon(move || {
                    ran.set(ran.get() + 1);
                    if stops && number == 5 {
                        same.stop();
                    }
                });
            }
        };
        schedule(true);
        let outcome = event_loop.run_until_complete(pending::<()>());
        assert!(matches!(outcome, Err(LoopError::StoppedBeforeComplete)), "seed {seed}");
        assert_eq!(ran.take(), 10, "seed {seed}");
        schedule(false);
        event_loop.stop();
        let (outcome, turns) =
            (event_loop.run_until_complete(pending::<()>()), event_loop.metrics().turns);
        assert!(matches!(outcome, Err(LoopError::StoppedBeforeComplete)), "seed {seed}");
        assert_eq!(ran.take(), 10, "seed {seed}");
        schedule(false);
        assert_eq!(turn(&event_loop), 10, "a host's turn runs all");
        assert_eq!(event_loop.metrics().turns, turns + 1);
    }
}

#[test]
fn whoever_waits_by_giving_way_does_not_wait_for_ever() {
    let mut most = 0;
    for seed in 0..SEEDS {
        let spins = shuffled(seed).run_until_complete(async {
            let (flag, spins) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
            let spinners = (0..3).map(|_| {
                let (flag, spins) = (Rc::clone(&flag), Rc::clone(&spins));
                spawn(async move {
                    while !flag.get() {
                        spins.set(spins.get() + 1);
                        yield_now().await;
                    }
                })
            });
            let spinners: Vec<_> = spinners.collect();
            let setter = spawn(async move {
                for _ in 0..3 {
                    yield_now().await;
                }
                flag.set(true);
            });
            for task in spinners.into_iter().chain([setter]) {
                task.await.unwrap();
            }
            spins.get()
        });
        most = most.max(spins.unwrap());
    }
    // Four steps, put off for at most 16 + 4 * 5 iterations each.
    assert!((30..=4 * 36).contains(&most), "{most}: put off a good deal, and no longer than that");
}

#[test]
fn time_stands_still_for_what_is_put_off() {
    for seed in 0..SEEDS {
        let trace = Trace::new();
        let log = trace.clone();
        let main = async move {
            let walkers = [walker(&log, "step", 4), walker(&log, "step", 4)];
            let clock = log.clone();
            let clock = spawn(async move {
                sleep(Duration::from_nanos(1)).await;
                clock.note("time");
            });
            for task in walkers.into_iter().chain([clock]) {
                task.await.unwrap();
            }
        };
        shuffled(seed).run_until_complete(main).unwrap();
        assert_eq!(trace.take().last().unwrap(), "time", "seed {seed}");
    }
}

#[test]
fn a_crowd_takes_its_steps_in_good_time() {
    for seed in 0..2 {
        let event_loop = shuffled(seed);
        let order = Rc::new(RefCell::new(Vec::new()));
        let same = Rc::clone(&order);
        let main = async move {
            let tasks = (0..5000).map(|number| {
                let order = Rc::clone(&same);
                spawn(async move {
                    yield_now().await;
                    order.borrow_mut().push(number);
                })
            });
            let tasks: Vec<_> = tasks.collect();
            for task in tasks {
                task.await.unwrap();
            }
        };
        event_loop.run_until_complete(main).unwrap();
        let mut order = order.take();
        assert!(!order.is_sorted(), "seed {seed}");
        order.sort_unstable();
        assert_eq!(order, (0..5000).collect::<Vec<_>>(), "seed {seed}");
        assert!(event_loop.metrics().turns < 5000, "seed {seed}: not one at a time");
    }
}

/// A panic that leaves the run in the middle of a batch leaves what was put off where it is.
#[test]
fn thrown_then_run_again_and_nothing_is_lost() {
    for seed in 0..SEEDS {
        let builder = EventLoop::builder().virtual_time(true).shuffle(seed);
        let event_loop =
            builder.on_unhandled_panic(loopbind::UnhandledPanic::Resume).build().unwrap();
        let ran = Rc::new(Cell::new(0));
        for number in 0..10 {
            let ran = Rc::clone(&ran);
            event_loop.call_soon(move || {
                ran.set(ran.get() + 1);
                if number % 4 == 0 {
                    std::panic::resume_unwind(Box::new("thrown"));
                }
            });
        }
        let mut thrown = 0;
        loop {
            let run = || event_loop.run_until_complete(sleep(Duration::from_secs(1)));
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
                Ok(outcome) => break outcome.unwrap(),
                Err(_) => thrown += 1,
            }
        }
        assert_eq!((thrown, ran.get()), (3, 10), "seed {seed}");
    }
}
