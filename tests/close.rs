//! Closing: everything of the user's is dropped, on the loop's thread, once, in order of creation;
//! whoever waits hears of it; and what comes afterwards gets a typed answer.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use loopbind::{
    EventLoop, ExceptionContext, LoopError, Task, TaskError, TaskState, get_event_loop,
    get_running_loop, run, set_event_loop, sleep, spawn, spawn_blocking,
};
use support::{OnDrop, Trace, on_drop, panic_of};

const CLOSED: &str = "Event loop is closed";

fn new_loop() -> EventLoop {
    EventLoop::new().unwrap()
}

/// A future that holds `value` and waits for ever.
async fn holding<T>(value: T) {
    let _value = value;
    pending::<()>().await;
}

/// Starts a task that waits for ever and calls `drops` when it is dropped.
fn doomed<F: FnOnce() + 'static>(event_loop: &EventLoop, drops: F) -> Task<()> {
    event_loop.create_task(holding(on_drop(drops)))
}

// ─── the order of the end ───────────────────────────────────────────────────────────────────────

/// RUN-27: queued callbacks and timers are dropped unrun, then unfinished tasks in order of creation,
/// whether they have begun or not and whether they are queued or wait.
#[test]
fn closed_with_everything_alive_drops_it_in_order() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let probe = |name: &str| trace.probe(name);
    let tasks = ["waiting", "asleep", "awaiting"].map(|name| {
        let held = probe(name);
        let inner = (name == "awaiting").then(|| event_loop.create_task(holding(probe("awaited"))));
        event_loop.create_task(async move {
            let _held = held;
            match inner {
                Some(inner) => drop(inner.await),
                None if name == "asleep" => sleep(Duration::from_secs(3600)).await,
                None => pending().await,
            }
        })
    });
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    trace.assert(&[]);
    let never_begun = event_loop.create_task(holding(probe("never begun")));
    let held = probe("callback");
    event_loop.call_soon(move || drop(held));
    let held = probe("in an hour");
    event_loop.call_later(Duration::from_secs(3600), move || drop(held));
    let held = probe("overdue");
    event_loop.call_later(Duration::ZERO, move || drop(held));
    let (handle, told) = (event_loop.handle(), trace.clone());
    // The record cannot leave this thread; a closure that is dropped unrun says so by a channel.
    let (sender, posted) = mpsc::channel();
    let held = on_drop(move || sender.send(thread::current().id()).unwrap());
    thread::spawn(move || handle.call_soon_threadsafe(move || drop(held)).unwrap()).join().unwrap();

    event_loop.close().unwrap();
    told.note("closed");
    trace.assert(&[
        "callback dropped",
        "overdue dropped",
        "in an hour dropped",
        "waiting dropped",
        "asleep dropped",
        "awaited dropped",
        "awaiting dropped",
        "never begun dropped",
        "closed",
    ]);
    assert_eq!(posted.recv().unwrap(), thread::current().id());
    for task in tasks.into_iter().chain([never_begun]) {
        assert!(task.is_finished());
        assert_eq!(task.info().state, TaskState::Finished);
    }
    assert_eq!(event_loop.all_tasks().len(), 0);
}

/// Whoever has a handle finds the task cancelled; a task that was done keeps its value.
#[test]
fn closed_then_handles_say_cancelled_or_give_the_value() {
    let event_loop = new_loop();
    let mut done = event_loop.create_task(async { 5 });
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    let mut waiting = event_loop.create_task(pending::<()>());
    event_loop.close().unwrap();
    assert_eq!(done.try_result().unwrap().unwrap(), 5);
    assert!(matches!(waiting.try_result(), Some(Err(TaskError::Cancelled))));
    assert!(waiting.try_result().is_none(), "taken once");
    assert!(!waiting.cancel() && !waiting.abort());
}

/// RUN-25: closing twice is closing once.
#[test]
fn closed_then_closed_again() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.create_task(holding(trace.probe("task"))).detach();
    event_loop.close().unwrap();
    trace.assert(&["task dropped"]);
    event_loop.close().unwrap();
    trace.assert(&[]);
    drop(event_loop);
}

