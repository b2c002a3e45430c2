//! The rules of running: any loop on its thread, two never at once, a refusal changes nothing at all,
//! every way out restores the slots, and what did not finish is there for the next run.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{IntoFuture, Ready, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use loopbind::{
    EventLoop, LoopError, Runner, UnhandledPanic, get_event_loop, get_running_loop, run, spawn,
    spawn_blocking, yield_now,
};
use support::{Trace, on_drop, panic_of};

const ANOTHER: &str = "Cannot run the event loop while another loop is running";
const ALREADY: &str = "This event loop is already running";
const CLOSED: &str = "Event loop is closed";

fn new_loop() -> EventLoop {
    EventLoop::new().unwrap()
}

/// The text that each way to run `event_loop` is refused with: all the same, or it is shown which not.
#[track_caller]
fn refusal(event_loop: &EventLoop) -> String {
    let ways = [
        event_loop.run_forever().unwrap_err(),
        event_loop.run_until_complete(async { unreachable!("refused") }).unwrap_err(),
        event_loop.turn(Some(Duration::ZERO)).unwrap_err(),
        event_loop.turn(None).unwrap_err(),
    ]
    .map(|error| error.to_string());
    assert!(ways.iter().all(|text| *text == ways[0]), "{ways:?}");
    ways.into_iter().next().unwrap()
}

/// A future that finishes when it is told to, from outside of it.
fn gate() -> (impl Fn(), impl Future<Output = ()>) {
    let shared = Rc::new((Cell::new(false), RefCell::new(None::<Waker>)));
    let opening = Rc::clone(&shared);
    let open = move || {
        opening.0.set(true);
        let waker = opening.1.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    };
    let wait = poll_fn(move |cx| {
        if shared.0.get() {
            return Poll::Ready(());
        }
        *shared.1.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    });
    (open, wait)
}

// ─── refusals ───────────────────────────────────────────────────────────────────────────────────

/// RUN-01: a second loop is refused while one runs, with a typed error that names the one that does.
#[test]
fn another_loop_is_refused_while_one_runs() {
    let (outer, inner) = (new_loop(), new_loop());
    outer
        .run_until_complete(async {
            assert_eq!(refusal(&inner), ANOTHER);
            let refused = inner.run_forever().unwrap_err();
            assert!(
                matches!(refused, LoopError::AnotherLoopRunning { running } if running == outer.id()),
                "{refused:?}"
            );
        })
        .unwrap();
}

/// RUN-02: the loop that runs is refused with another message.
#[test]
fn the_same_loop_is_refused_while_it_runs() {
    let event_loop = new_loop();
    event_loop
        .run_until_complete(async {
            assert_eq!(refusal(&event_loop), ALREADY);
            assert!(matches!(event_loop.run_forever(), Err(LoopError::AlreadyRunning)));
        })
        .unwrap();
}

/// RUN-03: a refusal changes nothing. The outer loop runs on and is found, a second attempt is refused
/// again, work that was posted to it meanwhile is done; the refused loop is neither running nor closed
/// nor stopped, what it had queued is queued still, and it runs later.
#[test]
fn refused_then_refused_again_then_the_outer_goes_on_then_the_refused_runs() {
    let (outer, inner) = (new_loop(), new_loop());
    let trace = Trace::new();
    inner.call_soon(trace.noting("inner: queued before"));
    let background = trace.clone();
    outer
        .run_until_complete(async {
            spawn(async move {
                background.note("outer: background");
                yield_now().await;
                background.note("outer: background again");
            })
            .detach();
            for _ in 0..3 {
                assert_eq!(refusal(&inner), ANOTHER);
                assert_eq!(refusal(&outer), ALREADY);
                assert_eq!(get_running_loop().unwrap(), outer);
                assert_eq!(get_event_loop().unwrap(), outer);
                assert!(outer.is_running() && outer.handle().is_running());
                assert!(!inner.is_running() && !inner.is_closed());
            }
            trace.assert(&[]);
            yield_now().await;
            yield_now().await;
            trace.assert(&["outer: background", "outer: background again"]);
            assert_eq!(refusal(&inner), ANOTHER, "also in a later iteration");
        })
        .unwrap();
    assert!(!outer.is_running() && get_running_loop().is_err());
    assert_eq!(inner.all_tasks().len(), 0, "nothing was scheduled");
    assert_eq!(inner.run_until_complete(async { 7 }).unwrap(), 7);
    trace.assert(&["inner: queued before"]);
    assert_eq!(outer.run_until_complete(async { 8 }).unwrap(), 8);
}

/// RUN-03: the stop that was asked of a loop survives a refused run of it.
#[test]
fn stopped_then_refused_then_run_is_one_iteration() {
    let (outer, inner) = (new_loop(), new_loop());
    inner.stop();
    outer.run_until_complete(async { assert_eq!(refusal(&inner), ANOTHER) }).unwrap();
    inner.run_forever().unwrap();
}

