//! The policy `Resume`: a panic that nobody received leaves the run that is on, or the next, and where it
//! could leave none, because the thread panics already, it is told.

mod support;

use std::future::{pending, poll_fn};
use std::task::Poll;

use loopbind::{
    EventLoop, ExceptionContext, Runner, Task, UnhandledPanic, get_running_loop, spawn, task,
    yield_now,
};
use support::{Bomb, Trace, note_reports, on_drop, panic_of, turn};

fn resuming() -> EventLoop {
    EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap()
}

/// Nobody heard of it, so it leaves the run that is on; what was behind it in the queue is whole,
/// and runs next time. Each of several leaves a run of its own, in order.
#[test]
fn resume_leaves_the_run_and_what_was_behind_runs_next_time() {
    let (event_loop, trace) = (resuming(), Trace::new());
    event_loop.call_soon(trace.noting("before"));
    event_loop.call_soon(|| panic!("callback"));
    event_loop.create_task(async { panic!("task") }).detach();
    event_loop.call_soon(trace.noting("behind"));
    assert_eq!(panic_of(|| event_loop.run_forever()), "callback");
    trace.assert(&["before"]);
    assert!(get_running_loop().is_err() && !event_loop.is_running());
    assert_eq!(panic_of(|| event_loop.turn(None)), "task");
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["behind"]);
}

/// Where no run is on, it leaves the next one, before anything runs; a drop never throws it.
#[test]
fn resume_outside_of_a_run_leaves_the_next_never_the_drop() {
    let (event_loop, trace) = (resuming(), Trace::new());
    let unread: Task<()> = event_loop.create_task(async { panic!("unread") });
    turn(&event_loop);
    event_loop.call_soon(trace.noting("ready"));
    drop(unread);
    let text = panic_of(|| event_loop.run_until_complete(async {}));
    assert_eq!(text, "unread");
    trace.assert(&[]);
    event_loop.run_until_complete(async {}).unwrap();
    trace.assert(&["ready"]);
}

/// A panic that somebody awaits is theirs, whatever the policy.
#[test]
fn resume_leaves_alone_what_somebody_awaits() {
    let event_loop = resuming();
    let outcome = event_loop
        .run_until_complete(async { spawn(async { panic!("awaited") }).await.is_err() })
        .unwrap();
    assert!(outcome);
}

/// Reports without a panic go to the handler, whatever the policy.
#[test]
fn resume_still_reports_what_is_no_panic() {
    let (event_loop, trace) = (resuming(), Trace::new());
    note_reports(&event_loop, &trace);
    event_loop.call_exception_handler(&ExceptionContext::new("no panic"));
    trace.assert(&["no panic"]);
}

/// Closing throws nothing: a destructor that panics then is left for a run that never comes, and
/// goes to standard error with the loop.
#[test]
fn resume_and_close_throw_nothing() {
    let event_loop = resuming();
    event_loop
        .create_task(async {
            let _bomb = Bomb("bang");
            pending::<()>().await;
        })
        .detach();
    turn(&event_loop);
    event_loop.close().unwrap();
    drop(event_loop);
}

/// The main future's own panic and one that nobody heard, in one run: one leaves it, the other the
/// next; none is lost.
#[test]
fn resume_with_two_panics_in_a_run_loses_none() {
    let event_loop = resuming();
    let first = panic_of(|| {
        event_loop.run_until_complete(async {
            spawn(async { panic!("child") }).detach();
            yield_now().await;
            panic!("main");
        })
    });
    // The child panicked first, and took the run's end for itself; main never got to its own.
    assert_eq!(first, "child");
    assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
}

/// The same where main panics first, and what it started does so in the batch behind: main's own
/// leaves its run.
#[test]
fn resume_with_mains_own_panic_first_loses_none() {
    let event_loop = resuming();
    let first = panic_of(|| {
        event_loop.run_until_complete(async {
            spawn(async { panic!("child") }).detach();
            panic!("main");
        })
    });
    assert_eq!(first, "main");
    assert_eq!(panic_of(|| event_loop.run_until_complete(async {})), "child");
    assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
}

