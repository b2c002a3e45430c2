//! Tasks: when they start, what becomes of their outcome, who is told and in which order; and the
//! recipes for waiting for several of them.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{join_all, select, select_all, try_join_all};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, select_biased};
use loopbind::{EventLoop, Task, TaskError, TaskState, sleep, spawn, task, timeout, yield_now};
use support::{Trace, in_good_child, note_reports, on_drop, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(future: impl Future<Output = T>) -> T {
    virtual_loop().run_until_complete(future).unwrap()
}

// ─── birth ──────────────────────────────────────────────────────────────────────────────────────

/// TSK-01: a task starts after its creator's current step, in order of creation with callbacks.
#[test]
fn created_tasks_start_after_the_step_in_order_with_callbacks() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop
        .run_until_complete(async move {
            log.note("m");
            let mark = log.noting("a");
            same.create_task(async move { mark() }).detach();
            same.call_soon(log.noting("cb"));
            let mark = log.noting("b");
            same.create_task(async move { mark() }).detach();
            log.note("m still");
            yield_now().await;
            log.note("m2");
        })
        .unwrap();
    trace.assert(&["m", "m still", "a", "cb", "b", "m2"]);
}

/// TSK-02: names are free text, the empty one too, and ids are never given twice.
#[test]
fn names_are_as_given_and_ids_are_unique() {
    let event_loop = EventLoop::new().unwrap();
    let named = event_loop.task_builder().name("reader").spawn(ready(()));
    let empty = event_loop.task_builder().name("").spawn(ready(()));
    let plain = event_loop.create_task(ready(()));
    assert_eq!(named.name().as_deref(), Some("reader"));
    assert_eq!(empty.name().as_deref(), Some(""));
    assert_eq!(plain.name(), None);
    assert!(named.id() < empty.id() && empty.id() < plain.id());
}

/// TSK-12: what can be said of a task follows its life.
#[test]
fn a_tasks_state_follows_its_life() {
    let event_loop = EventLoop::new().unwrap();
    let gate = Rc::new(Cell::new(None::<Waker>));
    let (slot, mut polls) = (Rc::clone(&gate), 0);
    let line = line!() + 1;
    let mut task = event_loop.create_task(poll_fn(move |cx| {
        let current = task::current().unwrap();
        assert_eq!((current.state, current.polls), (TaskState::Running, polls + 1));
        polls += 1;
        slot.set(Some(cx.waker().clone()));
        if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
    }));
    let place = task.info().spawned_at;
    assert_eq!((place.file(), place.line()), (file!(), line));
    let state = |task: &Task<()>| (task.info().state, task.info().polls);
    assert_eq!(state(&task), (TaskState::Ready, 0));
    turn(&event_loop);
    assert_eq!(state(&task), (TaskState::Waiting, 1));
    gate.take().unwrap().wake();
    event_loop.call_soon(|| {}); // takes in the wake, which came from outside of a run
    assert_eq!(state(&task), (TaskState::Ready, 1));
    turn(&event_loop);
    assert_eq!(state(&task), (TaskState::Finished, 2));
    assert!(task.try_result().unwrap().is_ok());
    assert_eq!(task.info().busy, Duration::ZERO, "no clock is read unless asked");

    let asked = event_loop.create_task(pending::<()>());
    asked.cancel();
    assert_eq!(asked.info().state, TaskState::Cancelling);
    assert!(format!("{asked:?}").contains("Cancelling"), "{asked:?}");
}

/// A task knows who started it.
#[test]
fn a_child_knows_its_parent_and_one_from_outside_has_none() {
    run(async {
        let me = task::current().unwrap();
        assert_eq!(me.parent, None);
        let (child, grandchild) = spawn(async {
            let child = task::current().unwrap();
            (child.parent, spawn(async { task::current().unwrap().parent }).await.unwrap())
        })
        .await
        .unwrap();
        assert_eq!(child, Some(me.id));
        assert!(grandchild.is_some() && grandchild != child);
    });
}

/// TSK-18: `current` is the task whose step is being executed, restored after each; also in the
/// destructor of a future, and never in a callback.
#[test]
fn current_is_the_task_of_the_step_also_while_its_future_drops() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let note_current = |trace: &Trace, place: &'static str| {
        let log = trace.clone();
        move || {
            let name = task::current().map_or("none".into(), |task| task.name.unwrap_or_default());
            log.note(format!("{place}: {name}"));
        }
    };
    for name in ["a", "b"] {
        let (poll, drop) = (note_current(&trace, "poll"), note_current(&trace, "drop"));
        event_loop
            .task_builder()
            .name(name)
            .spawn(async move {
                let _guard = on_drop(drop);
                poll();
                yield_now().await;
            })
            .detach();
    }
    event_loop.call_soon(note_current(&trace, "callback"));
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["poll: a", "poll: b", "callback: none", "drop: a", "drop: b"]);
    let cancelled = note_current(&trace, "cancelled");
    let guard = on_drop(cancelled);
    let task = event_loop.task_builder().name("c").spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["cancelled: c"]);
    assert!(task::current().is_none());
}

