//! Values that tasks inherit: who sees what was set where.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::future::join_all;
use loopbind::signal::SignalKind;
use loopbind::task::{self, Carried, Context, ContextVar};
use loopbind::{
    EventLoop, Runner, Task, TaskError, get_running_loop, run, sleep, spawn, spawn_blocking,
    timeout, yield_now,
};
use support::{Bomb, Probe, Trace, in_child, note_reports, on_drop, panic_of, turn, virtual_loop};

static WORD: ContextVar<&str> = ContextVar::new("word");
/// `Rc`, so that what is seen to be dropped is the last of it.
static THING: ContextVar<Rc<Probe>> = ContextVar::new("thing");

fn word() -> &'static str {
    WORD.get().unwrap_or("-")
}

/// Notes `"<who>: <the word>"`.
fn say(trace: &Trace, who: &str) {
    trace.note(format!("{who}: {}", word()));
}

/// Runs on a thread of its own, whose context nobody has touched.
fn on_a_thread<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(f).join().unwrap())
}

// ─── tasks ──────────────────────────────────────────────────────────────────────────────────────

/// CTX-01.
#[test]
fn started_then_each_sets_and_neither_sees_the_other() {
    let trace = Trace::new();
    run(async {
        WORD.set("main's");
        let theirs = trace.clone();
        let task = spawn(async move {
            say(&theirs, "task");
            WORD.set("task's");
            yield_now().await;
            say(&theirs, "task, after an await");
        });
        let bare = trace.clone();
        WORD.unset();
        let other = spawn(async move {
            say(&bare, "another");
            WORD.set("another's");
            yield_now().await;
            say(&bare, "another, after an await");
        });
        WORD.set("main's later");
        yield_now().await;
        say(&trace, "main");
        task.await.unwrap();
        other.await.unwrap();
        say(&trace, "main at the end");
    })
    .unwrap();
    trace.assert(&[
        "task: main's",
        "another: -",
        "main: main's later",
        "task, after an await: task's",
        "another, after an await: another's",
        "main at the end: main's later",
    ]);
}

/// CTX-01: a grandchild gets what its parent has by then, a task of another loop what the task
/// that makes it has.
#[test]
fn inherited_from_whoever_starts_it_whatever_loop_it_is_for() {
    let (trace, other) = (Trace::new(), EventLoop::new().unwrap());
    run(async {
        WORD.set("first");
        let (theirs, other) = (trace.clone(), other.clone());
        let child = spawn(async move {
            let before = theirs.clone();
            let before = spawn(async move { say(&before, "started before") });
            WORD.set("second");
            let (after, elsewhere) = (theirs.clone(), theirs.clone());
            let after = spawn(async move { say(&after, "started after") });
            other.create_task(async move { say(&elsewhere, "elsewhere") }).detach();
            theirs.note(format!(
                "parents: {}",
                task::current().unwrap().id == after.info().parent.unwrap()
            ));
            before.await.unwrap();
            after.await.unwrap();
        });
        child.await.unwrap();
    })
    .unwrap();
    turn(&other);
    trace.assert(&[
        "parents: true",
        "started before: first",
        "started after: second",
        "elsewhere: second",
    ]);
}

/// CTX-02, CTX-05: a time-out shares, tasks do not.
#[test]
fn awaited_directly_shares_and_started_does_not() {
    let trace = Trace::new();
    run(async {
        async { WORD.set("by a future") }.await;
        say(&trace, "after a future");
        timeout(Duration::from_secs(1), async { WORD.set("by a time-out's") }).await.unwrap();
        say(&trace, "after a time-out's");
        let words = ["one", "two"];
        let tasks = words.map(|new| spawn(async move { (WORD.set(new), word()) }));
        for seen in join_all(tasks).await {
            trace.note(format!("{:?}", seen.unwrap()));
        }
        say(&trace, "after tasks");
        WORD.unset();
    })
    .unwrap();
    trace.assert(&[
        "after a future: by a future",
        "after a time-out's: by a time-out's",
        "(Some(\"by a time-out's\"), \"one\")",
        "(Some(\"by a time-out's\"), \"two\")",
        "after tasks: by a time-out's",
    ]);
}

