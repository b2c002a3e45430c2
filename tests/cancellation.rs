//! Cancellation: a request that lands in the task's own turn, travels along awaits one task per
//! iteration, can be heard by who listens, and never runs a destructor inside the call that asks.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use futures::channel::oneshot;
use futures::{FutureExt, select_biased};
use loopbind::task::AbortHandle;
use loopbind::{EventLoop, Task, TaskState, sleep, spawn, task, yield_now};
use support::{Trace, note_reports, on_drop, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

/// A task that never ends, with a probe of that name in its future.
fn waiting(event_loop: &EventLoop, trace: &Trace, name: &'static str) -> Task<()> {
    let probe = trace.probe(name);
    event_loop.create_task(async move {
        let _probe = probe;
        pending().await
    })
}

fn is_cancelled<T>(task: &mut Task<T>) -> bool {
    task.try_result().is_some_and(|outcome| outcome.is_err_and(|error| error.is_cancelled()))
}

// ─── when it lands ──────────────────────────────────────────────────────────────────────────────

/// CAN-01: a request returns true and drops nothing; the task ends in its own next turn.
#[test]
fn asked_then_dropped_in_the_next_turn_never_inside_the_call() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut task = waiting(&event_loop, &trace, "future");
    turn(&event_loop);
    assert!(task.cancel());
    trace.note("asked");
    assert!(!task.is_finished());
    assert_eq!(task.info().state, TaskState::Cancelling);
    turn(&event_loop);
    trace.assert(&["asked", "future dropped"]);
    assert!(is_cancelled(&mut task));
}

/// CAN-01: asked from inside the loop, it lands in the next iteration, behind what was ready.
#[test]
fn asked_by_a_callback_lands_in_the_next_iteration_behind_what_was_ready() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = waiting(&event_loop, &trace, "future");
    turn(&event_loop);
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop.call_soon(move || {
        same.call_soon(log.noting("before"));
        task.cancel();
        same.call_soon(log.noting("after"));
        log.note("asked");
    });
    turn(&event_loop);
    trace.assert(&["asked"]);
    turn(&event_loop);
    trace.assert(&["before", "future dropped", "after"]);
}

/// CAN-02: a task cancelled before its first step never runs any of its body, and what it captured
/// is dropped.
#[test]
fn cancelled_before_its_first_step_never_starts() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for ask in [Task::cancel, Task::abort] {
        let (probe, log) = (trace.probe("capture"), trace.clone());
        let mut task = event_loop.create_task(async move {
            let _guard = on_drop(|| log.note("finally"));
            log.note("started");
            drop(probe);
        });
        assert!(ask(&task));
        turn(&event_loop);
        trace.assert(&["capture dropped"]);
        assert!(is_cancelled(&mut task));
    }
}

/// CAN-03: asking a finished task returns false, whatever its outcome, and changes nothing.
#[test]
fn asked_after_the_end_returns_false_and_changes_nothing() {
    let event_loop = EventLoop::new().unwrap();
    let mut value = event_loop.create_task(ready(7));
    let mut cancelled = event_loop.create_task(pending::<()>());
    let mut panicked = event_loop.create_task(async { panic!("mine") });
    cancelled.cancel();
    turn(&event_loop);
    assert!(
        ![value.cancel(), value.abort(), cancelled.cancel(), panicked.cancel()].contains(&true)
    );
    turn(&event_loop);
    assert_eq!(value.try_result().unwrap().unwrap(), 7);
    assert!(is_cancelled(&mut cancelled));
    assert!(panicked.try_result().unwrap().unwrap_err().into_panic().is_ok());
}

/// Asked twice, and asked and aborted, in one iteration: dropped once.
#[test]
fn asked_twice_or_asked_and_aborted_drops_once() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = waiting(&event_loop, &trace, "future");
    turn(&event_loop);
    assert!(task.cancel() && task.cancel() && task.abort());
    turn(&event_loop);
    assert!(task.is_finished() && !task.cancel());
    turn(&event_loop);
    trace.assert(&["future dropped"]);
}

/// CAN-08: a task that asks itself to end and returns without suspending is cancelled: its value is
/// dropped.
#[test]
fn asked_by_itself_then_returned_is_cancelled_and_its_value_dropped() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let own: Rc<RefCell<Option<Task<_>>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        assert!(shared.borrow().as_ref().unwrap().cancel());
        log.note("returns");
        log.probe("value")
    }));
    turn(&event_loop);
    trace.assert(&["returns", "value dropped"]);
    assert!(is_cancelled(own.borrow_mut().as_mut().unwrap()));
}

/// CAN-09: a request of the task's own lands at the next real suspension: awaiting what is done is
/// none, giving way is one.
#[test]
fn asked_by_itself_lands_at_the_next_real_suspension() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let done = event_loop.create_task(ready(()));
    turn(&event_loop);
    let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        let _probe = log.probe("future");
        shared.borrow().as_ref().unwrap().cancel();
        done.await.unwrap();
        log.note("awaited what was done");
        yield_now().await;
        log.note("never");
    }));
    turn(&event_loop);
    trace.assert(&["awaited what was done"]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
}