/// RUN-04: a refused future is dropped unpolled, within the call, and nothing is scheduled; its
/// `into_future` is not called either.
#[test]
fn a_refused_future_is_dropped_unpolled_and_never_made() {
    struct Made(Trace, #[allow(dead_code)] support::Probe);
    impl IntoFuture for Made {
        type Output = ();
        type IntoFuture = Ready<()>;
        fn into_future(self) -> Ready<()> {
            self.0.note("made");
            ready(())
        }
    }
    let (outer, trace) = (new_loop(), Trace::new());
    let closed = new_loop();
    closed.close().unwrap();
    let attempt = |event_loop: &EventLoop| {
        event_loop.run_until_complete(Made(trace.clone(), trace.probe("made"))).unwrap_err();
        trace.assert(&["made dropped"]);
        let (polled, held) = (trace.clone(), trace.probe("future"));
        let future = async move {
            let _held = held;
            polled.note("polled");
        };
        event_loop.run_until_complete(future).unwrap_err();
        trace.assert(&["future dropped"]);
    };
    attempt(&closed);
    let spawned = outer.metrics().tasks_spawned;
    let inside = outer.run_until_complete(async {
        attempt(&outer);
        attempt(&new_loop());
        attempt(&closed);
        run(Made(trace.clone(), trace.probe("made"))).unwrap_err();
        trace.assert(&["made dropped"]);
        outer.all_tasks().len()
    });
    assert_eq!(inside.unwrap(), 1, "the main future alone");
    assert_eq!(outer.metrics().tasks_spawned, spawned + 1);
    outer.run_until_complete(Made(trace.clone(), trace.probe("made"))).unwrap();
    trace.assert(&["made", "made dropped"]);
}

/// RUN-04: and a future that was lent is still the caller's, to be run by whoever may.
#[test]
fn a_lent_future_is_refused_then_run() {
    let (outer, inner) = (new_loop(), new_loop());
    let mut lent = pin!(async { "ran" });
    outer
        .run_until_complete(async {
            inner.run_until_complete(lent.as_mut()).unwrap_err();
        })
        .unwrap();
    assert_eq!(inner.run_until_complete(lent).unwrap(), "ran");
}

/// RUN-05: closed is said first, then already running, then another.
#[test]
fn closed_is_reported_before_running_and_running_before_another() {
    let (outer, closed) = (new_loop(), new_loop());
    closed.close().unwrap();
    assert_eq!(refusal(&closed), CLOSED);
    outer
        .run_until_complete(async {
            assert_eq!(refusal(&closed), CLOSED, "closed, and another runs");
            assert_eq!(refusal(&outer), ALREADY, "itself, and it is another than none");
        })
        .unwrap();
}

/// RUN-06: refused from everywhere a loop calls: callbacks, timers, done-callbacks, destructors of
/// cancelled tasks, of callbacks and of outputs, exception handlers, wakes and `turn`.
#[test]
fn refused_from_callbacks_destructors_handlers_and_turns() {
    let (event_loop, other) = (new_loop(), new_loop());
    let trace = Trace::new();
    let attempt = |place: &'static str| {
        let (own, other, trace) = (event_loop.handle().id(), other.clone(), trace.clone());
        move || {
            assert_eq!(refusal(&other), ANOTHER, "{place}");
            let own = get_running_loop().unwrap_or_else(|_| unreachable!("{own:?} runs"));
            assert_eq!(refusal(&own), ALREADY, "{place}");
            assert!(matches!(run(async {}), Err(LoopError::AnotherLoopRunning { .. })), "{place}");
            trace.note(place);
        }
    };
    let in_handler = attempt("handler");
    event_loop.set_exception_handler(Some(Box::new(move |_, _| in_handler())));
    event_loop.call_soon(attempt("callback"));
    let held = on_drop(attempt("cancelled callback"));
    let handle = event_loop.call_soon(move || drop(held));
    event_loop.call_soon(move || handle.cancel());
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new(())));
    event_loop.call_later(Duration::ZERO, attempt("timer"));
    let held = on_drop(attempt("cancelled task"));
    let doomed = event_loop.create_task(async move {
        let _held = held;
        pending::<()>().await;
    });
    let output = on_drop(attempt("output"));
    let task = event_loop.create_task(async move { output });
    task.add_done_callback(attempt("done-callback"));
    drop(task);
    let turned = event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(turned.more);
    doomed.cancel();
    while event_loop.turn(Some(Duration::ZERO)).unwrap().more {}
    trace.assert(&[
        "callback",
        "cancelled callback",
        "handler",
        "output",
        "timer",
        "done-callback",
        "cancelled task",
    ]);
    event_loop.close().unwrap();
}

/// Ten thousand refusals in one coroutine leave the slot, and the loop, as they were.
#[test]
fn refused_ten_thousand_times_and_the_outer_goes_on() {
    let (outer, inner) = (new_loop(), new_loop());
    let value = outer.run_until_complete(async {
        for _ in 0..10_000 {
            assert!(inner.run_forever().is_err() && outer.run_forever().is_err());
        }
        assert_eq!(get_running_loop().unwrap(), outer);
        spawn(async { 5 }).await.unwrap()
    });
    assert_eq!(value.unwrap(), 5);
}

