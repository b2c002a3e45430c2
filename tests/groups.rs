//! Task groups: children live no longer than their group, the first failure ends it, all are waited
//! for, and nothing that fails is lost.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::join_all;
use loopbind::task::{ChildFailed, ContextVar, GroupError, TaskGroup};
use loopbind::time::Elapsed;
use loopbind::{
    EventLoop, PanicPayload, Task, TaskError, TaskState, sleep, spawn, task, timeout, yield_now,
};
use support::{Bomb, Trace, note_reports, on_drop, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(future: impl Future<Output = T>) -> T {
    virtual_loop().run_until_complete(future).unwrap()
}

/// A child that never ends, with a probe of that name in its future.
fn waiting<E: 'static>(
    group: &TaskGroup<E>,
    trace: &Trace,
    name: &str,
) -> Task<Result<(), ChildFailed>> {
    let probe = trace.probe(name);
    group.spawn(async move {
        let _probe = probe;
        pending().await
    })
}

/// A child that is told when it is to end, takes two steps for it, and gives what `end` gives.
fn listening<E: 'static>(
    group: &TaskGroup<E>,
    trace: &Trace,
    name: &'static str,
    end: impl FnOnce() -> Result<(), E> + 'static,
) {
    let log = trace.clone();
    group.spawn(async move {
        task::cancelled().await;
        log.note(format!("{name} told"));
        yield_now().await;
        log.note(format!("{name} ends"));
        end()
    });
}

/// A body that never ends, with a probe named "body".
async fn endless<T>(trace: &Trace) -> T {
    let _probe = trace.probe("body");
    pending().await
}

fn messages(panics: &[PanicPayload]) -> Vec<&str> {
    panics.iter().map(|payload| payload.message().unwrap_or("(not text)")).collect()
}

// ─── leaving ────────────────────────────────────────────────────────────────────────────────────

/// TGR-01: the group returns the body's value once every child ended, those included that were added
/// while it waited.
#[test]
fn body_then_children_then_those_they_added_then_the_value() {
    let trace = Trace::new();
    let log = trace.clone();
    let outcome = run(async {
        let outcome = task::group::<(), _>(async |group| {
            let (inner, first, second) = (group.clone(), log.clone(), log.clone());
            group.spawn(async move {
                sleep(SECOND).await;
                first.note("child");
                inner.spawn(async move {
                    sleep(SECOND).await;
                    second.note("grandchild");
                    Ok(())
                });
                Ok(())
            });
            log.note("body");
            Ok(42)
        })
        .await;
        log.note("over");
        outcome
    });
    assert_eq!(outcome.unwrap(), 42);
    trace.assert(&["body", "child", "grandchild", "over"]);
}

/// TGR-13: a child may add children while its group is leaving, generation after generation.
#[test]
fn each_child_adds_the_next_while_the_group_is_leaving() {
    fn descend(group: &TaskGroup<()>, trace: &Trace, depth: usize) {
        let (inner, log) = (group.clone(), trace.clone());
        group.spawn(async move {
            yield_now().await;
            log.note(format!("{depth}, {} alive", inner.len()));
            if depth < 3 {
                descend(&inner, &log, depth + 1);
            }
            Ok(())
        });
    }
    let trace = Trace::new();
    run(task::group(async |group| {
        descend(group, &trace, 1);
        Ok(())
    }))
    .unwrap();
    trace.assert(&["1, 1 alive", "2, 1 alive", "3, 1 alive"]);
}

/// A group without children, or with children that ended before its body, returns in the body's step.
#[test]
fn with_nobody_to_wait_for_it_does_not_suspend() {
    let outcome = run(async {
        let mut group = pin!(task::group::<(), _>(async |_| Ok(1)));
        let first = group.as_mut().now_or_never().unwrap().unwrap();
        let mut group = pin!(task::group::<(), _>(async |group| {
            group.spawn(async { Ok(2) }).await.unwrap().map_err(drop)
        }));
        assert!(group.as_mut().now_or_never().is_none());
        yield_now().await;
        first + group.now_or_never().unwrap().unwrap()
    });
    assert_eq!(outcome, 3);
}

/// The body is polled for what it awaits, and not for every child that ends.
#[test]
fn children_that_end_do_not_poll_the_body() {
    let polls = Cell::new(0);
    run(task::group::<(), _>(async |group| {
        for _ in 0..10 {
            group.spawn(ready(Ok(())));
        }
        let mut nap = pin!(sleep(SECOND));
        poll_fn(|cx| {
            polls.set(polls.get() + 1);
            nap.as_mut().poll(cx)
        })
        .await;
        assert!(group.is_empty());
        Ok(())
    }))
    .unwrap();
    assert_eq!(polls.get(), 2);
}

/// The body is no task: it borrows, and is the task that awaits the group.
#[test]
fn the_body_borrows_and_is_the_awaiting_task() {
    let mut words = vec!["to"];
    let same = run(async {
        let outside = task::current().unwrap().id;
        let inside = task::group::<(), _>(async |group| {
            words.push("be");
            group.spawn(async { Ok(()) }).await.unwrap().unwrap();
            words.push("or");
            Ok(task::current().unwrap().id)
        })
        .await;
        outside == inside.unwrap()
    });
    assert!(same);
    assert_eq!(words, ["to", "be", "or"]);
}

// ─── failing ────────────────────────────────────────────────────────────────────────────────────

/// TGR-02: the first failure of a child cancels the others, in order of creation, and the body; all are
/// waited for, and every failure is in the error, in order of occurrence.
#[test]
fn failed_then_the_others_and_the_body_are_cancelled_then_all_failures_in_order() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(async {
        let outcome = task::group(async |group| {
            waiting(group, &trace, "first");
            listening(group, &trace, "slow", || Err("second failure"));
            let log = trace.clone();
            group.spawn(async move {
                sleep(SECOND).await;
                log.note("fails");
                Err::<(), _>("first failure")
            });
            waiting(group, &trace, "last");
            endless(&trace).await
        })
        .await;
        trace.note("over");
        outcome
    });
    let GroupError { errors, panics } = outcome.unwrap_err();
    assert_eq!((errors, panics.len()), (vec!["first failure", "second failure"], 0));
    trace.assert(&[
        "fails",
        "first dropped",
        "slow told",
        "last dropped",
        "body dropped",
        "slow ends",
        "over",
    ]);
}

