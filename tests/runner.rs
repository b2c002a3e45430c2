//! `run` and `Runner`: a loop from its making to its closing, and the exact order of its end.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use loopbind::{
    EventLoop, LoopError, Runner, Task, TaskError, UnhandledPanic, get_bound_loop, get_event_loop,
    get_running_loop, run, sleep, spawn, spawn_blocking, task, yield_now,
};
use support::{Bomb, Trace, note_reports, on_drop, panic_of};

/// RNR-01: a new loop, bound while it runs, closed afterwards; the value comes back as it is, and
/// needs no trait.
#[test]
fn run_makes_a_loop_binds_it_runs_closes_and_gives_the_value() {
    struct Plain(u32); // not Debug, not Clone: RNR-28
    let event_loop = Rc::new(RefCell::new(None));
    let inside = Rc::clone(&event_loop);
    let value = run(async move {
        let running = get_running_loop().unwrap();
        assert!(get_bound_loop().unwrap() == running && get_event_loop().unwrap() == running);
        *inside.borrow_mut() = Some(running);
        Plain(7)
    });
    assert_eq!(value.unwrap().0, 7);
    assert!(event_loop.borrow().as_ref().unwrap().is_closed());
    assert!(get_bound_loop().is_none() && get_running_loop().is_err());
    let error: Result<(), &str> = run(async { Err("mine") }).unwrap();
    assert_eq!(error, Err("mine"));
}

/// GEL-27 and RNR-32: the former binding is back afterwards, whatever ended the run.
#[test]
fn the_former_binding_is_restored_whatever_ends_the_run() {
    let before = EventLoop::new().unwrap();
    let bound = before.bind();
    run(async {}).unwrap();
    assert!(get_bound_loop().unwrap() == before);
    assert_eq!(panic_of(|| run(async { panic!("main") })), "main");
    assert!(get_bound_loop().unwrap() == before);
    let stopped = run(async {
        get_running_loop().unwrap().stop();
        pending::<()>().await;
    });
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    assert!(get_bound_loop().unwrap() == before);
    drop(bound);
    assert!(get_bound_loop().is_none());
}

/// RNR-31: two runs are two loops.
#[test]
fn two_runs_are_two_loops() {
    let id = || run(async { get_running_loop().unwrap().id() }).unwrap();
    assert_ne!(id(), id());
}

/// RNR-03: inside a run it is refused before any loop is made; the future is dropped unpolled, and
/// the outer loop is whole.
#[test]
fn run_inside_a_run_is_refused_before_anything_is_made() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let outer = get_running_loop().unwrap();
        let probe = log.probe("future");
        let refused = run(async move {
            let _probe = probe;
            log.note("polled");
        });
        let Err(LoopError::AnotherLoopRunning { running }) = refused else { panic!() };
        assert_eq!(running, outer.id());
        assert_eq!(
            refused.unwrap_err().to_string(),
            "Cannot run the event loop while another loop is running"
        );
        let other = Runner::new().unwrap();
        assert!(matches!(other.run(async {}), Err(LoopError::AnotherLoopRunning { .. })));
        assert!(get_running_loop().unwrap() == outer && get_bound_loop().unwrap() == outer);
        assert_eq!(spawn(ready(7)).await.unwrap(), 7);
    })
    .unwrap();
    trace.assert(&["future dropped"]);
}