/// CAN-10: a task that was woken and is asked before it runs, or the other way round, is cancelled:
/// the value it was woken for is lost to it.
#[test]
fn woken_then_asked_and_asked_then_woken_is_cancelled() {
    for woken_first in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (sender, receiver) = oneshot::channel();
        let mark = trace.noting("resumed");
        let mut task = event_loop.create_task(async move {
            let value: u32 = receiver.await.unwrap();
            mark();
            value
        });
        turn(&event_loop);
        if woken_first {
            sender.send(7).unwrap();
            task.cancel();
        } else {
            task.cancel();
            sender.send(7).unwrap();
        }
        turn(&event_loop);
        trace.assert(&[]);
        assert!(is_cancelled(&mut task));
    }
}

/// CAN-11: giving way is a suspension like any other.
#[test]
fn cancelled_while_it_gives_way() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        let _probe = log.probe("future");
        sleep(Duration::ZERO).await;
        log.note("never");
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    assert!(is_cancelled(&mut task));
}

/// Asked during the poll, by somebody the poll calls: dropped after it, in the next turn.
#[test]
fn asked_during_the_poll_is_dropped_in_the_next_turn() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for ask in [Task::cancel, Task::abort] {
        let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
        let (shared, log) = (Rc::clone(&own), trace.clone());
        *own.borrow_mut() = Some(event_loop.create_task(async move {
            let _probe = log.probe("future");
            ask(shared.borrow().as_ref().unwrap());
            log.note("still here");
            pending::<()>().await;
        }));
        turn(&event_loop);
        trace.assert(&["still here"]);
        turn(&event_loop);
        trace.assert(&["future dropped"]);
    }
}

/// TSK-21: a panic wins over a cancellation that was asked for in the same poll.
#[test]
fn asked_by_itself_then_panicked_is_panicked() {
    let event_loop = EventLoop::new().unwrap();
    let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let shared = Rc::clone(&own);
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        shared.borrow().as_ref().unwrap().cancel();
        panic!("mine");
    }));
    turn(&event_loop);
    let outcome = own.borrow_mut().as_mut().unwrap().try_result().unwrap();
    assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: mine");
}

/// A cancelled task tells who awaits it, and its done-callbacks, like any end.
#[test]
fn cancelled_then_callbacks_and_waiter_hear_of_it() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut task = event_loop.create_task(pending::<()>());
    task.add_done_callback(trace.noting("callback"));
    task.cancel();
    let outcome = event_loop.run_until_complete(&mut task).unwrap();
    assert_eq!(outcome.unwrap_err().to_string(), "the task was cancelled");
    trace.assert(&["callback"]);
}

/// Who awaits a task that was asked hears of it only once the future is gone, with all its destructors,
/// nested ones too.
#[test]
fn who_awaits_hears_of_it_once_the_future_is_gone() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    event_loop
        .run_until_complete(async move {
            let inner = log.clone();
            let task = spawn(async move {
                let _outer = inner.probe("outer");
                let nested = async {
                    let (_first, _second) = (inner.probe("second"), inner.probe("first"));
                    pending::<()>().await;
                };
                nested.await;
            });
            yield_now().await;
            task.cancel();
            log.note("asked");
            log.note(format!("{:?}", task.await.unwrap_err()));
        })
        .unwrap();
    trace.assert(&["asked", "first dropped", "second dropped", "outer dropped", "Cancelled"]);
}

/// Completion and a request in one iteration: what was ready to run before the request runs first and has
/// its value; asked first, the task is dropped.
#[test]
fn done_and_asked_in_one_iteration_is_decided_by_who_runs_first() {
    for asked_first in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let task = Rc::new(RefCell::new(None));
        let (shared, log) = (Rc::clone(&task), trace.clone());
        let ask = move || {
            let asked = shared.borrow().as_ref().map(Task::<u32>::cancel).unwrap();
            log.note(format!("asked: {asked}"));
        };
        let mut ask = Some(ask);
        if asked_first {
            event_loop.call_soon(ask.take().unwrap());
        }
        let log = trace.clone();
        *task.borrow_mut() = Some(event_loop.create_task(async move {
            log.note("done");
            7
        }));
        if let Some(ask) = ask {
            event_loop.call_soon(ask);
        }
        turn(&event_loop);
        turn(&event_loop);
        trace.assert(if asked_first { &["asked: true"] } else { &["done", "asked: false"] });
        let outcome = task.borrow_mut().as_mut().unwrap().try_result().unwrap();
        assert_eq!(outcome.is_ok(), !asked_first);
    }
}

/// Asked from a done-callback of another: it lands in the next iteration, like any request of a callback.
#[test]
fn asked_from_a_done_callback_lands_in_the_next_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = waiting(&event_loop, &trace, "future");
    let first = event_loop.create_task(ready(()));
    let log = trace.clone();
    first.add_done_callback(move || log.note(format!("asked: {}", task.cancel())));
    turn(&event_loop);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["asked: true"]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
}