/// TGR-02: two that fail in one iteration are both in the error: the second was not reached by the
/// first one's request yet, unless it was to run later.
#[test]
fn two_fail_in_one_iteration_before_and_after_the_request() {
    let outcome: Result<(), _> = run(task::group(async |group| {
        let (sender, receiver) = oneshot::channel::<()>();
        group.spawn(async move {
            receiver.await.unwrap_err();
            Err::<(), _>("woken before the request, and cancelled by it")
        });
        group.spawn(async move {
            yield_now().await;
            drop(sender);
            Err::<(), _>("the first")
        });
        pending().await
    }));
    assert_eq!(outcome.unwrap_err().errors, ["the first"]);
}

/// TGR-03: an error of the body cancels the children, and comes first where it was first.
#[test]
fn the_body_fails_then_the_children_are_cancelled_and_what_they_add_comes_behind() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        waiting(group, &trace, "child");
        listening(group, &trace, "slow", || Err("cleanup failed"));
        yield_now().await;
        trace.note("body fails");
        Err("body failed")
    }));
    assert_eq!(outcome.unwrap_err().errors, ["body failed", "cleanup failed"]);
    trace.assert(&["body fails", "child dropped", "slow told", "slow ends"]);
}

/// TGR-09: panics are failures like any other: of a child, of the body before and after its first await.
#[test]
fn panics_of_children_and_of_the_body_end_the_group_and_are_given() {
    let trace = Trace::new();
    let outcome: Result<(), GroupError<&str>> = run(task::group(async |group| {
        waiting(group, &trace, "child");
        listening(group, &trace, "slow", || panic!("second"));
        group.spawn::<()>(async {
            yield_now().await;
            panic!("first")
        });
        endless(&trace).await
    }));
    let error = outcome.unwrap_err();
    assert_eq!(messages(&error.panics), ["first", "second"]);
    assert!(error.errors.is_empty() && !error.is_cancelled());
    trace.assert(&["child dropped", "slow told", "body dropped", "slow ends"]);

    let outcome: Result<(), GroupError<()>> = run(task::group(async |group| {
        waiting(group, &trace, "child");
        yield_now().await;
        panic!("body")
    }));
    assert_eq!(messages(&outcome.unwrap_err().panics), ["body"]);
    trace.assert(&["child dropped"]);

    async fn never(_: &TaskGroup<()>) -> Result<(), ()> {
        Ok(())
    }
    fn broken(_: &TaskGroup<()>) -> std::future::Ready<Result<(), ()>> {
        panic!("at once")
    }
    assert!(run(task::group(never)).is_ok());
    assert_eq!(messages(&run(task::group(broken)).unwrap_err().panics), ["at once"]);
}

/// What a child's `Task` gives: its value, `ChildFailed` where the group has the error or the panic, and
/// `Cancelled` where it was cancelled.
#[test]
fn what_the_tasks_of_children_give() {
    let mut tasks = Vec::new();
    let outcome: Result<(), _> = run(async {
        let outcome = task::group(async |group| {
            tasks.push(group.spawn(ready(Ok(1))));
            yield_now().await;
            yield_now().await;
            tasks.push(group.spawn(async { Err("error") }));
            tasks.push(group.spawn(async { panic!("panic") }));
            tasks.push(group.spawn(pending()));
            pending().await
        })
        .await;
        assert!(tasks.iter().all(Task::is_finished), "all ended before the group did");
        outcome
    });
    assert_eq!(outcome.unwrap_err().errors, ["error"]);
    let shown = tasks.iter_mut().map(|task| format!("{:?}", task.try_result().unwrap()));
    let shown: Vec<_> = shown.collect();
    // The panicking one was queued, and cancelled before it began.
    assert_eq!(shown, ["Ok(Ok(1))", "Ok(Err(ChildFailed))", "Err(Cancelled)", "Err(Cancelled)"]);

    let mut child = None;
    let outcome: Result<(), GroupError<()>> = run(task::group(async |group| {
        child = Some(group.spawn::<()>(async { panic!("panic") }));
        pending().await
    }));
    assert_eq!(messages(&outcome.unwrap_err().panics), ["panic"]);
    assert!(matches!(child.unwrap().try_result(), Some(Ok(Err(ChildFailed)))));
}

/// A body that awaits the child that fails does not go on: nobody but strangers sees `ChildFailed`.
#[test]
fn a_body_that_awaits_the_child_that_fails_does_not_go_on() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        let child = group.spawn(async { Err::<(), _>("failed") });
        let _probe = trace.probe("body");
        let _ = child.await;
        trace.note("never");
        Ok(())
    }));
    assert_eq!(outcome.unwrap_err().errors, ["failed"]);
    trace.assert(&["body dropped"]);
}

/// TGR-04: a child that is cancelled by itself is no failure: the group goes on.
#[test]
fn a_child_cancelled_by_itself_is_no_failure() {
    let trace = Trace::new();
    let outcome = run(task::group::<(), _>(async |group| {
        let child = waiting(group, &trace, "one");
        let aborted = waiting(group, &trace, "two");
        let awaited = waiting(group, &trace, "three");
        yield_now().await;
        child.cancel();
        aborted.abort();
        assert!(child.await.unwrap_err().is_cancelled());
        assert_eq!(timeout(SECOND, awaited).await.unwrap_err(), Elapsed); // dropped while awaited
        group.spawn(async { Ok(7) }).await.unwrap().map_err(drop)
    }));
    assert_eq!(outcome.unwrap(), 7);
    trace.assert(&["one dropped", "two dropped", "three dropped"]);
}

/// TGR-11: a body that listens for its task's end is not asked: it is dropped where it stands.
#[test]
fn a_body_that_listens_is_dropped_all_the_same() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        group.spawn(async { Err::<(), _>("failed") });
        let _probe = trace.probe("body");
        task::cancelled().await;
        trace.note("never");
        Ok(())
    }));
    assert_eq!(outcome.unwrap_err().errors, ["failed"]);
    trace.assert(&["body dropped"]);
}