/// RNR-06: the end of a loop, whole, as one order of events: main ends, what was ready runs, what is
/// left is cancelled together, in order of creation, and drops; who listens cleans up; what the
/// cleanup starts is cancelled in its turn; blocking work ends; timers and callbacks that are left are
/// dropped with the loop; and the binding is restored.
#[test]
fn the_end_of_a_loop_in_the_order_in_which_it_happens() {
    let trace = Trace::new();
    let log = trace.clone();
    let (release, gate) = mpsc::channel::<()>();
    run(async move {
        let event_loop = get_running_loop().unwrap();
        let timer = log.probe("timer");
        event_loop.call_later(Duration::from_secs(3600), move || drop(timer));
        for name in ["first", "second"] {
            let probe = log.probe(name);
            spawn(async move {
                let _probe = probe;
                pending::<()>().await;
            })
            .detach();
        }
        let (cleanup, after) = (log.clone(), log.clone());
        spawn(async move {
            task::cancelled().await;
            cleanup.note("listener told");
            let probe = cleanup.probe("late task");
            spawn(async move {
                let _probe = probe;
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
            cleanup.note("listener cleaned up");
            release.send(()).unwrap();
        })
        .detach();
        let work = log.clone();
        drop(spawn_blocking(move || {
            gate.recv().unwrap();
            std::thread::sleep(Duration::from_millis(2));
            work.note("blocking work ended");
        }));
        yield_now().await;
        let probe = after.probe("third");
        let mark = after.noting("third took its first step");
        spawn(async move {
            let _probe = probe;
            mark();
            pending::<()>().await;
        })
        .detach();
        event_loop.call_soon(after.noting("callback behind main"));
        let _main = after.probe("main");
        after.note("main ends");
    })
    .unwrap();
    trace.note("run returned");
    trace.assert(&[
        "main ends",
        "main dropped",
        "third took its first step",
        "callback behind main",
        "first dropped",
        "second dropped",
        "listener told",
        "third dropped",
        "late task dropped",
        "listener cleaned up",
        "blocking work ended",
        "timer dropped",
        "run returned",
    ]);
}

/// RNR-07: what main starts in its very last step still takes its first step, and is cut off only
/// after that.
#[test]
fn started_in_mains_last_step_takes_its_first_step() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        spawn(async move {
            let _probe = log.probe("child");
            log.note("first step");
            yield_now().await;
            log.note("second step");
        })
        .detach();
    })
    .unwrap();
    trace.assert(&["first step", "child dropped"]);
}

/// RNR-08: where main panicked, what is left is cancelled all the same, and main's panic is what the
/// caller sees.
#[test]
fn main_panics_then_what_is_left_is_cancelled_and_the_panic_goes_on() {
    let trace = Trace::new();
    let log = trace.clone();
    let text = panic_of(move || {
        run(async move {
            let cleanup = log.clone();
            spawn(async move {
                task::cancelled().await;
                cleanup.note("cleaned up");
            })
            .detach();
            yield_now().await;
            let _main = log.probe("main");
            panic!("main");
        })
    });
    assert_eq!(text, "main");
    trace.assert(&["main dropped", "cleaned up"]);
}

/// RNR-09: what is left and panics while it is cancelled is reported as the shutdown's, and main's
/// value is unaffected; the others are cancelled all the same.
#[test]
fn left_over_and_panicking_is_reported_and_the_value_stands() {
    let trace = Trace::new();
    let log = trace.clone();
    let value = run(async move {
        note_reports(&get_running_loop().unwrap(), &log);
        let destructor = Bomb("destructor");
        spawn(async move {
            let _bomb = destructor;
            pending::<()>().await;
        })
        .detach();
        spawn(async {
            task::cancelled().await;
            panic!("cleanup");
        })
        .detach();
        let probe = log.probe("other");
        spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
        7
    });
    assert_eq!(value.unwrap(), 7);
    trace.assert(&[
        "unhandled exception during loopbind::run() shutdown: destructor",
        "unhandled exception during loopbind::run() shutdown: cleanup",
        "other dropped",
    ]);
}

/// RNR-12: what is started during the cancellation is cancelled too, round after round: nothing is
/// left, and nothing is lost.
#[test]
fn started_during_the_cancellation_is_cancelled_too() {
    fn again(trace: Trace, left: u32) {
        let guard = on_drop({
            let trace = trace.clone();
            move || {
                trace.note(format!("dropped {left}"));
                if left > 0 {
                    again(trace, left - 1);
                }
            }
        });
        spawn(async move {
            let _guard = guard;
            trace.note("started");
            pending::<()>().await;
        })
        .detach();
    }
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        again(log, 2);
        yield_now().await;
    })
    .unwrap();
    // The later ones are cancelled before their first step.
    trace.assert(&["started", "dropped 2", "dropped 1", "dropped 0"]);
}

/// A cleanup may sleep, wait for tasks and for other threads; a stray stop does not cut it short; a
/// second request does not come.
#[test]
fn a_cleanup_has_the_whole_loop_at_its_disposal() {
    let trace = Trace::new();
    let log = trace.clone();
    let runner = Runner::with(EventLoop::builder().virtual_time(true)).unwrap();
    runner
        .run(async move {
            spawn(async move {
                task::cancelled().await;
                get_running_loop().unwrap().stop();
                sleep(Duration::from_secs(60)).await;
                log.note("slept");
                spawn_blocking(|| ()).await.unwrap();
                log.note("worked");
                log.note(format!("asked again: {}", task::cancelled().now_or_never_is_ready()));
            })
            .detach();
            yield_now().await;
        })
        .unwrap();
    runner.close().unwrap();
    trace.assert(&["slept", "worked", "asked again: false"]);
}