/// CTX-04, CB-19.
#[test]
fn a_given_context_is_used_as_it_is() {
    let (trace, event_loop, context) = (Trace::new(), EventLoop::new().unwrap(), Context::new());
    WORD.set("outside");
    context.run(|| WORD.set("given"));
    let start = |name: &'static str| {
        let trace = trace.clone();
        event_loop.task_builder().context(&context).spawn(async move {
            say(&trace, name);
            WORD.set(name);
            yield_now().await;
            say(&trace, name);
            let child = trace.clone();
            spawn(async move { (say(&child, "child"), WORD.set("child's")).1 }).await.unwrap();
        })
    };
    let tasks = [start("one"), start("two")];
    let (copy, callback) = (context.copy(), context.clone());
    let (in_callback, in_copy) = (trace.clone(), trace.clone());
    event_loop.call_soon(move || callback.run(|| say(&in_callback, "callback")));
    event_loop.call_soon(move || copy.run(|| say(&in_copy, "copy")));
    event_loop.run_until_complete(join_all(tasks)).unwrap();
    trace.note(context.run(word));
    say(&trace, "outside");
    trace.assert(&[
        "one: given",
        "two: one",
        "callback: two",
        "copy: given",
        "one: two",
        "two: two",
        "child: two",
        "child: two",
        "two",
        "outside: outside",
    ]);
}

/// CTX-01, CTX-04: what is started inside of a context that was stepped into inherits from there,
/// by main, by a task and by a callback that have none themselves.
#[test]
fn stepped_into_then_started_inherits_from_there() {
    let (trace, context) = (Trace::new(), Context::new());
    context.run(|| WORD.set("given"));
    let start = move |trace: &Trace, who: &'static str| {
        let trace = trace.clone();
        context.run(|| spawn(async move { say(&trace, who) })).detach();
    };
    let start = Rc::new(start);
    run(async {
        start(&trace, "main's");
        let (by_task, by_callback) = (Rc::clone(&start), Rc::clone(&start));
        let (in_task, in_callback) = (trace.clone(), trace.clone());
        spawn(async move { by_task(&in_task, "task's") }).detach();
        get_running_loop().unwrap().call_soon(move || by_callback(&in_callback, "callback's"));
        yield_now().await;
        yield_now().await;
        say(&trace, "main");
    })
    .unwrap();
    trace.assert(&["main's: given", "task's: given", "callback's: given", "main: -"]);
}

// ─── callbacks ──────────────────────────────────────────────────────────────────────────────────

/// CTX-03, CB-19.
#[test]
fn a_callback_sees_what_was_there_as_it_was_registered() {
    let (trace, event_loop) = (Trace::new(), virtual_loop());
    let saying = |who: &'static str| {
        let trace = trace.clone();
        move || {
            say(&trace, who);
            WORD.set("a callback's");
        }
    };
    event_loop
        .run_until_complete(async {
            let task = spawn(yield_now());
            WORD.set("registered");
            event_loop.call_soon(saying("soon"));
            event_loop.call_later(Duration::from_secs(1), saying("later"));
            event_loop.call_at(event_loop.time() + Duration::from_secs(2), saying("at"));
            let when_done = saying("done");
            task.add_done_callback(when_done);
            let nested = trace.clone();
            event_loop.call_soon(move || {
                WORD.set("a callback's");
                let started = nested.clone();
                spawn(async move {
                    trace_parent(&started);
                    say(&started, "started by a callback")
                })
                .detach();
            });
            WORD.set("later");
            sleep(Duration::from_secs(3)).await;
            say(&trace, "main");
        })
        .unwrap();
    fn trace_parent(trace: &Trace) {
        trace.note(format!("parent: {:?}", task::current().unwrap().parent));
    }
    trace.assert(&[
        "soon: registered",
        "parent: None",
        "started by a callback: a callback's",
        "done: registered",
        "later: registered",
        "at: registered",
        "main: later",
    ]);
}

/// CTX-03: of what is called again and again, each call sees what the one before has set.
#[test]
fn a_watch_has_a_context_of_its_own_from_call_to_call() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    writer.write_all(b"x").unwrap();
    WORD.set("registered");
    let (calls, theirs) = (Cell::new(0), trace.clone());
    let watch = event_loop.add_reader(reader, move || {
        calls.set(calls.get() + 1);
        say(&theirs, &format!("call {}", calls.get()));
        WORD.set("set by a call");
    });
    let (heard, stop) = (trace.clone(), event_loop.clone());
    let signal = SignalKind::window_change();
    event_loop
        .add_signal_handler(signal, move || {
            say(&heard, "signal");
            stop.stop();
        })
        .unwrap();
    WORD.set("later");
    turn(&event_loop);
    turn(&event_loop);
    drop(watch);
    let me = std::process::id().to_string();
    assert!(Command::new("kill").args(["-WINCH", &me]).status().unwrap().success());
    event_loop.run_forever().unwrap();
    say(&trace, "outside");
    trace.assert(&[
        "call 1: registered",
        "call 2: set by a call",
        "signal: registered",
        "outside: later",
    ]);
}