/// TGR-07: once a group's error was handled, the task that awaited it is as it was before.
#[test]
fn after_a_failure_the_parent_goes_on_as_if_nothing_had_been() {
    run(async {
        for _ in 0..3 {
            let outcome: Result<(), _> = task::group(async |group| {
                group.spawn(async { Err::<(), _>(()) });
                pending().await
            })
            .await;
            assert!(outcome.is_err());
            assert_eq!(task::current().unwrap().state, TaskState::Running);
            sleep(SECOND).await;
            assert!(task::cancelled().now_or_never().is_none());
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        }
    });
}

// ─── cancelled from outside ─────────────────────────────────────────────────────────────────────

/// TGR-05: cancelling the parent drops the body, then each child in its own next turn, in order of
/// creation; the parent is cancelled.
#[test]
fn the_parent_is_cancelled_then_the_body_then_each_child_in_its_own_turn() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let mut parent = event_loop.create_task(async move {
        task::group::<(), ()>(async |group| {
            waiting(group, &log, "first");
            waiting(group, &log, "second");
            endless(&log).await
        })
        .await
    });
    turn(&event_loop);
    turn(&event_loop);
    parent.cancel();
    turn(&event_loop);
    trace.assert(&["body dropped"]);
    assert!(parent.try_result().unwrap().unwrap_err().is_cancelled());
    turn(&event_loop);
    trace.assert(&["first dropped", "second dropped"]);
    assert!(event_loop.all_tasks().is_empty());
}

/// TGR-05: the same for a group that waits for its last children, and for one nested in a child: a link an
/// iteration.
#[test]
fn the_parent_is_cancelled_while_leaving_and_a_nested_group_goes_with_its_child() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let parent = event_loop.create_task(async move {
        task::group::<(), _>(async |group| {
            let log = log.clone();
            group.spawn(async move {
                let _probe = log.probe("outer child");
                let nested = task::group::<(), _>(async |group| {
                    waiting(group, &log, "inner child");
                    Ok(())
                });
                nested.await.map_err(drop)
            });
            Ok(())
        })
        .await
    });
    for _ in 0..4 {
        turn(&event_loop);
    }
    parent.cancel();
    turn(&event_loop);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["outer child dropped"]);
    turn(&event_loop);
    trace.assert(&["inner child dropped"]);
    assert!(event_loop.all_tasks().is_empty());
}

/// TGR-05: a parent that listens is told, and ends its group as it sees fit.
#[test]
fn a_parent_that_listens_is_told_and_waits_for_its_children() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let parent = event_loop.create_task(async move {
        let outcome = task::group::<(), ()>(async |group| {
            listening(group, &log, "slow", || Ok(()));
            waiting(group, &log, "child");
            task::cancelled().await;
            log.note("parent told");
            group.cancel();
            pending().await
        })
        .await;
        log.note("over");
        outcome.unwrap_err().is_cancelled()
    });
    turn(&event_loop);
    turn(&event_loop);
    parent.cancel();
    assert!(event_loop.run_until_complete(parent).unwrap().unwrap());
    trace.assert(&["parent told", "slow told", "child dropped", "slow ends", "over"]);
}

/// TGR-06: a cancellation from outside is not lost to an error, whichever came first; the error goes to
/// the exception handler.
#[test]
fn cancelled_and_failed_in_one_iteration_in_both_orders_is_cancelled_and_the_error_reported() {
    for cancelled_first in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        note_reports(&event_loop, &trace);
        let (sender, receiver) = oneshot::channel::<()>();
        let log = trace.clone();
        let mut parent = event_loop.create_task(async move {
            task::group(async |group| {
                group.spawn(async move {
                    let _ = receiver.await;
                    Err::<(), _>("too late")
                });
                endless::<Result<(), _>>(&log).await
            })
            .await
        });
        turn(&event_loop);
        turn(&event_loop);
        if cancelled_first {
            // The child is woken behind the parent, and would fail: it is asked before it can.
            parent.cancel();
            sender.send(()).unwrap();
        } else {
            sender.send(()).unwrap();
            parent.cancel();
        }
        turn(&event_loop);
        turn(&event_loop);
        assert!(parent.try_result().unwrap().unwrap_err().is_cancelled());
        assert!(event_loop.all_tasks().is_empty());
        let message =
            "TaskGroup task error was not propagated because the group was dropped: too late";
        if cancelled_first {
            trace.assert(&["body dropped"]);
        } else {
            trace.assert(&["body dropped", message]);
        }
    }
}

/// TGR-06, TGR-19: what fails on the way out of a group that was dropped is reported, errors and panics.
#[test]
fn what_fails_after_the_parent_is_gone_is_reported() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let log = trace.clone();
    let parent = event_loop.create_task(async move {
        task::group::<io::Error, ()>(async |group| {
            listening(group, &log, "one", || Err(io::Error::other("disk full")));
            listening(group, &log, "two", || panic!("bang"));
            group.spawn::<()>(async {
                let _bomb = Bomb("a destructor");
                pending().await
            });
            pending().await
        })
        .await
    });
    turn(&event_loop);
    turn(&event_loop);
    parent.cancel();
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&[
        "one told",
        "two told",
        "Task exception was never retrieved: a destructor",
        "one ends",
        "TaskGroup task error was not propagated because the group was dropped",
        "two ends",
        "Task exception was never retrieved: bang",
    ]);
}

/// TGR-06: the report says whose error it was, and has the system's error where it was one.
#[test]
fn a_report_names_the_child_and_has_its_error() {
    let event_loop = EventLoop::new().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let reports = Rc::clone(&seen);
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let name = context.task.as_ref().and_then(|task| task.name.clone());
        reports.borrow_mut().push((name, context.error.as_ref().map(ToString::to_string)));
    })));
    event_loop
        .run_until_complete(async {
            let group = task::group::<io::Error, ()>(async |group| {
                group.spawn_named("fetch", async {
                    task::cancelled().await;
                    Err::<(), _>(io::Error::other("disk full"))
                });
                pending().await
            });
            assert!(timeout(Duration::ZERO, group).await.is_err());
            yield_now().await;
            yield_now().await;
        })
        .unwrap();
    // It never began: nobody was there to be told.
    assert_eq!(*seen.borrow(), []);
    event_loop
        .run_until_complete(async {
            let group = task::group::<io::Error, ()>(async |group| {
                group.spawn_named("fetch", async {
                    task::cancelled().await;
                    Err::<(), _>(io::Error::other("disk full"))
                });
                pending().await
            });
            assert!(timeout(Duration::from_millis(1), group).await.is_err());
            yield_now().await;
            yield_now().await;
        })
        .unwrap();
    assert_eq!(*seen.borrow(), [(Some("fetch".to_owned()), Some("disk full".to_owned()))]);
}

