//! Attacks on a loop that is a guest at tokio: what tokio's side does to it, and what its users do to either side
//! that they should not.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, select_biased};
use loopbind::net::UnixStream;
use loopbind::tokio::Host;
use loopbind::{
    EventLoop, LoopError, Runner, UnhandledPanic, get_event_loop, get_running_loop, spawn,
    yield_now,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{self, Handle, LocalRuntime};
use tokio::task::spawn_local;

mod support;
use support::{Trace, note_reports, on_drop, panic_of};

const SHORT: Duration = Duration::from_millis(2);
/// Nobody waits for it, unless something is broken.
const TOO_LONG: Duration = Duration::from_secs(20);

fn guest() -> Runner {
    Runner::with(EventLoop::builder().tokio()).unwrap()
}

/// tokio's, for a loop that is driven there.
fn host() -> LocalRuntime {
    runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap()
}

/// Ends the run in a while, where nothing else does.
async fn end_it(event_loop: EventLoop, trace: Trace) {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    trace.note("nothing had ended it");
    event_loop.handle().stop();
}

/// RUN-20: with nobody of ours awake.
#[test]
fn stopped_by_a_task_of_tokios_while_the_guest_sleeps() {
    let trace = Trace::new();
    let event_loop = EventLoop::builder().tokio().build().unwrap();
    let (ours, note) = (event_loop.clone(), trace.clone());
    let stopped = event_loop.run_until_complete(async {
        spawn_local(async move {
            tokio::time::sleep(SHORT).await;
            ours.stop();
            end_it(ours, note).await;
        });
        pending::<()>().await;
    });
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    trace.assert(&[]);
}

/// Policy `Resume`: the panic of a task of ours whose last handle is with a task of tokio's, and dropped while the
/// loop sleeps, does not wait for somebody else to wake it.
#[test]
fn a_panic_that_a_task_of_tokios_leaves_unread_leaves_the_run_at_once() {
    let trace = Trace::new();
    let builder = EventLoop::builder().tokio().on_unhandled_panic(UnhandledPanic::Resume);
    let runner = Runner::with(builder).unwrap();
    let (ours, note) = (runner.event_loop().clone(), trace.clone());
    let text = panic_of(|| {
        runner.run(async {
            let task = spawn(async { panic!("unread") });
            spawn_local(async move {
                tokio::time::sleep(SHORT).await;
                assert!(task.is_finished());
                drop(task);
                end_it(ours, note).await;
            });
            pending::<()>().await;
        })
    });
    assert_eq!(text, "unread");
    trace.assert(&[]);
    assert_eq!(runner.run(async { 1 }).unwrap(), 1);
    runner.close().unwrap();
}

/// The same for a loop that is driven: its host is called.
#[test]
fn a_panic_that_its_host_leaves_unread_leaves_the_drive_at_once() {
    let trace = Trace::new();
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    let task = event_loop.create_task(async { panic!("unread") });
    let (ours, note, host) = (event_loop.clone(), trace.clone(), host());
    let text = panic_of(|| {
        host.block_on(async {
            spawn_local(async move {
                tokio::time::sleep(SHORT).await;
                assert!(task.is_finished());
                drop(task);
                end_it(ours, note).await;
            });
            event_loop.drive_with(Host::new()).await
        })
    });
    assert_eq!(text, "unread");
    trace.assert(&[]);
}

/// CAN-04: a task of tokio's that awaits one of ours, and is aborted while the loop sleeps, takes it along.
#[test]
fn a_cancelled_wait_of_tokios_cancels_the_task_of_ours_that_it_was_for() {
    let trace = Trace::new();
    let note = trace.clone();
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    guest()
        .run(async move {
            let theirs = spawn_local(async move {
                let ours = spawn(async move {
                    let _gone = on_drop(move || {
                        note.note("ours dropped");
                        gone.send(()).unwrap();
                    });
                    pending::<()>().await;
                });
                ours.await.unwrap();
            });
            tokio::time::sleep(SHORT).await;
            theirs.abort();
            assert!(theirs.await.unwrap_err().is_cancelled());
            tokio::time::timeout(TOO_LONG, is_gone).await.unwrap().unwrap();
        })
        .unwrap();
    trace.assert(&["ours dropped"]);
}

/// A handle of the guest's runtime blocks in its tasks, which are the ones to be waited for: a panic, and theirs.
#[test]
fn who_blocks_the_thread_panics_in_his_task_and_nowhere_else() {
    let trace = Trace::new();
    let runner = guest();
    note_reports(runner.event_loop(), &trace);
    let note = trace.clone();
    runner
        .run(async move {
            let ours = spawn(async { Handle::current().block_on(async {}) }).await.unwrap_err();
            note.note(format!("ours: {}", ours.to_string().contains("from within a runtime")));
            let theirs = spawn_local(async { Handle::current().block_on(async {}) }).await;
            note.note(format!("tokio's: {}", theirs.unwrap_err().is_panic()));
            tokio::time::sleep(SHORT).await;
        })
        .unwrap();
    runner.close().unwrap();
    trace.assert(&["ours: true", "tokio's: true"]);
}

/// RUN-03: a run inside of its own runtime, by a handle that was kept, is refused as in any, and the loop is as it was.
#[test]
fn run_or_closed_inside_of_its_own_runtime_it_is_refused_then_runs_outside() {
    let trace = Trace::new();
    let runner = guest();
    let handle = runner.run(async { Handle::current() }).unwrap();
    let probe = trace.probe("the future");
    let refused = handle.block_on(async { runner.run(async move { drop(probe) }) });
    assert!(matches!(refused, Err(LoopError::InsideTokio)));
    trace.assert(&["the future dropped"]);
    // tokio does not tell of this one, and panics.
    let refused = async { runner.run(async {}) };
    let text = panic_of(|| handle.block_on(tokio::task::unconstrained(refused)));
    assert!(text.contains("Cannot start a runtime from within a runtime"), "{text}");
    assert!(get_running_loop().is_err() && Handle::try_current().is_err());
    let entered = handle.enter();
    assert_eq!(runner.run(async { 2 }).unwrap(), 2, "only its context is entered");
    drop(entered);
    handle.block_on(async { runner.close() }).unwrap();
}

/// A refusal takes nothing of the budget of whoever asked.
#[test]
fn refused_a_thousand_times_a_task_of_tokios_goes_on() {
    let (runner, host) = (guest(), host());
    let (mut refusals, mut polls) = (0, 0);
    host.block_on(async {
        let mut asks = pin!(async {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..100).for_each(|number| sender.send(number).unwrap());
            for _ in 0..100 {
                let refused = (0..10)
                    .all(|_| matches!(runner.event_loop().turn(None), Err(LoopError::InsideTokio)));
                refusals += usize::from(refused);
                receiver.recv().await.unwrap();
            }
        });
        poll_fn(|cx| {
            polls += 1;
            asks.as_mut().poll(cx)
        })
        .await;
    });
    assert_eq!((refusals, polls), (100, 1));
}