/// TSK-18: between turns no task is current, and what is started then has no parent, whatever ran
/// last: a task that ended, one that panicked, one that was cancelled.
#[test]
fn between_turns_no_task_is_current_whatever_ran_last() {
    let event_loop = EventLoop::new().unwrap();
    for end in ["waits", "ends", "panics", "is cancelled"] {
        let task = event_loop.create_task(async move {
            match end {
                "ends" => {}
                "panics" => panic!(),
                _ => pending().await,
            }
        });
        turn(&event_loop);
        if end == "is cancelled" {
            task.cancel();
            turn(&event_loop);
        }
        assert!(event_loop.current_task().is_none(), "{end}");
        assert_eq!(event_loop.create_task(ready(())).info().parent, None, "{end}");
        drop(task);
        turn(&event_loop);
    }
}

/// TSK-20: all tasks that are not done, in order of creation, those not started included, and a
/// run's main future while it runs.
#[test]
fn all_tasks_are_those_not_done_in_order_of_creation() {
    let event_loop = EventLoop::new().unwrap();
    let names = |event_loop: &EventLoop| -> Vec<String> {
        event_loop.all_tasks().into_iter().map(|task| task.name.unwrap_or("main".into())).collect()
    };
    for (name, done) in [("a", false), ("b", true), ("c", false)] {
        let future = async move {
            if !done {
                pending::<()>().await;
            }
        };
        event_loop.task_builder().name(name).spawn(future).detach();
    }
    assert_eq!(names(&event_loop), ["a", "b", "c"]);
    let same = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            assert_eq!(names(&same), ["a", "c", "main"]);
            same.task_builder().name("d").spawn(pending::<()>()).detach();
            assert_eq!(names(&same), ["a", "c", "main", "d"]);
        })
        .unwrap();
    assert_eq!(names(&event_loop), ["a", "c", "d"], "main is gone with its run");
    event_loop.close().unwrap();
    assert!(event_loop.all_tasks().is_empty());
}

/// TSK-05: the loop owns its tasks: one whose handle is gone, and whose wake comes from elsewhere,
/// ends all the same.
#[test]
fn handle_dropped_then_task_completes() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (sender, receiver) = oneshot::channel::<()>();
    let log = trace.clone();
    drop(event_loop.create_task(async move {
        receiver.await.unwrap();
        log.note("completed");
    }));
    turn(&event_loop);
    // Churn, so that memory given back too early would be somebody else's by now.
    for i in 0..1_000 {
        drop(event_loop.create_task(ready(vec![i; 64])));
    }
    turn(&event_loop);
    sender.send(()).unwrap();
    turn(&event_loop);
    trace.assert(&["completed"]);
}

/// TSK-16: a future that is woken from another thread resumes on the loop's own, though neither it
/// nor its task may leave it.
#[test]
fn a_future_woken_by_another_thread_resumes_at_home() {
    let event_loop = EventLoop::new().unwrap();
    let home = thread::current().id();
    let done = event_loop
        .run_until_complete(async move {
            let (mut begun, not_send) = (false, Rc::new(5));
            poll_fn(|cx| {
                assert_eq!(thread::current().id(), home);
                if begun {
                    return Poll::Ready(());
                }
                begun = true;
                let waker = cx.waker().clone();
                thread::spawn(move || waker.wake());
                Poll::Pending
            })
            .await;
            *not_send
        })
        .unwrap();
    assert_eq!(done, 5);
}