/// A time-out around a group reaches its children, through nested groups too: `Elapsed` is reported at
/// once, and each child is dropped in its own next turn.
#[test]
fn a_deadline_is_inherited_through_groups() {
    let trace = Trace::new();
    run(async {
        let began = loopbind::time::now();
        let group = task::group::<(), ()>(async |group| {
            waiting(group, &trace, "child");
            let log = trace.clone();
            group.spawn(async move {
                let nested = task::group::<(), ()>(async |group| {
                    waiting(group, &log, "grandchild");
                    pending().await
                });
                nested.await.map_err(drop)
            });
            endless(&trace).await
        });
        assert!(matches!(timeout(SECOND, group).await, Err(Elapsed)));
        trace.note("elapsed");
        assert_eq!(loopbind::time::now() - began, SECOND);
        yield_now().await;
        yield_now().await;
        yield_now().await;
        trace.note("later");
    });
    trace.assert(&["body dropped", "elapsed", "child dropped", "grandchild dropped", "later"]);
}

/// TGR-17: a time-out that comes while the group is ending itself is not lost.
#[test]
fn a_deadline_that_comes_while_the_group_ends_itself_is_heard() {
    let trace = Trace::new();
    run(async {
        let group = task::group::<&str, ()>(async |group| {
            let log = trace.clone();
            group.spawn::<()>(async move {
                task::cancelled().await;
                log.note("told");
                let _probe = log.probe("slow");
                pending().await
            });
            group.spawn::<()>(async { Err("failed") });
            pending().await
        });
        assert!(matches!(timeout(SECOND, group).await, Err(Elapsed)));
        trace.note("elapsed");
        yield_now().await;
        yield_now().await;
    });
    trace.assert(&["told", "elapsed", "slow dropped"]);
}

/// A group's future that is dropped unpolled never begins; one that is dropped half-way takes its children
/// along, wherever it stands.
#[test]
fn given_up_unpolled_or_half_way() {
    let trace = Trace::new();
    run(async {
        drop(task::group::<(), ()>(async |_| {
            trace.note("never");
            Ok(())
        }));
        let mut group = Box::pin(task::group::<(), ()>(async |group| {
            waiting(group, &trace, "child");
            endless(&trace).await
        }));
        assert!(group.as_mut().now_or_never().is_none());
        yield_now().await;
        drop(group);
        trace.note("given up");
        yield_now().await;
    });
    trace.assert(&["body dropped", "given up", "child dropped"]);
}

// ─── cancelled from inside ──────────────────────────────────────────────────────────────────────

/// TGR-16: `cancel` by the body, by a child and by a stranger ends the group with an empty error;
/// again and afterwards it does nothing.
#[test]
fn cancelled_by_body_child_or_stranger_is_an_empty_error() {
    let trace = Trace::new();
    let mut kept = None;
    let outcome = run(async {
        let by_body = task::group::<(), ()>(async |group| {
            waiting(group, &trace, "child");
            yield_now().await;
            group.cancel();
            group.cancel();
            kept = Some(group.clone());
            endless(&trace).await
        })
        .await;
        trace.note("over");
        kept.unwrap().cancel();
        let by_child = task::group::<(), ()>(async |group| {
            let inner = group.clone();
            group.spawn(async move {
                inner.cancel();
                Ok(())
            });
            endless(&trace).await
        })
        .await;
        trace.note("over");
        let by_stranger = task::group::<(), ()>(async |group| {
            let group = group.clone();
            spawn(async move { group.cancel() }).detach();
            endless(&trace).await
        })
        .await;
        [by_body, by_child, by_stranger]
    });
    for outcome in outcome {
        let error = outcome.unwrap_err();
        assert!(error.is_cancelled() && error.errors.is_empty() && error.panics.is_empty());
    }
    trace.assert(&[
        "child dropped",
        "body dropped",
        "over",
        "body dropped",
        "over",
        "body dropped",
    ]);
}

/// TGR-16: a body that cancels its group and returns gives no value, as a task that cancels itself and
/// returns; what fails on the way out is in the error.
#[test]
fn cancelled_then_returned_has_no_value_and_late_failures_count() {
    let trace = Trace::new();
    let outcome = run(task::group(async |group| {
        group.cancel();
        Ok::<_, ()>(trace.probe("value"))
    }));
    assert!(outcome.is_err_and(|error| error.is_cancelled()));
    trace.assert(&["value dropped"]);
    let outcome: Result<(), _> = run(task::group(async |group| {
        listening(group, &trace, "slow", || Err("cleanup failed"));
        yield_now().await;
        group.cancel();
        Ok(())
    }));
    assert_eq!(outcome.unwrap_err().errors, ["cleanup failed"]);
    trace.assert(&["slow told", "slow ends"]);
}

/// `cancel_children` ends those there are, and the group goes on.
#[test]
fn the_children_are_cancelled_and_the_group_goes_on() {
    let trace = Trace::new();
    let outcome = run(task::group::<(), _>(async |group| {
        waiting(group, &trace, "first");
        waiting(group, &trace, "second");
        yield_now().await;
        group.cancel_children();
        yield_now().await;
        assert!(group.is_empty());
        Ok(group.spawn(async { Ok(7) }).await.unwrap().unwrap())
    }));
    assert_eq!(outcome.unwrap(), 7);
    trace.assert(&["first dropped", "second dropped"]);
}

// ─── too late ───────────────────────────────────────────────────────────────────────────────────