/// Asked from a done-callback of its own: over, so false.
#[test]
fn asked_from_its_own_done_callback_is_too_late() {
    let event_loop = EventLoop::new().unwrap();
    let task = Rc::new(event_loop.create_task(ready(())));
    let (shared, seen) = (Rc::clone(&task), Rc::new(Cell::new(None)));
    let answer = Rc::clone(&seen);
    task.add_done_callback(move || answer.set(Some(shared.cancel())));
    turn(&event_loop);
    turn(&event_loop);
    assert_eq!(seen.get(), Some(false));
}

/// A destructor that runs because of a cancellation may use the loop, and everything in it.
#[test]
fn the_destructor_of_a_cancelled_future_may_use_the_loop() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let other = waiting(&event_loop, &trace, "other");
    let log = trace.clone();
    let guard = on_drop(move || {
        let event_loop = loopbind::get_running_loop().unwrap();
        assert!(loopbind::get_event_loop().unwrap() == event_loop);
        let all = event_loop.all_tasks().len();
        let mark = log.noting("spawned");
        spawn(async move { mark() }).detach();
        event_loop.call_soon(log.noting("scheduled"));
        other.cancel();
        assert!(event_loop.close().is_err() && event_loop.run_forever().is_err());
        log.note(format!("dropped among {all} tasks"));
    });
    let task = event_loop.create_task(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["dropped among 2 tasks"]);
    turn(&event_loop);
    trace.assert(&["spawned", "scheduled", "other dropped"]);
}

/// A cancelled task whose destructor wakes it, cancels it and drops its handle ends once.
#[test]
fn a_destructor_that_wakes_cancels_and_drops_its_own_task_ends_it_once() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let shared = Rc::clone(&own);
    let waker: Rc<Cell<Option<Waker>>> = Rc::default();
    let kept = Rc::clone(&waker);
    let log = trace.clone();
    let guard = on_drop(move || {
        waker.take().unwrap().wake();
        let handle = shared.borrow_mut().take().unwrap();
        handle.cancel();
        handle.abort();
        drop(handle);
        log.note("dropped");
    });
    *own.borrow_mut() = Some(event_loop.create_task(poll_fn(move |cx| {
        let _guard = &guard;
        kept.set(Some(cx.waker().clone()));
        Poll::<()>::Pending
    })));
    turn(&event_loop);
    own.borrow().as_ref().unwrap().cancel();
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["dropped"]);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// Cancelling many that sleep takes one turn, and leaves no timer.
#[test]
fn a_hundred_thousand_sleepers_are_cancelled_in_one_turn() {
    let event_loop = virtual_loop();
    let tasks: Vec<_> = (0..100_000).map(|_| event_loop.create_task(sleep(SECOND))).collect();
    turn(&event_loop);
    for task in &tasks {
        task.cancel();
    }
    turn(&event_loop);
    assert_eq!((event_loop.next_deadline(), event_loop.metrics().tasks_alive), (None, 0));
    assert!(tasks.iter().all(Task::is_finished));
}

// ─── along awaits ───────────────────────────────────────────────────────────────────────────────

/// CAN-04: cancelling a task cancels what it awaits, and what that awaits, one task per iteration,
/// from the outside in.
#[test]
fn cancellation_travels_along_awaits_one_task_per_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut last = waiting(&event_loop, &trace, "inner");
    for name in ["middle", "outer"] {
        let (probe, inner) = (trace.probe(name), last);
        last = event_loop.create_task(async move {
            let _probe = probe;
            let _ = inner.await;
        });
    }
    turn(&event_loop);
    last.cancel();
    for name in ["outer dropped", "middle dropped", "inner dropped"] {
        turn(&event_loop);
        trace.assert(&[name]);
    }
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// CAN-04: a handle that was never polled detaches when it drops; one that was awaited cancels.
#[test]
fn a_bare_handle_detaches_and_an_awaited_one_cancels() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let bare = waiting(&event_loop, &trace, "bare");
    let mut awaited = waiting(&event_loop, &trace, "awaited");
    event_loop
        .run_until_complete(async { assert!((&mut awaited).now_or_never().is_none()) })
        .unwrap();
    drop(bare);
    drop(awaited);
    trace.note("handles are gone");
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["handles are gone", "awaited dropped"]);
    event_loop.close().unwrap();
    trace.assert(&["bare dropped"]);
}

