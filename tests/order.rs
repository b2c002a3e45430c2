//! Order: one queue for callbacks and task steps, from here and from other threads; batches that end;
//! and nobody who starves anybody.

#![allow(clippy::waker_clone_wake)] // A wake by value is another way than one by reference.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::join_all;
use loopbind::{EventLoop, Task, sleep, spawn, task, timeout, yield_now};
use support::{Trace, turn, virtual_loop};

/// A future that is woken by whoever has its waker, once.
#[derive(Clone, Default)]
struct Gate {
    inner: Rc<(Cell<bool>, RefCell<Option<Waker>>)>,
}

impl Gate {
    async fn wait(self) {
        poll_fn(|cx| {
            if self.inner.0.get() {
                return Poll::Ready(());
            }
            *self.inner.1.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The waker of who waits; the gate is open.
    fn open(&self) -> Waker {
        self.inner.0.set(true);
        self.inner.1.borrow_mut().take().expect("somebody waits")
    }
}

/// THR-02: from the loop's own thread, before and inside a run, a threadsafe call is one like any
/// other, in the order of the calls.
#[test]
fn threadsafe_and_plain_calls_of_one_thread_run_in_the_order_of_the_calls() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let schedule = {
        let (event_loop, trace) = (event_loop.clone(), trace.clone());
        move || {
            for name in ["a", "c", "e"] {
                let log = trace.clone();
                event_loop.handle().call_soon_threadsafe(move || log.note(name)).unwrap();
                let next = char::from(name.as_bytes()[0] + 1).to_string();
                let log = trace.clone();
                event_loop.call_soon(move || log.note(next));
            }
        }
    };
    schedule();
    turn(&event_loop);
    trace.assert(&["a", "b", "c", "d", "e", "f"]);
    event_loop.call_soon(schedule);
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["a", "b", "c", "d", "e", "f"]);
}

/// What another thread posted before, runs before what is scheduled here; and the other way round.
/// Joining the thread is what makes "before" a fact.
#[test]
fn posted_elsewhere_then_scheduled_here_runs_in_that_order_and_in_the_other() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop.call_soon(move || {
        let post = |name: &'static str| {
            let (handle, log) = (same.handle(), log.clone());
            thread::spawn(move || handle.call_soon_threadsafe(move || log.note(name)).unwrap())
                .join()
                .unwrap();
        };
        post("1 remote");
        same.call_soon(log.noting("2 local"));
        post("3 remote");
        let mark = log.noting("4 task");
        same.create_task(async move { mark() }).detach();
        post("5 remote");
        same.call_later(Duration::ZERO, log.noting("7 timer"));
        same.call_soon(log.noting("6 local"));
    });
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["1 remote", "2 local", "3 remote", "4 task", "5 remote", "6 local", "7 timer"]);
}

/// The same for wakes: a wake from another thread keeps its place before a local one.
#[test]
fn woken_elsewhere_then_here_runs_in_that_order_and_in_the_other() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let gates: Vec<Gate> = (0..4).map(|_| Gate::default()).collect();
    for (i, gate) in gates.iter().enumerate() {
        let (gate, log) = (gate.clone(), trace.clone());
        event_loop
            .create_task(async move {
                gate.wait().await;
                log.note(i.to_string());
            })
            .detach();
    }
    turn(&event_loop);
    event_loop.call_soon(move || {
        for (i, elsewhere) in [(2, true), (0, false), (3, true), (1, false)] {
            let waker = gates[i].open();
            if elsewhere {
                thread::spawn(move || waker.wake()).join().unwrap();
            } else {
                waker.wake();
            }
        }
    });
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["2", "0", "3", "1"]);
}

/// CB-02: a batch is what was ready when it began, all of it, and nothing that it added.
#[test]
fn a_batch_is_never_cut_and_never_grows() {
    let event_loop = EventLoop::builder().event_interval(2).build().unwrap();
    let trace = Trace::new();
    for i in 0..5 {
        let (same, log) = (event_loop.clone(), trace.clone());
        event_loop.call_soon(move || {
            log.note(format!("first {i}"));
            same.call_soon(move || log.note(format!("second {i}")));
        });
    }
    assert_eq!(turn(&event_loop), 5, "an interval of two cuts no batch of five");
    assert_eq!(trace.take(), (0..5).map(|i| format!("first {i}")).collect::<Vec<_>>());
    assert_eq!(turn(&event_loop), 5);
    assert_eq!(trace.take(), (0..5).map(|i| format!("second {i}")).collect::<Vec<_>>());
}