/// TSK-17: long chains of tasks that await each other complete, and are dropped, without recursion.
#[test]
fn a_chain_of_tasks_completes_cancels_and_closes_without_recursion() {
    const LENGTH: usize = 20_000;
    let chain = |event_loop: &EventLoop, future: Pin<Box<dyn Future<Output = ()>>>| {
        let mut last = event_loop.create_task(future);
        for _ in 0..LENGTH {
            let inner = last;
            last = event_loop.create_task(async move {
                let _ = inner.await;
            });
        }
        last
    };
    let event_loop = EventLoop::new().unwrap();
    let completing = chain(&event_loop, Box::pin(yield_now()));
    assert!(event_loop.run_until_complete(completing).unwrap().is_ok());

    let cancelled = chain(&event_loop, Box::pin(pending()));
    turn(&event_loop);
    cancelled.cancel();
    let mut turns = 0;
    while event_loop.metrics().tasks_alive > 0 {
        turn(&event_loop);
        turns += 1;
    }
    assert_eq!(turns, LENGTH + 1, "one task per iteration");

    chain(&event_loop, Box::pin(pending())).detach();
    turn(&event_loop);
    event_loop.close().unwrap();
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

// ─── outcomes ───────────────────────────────────────────────────────────────────────────────────

/// FUT-01: a pending task has no result; a finished one gives it once.
#[test]
fn pending_has_no_result_and_finished_gives_it_once() {
    let event_loop = EventLoop::new().unwrap();
    let mut task = event_loop.create_task(ready("value"));
    assert!(task.try_result().is_none() && !task.is_finished());
    turn(&event_loop);
    assert!(task.is_finished());
    assert_eq!(task.try_result().unwrap().unwrap(), "value");
    assert!(task.try_result().is_none());
}

/// FUT-13: awaiting what is done does not suspend: nothing runs in between.
#[test]
fn awaiting_a_finished_task_does_not_suspend() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let done = spawn(ready(()));
        yield_now().await;
        loopbind::get_running_loop().unwrap().call_soon(log.noting("callback"));
        log.note("before");
        done.await.unwrap();
        log.note("after");
        yield_now().await;
    });
    trace.assert(&["before", "after", "callback"]);
}

/// TSK-08: awaiting a running task resumes one iteration after it finished.
#[test]
fn awaiting_a_running_task_resumes_one_iteration_after_its_end() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mark = trace.noting("inner ends");
    let inner = event_loop.create_task(async move {
        yield_now().await;
        mark();
    });
    let mark = trace.noting("outer resumes");
    event_loop
        .create_task(async move {
            inner.await.unwrap();
            mark();
        })
        .detach();
    turn(&event_loop);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["inner ends"]);
    turn(&event_loop);
    trace.assert(&["outer resumes"]);
}

/// FUT-07: done-callbacks run through the queue, in order of registration, and never inside the
/// call that adds them or the step that ends the task.
#[test]
fn done_callbacks_run_through_the_queue_in_order() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mark = trace.noting("task ends");
    let task = event_loop.create_task(async move { mark() });
    task.add_done_callback(trace.noting("first"));
    task.add_done_callback(trace.noting("second"));
    event_loop.call_soon(trace.noting("callback"));
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["task ends", "callback"]);
    turn(&event_loop);
    trace.assert(&["first", "second"]);
}

/// FUT-08: added to a finished task, also by another done-callback, it runs in the next iteration.
#[test]
fn added_after_the_end_runs_in_the_next_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = Rc::new(event_loop.create_task(ready(())));
    let (shared, log) = (Rc::clone(&task), trace.clone());
    task.add_done_callback(move || {
        log.note("outer");
        shared.add_done_callback(log.noting("inner"));
    });
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["outer"]);
    turn(&event_loop);
    trace.assert(&["inner"]);
    task.add_done_callback(trace.noting("late"));
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["late"]);
}

/// FUT-11: a done-callback that panics is reported, and neither the others nor who awaits miss
/// anything.
#[test]
fn a_done_callback_that_panics_is_reported_and_the_others_run() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let task = event_loop.create_task(ready(7));
    task.add_done_callback(trace.noting("before"));
    task.add_done_callback(|| panic!("rude"));
    task.add_done_callback(trace.noting("after"));
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 7);
    let events = trace.take();
    assert_eq!((events.len(), &*events[0], &*events[2]), (3, "before", "after"));
    assert!(events[1].contains("rude"));
}

/// CB-27: callbacks and the waiter of one task are told in the order in which they came.
#[test]
fn callbacks_and_waiter_are_told_in_the_order_in_which_they_came() {
    for waiter_at in 0..3 {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (sender, receiver) = oneshot::channel::<()>();
        let shared = Rc::new(RefCell::new(event_loop.create_task(receiver)));
        for place in 0..3 {
            if place == waiter_at {
                let (shared, log) = (Rc::clone(&shared), trace.clone());
                event_loop
                    .create_task(async move {
                        poll_fn(|cx| Pin::new(&mut *shared.borrow_mut()).poll(cx))
                            .await
                            .unwrap()?;
                        log.note("waiter");
                        Ok::<(), oneshot::Canceled>(())
                    })
                    .detach();
                turn(&event_loop);
            }
            if place < 2 {
                shared.borrow().add_done_callback(trace.noting(["first", "second"][place]));
            }
        }
        sender.send(()).unwrap();
        turn(&event_loop);
        turn(&event_loop);
        let mut expected = vec!["first", "second"];
        expected.insert(waiter_at, "waiter");
        trace.assert(&expected);
    }
}