/// CAN-04: `join`, `shield` and `detach` opt out; `abort_on_drop` opts in.
#[test]
fn join_shield_and_detach_opt_out_and_abort_on_drop_opts_in() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (joined, shielded, detached, aborted) = (
        Rc::new(RefCell::new(waiting(&event_loop, &trace, "joined"))),
        waiting(&event_loop, &trace, "shielded"),
        waiting(&event_loop, &trace, "detached"),
        waiting(&event_loop, &trace, "aborted"),
    );
    let shared = Rc::clone(&joined);
    #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
    let waiters = [
        event_loop.create_task(async move { drop(shared.borrow_mut().join().await) }),
        event_loop.create_task(async move { drop(task::shield(shielded).await) }),
        event_loop.create_task(async move {
            let mut detached = detached;
            let _ = (&mut detached).now_or_never();
            let _guard = scopeguard(detached);
            pending::<()>().await;
        }),
        event_loop.create_task(async move {
            let _never_polled = aborted.abort_on_drop();
            pending::<()>().await;
        }),
    ];
    fn scopeguard(task: Task<()>) -> impl Drop {
        struct Detach(Option<Task<()>>);
        impl Drop for Detach {
            fn drop(&mut self) {
                self.0.take().unwrap().detach();
            }
        }
        Detach(Some(task))
    }
    turn(&event_loop);
    for waiter in &waiters {
        waiter.cancel();
    }
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["aborted dropped"]);
    event_loop.close().unwrap();
    trace.assert(&["joined dropped", "shielded dropped", "detached dropped"]);
}

/// CAN-05: a task that several wait for, and that is cancelled, is cancelled for each of them.
#[test]
fn a_shared_task_that_is_cancelled_is_cancelled_for_all() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = Rc::new(RefCell::new(waiting(&event_loop, &trace, "shared")));
    let polled = Rc::clone(&task);
    let shared = poll_fn(move |cx| polled.borrow_mut().poll_unpin(cx))
        .map(|outcome| outcome.unwrap_err().is_cancelled())
        .shared();
    for name in ["first", "second"] {
        let (shared, log) = (shared.clone(), trace.clone());
        event_loop
            .create_task(async move { log.note(format!("{name} cancelled: {}", shared.await)) })
            .detach();
    }
    turn(&event_loop);
    task.borrow().cancel();
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["shared dropped", "first cancelled: true", "second cancelled: true"]);
}

/// CAN-05: those who share a task by `shared` own it together, and that is their shield: one who
/// gives up leaves it to the others, and the last takes it along.
#[test]
fn one_who_gives_up_leaves_a_shared_task_and_the_last_takes_it_along() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let shared = waiting(&event_loop, &trace, "shared").map(|_| ()).shared();
    let (first, second) = (event_loop.create_task(shared.clone()), event_loop.create_task(shared));
    turn(&event_loop);
    first.cancel();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&[]);
    second.cancel();
    turn(&event_loop);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["shared dropped"]);
}

/// CAN-06: a task whose inner task was cancelled reads a value like any other, was not asked
/// itself, and goes on.
#[test]
fn inner_cancelled_then_outer_reads_it_and_goes_on() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let inner = Rc::new(RefCell::new(event_loop.create_task(pending::<()>())));
    let (polled, log) = (Rc::clone(&inner), trace.clone());
    let mut outer = event_loop.create_task(async move {
        let outcome = poll_fn(|cx| polled.borrow_mut().poll_unpin(cx)).await;
        log.note(format!("{:?}", outcome.unwrap_err()));
        yield_now().await;
        "went on"
    });
    turn(&event_loop);
    inner.borrow().cancel();
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["Cancelled"]);
    assert_eq!(outer.try_result().unwrap().unwrap(), "went on");
}

/// CAN-12: a task that asks itself to end and then awaits a child takes the child along.
#[test]
fn asked_by_itself_then_awaiting_a_child_cancels_the_child() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let child = waiting(&event_loop, &trace, "child");
    let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        let _probe = log.probe("parent");
        shared.borrow().as_ref().unwrap().cancel();
        let _ = child.await;
        log.note("never");
    }));
    for _ in 0..4 {
        turn(&event_loop);
    }
    trace.assert(&["parent dropped", "child dropped"]);
}

/// The main future of a run takes along what it awaits when a stop ends the run, and only that.
#[test]
fn a_stopped_run_takes_along_what_its_main_awaited() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let awaited = waiting(&event_loop, &trace, "awaited");
    let other = waiting(&event_loop, &trace, "other");
    event_loop.create_task(yield_now()).detach();
    let same = event_loop.clone();
    event_loop.call_soon(move || same.stop());
    event_loop.run_until_complete(awaited).unwrap_err();
    turn(&event_loop);
    trace.assert(&["awaited dropped"]);
    drop(other);
    event_loop.close().unwrap();
    trace.assert(&["other dropped"]);
}

