//! The end of a loop, the same for every form that ends one: its order, its bound, and what it says of what
//! it had to abandon.

mod support;

use std::cell::RefCell;
use std::future::pending;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::net::UnixStream;
use loopbind::thread::ThreadBuilder;
use loopbind::{
    Abandoned, EventLoop, LoopError, Runner, TaskState, get_bound_loop, get_running_loop, run,
    sleep, spawn, spawn_blocking, task, yield_now,
};
use support::{Trace, in_child, on_drop, panic_of, said};

const SECOND: Duration = Duration::from_secs(1);

// ─── one order, whatever ends the loop ──────────────────────────────────────────────────────────

/// Leaves one of everything behind on the running loop.
async fn leave_one_of_each(log: Trace) {
    let event_loop = get_running_loop().unwrap();
    let (timer, watched) = (log.probe("timer"), log.clone());
    event_loop.call_later(3600 * SECOND, move || drop(timer));
    for name in ["first", "second"] {
        let probe = log.probe(name);
        spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        })
        .detach();
    }
    let (release, gate) = mpsc::channel::<()>();
    let cleanup = log.clone();
    spawn(async move {
        task::cancelled().await;
        cleanup.note("told");
        let probe = cleanup.probe("born late");
        spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        })
        .detach();
        // A stray stop, a sleep and work of its own: a cleanup has the whole loop.
        get_running_loop().unwrap().stop();
        sleep(Duration::from_millis(1)).await;
        spawn_blocking(|| ()).await.unwrap();
        cleanup.note("cleaned up");
        release.send(()).unwrap();
    })
    .detach();
    drop(spawn_blocking(move || {
        gate.recv().unwrap();
        watched.note("blocking work ends");
    }));
    yield_now().await;
    let mark = log.noting("third begins");
    let probe = log.probe("third");
    spawn(async move {
        let _probe = probe;
        mark();
        pending::<()>().await;
    })
    .detach();
    event_loop.call_soon(log.noting("callback"));
}

const ORDER: [&str; 13] = [
    "main ends",
    "main dropped",
    "third begins",
    "callback",
    "first dropped",
    "second dropped",
    "told",
    "third dropped",
    "born late dropped",
    "cleaned up",
    "blocking work ends",
    "timer dropped",
    "over",
];

/// The main future of each form.
async fn main_ends(log: Trace) {
    let _probe = log.probe("main");
    leave_one_of_each(log.clone()).await;
    log.note("main ends");
}

async fn main_panics(log: Trace) {
    let _probe = log.probe("main");
    leave_one_of_each(log.clone()).await;
    log.note("main ends");
    panic!("main's own");
}

/// RNR-06, RNR-07, RNR-10, RNR-12, RNR-32: the same order for every form, on threads of their own each, and
/// what was bound before is bound again.
#[track_caller]
fn in_that_order(form: impl FnOnce(Trace)) {
    let trace = Trace::new();
    let before = EventLoop::new().unwrap();
    let _bound = before.bind();
    form(trace.clone());
    trace.note("over");
    trace.assert(&ORDER);
    assert!(get_running_loop().is_err() && get_bound_loop().unwrap() == before);
}

/// RNR-06, RNR-07, RNR-10, RNR-12: as `run` ends.
#[test]
fn run_ends_in_that_order() {
    in_that_order(|log| run(main_ends(log)).unwrap());
}

/// RNR-06: as a runner closes, drops, or shuts down with a bound.
#[test]
fn a_runner_ends_in_that_order_however_it_ends() {
    let ends: [fn(Runner); 3] = [
        |runner| runner.close().unwrap(),
        drop,
        |runner| assert!(runner.shutdown_timeout(3600 * SECOND).unwrap().is_empty()),
    ];
    for end in ends {
        in_that_order(|log| {
            let runner = Runner::new().unwrap();
            runner.run(main_ends(log)).unwrap();
            end(runner);
        });
    }
}

/// RNR-08, RNR-32: where main panics the end is the same, and its panic goes on behind it.
#[test]
fn a_main_that_panics_ends_in_that_order_too() {
    in_that_order(|log| assert_eq!(panic_of(|| run(main_panics(log))), "main's own"));
    in_that_order(|log| {
        let text = panic_of(|| {
            let runner = Runner::new().unwrap();
            runner.run(main_panics(log))
        });
        assert_eq!(text, "main's own");
    });
}