/// FUT-14: a panic that nobody was told of goes to the exception handler when the last handle goes;
/// one that was read does not. Values, errors among them, are nobody's business.
#[test]
fn an_unread_panic_is_reported_when_the_handle_goes_and_a_read_one_is_not() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let unread = event_loop.create_task(async { panic!("unread") });
    let mut read = event_loop.create_task(async { panic!("read") });
    drop(event_loop.create_task(async { panic!("no handle") }));
    drop(event_loop.create_task(async { Err::<(), &str>("an error is a value") }));
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: no handle"]);
    assert!(read.try_result().unwrap().is_err());
    drop(read);
    trace.assert(&[]);
    drop(unread);
    trace.assert(&["Task exception was never retrieved: unread"]);
}

/// FUT-16: a task of another loop cannot be awaited: nothing would wake who waits. Its outcome, once
/// there, can be taken anywhere on the thread.
#[test]
fn awaiting_a_task_of_another_loop_is_an_error_not_a_hang() {
    let (ours, theirs) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let mut foreign = theirs.create_task(async {
        yield_now().await;
        7
    });
    let outcome = ours.run_until_complete(&mut foreign).unwrap();
    assert!(matches!(outcome, Err(TaskError::ForeignLoop)), "{outcome:?}");
    let outcome = ours.run_until_complete(foreign.join()).unwrap();
    assert!(matches!(outcome, Err(TaskError::ForeignLoop)));
    let outcome = futures::executor::block_on(&mut foreign);
    assert!(matches!(outcome, Err(TaskError::ForeignLoop)));
    assert_eq!(theirs.run_until_complete(&mut foreign).unwrap().unwrap(), 7, "it was not harmed");

    let mut foreign = theirs.create_task(ready(8));
    turn(&theirs);
    assert_eq!(ours.run_until_complete(&mut foreign).unwrap().unwrap(), 8);
}

/// TSK-07: a task that awaits itself is told so, at that await, and goes on.
#[test]
fn a_task_that_awaits_itself_is_told_so() {
    let event_loop = EventLoop::new().unwrap();
    let own: Rc<RefCell<Option<Task<&str>>>> = Rc::default();
    let shared = Rc::clone(&own);
    let task = event_loop.create_task(async move {
        let mut me = shared.borrow_mut().take().unwrap();
        let awaited = (&mut me).await;
        let joined = me.join().await;
        match (awaited, joined) {
            (Err(TaskError::SelfAwait), Err(TaskError::SelfAwait)) => "told",
            other => panic!("{other:?}"),
        }
    });
    let seen: Rc<Cell<bool>> = Rc::default();
    let flag = Rc::clone(&seen);
    task.add_done_callback(move || flag.set(true));
    *own.borrow_mut() = Some(task);
    turn(&event_loop);
    turn(&event_loop);
    assert!(seen.get());
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// Two tasks that await each other wait for ever, and a closing loop drops them both all the same.
#[test]
fn two_tasks_that_await_each_other_are_dropped_by_close() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let slots: [Rc<RefCell<Option<Task<()>>>>; 2] = Default::default();
    for (own, other) in [(0, 1), (1, 0)] {
        let (slot, probe) = (Rc::clone(&slots[other]), trace.probe(own.to_string()));
        let task = event_loop.create_task(async move {
            let _probe = probe;
            let other = slot.borrow_mut().take().unwrap();
            let _ = other.await;
        });
        *slots[own].borrow_mut() = Some(task);
    }
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&[]);
    event_loop.close().unwrap();
    trace.assert(&["0 dropped", "1 dropped"]);
}

/// TSK-09: a task has one owner; several wait for it through `shared`, and are told in order.
#[test]
fn several_wait_for_one_task_through_shared_and_are_told_in_order() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let task = spawn(async {
            yield_now().await;
            7
        });
        let shared = task.map(|outcome| outcome.unwrap()).shared();
        let waiters: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let (shared, log) = (shared.clone(), log.clone());
                spawn(async move { log.note(format!("{name} {}", shared.await)) })
            })
            .collect();
        join_all(waiters).await;
    });
    trace.assert(&["a 7", "b 7", "c 7"]);
}

/// TSK-11: an output that is itself a future is an output.
#[test]
#[allow(clippy::async_yields_async)] // That is the point.
fn a_future_as_output_is_not_awaited() {
    let inner = run(async { spawn(async { ready(7) }).await.unwrap() });
    assert_eq!(inner.now_or_never(), Some(7));
}