/// RNR-03, RUN-39: `run` and a runner are refused inside a run, and their futures are not polled. That
/// no loop is made first, `descriptors.rs` shows.
#[test]
fn run_is_refused_inside_a_run_before_a_loop_is_made() {
    let (outer, runner, trace) = (new_loop(), Runner::new().unwrap(), Trace::new());
    outer
        .run_until_complete(async {
            let polled = trace.noting("polled");
            assert_eq!(run(async { polled() }).unwrap_err().to_string(), ANOTHER);
            let polled = trace.noting("polled");
            assert_eq!(runner.run(async { polled() }).unwrap_err().to_string(), ANOTHER);
        })
        .unwrap();
    trace.assert(&[]);
    assert_eq!(runner.run(async { 3 }).unwrap(), 3);
}

/// RUN-08: the rule is the thread's: while one loop runs here, another runs in a thread that it waits
/// for, and one on the pool.
#[test]
fn another_loop_runs_on_another_thread_meanwhile() {
    let event_loop = new_loop();
    let ran = event_loop.run_until_complete(async {
        let there = thread::spawn(|| new_loop().run_until_complete(async { 1 }).unwrap());
        let pooled = spawn_blocking(|| run(async { 2 }).unwrap());
        (there.join().unwrap(), pooled.await.unwrap(), get_running_loop().unwrap())
    });
    assert_eq!(ran.unwrap(), (1, 2, event_loop));
}

/// RUN-34: running is a property of the loop, and other threads see it too.
#[test]
fn running_is_seen_from_another_thread_before_during_and_after() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let (ask, asked) = mpsc::channel::<()>();
    let (answer, answers) = mpsc::channel();
    let watcher = thread::spawn(move || {
        asked.iter().for_each(|()| answer.send(handle.is_running()).unwrap())
    });
    let seen = || {
        ask.send(()).unwrap();
        answers.recv().unwrap()
    };
    assert!(!seen() && !event_loop.is_running());
    event_loop.call_soon(|| ());
    assert!(event_loop.run_until_complete(async { seen() && event_loop.is_running() }).unwrap());
    assert!(!seen() && !event_loop.is_running());
    let inside = event_loop.clone();
    let running = Rc::new(Cell::new(false));
    let told = Rc::clone(&running);
    event_loop.call_soon(move || told.set(inside.is_running()));
    event_loop.turn(None).unwrap();
    assert!(running.get() && !seen(), "turned by hand");
    drop(ask);
    watcher.join().unwrap();
}

// ─── results ────────────────────────────────────────────────────────────────────────────────────

/// RUN-09: what the future gives comes back as it is, and the loop's errors do not mix with its own.
#[test]
fn the_value_comes_back_untouched_an_error_too() {
    let event_loop = new_loop();
    let value: Rc<str> = "the same".into();
    let back = event_loop.run_until_complete(async { Rc::clone(&value) }).unwrap();
    assert!(Rc::ptr_eq(&value, &back));
    let failed = event_loop.run_until_complete(async { Err::<(), _>("mine") }).unwrap();
    assert_eq!(failed, Err("mine"));
}

/// RUN-10: a task that was cancelled says so.
#[test]
fn a_cancelled_task_comes_back_as_cancelled() {
    let event_loop = new_loop();
    let task = event_loop.create_task(pending::<()>());
    task.cancel();
    let ended = event_loop.run_until_complete(task).unwrap();
    assert!(ended.unwrap_err().is_cancelled());
}

/// The future may borrow from its caller; it is gone when the call returns.
#[test]
fn a_borrowing_future_runs_and_is_gone_when_the_call_returns() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let mut words = vec!["one"];
    let length = event_loop.run_until_complete(async {
        let _held = trace.probe("future");
        words.push("two");
        yield_now().await;
        words.len()
    });
    trace.assert(&["future dropped"]);
    assert_eq!(length.unwrap(), 2);
    words.push("three");

    event_loop.stop();
    let stopped = event_loop.run_until_complete(async {
        let _held = trace.probe("stopped");
        words.push("four");
        pending::<()>().await;
    });
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    trace.assert(&["stopped dropped"]);
    assert_eq!(words.len(), 4);
}

/// A waker of a main future that is gone wakes nobody: not in a later run, whose main future is in
/// the same place, and not from another thread.
#[test]
fn a_waker_kept_from_one_run_does_nothing_in_the_next() {
    let event_loop = new_loop();
    let mut wakers = Vec::new();
    let mut one_run = || {
        let mut polls = 0;
        event_loop.stop();
        let stopped = event_loop.run_until_complete(poll_fn(|cx| {
            polls += 1;
            wakers.iter().for_each(Waker::wake_by_ref);
            wakers.push(cx.waker().clone());
            Poll::<()>::Pending
        }));
        assert!(stopped.is_err());
        polls
    };
    assert_eq!([one_run(), one_run(), one_run()], [1, 1, 1]);
    thread::scope(|scope| {
        scope.spawn(|| wakers.iter().for_each(Waker::wake_by_ref));
    });
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
    drop(event_loop);
    wakers.into_iter().for_each(Waker::wake);
}

