//! Callbacks: when they run, in which order, how often, and what becomes of those taken back.

mod support;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use loopbind::{EventLoop, Handle, TimerHandle, get_running_loop, task};
use support::{Bomb, Trace, note_reports, turn, virtual_loop};

/// CB-01: callbacks run in order of registration, each exactly once.
#[test]
fn registered_in_order_runs_in_order_each_once() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let expected: Vec<String> = (0..500).map(|i| i.to_string()).collect();
    for event in &expected {
        let (trace, event) = (trace.clone(), event.clone());
        event_loop.call_soon(move || trace.note(event));
    }
    assert_eq!(turn(&event_loop), 500);
    assert_eq!(trace.take(), expected);
    assert_eq!(turn(&event_loop), 0, "none runs twice");
    trace.assert(&[]);
}

/// CB-01: callbacks and tasks share the queue: they start in the order of their creation.
#[test]
fn callbacks_and_tasks_are_one_queue() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    event_loop.call_soon(trace.noting("first"));
    let mark = trace.noting("task");
    let task = event_loop.create_task(async move { mark() });
    event_loop.call_soon(trace.noting("last"));
    turn(&event_loop);
    trace.assert(&["first", "task", "last"]);
    task.detach();
}

/// CB-02: what a batch adds waits for the next iteration.
#[test]
fn a_callback_added_by_a_callback_runs_in_the_next_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (inner, log) = (event_loop.clone(), trace.clone());
    event_loop.call_soon(move || {
        log.note("outer");
        inner.call_soon(log.noting("inner"));
    });
    event_loop.call_soon(trace.noting("sibling"));
    assert_eq!(turn(&event_loop), 2);
    trace.assert(&["outer", "sibling"]);
    assert_eq!(turn(&event_loop), 1);
    trace.assert(&["inner"]);
}

/// CB-02: a callback that schedules itself again for ever keeps no timer waiting: with the look at
/// the clock in each iteration, a timer that was due at once fires in the very next one.
#[test]
fn a_self_rescheduling_callback_does_not_starve_a_due_timer() {
    fn again(event_loop: EventLoop, rounds: Rc<Cell<u32>>) {
        rounds.set(rounds.get() + 1);
        event_loop.clone().call_soon(move || again(event_loop, rounds));
    }
    let event_loop = EventLoop::new().unwrap();
    let (rounds, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(None)));
    event_loop.call_soon({
        let (event_loop, rounds) = (event_loop.clone(), Rc::clone(&rounds));
        move || again(event_loop, rounds)
    });
    let (stop, rounds_now, seen_now) = (event_loop.clone(), Rc::clone(&rounds), Rc::clone(&seen));
    event_loop.call_later(Duration::ZERO, move || {
        seen_now.set(Some(rounds_now.get()));
        stop.stop();
    });
    event_loop.run_forever().unwrap();
    assert_eq!(seen.get(), Some(1), "the timer was behind the first round and ahead of the second");
    event_loop.close().unwrap();
}

/// CB-03: what was ready runs before what is due, whichever was registered first.
#[test]
fn ready_runs_before_due_although_due_was_registered_before() {
    let event_loop = EventLoop::new().unwrap();
    let trace = Trace::new();
    let past = event_loop.time() - Duration::from_secs(1);
    event_loop.call_later(Duration::ZERO, trace.noting("later 0"));
    event_loop.call_at(past, trace.noting("past"));
    event_loop.call_soon(trace.noting("soon"));
    turn(&event_loop);
    trace.assert(&["soon", "past", "later 0"]);
}

/// CB-12: a handle cancelled by an earlier callback of the same batch does not run.
#[test]
fn cancelled_by_an_earlier_callback_of_the_batch_does_not_run() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let victim: Rc<RefCell<Option<Handle>>> = Rc::default();
    let (shared, log) = (Rc::clone(&victim), trace.clone());
    event_loop.call_soon(move || {
        log.note("cancel");
        shared.borrow().as_ref().unwrap().cancel();
    });
    *victim.borrow_mut() = Some(event_loop.call_soon(trace.noting("victim")));
    event_loop.call_soon(trace.noting("after"));
    turn(&event_loop);
    trace.assert(&["cancel", "after"]);
    assert!(victim.borrow().as_ref().unwrap().is_cancelled());
}