/// `run` has no next run: of several panics one leaves it, and the others are said on standard
/// error.
#[test]
fn resume_with_several_panics_at_the_end_of_run_says_what_cannot_leave() {
    let name = "resume_with_several_panics_at_the_end_of_run_says_what_cannot_leave";
    let child = support::in_child_under(name, &[], || {
        std::panic::set_hook(Box::new(|_| {}));
        let cleanups = || {
            for text in ["first", "second"] {
                spawn(async move {
                    task::cancelled().await;
                    panic!("{text}");
                })
                .detach();
            }
        };
        let runner = || {
            let builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume);
            Runner::with(builder).unwrap()
        };
        let text = panic_of(|| {
            let runner = runner();
            runner
                .run(async {
                    cleanups();
                    yield_now().await;
                })
                .unwrap();
            runner.close().unwrap();
        });
        assert_eq!(text, "first");
    });
    let Some(child) = child else { return };
    let all = support::said(&child);
    assert!(child.status.success() && all.contains("1 passed"), "{all}");
    let words = String::from_utf8(child.stderr).unwrap();
    assert!(words.contains("shutdown\npanic: second"), "{all}");
    assert!(!words.contains("panic: first"), "{all}");
}

/// A function that ends its loop: a cleanup panics, and its value does as it is dropped, or it did itself.
#[cfg(feature = "macros")]
#[loopbind::loop_thread(builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume))]
async fn ends(panics: bool) -> Bomb {
    spawn(async {
        task::cancelled().await;
        panic!("cleanup");
    })
    .detach();
    yield_now().await;
    assert!(!panics, "main");
    Bomb("value")
}

/// What a cleanup throws leaves the function that ends the loop, and the value is dropped before; the function's
/// own panic goes first. What cannot leave, is said.
#[cfg(feature = "macros")]
#[test]
fn resume_at_the_end_of_a_function_throws_one_and_says_the_others() {
    let name = "resume_at_the_end_of_a_function_throws_one_and_says_the_others";
    let child = support::in_child_under(name, &[], || {
        std::panic::set_hook(Box::new(|_| {}));
        assert_eq!(panic_of(|| ends(false)), "cleanup");
        assert_eq!(panic_of(|| ends(true)), "main");
    });
    let Some(child) = child else { return };
    let all = support::said(&child);
    assert!(child.status.success() && all.contains("1 passed"), "{all}");
    let words = String::from_utf8(child.stderr).unwrap();
    let told: Vec<_> = words.lines().filter(|line| line.starts_with("panic: ")).collect();
    assert_eq!(told, ["panic: value", "panic: cleanup"], "{all}");
}

/// A panic that nobody received, behind main in the iteration in which main ends: it leaves this run, and
/// the next one knows nothing of it.
#[test]
fn resumed_behind_the_end_of_main() {
    let event_loop = resuming();
    let mut is_behind = false;
    let main = poll_fn(|cx| {
        if is_behind {
            return Poll::Ready(());
        }
        is_behind = true;
        cx.waker().wake_by_ref();
        get_running_loop().unwrap().call_soon(|| panic!("behind"));
        Poll::Pending
    });
    assert_eq!(panic_of(|| event_loop.run_until_complete(main)), "behind");
    event_loop.run_until_complete(yield_now()).unwrap();
}

/// A virtual clock, a timer that panics under `Resume`, and one that was due with it: it fires in
/// the next turn.
#[test]
fn resume_from_a_timer_keeps_those_due_with_it() {
    let event_loop = EventLoop::builder()
        .virtual_time(true)
        .on_unhandled_panic(UnhandledPanic::Resume)
        .build()
        .unwrap();
    let trace = Trace::new();
    let second = std::time::Duration::from_secs(1);
    event_loop.call_later(second, || panic!("timer"));
    event_loop.call_later(second, trace.noting("sibling"));
    assert_eq!(panic_of(|| event_loop.turn(None)), "timer");
    turn(&event_loop);
    trace.assert(&["sibling"]);
}