/// Where tokio lets a thread block, a guest runs: on its pool's, also on a guest's own; and blocking work of the guest's
/// is waited for there.
#[test]
fn on_a_thread_of_tokios_pool_another_guest_runs() {
    let trace = Trace::new();
    let note = trace.clone();
    let inner = move || {
        let (began, begins) = tokio::sync::oneshot::channel();
        let log = note.clone();
        loopbind::tokio::run(async {
            drop(tokio::task::spawn_blocking(move || {
                began.send(()).unwrap();
                thread::sleep(SHORT);
                log.note("blocking work is over");
            }));
            begins.await.unwrap();
        })
        .unwrap();
        note.note("the end");
    };
    let again = inner.clone();
    guest().run(async { tokio::task::spawn_blocking(inner).await.unwrap() }).unwrap();
    trace.assert(&["blocking work is over", "the end"]);
    host().block_on(async { tokio::task::spawn_blocking(again).await.unwrap() });
    trace.assert(&["blocking work is over", "the end"]);
}

#[test]
fn another_thread_starts_a_task_of_tokios_while_both_sleep_then_waits_for_it() {
    let value = guest().run(async {
        let handle = Handle::current();
        let (tell, told) = tokio::sync::oneshot::channel();
        let other = thread::spawn(move || {
            let task = handle.spawn(async {
                tokio::time::sleep(SHORT).await;
                thread::current().id()
            });
            tell.send(handle.block_on(task).unwrap()).unwrap();
        });
        let ran_on = told.await.unwrap();
        other.join().unwrap();
        ran_on
    });
    assert_eq!(value.unwrap(), thread::current().id());
}

