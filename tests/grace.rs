//! `cancel_within`: told first, and dropped when the grace is over on the loop's clock; no timer where
//! nobody listens, and none left where the task ended before.

mod support;

use std::cell::RefCell;
use std::future::{pending, poll_fn, ready};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, LoopError, Task, TaskState, sleep, spawn, task, time, yield_now};
use support::{Trace, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

/// A task that listens, and cleans up for `cleanup` once it was told. It notes what it hears, and its drop.
fn listening(event_loop: &EventLoop, trace: &Trace, cleanup: Duration) -> Task<&'static str> {
    let log = trace.clone();
    event_loop.create_task(async move {
        let _probe = log.probe("future");
        task::cancelled().await;
        log.note("told");
        sleep(cleanup).await;
        log.note("cleaned up");
        "value"
    })
}

/// Runs `event_loop` until the task is over, and gives how long that took on its clock.
#[track_caller]
fn took<T>(event_loop: &EventLoop, task: &mut Task<T>) -> (Duration, Option<T>) {
    let before = event_loop.time();
    let outcome = event_loop.run_until_complete(task.join()).unwrap();
    let value = match outcome {
        Ok(value) => Some(value),
        Err(error) => {
            assert!(error.is_cancelled(), "{error:?}");
            None
        }
    };
    (event_loop.time() - before, value)
}

/// Told, and done within its time: it has its value, and no timer is left.
#[test]
fn told_then_done_in_time_has_its_value_and_leaves_no_timer() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 2 * SECOND);
    turn(&event_loop);
    assert!(task.cancel_within(5 * SECOND));
    assert_eq!(took(&event_loop, &mut task), (2 * SECOND, Some("value")));
    trace.assert(&["told", "cleaned up", "future dropped"]);
    assert_eq!(event_loop.next_deadline(), None, "the timer was taken back");
    assert!(!task.cancel_within(SECOND), "it is over");
}

/// Told, and not done in time: dropped when the grace is over, on the loop's clock.
#[test]
fn told_then_late_is_dropped_when_the_grace_is_over() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 60 * SECOND);
    turn(&event_loop);
    assert!(task.cancel_within(5 * SECOND));
    assert_eq!(took(&event_loop, &mut task), (5 * SECOND, None));
    trace.assert(&["told", "future dropped"]);
    assert_eq!(event_loop.next_deadline(), None, "its own timer is gone, too");
}

/// A task that does not listen is dropped in its next turn, as by `cancel`, and needs no timer; one that
/// has not begun never begins.
#[test]
fn who_does_not_listen_is_dropped_at_once_without_a_timer() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let probe = trace.probe("future");
    let task = event_loop.create_task(async move {
        let _probe = probe;
        pending::<()>().await;
    });
    turn(&event_loop);
    let mark = trace.noting("began");
    let new = event_loop.create_task(async move { mark() });
    assert!(task.cancel_within(5 * SECOND) && new.cancel_within(5 * SECOND));
    assert_eq!(task.info().state, TaskState::Cancelling);
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    assert!(task.is_finished() && new.is_finished());
    assert_eq!((event_loop.next_deadline(), event_loop.metrics().timers_fired), (None, 0));
}

/// At a grace of zero a task is told all the same, has one turn, and is dropped in the next.
#[test]
fn at_zero_it_is_told_and_has_one_turn() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let short = event_loop.create_task(async {
        task::cancelled().await;
        "in one turn"
    });
    let long = listening(&event_loop, &trace, SECOND);
    turn(&event_loop);
    assert!(short.cancel_within(Duration::ZERO) && long.cancel_within(Duration::ZERO));
    turn(&event_loop);
    trace.assert(&["told"]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    assert_eq!(short.now_or_never().unwrap().unwrap(), "in one turn");
}

/// A grace that does not fit the clock is none: it is as `cancel`.
#[test]
fn a_grace_without_end_is_a_plain_cancel() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 1_000_000 * SECOND);
    turn(&event_loop);
    task.cancel_within(Duration::MAX);
    assert_eq!(took(&event_loop, &mut task), (1_000_000 * SECOND, Some("value")));
}