/// RUN-11: a future that is ready at once still takes an iteration, and what was ready runs in it.
#[test]
fn ready_at_once_and_what_was_ready_before_runs_first() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.call_soon(trace.noting("queued"));
    event_loop.call_later(Duration::ZERO, trace.noting("due"));
    event_loop.run_until_complete(ready(())).unwrap();
    trace.note("returned");
    trace.assert(&["queued", "due", "returned"]);
    let task = event_loop.create_task(ready(4));
    event_loop.run_until_complete(yield_now()).unwrap();
    assert!(task.is_finished());
    event_loop.call_soon(trace.noting("queued behind a finished task"));
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 4);
    trace.assert(&["queued behind a finished task"]);
}

/// RUN-12: when the future is done, what is in the batch and what it queued with its last step runs
/// before the call returns; what that queues in turn is there for the next run.
#[test]
fn done_then_one_more_batch_then_returned_then_the_rest_in_the_next_run() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let chain = |names: [&'static str; 3]| {
        let [first, second, third] = names.map(|name| trace.noting(name));
        let event_loop = event_loop.clone();
        move || {
            first();
            let again = event_loop.clone();
            event_loop.call_soon(move || {
                second();
                again.call_soon(third);
            });
        }
    };
    event_loop.call_soon(chain(["before", "before.2", "before.3"]));
    let (main, in_step) = (trace.noting("main"), chain(["in its step", "step.2", "step.3"]));
    let inside = event_loop.clone();
    let main = async move {
        main();
        inside.call_soon(in_step);
    };
    event_loop.run_until_complete(main).unwrap();
    trace.note("returned");
    trace.assert(&["before", "main", "before.2", "in its step", "returned"]);
    event_loop.run_until_complete(async {}).unwrap();
    trace.note("returned");
    // Done with its first step again, and one more batch.
    trace.assert(&["before.3", "step.2", "step.3", "returned"]);
}

/// RNR-07: a task that the future starts with its last step gets its first step, and no second.
#[test]
fn started_in_the_last_step_gets_its_first_step() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let steps = trace.clone();
    event_loop
        .run_until_complete(async {
            spawn(async move {
                steps.note("first");
                yield_now().await;
                steps.note("second");
            })
            .detach();
        })
        .unwrap();
    trace.assert(&["first"]);
}

// ─── stop ───────────────────────────────────────────────────────────────────────────────────────

/// RUN-16, RUN-41: stopped before the run, it is one iteration: what was ready and what is due runs,
/// what that adds does not.
#[test]
fn stopped_before_the_run_is_one_iteration() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let (inside, ready, added) = (event_loop.clone(), trace.noting("ready"), trace.noting("added"));
    event_loop.call_soon(move || {
        ready();
        inside.call_soon(added);
    });
    event_loop.call_at(Instant::now(), trace.noting("due"));
    event_loop.call_later(Duration::from_secs(3600), trace.noting("in an hour"));
    let turns = event_loop.metrics().turns;
    event_loop.stop();
    event_loop.run_forever().unwrap();
    assert_eq!(event_loop.metrics().turns - turns, 1);
    trace.assert(&["ready", "due"]);
    event_loop.stop();
    event_loop.run_forever().unwrap();
    trace.assert(&["added"]);
}

/// RUN-16: a timer that came due before the run is due in that iteration, also where nobody has looked
/// at the clock since and other work is ready.
#[test]
fn due_since_before_a_stopped_run_runs_in_it_behind_what_is_ready() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let timer = event_loop.call_later(Duration::from_millis(1), trace.noting("due"));
    event_loop.call_soon(trace.noting("ready"));
    while Instant::now() < timer.when() {
        std::hint::spin_loop();
    }
    event_loop.stop();
    event_loop.run_forever().unwrap();
    trace.assert(&["ready", "due"]);
}

/// RUN-16: with nothing to do it returns at once instead of waiting.
#[test]
fn stopped_before_an_idle_run_does_not_wait() {
    let event_loop = new_loop();
    event_loop.call_later(Duration::from_secs(3600), || unreachable!("in an hour"));
    for _ in 0..1_000 {
        event_loop.stop();
        event_loop.run_forever().unwrap();
        assert!(get_running_loop().is_err());
    }
    assert_eq!(event_loop.metrics().parked, Duration::ZERO);
}