/// GEL-01, GEL-05: tokio's tasks are on the loop's thread, and find it; its pool's threads have none.
#[test]
fn the_loop_is_found_in_tokios_tasks_and_not_on_its_pool() {
    let trace = Trace::new();
    let note = trace.clone();
    guest()
        .run(async move {
            let ours = get_running_loop().unwrap();
            let find =
                || get_event_loop().map(|found| found.id()).map_err(|error| error.to_string());
            assert_eq!(tokio::spawn(async move { find() }).await.unwrap(), Ok(ours.id()));
            assert_eq!(spawn_local(async move { find() }).await.unwrap(), Ok(ours.id()));
            let set = tokio::task::LocalSet::new();
            let in_a_set = set.run_until(async move {
                let theirs = spawn_local(async move { spawn(async move { find() }).await });
                theirs.await.unwrap().unwrap()
            });
            assert_eq!(in_a_set.await, Ok(ours.id()));
            let named = tokio::task::spawn_blocking(find).await.unwrap();
            note.note(named.unwrap_err());
        })
        .unwrap();
    trace.assert(&["There is no current event loop in thread 'tokio-rt-worker'."]);
}

/// `tokio::task::yield_now` has its waker kept by tokio until the end of a round, and forgotten where there is none:
/// the run ends in the poll that it was called in, and the next one goes on with it. The same with turns by hand.
#[test]
fn who_yields_to_tokio_as_the_run_ends_goes_on_in_the_next() {
    let trace = Trace::new();
    let runner = guest();
    for by_hand in [false, true] {
        let note = trace.clone();
        let task = runner.event_loop().create_task(async move {
            note.note("before");
            tokio::task::yield_now().await;
            note.note("after");
        });
        match by_hand {
            false => {
                runner.run(async {}).unwrap();
                trace.assert(&["before"]);
                runner.run(async { tokio::time::sleep(SHORT).await }).unwrap();
            }
            true => (0..5).for_each(|_| _ = support::turn(runner.event_loop())),
        }
        assert!(task.is_finished(), "by hand: {by_hand}");
        trace.take();
    }
}

/// The same for a drive that ends.
#[test]
fn who_yields_to_tokio_as_the_drive_ends_goes_on_in_the_next() {
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(tokio::task::yield_now());
    event_loop.stop();
    let host = host();
    host.block_on(event_loop.drive_with(Host::new())).unwrap();
    assert!(!task.is_finished());
    event_loop.call_soon(|| {});
    let ours = event_loop.clone();
    event_loop.call_later(SHORT, move || ours.stop());
    host.block_on(event_loop.drive_with(Host::new())).unwrap();
    assert!(task.is_finished());
}

/// Each step of a task of ours has a budget of tokio's, as tokio's own tasks have: one that awaits what is always there
/// leaves the others their turns, and takes nothing of what they have.
#[test]
fn a_task_that_takes_what_is_always_there_gives_way_now_and_then() {
    let trace = Trace::new();
    let note = trace.clone();
    let polls = guest().run(async move {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        (0..1000).for_each(|number| sender.send(number).unwrap());
        let greedy = spawn(async move {
            for _ in 0..1000 {
                receiver.recv().await.unwrap();
            }
            loopbind::task::current().unwrap().polls
        });
        let modest = (0..200).map(|_| {
            let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
            (0..100).for_each(|number| sender.send(number).unwrap());
            spawn(async move {
                for _ in 0..100 {
                    receiver.recv().await.unwrap();
                }
                loopbind::task::current().unwrap().polls
            })
        });
        for task in modest.collect::<Vec<_>>() {
            assert_eq!(task.await.unwrap(), 1, "nobody takes from its budget");
        }
        note.note(format!("greedy is done: {}", greedy.is_finished()));
        greedy.await.unwrap()
    });
    trace.assert(&["greedy is done: false"]);
    // 128 at a time.
    assert_eq!(polls.unwrap(), 8);
}