/// RUN-28: the last handle's drop closes the loop, and a clone's does not.
#[test]
fn dropped_then_the_last_clone_dropped_closes() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.create_task(holding(trace.probe("task"))).detach();
    let (clone, handle) = (event_loop.clone(), event_loop.handle());
    drop(event_loop);
    assert!(!handle.is_closed());
    trace.assert(&[]);
    drop(clone);
    assert!(handle.is_closed());
    trace.assert(&["task dropped"]);
}

/// Handles of tasks and callbacks, and wakers, do not keep a loop: they outlive it, and their calls do
/// nothing.
#[test]
fn the_loop_is_dropped_then_what_hung_on_it() {
    let trace = Trace::new();
    let event_loop = new_loop();
    let waker = Rc::new(RefCell::new(None::<Waker>));
    let (kept, held) = (Rc::clone(&waker), trace.probe("task"));
    let task = event_loop.create_task(poll_fn(move |cx| {
        let _held = &held;
        *kept.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    }));
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    let held = trace.probe("callback");
    let callback = event_loop.call_soon(move || drop(held));
    let held = trace.probe("timer");
    let timer = event_loop.call_later(Duration::from_secs(1), move || drop(held));
    drop(event_loop);
    trace.assert(&["callback dropped", "timer dropped", "task dropped"]);
    callback.cancel();
    timer.cancel();
    assert!(!task.cancel());
    let waker = waker.take().unwrap();
    waker.wake_by_ref();
    thread::spawn(move || waker.wake()).join().unwrap();
    assert!(task.is_finished());
    trace.assert(&[]);
}

// ─── refused, and what a closed loop still does ─────────────────────────────────────────────────

/// RUN-26: a running loop is not closed, from wherever it is tried, and nothing changes.
#[test]
fn close_is_refused_in_everything_the_loop_calls() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let attempt = |place: &'static str| {
        let trace = trace.clone();
        move || {
            let running = get_running_loop().unwrap();
            let refused = running.close().unwrap_err();
            assert!(matches!(refused, LoopError::CloseWhileRunning));
            assert_eq!(refused.to_string(), "Cannot close a running event loop");
            assert!(!running.is_closed() && running.is_running());
            trace.note(place);
        }
    };
    let in_handler = attempt("handler");
    event_loop.set_exception_handler(Some(Box::new(move |_, _| in_handler())));
    event_loop.call_soon(attempt("callback"));
    event_loop.call_soon(|| std::panic::resume_unwind(Box::new(())));
    event_loop.call_later(Duration::ZERO, attempt("timer"));
    let task = doomed(&event_loop, attempt("destructor"));
    task.add_done_callback(attempt("done-callback"));
    let body = attempt("coroutine");
    event_loop
        .run_until_complete(async move {
            body();
            loopbind::yield_now().await;
            task.cancel();
            _ = task.await;
            loopbind::yield_now().await;
        })
        .unwrap();
    trace.assert(&["callback", "handler", "coroutine", "timer", "destructor", "done-callback"]);
    event_loop.close().unwrap();
}

/// RUN-26: closed during another loop's run, it closes: it is not the one that runs.
#[test]
fn another_loop_is_closed_during_a_run() {
    let (outer, inner, trace) = (new_loop(), new_loop(), Trace::new());
    inner.create_task(holding(trace.probe("task"))).detach();
    outer.run_until_complete(async { inner.close().unwrap() }).unwrap();
    trace.assert(&["task dropped"]);
    assert!(inner.is_closed() && !outer.is_closed());
}