/// CAN-04: through handles that are awaited and guards alike, a thousand deep: one task per iteration, and
/// no stack, also where the loop closes over it; those who joined or shielded stay.
#[test]
fn a_chain_of_handles_and_guards_unwinds_one_task_per_iteration() {
    const DEPTH: usize = 1_000;
    let chain = |event_loop: &EventLoop, kinds: usize| {
        let mut last = event_loop.create_task(pending::<()>());
        for link in 0..DEPTH {
            let mut inner = last;
            last = event_loop.create_task(async move {
                match link % kinds {
                    0 => drop(inner.await),
                    1 => drop(inner.abort_on_drop().await),
                    2 => drop(inner.join().await),
                    _ => drop(task::shield(inner).await),
                }
            });
        }
        last
    };
    let event_loop = EventLoop::new().unwrap();
    let last = chain(&event_loop, 2);
    turn(&event_loop);
    last.cancel();
    for left in (0..=DEPTH).rev() {
        turn(&event_loop);
        assert_eq!(event_loop.metrics().tasks_alive, left);
    }

    let last = chain(&event_loop, 4);
    turn(&event_loop);
    last.cancel();
    turn(&event_loop);
    turn(&event_loop);
    assert_eq!(event_loop.metrics().tasks_alive, DEPTH, "the last one only: it held a shield");
    event_loop.close().unwrap();
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

// ─── shield ─────────────────────────────────────────────────────────────────────────────────────

/// SHI-01: cancelling who awaits a shield leaves the shielded task.
#[test]
fn cancelling_who_awaits_a_shield_leaves_the_shielded() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mark = trace.noting("inner ended");
    let inner = event_loop.create_task(async move {
        sleep(SECOND).await;
        mark();
    });
    let mut outer = event_loop.create_task(task::shield(inner));
    turn(&event_loop);
    outer.cancel();
    turn(&event_loop);
    assert!(is_cancelled(&mut outer));
    event_loop.run_until_complete(sleep(2 * SECOND)).unwrap();
    trace.assert(&["inner ended"]);
}

/// A task that was awaited before it was shielded is as shielded as any; one that was awaited before it was
/// joined is taken along as it was.
#[test]
fn awaited_in_vain_then_shielded_and_dropped_it_runs_on() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (shielded, joined) =
        (waiting(&event_loop, &trace, "shielded"), waiting(&event_loop, &trace, "joined"));
    event_loop
        .run_until_complete(async {
            let (mut shielded, mut joined) = (shielded, joined);
            assert!((&mut shielded).now_or_never().is_none());
            assert!((&mut joined).now_or_never().is_none());
            assert!(task::shield(shielded).now_or_never().is_none());
            assert!(joined.join().now_or_never().is_none());
            drop(joined);
            yield_now().await;
            yield_now().await;
            trace.assert(&["joined dropped"]);
        })
        .unwrap();
    event_loop.close().unwrap();
    trace.assert(&["shielded dropped"]);
}

/// SHI-02: cancelling the shielded task is heard through the shield.
#[test]
fn cancelling_the_shielded_is_heard_through_the_shield() {
    let event_loop = EventLoop::new().unwrap();
    let heard = event_loop.run_until_complete(async {
        let task = spawn(pending::<()>());
        yield_now().await;
        task.cancel();
        task::shield(task).await.unwrap_err().is_cancelled()
    });
    assert!(heard.unwrap());
}

/// SHI-03: a shield around what is done is ready at its first poll.
#[test]
fn a_shield_around_what_is_done_is_ready_at_once() {
    let event_loop = EventLoop::new().unwrap();
    let done = event_loop.create_task(ready(7));
    turn(&event_loop);
    let value = event_loop
        .run_until_complete(async { task::shield(done).now_or_never().unwrap().unwrap() })
        .unwrap();
    assert_eq!(value, 7);
}

/// SHI-04: a shielded task that fails after its shield is gone is reported.
#[test]
fn a_shielded_task_that_fails_unheard_is_reported() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let inner = event_loop.create_task(async {
        yield_now().await;
        yield_now().await;
        panic!("late");
    });
    let outer = event_loop.create_task(async move { task::shield::<()>(inner).await.is_ok() });
    turn(&event_loop);
    outer.cancel();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: late"]);
}

/// SHI-05: a shield around one that joins several protects them all; shields that are joined protect
/// each what it holds.
#[test]
fn shields_around_and_inside_a_join_protect() {
    for around in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let tasks = ["a", "b"].map(|name| waiting(&event_loop, &trace, name));
        let outer = event_loop.create_task(async move {
            if around {
                let _ = task::shield(spawn(futures::future::join_all(tasks))).await;
            } else {
                futures::future::join_all(tasks.map(task::shield)).await;
            }
        });
        turn(&event_loop);
        turn(&event_loop);
        outer.cancel();
        for _ in 0..4 {
            turn(&event_loop);
        }
        trace.assert(&[]);
        event_loop.close().unwrap();
        assert_eq!(trace.take().len(), 2);
    }
}

// ─── who listens is told ────────────────────────────────────────────────────────────────────────

/// CAN-07: a task that listens is told instead of dropped, cleans up with `await`, and has the
/// value it returns.
#[test]
fn a_listener_is_told_cleans_up_and_returns_its_value() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        task::cancelled().await;
        log.note("told");
        yield_now().await;
        log.note("cleaned up");
        7
    });
    turn(&event_loop);
    assert!(task.cancel());
    assert_eq!(task.info().state, TaskState::Cancelling);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["told"]);
    assert_eq!(task.info().state, TaskState::Cancelling, "until it ends");
    turn(&event_loop);
    trace.assert(&["cleaned up"]);
    assert_eq!(task.try_result().unwrap().unwrap(), 7);
}

