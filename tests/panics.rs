//! Panics: in whatever of the user's the loop calls. Each reaches somebody, none hurts who is
//! innocent, and the queue is whole afterwards.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use loopbind::{
    EventLoop, ExceptionContext, Task, TaskError, get_bound_loop, get_running_loop, spawn, task,
    yield_now,
};
use support::{Bomb, Trace, in_good_child, note_reports, on_drop, panic_of, turn, virtual_loop};

/// A loop whose reports go to a trace.
fn watched() -> (EventLoop, Trace) {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    (event_loop, trace)
}

/// A future that does what it is told when it is polled, and panics as it is dropped.
struct Explosive<P> {
    poll: P,
    _bomb: Bomb,
}

impl<P> Unpin for Explosive<P> {}

impl<T, P: FnMut(&mut Context<'_>) -> Poll<T>> Future for Explosive<P> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        (self.poll)(cx)
    }
}

fn explosive<T, P: FnMut(&mut Context<'_>) -> Poll<T>>(
    text: &'static str,
    poll: P,
) -> Explosive<P> {
    Explosive { poll, _bomb: Bomb(text) }
}

// ─── in a poll ──────────────────────────────────────────────────────────────────────────────────

/// A panic in a poll reaches who awaits, with its payload, and nobody else; what was behind it in
/// the batch runs.
#[test]
fn a_panic_in_a_poll_reaches_who_awaits_and_the_batch_goes_on() {
    let (event_loop, trace) = watched();
    let text = event_loop.create_task(async { panic!("text") });
    let value = event_loop.create_task(async { panic_any(7_u32) });
    let mark = trace.noting("behind");
    event_loop.create_task(async move { mark() }).detach();
    turn(&event_loop);
    trace.assert(&["behind"]);
    let outcome: Result<(), _> = event_loop.run_until_complete(text).unwrap();
    assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: text");
    let outcome: Result<(), _> = event_loop.run_until_complete(value).unwrap();
    let payload = outcome.unwrap_err().into_panic().unwrap();
    assert_eq!(payload.downcast_ref::<u32>(), Some(&7));
    trace.assert(&[]);
}

/// A payload can be thrown on by who awaited, as it is.
#[test]
fn a_payload_can_be_thrown_on() {
    let (event_loop, _trace) = watched();
    let task: Task<()> = event_loop.create_task(async { panic!("thrown on") });
    let text = panic_of(|| {
        event_loop.run_until_complete(async {
            let Err(TaskError::Panicked(payload)) = task.await else { unreachable!() };
            payload.resume()
        })
    });
    assert_eq!(text, "thrown on");
    assert_eq!(turn(&event_loop), 0);
}

/// Main's panic leaves the run once the slots are restored; main was dropped while its loop still
/// was the running one; the loop can run again, and what was ready still is.
#[test]
fn a_panic_of_main_leaves_the_run_with_everything_restored() {
    let (event_loop, trace) = watched();
    let bound = event_loop.bind();
    let inside = EventLoop::new().unwrap();
    let log = trace.clone();
    let expected = inside.id();
    let text = panic_of(|| {
        inside.run_until_complete(async {
            let dropped = log.clone();
            let _guard = on_drop(move || {
                let running = get_running_loop().unwrap();
                dropped.note(format!("main dropped on its loop: {}", running.id() == expected));
            });
            let mark = log.noting("left over");
            spawn(async move {
                yield_now().await;
                yield_now().await;
                mark();
            })
            .detach();
            panic!("main");
        })
    });
    assert_eq!(text, "main");
    trace.assert(&["main dropped on its loop: true"]);
    assert!(get_running_loop().is_err() && !inside.is_running());
    assert!(get_bound_loop().unwrap() == event_loop);
    assert_eq!(inside.run_until_complete(async { 7 }).unwrap(), 7);
    turn(&inside);
    turn(&inside);
    trace.assert(&["left over"]);
    drop(bound);
}

/// A thousand runs, every other one panicking: nothing grows, and nothing is left running.
#[test]
fn panicking_runs_and_good_ones_take_turns() {
    let (event_loop, trace) = watched();
    for round in 0..1_000 {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            event_loop.run_until_complete(async {
                assert_eq!(event_loop.all_tasks().len(), 1);
                yield_now().await;
                if round % 2 == 0 {
                    std::panic::resume_unwind(Box::new("even"));
                }
                round
            })
        }));
        assert_eq!(outcome.is_err(), round % 2 == 0);
        assert!(get_running_loop().is_err());
    }
    assert!(event_loop.all_tasks().is_empty());
    trace.assert(&[]);
}