/// RUN-24: on a closed loop the methods that give a `Result` say so, and the others panic with the
/// same text; what they were given is dropped, not lost.
#[test]
fn closed_then_each_call_says_so() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.close().unwrap();
    let errors = [
        event_loop.run_forever().unwrap_err(),
        event_loop.run_until_complete(async {}).unwrap_err(),
        event_loop.turn(None).unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, LoopError::Closed), "{error:?}");
        assert_eq!(error.to_string(), CLOSED);
    }
    let given = || {
        let probe = trace.probe("given");
        move || drop(probe)
    };
    let hour = Duration::from_secs(3600);
    let (soon, later, at, held) = (given(), given(), given(), trace.probe("given"));
    let now = event_loop.time();
    let panics = [
        panic_of(|| event_loop.call_soon(soon)),
        panic_of(|| event_loop.call_later(hour, later)),
        panic_of(|| event_loop.call_at(now, at)),
        panic_of(|| event_loop.create_task(holding(held))),
        panic_of(|| event_loop.task_builder().name("late").spawn(async {})),
        panic_of(|| event_loop.run_in_executor(|| ())),
    ];
    assert_eq!(panics, [CLOSED; 6]);
    trace.assert(&["given dropped"; 4]);
}

/// RUN-24: from other threads too, before and after the loop itself is gone, and what was given is
/// dropped where it was given.
#[test]
fn closed_then_each_call_from_another_thread_says_so() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let attempt = |handle: loopbind::LoopHandle| {
        thread::spawn(move || {
            let (sender, dropped) = mpsc::channel();
            let given = || {
                let sender = sender.clone();
                on_drop(move || sender.send(thread::current().id()).unwrap())
            };
            let (first, second, third) = (given(), given(), given());
            let errors = [
                handle.call_soon_threadsafe(move || drop(first)).unwrap_err(),
                handle.spawn(move || holding(second)).unwrap_err(),
                handle.run_coroutine_threadsafe(holding(third)).unwrap_err(),
            ];
            handle.stop();
            assert!(handle.is_closed() && !handle.is_running());
            assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [thread::current().id(); 3]);
            errors.map(|error| error.to_string())
        })
        .join()
        .unwrap()
    };
    event_loop.close().unwrap();
    assert_eq!(attempt(handle.clone()), [CLOSED; 3]);
    drop(event_loop);
    assert_eq!(attempt(handle), [CLOSED; 3]);
}

/// RUN-25: what asks nothing of a closed loop still answers.
#[test]
fn closed_then_what_asks_nothing_still_answers() {
    let event_loop = EventLoop::builder().name("late").build().unwrap();
    let before = event_loop.time();
    event_loop.close().unwrap();
    event_loop.stop();
    assert!(event_loop.is_closed() && !event_loop.is_running());
    assert!(event_loop.time() >= before);
    event_loop.set_debug(true);
    assert!(event_loop.get_debug());
    event_loop.set_slow_callback_duration(Duration::ZERO);
    let heard = Rc::new(Cell::new(0));
    let hears = Rc::clone(&heard);
    event_loop.set_exception_handler(Some(Box::new(move |event_loop, _| {
        assert!(event_loop.is_closed());
        hears.set(hears.get() + 1);
    })));
    event_loop.call_exception_handler(&ExceptionContext::new("late"));
    assert_eq!(heard.get(), 1);
    event_loop.set_exception_handler(None);
    assert_eq!(Rc::strong_count(&heard), 1, "the old handler is dropped");
    assert!(event_loop.current_task().is_none() && event_loop.all_tasks().is_empty());
    assert_eq!(event_loop.next_deadline(), None);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
    let shown = format!("{event_loop:?}");
    assert!(shown.contains("\"late\"") && shown.contains("closed: true"), "{shown}");
    let _bound = event_loop.bind();
    assert_eq!(get_event_loop().unwrap(), event_loop);
}

/// A timer made before the loop closed, cancelled after; and a sleep that has its timer there.
#[test]
fn closed_then_sleeps_and_timers_of_it_are_dropped() {
    let event_loop = new_loop();
    let timer = event_loop.call_later(Duration::from_secs(1), || ());
    let mut nap = Box::pin(sleep(Duration::from_secs(1)));
    event_loop.stop();
    event_loop.run_until_complete(nap.as_mut()).unwrap_err();
    event_loop.close().unwrap();
    timer.cancel();
    assert!(timer.is_cancelled());
    // Awaited on another loop, it takes its deadline there.
    let other = EventLoop::builder().virtual_time(true).build().unwrap();
    other.run_until_complete(nap).unwrap();
}