// ─── runs ───────────────────────────────────────────────────────────────────────────────────────

/// CTX-06.
#[test]
fn a_run_has_a_copy_of_its_callers_context() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    WORD.set("caller's");
    let mut lent = String::new();
    event_loop
        .run_until_complete(async {
            lent.push_str(word());
            WORD.set("main's");
            yield_now().await;
            say(&trace, "main");
            let child = trace.clone();
            spawn(async move { say(&child, "child") }).await.unwrap();
        })
        .unwrap();
    trace.note(lent);
    say(&trace, "caller");
    event_loop.run_until_complete(async { say(&trace, "next main") }).unwrap();
    run(async { WORD.set("in a run") }).unwrap();
    say(&trace, "caller");
    trace.assert(&[
        "main: main's",
        "child: main's",
        "caller's",
        "caller: caller's",
        "next main: caller's",
        "caller: caller's",
    ]);
}

/// CTX-08, RNR-16.
#[test]
fn the_runs_of_a_runner_share_one_context() {
    let trace = Trace::new();
    WORD.set("at its making");
    let runner = Runner::new().unwrap();
    WORD.set("caller's");
    runner
        .run(async {
            say(&trace, "first");
            WORD.set("first's");
        })
        .unwrap();
    say(&trace, "caller");
    let panicked = panic_of(|| {
        runner.run(async {
            say(&trace, "second");
            WORD.set("second's");
            panic!("gone");
        })
    });
    trace.note(panicked);
    let child = trace.clone();
    runner
        .run(async { spawn(async move { say(&child, "third's child") }).await })
        .unwrap()
        .unwrap();
    let context = Context::new();
    runner
        .run_in(&context, async {
            say(&trace, "given");
            WORD.set("given's");
        })
        .unwrap();
    trace.note(context.run(word));
    runner.run(async { say(&trace, "fourth") }).unwrap();
    trace.assert(&[
        "first: at its making",
        "caller: caller's",
        "second: first's",
        "gone",
        "third's child: second's",
        "given: -",
        "given's",
        "fourth: second's",
    ]);
}

/// CTX-06: outside of steps, a loop calls in the context of its run; a step that has none sees
/// nothing of it.
#[test]
fn between_steps_there_is_the_context_of_the_run() {
    struct Saying(Trace);
    impl Wake for Saying {
        fn wake(self: Arc<Self>) {
            say(&self.0, "waker");
            WORD.set("waker's");
        }
    }
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let bare = trace.clone();
    let mut task = event_loop.create_task(async move {
        yield_now().await;
        yield_now().await;
        say(&bare, "started before it was set");
    });
    let waker = Waker::from(Arc::new(Saying(trace.clone())));
    let cx = &mut std::task::Context::from_waker(&waker);
    let wait = poll_fn(|_| Poll::Ready(Pin::new(&mut task).poll(cx)));
    assert!(event_loop.run_until_complete(wait).unwrap().is_pending());
    WORD.set("caller's");
    turn(&event_loop);
    say(&trace, "caller");
    trace.assert(&["started before it was set: -", "waker: caller's", "caller: waker's"]);
}

/// The same on a thread where nothing was ever set: what is set first between steps is the thread's own from then on,
/// inside of the run and behind it; a step that has none sees nothing of it.
#[test]
fn set_for_the_first_time_on_a_thread_between_steps_is_the_threads_own() {
    struct Setting(Trace);
    impl Wake for Setting {
        fn wake(self: Arc<Self>) {
            say(&self.0, "waker");
            WORD.set("waker's");
            say(&self.0, "waker");
        }
    }
    let trace = Trace::new();
    on_a_thread(|| {
        let event_loop = EventLoop::new().unwrap();
        let bare = trace.clone();
        let mut task = event_loop.create_task(async move {
            yield_now().await;
            yield_now().await;
            say(&bare, "started before it was set");
        });
        let waker = Waker::from(Arc::new(Setting(trace.clone())));
        let cx = &mut std::task::Context::from_waker(&waker);
        let wait = poll_fn(|_| Poll::Ready(Pin::new(&mut task).poll(cx)));
        assert!(event_loop.run_until_complete(wait).unwrap().is_pending());
        let callback = trace.clone();
        task.add_done_callback(move || say(&callback, "callback"));
        turn(&event_loop);
        say(&trace, "caller");
        turn(&event_loop);
        say(&trace, "caller");
    });
    trace.assert(&[
        "started before it was set: -",
        "waker: -",
        "waker: waker's",
        "caller: waker's",
        "callback: -",
        "caller: waker's",
    ]);
}