// ─── in a future's destructor ───────────────────────────────────────────────────────────────────

/// At completion: reported once, with the task; the value is there all the same.
#[test]
fn a_destructor_that_panics_at_completion_is_reported_and_the_value_stays() {
    let (event_loop, trace) = watched();
    let mut task = event_loop.create_task(explosive("bang", |_| Poll::Ready(7)));
    event_loop.call_soon(trace.noting("behind"));
    turn(&event_loop);
    trace.assert(&["exception in the destructor of a future: bang", "behind"]);
    assert_eq!(task.try_result().unwrap().unwrap(), 7);
}

/// After a panic of its poll: two panics, the first is the outcome, the second is reported.
#[test]
fn a_poll_and_then_a_destructor_that_panic_are_told_apart() {
    let (event_loop, trace) = watched();
    let mut task = event_loop.create_task(explosive("second", |_| -> Poll<()> { panic!("first") }));
    turn(&event_loop);
    trace.assert(&["exception in the destructor of a future: second"]);
    let outcome = task.try_result().unwrap();
    assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: first");
}

/// At a cancellation: the panic is the task's outcome, so that it reaches who awaits; reported where
/// nobody does.
#[test]
fn a_destructor_that_panics_at_cancellation_is_the_outcome() {
    let (event_loop, trace) = watched();
    for started in [true, false] {
        let mut task = event_loop.create_task(explosive("bang", |_| Poll::<()>::Pending));
        if started {
            turn(&event_loop);
        }
        task.cancel();
        event_loop.call_soon(trace.noting("behind"));
        turn(&event_loop);
        trace.assert(&["behind"]);
        let outcome = task.try_result().unwrap();
        assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: bang");
    }
    let task = event_loop.create_task(explosive("unheard", |_| Poll::<()>::Pending));
    task.cancel();
    drop(task);
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: unheard"]);
}

/// At close: each is reported, with its task, in order, and all others are dropped.
#[test]
fn destructors_that_panic_at_close_are_reported_and_the_others_dropped() {
    let (event_loop, trace) = watched();
    for name in ["first", "second"] {
        event_loop.create_task(explosive(name, |_| Poll::<()>::Pending)).detach();
        let probe = trace.probe(name);
        event_loop
            .create_task(async move {
                let _probe = probe;
                pending::<()>().await;
            })
            .detach();
    }
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&[
        "Task exception was never retrieved: first",
        "first dropped",
        "Task exception was never retrieved: second",
        "second dropped",
    ]);
    assert!(event_loop.is_closed());
}

/// A main future that panics as it is dropped, done or stopped before: reported, and the run's
/// outcome is what it was.
#[test]
fn a_main_that_panics_as_it_drops_is_reported_and_the_outcome_stands() {
    let (event_loop, trace) = watched();
    assert_eq!(event_loop.run_until_complete(explosive("done", |_| Poll::Ready(7))).unwrap(), 7);
    trace.assert(&["exception in the destructor of a main future: done"]);
    event_loop.stop();
    let stopped = event_loop.run_until_complete(explosive("stopped", |_| Poll::<()>::Pending));
    assert_eq!(stopped.unwrap_err().to_string(), "Event loop stopped before Future completed.");
    trace.assert(&["exception in the destructor of a main future: stopped"]);
}

/// The destructor of a timer's or a callback's capture that panics at close: as quiet as any.
#[test]
fn captures_that_panic_at_close_are_reported_and_the_rest_is_dropped() {
    let (event_loop, trace) = watched();
    let (bomb, probe) = (Bomb("callback"), trace.probe("callback"));
    event_loop.call_soon(move || drop(bomb));
    event_loop.call_soon(move || drop(probe));
    let (bomb, probe) = (Bomb("timer"), trace.probe("timer"));
    event_loop.call_later(std::time::Duration::from_secs(1), move || drop(bomb));
    event_loop.call_later(std::time::Duration::from_secs(1), move || drop(probe));
    event_loop.close().unwrap();
    let events = trace.take();
    assert_eq!(events.len(), 4, "{events:?}");
    assert!(events[0].ends_with(": callback") && events[2].ends_with(": timer"));
    assert_eq!((&*events[1], &*events[3]), ("callback dropped", "timer dropped"));
}

// ─── in an output's destructor ──────────────────────────────────────────────────────────────────