/// TGR-08: a child that comes while the group is ending, or after its end, never begins: its future is
/// dropped, and its task is over at once, with an error that says why.
#[test]
fn spawned_into_a_group_that_is_ending_or_over_is_an_error_at_once() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let log = trace.clone();
    event_loop
        .run_until_complete(async {
            let mut kept = None;
            let outcome = task::group::<(), ()>(async |group| {
                kept = Some(group.clone());
                group.cancel();
                let mut late = waiting(group, &log, "while ending");
                log.note("spawned");
                assert!(late.try_result().unwrap().unwrap_err().is_cancelled());
                Ok(())
            })
            .await;
            assert!(outcome.unwrap_err().is_cancelled());
            let group = kept.unwrap();
            let mut late = waiting(&group, &log, "after the end");
            assert!(late.is_finished() && group.is_empty());
            let error = late.try_result().unwrap().unwrap_err();
            assert!(matches!(error, TaskError::GroupEnded));
            assert_eq!(error.to_string(), "the task group has ended: it takes no more children");
            let bomb = Bomb("a late destructor");
            let late = group.spawn::<()>(async move {
                let _bomb = bomb;
                Ok(())
            });
            assert!(matches!(late.await, Err(TaskError::GroupEnded)));
        })
        .unwrap();
    trace.assert(&[
        "while ending dropped",
        "spawned",
        "after the end dropped",
        "exception in the destructor of a future: a late destructor",
    ]);
}

/// TGR-08: the destructors of a body and of children that are dropped may spawn: refused as well.
#[test]
fn destructors_that_spawn_into_their_group_are_refused() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        let (one, other, log) = (group.clone(), group.clone(), trace.clone());
        group.spawn::<()>(async move {
            let _late = on_drop(move || drop(waiting(&one, &log, "late child's")));
            pending().await
        });
        group.spawn(async { Err::<(), _>("failed") });
        let _late = on_drop(|| drop(waiting(&other, &trace, "late body's")));
        pending().await
    }));
    assert_eq!(outcome.unwrap_err().errors, ["failed"]);
    trace.assert(&["late child's dropped", "late body's dropped"]);
}

/// TGR-08: each destructor starts the next: they are dropped one after the other, not one inside the other
/// until the stack is full, and whoever was refused first comes back.
#[test]
fn destructors_that_spawn_without_end_end() {
    fn again(group: &TaskGroup<()>, count: &Rc<Cell<usize>>) {
        count.set(count.get() + 1);
        let (next, counted) = (group.clone(), Rc::clone(count));
        let guard = on_drop(move || again(&next, &counted));
        let child = group.spawn(async move {
            let _guard = guard;
            pending::<Result<(), ()>>().await
        });
        assert!(child.is_finished() || count.get() == 1, "refused, all but the first");
    }
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let count = Rc::new(Cell::new(0));
    let waiting = timeout(
        SECOND,
        task::group::<(), ()>(async |group| {
            again(group, &count);
            pending().await
        }),
    );
    event_loop
        .run_until_complete(async {
            waiting.await.unwrap_err();
            yield_now().await;
        })
        .unwrap();
    assert!(count.get() > 100_000, "{}", count.get());
    trace.assert(&[
        "destructors go on starting children without end; what they start now is leaked",
    ]);
}

/// TGR-12: a group needs no task, and no loop until it starts a child; then it says what `spawn` says, as
/// a panic of the body.
#[test]
fn outside_of_a_run_it_works_until_it_starts_a_child() {
    assert_eq!(task::group::<(), _>(async |_| Ok(1)).now_or_never().unwrap().unwrap(), 1);
    let outcome = task::group::<(), ()>(async |group| {
        group.spawn(ready(Ok(()))).detach();
        Ok(())
    });
    let error = outcome.now_or_never().unwrap().unwrap_err();
    assert_eq!(messages(&error.panics), ["no running event loop"]);
}

/// TGR-12: under a foreign executor inside a run, a group's children are the loop's.
#[test]
fn polled_by_a_combinator_with_wakers_of_its_own() {
    let values = run(join_all([3, 1, 2].map(|seconds| {
        task::group::<(), _>(async move |group| {
            let child = group.spawn(async move {
                sleep(Duration::from_secs(seconds)).await;
                Ok(seconds)
            });
            Ok(child.await.unwrap().unwrap())
        })
        .map(Result::unwrap)
    })));
    assert_eq!(values, [3, 1, 2]);
}

// ─── nesting, names, order ──────────────────────────────────────────────────────────────────────

/// TGR-10: an inner failure is a group in the outer one's; an outer failure ends the inner group without
/// adding an error.
#[test]
fn nested_groups_pass_failures_up_and_ends_down() {
    #[derive(Debug)]
    enum Error {
        Plain(&'static str),
        Nested(GroupError<&'static str>),
    }
    let outcome: Result<(), _> = run(task::group(async |group| {
        group.spawn(async {
            let inner: Result<(), _> = task::group(async |group| {
                group.spawn(async { Err::<(), _>("inner") });
                pending().await
            })
            .await;
            inner.map_err(Error::Nested)
        });
        let _: Result<(), Error> = pending().await;
        Ok(())
    }));
    let error = outcome.unwrap_err();
    assert!(matches!(&error.errors[..], [Error::Nested(inner)] if inner.errors == ["inner"]));

    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        let log = trace.clone();
        group.spawn(async move {
            let inner = task::group::<&str, ()>(async |group| {
                waiting(group, &log, "innermost");
                pending().await
            });
            inner.await.map_err(Error::Nested)
        });
        group.spawn(async {
            sleep(SECOND).await;
            Err::<(), _>(Error::Plain("outer"))
        });
        pending().await
    }));
    let error = outcome.unwrap_err();
    assert!(matches!(error.errors[..], [Error::Plain("outer")]));
    // Of what ended down there the outer group did not wait: it is the inner group's, which was dropped.
    trace.assert(&["innermost dropped"]);
}

/// TGR-14: children are asked to end in order of creation, whatever became of some of them.
#[test]
fn children_are_cancelled_in_order_of_creation() {
    let trace = Trace::new();
    let outcome = run(task::group::<(), ()>(async |group| {
        let names = ["0", "1", "2", "3", "4", "5"];
        let tasks = names.map(|name| waiting(group, &trace, name));
        yield_now().await;
        tasks[1].cancel();
        tasks[4].cancel();
        yield_now().await;
        trace.assert(&["1 dropped", "4 dropped"]);
        waiting(group, &trace, "6");
        yield_now().await;
        group.cancel();
        pending().await
    }));
    assert!(outcome.is_err());
    trace.assert(&["0 dropped", "2 dropped", "3 dropped", "5 dropped", "6 dropped"]);
}