/// RUN-17: stopped inside a batch, the rest of the batch still runs; what was added stays, and is the
/// first of the next run.
#[test]
fn stopped_in_a_batch_and_the_rest_of_it_still_runs() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let (inside, added) = (event_loop.clone(), trace.noting("added"));
    event_loop.call_soon(trace.noting("first"));
    event_loop.call_soon(move || {
        inside.stop();
        inside.call_soon(added);
    });
    event_loop.call_soon(trace.noting("third"));
    event_loop.run_forever().unwrap();
    trace.assert(&["first", "third"]);
    event_loop.call_soon(trace.noting("later"));
    event_loop.stop();
    event_loop.run_forever().unwrap();
    trace.assert(&["added", "later"]);
}

/// RUN-18: several stops are one, and none is left over for a later run: after a run that stopped, that
/// completed while stopping, that panicked.
#[test]
fn stopped_twice_then_the_later_runs_are_not_affected() {
    let event_loop = new_loop();
    let many_turns = || {
        event_loop.run_until_complete(async {
            for _ in 0..5 {
                yield_now().await;
            }
        })
    };
    event_loop.stop();
    event_loop.stop();
    event_loop.run_forever().unwrap();
    many_turns().unwrap();
    event_loop.run_until_complete(async { event_loop.stop() }).unwrap();
    many_turns().unwrap();
    let main = async {
        event_loop.stop();
        std::panic::resume_unwind(Box::new("main"))
    };
    assert_eq!(panic_of(|| event_loop.run_until_complete::<_>(main)), "main");
    many_turns().unwrap();
    event_loop.stop();
    event_loop.turn(None).unwrap();
    many_turns().unwrap();
}

/// RUN-19: stopped before the run, a future that is done with its first step has its value; one that
/// waits does not.
#[test]
fn stopped_before_and_done_in_one_step_or_not() {
    let event_loop = new_loop();
    event_loop.stop();
    assert_eq!(event_loop.run_until_complete(async { "done" }).unwrap(), "done");
    event_loop.stop();
    let stopped = event_loop.run_until_complete(yield_now()).unwrap_err();
    assert!(matches!(stopped, LoopError::StoppedBeforeComplete));
    assert_eq!(stopped.to_string(), "Event loop stopped before Future completed.");
}

/// RUN-20: stopped while a task is awaited, the task stays pending, is not cancelled, and goes on in
/// a later run.
#[test]
fn stopped_while_a_task_pends_then_resumed() {
    let event_loop = new_loop();
    let (open, wait) = gate();
    let mut task = event_loop.create_task(async {
        wait.await;
        "resumed"
    });
    let stopping = event_loop.clone();
    event_loop.call_soon(move || stopping.stop());
    let stopped = event_loop.run_until_complete(&mut task);
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    assert!(!task.is_finished());
    assert!(task.try_result().is_none());
    open();
    assert_eq!(event_loop.run_until_complete(&mut task).unwrap().unwrap(), "resumed");
}

/// RUN-20: also a future of the caller's own that was lent.
#[test]
fn stopped_while_a_lent_future_pends_then_resumed() {
    let event_loop = new_loop();
    let steps = Cell::new(0);
    let mut lent = pin!(async {
        for step in 1..=4 {
            steps.set(step);
            yield_now().await;
        }
        "done"
    });
    for expected in 1..=4 {
        event_loop.stop();
        event_loop.run_until_complete(lent.as_mut()).unwrap_err();
        assert_eq!(steps.get(), expected);
    }
    assert_eq!(event_loop.run_until_complete(lent).unwrap(), "done");
}

/// RUN-21: a future that stops the loop and is done in the same step has its value.
#[test]
fn stopped_and_done_in_the_same_step_gives_the_value() {
    let event_loop = new_loop();
    let value = event_loop.run_until_complete(async {
        yield_now().await;
        event_loop.stop();
        "value"
    });
    assert_eq!(value.unwrap(), "value");
}

/// RUN-22: a task whose run was stopped, and that is done during a later run, does not end that one;
/// nor does one whose run ended in a panic.
#[test]
fn stopped_then_the_first_task_is_done_during_a_later_run_which_goes_on() {
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    type End = fn(EventLoop);
    let ends: [(&str, End); 2] = [
        ("stopped", |event_loop| event_loop.stop()),
        ("panicked", |_| std::panic::resume_unwind(Box::new("callback"))),
    ];
    for (how, end) in ends {
        let (open, wait) = gate();
        let mut orphan = event_loop.create_task(wait);
        let inside = event_loop.clone();
        event_loop.call_soon(move || end(inside));
        let ended = catch_unwind(AssertUnwindSafe(|| event_loop.run_until_complete(&mut orphan)));
        assert!(!matches!(ended, Ok(Ok(_))), "{how}");
        let later = event_loop.run_until_complete(async {
            open();
            for _ in 0..10 {
                yield_now().await;
            }
            "to the end"
        });
        assert_eq!(later.unwrap(), "to the end", "{how}");
        assert!(orphan.is_finished());
    }
}