/// A task handle polled after it gave its outcome is a mistake that says so.
#[test]
fn polled_after_its_end_a_handle_says_so() {
    let text = panic_of(|| {
        run(async {
            let mut task = pin!(spawn(ready(1)));
            task.as_mut().await.unwrap();
            let _ = task.as_mut().await;
        });
    });
    assert_eq!(text, "a Task was polled after it gave its outcome");
}

/// TSK-22: a loop that closes ends its tasks, in order of creation, started or not; who holds a
/// handle reads `Cancelled`; what is started afterwards is refused.
#[test]
fn close_ends_tasks_in_order_of_creation_and_later_ones_are_refused() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut handles = Vec::new();
    for name in ["waiting", "ready", "new"] {
        let probe = trace.probe(name);
        handles.push(event_loop.create_task(async move {
            let _probe = probe;
            match name {
                "waiting" => pending::<()>().await,
                _ => loop {
                    yield_now().await;
                },
            }
        }));
        if name == "ready" {
            turn(&event_loop);
        }
    }
    event_loop.close().unwrap();
    trace.assert(&["waiting dropped", "ready dropped", "new dropped"]);
    for mut task in handles {
        assert!(task.try_result().unwrap().unwrap_err().is_cancelled());
    }
    let text = panic_of(|| event_loop.create_task(async {}));
    assert_eq!(text, "Event loop is closed");
    let text = panic_of(|| event_loop.task_builder().name("x").spawn(async {}));
    assert_eq!(text, "Event loop is closed");
    assert_eq!(panic_of(|| spawn(async {})), "no running event loop");
}

/// FUT-18: a future that is refused is dropped, not lost.
#[test]
fn a_future_that_is_refused_is_dropped() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    event_loop.close().unwrap();
    let probe = trace.probe("future");
    panic_of(|| {
        event_loop.create_task(async move {
            let _probe = probe;
        })
    });
    trace.assert(&["future dropped"]);
}

/// A task started by a destructor while the loop closes comes back settled, unstarted: `LoopClosed`.
#[test]
fn started_during_close_is_settled_as_loop_closed() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (same, log) = (event_loop.clone(), trace.clone());
    let guard = on_drop(move || {
        let (probe, mark) = (log.probe("late"), log.noting("started"));
        let mut task = same.create_task(async move {
            mark();
            drop(probe);
        });
        assert!(task.is_finished() && !task.cancel());
        assert!(matches!(task.try_result(), Some(Err(TaskError::LoopClosed))));
        log.note("settled");
    });
    event_loop
        .create_task(async move {
            let _guard = guard;
            pending::<()>().await;
        })
        .detach();
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&["settled", "late dropped"]);
}

/// Destructors that start tasks whose destructors start tasks, a hundred thousand deep, need no
/// stack as the loop closes.
#[test]
fn destructors_that_start_tasks_during_close_need_no_stack() {
    struct Again(EventLoop, Rc<Cell<u32>>, u32);
    impl Drop for Again {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            if self.2 > 0 {
                let next = Again(self.0.clone(), Rc::clone(&self.1), self.2 - 1);
                self.0.create_task(async move { drop(next) }).detach();
            }
        }
    }
    let (event_loop, count) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
    let first = Again(event_loop.clone(), Rc::clone(&count), 100_000);
    event_loop.create_task(async move { drop(first) }).detach();
    event_loop.close().unwrap();
    assert_eq!(count.get(), 100_001);
}

/// A loop held by its own tasks lives on without anybody else, and is closed as its thread ends:
/// the tasks are dropped there.
#[test]
fn a_loop_that_only_its_tasks_hold_is_closed_as_its_thread_ends() {
    let trace = Trace::new();
    let log = trace.clone();
    thread::spawn(move || {
        let event_loop = EventLoop::new().unwrap();
        let (same, probe) = (event_loop.clone(), log.probe("task"));
        event_loop
            .create_task(async move {
                let (_same, _probe) = (same, probe);
                pending::<()>().await;
            })
            .detach();
        turn(&event_loop);
        drop(event_loop);
        log.note("thread ends");
    })
    .join()
    .unwrap();
    trace.assert(&["thread ends", "task dropped"]);
}

/// A task's future is gone before anybody hears of its end.
#[test]
fn the_future_is_dropped_before_anybody_hears_of_its_end() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let probe = trace.probe("future");
    let mut polled = false;
    let task = event_loop.create_task(poll_fn(move |cx: &mut Context<'_>| {
        let _keep = &probe;
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    task.add_done_callback(trace.noting("heard"));
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["future dropped", "heard"]);
    drop(task);
}