/// TGR-15: names pass through, and so do the place and the context.
#[test]
fn children_have_the_names_and_places_they_were_given() {
    static DEPTH: ContextVar<u32> = ContextVar::new("depth");
    run(task::group::<(), _>(async |group| {
        DEPTH.set(7);
        let inherited = group.spawn(async { Ok(DEPTH.get()) });
        assert_eq!(inherited.await.unwrap().unwrap(), Some(7));
        let line = line!() + 1;
        let named = group.spawn_named("fetch", ready(Ok(())));
        let plain = group.spawn(ready(Ok(())));
        assert_eq!((named.name().as_deref(), plain.name()), (Some("fetch"), None));
        for (task, line) in [(named, line), (plain, line + 1)] {
            let info = task.info();
            assert_eq!((info.spawned_at.file(), info.spawned_at.line()), (file!(), line));
            assert_eq!(info.parent, Some(task::current().unwrap().id));
        }
        Ok(())
    }))
    .unwrap();
}

/// What a group and its errors show of themselves.
#[test]
fn shown_in_asyncios_words() {
    let error: GroupError<String> = run(task::group::<_, ()>(async |group| {
        assert_eq!(format!("{group:?}"), "TaskGroup { children: 0, phase: Open, .. }");
        group.spawn(async { Err::<(), _>("no tea".to_owned()) });
        group.spawn(async {
            task::cancelled().await;
            Ok(())
        });
        pending().await
    }))
    .unwrap_err();
    assert_eq!(error.to_string(), "unhandled errors in a TaskGroup");
    assert_eq!(
        error.details().to_string(),
        "unhandled errors in a TaskGroup (1 sub-exception)\n  error: no tea"
    );
    let line = line!() + 2;
    let error = run(task::group::<&str, ()>(async |group| {
        group.spawn_named::<()>("pot", async { panic!("it broke") });
        pending().await
    }))
    .unwrap_err();
    let shown = error.details().to_string();
    let (first, last) = shown.rsplit_once('\n').unwrap();
    assert_eq!(first, "unhandled errors in a TaskGroup (1 sub-exception)\n  panic: it broke");
    let place = format!("), finished, spawned at {}:{line}:", file!());
    assert!(last.starts_with("    in 'pot' (Task-") && last.contains(&place), "{last}");
    let none = GroupError::<String> { errors: Vec::new(), panics: Vec::new() };
    assert_eq!(none.details().to_string(), "the TaskGroup was cancelled");
    assert_eq!(ChildFailed.to_string(), "the task group's child failed");
    let _: &dyn std::error::Error = &error;
}

// ─── at most so many at once ────────────────────────────────────────────────────────────────────

/// A group's children, and who of them runs.
#[derive(Clone, Default)]
struct Crowd {
    trace: Trace,
    running: Rc<Cell<usize>>,
    most: Rc<Cell<usize>>,
}

impl Crowd {
    async fn stay(self, name: usize, seconds: u64) -> Result<(), ()> {
        self.trace.note(format!("{name} begins"));
        self.running.set(self.running.get() + 1);
        self.most.set(self.most.get().max(self.running.get()));
        let running = Rc::clone(&self.running);
        let _leaves = on_drop(move || running.set(running.get() - 1));
        sleep(Duration::from_secs(seconds)).await;
        self.trace.note(format!("{name} ends"));
        Ok(())
    }
}

/// At most so many run; the others begin in the order in which they came, each when one has left.
#[test]
fn bounded_then_begun_in_order_as_others_leave() {
    let crowd = Crowd::default();
    run(task::group(async |group| {
        group.limit(2);
        for (name, seconds) in [3, 1, 1, 1].into_iter().enumerate() {
            group.spawn(crowd.clone().stay(name, seconds));
        }
        assert_eq!(group.len(), 4, "who waits is a child");
        Ok(())
    }))
    .unwrap();
    assert_eq!(crowd.most.get(), 2);
    crowd.trace.assert(&[
        "0 begins", "1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "0 ends", "3 ends",
    ]);
}

/// A higher bound lets in at once who waits, a lower one sends nobody out.
#[test]
fn the_bound_is_raised_and_lowered_while_they_run() {
    let crowd = Crowd::default();
    run(task::group(async |group| {
        group.limit(1);
        for name in 0..5 {
            group.spawn(crowd.clone().stay(name, 10));
        }
        yield_now().await;
        crowd.trace.assert(&["0 begins"]);
        group.limit(3);
        yield_now().await;
        crowd.trace.assert(&["1 begins", "2 begins"]);
        group.limit(1);
        sleep(Duration::from_secs(15)).await;
        crowd.trace.assert(&["0 ends", "1 ends", "2 ends", "3 begins"]);
        Ok(())
    }))
    .unwrap();
    assert_eq!(crowd.most.get(), 3);
}

/// Who is cancelled while waiting never begins, and holds nobody up; neither does one whose turn had
/// come in the same iteration.
#[test]
fn cancelled_while_waiting_and_called_then_cancelled() {
    let (event_loop, crowd) = (virtual_loop(), Crowd::default());
    let shared = crowd.clone();
    event_loop
        .run_until_complete(task::group(async |group| {
            group.limit(1);
            let tasks: Vec<_> = (0..4)
                .map(|name| {
                    let stay = shared.clone().stay(name, 1);
                    group.spawn(stay)
                })
                .collect();
            yield_now().await;
            tasks[1].cancel();
            // Wakes together with the first, behind it: the second was called by then.
            sleep(SECOND).await;
            tasks[2].cancel();
            Ok(())
        }))
        .unwrap()
        .unwrap();
    crowd.trace.assert(&["0 begins", "0 ends", "3 begins", "3 ends"]);
}

/// When the group ends, who waits for a place never begins.
#[test]
fn a_failure_ends_those_that_wait_unbegun() {
    let trace = Trace::new();
    let outcome: Result<(), _> = run(task::group(async |group| {
        group.limit(1);
        group.spawn(async {
            sleep(SECOND).await;
            Err::<(), _>("failed")
        });
        for name in ["one", "two"] {
            let (log, probe) = (trace.clone(), trace.probe(name));
            group.spawn(async move {
                let _probe = probe;
                log.note("never");
                Ok(())
            });
        }
        pending().await
    }));
    assert_eq!(outcome.unwrap_err().errors, ["failed"]);
    trace.assert(&["one dropped", "two dropped"]);
}