/// Every listener of the task is told, in order, in the same turn.
#[test]
fn every_listener_is_told_in_order() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let task = event_loop.create_task(async move {
        let listen = |name: &'static str| {
            let log = log.clone();
            async move {
                task::cancelled().await;
                log.note(name);
            }
        };
        futures::join!(listen("first"), listen("second"));
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    assert!(task.is_finished());
    let mut events = trace.take();
    events.sort();
    assert_eq!(events, ["first", "second"]);
}

/// A listener that goes as another one is woken was told, like all of them: when the last of those who
/// were told is dropped unheard, the request stands as if nobody had listened.
#[test]
fn a_listener_dropped_as_another_is_woken_was_told_too() {
    type Listening = Pin<Box<dyn Future<Output = ()>>>;
    struct DropOther(Rc<RefCell<Option<Listening>>>);
    impl Drop for DropOther {
        fn drop(&mut self) {
            let other = self.0.borrow_mut().take();
            drop(other);
        }
    }
    // A waker that drops the other listener when it is used up, by its wake.
    struct Wake(std::sync::Mutex<Option<DropOther>>);
    // SAFETY: woken and dropped on this thread alone.
    unsafe impl Send for Wake {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Wake {}
    impl std::task::Wake for Wake {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.lock().unwrap().take();
        }
    }

    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let other: Rc<RefCell<Option<Listening>>> =
        Rc::new(RefCell::new(Some(Box::pin(task::cancelled()))));
    let probe = trace.probe("future");
    let mut first: Option<Listening> = Some(Box::pin(task::cancelled()));
    let mut steps = 0;
    let mut task = event_loop.create_task(poll_fn(move |cx| {
        let _probe = &probe;
        steps += 1;
        if steps == 1 {
            let wake = Wake(std::sync::Mutex::new(Some(DropOther(Rc::clone(&other)))));
            let waker = Waker::from(std::sync::Arc::new(wake));
            let mut cx_of_first = std::task::Context::from_waker(&waker);
            assert!(first.as_mut().unwrap().as_mut().poll(&mut cx_of_first).is_pending());
            assert!(other.borrow_mut().as_mut().unwrap().as_mut().poll(cx).is_pending());
        } else {
            assert!(other.borrow().is_none());
            first = None;
        }
        Poll::<()>::Pending
    }));
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    assert!(is_cancelled(&mut task));
}

/// A listener's waker asks once more, as it is woken: that is this request, which is heard of already, and the
/// cleanup goes on.
#[test]
fn asked_again_by_the_waker_that_tells_a_listener_is_one_request() {
    struct Asks(AbortHandle, Waker);
    impl std::task::Wake for Asks {
        fn wake(self: std::sync::Arc<Self>) {
            assert!(self.0.cancel());
            self.1.wake_by_ref();
        }
    }

    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (hand, handle) = oneshot::channel::<AbortHandle>();
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        let handle = handle.await.unwrap();
        let mut listener = pin!(task::cancelled());
        poll_fn(|cx| {
            let waker = Waker::from(std::sync::Arc::new(Asks(handle.clone(), cx.waker().clone())));
            listener.as_mut().poll(&mut std::task::Context::from_waker(&waker))
        })
        .await;
        log.note("told");
        yield_now().await;
        log.note("cleaned up");
        7
    });
    hand.send(task.abort_handle()).unwrap();
    turn(&event_loop);
    assert!(task.cancel());
    turn(&event_loop);
    trace.assert(&["told"]);
    turn(&event_loop);
    trace.assert(&["cleaned up"]);
    assert_eq!(task.try_result().unwrap().unwrap(), 7);
}

/// The one listener, dropped by its own waker as it is told: the request stands as if nobody had listened, and the
/// task ends there, unpolled.
#[test]
fn the_only_listener_is_dropped_as_it_is_told_and_the_task_ends_at_once() {
    type Listening = Pin<Box<dyn Future<Output = ()>>>;
    struct Drops(Rc<RefCell<Option<Listening>>>);
    // SAFETY: woken and dropped on this thread alone.
    unsafe impl Send for Drops {}
    // SAFETY: as for `Send`.
    unsafe impl Sync for Drops {}
    impl std::task::Wake for Drops {
        fn wake(self: std::sync::Arc<Self>) {
            let listener = self.0.borrow_mut().take();
            drop(listener);
        }
    }

    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let listener: Rc<RefCell<Option<Listening>>> =
        Rc::new(RefCell::new(Some(Box::pin(task::cancelled()))));
    let waker = Waker::from(std::sync::Arc::new(Drops(Rc::clone(&listener))));
    let (probe, log) = (trace.probe("future"), trace.clone());
    let mut task = event_loop.create_task(poll_fn(move |_| {
        let _probe = &probe;
        log.note("polled");
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(listener.borrow_mut().as_mut().unwrap().as_mut().poll(&mut cx).is_pending());
        Poll::<()>::Pending
    }));
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["polled", "future dropped"]);
    assert!(is_cancelled(&mut task));
    assert_eq!(turn(&event_loop), 0);
}