/// EXH-08: whoever is to blame, its context; that of a task is kept for as long as its panic may be
/// left unread.
#[test]
fn a_handler_is_called_in_the_context_of_what_failed() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let theirs = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let panic = context.panic.as_ref().unwrap().message().unwrap();
        say(&theirs, panic);
    })));
    let fail = |name: &'static str, word: &'static str| {
        let set = async move {
            WORD.set(word);
            panic!("{name}");
        };
        event_loop.create_task(set)
    };
    WORD.set("caller's");
    let probe = Rc::new(trace.probe("kept"));
    fail("detached", "set by the task").detach();
    let unread = THING.enter(probe, || fail("unread", "kept for later"));
    let mut read = THING.enter(Rc::new(trace.probe("read")), || fail("read", "never said"));
    event_loop.call_soon(|| panic!("callback"));
    WORD.unset();
    event_loop.call_soon(|| panic!("bare callback"));
    let bare: Task<()> = event_loop.create_task(async { panic!("bare") });
    WORD.set("later");
    turn(&event_loop);
    trace.note("turned");
    event_loop.run_until_complete(&mut read).unwrap().unwrap_err();
    trace.note("read");
    drop((read, unread, bare));
    let bomb = Bomb("spilled at its end");
    let ends = poll_fn(move |_| {
        let _ = &bomb;
        WORD.set("set before its end");
        Poll::Ready(())
    });
    event_loop.create_task(ends).detach();
    turn(&event_loop);
    let spills = event_loop.create_task(async {
        let _bomb = Bomb("spilled");
        WORD.set("set before it was cancelled");
        pending::<()>().await
    });
    turn(&event_loop);
    spills.cancel();
    turn(&event_loop);
    spills.detach();
    let (captured, bomb) = (WORD.enter("registered", Context::capture), Bomb("taken back"));
    captured.run(|| event_loop.call_soon(move || drop(bomb))).cancel();
    say(&trace, "caller");
    trace.assert(&[
        "detached: set by the task",
        "callback: caller's",
        "bare callback: -",
        "turned",
        "read dropped",
        "read",
        "unread: kept for later",
        "kept dropped",
        "bare: -",
        "spilled at its end: set before its end",
        "spilled: set before it was cancelled",
        "taken back: registered",
        "caller: later",
    ]);
}

/// A task built with a context by a destructor, while the loop closes, is over at once, and keeps nothing of it.
#[test]
fn a_given_context_is_not_kept_by_a_task_that_is_refused() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let context = Context::new();
    context.run(|| THING.set(Rc::new(trace.probe("value"))));
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop
        .create_task(async move {
            let _guard = on_drop(move || {
                let mut task = same.task_builder().context(&context).spawn(async {});
                drop(context);
                log.note("refused");
                let outcome = task.try_result().unwrap();
                assert!(matches!(outcome, Err(TaskError::LoopClosed)), "{outcome:?}");
            });
            pending::<()>().await;
        })
        .detach();
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&["value dropped", "refused"]);
}

// ─── the end ────────────────────────────────────────────────────────────────────────────────────

/// A future that says the word as it is dropped, and sets another.
async fn say_when_dropped(trace: Trace, who: &'static str) {
    let _said = on_drop(move || {
        say(&trace, who);
        WORD.set("a destructor's");
        let _late = Context::capture();
    });
    pending::<()>().await
}

/// CTX-10.
#[test]
fn dropped_by_cancellation_in_its_own_context() {
    let trace = Trace::new();
    run(async {
        let bare = spawn(say_when_dropped(trace.clone(), "bare"));
        WORD.set("at its birth");
        let cancelled = spawn(say_when_dropped(trace.clone(), "cancelled"));
        let aborted = spawn(say_when_dropped(trace.clone(), "aborted"));
        let unstarted = spawn(say_when_dropped(trace.clone(), "unstarted"));
        unstarted.cancel();
        WORD.set("later");
        yield_now().await;
        bare.cancel();
        cancelled.cancel();
        aborted.abort();
        yield_now().await;
        say(&trace, "main");
    })
    .unwrap();
    trace.assert(&["bare: -", "cancelled: at its birth", "aborted: at its birth", "main: later"]);
}