/// Of two graces the shorter counts, in both orders, before it is told and after; a later one counts from
/// its own call.
#[test]
fn called_twice_the_shorter_grace_counts() {
    for (first, second) in [(3, 10), (10, 3)] {
        for told_between in [false, true] {
            let (event_loop, trace) = (virtual_loop(), Trace::new());
            let mut task = listening(&event_loop, &trace, 60 * SECOND);
            turn(&event_loop);
            assert!(task.cancel_within(first * SECOND));
            if told_between {
                turn(&event_loop);
            }
            assert!(task.cancel_within(second * SECOND));
            assert_eq!(took(&event_loop, &mut task), (3 * SECOND, None));
            trace.assert(&["told", "future dropped"]);
            assert_eq!(event_loop.next_deadline(), None);
            assert_eq!(event_loop.metrics().timers_fired, 1, "one timer, whatever was asked");
        }
    }
    let event_loop = virtual_loop();
    let mut task = listening(&event_loop, &Trace::new(), 60 * SECOND);
    turn(&event_loop);
    task.cancel_within(10 * SECOND);
    event_loop.run_until_complete(sleep(4 * SECOND)).unwrap();
    task.cancel_within(2 * SECOND);
    assert_eq!(took(&event_loop, &mut task), (2 * SECOND, None));
}

/// On a task that was told by `cancel` and cleans up it sets the bound and does not ask again: a second
/// `cancel` would cut it short at once.
#[test]
fn told_before_then_bounded_is_not_cut_short() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 2 * SECOND);
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["told"]);
    assert!(task.cancel_within(5 * SECOND));
    assert_eq!(took(&event_loop, &mut task), (2 * SECOND, Some("value")));

    let mut task = listening(&event_loop, &trace, 60 * SECOND);
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    assert!(task.cancel_within(5 * SECOND));
    assert_eq!(took(&event_loop, &mut task), (5 * SECOND, None));
}

/// One that listens again while it cleans up is told again.
#[test]
fn told_before_and_listening_again_is_told_again() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        for time in ["first", "second"] {
            task::cancelled().await;
            log.note(time);
        }
    });
    turn(&event_loop);
    task.cancel_within(9 * SECOND);
    turn(&event_loop);
    task.cancel_within(5 * SECOND);
    turn(&event_loop);
    trace.assert(&["first", "second"]);
    assert!(task.try_result().unwrap().is_ok());
    assert_eq!(event_loop.next_deadline(), None);
}

/// The end of the grace is an `abort`: one that listens again by then is not asked once more.
#[test]
fn listening_again_at_the_end_of_the_grace_is_dropped_all_the_same() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    let mut task = event_loop.create_task(async move {
        let _probe = log.probe("future");
        for time in ["told", "never"] {
            task::cancelled().await;
            log.note(time);
        }
    });
    turn(&event_loop);
    task.cancel_within(5 * SECOND);
    assert_eq!(took(&event_loop, &mut task), (5 * SECOND, None));
    trace.assert(&["told", "future dropped"]);
}

/// `cancel` during the grace drops who cleans up and does not listen, as it always does, and `abort`
/// drops at once; neither leaves a timer.
#[test]
fn cancelled_or_aborted_during_the_grace_is_dropped_at_once() {
    for ask in [Task::cancel, Task::abort] {
        let (event_loop, trace) = (virtual_loop(), Trace::new());
        let mut task = listening(&event_loop, &trace, 60 * SECOND);
        turn(&event_loop);
        task.cancel_within(5 * SECOND);
        turn(&event_loop);
        assert!(ask(&task));
        assert_eq!(took(&event_loop, &mut task), (Duration::ZERO, None));
        assert_eq!(event_loop.next_deadline(), None);
    }
}