/// Dropping many listeners of one task takes a time in proportion to their number, in any order.
#[cfg(target_os = "linux")]
#[test]
fn many_listeners_of_one_task_are_dropped_in_proportion_to_their_number() {
    /// What this thread has worked, whatever else the machine does.
    fn worked() -> Duration {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the answer.
        let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
        assert_eq!(result, 0);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    }
    let cost = |count: usize| {
        let event_loop = EventLoop::new().unwrap();
        let dropping = async move {
            let mut listeners: Vec<_> = (0..count).map(|_| Box::pin(task::cancelled())).collect();
            poll_fn(|cx| {
                assert!(
                    listeners.iter_mut().all(|listener| listener.as_mut().poll(cx).is_pending())
                );
                Poll::Ready(())
            })
            .await;
            let before = worked();
            // From the middle, the end and the beginning in turn.
            while listeners.len() > 2 {
                drop(listeners.swap_remove(listeners.len() / 2));
                drop(listeners.pop());
                drop(listeners.swap_remove(0));
            }
            worked() - before
        };
        let task = event_loop.create_task(dropping);
        event_loop.run_until_complete(task).unwrap().unwrap()
    };
    let few = (0..5).map(|_| cost(10_000)).min().unwrap();
    let many = cost(100_000);
    assert!(many < few * 40, "ten times as many: {few:?}, then {many:?}");
}

/// A listener that was never polled is none, and one that was dropped before is none either.
#[test]
fn a_listener_unpolled_or_dropped_before_is_none() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for polled in [false, true] {
        let log = trace.clone();
        let mut task = event_loop.create_task(async move {
            let _probe = log.probe("future");
            {
                let mut listener = pin!(task::cancelled());
                if polled {
                    assert!(listener.as_mut().now_or_never().is_none());
                }
            }
            let _unpolled = task::cancelled();
            yield_now().await;
            pending::<()>().await;
        });
        turn(&event_loop);
        turn(&event_loop);
        task.cancel();
        turn(&event_loop);
        trace.assert(&["future dropped"]);
        assert!(is_cancelled(&mut task));
    }
}

/// Told, and the listener dropped unheard: the request stands as if nobody had listened.
#[test]
fn told_and_dropped_unheard_is_cancelled_after_all() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (sender, receiver) = oneshot::channel::<()>();
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        let _probe = log.probe("future");
        // Both are ready at once, the other branch is looked at first: the listener is dropped
        // although it was told.
        select_biased! {
            _ = receiver.fuse() => log.note("the other branch"),
            () = task::cancelled().fuse() => log.note("never"),
        }
        yield_now().await;
        log.note("never either");
    });
    turn(&event_loop);
    sender.send(()).unwrap();
    task.cancel();
    turn(&event_loop);
    trace.assert(&["the other branch"]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    assert!(is_cancelled(&mut task));
}

/// Told twice over two requests: each is told once; a second while nobody listens drops the task.
#[test]
fn a_second_request_is_told_to_a_second_listener_or_drops() {
    for listens_again in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let log = trace.clone();
        let task = event_loop.create_task(async move {
            let _probe = log.probe("future");
            task::cancelled().await;
            log.note("first");
            if listens_again {
                task::cancelled().await;
                log.note("second");
            } else {
                pending::<()>().await;
            }
        });
        turn(&event_loop);
        task.cancel();
        turn(&event_loop);
        trace.assert(&["first"]);
        assert!(task.cancel());
        turn(&event_loop);
        let second = ["second", "future dropped"];
        trace.assert(if listens_again { &second } else { &second[1..] });
        assert!(task.is_finished());
    }
}

/// CAN-04: one who awaits a task that was told before is cancelled: the task is asked if it listens again, and
/// left alone while it cleans up.
#[test]
fn a_request_that_travels_along_spares_a_cleanup_and_reaches_who_listens_again() {
    for listens_again in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let log = trace.clone();
        let task = event_loop.create_task(async move {
            let _probe = log.probe("future");
            task::cancelled().await;
            log.note("first");
            if listens_again {
                task::cancelled().await;
                log.note("second");
            } else {
                pending::<()>().await;
            }
        });
        turn(&event_loop);
        task.cancel();
        turn(&event_loop);
        trace.assert(&["first"]);
        let waiting = event_loop.create_task(task);
        turn(&event_loop);
        waiting.cancel();
        turn(&event_loop);
        turn(&event_loop);
        trace.assert(if listens_again { &["second", "future dropped"] } else { &[] });
    }
}