/// CTX-10: at the close of a loop, outside of runs and inside of another loop's.
#[test]
fn dropped_with_its_loop_in_its_own_context() {
    let trace = Trace::new();
    let make = || {
        let event_loop = EventLoop::new().unwrap();
        event_loop.create_task(say_when_dropped(trace.clone(), "bare")).detach();
        WORD.enter("at its birth", || {
            event_loop.create_task(say_when_dropped(trace.clone(), "task")).detach();
        });
        turn(&event_loop);
        event_loop
    };
    let (first, second) = (make(), make());
    WORD.set("closer's");
    first.close().unwrap();
    say(&trace, "closer");
    run(async {
        WORD.set("main's");
        second.close().unwrap();
        say(&trace, "main");
    })
    .unwrap();
    say(&trace, "caller");
    trace.assert(&[
        "bare: -",
        "task: at its birth",
        "closer: closer's",
        "bare: -",
        "task: at its birth",
        "main: main's",
        "caller: closer's",
    ]);
}

/// CTX-10: a main future that is not done.
#[test]
fn a_main_future_is_dropped_in_the_context_of_its_run() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    WORD.set("caller's");
    let main = async {
        WORD.set("main's");
        event_loop.stop();
        say_when_dropped(trace.clone(), "main").await;
    };
    event_loop.run_until_complete(main).unwrap_err();
    say(&trace, "caller");
    trace.assert(&["main: main's", "caller: caller's"]);
}

// ─── scopes ─────────────────────────────────────────────────────────────────────────────────────

/// Sets the word between the polls of what runs beside it.
#[test]
fn in_a_scope_polled_then_suspended_then_polled_then_over() {
    let trace = Trace::new();
    run(async {
        WORD.set("outside");
        let inner = async {
            say(&trace, "first poll");
            WORD.set("set inside");
            let child = trace.clone();
            spawn(async move { say(&child, "child") }).detach();
            yield_now().await;
            say(&trace, "second poll");
            WORD.scope("nested", async { say(&trace, "nested") }).await;
            say(&trace, "after the nested");
        };
        let mut scope = pin!(WORD.scope("scope's", inner));
        assert!(futures::poll!(scope.as_mut()).is_pending());
        say(&trace, "between");
        WORD.set("set between");
        yield_now().await;
        scope.await;
        say(&trace, "after");
    })
    .unwrap();
    trace.assert(&[
        "first poll: scope's",
        "between: outside",
        "child: set inside",
        "second poll: set inside",
        "nested: nested",
        "after the nested: set inside",
        "after: set between",
    ]);
}

/// CTX-10.
#[test]
fn a_scope_ends_restored_however_it_ends() {
    let trace = Trace::new();
    run(async {
        let unpolled = trace.clone();
        let said = on_drop(move || say(&unpolled, "captured"));
        drop(WORD.scope("unpolled", async move { drop(said) }));
        let mut dropped =
            Box::pin(WORD.scope("dropped", say_when_dropped(trace.clone(), "dropped")));
        assert!(futures::poll!(dropped.as_mut()).is_pending());
        say(&trace, "between");
        drop(dropped);
        say(&trace, "after a drop");
        let ended = trace.clone();
        let said = on_drop(move || say(&ended, "captured"));
        WORD.scope(
            "done",
            poll_fn(move |_| {
                let _ = &said;
                Poll::Ready(())
            }),
        )
        .await;
        let scope = WORD.scope("panicked", async {
            let theirs = trace.clone();
            let _said = on_drop(move || say(&theirs, "unwound"));
            panic!("inside");
        });
        let mut scope = pin!(scope);
        let cx = &mut std::task::Context::from_waker(Waker::noop());
        trace.note(panic_of(|| scope.as_mut().poll(cx)));
        say(&trace, "after a panic");
        let entered = catch_unwind(|| {
            WORD.enter("entered", || -> () { panic!("in {}", word()) });
        });
        trace.note(support::text_of(&*entered.unwrap_err()));
        say(&trace, "after another");
    })
    .unwrap();
    trace.assert(&[
        "captured: unpolled",
        "between: -",
        "dropped: dropped",
        "after a drop: -",
        "captured: done",
        "unwound: panicked",
        "inside",
        "after a panic: -",
        "in entered",
        "after another: -",
    ]);
}

#[test]
fn a_scope_that_is_over_says_so() {
    let mut scope = pin!(WORD.scope("once", ready(())));
    let cx = &mut std::task::Context::from_waker(Waker::noop());
    assert!(scope.as_mut().poll(cx).is_ready());
    let said = panic_of(|| scope.as_mut().poll(cx));
    assert_eq!(said, "the scope of a context variable was polled after its end");
    assert_eq!(word(), "-");
}

// ─── threads ────────────────────────────────────────────────────────────────────────────────────