/// CB-12: the same for a timer that was due, and is in the batch already.
#[test]
fn a_due_timer_cancelled_by_an_earlier_one_of_the_batch_does_not_run() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let victim: Rc<RefCell<Option<TimerHandle>>> = Rc::default();
    let (shared, log) = (Rc::clone(&victim), trace.clone());
    let due = event_loop.time();
    event_loop.call_at(due, move || {
        log.note("cancel");
        shared.borrow().as_ref().unwrap().cancel();
    });
    *victim.borrow_mut() = Some(event_loop.call_at(due, trace.noting("victim")));
    event_loop.call_at(due, trace.noting("after"));
    turn(&event_loop);
    trace.assert(&["cancel", "after"]);
}

/// CB-13: `cancel` drops what the callback captured at once, is idempotent, and is harmless after
/// the callback ran.
#[test]
fn cancel_drops_the_capture_at_once_and_again_changes_nothing() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (probe, log) = (trace.probe("capture"), trace.clone());
    let handle = event_loop.call_soon(move || {
        log.note("ran");
        drop(probe);
    });
    assert!(!handle.is_cancelled());
    handle.cancel();
    trace.assert(&["capture dropped"]);
    handle.cancel();
    turn(&event_loop);
    trace.assert(&[]);
    assert!(handle.is_cancelled());

    let handle = event_loop.call_soon(trace.noting("ran"));
    turn(&event_loop);
    handle.cancel();
    trace.assert(&["ran"]);
    assert!(handle.is_cancelled(), "it says that `cancel` was called, not that it came in time");
}

/// CB-13: a callback that cancels itself while it runs goes on to its end.
#[test]
fn cancelled_during_its_own_run_runs_on() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let own: Rc<RefCell<Option<Handle>>> = Rc::default();
    let (shared, log, probe) = (Rc::clone(&own), trace.clone(), trace.probe("capture"));
    *own.borrow_mut() = Some(event_loop.call_soon(move || {
        log.note("begin");
        shared.borrow().as_ref().unwrap().cancel();
        log.note("end");
        drop(probe);
    }));
    turn(&event_loop);
    trace.assert(&["begin", "end", "capture dropped"]);
}

/// CB-13: what was captured may cancel, schedule and look up from its destructor.
#[test]
fn the_destructor_of_a_cancelled_capture_may_use_the_loop() {
    struct Reenter(EventLoop, Trace, Rc<RefCell<Option<Handle>>>);
    impl Drop for Reenter {
        fn drop(&mut self) {
            self.2.borrow().as_ref().unwrap().cancel();
            self.0.call_soon(self.1.noting("from the destructor"));
        }
    }
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let own: Rc<RefCell<Option<Handle>>> = Rc::default();
    let capture = Reenter(event_loop.clone(), trace.clone(), Rc::clone(&own));
    *own.borrow_mut() = Some(event_loop.call_soon(move || drop(capture)));
    own.borrow().as_ref().unwrap().cancel();
    turn(&event_loop);
    trace.assert(&["from the destructor"]);
}

/// CB-14: dropping the handle changes nothing.
#[test]
fn handle_dropped_then_callback_runs() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    drop(event_loop.call_soon(trace.noting("soon")));
    drop(event_loop.call_later(Duration::from_secs(5), trace.noting("later")));
    event_loop.run_until_complete(loopbind::sleep(Duration::from_secs(6))).unwrap();
    trace.assert(&["soon", "later"]);
}

/// CB-17: a callback that panics is reported, and those behind it in the batch run.
#[test]
fn a_panic_in_a_callback_is_reported_and_the_batch_goes_on() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let line = line!() + 1;
    event_loop.call_soon(|| panic!("spilled"));
    event_loop.call_soon(trace.noting("behind"));
    assert_eq!(turn(&event_loop), 2);
    let report = format!("Exception in callback at {}:{line}:16: spilled", file!());
    trace.assert(&[report.as_str(), "behind"]);
}

/// CB-17: a capture whose destructor panics is no worse, run or taken back.
#[test]
fn a_capture_that_panics_as_it_drops_is_reported_run_or_cancelled() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let bomb = Bomb("bang");
    event_loop.call_soon(move || drop(bomb));
    let bomb = Bomb("boom");
    let handle = event_loop.call_soon(move || drop(bomb));
    handle.cancel();
    event_loop.call_soon(trace.noting("behind"));
    turn(&event_loop);
    let events = trace.take();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(events[0].starts_with("exception in the destructor of a callback made at "));
    assert!(events[0].ends_with(": boom"));
    assert!(events[1].starts_with("Exception in callback at "));
    assert!(events[1].ends_with(": bang"));
    assert_eq!(events[2], "behind");
}