/// RUN-22: the same for a main future that was stopped in the very iteration it was done in.
#[test]
fn done_while_stopping_then_a_later_run_goes_on() {
    let event_loop = new_loop();
    for _ in 0..3 {
        event_loop.stop();
        event_loop.run_until_complete(async {}).unwrap();
        let later = event_loop.run_until_complete(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
        later.unwrap();
    }
}

/// RUN-23: between runs tasks are frozen and timers do not fire; the next run goes on with them.
#[test]
fn frozen_between_runs_then_goes_on() {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let trace = Trace::new();
    let steps = trace.clone();
    event_loop
        .create_task(async move {
            for step in 1.. {
                steps.note(format!("step {step}"));
                loopbind::sleep(Duration::from_secs(1)).await;
            }
        })
        .detach();
    let nap =
        |seconds| event_loop.run_until_complete(loopbind::sleep(Duration::from_millis(seconds)));
    nap(1_500).unwrap();
    trace.assert(&["step 1", "step 2"]);
    assert_eq!(event_loop.all_tasks().len(), 1);
    trace.assert(&[]);
    nap(1_000).unwrap();
    trace.assert(&["step 3"]);
}

/// RUN-35: a stop from another thread wakes a loop that sleeps.
#[test]
fn asleep_then_stopped_from_another_thread() {
    let event_loop = new_loop();
    event_loop.call_later(Duration::from_secs(3600), || unreachable!("in an hour"));
    for _ in 0..20 {
        let handle = event_loop.handle();
        let meet = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                meet.wait();
                handle.stop();
            });
            meet.wait();
            event_loop.run_forever().unwrap();
        });
    }
}

/// RUN-35: a stop from another thread that comes before the run makes it one iteration, like any other.
#[test]
fn stopped_from_another_thread_then_run_is_one_iteration() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.call_soon(trace.noting("queued"));
    let handle = event_loop.handle();
    thread::spawn(move || handle.stop()).join().unwrap();
    event_loop.call_soon(trace.noting("queued behind the stop"));
    event_loop.run_forever().unwrap();
    trace.assert(&["queued", "queued behind the stop"]);
    event_loop.run_until_complete(yield_now()).unwrap();
}

/// RUN-35: behind what was posted before it, and in one queue with it.
#[test]
fn posted_then_stopped_from_another_thread_runs_first() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let (sender, posted) = mpsc::channel();
    thread::spawn(move || {
        for number in 0..100 {
            let sender = sender.clone();
            handle.call_soon_threadsafe(move || sender.send(number).unwrap()).unwrap();
        }
        handle.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(posted.try_iter().collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
}

// ─── panics ─────────────────────────────────────────────────────────────────────────────────────

/// RUN-29: under `Resume`, a callback's panic leaves the run at once; the loop is not running, may run
/// again, and what was behind it in the batch is queued still.
#[test]
fn a_panic_leaves_the_run_then_the_rest_of_the_batch_runs_in_the_next() {
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    let trace = Trace::new();
    event_loop.call_soon(trace.noting("before"));
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new("first")));
    event_loop.call_soon(trace.noting("between"));
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new("second")));
    event_loop.call_soon(trace.noting("after"));
    assert_eq!(panic_of(|| event_loop.run_forever()), "first");
    trace.assert(&["before"]);
    assert!(!event_loop.is_running() && !event_loop.is_closed() && get_running_loop().is_err());
    assert_eq!(panic_of(|| event_loop.run_until_complete(async {})), "second");
    trace.assert(&["between"]);
    event_loop.run_until_complete(async {}).unwrap();
    trace.assert(&["after"]);
}

/// RUN-29: a panic behind a stop in one batch leaves this run, not the next; a stop behind a panic is
/// the next one's.
#[test]
fn stopped_then_panicked_in_one_batch_and_panicked_then_stopped() {
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    let (stops, trace) = (event_loop.clone(), Trace::new());
    event_loop.call_soon(move || stops.stop());
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new("behind the stop")));
    assert_eq!(panic_of(|| event_loop.run_forever()), "behind the stop");

    let stops = event_loop.clone();
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new("before the stop")));
    event_loop.call_soon(move || stops.stop());
    event_loop.call_soon(trace.noting("behind both"));
    assert_eq!(panic_of(|| event_loop.run_forever()), "before the stop");
    trace.assert(&[]);
    event_loop.run_forever().unwrap();
    trace.assert(&["behind both"]);
}

/// RUN-30: under `Report`, the panic goes to the handler and the batch goes on.
#[test]
fn a_panic_is_reported_and_the_rest_of_the_batch_runs() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let heard = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        heard.note(context.panic.as_ref().unwrap().message().unwrap());
    })));
    event_loop.call_soon(trace.noting("before"));
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new("panic")));
    event_loop.call_soon(trace.noting("after"));
    event_loop.run_until_complete(async {}).unwrap();
    trace.assert(&["before", "panic", "after"]);
}