/// CTX-07, DIFF: `to_thread` carries a copy; here nothing goes by itself, and each value on request.
#[test]
fn nothing_crosses_threads_but_what_is_carried() {
    let trace = Trace::new();
    run(async {
        WORD.set("main's");
        let (carried, unset): (Carried<&str>, _) = (WORD.carry(), WORD.enter("x", || WORD.carry()));
        WORD.set("later");
        trace.note(format!("bare: {:?}", spawn_blocking(|| WORD.get()).await.unwrap()));
        let work = move || (carried.clone().enter(word), unset.enter(word), word());
        trace.note(format!("carried: {:?}", spawn_blocking(work).await.unwrap()));

        let handle = get_running_loop().unwrap().handle();
        let request = WORD.carry();
        let (bare, scoped) = spawn_blocking(move || {
            WORD.set("a pool thread's");
            let bare = handle.spawn(|| async { WORD.get() }).unwrap();
            let scoped = handle.spawn(|| request.scope(async { spawn(async { word() }).await }));
            WORD.unset();
            (bare, scoped.unwrap())
        })
        .await
        .unwrap();
        trace.note(format!("posted: {:?}", bare.await.unwrap()));
        trace.note(format!("carried home: {}", scoped.await.unwrap().unwrap()));
        let nothing = WORD.unset().map(|_| WORD.carry()).unwrap();
        let there = spawn_blocking(move || WORD.enter("theirs", || nothing.enter(word)));
        trace.note(format!("nothing: {}", there.await.unwrap()));
    })
    .unwrap();
    trace.assert(&[
        "bare: None",
        "carried: (\"main's\", \"x\", \"-\")",
        "posted: None",
        "carried home: later",
        "nothing: -",
    ]);
}

#[test]
fn each_thread_has_a_context_of_its_own() {
    WORD.set("here");
    let there = on_a_thread(|| (WORD.set("there"), word()));
    assert_eq!((there, word()), ((None, "there"), "here"));
}

/// Set in the thread's context, its last destructors may do what they like.
#[test]
fn a_thread_ends_and_its_values_are_dropped_one_by_one() {
    static BOMB: ContextVar<Rc<Bomb>> = ContextVar::new("bomb");
    type Call = support::OnDrop<Box<dyn FnOnce()>>;
    static CALLER: ContextVar<Rc<Call>> = ContextVar::new("caller");
    let trace = Trace::new();
    let theirs = trace.clone();
    on_a_thread(move || {
        BOMB.set(Rc::new(Bomb("at the thread's end")));
        let calls = theirs.clone();
        CALLER.set(Rc::new(on_drop(Box::new(move || {
            say(&calls, "destructor");
            calls.note(format!("{:?}", WORD.set("too late")));
            say(&calls, "destructor, later");
        }))));
        WORD.set("there");
        THING.set(Rc::new(theirs.probe("thing")));
    });
    trace.assert(&["destructor: -", "None", "destructor, later: -", "thing dropped"]);
}

/// A value that holds a loop, in the context of the thread and in that of one of its tasks.
#[test]
fn a_thread_ends_and_loops_held_by_values_are_closed() {
    static LOOP: ContextVar<EventLoop> = ContextVar::new("loop");
    let trace = Trace::new();
    let theirs = trace.clone();
    on_a_thread(move || {
        let event_loop = EventLoop::new().unwrap();
        LOOP.set(event_loop.clone());
        let probe = theirs.probe("future");
        let task = event_loop.create_task(async move {
            let _probe = probe;
            pending::<()>().await;
        });
        task.detach();
        turn(&event_loop);
    });
    trace.assert(&["future dropped"]);
}

/// The process ends inside of a run, which is inside of the thread's own context and of another.
#[test]
fn exited_inside_a_run_with_values_alive() {
    let output = in_child("exited_inside_a_run_with_values_alive", || {
        let set_late = || THING.set(Rc::new(Trace::new().probe("late")));
        THING.set(Rc::new(Trace::new().probe("own")));
        let event_loop = EventLoop::new().unwrap();
        event_loop.create_task(async move {
            let _set = on_drop(move || drop(set_late()));
            pending::<()>().await;
        });
        assert_eq!(loopbind::set_event_loop(Some(&event_loop)), None);
        turn(&event_loop);
        run(async {
            set_late();
            Context::capture().run(|| {
                set_late();
                std::process::exit(7)
            })
        })
        .unwrap();
    });
    if let Some(output) = output {
        assert_eq!(output.status.code(), Some(7), "{}", support::said(&output));
    }
}

// ─── values are code of the user's ──────────────────────────────────────────────────────────────