/// CB-20: handles are identities: the same function twice runs twice, and cancelling one leaves the
/// other.
#[test]
fn the_same_function_twice_runs_twice_and_one_cancelled_leaves_the_other() {
    let (event_loop, count) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
    let add = || {
        let count = Rc::clone(&count);
        move || count.set(count.get() + 1)
    };
    event_loop.call_soon(add());
    event_loop.call_soon(add());
    event_loop.call_soon(add()).cancel();
    event_loop.call_soon(add());
    turn(&event_loop);
    assert_eq!(count.get(), 3);
}

/// CB-21: `Debug` names the line that made it, and whether it was cancelled, in every phase.
#[test]
fn handles_say_where_they_were_made_and_whether_cancelled() {
    let event_loop = EventLoop::new().unwrap();
    let line = line!() + 1;
    let (soon, later) = (event_loop.call_soon(|| {}), event_loop.call_later(Duration::MAX, || {}));
    let place = format!("{}:{line}", file!());
    assert!(format!("{soon:?}").contains(&place), "{soon:?}");
    assert!(format!("{later:?}").contains(&place) && format!("{later:?}").contains("when"));
    assert!(format!("{soon:?}").contains("cancelled: false"));
    soon.cancel();
    assert!(format!("{soon:?}").contains("cancelled: true"));
    event_loop.close().unwrap();
    assert!(format!("{later:?}").contains(&place), "also after the loop closed");
}

/// TSK-18: a plain callback runs inside the loop and inside no task.
#[test]
fn inside_a_callback_the_loop_runs_and_no_task_is_current() {
    let event_loop = EventLoop::new().unwrap();
    let (same, seen) = (event_loop.clone(), Rc::new(Cell::new(false)));
    let seen_inside = Rc::clone(&seen);
    event_loop.call_soon(move || {
        assert!(get_running_loop().unwrap() == same);
        assert!(task::current().is_none() && same.current_task().is_none());
        seen_inside.set(true);
    });
    turn(&event_loop);
    assert!(seen.get());
}

/// Closing takes what is queued and drops it unrun, in order; a closed loop refuses more by a panic
/// with the error's text at the caller's line.
#[test]
fn queued_then_closed_is_dropped_unrun_and_later_ones_are_refused() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for name in ["first", "second"] {
        let (probe, log) = (trace.probe(name), trace.clone());
        event_loop.call_soon(move || {
            log.note("ran");
            drop(probe);
        });
    }
    let probe = trace.probe("timer");
    let timer = event_loop.call_later(Duration::from_secs(1), move || drop(probe));
    event_loop.close().unwrap();
    trace.assert(&["first dropped", "second dropped", "timer dropped"]);
    timer.cancel();
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        event_loop.call_soon(|| {});
    }));
    let text = refused.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(*text, "Event loop is closed");
    for refused in [
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            event_loop.call_later(Duration::ZERO, || {});
        })),
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            event_loop.call_at(Instant::now(), || {});
        })),
    ] {
        assert!(refused.is_err());
    }
}

/// A destructor that schedules while the loop closes is not refused: what it schedules is taken, and
/// dropped with the rest.
#[test]
fn scheduled_during_close_is_taken_and_dropped() {
    struct Reschedule(EventLoop, Trace);
    impl Drop for Reschedule {
        fn drop(&mut self) {
            let (probe, log) = (self.1.probe("late"), self.1.clone());
            let handle = self.0.call_soon(move || {
                log.note("ran");
                drop(probe);
            });
            assert!(handle.is_cancelled(), "over before it began");
            self.1.note("rescheduled");
        }
    }
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let capture = Reschedule(event_loop.clone(), trace.clone());
    event_loop.call_soon(move || drop(capture));
    event_loop.close().unwrap();
    trace.assert(&["rescheduled", "late dropped"]);
}

/// A cancelled callback leaves nothing in the queue that would be mistaken for work: a loop that has
/// only cancelled ones left still sleeps until its timer, and no longer.
#[test]
fn cancelled_callbacks_count_neither_as_run_nor_as_called() {
    let event_loop = EventLoop::new().unwrap();
    for _ in 0..10 {
        event_loop.call_soon(|| {}).cancel();
    }
    turn(&event_loop);
    assert_eq!(event_loop.metrics().callbacks, 0);
    assert!(!event_loop.turn(Some(Duration::ZERO)).unwrap().more);
}