/// A bound of nothing is refused: nobody would ever run.
#[test]
fn a_bound_of_zero_is_refused() {
    let outcome = run(task::group::<(), ()>(async |group| {
        assert_eq!(panic_of(|| group.limit(0)), "a limit of 0 would let no child run: at least 1");
        Ok(())
    }));
    outcome.unwrap();
}

// ─── destructors, wakers, the loop's end ────────────────────────────────────────────────────────

/// Destructors that panic are the group's: of a child that was cancelled, of one that had its value, of the
/// body, and of its value. All are given.
#[test]
fn destructors_that_panic_are_given_with_the_rest() {
    fn bombed(group: &TaskGroup<()>, text: &'static str, end: impl Future<Output = ()> + 'static) {
        group.spawn(async move {
            let _bomb = Bomb(text);
            end.await;
            Ok(())
        });
    }
    /// What panics as it is dropped, after its own end.
    struct Late(&'static str);
    impl Future for Late {
        type Output = Result<u32, ()>;
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(7))
        }
    }
    impl Drop for Late {
        fn drop(&mut self) {
            panic!("{}", self.0);
        }
    }
    let mut late = None;
    let outcome = run(task::group::<(), ()>(async |group| {
        bombed(group, "cancelled", pending());
        bombed(group, "cancelled too", pending());
        late = Some(group.spawn(Late("after its value")));
        let _bomb = Bomb("body");
        pending().await
    }));
    let error = outcome.unwrap_err();
    assert_eq!(messages(&error.panics), ["after its value", "cancelled", "cancelled too", "body"]);
    assert!(matches!(late.unwrap().try_result(), Some(Ok(Err(ChildFailed)))));

    let outcome = run(task::group::<&str, _>(async |group| {
        group.spawn(async {
            yield_now().await;
            Err::<(), _>("failed")
        });
        Ok(Bomb("an unwanted value"))
    }));
    let Err(error) = outcome else { panic!("it failed") };
    assert_eq!(
        (error.errors, messages(&error.panics)),
        (vec!["failed"], vec!["an unwanted value"])
    );
}