/// RNR-06: a thread's loop, when its body ends, and when it panics.
#[test]
fn a_loop_thread_ends_in_that_order() {
    in_that_order(|log| {
        ThreadBuilder::new().spawn(move || main_ends(log)).unwrap().join().unwrap();
    });
    in_that_order(|log| {
        let thread = ThreadBuilder::new().spawn(move || main_panics(log)).unwrap();
        assert_eq!(support::text_of(&*thread.join().unwrap_err()), "main's own");
    });
}

/// RNR-06: a thread that is stopped: its body is told, ends by itself, and the end goes its way.
#[test]
fn a_loop_thread_that_is_stopped_ends_in_that_order() {
    in_that_order(|log| {
        let thread = ThreadBuilder::new().spawn(move || async move {
            let _probe = log.probe("main");
            task::cancelled().await;
            leave_one_of_each(log.clone()).await;
            log.note("main ends");
        });
        let thread = thread.unwrap();
        thread.handle().spawn(|| async {}).unwrap().join().unwrap();
        thread.stop();
        thread.join().unwrap();
    });
}

#[cfg(feature = "macros")]
mod attributes {
    use super::*;
    use loopbind::{loop_main, loop_thread};

    #[loop_main]
    async fn as_main(log: Trace) {
        main_ends(log).await;
    }

    #[loop_main]
    async fn as_panicking_main(log: Trace) {
        main_panics(log).await;
    }

    #[loop_thread]
    async fn on_this_thread(log: Trace) {
        main_ends(log).await;
    }

    #[loop_thread(spawn)]
    async fn on_its_own_thread(log: Trace) {
        main_ends(log).await;
    }

    /// RNR-06, RNR-08: `#[loop_main]`, also where its body panics.
    #[test]
    fn loop_main_ends_in_that_order() {
        in_that_order(as_main);
        in_that_order(|log| assert_eq!(panic_of(|| as_panicking_main(log)), "main's own"));
    }

    /// RNR-06: `#[loop_thread]`, here and on a thread of its own.
    #[test]
    fn loop_thread_ends_in_that_order() {
        in_that_order(on_this_thread);
        in_that_order(|log| on_its_own_thread(log).join().unwrap());
    }

    #[loop_main(builder = EventLoop::builder().virtual_time(true).shutdown_limit(5 * SECOND))]
    async fn with_a_limit(log: Trace) {
        support::note_reports(&get_running_loop().unwrap(), &log);
        spawn(stubborn(log)).detach();
        yield_now().await;
    }

    /// The limit of the end is the builder's, for an attribute as well.
    #[test]
    fn an_attributes_limit_is_its_builders() {
        let trace = Trace::new();
        with_a_limit(trace.clone());
        let events = trace.take();
        assert_eq!(events.len(), 3, "{events:?}");
        assert_eq!((&*events[0], &*events[2]), ("told", "stubborn dropped"));
        assert!(events[1].starts_with("the event loop ends with work that is not over:\ntask: "));
    }
}

// ─── the bound ──────────────────────────────────────────────────────────────────────────────────

/// A cleanup without end.
async fn stubborn(log: Trace) {
    let _probe = log.probe("stubborn");
    task::cancelled().await;
    log.note("told");
    loop {
        sleep(SECOND).await;
    }
}

fn virtual_runner() -> Runner {
    Runner::with(EventLoop::builder().virtual_time(true)).unwrap()
}