/// `abort` does not ask who listens, at any time: before the request, after it, during the cleanup.
#[test]
fn abort_asks_no_listener_at_any_time() {
    for told_first in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let log = trace.clone();
        let mut task = event_loop.create_task(async move {
            let _probe = log.probe("future");
            task::cancelled().await;
            log.note("told");
            pending::<()>().await;
        });
        turn(&event_loop);
        if told_first {
            task.cancel();
            turn(&event_loop);
            trace.assert(&["told"]);
        }
        assert!(task.abort());
        turn(&event_loop);
        trace.assert(&["future dropped"]);
        assert!(is_cancelled(&mut task));
    }
    // Asked and aborted in one iteration: aborted.
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mark = trace.noting("told");
    let task = event_loop.create_task(async move {
        task::cancelled().await;
        mark();
    });
    turn(&event_loop);
    task.cancel();
    task.abort();
    turn(&event_loop);
    trace.assert(&[]);
    assert!(task.is_finished());
}

/// A request that came before the task listened, in the same poll, is heard by the first that does.
#[test]
fn asked_by_itself_then_listening_is_told_at_once() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let own: Rc<RefCell<Option<Task<u32>>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        shared.borrow().as_ref().unwrap().cancel();
        task::cancelled().await;
        log.note("told");
        7
    }));
    turn(&event_loop);
    trace.assert(&["told"]);
    let outcome = own.borrow_mut().as_mut().unwrap().try_result().unwrap();
    assert_eq!(outcome.unwrap(), 7);
}

/// A task not yet started listens to nothing: it never starts.
#[test]
fn asked_before_it_could_listen_never_starts() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mark = trace.noting("started");
    let task = event_loop.create_task(async move {
        mark();
        task::cancelled().await;
    });
    task.cancel();
    turn(&event_loop);
    trace.assert(&[]);
    assert!(task.is_finished());
}

/// Cancellation that travels along an await is told to an inner task that listens, like any other.
#[test]
fn a_request_that_travels_along_is_told_to_who_listens_there() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let inner = event_loop.create_task(async move {
        task::cancelled().await;
        log.note("inner told");
        yield_now().await;
        log.note("inner cleaned up");
    });
    let outer = event_loop.create_task(async move { inner.await.is_ok() });
    turn(&event_loop);
    outer.cancel();
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["inner told", "inner cleaned up"]);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// Outside of every task nobody can be asked: a listener there waits for ever, and harms nobody.
#[test]
fn a_listener_outside_of_tasks_is_never_told() {
    let event_loop = EventLoop::new().unwrap();
    assert!(task::cancelled().now_or_never().is_none());
    let seen = Rc::new(Cell::new(false));
    let flag = Rc::clone(&seen);
    event_loop.call_soon(move || {
        assert!(task::cancelled().now_or_never().is_none());
        flag.set(true);
    });
    turn(&event_loop);
    assert!(seen.get());
}

/// A listener that moves to another task listens for that one, and no longer for the first.
#[test]
fn a_listener_polled_by_another_task_listens_there() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let listener: Rc<RefCell<Pin<Box<dyn Future<Output = ()>>>>> =
        Rc::new(RefCell::new(Box::pin(task::cancelled())));
    let polling = |name: &'static str| {
        let (listener, probe) = (Rc::clone(&listener), trace.probe(name));
        let log = trace.clone();
        event_loop.create_task(async move {
            let _probe = probe;
            poll_fn(|cx| listener.borrow_mut().as_mut().poll(cx)).await;
            log.note(format!("{name} told"));
        })
    };
    let first = polling("first");
    turn(&event_loop);
    let second = polling("second");
    turn(&event_loop);
    first.cancel();
    turn(&event_loop);
    trace.assert(&["first dropped"]);
    second.cancel();
    turn(&event_loop);
    trace.assert(&["second told", "second dropped"]);
}

/// A listener that outlives its task, in somebody else's hands, is harmless wherever it is dropped.
#[test]
fn a_listener_that_outlives_its_task_is_harmless() {
    for told in [true, false] {
        let event_loop = EventLoop::new().unwrap();
        let listener: Rc<RefCell<Pin<Box<dyn Future<Output = ()>>>>> =
            Rc::new(RefCell::new(Box::pin(task::cancelled())));
        let polled = Rc::clone(&listener);
        let mut turns = 0;
        let task = event_loop.create_task(poll_fn(move |cx| {
            turns += 1;
            if turns == 1 {
                assert!(polled.borrow_mut().as_mut().poll(cx).is_pending());
                return Poll::Pending;
            }
            Poll::Ready(())
        }));
        turn(&event_loop);
        if told {
            task.cancel()
        } else {
            task.abort()
        };
        turn(&event_loop);
        assert!(task.is_finished());
        drop(listener);
        turn(&event_loop);
        event_loop.close().unwrap();
    }
}

/// A closing loop tells nobody: what listens is dropped with the rest.
#[test]
fn a_closing_loop_drops_who_listens() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    event_loop
        .create_task(async move {
            let _probe = log.probe("listener");
            task::cancelled().await;
            log.note("told");
        })
        .detach();
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&["listener dropped"]);
}