/// Invariant 4, across the border: a thousand tasks of ours that never rest run `event_interval` steps and one batch
/// at most between two rounds of tokio's.
#[test]
fn a_crowd_of_ours_that_never_rests_leaves_tokio_its_rounds() {
    for (crowd, most) in [(1000, 64 + 1000 + 2), (1, 64 + 1 + 2)] {
        let worst = guest().run(async move {
            let steps = Rc::new(Cell::new(0_u32));
            for _ in 0..crowd {
                let steps = Rc::clone(&steps);
                let busy = async move {
                    loop {
                        steps.set(steps.get() + 1);
                        yield_now().await;
                    }
                };
                spawn(busy);
            }
            yield_now().await;
            let rounds = async move {
                let (mut worst, mut before) = (0, None);
                for _ in 0..20 {
                    tokio::task::yield_now().await;
                    let now = steps.get();
                    worst = worst.max(now - before.replace(now).unwrap_or(now));
                }
                worst
            };
            spawn_local(rounds).await.unwrap()
        });
        let worst = worst.unwrap();
        assert!((1..=most).contains(&worst), "{worst} steps between two rounds of tokio's");
    }
}

/// The same for a loop that is driven.
#[test]
fn a_crowd_on_a_driven_loop_leaves_its_host_its_rounds() {
    let event_loop = EventLoop::new().unwrap();
    let steps = Rc::new(Cell::new(0_u32));
    for _ in 0..1000 {
        let steps = Rc::clone(&steps);
        let busy = async move {
            loop {
                steps.set(steps.get() + 1);
                yield_now().await;
            }
        };
        event_loop.create_task(busy).detach();
    }
    let worst = host().block_on(async {
        let rounds = spawn_local(async move {
            let (mut worst, mut before) = (0, steps.get());
            for _ in 0..20 {
                tokio::task::yield_now().await;
                let now = steps.get();
                worst = worst.max(now - before);
                before = now;
            }
            worst
        });
        select_biased! {
            ended = event_loop.drive_with(Host::new()).fuse() => panic!("{ended:?}"),
            worst = rounds.fuse() => worst.unwrap(),
        }
    });
    assert!((1..=64 + 1000).contains(&worst), "{worst} steps between two rounds of the host's");
}

/// The same the other way round: tokio runs 61 of its tasks, and then polls us.
#[test]
fn a_crowd_of_tokios_that_never_rests_leaves_us_our_turns() {
    let worst = guest().run(async {
        let steps = Rc::new(Cell::new(0_u32));
        for _ in 0..1000 {
            let steps = Rc::clone(&steps);
            spawn_local(async move {
                loop {
                    steps.set(steps.get() + 1);
                    tokio::task::yield_now().await;
                }
            });
        }
        let mut worst = 0;
        for _ in 0..1000 {
            let before = steps.get();
            yield_now().await;
            worst = worst.max(steps.get() - before);
        }
        (worst, steps.get() > 0)
    });
    let (worst, ran) = worst.unwrap();
    assert!(ran && worst <= 200, "{worst} steps of tokio's between two turns of ours");
}

/// Our sockets ask whoever never waits to give way. In a task of tokio's there are no steps of ours that would be
/// counted: it gives way once for each portion.
#[test]
fn a_task_of_tokios_that_reads_our_socket_gives_way_now_and_then() {
    let (polls, bytes) = guest()
        .run(async {
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            ours.write_all(&[7; 5000]).await.unwrap();
            let reading = async move {
                let (mut polls, mut bytes) = (0, 0);
                let mut reading = pin!(async {
                    while bytes < 5000 {
                        bytes += theirs.read(&mut [0]).await.unwrap();
                    }
                });
                poll_fn(|cx| {
                    polls += 1;
                    reading.as_mut().poll(cx)
                })
                .await;
                (polls, bytes)
            };
            spawn_local(reading).await.unwrap()
        })
        .unwrap();
    assert_eq!(bytes, 5000);
    assert!((30..=100).contains(&polls), "{polls} polls for {bytes} bytes");
}