/// A value whose clone and destructor use the variable that it is the value of.
struct Busy {
    trace: Trace,
    name: &'static str,
}

static BUSY: ContextVar<Busy> = ContextVar::new("busy");

impl Busy {
    /// Notes what happens to it, and whether there is one in the current context; `get` would clone it.
    fn note(&self, what: &str) {
        let there = format!("{:?}", Context::capture()).contains("busy");
        let there = if there { "one" } else { "none" };
        self.trace.note(format!("{} {what}, there is {there}", self.name));
    }
}

impl Clone for Busy {
    fn clone(&self) -> Self {
        self.note("cloned");
        WORD.set("set by a clone");
        Busy { trace: self.trace.clone(), name: self.name }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.note("dropped");
        WORD.set("set by a destructor");
    }
}

#[test]
fn a_values_clone_and_destructor_may_use_its_variable() {
    let trace = Trace::new();
    let busy = |name| Busy { trace: trace.clone(), name };
    run(async {
        BUSY.set(busy("a"));
        drop(BUSY.get());
        drop(BUSY.set(busy("b")));
        let task = spawn(async {
            BUSY.unset();
        });
        task.await.unwrap();
        trace.note("task is over");
        BUSY.unset();
        trace.note("unset");
        BUSY.set(busy("c"));
    })
    .unwrap();
    trace.assert(&[
        "a cloned, there is one",
        "a dropped, there is one",
        "a dropped, there is one",
        // Others have it: what comes out is a clone.
        "b cloned, there is none",
        "b dropped, there is none",
        "task is over",
        "b dropped, there is none",
        "unset",
        "c dropped, there is none",
    ]);
}

#[test]
fn a_clone_that_panics_leaves_the_context_whole() {
    struct Fragile(Trace, &'static str);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("{} cannot be cloned", self.1)
        }
    }
    impl Drop for Fragile {
        fn drop(&mut self) {
            self.0.note(format!("{} dropped", self.1));
        }
    }
    static FRAGILE: ContextVar<Fragile> = ContextVar::new("fragile");
    let trace = Trace::new();
    run(async {
        FRAGILE.set(Fragile(trace.clone(), "a"));
        trace.note(panic_of(|| FRAGILE.get()));
        WORD.set("set afterwards");
        say(&trace, "main");
        let theirs = trace.clone();
        let task = spawn(async move {
            FRAGILE.set(Fragile(theirs, "b"));
        });
        let Err(TaskError::Panicked(payload)) = task.await else { panic!("it has to clone") };
        trace.note(payload.message().unwrap());
        trace.note("back");
    })
    .unwrap();
    trace.assert(&[
        "a cannot be cloned",
        "main: set afterwards",
        "b dropped",
        "a cannot be cloned",
        "back",
        "a dropped",
    ]);
}

#[test]
fn a_destructor_that_panics_as_its_task_ends_is_reported_and_the_others_run() {
    static BOMB: ContextVar<Rc<Bomb>> = ContextVar::new("bomb");
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    note_reports(&event_loop, &trace);
    for ends in ["by itself", "cancelled", "closed"] {
        let probe = Rc::new(trace.probe(ends));
        let task = event_loop.create_task(async move {
            BOMB.set(Rc::new(Bomb("bang")));
            THING.set(probe);
            if ends != "by itself" {
                pending::<()>().await;
            }
        });
        turn(&event_loop);
        if ends == "cancelled" {
            task.cancel();
            turn(&event_loop);
        }
        task.detach();
    }
    trace.note("close");
    event_loop.close().unwrap();
    let report = "exception in the destructor of a context variable's value: bang";
    trace.assert(&[
        "by itself dropped",
        report,
        "cancelled dropped",
        report,
        "close",
        "closed dropped",
        report,
    ]);
}

/// CTX-06: what a main future set in its copy of the context goes with the run, and takes along neither the
/// value nor the panic that the run is left with.
#[test]
fn what_a_main_future_set_panics_as_it_goes_and_the_run_has_its_outcome() {
    static BOMB: ContextVar<Rc<Bomb>> = ContextVar::new("bomb");
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    note_reports(&event_loop, &trace);
    let set = || BOMB.set(Rc::new(Bomb("bang")));
    let value = event_loop.run_until_complete(async {
        set();
        7
    });
    trace.note(format!("{:?}", value.unwrap()));
    let thrown = catch_unwind(AssertUnwindSafe(|| {
        event_loop.run_until_complete(async {
            set();
            panic!("main");
        })
    }));
    trace.note(*thrown.unwrap_err().downcast_ref::<&str>().unwrap());
    let report = "exception in the destructor of a context variable's value: bang";
    trace.assert(&[report, "7", "main"]);
}