// ─── destructors during the end ─────────────────────────────────────────────────────────────────

/// Destructors may call anything of the loop that is closing: lookups and questions answer, new
/// callbacks are taken and dropped, new tasks come back settled, running is refused, closing is under
/// way.
#[test]
fn destructors_during_the_end_may_call_anything() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    set_event_loop(Some(&event_loop));
    let waker = Rc::new(RefCell::new(None::<Waker>));
    let second = Rc::new(RefCell::new(None::<Task<()>>));
    let (own, note) = (event_loop.clone(), trace.clone());
    let (wakes, behind) = (Rc::clone(&waker), Rc::clone(&second));
    let first = doomed(&event_loop, move || {
        let second = behind.take().unwrap();
        assert_eq!(get_event_loop().unwrap(), own);
        assert!(get_running_loop().is_err());
        assert!(own.is_closed() && !own.is_running());
        own.close().unwrap();
        assert_eq!(own.run_forever().unwrap_err().to_string(), CLOSED);
        assert_eq!(own.turn(None).unwrap_err().to_string(), CLOSED);
        assert_eq!(own.handle().call_soon_threadsafe(|| ()).unwrap_err().to_string(), CLOSED);
        assert_eq!(own.current_task().unwrap().name.as_deref(), None);
        assert_eq!(own.all_tasks().len(), 2, "itself, and the one behind it");
        assert!(format!("{own:?}").contains("closed: true"));
        let held = note.probe("late callback");
        let handle = own.call_soon(move || drop(held));
        handle.cancel();
        let held = note.probe("late timer");
        own.call_later(Duration::ZERO, move || drop(held)).cancel();
        let mut late = own.create_task(holding(note.probe("late task")));
        assert!(late.is_finished() && !late.cancel());
        assert!(matches!(late.try_result(), Some(Err(TaskError::LoopClosed))));
        let blocking = own.run_in_executor(|| ());
        assert!(blocking.is_finished());
        assert!(second.cancel(), "unfinished still");
        assert!(!second.is_finished());
        second.add_done_callback(note.noting("never called"));
        wakes.take().unwrap().wake();
        set_event_loop(None);
        set_event_loop(Some(&own));
        note.note("destructor");
    });
    let (kept, held) = (Rc::clone(&waker), trace.probe("second"));
    *second.borrow_mut() = Some(event_loop.create_task(poll_fn(move |cx| {
        let _held = &held;
        *kept.borrow_mut() = Some(cx.waker().clone());
        Poll::<()>::Pending
    })));
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    event_loop.close().unwrap();
    assert!(first.is_finished());
    trace.assert(&[
        "destructor",
        "late callback dropped",
        "late timer dropped",
        "late task dropped",
        "second dropped",
    ]);
    set_event_loop(None);
}

/// The same where the loop closes because its last handle was dropped: it is found whole by them.
#[test]
fn destructors_during_the_last_drop_may_call_anything() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let (handle, note) = (event_loop.handle(), trace.clone());
    doomed(&event_loop, move || {
        assert!(handle.is_closed());
        assert!(handle.call_soon_threadsafe(|| ()).is_err());
        // A new loop runs here meanwhile.
        note.note(run(async { "another ran" }).unwrap());
    })
    .detach();
    let (note, other) = (trace.clone(), event_loop.create_task(async {}));
    doomed(&event_loop, move || {
        assert!(other.is_finished());
        note.note("second");
    })
    .detach();
    drop(event_loop);
    trace.assert(&["another ran", "second"]);
}