/// Thousands of timers, one of them far away: fired in order, in a turn or two for each millisecond.
#[test]
fn thousands_of_timers_fire_in_order_and_turns_are_few() {
    let runner = guest();
    let order = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&order);
    runner.event_loop().call_later(Duration::from_secs(3600), || unreachable!("far away"));
    runner
        .run(async move {
            let at = Instant::now() + Duration::from_millis(60);
            let timer = |number: u32| {
                let (number, log) = (number * 7919 % 5000, Rc::clone(&log));
                spawn(async move {
                    loopbind::sleep_until(at + 8 * Duration::from_micros(number.into())).await;
                    log.borrow_mut().push(number);
                })
            };
            let tasks: Vec<_> = (0..5000).map(timer).collect();
            for task in tasks {
                task.await.unwrap();
            }
        })
        .unwrap();
    let (order, metrics) = (order.borrow(), runner.event_loop().metrics());
    assert!(order.len() == 5000 && order.is_sorted());
    assert!(metrics.turns < 500, "{metrics:?}");
}

/// A sleep of the loop's is one, wherever it sleeps.
#[test]
fn asleep_at_its_host_it_counts_as_parked() {
    let runner = guest();
    runner.run(loopbind::sleep(Duration::from_millis(20))).unwrap();
    let metrics = runner.event_loop().metrics();
    assert!(metrics.parked >= Duration::from_millis(15), "{metrics:?}");
    runner.run(yield_now()).unwrap();
    assert_eq!(runner.event_loop().metrics().parked, metrics.parked, "there was no sleep");
}

/// A runtime without its drivers cannot be slept at. tokio says which, and the loop can be closed.
#[test]
fn a_runtime_without_a_timer_or_without_io_panics_at_the_first_sleep() {
    let trace = Trace::new();
    for has_timer in [false, true] {
        let builder = EventLoop::builder().tokio_with(move || {
            let mut runtime = runtime::Builder::new_current_thread();
            _ = if has_timer { runtime.enable_time() } else { runtime.enable_io() };
            runtime.build_local(Default::default())
        });
        let runner = Runner::with(builder).unwrap();
        let probe = trace.probe("main's");
        let text = panic_of(|| {
            runner.run(async {
                let _probe = probe;
                let (_ours, mut theirs) = UnixStream::pair().unwrap();
                _ = loopbind::timeout(SHORT, theirs.read_u8()).await;
            })
        });
        let needed = if has_timer { "enable_io" } else { "enable_time" };
        assert!(text.contains(needed), "{text}");
        assert!(get_running_loop().is_err() && Handle::try_current().is_err());
        runner.close().unwrap();
    }
    trace.assert(&["main's dropped", "main's dropped"]);
    let refused = EventLoop::builder().tokio_with(|| Err(std::io::Error::other("no"))).build();
    assert_eq!(refused.unwrap_err().to_string(), "no");
}

/// Driven as futures, two loops share a runtime and its thread: each is found in its own tasks, and none in between.
#[test]
fn two_loops_are_driven_on_one_runtime() {
    let trace = Trace::new();
    let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    for (name, event_loop, step) in [("one", &one, SHORT), ("two", &two, SHORT / 2)] {
        let (me, note) = (event_loop.clone(), trace.clone());
        let body = async move {
            for _ in 0..10 {
                tokio::time::sleep(step).await;
                loopbind::sleep(step).await;
                assert_eq!(get_event_loop().unwrap(), me);
            }
            note.note(format!("{name} is done"));
            me.stop();
        };
        event_loop.create_task(body).detach();
    }
    let in_between = spawn_between();
    host().block_on(async {
        let in_between = spawn_local(in_between);
        let (first, second) =
            futures::join!(one.drive_with(Host::new()), two.drive_with(Host::new()));
        first.and(second).unwrap();
        in_between.abort();
    });
    let mut said = trace.take();
    said.sort();
    assert_eq!(said, ["one is done", "two is done"]);
}