/// What a destructor of a bare task sets while it is cancelled is dropped with it.
#[test]
fn set_while_it_is_dropped_then_dropped_itself() {
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let theirs = trace.clone();
    let task = event_loop.create_task(async move {
        let _set = on_drop(move || {
            THING.set(Rc::new(theirs.probe("late")));
            theirs.note("set");
        });
        pending::<()>().await;
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.note(format!("{:?}", THING.get().is_some()));
    trace.assert(&["set", "late dropped", "false"]);
}

// ─── nothing is kept ────────────────────────────────────────────────────────────────────────────

/// A task's values go with it, not with its handle; a callback's with its call, or its end.
#[test]
fn values_go_with_the_step_that_had_them() {
    let (trace, event_loop) = (Trace::new(), virtual_loop());
    let start = |name: &'static str, start: &dyn Fn()| {
        THING.enter(Rc::new(trace.probe(name)), start);
    };
    let kept: RefCell<Vec<Box<dyn std::any::Any>>> = RefCell::default();
    let keep = |handle: Box<dyn std::any::Any>| kept.borrow_mut().push(handle);
    let later = Duration::from_secs(60);
    start("task", &|| keep(Box::new(event_loop.create_task(ready(())))));
    start("soon", &|| keep(Box::new(event_loop.call_soon(|| {}))));
    turn(&event_loop);
    trace.note("turned");
    start("taken back", &|| {
        let handle = event_loop.call_soon(|| {});
        handle.cancel();
        keep(Box::new(handle));
    });
    start("timer taken back", &|| {
        let timer = event_loop.call_later(later, || {});
        timer.cancel();
        keep(Box::new(timer));
    });
    trace.note("taken back");
    start("pending task", &|| keep(Box::new(event_loop.create_task(pending::<()>()))));
    start("queued", &|| keep(Box::new(event_loop.call_soon(|| {}))));
    start("timer", &|| keep(Box::new(event_loop.call_later(later, || {}))));
    let (reader, _writer) = UnixStream::pair().unwrap();
    start("watch", &|| {
        let reader = reader.try_clone().unwrap();
        keep(Box::new(event_loop.add_reader(reader, || {}).unwrap()));
    });
    let done: Task<()> = event_loop.create_task(pending());
    start("done-callback", &|| {
        done.add_done_callback(|| {});
    });
    trace.note("close");
    event_loop.close().unwrap();
    trace.note("closed");
    trace.assert(&[
        "task dropped",
        "soon dropped",
        "turned",
        "taken back dropped",
        "timer taken back dropped",
        "taken back",
        "close",
        "queued dropped",
        "timer dropped",
        "pending task dropped",
        "watch dropped",
        "done-callback dropped",
        "closed",
    ]);
}

/// Cycles: a task whose context holds its own handle, and one whose context holds its loop.
#[test]
fn values_that_hold_their_own_task_and_loop_are_let_go_at_close() {
    type Held = Rc<(RefCell<Option<Task<()>>>, Probe, EventLoop)>;
    static HELD: ContextVar<Held> = ContextVar::new("held");
    let (trace, event_loop) = (Trace::new(), EventLoop::new().unwrap());
    let held: Held = Rc::new((RefCell::default(), trace.probe("held"), event_loop.clone()));
    let task = HELD.enter(held.clone(), || event_loop.create_task(pending::<()>()));
    held.0.replace(Some(task));
    drop(held);
    turn(&event_loop);
    trace.note("close");
    event_loop.close().unwrap();
    trace.note("closed");
    trace.assert(&["close", "held dropped", "closed"]);
}

/// The address is the variable: neither the name nor the type is.
#[test]
fn two_variables_of_one_name_and_type_are_two() {
    static ONE: ContextVar<u8> = ContextVar::new("same");
    static TWO: ContextVar<u8> = ContextVar::new("same");
    let leaked: &'static ContextVar<u8> = Box::leak(Box::new(ContextVar::new("same")));
    ONE.set(1);
    TWO.set(2);
    leaked.set(3);
    assert_eq!((ONE.get(), TWO.get(), leaked.get()), (Some(1), Some(2), Some(3)));
    assert_eq!((ONE.unset(), ONE.get(), TWO.get()), (Some(1), None, Some(2)));
    assert_eq!(
        format!("{ONE:?} {:?}", Context::capture()),
        r#"ContextVar("same") Context {"same", "same"}"#
    );
    assert_eq!(format!("{:?}", TWO.carry()), r#"Carried { variable: "same", is_set: true }"#);
}