/// Asked by itself and listening only then, in the same poll: told at once, and bounded all the same.
#[test]
fn asked_by_itself_before_it_listened_is_bounded_too() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let own: Rc<RefCell<Option<Task<()>>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        let _probe = log.probe("future");
        shared.borrow().as_ref().unwrap().cancel_within(5 * SECOND);
        task::cancelled().await;
        log.note("told");
        pending::<()>().await;
    }));
    turn(&event_loop);
    trace.assert(&["told"]);
    let before = event_loop.time();
    event_loop.run_until_complete(sleep(4 * SECOND)).unwrap();
    trace.assert(&[]);
    event_loop.run_until_complete(sleep(4 * SECOND)).unwrap();
    trace.assert(&["future dropped"]);
    assert_eq!(event_loop.time() - before, 8 * SECOND);
}

/// CAN-10: the end of its cleanup and the grace's in one iteration, whichever timer was made first: the
/// task is dropped, and what it was woken for is lost to it. A moment earlier it has its value.
#[test]
fn due_together_with_the_end_of_the_grace_it_is_dropped() {
    for (cleanup, value) in [(5, None), (4, Some("value"))] {
        for told_first in [true, false] {
            let event_loop = virtual_loop();
            let mut task = listening(&event_loop, &Trace::new(), cleanup * SECOND);
            turn(&event_loop);
            if told_first {
                task.cancel();
                turn(&event_loop);
            }
            task.cancel_within(5 * SECOND);
            assert_eq!(took(&event_loop, &mut task), (cleanup * SECOND, value));
        }
    }
}

/// A loop that is stopped meanwhile ends nothing; the bound is there in the next run, and where it has
/// passed by then, the task has one turn to hear of it.
#[test]
fn a_loop_that_stops_meanwhile_ends_nothing_until_it_runs_again() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 60 * SECOND);
    turn(&event_loop);
    task.cancel_within(5 * SECOND);
    event_loop.run_until_complete(sleep(3 * SECOND)).unwrap();
    trace.assert(&["told"]);
    assert!(!task.is_finished());
    assert_eq!(took(&event_loop, &mut task), (2 * SECOND, None));
    trace.assert(&["future dropped"]);
}

/// A loop that is closed during the grace drops the task with the rest, once, and forgets the timer.
#[test]
fn closed_during_the_grace_drops_it_with_the_rest() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 60 * SECOND);
    turn(&event_loop);
    task.cancel_within(5 * SECOND);
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&["told", "future dropped"]);
    assert!(task.try_result().unwrap().unwrap_err().is_cancelled());
    assert!(!task.cancel_within(SECOND));
}

/// What a task took along when it ended is asked as by `cancel`: the grace was the task's own.
#[test]
fn what_it_awaited_is_asked_and_has_no_bound() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let inner = listening(&event_loop, &trace, 60 * SECOND);
    let outer = event_loop.create_task(async move { inner.await.is_ok() });
    turn(&event_loop);
    outer.cancel_within(5 * SECOND);
    event_loop.run_until_complete(sleep(61 * SECOND)).unwrap();
    trace.assert(&["told", "cleaned up", "future dropped"]);
}

/// Asked by the guard, from an `AbortHandle`, from another thread: told, then dropped.
#[test]
fn asked_by_every_other_handle_is_told_then_dropped() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let guard = listening(&event_loop, &trace, 60 * SECOND).abort_on_drop();
    let by_handle = listening(&event_loop, &trace, 60 * SECOND);
    let handle = by_handle.abort_handle();
    turn(&event_loop);
    assert!(guard.cancel_within(SECOND) && handle.cancel_within(SECOND));
    event_loop.run_until_complete(sleep(3 * SECOND)).unwrap();
    trace.assert(&["told", "told", "future dropped", "future dropped"]);
    assert!(guard.is_finished() && handle.is_finished() && !handle.cancel_within(SECOND));

    let log = trace.clone();
    let remote = event_loop.handle().spawn(move || async move {
        let _probe = log.probe("remote future");
        task::cancelled().await;
        log.note("remote told");
        pending::<()>().await;
    });
    let remote = remote.unwrap();
    turn(&event_loop);
    let remote = std::thread::spawn(move || {
        assert!(remote.cancel_within(SECOND));
        remote
    });
    let remote = remote.join().unwrap();
    event_loop.run_until_complete(sleep(3 * SECOND)).unwrap();
    trace.assert(&["remote told", "remote future dropped"]);
    assert!(remote.is_finished() && !remote.cancel_within(SECOND));
}