trait NowOrNever {
    fn now_or_never_is_ready(self) -> bool;
}

impl<F: Future> NowOrNever for F {
    fn now_or_never_is_ready(self) -> bool {
        futures::FutureExt::now_or_never(self).is_some()
    }
}

/// RNR-11: a task that ignores its cancellation is given five minutes, on a virtual clock as on a real one,
/// and is then dropped with the loop.
#[test]
fn a_cleanup_without_end_is_cut_off_after_five_minutes() {
    let trace = Trace::new();
    let log = trace.clone();
    let runner = Runner::with(EventLoop::builder().virtual_time(true)).unwrap();
    let event_loop = runner.event_loop().clone();
    let began = event_loop.time();
    runner
        .run(async move {
            spawn(async move {
                let _probe = log.probe("stubborn");
                task::cancelled().await;
                log.note("told");
                loop {
                    sleep(Duration::from_secs(1)).await;
                }
            })
            .detach();
            yield_now().await;
        })
        .unwrap();
    runner.close().unwrap();
    trace.assert(&["told", "stubborn dropped"]);
    let took = event_loop.time() - began;
    assert!((300..=302).contains(&took.as_secs()), "{took:?}");
}

/// RNR-14: a panic that nobody observed is reported at the latest with the end of the loop.
#[test]
fn an_unobserved_panic_is_reported_with_the_end_at_the_latest() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        note_reports(&get_running_loop().unwrap(), &log);
        let unread: Task<()> = spawn(async { panic!("unread") });
        spawn(async move {
            let _keep = unread;
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
        log.note("main ends");
    })
    .unwrap();
    let events = trace.take();
    assert_eq!(events.len(), 2, "{events:?}");
    assert_eq!(events[0], "main ends");
    assert!(events[1].ends_with(": unread"), "{}", events[1]);
}

// ─── Runner ─────────────────────────────────────────────────────────────────────────────────────

/// RNR-15: one loop, many runs: what a run leaves behind is frozen until the next, and cancelled by
/// the close alone.
#[test]
fn many_runs_on_one_loop_and_what_is_left_is_frozen_in_between() {
    let trace = Trace::new();
    let runner = Runner::new().unwrap();
    let log = trace.clone();
    let first = runner.run(async move {
        spawn(async move {
            let _probe = log.probe("worker");
            for step in 0.. {
                log.note(format!("step {step}"));
                yield_now().await;
            }
        })
        .detach();
        get_running_loop().unwrap()
    });
    let first = first.unwrap();
    assert!(&first == runner.event_loop());
    trace.assert(&["step 0"]);
    let same = runner.run(async { get_running_loop().unwrap() }).unwrap();
    assert!(same == first && !first.is_closed());
    trace.assert(&["step 1", "step 2"]);
    runner.close().unwrap();
    trace.assert(&["worker dropped"]);
    assert!(first.is_closed());
}

/// RNR-17, RNR-18, RNR-19: the loop is there between runs, bound during each and not between.
#[test]
fn bound_during_each_run_and_not_between() {
    let runner = Runner::new().unwrap();
    assert!(get_bound_loop().is_none());
    for _ in 0..2 {
        let bound = runner.run(async { get_bound_loop().unwrap() }).unwrap();
        assert!(&bound == runner.event_loop());
        assert!(get_bound_loop().is_none());
    }
    assert_eq!(panic_of(|| runner.run(async { panic!("main") })), "main");
    assert!(get_bound_loop().is_none());
    runner.close().unwrap();
}

/// Dropping a runner does what closing does, also as the thread unwinds.
#[test]
fn a_runner_that_drops_cleans_up_also_during_unwinding() {
    for unwinding in [false, true] {
        let trace = Trace::new();
        let log = trace.clone();
        let body = move || {
            let runner = Runner::new().unwrap();
            runner
                .run(async move {
                    spawn(async move {
                        task::cancelled().await;
                        yield_now().await;
                        log.note("cleaned up");
                    })
                    .detach();
                    yield_now().await;
                })
                .unwrap();
            if unwinding {
                panic!("the thread's own");
            }
        };
        if unwinding {
            assert_eq!(panic_of(body), "the thread's own");
        } else {
            body();
        }
        trace.assert(&["cleaned up"]);
    }
}