/// An output that panics as it is dropped is reported, and never comes out of the drop of a handle:
/// that is innocent.
#[test]
fn an_output_that_panics_as_it_drops_is_reported_never_thrown_by_a_handle() {
    let (event_loop, trace) = watched();
    let report = "exception in the destructor of a task's output: output";
    // The handle goes after the end, and before it.
    let task = event_loop.create_task(ready(Bomb("output")));
    turn(&event_loop);
    drop(task);
    trace.assert(&[report]);
    drop(event_loop.create_task(ready(Bomb("output"))));
    turn(&event_loop);
    trace.assert(&[report]);
    // Replaced by a cancellation.
    let own: Rc<RefCell<Option<Task<Bomb>>>> = Rc::default();
    let shared = Rc::clone(&own);
    *own.borrow_mut() = Some(event_loop.create_task(async move {
        shared.borrow().as_ref().unwrap().cancel();
        Bomb("output")
    }));
    turn(&event_loop);
    trace.assert(&[report]);
    assert!(own.borrow_mut().as_mut().unwrap().try_result().unwrap().is_err());
    // The loop closed meanwhile; the handles of other kinds.
    let task = event_loop.create_task(ready(Bomb("output")));
    let aborted = event_loop.create_task(ready(Bomb("output"))).abort_on_drop();
    let shielded = task::shield(event_loop.create_task(ready(Bomb("output"))));
    turn(&event_loop);
    drop((aborted, shielded));
    trace.assert(&[report, report]);
    event_loop.close().unwrap();
    drop(task);
    trace.assert(&[report]);
}

/// The same for what another thread, or a pool's, brought: a remote task or blocking work whose
/// outcome nobody reads.
#[test]
fn a_remote_output_that_panics_as_it_drops_is_not_thrown_by_its_handle() {
    let (event_loop, trace) = watched();
    let report = "exception in the destructor of a task's output: output";
    let task = event_loop.handle().spawn(|| ready(Bomb("output"))).unwrap();
    turn(&event_loop);
    assert!(task.is_finished());
    drop(task);
    turn(&event_loop);
    trace.assert(&[report]);
    // The handle goes first, and the task finds nobody who wants its output.
    drop(event_loop.handle().spawn(|| ready(Bomb("output"))).unwrap());
    turn(&event_loop);
    trace.assert(&[report]);

    let work = event_loop.run_in_executor(|| Bomb("output"));
    while !work.is_finished() {
        std::thread::yield_now();
    }
    drop(work);
    turn(&event_loop);
    trace.assert(&[report]);
    drop(event_loop.run_in_executor(|| Bomb("output")));
    // The end of the work before may be a turn of its own.
    let reports = loop {
        event_loop.turn(None).unwrap();
        let reports = trace.take();
        if !reports.is_empty() {
            break reports;
        }
    };
    assert_eq!(reports, [report]);
}

// ─── payloads ───────────────────────────────────────────────────────────────────────────────────

/// A payload is the user's too: one that panics as it is dropped hurts nobody, ignored in an error,
/// in a handle, or in a report.
#[test]
fn a_payload_that_panics_as_it_drops_hurts_nobody() {
    struct Nested;
    impl Drop for Nested {
        fn drop(&mut self) {
            panic_any(Bomb("the payload's payload"));
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let reports = Rc::new(Cell::new(0));
    let count = Rc::clone(&reports);
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        assert!(context.panic.as_ref().unwrap().message().is_none());
        count.set(count.get() + 1);
    })));
    let mut read: Task<()> = event_loop.create_task(async { panic_any(Nested) });
    let unread: Task<()> = event_loop.create_task(async { panic_any(Nested) });
    event_loop.create_task(async { panic_any(Nested) }).detach();
    event_loop.call_soon(|| panic_any(Nested));
    turn(&event_loop);
    assert_eq!(reports.get(), 2);
    drop(read.try_result());
    drop(unread);
    assert_eq!(reports.get(), 3);
    let payload = catch_unwind(AssertUnwindSafe(|| {
        event_loop.run_until_complete(async { panic_any(Nested) })
    }));
    // Who catches a payload has it, and its destructor.
    std::mem::forget(payload.unwrap_err());
    assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
}

// ─── in wakers ──────────────────────────────────────────────────────────────────────────────────

/// A waker that panics as a task tells its end is reported; the callbacks behind it are told.
#[test]
fn a_waker_that_panics_as_it_is_woken_is_reported() {
    struct Rude;
    impl Wake for Rude {
        fn wake(self: Arc<Self>) {
            panic!("rude");
        }
    }
    let (event_loop, trace) = watched();
    let mut task = event_loop.create_task(yield_now());
    let waker = Waker::from(Arc::new(Rude));
    event_loop
        .run_until_complete(async {
            let mut cx = Context::from_waker(&waker);
            assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
        })
        .unwrap();
    task.add_done_callback(trace.noting("told"));
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["exception in a waker: rude", "told"]);
    assert!(task.try_result().unwrap().is_ok());
}