/// A destructor may put a new handle of its closing loop somewhere: the loop stays closed, and goes
/// when that does.
#[test]
fn a_destructor_keeps_the_closing_loop_which_stays_closed() {
    let kept = Rc::new(RefCell::new(None));
    let event_loop = new_loop();
    let bound = event_loop.bind();
    let keeps = Rc::clone(&kept);
    doomed(&event_loop, move || *keeps.borrow_mut() = get_event_loop().ok()).detach();
    drop(event_loop);
    drop(bound);
    assert!(kept.borrow().is_none(), "it was unbound by then");

    let event_loop = new_loop();
    let keeps = Rc::clone(&kept);
    let own = RefCell::new(Some(event_loop.clone()));
    doomed(&event_loop, move || *keeps.borrow_mut() = own.take()).detach();
    event_loop.close().unwrap();
    drop(event_loop);
    let last = kept.take().unwrap();
    assert!(last.is_closed());
    assert_eq!(last.run_forever().unwrap_err().to_string(), CLOSED);
}

/// The last handle is dropped by a destructor that the closing loop calls: the end goes on to its end.
#[test]
fn the_last_handle_is_dropped_during_the_end() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let last = Rc::new(RefCell::new(None::<EventLoop>));
    let (drops, note) = (Rc::clone(&last), trace.clone());
    let closer = event_loop.clone();
    doomed(&event_loop, move || {
        drop(drops.take());
        note.note("last dropped");
    })
    .detach();
    event_loop.create_task(holding((trace.probe("behind"), closer))).detach();
    let handle = event_loop.handle();
    *last.borrow_mut() = Some(event_loop.clone());
    event_loop.close().unwrap();
    drop(event_loop);
    assert!(handle.is_closed());
    trace.assert(&["last dropped", "behind dropped"]);
}

/// A task that holds its own loop, and two that await each other: the end breaks the circle.
#[test]
fn circles_are_broken_by_the_end() {
    type Shared = Rc<RefCell<Option<Task<()>>>>;
    let (event_loop, trace) = (new_loop(), Trace::new());
    event_loop.create_task(holding((event_loop.clone(), trace.probe("own loop")))).detach();
    let slots: [Shared; 2] = Default::default();
    for (own, other) in [(0, 1), (1, 0)] {
        let (awaited, held) = (Rc::clone(&slots[other]), trace.probe("circle"));
        let task = event_loop.create_task(async move {
            let _held = held;
            loopbind::yield_now().await;
            let task = awaited.take().unwrap();
            _ = task.await;
        });
        *slots[own].borrow_mut() = Some(task);
    }
    event_loop
        .run_until_complete(async {
            for _ in 0..5 {
                loopbind::yield_now().await;
            }
        })
        .unwrap();
    assert_eq!(event_loop.all_tasks().len(), 3, "waiting for each other for ever");
    event_loop.close().unwrap();
    trace.assert(&["own loop dropped", "circle dropped", "circle dropped"]);
}

/// Starting something in a destructor during the end, whose destructor starts something: a chain of a
/// hundred thousand needs no stack and ends.
#[test]
fn a_long_chain_of_late_tasks_ends() {
    struct Link {
        event_loop: EventLoop,
        left: u32,
        dropped: Rc<Cell<u32>>,
    }
    impl Drop for Link {
        fn drop(&mut self) {
            self.dropped.set(self.dropped.get() + 1);
            if self.left > 0 {
                let next = Link {
                    event_loop: self.event_loop.clone(),
                    left: self.left - 1,
                    dropped: Rc::clone(&self.dropped),
                };
                let task = self.event_loop.create_task(holding(next));
                assert!(task.is_finished());
            }
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let event_loop = new_loop();
    let first =
        Link { event_loop: event_loop.clone(), left: 100_000, dropped: Rc::clone(&dropped) };
    event_loop.create_task(holding(first)).detach();
    event_loop.close().unwrap();
    assert_eq!(dropped.get(), 100_001);
}

/// The same with callbacks, and a chain without an end: the end comes all the same, and says what it
/// did.
#[test]
fn an_endless_chain_of_late_callbacks_is_cut_and_reported() {
    struct Endless(EventLoop, Rc<Cell<u64>>);
    impl Drop for Endless {
        fn drop(&mut self) {
            self.1.set(self.1.get() + 1);
            let next = Endless(self.0.clone(), Rc::clone(&self.1));
            self.0.call_soon(move || drop(next));
        }
    }
    let dropped = Rc::new(Cell::new(0));
    let reported = Rc::new(RefCell::new(Vec::new()));
    let event_loop = new_loop();
    let heard = Rc::clone(&reported);
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        heard.borrow_mut().push(context.message.clone());
    })));
    let first = Endless(event_loop.clone(), Rc::clone(&dropped));
    event_loop.call_soon(move || drop(first));
    event_loop.close().unwrap();
    assert!(event_loop.is_closed());
    assert!(dropped.get() >= 100_000);
    assert_eq!(reported.borrow().len(), 1, "{reported:?}");
    assert!(reported.borrow()[0].contains("without end"), "{reported:?}");
}