async fn spawn_between() {
    loop {
        assert!(matches!(get_running_loop(), Err(LoopError::NoRunningLoop)));
        tokio::task::yield_now().await;
    }
}

/// Many tasks of a loop that is driven as a future share one budget of tokio's, which ends in the middle of a poll:
/// who gets nothing more is woken in the next round, and all come to their end. `unconstrained` spares them that.
#[test]
fn a_budget_that_ends_among_many_tasks_loses_no_wake() {
    for is_lifted in [false, true] {
        let event_loop = EventLoop::new().unwrap();
        let me = event_loop.clone();
        let body = event_loop.create_task(async move {
            let task = |_| {
                let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
                (0..10).for_each(|number| sender.send(number).unwrap());
                spawn(async move {
                    for number in 0..10 {
                        assert_eq!(receiver.recv().await, Some(number));
                    }
                })
            };
            let tasks: Vec<_> = (0..300).map(task).collect();
            for task in tasks {
                task.await.unwrap();
            }
            me.stop();
        });
        let driven = event_loop.drive_with(Host::new());
        host()
            .block_on(async {
                match is_lifted {
                    false => tokio::time::timeout(TOO_LONG, driven).await,
                    true => {
                        let driven = tokio::task::unconstrained(driven);
                        tokio::time::timeout(TOO_LONG, driven).await
                    }
                }
            })
            .expect("it went on")
            .unwrap();
        assert!(body.is_finished());
        let polls = event_loop.metrics().polls;
        assert_eq!(polls < 1000, is_lifted, "{polls} polls");
    }
}

/// The host ends first, with the guest in one of its tasks: the loop is whole, and runs by itself.
#[test]
fn the_runtime_goes_then_the_loop_runs_without() {
    let event_loop = EventLoop::new().unwrap();
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let reader = event_loop.create_task(async move { theirs.read_u8().await.unwrap() });
    let host = host();
    let driven = event_loop.drive_with(Host::new());
    let entered = host.handle().enter();
    let sleeper = event_loop.create_task(tokio::time::sleep(TOO_LONG));
    drop(entered);
    host.block_on(async {
        spawn_local(driven);
        tokio::time::sleep(SHORT).await;
    });
    assert!(event_loop.metrics().polls >= 2, "both wait by now");
    drop(host);
    let read = event_loop.run_until_complete(async move {
        ours.write_all(b"x").await.unwrap();
        reader.await.unwrap()
    });
    assert_eq!(read.unwrap(), b'x');
    // What needs the runtime that is gone says so, to who awaits it.
    let lost = event_loop.run_until_complete(sleeper).unwrap().unwrap_err();
    assert!(lost.to_string().contains("is being shutdown"), "{lost}");
}

/// Dropped half-way, or forgotten: the loop goes on elsewhere, by itself or driven anew.
#[test]
fn a_drive_is_given_up_half_way_then_the_loop_goes_on() {
    let trace = Trace::new();
    for is_forgotten in [false, true] {
        let event_loop = EventLoop::new().unwrap();
        let note = trace.clone();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let task = event_loop.create_task(async move {
            note.note("begun");
            theirs.read_u8().await.unwrap();
            loopbind::sleep(SHORT).await;
            note.note("done");
        });
        let mut driven = Box::pin(event_loop.drive_with(Host::new()));
        host().block_on(async {
            let mut cx = Context::from_waker(Waker::noop());
            assert_eq!(driven.as_mut().poll(&mut cx).map(drop), Poll::Pending);
        });
        match is_forgotten {
            true => std::mem::forget(driven),
            false => drop(driven),
        }
        ours.write_all(b"x").now_or_never().unwrap().unwrap();
        match is_forgotten {
            true => event_loop.run_until_complete(task).unwrap().unwrap(),
            false => host().block_on(async {
                let me = event_loop.clone();
                event_loop.create_task(async move { task.await.map(|()| me.stop()) }).detach();
                event_loop.drive_with(Host::new()).await.unwrap();
            }),
        }
        trace.assert(&["begun", "done"]);
    }
}