/// RUN-32: an unrelated task's panic leaves the run under `Resume`; the task that was awaited stays
/// pending and goes on later.
#[test]
fn an_unrelated_panic_leaves_the_run_and_the_awaited_task_goes_on_later() {
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    let (open, wait) = gate();
    let mut task = event_loop.create_task(async {
        wait.await;
        9
    });
    drop(event_loop.create_task(async { std::panic::resume_unwind(Box::new("unrelated")) }));
    assert_eq!(panic_of(|| event_loop.run_until_complete(&mut task)), "unrelated");
    assert!(!task.is_finished());
    open();
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 9);
}

/// A main future's panic leaves the run after the slots are restored; the future is dropped while its
/// loop still is the running one, and the loop may run again.
#[test]
fn main_panics_then_is_dropped_then_the_slots_are_restored() {
    let (event_loop, bound) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let trace = Trace::new();
    struct Main(Trace, EventLoop);
    impl Future for Main {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            std::panic::resume_unwind(Box::new("main"))
        }
    }
    impl Drop for Main {
        fn drop(&mut self) {
            let running = get_running_loop().is_ok_and(|running| running == self.1);
            self.0.note(if running { "dropped: running" } else { "dropped: not running" });
        }
    }
    for _ in 0..3 {
        let main = Main(trace.clone(), event_loop.clone());
        assert_eq!(panic_of(|| event_loop.run_until_complete(main)), "main");
        assert_eq!(get_event_loop().unwrap(), bound);
        assert!(get_running_loop().is_err() && !event_loop.is_running());
        trace.assert(&["dropped: running"]);
    }
    event_loop.stop();
    event_loop
        .run_until_complete(async {
            let _held = on_drop(|| {
                trace.note(if event_loop.is_running() { "stopped: running" } else { "-" })
            });
            pending::<()>().await
        })
        .unwrap_err();
    trace.assert(&["stopped: running"]);
    assert_eq!(event_loop.run_until_complete(async { 4 }).unwrap(), 4);
}

/// A main future whose destructor panics: the value it gave is there, the panic is reported.
#[test]
fn main_is_done_then_its_destructor_panics_and_the_value_is_there() {
    struct Main;
    impl Future for Main {
        type Output = &'static str;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<&'static str> {
            Poll::Ready("value")
        }
    }
    impl Drop for Main {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("destructor"));
        }
    }
    let (event_loop, trace) = (new_loop(), Trace::new());
    let heard = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        heard.note(context.panic.as_ref().unwrap().message().unwrap());
    })));
    assert_eq!(event_loop.run_until_complete(Main).unwrap(), "value");
    trace.assert(&["destructor"]);
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
}

/// A panic in `into_future` leaves the run like main's own.
#[test]
fn making_the_future_panics_and_the_slots_are_restored() {
    struct Made;
    impl IntoFuture for Made {
        type Output = ();
        type IntoFuture = Ready<()>;
        fn into_future(self) -> Ready<()> {
            std::panic::resume_unwind(Box::new("made"))
        }
    }
    let event_loop = new_loop();
    assert_eq!(panic_of(|| event_loop.run_until_complete(Made)), "made");
    assert!(get_running_loop().is_err() && !event_loop.is_running());
    assert_eq!(event_loop.all_tasks().len(), 0);
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
}

/// A thousand runs that panic and not in turn leave the loop as it was.
#[test]
fn panicked_then_not_a_thousand_times() {
    let event_loop = new_loop();
    for round in 0..1_000 {
        let main = async { std::panic::resume_unwind(Box::new("main")) };
        assert_eq!(panic_of(|| event_loop.run_until_complete::<_>(main)), "main");
        assert_eq!(event_loop.run_until_complete(async { round }).unwrap(), round);
    }
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// Turned by hand: what is ready runs, the caller is told what did and whether there is more, and the
/// slots are as they were.
#[test]
fn turned_by_hand_one_iteration_at_a_time() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    assert_eq!(event_loop.next_deadline(), None);
    let (inside, second) = (event_loop.clone(), trace.noting("second"));
    let first = trace.noting("first");
    event_loop.call_soon(move || {
        assert_eq!(get_running_loop().unwrap(), inside);
        first();
        inside.call_soon(second);
    });
    assert!(event_loop.next_deadline().is_some_and(|at| at <= Instant::now()), "ready now");
    let turn = event_loop.turn(None).unwrap();
    assert_eq!((turn.polled, turn.more), (1, true));
    trace.assert(&["first"]);
    assert!(get_running_loop().is_err() && !event_loop.is_running());
    let turn = event_loop.turn(None).unwrap();
    assert_eq!((turn.polled, turn.more), (1, false));
    trace.assert(&["second"]);
    let turn = event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!((turn.polled, turn.more), (0, false));
    let timer = event_loop.call_later(Duration::from_secs(3600), || ());
    assert_eq!(event_loop.next_deadline(), Some(timer.when()));
}

// ─── from within ────────────────────────────────────────────────────────────────────────────────