/// A destructor that panics during the end is reported, and the rest is dropped all the same; also a
/// callback's, and a panic's payload that panics in turn.
#[test]
fn destructors_panic_during_the_end_and_the_rest_is_dropped() {
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("payload"));
        }
    }
    let (event_loop, trace) = (new_loop(), Trace::new());
    let heard = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let text = context.panic.as_ref().and_then(|panic| panic.message()).unwrap_or("(not text)");
        heard.note(format!("reported: {text}"));
    })));
    let bomb = |text: &'static str| on_drop(move || std::panic::resume_unwind(Box::new(text)));
    let held = bomb("callback");
    event_loop.call_soon(move || drop(held));
    let held = bomb("timer");
    event_loop.call_later(Duration::from_secs(1), move || drop(held));
    let tasks = [
        event_loop.create_task(holding(bomb("first"))),
        event_loop.create_task(holding(on_drop(|| std::panic::resume_unwind(Box::new(Grenade))))),
    ];
    event_loop.create_task(holding(trace.probe("last"))).detach();
    drop(tasks);
    event_loop.close().unwrap();
    trace.assert(&[
        "reported: callback",
        "reported: timer",
        "reported: first",
        "reported: (not text)",
        "last dropped",
    ]);
}

/// The panic of a destructor during the end reaches who has the task's handle, and is not reported.
#[test]
fn a_destructor_panics_during_the_end_and_its_handle_has_it() {
    let event_loop = new_loop();
    event_loop.set_exception_handler(Some(Box::new(|_, context| unreachable!("{context}"))));
    let mut task = doomed(&event_loop, || std::panic::resume_unwind(Box::new("destructor")));
    event_loop.close().unwrap();
    let Some(Err(TaskError::Panicked(payload))) = task.try_result() else { unreachable!() };
    assert_eq!(payload.message(), Some("destructor"));
}

/// A thread that panics drops a loop with live tasks: quietly, with one panic and not two; and starting
/// something on a closed loop while unwinding gives a settled task instead of a second panic.
#[test]
fn dropped_while_the_thread_panics_closes_quietly() {
    let trace = Trace::new();
    let noting = trace.clone();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let event_loop = new_loop();
        let closed = new_loop();
        closed.close().unwrap();
        doomed(&event_loop, move || {
            assert!(thread::panicking());
            let mut late = closed.create_task(async {});
            assert!(matches!(late.try_result(), Some(Err(TaskError::LoopClosed))));
            closed.call_soon(|| unreachable!("taken and dropped"));
            noting.note("task dropped");
        })
        .detach();
        std::panic::resume_unwind(Box::new("the one panic"));
    }));
    assert_eq!(support::text_of(&*caught.unwrap_err()), "the one panic");
    trace.assert(&["task dropped"]);
}

/// A handler that holds its own loop is dropped with the last share, not before.
#[test]
fn the_handler_is_dropped_with_the_loop() {
    let (event_loop, trace) = (new_loop(), Trace::new());
    let held = trace.probe("handler");
    event_loop.set_exception_handler(Some(Box::new(move |_, _| {
        let _held = &held;
    })));
    event_loop.close().unwrap();
    trace.assert(&[]);
    drop(event_loop);
    trace.assert(&["handler dropped"]);
}