/// A self-wake during a poll runs in the next iteration, exactly once for any number of wakes.
#[test]
fn woken_during_its_poll_runs_once_in_the_next_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (log, mut polls) = (trace.clone(), 0);
    event_loop
        .create_task(poll_fn(move |cx| {
            polls += 1;
            log.note(format!("poll {polls}"));
            if polls == 1 {
                for _ in 0..1_000 {
                    cx.waker().wake_by_ref();
                    cx.waker().clone().wake();
                }
            }
            Poll::<()>::Pending
        }))
        .detach();
    event_loop.call_soon(trace.noting("callback"));
    assert_eq!(turn(&event_loop), 2);
    assert_eq!(turn(&event_loop), 1);
    assert_eq!(turn(&event_loop), 0);
    trace.assert(&["poll 1", "callback", "poll 2"]);
}

/// A busy loop looks at the clock at least every `event_interval` items: a timer that came due is
/// served within that many steps of a task that never rests, counted from the step at which the
/// task itself saw the deadline pass.
#[test]
fn a_task_that_never_rests_keeps_a_real_timer_waiting_for_the_interval_at_most() {
    for interval in [1, 8, 64] {
        let event_loop = EventLoop::builder().event_interval(interval).build().unwrap();
        let (fired, late) = (Rc::new(Cell::new(false)), Rc::new(Cell::new(0)));
        let deadline = event_loop.time() + Duration::from_millis(1);
        let flag = Rc::clone(&fired);
        event_loop.call_at(deadline, move || flag.set(true));
        let steps = Rc::clone(&late);
        event_loop
            .run_until_complete(async move {
                while !fired.get() {
                    if Instant::now() >= deadline {
                        steps.set(steps.get() + 1);
                    }
                    yield_now().await;
                }
            })
            .unwrap();
        assert!(late.get() <= interval + 1, "{} steps with an interval of {interval}", late.get());
    }
}

/// The same for what other threads post: it is taken in with each iteration, so that a busy task
/// takes two steps at most after the post.
#[test]
fn a_task_that_never_rests_keeps_another_threads_call_waiting_for_two_turns_at_most() {
    let event_loop = EventLoop::new().unwrap();
    let posted = Arc::new(AtomicBool::new(false));
    let served = Arc::new(AtomicBool::new(false));
    let (handle, before, flag) = (event_loop.handle(), Arc::clone(&posted), Arc::clone(&served));
    let poster = thread::spawn(move || {
        handle.call_soon_threadsafe(move || flag.store(true, Ordering::SeqCst)).unwrap();
        before.store(true, Ordering::SeqCst);
    });
    let steps = event_loop
        .run_until_complete(async move {
            let mut steps = 0;
            while !served.load(Ordering::SeqCst) {
                if posted.load(Ordering::SeqCst) {
                    steps += 1;
                }
                yield_now().await;
            }
            steps
        })
        .unwrap();
    poster.join().unwrap();
    assert!(steps <= 2, "{steps}");
}

/// A pair that wakes each other for ever, and a task that wakes itself: a timer that was due, a call
/// and another task are each served within two turns.
#[test]
fn busy_tasks_starve_neither_timer_nor_call_nor_task() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    event_loop
        .create_task(async {
            loop {
                yield_now().await;
            }
        })
        .detach();
    let ball: Rc<RefCell<Vec<Waker>>> = Rc::default();
    for _ in 0..2 {
        let ball = Rc::clone(&ball);
        event_loop
            .create_task(poll_fn(move |cx| {
                for waker in ball.take() {
                    waker.wake();
                }
                ball.borrow_mut().push(cx.waker().clone());
                Poll::<()>::Pending
            }))
            .detach();
    }
    for _ in 0..10 {
        turn(&event_loop);
    }
    event_loop.call_later(Duration::ZERO, trace.noting("timer"));
    let log = trace.clone();
    event_loop.handle().call_soon_threadsafe(move || log.note("remote")).unwrap();
    let mark = trace.noting("task");
    event_loop.create_task(async move { mark() }).detach();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["remote", "task", "timer"]);
    event_loop.close().unwrap();
}

/// Shuffling: the same seed gives the same order, seeds differ, and an order is always one of what
/// was ready together: batches stay batches.
#[test]
fn a_seed_is_an_order_and_batches_stay_batches() {
    let run = |seed: Option<u64>| {
        let mut builder = EventLoop::builder();
        if let Some(seed) = seed {
            builder = builder.shuffle(seed);
        }
        let (event_loop, order) = (builder.build().unwrap(), Rc::new(RefCell::new(Vec::new())));
        for i in 0..20_u32 {
            let (same, order) = (event_loop.clone(), Rc::clone(&order));
            event_loop.call_soon(move || {
                order.borrow_mut().push(i);
                let later = Rc::clone(&order);
                same.call_soon(move || later.borrow_mut().push(100 + i));
            });
        }
        turn(&event_loop);
        turn(&event_loop);
        let order = order.take();
        let (mut first, mut second) = (order[..20].to_vec(), order[20..].to_vec());
        first.sort_unstable();
        second.sort_unstable();
        assert_eq!(first, (0..20).collect::<Vec<_>>());
        assert_eq!(second, (100..120).collect::<Vec<_>>());
        order
    };
    let straight: Vec<u32> = (0..20).chain(100..120).collect();
    assert_eq!(run(None), straight);
    let orders: Vec<_> = (0..8).map(|seed| run(Some(seed))).collect();
    for (seed, order) in (0..).zip(&orders) {
        assert_eq!(&run(Some(seed)), order, "seed {seed}");
        assert_ne!(order, &straight, "seed {seed} shuffles");
    }
    assert!(orders.windows(2).any(|pair| pair[0] != pair[1]));
}