/// Destructors of what completes, of what is cancelled and of what panics may start tasks and schedule
/// callbacks: they run, behind what is ready.
#[test]
fn started_by_destructors_during_a_run_runs() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.set_exception_handler(Some(Box::new(|_, _| ())));
    let starts = |name: &'static str| {
        let trace = trace.clone();
        on_drop(move || {
            let (from_task, from_callback) = (trace.clone(), trace.clone());
            let event_loop = get_event_loop().unwrap();
            spawn(async move { from_task.note(format!("{name}: task")) }).detach();
            event_loop.call_soon(move || from_callback.note(format!("{name}: callback")));
            trace.note(format!("{name}: destructor"));
        })
    };
    let (completes, panics, cancelled) =
        (starts("completed"), starts("panicked"), starts("cancelled"));
    event_loop
        .run_until_complete(async {
            spawn(async move { drop(completes) }).await.unwrap();
            let panicked = spawn(async move {
                let _panics = panics;
                std::panic::resume_unwind(Box::new(()));
            });
            panicked.await.unwrap_err();
            let task = spawn(async move {
                let _cancelled = cancelled;
                pending::<()>().await;
            });
            yield_now().await;
            task.cancel();
            task.await.unwrap_err();
            yield_now().await;
        })
        .unwrap();
    trace.assert(&[
        "completed: destructor",
        "completed: task",
        "completed: callback",
        "panicked: destructor",
        "panicked: task",
        "panicked: callback",
        "cancelled: destructor",
        "cancelled: task",
        "cancelled: callback",
    ]);
}

/// The loop, its tasks and its handles are asked and shown from inside of everything: a poll, a
/// callback, a destructor, a handler, a wake; and the tasks are listed while they come and go.
#[test]
fn asked_and_shown_from_inside_of_everything() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let looks = |place: &'static str| {
        let trace = trace.clone();
        move || {
            let event_loop = get_event_loop().unwrap();
            let handle = event_loop.call_soon(|| ());
            let task = spawn(pending::<()>());
            let listed = event_loop.all_tasks();
            assert!(listed.iter().any(|info| info.id == task.id()), "{place}");
            assert!(listed.is_sorted_by_key(|info| info.id), "{place}");
            let shown = format!("{event_loop:?} {handle:?} {task:?} {:?}", event_loop.handle());
            assert!(shown.contains("running: true"), "{place}: {shown}");
            let _ = (event_loop.metrics(), event_loop.current_task(), event_loop.next_deadline());
            handle.cancel();
            task.abort();
            trace.note(place);
        }
    };
    let in_handler = looks("handler");
    event_loop.set_exception_handler(Some(Box::new(move |_, _| in_handler())));
    event_loop.call_soon(looks("callback"));
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new(())));
    let held = on_drop(looks("destructor"));
    let doomed = event_loop.create_task(async move {
        let _held = held;
        pending::<()>().await;
    });
    let (poll, done) = (looks("poll"), looks("done-callback"));
    event_loop
        .run_until_complete(async {
            poll();
            yield_now().await;
            doomed.add_done_callback(done);
            doomed.cancel();
            doomed.await.unwrap_err();
            for _ in 0..3 {
                yield_now().await;
            }
        })
        .unwrap();
    trace.assert(&["callback", "handler", "poll", "destructor", "done-callback"]);
    assert_eq!(event_loop.all_tasks().len(), 0);
}

/// A callback that schedules itself, a hundred thousand times: each in an iteration of its own, and a
/// timer that comes due meanwhile is not starved.
#[test]
fn scheduled_by_itself_a_hundred_thousand_times_and_a_timer_fires_meanwhile() {
    fn again(event_loop: EventLoop, left: u32, fired: Rc<Cell<bool>>) {
        if left == 0 || fired.get() {
            return event_loop.stop();
        }
        let next = event_loop.clone();
        event_loop.call_soon(move || again(next, left - 1, fired));
    }
    let event_loop = new_loop();
    let turns = event_loop.metrics().turns;
    again(event_loop.clone(), 100_000, Rc::default());
    event_loop.run_forever().unwrap();
    assert!(event_loop.metrics().turns - turns >= 100_000);

    let fired = Rc::new(Cell::new(false));
    let fires = Rc::clone(&fired);
    event_loop.call_later(Duration::from_millis(1), move || fires.set(true));
    again(event_loop.clone(), u32::MAX, fired.clone());
    event_loop.run_forever().unwrap();
    assert!(fired.get());
}

/// A runner that is dropped inside another loop's run is closed by it, without a run of its own.
#[test]
fn a_runner_is_dropped_inside_another_loops_run() {
    let (outer, trace) = (new_loop(), Trace::new());
    let held = trace.probe("task");
    outer
        .run_until_complete(async {
            let runner = Runner::new().unwrap();
            let started = runner.event_loop().create_task(async move {
                let _held = held;
                pending::<()>().await;
            });
            started.detach();
            let handle = runner.event_loop().handle();
            drop(runner);
            assert!(handle.is_closed());
            assert_eq!(get_running_loop().unwrap(), outer);
            yield_now().await;
        })
        .unwrap();
    trace.assert(&["task dropped"]);
}