// ─── other threads ──────────────────────────────────────────────────────────────────────────────

/// THR-12: what other threads wait for settles when the loop closes, begun or not, as cancelled; a
/// thread that blocks on it is released.
#[test]
fn accepted_then_closed_settles_and_releases_who_waits() {
    let event_loop = new_loop();
    let handle = event_loop.handle();
    let begun = handle.spawn(pending::<()>).unwrap();
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    let not_begun = handle.spawn(|| async { unreachable!("never begun") }).unwrap();
    let meet = Arc::new(Barrier::new(3));
    let waiters = [begun, not_begun].map(|task: loopbind::RemoteTask<()>| {
        let meet = Arc::clone(&meet);
        thread::spawn(move || {
            meet.wait();
            task.join()
        })
    });
    meet.wait();
    event_loop.close().unwrap();
    for waiter in waiters {
        assert!(matches!(waiter.join().unwrap(), Err(TaskError::Cancelled)));
    }
}

/// The future that settles is gone, at home, before whoever waits hears of it.
#[test]
fn the_future_is_dropped_at_home_before_its_waiter_hears() {
    let event_loop = new_loop();
    let (sender, dropped) = mpsc::channel();
    let home = thread::current().id();
    let task = event_loop
        .handle()
        .spawn(move || holding(on_drop(move || sender.send(thread::current().id()).unwrap())))
        .unwrap();
    event_loop.run_until_complete(loopbind::yield_now()).unwrap();
    let waiter = thread::spawn(move || {
        assert!(task.join().unwrap_err().is_cancelled());
        dropped.try_recv().unwrap()
    });
    event_loop.close().unwrap();
    assert_eq!(waiter.join().unwrap(), home);
}