/// How many turns after `open` the task is done.
fn latency<T: 'static>(make: impl FnOnce(oneshot::Receiver<()>) -> Task<T> + 'static) -> usize {
    let event_loop = virtual_loop();
    let (sender, receiver) = oneshot::channel();
    let made: Rc<RefCell<Option<Task<T>>>> = Rc::default();
    let slot = Rc::clone(&made);
    event_loop.call_soon(move || *slot.borrow_mut() = Some(make(receiver)));
    for _ in 0..10 {
        turn(&event_loop); // until everybody waits
    }
    let task = made.borrow_mut().take().unwrap();
    sender.send(()).unwrap();
    let mut turns = 0;
    while !task.is_finished() {
        turn(&event_loop);
        turns += 1;
        assert!(turns < 10);
    }
    turns
}

/// CB-26: how many iterations after its future a waiter goes on. What `join_all` polls in place is
/// one iteration quicker than `asyncio.gather`, which makes a task of each: the table says so.
#[test]
fn wake_up_latencies_in_iterations() {
    let table = [
        ("await future", latency(|future| spawn(async { future.await.unwrap() }))),
        (
            "await task(await future)",
            latency(|future| {
                let inner = spawn(async { future.await.unwrap() });
                spawn(async { inner.await.unwrap() })
            }),
        ),
        ("join_all([future])", latency(|future| spawn(async { join_all([future]).await }))),
        (
            "join_all([task(await future)])",
            latency(|future| {
                let inner = spawn(async { future.await.unwrap() });
                spawn(async { join_all([inner]).await })
            }),
        ),
        (
            "shield(task(await future))",
            latency(|future| {
                let inner = spawn(async { future.await.unwrap() });
                spawn(async { task::shield(inner).await.unwrap() })
            }),
        ),
        (
            "timeout(future)",
            latency(|future| spawn(async { timeout(Duration::from_secs(9), future).await })),
        ),
        (
            "join(task(await future))",
            latency(|future| {
                let mut inner = spawn(async { future.await.unwrap() });
                spawn(async move { inner.join().await.unwrap() })
            }),
        ),
    ];
    assert_eq!(
        table,
        [
            ("await future", 1),
            ("await task(await future)", 2),
            ("join_all([future])", 1),
            ("join_all([task(await future)])", 2),
            ("shield(task(await future))", 2),
            ("timeout(future)", 1),
            ("join(task(await future))", 2),
        ]
    );
}

/// A host's turn says how much ran and whether more is ready.
#[test]
fn a_turn_says_how_much_ran_and_whether_more_is_ready() {
    let event_loop = EventLoop::new().unwrap();
    let idle = event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!((idle.polled, idle.more), (0, false));
    let same = event_loop.clone();
    event_loop.call_soon(move || {
        same.call_soon(|| {});
    });
    let busy = event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!((busy.polled, busy.more), (1, true));
    let last = event_loop.turn(None).unwrap();
    assert_eq!((last.polled, last.more), (1, false));
}

/// Mail that came counts as more to do, though it was not taken in yet.
#[test]
fn mail_counts_as_more_to_do() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    event_loop.call_soon(move || {
        thread::spawn(move || handle.call_soon_threadsafe(|| {}).unwrap()).join().unwrap();
    });
    assert!(event_loop.turn(Some(Duration::ZERO)).unwrap().more);
    assert!(event_loop.next_deadline().is_some());
    assert_eq!(turn(&event_loop), 1);
}

/// A loop with nothing to do sleeps: it takes no turns while it waits for its timer.
#[test]
fn an_idle_loop_takes_no_turns_while_it_waits() {
    let event_loop = EventLoop::new().unwrap();
    event_loop.create_task(pending::<()>()).detach();
    event_loop.run_until_complete(sleep(Duration::from_millis(20))).unwrap();
    let turns = event_loop.metrics().turns;
    assert!(turns <= 6, "{turns} turns for one sleep");
    event_loop.close().unwrap();
}

/// The same program gives the same trace, run after run: nothing hidden orders anything.
#[test]
fn the_same_program_runs_in_the_same_order_each_time() {
    let once = || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let log = trace.clone();
        event_loop
            .run_until_complete(async move {
                let tasks: Vec<_> = (0..10)
                    .map(|i| {
                        let log = log.clone();
                        spawn(async move {
                            for step in 0..=i {
                                log.note(format!("{i}.{step}"));
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                join_all(tasks).await;
            })
            .unwrap();
        trace.take()
    };
    assert_eq!(once(), once());
}