/// A runner dropped inside another loop's run cannot run its own: what is left is dropped, without a
/// cleanup, and both loops are in order.
#[test]
fn a_runner_dropped_inside_a_run_drops_what_is_left() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let runner = Runner::new().unwrap();
        let (inner, probe) = (runner.event_loop().clone(), log.probe("task"));
        inner
            .create_task(async move {
                let _probe = probe;
                task::cancelled().await;
            })
            .detach();
        drop(runner);
        assert!(inner.is_closed());
        assert_eq!(spawn(ready(7)).await.unwrap(), 7);
    })
    .unwrap();
    trace.assert(&["task dropped"]);
}

/// Closing the loop under a runner is no harm: later runs say so.
#[test]
fn a_loop_closed_under_its_runner_refuses_later_runs() {
    let runner = Runner::new().unwrap();
    runner.event_loop().close().unwrap();
    assert!(matches!(runner.run(async {}), Err(LoopError::Closed)));
    runner.close().unwrap();
}

/// A runner's close from inside its own run is refused by nobody who could: the runner is borrowed.
/// The loop's own close is refused, and changes nothing.
#[test]
fn closing_the_loop_from_inside_its_run_is_refused() {
    let runner = Runner::new().unwrap();
    let refused = runner.run(async { get_running_loop().unwrap().close() }).unwrap();
    assert!(matches!(refused, Err(LoopError::CloseWhileRunning)));
    assert_eq!(runner.run(async { 7 }).unwrap(), 7);
}

/// RNR-04: debug mode by the builder.
#[test]
fn a_runners_loop_is_as_its_builder_says() {
    let builder = EventLoop::builder().debug(true).name("tool");
    let runner = Runner::with(builder).unwrap();
    runner.run(async { assert!(get_running_loop().unwrap().get_debug()) }).unwrap();
    assert_eq!(runner.event_loop().name(), Some("tool"));
    runner.event_loop().set_debug(false);
}

/// RNR-26: on any thread.
#[test]
fn runs_work_on_every_thread() {
    let threads: Vec<_> = (0..4)
        .map(|i| {
            std::thread::spawn(move || {
                let value = run(async move { spawn(ready(i)).await.unwrap() }).unwrap();
                assert!(get_bound_loop().is_none());
                value
            })
        })
        .collect();
    let values: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    assert_eq!(values, [0, 1, 2, 3]);
}

/// What is refused inside a run works on a thread of its own, also where the run waits for it.
#[test]
fn a_run_on_a_fresh_thread_inside_a_run_works() {
    let value = run(async {
        let outer = get_running_loop().unwrap();
        let inner = std::thread::spawn(|| run(async { get_running_loop().unwrap().id() }).unwrap());
        let inner = inner.join().unwrap();
        assert!(get_running_loop().unwrap() == outer);
        inner != outer.id()
    });
    assert!(value.unwrap());
}

/// Under `Resume`, a panic of the cleanup leaves `run` after all was cleaned up and closed.
#[test]
fn resume_in_the_cleanup_leaves_the_run_once_all_is_closed() {
    let trace = Trace::new();
    let log = trace.clone();
    let event_loop: Rc<RefCell<Option<EventLoop>>> = Rc::default();
    let text = panic_of(|| {
        let builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume);
        let runner = Runner::with(builder).unwrap();
        *event_loop.borrow_mut() = Some(runner.event_loop().clone());
        runner
            .run(async move {
                spawn(async {
                    task::cancelled().await;
                    panic!("cleanup");
                })
                .detach();
                let probe = log.probe("other");
                spawn(async move {
                    let _probe = probe;
                    pending::<()>().await;
                })
                .detach();
                yield_now().await;
            })
            .unwrap();
        runner.close().unwrap();
    });
    assert_eq!(text, "cleanup");
    trace.assert(&["other dropped"]);
    assert!(event_loop.borrow().as_ref().unwrap().is_closed());
    assert!(get_running_loop().is_err() && get_bound_loop().is_none());
}

/// Awaiting in the cleanup what was cancelled with it: everything ends, nothing waits for ever.
#[test]
fn two_cleanups_that_await_each_others_tasks_end() {
    let heard = Rc::new(Cell::new(0));
    let count = Rc::clone(&heard);
    run(async move {
        let leaf: Task<()> = spawn(pending());
        let middle = spawn(async move {
            task::cancelled().await;
            leaf.await
        });
        let heard = Rc::clone(&count);
        spawn(async move {
            task::cancelled().await;
            let outcome = middle.await.unwrap();
            assert!(matches!(outcome, Err(TaskError::Cancelled)));
            heard.set(heard.get() + 1);
        })
        .detach();
        yield_now().await;
    })
    .unwrap();
    assert_eq!(heard.get(), 1);
}