/// Posting races closing: each call is taken, and then ran or was dropped before `close` returned, or
/// is refused; none is lost and nobody waits for ever.
#[test]
fn posted_while_closing_is_taken_or_refused_and_never_lost() {
    const THREADS: usize = 4;
    const POSTS: usize = 100;
    for round in 0..50 {
        let event_loop = new_loop();
        let settled = Arc::new(AtomicUsize::new(0));
        let meet = Arc::new(Barrier::new(THREADS + 1));
        let posters: Vec<_> = (0..THREADS)
            .map(|_| {
                let (handle, settled) = (event_loop.handle(), Arc::clone(&settled));
                let meet = Arc::clone(&meet);
                thread::spawn(move || {
                    meet.wait();
                    let (mut taken, mut tasks) = (0, Vec::new());
                    for _ in 0..POSTS {
                        let counts = Arc::clone(&settled);
                        let count = on_drop(move || {
                            counts.fetch_add(1, Ordering::SeqCst);
                        });
                        match handle.call_soon_threadsafe(move || drop(count)) {
                            Ok(()) => taken += 1,
                            Err(LoopError::Closed) => {}
                            Err(error) => unreachable!("{error}"),
                        }
                        if let Ok(task) = handle.spawn(|| async { 1 }) {
                            tasks.push(task);
                        }
                    }
                    (taken, tasks)
                })
            })
            .collect();
        meet.wait();
        for _ in 0..round % 5 {
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        event_loop.close().unwrap();
        let at_close = settled.load(Ordering::SeqCst);
        let mut taken = 0;
        for poster in posters {
            let (some, tasks) = poster.join().unwrap();
            taken += some;
            for task in tasks {
                match task.join() {
                    Ok(1) | Err(TaskError::Cancelled) => {}
                    other => unreachable!("{other:?}"),
                }
            }
        }
        // Those that were refused are dropped where they came from, perhaps before `close` returned.
        assert!(at_close >= taken, "{at_close} of {taken}");
        assert_eq!(settled.load(Ordering::SeqCst), THREADS * POSTS);
    }
}

/// Wakes race closing and dropping: harmless from any thread, before, during and after.
#[test]
fn woken_from_other_threads_while_the_loop_is_dropped() {
    for _ in 0..50 {
        let event_loop = new_loop();
        let wakers = Rc::new(RefCell::new(Vec::new()));
        for _ in 0..8 {
            let wakers = Rc::clone(&wakers);
            event_loop
                .create_task(poll_fn(move |cx| {
                    wakers.borrow_mut().push(cx.waker().clone());
                    Poll::<()>::Pending
                }))
                .detach();
        }
        event_loop.run_until_complete(loopbind::yield_now()).unwrap();
        let meet = Arc::new(Barrier::new(3));
        let wakes: Vec<_> = (0..2)
            .map(|_| {
                let (wakers, meet) = (wakers.borrow().clone(), Arc::clone(&meet));
                thread::spawn(move || {
                    meet.wait();
                    for _ in 0..100 {
                        wakers.iter().for_each(Waker::wake_by_ref);
                    }
                    wakers.into_iter().for_each(Waker::wake);
                })
            })
            .collect();
        drop(wakers);
        meet.wait();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        drop(event_loop);
        wakes.into_iter().for_each(|wakes| wakes.join().unwrap());
    }
}

/// EXE-10: closing does not wait for work on the pool; what it brings later is dropped, and who awaits
/// it elsewhere still gets it.
#[test]
fn closed_while_blocking_work_runs_does_not_wait_for_it() {
    let event_loop = new_loop();
    let (go, wait) = mpsc::channel::<()>();
    let work = event_loop.run_in_executor(move || {
        wait.recv().unwrap();
        6
    });
    let unwanted = event_loop.run_in_executor(|| 7);
    event_loop.close().unwrap();
    drop(unwanted);
    assert!(!work.is_finished());
    go.send(()).unwrap();
    let other = new_loop();
    assert_eq!(other.run_until_complete(work).unwrap().unwrap(), 6);
}

/// A foreign waker that a task stored is dropped by the end, not kept until the memory goes.
#[test]
fn who_awaited_is_woken_and_forgotten_by_the_end() {
    struct Counting(AtomicUsize);
    impl Wake for Counting {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let event_loop = new_loop();
    let counting = Arc::new(Counting(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&counting));
    let mut task = event_loop.create_task(pending::<()>());
    event_loop
        .run_until_complete(async {
            let mut cx = std::task::Context::from_waker(&waker);
            assert!(std::pin::Pin::new(&mut task).poll(&mut cx).is_pending());
        })
        .unwrap();
    drop(waker);
    assert_eq!(Arc::strong_count(&counting), 2);
    event_loop.close().unwrap();
    assert_eq!(counting.0.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&counting), 1, "the task's handle is still there");
    assert!(task.is_finished());
}

/// Work that a task of the loop started elsewhere, and its own children: each future is dropped once,
/// though they hold each other's handles.
#[test]
fn a_family_is_dropped_once_each() {
    let dropped = Rc::new(RefCell::new(Vec::new()));
    let count = |name: u32| -> OnDrop<_> {
        let dropped = Rc::clone(&dropped);
        on_drop(move || dropped.borrow_mut().push(name))
    };
    let event_loop = new_loop();
    let (parent, child, grandchild, sibling) = (count(0), count(1), count(2), count(3));
    event_loop
        .create_task(async move {
            let _parent = parent;
            let child = spawn(async move {
                let _child = child;
                let grandchild = spawn(holding(grandchild));
                _ = grandchild.await;
            });
            spawn(holding(sibling)).detach();
            let pooled = spawn_blocking(|| 1);
            _ = pooled.await;
            _ = child.await;
        })
        .detach();
    let run = event_loop.run_until_complete(async {
        for _ in 0..3 {
            loopbind::yield_now().await;
        }
    });
    run.unwrap();
    event_loop.close().unwrap();
    let mut each = dropped.take();
    each.sort_unstable();
    assert_eq!(each, [0, 1, 2, 3]);
}