/// TGR-19: errors whose destructors panic are reported as the others are, one by one, those of a group
/// that is given up because its task panics too; and the rest goes as ever.
#[test]
fn errors_that_panic_as_they_are_dropped_are_reported() {
    struct Fuse(&'static str);
    impl Drop for Fuse {
        fn drop(&mut self) {
            panic!("{} goes off", self.0);
        }
    }
    for panics in [false, true] {
        let (event_loop, trace) = (virtual_loop(), Trace::new());
        note_reports(&event_loop, &trace);
        let log = trace.clone();
        let mut parent = event_loop.create_task(async move {
            let mut group = pin!(task::group::<Fuse, ()>(async |group| {
                group.spawn::<()>(async {
                    yield_now().await;
                    Err(Fuse("one"))
                });
                group.spawn::<()>(async {
                    task::cancelled().await;
                    Err(Fuse("two"))
                });
                let probe = log.probe("three");
                group.spawn::<()>(async move {
                    let _probe = probe;
                    task::cancelled().await;
                    pending().await
                });
                endless(&log).await
            }));
            for _ in 0..6 {
                assert!(futures::poll!(group.as_mut()).is_pending());
                yield_now().await;
            }
            assert!(!panics, "the parent fails");
            pending::<()>().await
        });
        for _ in 0..7 {
            turn(&event_loop);
        }
        assert_eq!(parent.is_finished(), panics);
        parent.cancel();
        turn(&event_loop);
        turn(&event_loop);
        let outcome = parent.try_result().unwrap();
        assert_eq!(outcome.unwrap_err().is_cancelled(), !panics);
        let untold = "TaskGroup task error was not propagated because the group was dropped";
        let [one, two] = ["one", "two"].map(|name| format!("{untold}: {name} goes off"));
        trace.assert(&["body dropped", &one, &two, "three dropped"]);
        assert!(event_loop.all_tasks().is_empty());
    }
}

/// A waker that panics as the group wakes it is reported, and the children end as ever.
#[test]
fn a_waker_that_panics_is_reported_and_hurts_nobody() {
    struct Mine;
    impl Wake for Mine {
        fn wake(self: Arc<Self>) {
            panic!("a waker of mine");
        }
    }
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let outcome = event_loop
        .run_until_complete(async {
            let waker = Waker::from(Arc::new(Mine));
            let mut group = pin!(task::group(async |group| {
                group.spawn(async { Err::<(), _>("failed") });
                waiting(group, &trace, "child");
                pending::<Result<(), _>>().await
            }));
            assert!(group.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            yield_now().await;
            yield_now().await;
            group.await
        })
        .unwrap();
    assert_eq!(outcome.unwrap_err().errors, ["failed"]);
    trace.assert(&["exception in a waker: a waker of mine", "child dropped"]);
}

/// The loop is closed with a group alive: everything is dropped once, in order of creation, what had
/// failed is reported, and who spawns meanwhile is told that the loop is closed.
#[test]
fn the_loop_closes_with_groups_alive() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let log = trace.clone();
    let parent = event_loop.create_task(async move {
        task::group::<&str, ()>(async |group| {
            waiting(group, &log, "first");
            let inner = group.clone();
            group.spawn::<()>(async move {
                let _keeps = inner;
                let _bomb = Bomb("second");
                pending().await
            });
            group.limit(2);
            waiting(group, &log, "waits");
            endless(&log).await
        })
        .await
    });
    turn(&event_loop);
    turn(&event_loop);
    event_loop.close().unwrap();
    assert!(parent.is_finished());
    trace.assert(&[
        "body dropped",
        "first dropped",
        "Task exception was never retrieved: second",
        "waits dropped",
    ]);
}

/// A group's own state goes with its last handle: no cycle keeps it.
#[test]
fn nothing_keeps_a_group_that_is_over() {
    let kept = Rc::new(());
    let weak = Rc::downgrade(&kept);
    let error = run(async move {
        let outcome: Result<(), _> = task::group(async |group| {
            let inner = group.clone();
            group.spawn::<()>(async move {
                let _inner = inner;
                pending().await
            });
            group.spawn(async move { Err::<(), _>(kept) });
            pending().await
        })
        .await;
        outcome.unwrap_err()
    });
    assert_eq!(weak.strong_count(), 1, "in the error");
    drop(error);
    assert_eq!(weak.strong_count(), 0);
}

/// The same where its future is dropped half-way, with a failure in it and a child that cleans up.
#[test]
fn nothing_keeps_a_group_that_was_given_up() {
    let kept = Rc::new(());
    let weak = Rc::downgrade(&kept);
    let event_loop = virtual_loop();
    event_loop.set_exception_handler(Some(Box::new(|_, _| {})));
    event_loop
        .run_until_complete(async move {
            let group = task::group::<Rc<()>, ()>(async |group| {
                let (inner, mine) = (group.clone(), Rc::clone(&kept));
                group.spawn(async move {
                    task::cancelled().await;
                    yield_now().await;
                    drop(inner);
                    Err::<(), _>(mine)
                });
                group.spawn(async move { Err::<(), _>(kept) });
                pending().await
            });
            let mut group = Box::pin(group);
            assert!(group.as_mut().now_or_never().is_none());
            yield_now().await;
            drop(group);
            yield_now().await;
            yield_now().await;
            yield_now().await;
        })
        .unwrap();
    assert_eq!(weak.strong_count(), 0);
    assert!(event_loop.all_tasks().is_empty());
}

// ─── many ───────────────────────────────────────────────────────────────────────────────────────

/// A hundred thousand children: all run, and all end together.
#[test]
fn a_hundred_thousand_children_end_well_and_end_together() {
    const MANY: usize = 100_000;
    let count = Rc::new(Cell::new(0));
    let shared = Rc::clone(&count);
    run(task::group::<(), _>(async |group| {
        for _ in 0..MANY {
            let count = Rc::clone(&shared);
            group.spawn(async move {
                count.set(count.get() + 1);
                Ok(())
            });
        }
        assert_eq!(group.len(), MANY);
        Ok(())
    }))
    .unwrap();
    assert_eq!(count.take(), MANY);

    let event_loop = virtual_loop();
    let outcome = event_loop.run_until_complete(task::group::<_, ()>(async |group| {
        group.limit(MANY / 2);
        for _ in 0..MANY {
            let count = Rc::clone(&count);
            group.spawn::<()>(async move {
                let _ended = on_drop(move || count.set(count.get() + 1));
                pending().await
            });
        }
        group.spawn_named("never begins", async { Err::<(), _>("never") });
        yield_now().await;
        Err("failed")
    }));
    assert_eq!(outcome.unwrap().unwrap_err().errors, ["failed"]);
    assert_eq!(count.get(), MANY / 2, "half of them had begun");
    assert!(event_loop.all_tasks().is_empty());
}

/// Groups in groups in groups, a hundred deep, end link by link from the outside.
#[test]
fn a_hundred_groups_deep() {
    async fn nest(trace: Trace, depth: usize) -> Result<(), ()> {
        task::group::<(), ()>(async |group| {
            let _probe = (depth % 50 == 0).then(|| trace.probe(format!("{depth}")));
            if depth > 0 {
                group.spawn(nest(trace.clone(), depth - 1));
            }
            pending().await
        })
        .await
        .map_err(drop)
    }
    let trace = Trace::new();
    let event_loop = virtual_loop();
    let outcome = event_loop.run_until_complete(timeout(SECOND, nest(trace.clone(), 100))).unwrap();
    assert!(outcome.is_err());
    for _ in 0..101 {
        turn(&event_loop);
    }
    trace.assert(&["100 dropped", "50 dropped", "0 dropped"]);
    assert!(event_loop.all_tasks().is_empty());
}

/// Everybody cancels everybody, from bodies, destructors and done-callbacks: each ends once.
#[test]
fn a_storm_of_cancellations_ends_each_once() {
    let trace = Trace::new();
    let outcome = run(task::group::<(), ()>(async |group| {
        let tasks: Rc<RefCell<Vec<Task<_>>>> = Rc::default();
        for _ in 0..50 {
            let (inner, all, log) = (group.clone(), Rc::clone(&tasks), trace.clone());
            let task = group.spawn::<()>(async move {
                let storm = inner.clone();
                let _storm = on_drop(move || {
                    log.note("ends");
                    storm.cancel();
                    storm.cancel_children();
                    all.borrow().iter().for_each(|task| _ = task.cancel());
                });
                yield_now().await;
                inner.cancel();
                inner.cancel_children();
                pending().await
            });
            let again = group.clone();
            task.add_done_callback(move || again.cancel());
            tasks.borrow_mut().push(task);
        }
        pending().await
    }));
    assert!(outcome.unwrap_err().is_cancelled());
    assert_eq!(trace.take().len(), 50);
}

/// The same program gives the same outcome in every order: what is asserted holds for any seed.
#[test]
fn in_any_order_all_failures_are_given_once() {
    for seed in support::programs(0..64) {
        let event_loop = EventLoop::builder().virtual_time(true).shuffle(seed).build().unwrap();
        let outcome = event_loop.run_until_complete(task::group::<_, ()>(async |group| {
            group.limit(3);
            for number in 0..10 {
                group.spawn::<()>(async move {
                    yield_now().await;
                    if number % 2 == 0 {
                        task::cancelled().await;
                        return Err(number);
                    }
                    sleep(SECOND).await;
                    Err(number)
                });
            }
            // Where those who got in all wait to be told.
            sleep(SECOND * 2).await;
            Err(99)
        }));
        let errors = outcome.unwrap().unwrap_err().errors;
        assert!(errors[0] % 2 == 1, "{seed}: {errors:?}");
        assert!(errors[1..].iter().all(|number| number % 2 == 0), "{seed}: {errors:?}");
        let once: std::collections::BTreeSet<_> = errors.iter().collect();
        assert!(once.len() == errors.len() && once.len() <= 4, "{seed}: {errors:?}");
        assert!(event_loop.all_tasks().is_empty());
    }
}