/// An output that nobody will read is dropped at the task's end, on the loop's thread; one that
/// somebody may still read is kept for them.
#[test]
fn an_output_is_dropped_at_the_end_or_kept_for_the_handle() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    drop(event_loop.create_task(ready(trace.probe("unwanted"))));
    let kept = event_loop.create_task(ready(trace.probe("kept")));
    turn(&event_loop);
    trace.assert(&["unwanted dropped"]);
    event_loop.close().unwrap();
    trace.assert(&[]);
    drop(kept);
    trace.assert(&["kept dropped"]);
}

/// Debug mode counts what tasks cost; otherwise no clock is read for them.
#[test]
fn busy_time_is_counted_in_debug_mode_only() {
    for debug in [false, true] {
        let event_loop = EventLoop::builder().debug(debug).build().unwrap();
        let task = event_loop.create_task(async {
            let began = std::time::Instant::now();
            while began.elapsed() < Duration::from_micros(50) {}
        });
        turn(&event_loop);
        let (task, whole) = (task.info().busy, event_loop.metrics());
        if debug {
            assert!(task >= Duration::from_micros(50));
            assert!(whole.busy >= task && whole.slowest_poll >= task);
        } else {
            assert_eq!((task, whole.busy, whole.slowest_poll), Default::default());
        }
    }
}

/// What a loop has done is counted.
#[test]
fn metrics_count_what_was_done() {
    let event_loop = virtual_loop();
    event_loop.call_soon(|| {});
    event_loop.call_later(SECOND, || {});
    event_loop.handle().call_soon_threadsafe(|| {}).unwrap();
    event_loop.create_task(pending::<()>()).detach();
    event_loop
        .run_until_complete(async {
            spawn(yield_now()).await.unwrap();
            sleep(2 * SECOND).await;
        })
        .unwrap();
    let metrics = event_loop.metrics();
    assert_eq!((metrics.callbacks, metrics.timers_fired), (3, 2));
    assert_eq!((metrics.tasks_spawned, metrics.tasks_alive), (3, 1));
    // Main three times, the task that yields twice, the one that waits once.
    assert_eq!(metrics.polls, 6);
    assert_eq!(metrics.remote_wakes, 1);
    assert!(metrics.turns >= 4);
}

/// The state a child process ends in does not matter here; that it ends without a word does: a
/// detached task with its loop, at process exit.
#[test]
fn a_process_that_ends_with_tasks_pending_ends_well() {
    in_good_child("a_process_that_ends_with_tasks_pending_ends_well", || {
        let event_loop = EventLoop::new().unwrap();
        let same = event_loop.clone();
        event_loop
            .create_task(async move {
                let _same = same;
                pending::<()>().await;
            })
            .detach();
        turn(&event_loop);
    });
}

// ─── several at once: the recipes, with the `futures` crate ─────────────────────────────────────

async fn after(seconds: u32, value: u32) -> u32 {
    sleep(seconds * SECOND).await;
    value
}

/// GAT-01: results come in the order of the arguments, whatever the order of completion.
#[test]
fn join_all_gives_results_in_the_order_of_its_arguments() {
    let values = run(async { join_all([3, 1, 2].map(|n| spawn(after(n, n)))).await });
    assert_eq!(values.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [3, 1, 2]);
}

/// GAT-02: the first failure is reported at once, and the others run on: shielded, they are not
/// cancelled by the end of the wait.
#[test]
fn try_join_all_of_shields_fails_at_once_and_the_others_run_on() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let began = loopbind::time::now();
        let mark = log.noting("the other ended");
        let tasks: [Task<()>; 2] = [
            spawn(async {
                sleep(SECOND).await;
                panic!("first failure");
            }),
            spawn(async move {
                sleep(2 * SECOND).await;
                mark();
            }),
        ];
        let failed = try_join_all(tasks.map(task::shield)).await.unwrap_err();
        log.note(format!("{failed} after {:?}", loopbind::time::now() - began));
        sleep(2 * SECOND).await;
    });
    trace.assert(&["the task panicked: first failure after 1s", "the other ended"]);
}

/// GAT-03: a later failure of a shielded one, after the wait failed already, is not lost: with nobody
/// left to read it, it is reported.
#[test]
fn a_later_failure_after_the_wait_failed_is_reported() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    event_loop
        .run_until_complete(async {
            let fail_after = |seconds: u32| {
                spawn(async move {
                    sleep(seconds * SECOND).await;
                    if seconds > 0 {
                        panic!("after {seconds} s");
                    }
                })
            };
            let tasks = [fail_after(1), fail_after(2)].map(task::shield);
            assert!(try_join_all(tasks).await.is_err());
            sleep(2 * SECOND).await;
        })
        .unwrap();
    trace.assert(&["Task exception was never retrieved: after 2 s"]);
}