/// A waker that turns the loop as it is dropped, with the handle whose waiter it is: the task ends in there, and
/// its outcome, which nobody can take any more, is dropped or reported once.
#[test]
fn a_waker_that_turns_the_loop_as_its_handle_goes_has_one_outcome_dropped() {
    struct Turns;
    impl Wake for Turns {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Turns {
        fn drop(&mut self) {
            turn(&get_bound_loop().unwrap());
        }
    }
    for panics in [false, true] {
        let (event_loop, trace) = watched();
        let _bound = event_loop.bind();
        let (open, gate) = futures::channel::oneshot::channel();
        let probe = trace.probe("output");
        let mut task = event_loop.create_task(async move {
            gate.await.unwrap();
            assert!(!panics, "unread");
            probe
        });
        event_loop
            .run_until_complete(async {
                let waker = Waker::from(Arc::new(Turns));
                let mut cx = Context::from_waker(&waker);
                assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
            })
            .unwrap();
        open.send(()).unwrap();
        trace.assert(&[]);
        drop(task);
        if panics {
            trace.assert(&["output dropped", "Task exception was never retrieved: unread"]);
        } else {
            trace.assert(&["output dropped"]);
        }
        assert_eq!(event_loop.all_tasks().len(), 0);
    }
}

/// A waker that panics as it is dropped: by a handle that goes, by another that takes its place, by
/// a task that listens. Nothing that the handle was to do is left undone.
#[test]
fn a_waker_that_panics_as_it_is_dropped_leaves_nothing_undone() {
    fn raw() -> RawWaker {
        static TABLE: RawWakerVTable =
            RawWakerVTable::new(|_| raw(), |_| {}, |_| {}, |_| panic!("rude drop"));
        RawWaker::new(std::ptr::null(), &TABLE)
    }
    // SAFETY: the table keeps no data, and its functions may be called on any thread.
    let rude = std::mem::ManuallyDrop::new(unsafe { Waker::from_raw(raw()) });
    let (event_loop, trace) = watched();
    let probe = trace.probe("task");
    let mut task = event_loop.create_task(async move {
        let _probe = probe;
        pending::<()>().await;
    });
    turn(&event_loop);
    event_loop
        .run_until_complete(async {
            let mut cx = Context::from_waker(&rude);
            assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
        })
        .unwrap();
    drop(task);
    trace.assert(&["exception in a waker: rude drop"]);
    turn(&event_loop);
    trace.assert(&["task dropped"]);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

// ─── in the exception handler ───────────────────────────────────────────────────────────────────

/// EXH-04: a handler that panics is survived, called once for each report, and goes on being it.
#[test]
fn a_handler_that_panics_is_survived_and_called_once_per_report() {
    let event_loop = EventLoop::new().unwrap();
    let calls = Rc::new(Cell::new(0));
    let count = Rc::clone(&calls);
    event_loop.set_exception_handler(Some(Box::new(move |_, _| {
        count.set(count.get() + 1);
        panic!("the handler");
    })));
    for round in 1..=2 {
        event_loop.call_soon(|| panic!("the callback"));
        event_loop.create_task(async { panic!("the task") }).detach();
        assert_eq!(turn(&event_loop), 2);
        assert_eq!(calls.get(), 2 * round);
    }
    event_loop.call_exception_handler(&ExceptionContext::new("by hand"));
    assert_eq!(calls.get(), 5);
    assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
}

/// A waker that panics as it is told of a remote task's end, together with the future that panics as
/// it is dropped: two at once, in a process that must not abort.
#[test]
fn a_future_and_a_foreign_waker_that_both_panic_do_not_abort() {
    struct Rude;
    impl Wake for Rude {
        fn wake(self: Arc<Self>) {
            panic!("rude");
        }
    }
    in_good_child("a_future_and_a_foreign_waker_that_both_panic_do_not_abort", || {
        let (event_loop, trace) = watched();
        let mut remote =
            event_loop.handle().spawn(|| explosive("destructor", |_| Poll::<()>::Pending)).unwrap();
        turn(&event_loop);
        let waker = Waker::from(Arc::new(Rude));
        assert!(Pin::new(&mut remote).poll(&mut Context::from_waker(&waker)).is_pending());
        remote.cancel();
        turn(&event_loop);
        assert!(remote.is_finished());
        trace.assert(&[
            "exception in a waker: rude",
            "Task exception was never retrieved: destructor",
        ]);
    });
}

/// A panic hook that uses the loop finds nothing of it borrowed.
#[test]
fn a_panic_hook_may_use_the_loop() {
    in_good_child("a_panic_hook_may_use_the_loop", || {
        std::panic::set_hook(Box::new(|_| {
            if let Ok(event_loop) = loopbind::get_event_loop() {
                event_loop.call_soon(|| println!("from the hook"));
                event_loop.create_task(async {}).detach();
                assert!(event_loop.close().is_err(), "it runs");
                let _ = (event_loop.all_tasks(), event_loop.metrics(), task::current());
            }
        }));
        let event_loop = EventLoop::new().unwrap();
        let trace = Trace::new();
        note_reports(&event_loop, &trace);
        event_loop.call_soon(|| panic!("callback"));
        event_loop.create_task(async { panic!("task") }).detach();
        event_loop.create_task(explosive("drop", |_| Poll::Ready(()))).detach();
        event_loop.create_task(ready(Bomb("output"))).detach();
        let main = catch_unwind(AssertUnwindSafe(|| {
            event_loop.run_until_complete(async {
                yield_now().await;
                panic!("main")
            })
        }));
        assert!(main.is_err());
        assert_eq!(trace.take().len(), 4);
        while turn(&event_loop) > 0 {}
        assert_eq!(event_loop.metrics().callbacks, 6);
    });
}

// ─── while the thread panics ────────────────────────────────────────────────────────────────────

/// A loop with tasks that is dropped as the thread unwinds closes quietly: its tasks are dropped,
/// theirs destructors' panics are reported, and what they start is taken and dropped.
#[test]
fn a_loop_dropped_during_unwinding_closes_quietly() {
    let trace = Trace::new();
    let log = trace.clone();
    let text = panic_of(move || {
        let event_loop = EventLoop::new().unwrap();
        note_reports(&event_loop, &log);
        let probe = log.probe("task");
        let same = event_loop.clone();
        event_loop
            .create_task(async move {
                let _probe = probe;
                let _guard = on_drop(move || {
                    same.create_task(async {}).detach();
                    same.call_soon(|| {});
                });
                pending::<()>().await;
            })
            .detach();
        turn(&event_loop);
        let _close = on_drop(move || event_loop.close().unwrap());
        panic!("the thread's own");
    });
    assert_eq!(text, "the thread's own");
    trace.assert(&["task dropped"]);
}

/// An unread panic whose handle goes while the thread unwinds is reported, and is no second panic.
#[test]
fn an_unread_panic_dropped_during_unwinding_is_reported() {
    let (event_loop, trace) = watched();
    let task: Task<()> = event_loop.create_task(async { panic!("unread") });
    turn(&event_loop);
    let text = panic_of(move || {
        let _task = task;
        panic!("the thread's own");
    });
    assert_eq!(text, "the thread's own");
    trace.assert(&["Task exception was never retrieved: unread"]);
}

/// On a closed loop, a destructor that runs as the thread unwinds may schedule and start: it is
/// taken and dropped, where it would be refused by a panic otherwise.
#[test]
fn on_a_closed_loop_an_unwinding_thread_is_not_refused() {
    let (event_loop, trace) = watched();
    event_loop.close().unwrap();
    let log = trace.clone();
    let text = panic_of(move || {
        let _guard = on_drop(move || {
            let probe = log.probe("future");
            let mut task = event_loop.create_task(async move {
                let _probe = probe;
            });
            assert!(matches!(task.try_result(), Some(Err(TaskError::LoopClosed))));
            assert!(event_loop.call_soon(|| {}).is_cancelled());
            task.add_done_callback(|| {});
        });
        panic!("the thread's own");
    });
    assert_eq!(text, "the thread's own");
    trace.assert(&["future dropped"]);
}

/// A poll that panics on the loop leaves its timers, its queue and its clock usable: the same program
/// goes on as if the task had ended.
#[test]
fn after_a_panic_the_queue_the_timers_and_the_clock_are_whole() {
    let event_loop = virtual_loop();
    let trace = Trace::new();
    note_reports(&event_loop, &trace);
    let mut polls = 0;
    event_loop
        .create_task(poll_fn(move |cx| {
            cx.waker().wake_by_ref(); // queued again, and then it panics
            polls += 1;
            if polls == 2 {
                panic!("second poll");
            }
            Poll::<()>::Pending
        }))
        .detach();
    event_loop
        .run_until_complete(async {
            loopbind::sleep(std::time::Duration::from_secs(1)).await;
            spawn(yield_now()).await.unwrap();
        })
        .unwrap();
    trace.assert(&["Task exception was never retrieved: second poll"]);
    assert!(event_loop.all_tasks().is_empty());
}