// ─── while the thread panics ────────────────────────────────────────────────────────────────────

/// A loop of the policy, whose reports go to a trace.
fn watched() -> (EventLoop, Trace) {
    let (event_loop, trace) = (resuming(), Trace::new());
    note_reports(&event_loop, &trace);
    (event_loop, trace)
}

/// A turn in a destructor, as the thread unwinds: what nobody received would be a second panic, and is
/// told; the turn is one as any other, and no run that comes later hears of it again.
#[test]
fn a_turn_while_the_thread_panics_tells_what_cannot_leave_it() {
    let (event_loop, trace) = watched();
    let text = panic_of(|| {
        for text in ["first", "second"] {
            event_loop.create_task(async move { panic!("{text}") }).detach();
        }
        event_loop.call_soon(trace.noting("behind"));
        let _flush =
            on_drop(|| while event_loop.turn(Some(std::time::Duration::ZERO)).unwrap().more {});
        panic!("the thread's own");
    });
    assert_eq!(text, "the thread's own");
    trace.assert(&[
        "Task exception was never retrieved: first",
        "Task exception was never retrieved: second",
        "behind",
    ]);
    assert_eq!(turn(&event_loop), 0);
}

/// A whole run in a destructor goes on behind what it tells, and gives its value.
#[test]
fn a_run_while_the_thread_panics_tells_and_goes_on() {
    let (event_loop, trace) = watched();
    let text = panic_of(|| {
        let _run = on_drop(|| {
            let value = event_loop.run_until_complete(async {
                for text in ["first", "second"] {
                    spawn(async move { panic!("{text}") }).detach();
                    yield_now().await;
                    yield_now().await;
                }
                7
            });
            trace.note(format!("{value:?}"));
        });
        panic!("the thread's own");
    });
    assert_eq!(text, "the thread's own");
    trace.assert(&[
        "Task exception was never retrieved: first",
        "Task exception was never retrieved: second",
        "Ok(7)",
    ]);
    event_loop.run_until_complete(yield_now()).unwrap();
    trace.assert(&[]);
}

/// One that waited for a run to leave is told as the run begins that it cannot leave; where there is
/// none before the panic of the thread is caught, it leaves the one behind, as ever.
#[test]
fn what_waited_is_told_by_a_run_while_the_thread_panics_or_leaves_the_next() {
    for runs_meanwhile in [true, false] {
        let (event_loop, trace) = watched();
        let unread: Task<()> = event_loop.create_task(async { panic!("unread") });
        turn(&event_loop);
        event_loop.call_soon(trace.noting("ready"));
        let text = panic_of(|| {
            let _turn = on_drop(|| {
                if runs_meanwhile {
                    turn(&event_loop);
                }
            });
            let _unread = unread;
            panic!("the thread's own");
        });
        assert_eq!(text, "the thread's own");
        if runs_meanwhile {
            trace.assert(&["Task exception was never retrieved: unread", "ready"]);
        } else {
            assert_eq!(panic_of(|| event_loop.turn(None)), "unread");
            trace.assert(&[]);
        }
    }
}

/// A runner that is closed in a destructor, and one that is dropped there: what the last cleanups throw is
/// told to the loop's handler.
#[test]
fn a_runner_that_ends_while_the_thread_panics_tells_what_cannot_leave_it() {
    for is_closed in [true, false] {
        let builder = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume);
        let (runner, trace) = (Runner::with(builder).unwrap(), Trace::new());
        note_reports(runner.event_loop(), &trace);
        let text = panic_of(|| {
            for text in ["first", "second"] {
                runner
                    .event_loop()
                    .create_task(async move {
                        task::cancelled().await;
                        panic!("{text}");
                    })
                    .detach();
            }
            turn(runner.event_loop());
            let _end =
                on_drop(move || if is_closed { runner.close().unwrap() } else { drop(runner) });
            panic!("the thread's own");
        });
        assert_eq!(text, "the thread's own");
        trace.assert(&[
            "Task exception was never retrieved: first",
            "Task exception was never retrieved: second",
        ]);
    }
}