/// GAT-10: once everything is there, cancelling the gatherer is too late and touches nobody.
#[test]
fn cancelling_a_gatherer_that_is_done_is_too_late() {
    let event_loop = virtual_loop();
    let mut gather =
        event_loop.create_task(join_all([1, 2].map(|n| event_loop.create_task(ready(n)))));
    while !gather.is_finished() {
        turn(&event_loop);
    }
    assert!(!gather.cancel());
    let values = gather.try_result().unwrap().unwrap();
    assert_eq!(values.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2]);
}

/// GAT-04, GAT-08: waiting for all, failures and cancellations are elements of the list.
#[test]
fn join_all_takes_failures_and_cancellations_as_elements() {
    run(async {
        let tasks = [spawn(after(1, 1)), spawn(async { panic!("two") }), spawn(after(9, 3))];
        yield_now().await;
        tasks[2].cancel();
        let outcomes = join_all(tasks).await;
        assert!(matches!(outcomes[0], Ok(1)));
        assert!(matches!(outcomes[1], Err(TaskError::Panicked(_))));
        assert!(matches!(outcomes[2], Err(TaskError::Cancelled)));
    });
}

/// GAT-05: cancelling who gathers cancels every unfinished child, in the next iteration.
#[test]
fn cancelling_who_joins_cancels_every_unfinished_child() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let children: Vec<Task<()>> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let probe = trace.probe(name);
            event_loop.create_task(async move {
                let _probe = probe;
                pending().await
            })
        })
        .collect();
    let mark = trace.noting("gathered");
    let gather = event_loop.create_task(async move {
        join_all(children).await;
        mark();
    });
    turn(&event_loop);
    gather.cancel();
    turn(&event_loop);
    trace.assert(&[]);
    assert!(gather.is_finished());
    turn(&event_loop);
    trace.assert(&["a dropped", "b dropped"]);
}

/// GAT-06: whoever awaits the cancelled gatherer reads a cancellation.
#[test]
fn a_cancelled_gatherer_is_cancelled_to_who_awaits_it() {
    let outcome = run(async {
        let gather = spawn(async { join_all([spawn(pending::<()>())]).await.len() });
        yield_now().await;
        gather.cancel();
        gather.await
    });
    assert!(outcome.unwrap_err().is_cancelled());
}

/// GAT-07: one cancelled child fails the wait; siblings that are shielded are not cancelled.
#[test]
fn one_cancelled_child_fails_the_wait_and_leaves_its_siblings() {
    run(async {
        let (first, second) = (spawn(pending::<()>()), spawn(async { sleep(SECOND).await }));
        let id = second.id();
        first.cancel();
        let failed = try_join_all([first, second].map(task::shield)).await.unwrap_err();
        assert!(failed.is_cancelled());
        yield_now().await;
        let event_loop = loopbind::get_running_loop().unwrap();
        assert!(event_loop.all_tasks().iter().any(|task| task.id == id));
    });
}

/// GAT-12: nothing to wait for is done at once.
#[test]
fn join_all_of_nothing_is_done_at_once() {
    assert_eq!(join_all(Vec::<Task<()>>::new()).now_or_never().map(|list| list.len()), Some(0));
}

/// WAI-01, WAI-03: the first to complete, and the rest left to run.
#[test]
fn select_all_gives_the_first_and_leaves_the_rest() {
    run(async {
        let (first, index, rest) = select_all([3, 1, 2].map(|n| spawn(after(n, n)))).await;
        assert_eq!((first.unwrap(), index, rest.len()), (1, 1, 2));
        let rest = join_all(rest).await;
        assert_eq!(rest.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [3, 2]);
    });
}

/// WAI-02: a wait that times out cancels nothing: wait by `join`, which ties no fates together.
#[test]
fn a_wait_by_join_that_times_out_cancels_nothing() {
    run(async {
        let mut tasks = [spawn(after(1, 1)), spawn(after(3, 3))];
        let waited = timeout(2 * SECOND, join_all(tasks.iter_mut().map(Task::join))).await;
        assert!(waited.is_err());
        assert_eq!(tasks.each_ref().map(Task::is_finished), [true, false]);
        let [_, pending] = tasks;
        assert_eq!(pending.await.unwrap(), 3);
    });
}