/// RNR-11: what is not over at the limit is dropped with the loop, and given back by name and place.
#[test]
fn what_is_not_over_at_the_limit_is_given_back_by_name_and_place() {
    let (trace, runner) = (Trace::new(), virtual_runner());
    let event_loop = runner.event_loop().clone();
    let log = trace.clone();
    let line = line!() + 3;
    let before = event_loop.time();
    let begin = async {
        event_loop.task_builder().name("stubborn").spawn(stubborn(log.clone())).detach();
        spawn(async move {
            let _probe = log.probe("deaf");
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
    };
    runner.run(begin).unwrap();
    let abandoned = runner.shutdown_timeout(5 * SECOND).unwrap();
    trace.assert(&["told", "deaf dropped", "stubborn dropped"]);
    assert_eq!(event_loop.time() - before, 5 * SECOND, "and not a moment longer");
    assert!(event_loop.is_closed());
    let [task] = &abandoned.tasks[..] else { panic!("{abandoned:?}") };
    assert_eq!((task.name.as_deref(), task.state), (Some("stubborn"), TaskState::Cancelling));
    assert_eq!((task.spawned_at.file(), task.spawned_at.line()), (file!(), line));
    assert!(abandoned.blocking.is_empty() && abandoned.writes == 0 && !abandoned.is_empty());
    let shown = abandoned.to_string();
    assert!(
        shown.starts_with("task: 'stubborn' (Task-") && shown.contains("cancelling"),
        "{shown}"
    );
}

/// At a limit of zero each task still has the turn in which it ends or is told; what needs no more than that
/// is not abandoned.
#[test]
fn at_a_limit_of_zero_everybody_has_a_turn() {
    let (trace, runner) = (Trace::new(), virtual_runner());
    let log = trace.clone();
    runner
        .run(async move {
            let (deaf, short) = (log.probe("deaf"), log.clone());
            spawn(async move {
                let _probe = deaf;
                pending::<()>().await;
            })
            .detach();
            spawn(async move {
                task::cancelled().await;
                short.note("short");
            })
            .detach();
            spawn(stubborn(log)).detach();
            yield_now().await;
        })
        .unwrap();
    let abandoned = runner.shutdown_timeout(Duration::ZERO).unwrap();
    trace.assert(&["deaf dropped", "short", "told", "stubborn dropped"]);
    assert_eq!(abandoned.tasks.len(), 1);
}

/// RNR-06: a task that was told before, went on, and listens again is asked as any other, and has not to be
/// waited for in vain; one that is still cleaning up is left to that, and asked when it listens again. Each is
/// asked once: one that listens for ever is not told for ever.
#[test]
fn told_before_then_listening_again_is_asked_again() {
    async fn reloads(log: Trace, name: &str, cleanup: Duration) {
        loop {
            task::cancelled().await;
            log.note(format!("{name} told"));
            sleep(cleanup).await;
            log.note(format!("{name} reloaded"));
            task::cancelled().await;
            log.note(format!("{name} ends"));
            if name != "stubborn" {
                return;
            }
        }
    }
    let (trace, runner) = (Trace::new(), virtual_runner());
    let (log, event_loop) = (trace.clone(), runner.event_loop().clone());
    let begin = async {
        let quick = spawn(reloads(log.clone(), "quick", Duration::ZERO));
        let slow = spawn(reloads(log.clone(), "slow", SECOND));
        let stubborn = spawn(reloads(log.clone(), "stubborn", Duration::ZERO));
        for step in 0..6 {
            yield_now().await;
            if step == 0 {
                for task in [&quick, &slow, &stubborn] {
                    task.cancel();
                }
            }
        }
        for task in [quick, slow, stubborn] {
            task.detach();
        }
        log.note("main ends");
    };
    runner.run(begin).unwrap();
    let (asked, turns) = (event_loop.time(), event_loop.metrics().turns);
    let abandoned = runner.shutdown_timeout(5 * SECOND).unwrap();
    trace.assert(&[
        "quick told",
        "slow told",
        "stubborn told",
        "quick reloaded",
        "stubborn reloaded",
        "main ends",
        "quick ends",
        "stubborn ends",
        "slow reloaded",
        "slow ends",
    ]);
    assert_eq!(abandoned.tasks.len(), 1, "{abandoned}");
    assert_eq!(event_loop.time() - asked, 5 * SECOND);
    assert!(event_loop.metrics().turns - turns < 20);
}

/// A cleanup that waits for a descriptor waits in real time, also where the clock is virtual: the limit is no timer
/// to jump to.
#[test]
fn a_cleanup_that_reads_is_waited_for_in_virtual_time() {
    let (trace, runner) = (Trace::new(), virtual_runner());
    let (ours, mut theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let peer = thread::spawn(move || {
        theirs.read_exact(&mut [0]).unwrap();
        thread::sleep(Duration::from_millis(50)); // what it does takes a time
        theirs.write_all(b"x").unwrap();
        theirs
    });
    let log = trace.clone();
    let begin = async move {
        let mut ours = UnixStream::from_std(ours).unwrap();
        spawn(async move {
            task::cancelled().await;
            ours.write_all(b"x").await.unwrap();
            ours.read_exact(&mut [0]).await.unwrap();
            log.note("good bye");
            sleep(SECOND).await; // at once
            log.note("away");
            let _ = ours.read_exact(&mut [0]).await;
        })
        .detach();
        yield_now().await;
    };
    runner.run(begin).unwrap();
    let abandoned = runner.shutdown_timeout(11 * SECOND / 10).unwrap();
    trace.assert(&["good bye", "away"]);
    assert_eq!(abandoned.tasks.len(), 1, "it has its time, and no more");
    drop(peer.join().unwrap());
}

/// RNR-10, with a bound: work that is not over is left to its thread, and given back by its place; it ends
/// later, and its outcome is dropped.
#[test]
fn blocking_work_that_is_not_over_is_given_back_by_its_place() {
    let runner = Runner::new().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let (ended, end) = mpsc::channel();
    let line = line!() + 4;
    let begin = async {
        spawn_blocking(|| ()).await.unwrap(); // over, and so not among them
        let outcome = on_drop_elsewhere(ended);
        drop(spawn_blocking(move || {
            let _ = gate.recv();
            outcome
        }));
        get_running_loop().unwrap().run_in_executor(|| ()).await.unwrap();
    };
    runner.run(begin).unwrap();
    let abandoned = runner.shutdown_timeout(Duration::from_millis(2)).unwrap();
    let [work] = abandoned.blocking[..] else { panic!("{abandoned:?}") };
    assert_eq!((work.spawned_at.file(), work.spawned_at.line()), (file!(), line));
    assert!(abandoned.tasks.is_empty());
    assert_eq!(abandoned.to_string(), format!("blocking work, spawned at {}", work.spawned_at));
    drop(release);
    end.recv().unwrap();

    /// A value that says when it is dropped, wherever that is.
    fn on_drop_elsewhere(say: mpsc::Sender<()>) -> impl Send {
        struct Said(mpsc::Sender<()>);
        impl Drop for Said {
            fn drop(&mut self) {
                let _ = self.0.send(());
            }
        }
        Said(say)
    }
}

/// What the ends that give nothing back had to abandon is reported to the handler, while the loop is open;
/// `shutdown_timeout` gives it back and reports nothing.
#[test]
fn what_nobody_is_given_is_reported_to_the_handler() {
    let ends: [(fn(Runner), bool); 3] = [
        (|runner| runner.close().unwrap(), true),
        (drop, true),
        (|runner| assert_eq!(runner.shutdown_timeout(SECOND).unwrap().tasks.len(), 1), false),
    ];
    for (end, reports) in ends {
        let builder = EventLoop::builder().virtual_time(true).shutdown_limit(5 * SECOND);
        let (trace, runner) = (Trace::new(), Runner::with(builder).unwrap());
        let seen = trace.clone();
        runner.event_loop().set_exception_handler(Some(Box::new(move |event_loop, context| {
            assert!(!event_loop.is_closed() && context.panic.is_none());
            let lines: Vec<_> = context.message.lines().collect();
            assert_eq!(lines.len(), 2, "{lines:?}");
            seen.note(lines[0]);
            assert!(lines[1].starts_with("task: Task-"), "{lines:?}");
        })));
        let log = trace.clone();
        runner
            .run(async move {
                spawn(stubborn(log)).detach();
                yield_now().await;
            })
            .unwrap();
        end(runner);
        let report = "the event loop ends with work that is not over:";
        if reports {
            trace.assert(&["told", report, "stubborn dropped"]);
        } else {
            trace.assert(&["told", "stubborn dropped"]);
        }
    }
}

/// With no handler it goes to standard error, with everything's place, and the value stands; `run` that
/// leaves nothing says nothing.
#[test]
fn what_nobody_is_given_is_said_on_standard_error() {
    let test = "what_nobody_is_given_is_said_on_standard_error";
    let child = in_child(test, || {
        run(async { spawn(pending::<()>()).detach() }).unwrap();
        eprintln!("so far nothing");
        let (release, gate) = mpsc::channel::<()>();
        let limit = Duration::from_millis(2);
        let thread = ThreadBuilder::new()
            .event_loop(EventLoop::builder().shutdown_limit(limit))
            .spawn(|| async {
                spawn(stubborn(Trace::new())).detach();
                drop(spawn_blocking(move || gate.recv()));
                yield_now().await;
                7
            });
        assert_eq!(thread.unwrap().join().unwrap(), 7);
        drop(release);
    });
    let Some(output) = child else { return };
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8_lossy(&output.stderr);
    let (before, after) = text.split_once("so far nothing\n").unwrap();
    assert!(!before.contains("loopbind"), "{before}");
    let lines: Vec<_> = after.lines().collect();
    assert_eq!(lines[0], "loopbind: the event loop ends with work that is not over:");
    assert!(lines[1].starts_with("task: Task-") && lines[1].contains(file!()), "{after}");
    assert!(lines[2].starts_with("blocking work, spawned at "), "{after}");
    assert_eq!(lines.len(), 3, "{after}");
}

/// A runner that ends inside a run cannot run its own loop: nobody is told, and all that is there is given
/// back.
#[test]
fn inside_a_run_nobody_is_told_and_all_is_given_back() {
    let trace = Trace::new();
    let log = trace.clone();
    let abandoned = run(async move {
        let runner = virtual_runner();
        runner.event_loop().create_task(stubborn(log.clone())).detach();
        runner.event_loop().create_task(async {}).detach();
        runner.shutdown_timeout(SECOND).unwrap()
    });
    assert_eq!(abandoned.unwrap().tasks.len(), 2);
    trace.assert(&[]);
}

/// A loop that was closed under its runner has nothing left.
#[test]
fn a_closed_loop_has_nothing_to_abandon() {
    let runner = Runner::new().unwrap();
    runner.event_loop().create_task(pending::<()>()).detach();
    runner.event_loop().close().unwrap();
    assert!(runner.shutdown_timeout(SECOND).unwrap().is_empty());
}

/// A panic of the cleanup is reported, and the rest ends; under `Resume` it leaves once all is closed.
#[test]
fn a_cleanup_that_panics_takes_nothing_from_the_others() {
    for resume in [false, true] {
        let trace = Trace::new();
        let mut builder = EventLoop::builder().virtual_time(true);
        if resume {
            builder = builder.on_unhandled_panic(loopbind::UnhandledPanic::Resume);
        }
        let runner = Runner::with(builder).unwrap();
        support::note_reports(runner.event_loop(), &trace);
        let log = trace.clone();
        runner
            .run(async move {
                spawn(async {
                    task::cancelled().await;
                    panic!("cleanup");
                })
                .detach();
                spawn(stubborn(log)).detach();
                yield_now().await;
            })
            .unwrap();
        let event_loop = runner.event_loop().clone();
        let ended = catch_unwind(AssertUnwindSafe(|| runner.shutdown_timeout(5 * SECOND)));
        assert!(event_loop.is_closed());
        match ended {
            Ok(abandoned) => {
                assert!(!resume && abandoned.unwrap().tasks.len() == 1);
                let report = "unhandled exception during loopbind::run() shutdown: cleanup";
                trace.assert(&[report, "told", "stubborn dropped"]);
            }
            Err(payload) => {
                assert!(resume && support::text_of(&*payload) == "cleanup");
                trace.assert(&["told", "stubborn dropped"]);
            }
        }
    }
}

/// A handler that panics over what was abandoned is survived, and the loop is closed.
#[test]
fn a_handler_that_panics_over_it_is_survived() {
    let builder = EventLoop::builder().virtual_time(true).shutdown_limit(SECOND);
    let runner = Runner::with(builder).unwrap();
    let event_loop = runner.event_loop().clone();
    event_loop.set_exception_handler(Some(Box::new(|_, _| panic!("handler"))));
    runner
        .run(async {
            spawn(stubborn(Trace::new())).detach();
            yield_now().await;
        })
        .unwrap();
    runner.close().unwrap();
    assert!(event_loop.is_closed());
}

/// Many are named up to a number, and counted beyond it.
#[test]
fn many_are_named_up_to_a_number_and_counted() {
    let runner = virtual_runner();
    runner
        .run(async {
            for _ in 0..30 {
                spawn(stubborn(Trace::new())).detach();
            }
            yield_now().await;
        })
        .unwrap();
    let abandoned: Abandoned = runner.shutdown_timeout(Duration::ZERO).unwrap();
    let shown = abandoned.to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!((abandoned.tasks.len(), lines.len()), (30, 21));
    assert_eq!(lines[20], "and 10 more tasks");
    assert_eq!(Abandoned::default().to_string(), "nothing");
}

/// A child process that inherits a runner abandons nothing: the tasks are the parent's.
#[cfg(target_os = "linux")]
#[test]
fn in_a_forked_child_the_end_is_refused() {
    support::in_good_child("in_a_forked_child_the_end_is_refused", || {
        let runner = Runner::new().unwrap();
        runner.event_loop().create_task(pending::<()>()).detach();
        // SAFETY: no other thread holds anything that the child needs; it says what it saw, and leaves.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = matches!(runner.shutdown_timeout(SECOND), Err(LoopError::Forked));
            // SAFETY: ends the child without anything of the parent's being dropped in it.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        let mut status = -1;
        // SAFETY: the child's number, and a place for its status.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0);
        assert_eq!(runner.shutdown_timeout(SECOND).unwrap().tasks.len(), 0);
    });
}

/// Destructors that run in the end see a loop that runs, and may ask each other to end.
#[test]
fn what_is_dropped_in_the_end_sees_the_running_loop() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&seen);
    run(async move {
        let guard = on_drop(move || {
            let event_loop = get_running_loop().unwrap();
            assert!(get_bound_loop().unwrap() == event_loop);
            log.borrow_mut().push(event_loop.is_closed());
        });
        spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        })
        .detach();
        yield_now().await;
    })
    .unwrap();
    assert_eq!(*seen.borrow(), [false]);
}