/// A thread's body that listens is told, and dropped when the grace is over: `join` says that it was
/// stopped.
#[test]
fn a_body_that_does_not_end_in_time_is_dropped() {
    for (grace, ends) in [(Duration::from_millis(1), false), (3600 * SECOND, true)] {
        let builder = EventLoop::builder().virtual_time(true);
        let thread = ThreadBuilder::new().event_loop(builder).spawn(|| async {
            task::cancelled().await;
            sleep(60 * SECOND).await;
            "cleaned up"
        });
        let thread = thread.unwrap();
        thread.handle().spawn(|| ready(())).unwrap().join().unwrap();
        thread.stop_within(grace);
        match thread.join() {
            Ok(value) => assert!(ends && value == "cleaned up"),
            Err(payload) => {
                assert!(!ends);
                let error = payload.downcast_ref::<LoopError>();
                assert!(matches!(error, Some(LoopError::StoppedBeforeComplete)));
            }
        }
    }
}

/// A task that is told, and whose listener is dropped unheard, is dropped in its next turn: the grace is
/// for who listens.
#[test]
fn told_and_dropped_unheard_is_not_given_the_grace() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    let mut steps = 0;
    let mut listener = Some(Box::pin(task::cancelled()));
    let task = event_loop.create_task(poll_fn(move |cx| {
        steps += 1;
        if steps == 1 {
            assert!(listener.as_mut().unwrap().as_mut().poll(cx).is_pending());
        } else {
            listener = None;
        }
        log.note(format!("step {steps}"));
        std::task::Poll::<()>::Pending
    }));
    turn(&event_loop);
    task.cancel_within(5 * SECOND);
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["step 1", "step 2"]);
    assert!(task.is_finished() && event_loop.next_deadline().is_none());
}

/// Many at once, each with a bound of its own: they end in the order of their bounds.
#[test]
fn many_end_in_the_order_of_their_bounds() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    event_loop
        .run_until_complete(async move {
            let tasks: Vec<_> = (0..5)
                .map(|i| {
                    let log = log.clone();
                    spawn(async move {
                        let _probe = log.probe(format!("{i}"));
                        task::cancelled().await;
                        pending::<()>().await;
                    })
                })
                .collect();
            yield_now().await;
            for (i, task) in tasks.iter().enumerate() {
                task.cancel_within((5 - i as u32) * SECOND);
            }
            time::advance(10 * SECOND).await.unwrap();
        })
        .unwrap();
    trace.assert(&["4 dropped", "3 dropped", "2 dropped", "1 dropped", "0 dropped"]);
}

/// An `AbortHandle` that is asked inside of its loop does what the task does, without a way round; once the task is
/// over it says so, and sets no timer.
#[test]
fn asked_by_a_handle_inside_the_loop_is_bounded_then_over() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let mut task = listening(&event_loop, &trace, 60 * SECOND);
    let handle = task.abort_handle();
    turn(&event_loop);
    let (inside, log) = (handle.clone(), trace.clone());
    event_loop.call_soon(move || {
        assert!(inside.cancel_within(5 * SECOND));
        log.note("asked");
    });
    // What is queued behind it runs behind it, two turns on.
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop.call_soon(move || drop(same.call_soon(log.noting("behind"))));
    assert_eq!(took(&event_loop, &mut task), (5 * SECOND, None));
    event_loop
        .run_until_complete(async { assert!(!handle.cancel_within(SECOND), "it is over") })
        .unwrap();
    assert_eq!(event_loop.next_deadline(), None);
    trace.assert(&["asked", "told", "behind", "future dropped"]);
}