/// WAI-06: nor does cancelling the one who waits.
#[test]
fn cancelling_who_waits_by_join_cancels_nothing() {
    let event_loop = virtual_loop();
    let inner = Rc::new(RefCell::new(event_loop.create_task(after(1, 7))));
    let shared = Rc::clone(&inner);
    #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
    let waiter = event_loop.create_task(async move { shared.borrow_mut().join().await });
    turn(&event_loop);
    waiter.cancel();
    turn(&event_loop);
    let inner = Rc::try_unwrap(inner).unwrap().into_inner();
    assert_eq!(event_loop.run_until_complete(inner).unwrap().unwrap(), 7);
}

/// A `select!` in a loop keeps its task by `join`: the losing branch is dropped each time round, and
/// the task runs on.
#[test]
fn a_task_joined_in_a_select_loop_survives_the_rounds() {
    let rounds = run(async {
        let mut task = spawn(after(5, 7));
        let mut rounds = 0;
        loop {
            select_biased! {
                outcome = task.join() => break (rounds, outcome.unwrap()),
                () = sleep(2 * SECOND) => rounds += 1,
            }
        }
    });
    assert_eq!(rounds, (2, 7));
}

/// ASC-01: outcomes in order of completion.
#[test]
fn futures_unordered_gives_outcomes_in_order_of_completion() {
    let order = run(async {
        let tasks: FuturesUnordered<_> =
            [3, 1, 2].map(|n| spawn(after(n, n))).into_iter().collect();
        tasks.map(Result::unwrap).collect::<Vec<_>>().await
    });
    assert_eq!(order, [1, 2, 3]);
}

/// ASC-02: the next one may time out, and the unfinished run on.
#[test]
fn the_next_of_futures_unordered_may_time_out_and_the_unfinished_run_on() {
    run(async {
        let mut tasks: FuturesUnordered<_> =
            [1, 9].map(|n| spawn(after(n, n))).into_iter().collect();
        assert_eq!(timeout(2 * SECOND, tasks.next()).await.unwrap().unwrap().unwrap(), 1);
        assert!(timeout(SECOND, tasks.next()).await.is_err());
        assert_eq!(tasks.next().await.unwrap().unwrap(), 9);
        assert!(tasks.next().await.is_none());
    });
}

/// ASC-04: left and taken up again, it goes on where it was.
#[test]
fn futures_unordered_left_and_taken_up_again_goes_on() {
    run(async {
        let mut tasks: FuturesUnordered<_> =
            [2, 1, 3].map(|n| spawn(after(n, n))).into_iter().collect();
        assert_eq!(tasks.next().await.unwrap().unwrap(), 1);
        sleep(10 * SECOND).await;
        let rest: Vec<_> = tasks.map(Result::unwrap).collect().await;
        assert_eq!(rest, [2, 3]);
    });
}

/// `select` on two tasks cancels the loser when what it gives back is dropped, and not before.
#[test]
fn the_loser_of_a_select_is_cancelled_when_it_is_dropped() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let probe = log.probe("loser");
        let winner = spawn(after(1, 1));
        let loser = spawn(async move {
            let _probe = probe;
            pending::<u32>().await
        });
        let rest = select(winner, loser).await.factor_first().1;
        yield_now().await;
        log.note("won");
        drop(rest);
        yield_now().await;
        log.note("end");
    });
    trace.assert(&["won", "loser dropped", "end"]);
}

/// A task on each of several loops on several threads: what is current is the loop's own affair.
#[test]
fn loops_on_several_threads_have_their_own_current_tasks() {
    let (sender, receiver) = mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|i| {
            let sender = sender.clone();
            thread::spawn(move || {
                let event_loop = EventLoop::new().unwrap();
                let name = format!("task {i}");
                let task = event_loop.task_builder().name(&name).spawn(async move {
                    for _ in 0..100 {
                        assert_eq!(task::current().unwrap().name.as_deref(), Some(&*name));
                        yield_now().await;
                    }
                    loopbind::get_running_loop().unwrap().all_tasks().len()
                });
                sender.send(event_loop.run_until_complete(task).unwrap().unwrap()).unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    drop(sender);
    // Each sees its own task, and the main future that awaits it.
    assert_eq!(receiver.iter().collect::<Vec<_>>(), [2; 4]);
}

/// What `select!` asks: whether a task's handle gave its outcome, and not whether the task is over.
#[test]
fn over_and_untaken_then_taken_is_terminated() {
    use futures::future::FusedFuture;

    run(async {
        let mut task = spawn(ready(1));
        yield_now().await;
        assert!(task.is_finished() && !task.is_terminated());
        assert!(format!("{:?}", task.join()).starts_with("Join { "));
        assert_eq!((&mut task).await.unwrap(), 1);
        assert!(task.is_terminated());
    });
}
