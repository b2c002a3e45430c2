//! Which loop a lookup finds, in every place a lookup can stand in. RUNNING and BOUND are two slots:
//! what runs answers first, what is bound answers elsewhere, and no run touches the second.
//!
//! The tests here are on threads that are not the process's main one; `main_thread.rs` has the rest.

mod support;

use std::collections::HashSet;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use loopbind::{
    EventLoop, LoopError, LoopId, Runner, UnhandledPanic, get_bound_loop, get_event_loop,
    get_running_loop, new_event_loop, run, set_event_loop, sleep, spawn, spawn_blocking, yield_now,
};
use support::{Trace, on_drop, panic_of};

fn new_loop() -> EventLoop {
    EventLoop::new().unwrap()
}

/// The text a lookup fails with in a thread built by `builder`.
fn lookup_in(builder: thread::Builder) -> String {
    builder.spawn(|| get_event_loop().unwrap_err().to_string()).unwrap().join().unwrap()
}

/// A waker that sends what a lookup inside of it finds.
struct Finder(Sender<LoopId>);

impl Wake for Finder {
    fn wake(self: Arc<Self>) {
        self.0.send(get_event_loop().unwrap().id()).unwrap();
    }
}

/// GEL-01, GEL-21: coroutines, callbacks, timers, done-callbacks, exception handlers, destructors and
/// wakes all find the loop that called them, whatever is bound.
#[test]
fn what_a_loop_calls_finds_the_loop_that_called_it_while_another_is_bound() {
    fn plain_function() -> LoopId {
        get_event_loop().unwrap().id()
    }
    let (bound, running) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let (id, trace) = (running.id(), Trace::new());
    let at = |place: &'static str| {
        let trace = trace.clone();
        move || {
            let found = get_event_loop().unwrap();
            assert_eq!(found, get_running_loop().unwrap(), "{place}");
            trace.note(if found.id() == id { place } else { "(astray)" });
        }
    };
    let (of_task, of_callback) = (at("handler of a task"), at("handler of a callback"));
    running.set_exception_handler(Some(Box::new(move |_, context| match context.task {
        Some(_) => of_task(),
        None => of_callback(),
    })));
    running.call_soon(at("callback"));
    let late = at("destructor in a callback that panics");
    running.call_soon(move || {
        let _late = on_drop(late);
        std::panic::resume_unwind(Box::new("callback"));
    });
    let held = on_drop(at("destructor of a cancelled callback"));
    let cancelled = running.call_soon(move || drop(held));
    running.call_soon(move || cancelled.cancel());
    running.call_later(Duration::ZERO, at("timer"));

    let (sender, found) = mpsc::channel();
    let (in_coroutine, in_task, done) = (at("coroutine"), at("task"), at("done-callback"));
    let drops = on_drop(at("destructor of a cancelled task"));
    let unwinds = on_drop(at("destructor in a task that panics"));
    running
        .run_until_complete(async move {
            in_coroutine();
            assert_eq!(plain_function(), id, "a plain function, called from a coroutine");
            let task = spawn(async move { in_task() });
            task.add_done_callback(done);
            task.await.unwrap();
            drop(spawn(async move {
                let _unwinds = unwinds;
                std::panic::resume_unwind(Box::new("task"));
            }));
            let doomed = spawn(async move {
                let _drops = drops;
                pending::<()>().await;
            });
            yield_now().await;
            doomed.cancel();
            assert!(doomed.await.unwrap_err().is_cancelled());
            let mut awaited = spawn(async {});
            let waker = Waker::from(Arc::new(Finder(sender)));
            assert!(pin!(&mut awaited).poll(&mut Context::from_waker(&waker)).is_pending());
            yield_now().await;
        })
        .unwrap();

    trace.assert(&[
        "callback",
        "destructor in a callback that panics",
        "handler of a callback",
        "destructor of a cancelled callback",
        "coroutine",
        "timer",
        "task",
        "done-callback",
        "destructor in a task that panics",
        "handler of a task",
        "destructor of a cancelled task",
    ]);
    assert_eq!(found.try_iter().collect::<Vec<_>>(), [id], "the wake of who awaits");
    assert_eq!(get_event_loop().unwrap(), bound);
}

/// GEL-01: what other threads send finds the loop it was sent to.
#[test]
fn what_other_threads_send_finds_the_loop_it_was_sent_to_while_another_is_bound() {
    let (bound, running) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let (id, handle) = (running.id(), running.handle());
    let sent = thread::spawn(move || {
        let (sender, found) = mpsc::channel();
        let look = move || sender.send(get_event_loop().unwrap().id()).unwrap();
        handle.call_soon_threadsafe(look.clone()).unwrap();
        let made = look.clone();
        let task = handle.spawn(move || {
            made();
            async move { look() }
        });
        task.unwrap().join().unwrap();
        handle.stop();
        found.iter().collect::<Vec<_>>()
    });
    running.run_forever().unwrap();
    assert_eq!(sent.join().unwrap(), [id; 3]);
}

/// GEL-02: however a run ends, the bound loop is found again the moment it does.
#[test]
fn the_bound_loop_is_found_again_after_a_run_that_returned_stopped_panicked_or_was_refused() {
    let (bound, running) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let found = || get_event_loop().unwrap();

    assert_eq!(running.run_until_complete(async { get_event_loop().unwrap() }).unwrap(), running);
    assert_eq!(found(), bound, "returned");

    running.stop();
    running.run_forever().unwrap();
    assert_eq!(found(), bound, "stopped");

    running.stop();
    let stopped = running.run_until_complete(pending::<()>());
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    assert_eq!(found(), bound, "stopped before it was complete");

    let main = async { std::panic::resume_unwind(Box::new("main")) };
    assert_eq!(panic_of(|| running.run_until_complete::<_>(main)), "main");
    assert_eq!(found(), bound, "panicked");

    let throwing = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    throwing.call_soon(|| std::panic::resume_unwind(Box::new("callback")));
    assert_eq!(panic_of(|| throwing.run_forever()), "callback");
    assert_eq!(found(), bound, "a callback's panic left the run");
    throwing.call_soon(|| std::panic::resume_unwind(Box::new("callback")));
    assert_eq!(panic_of(|| throwing.turn(Some(Duration::ZERO))), "callback");
    assert_eq!(found(), bound, "a callback's panic left the turn");

    running.close().unwrap();
    running.run_forever().unwrap_err();
    assert_eq!(found(), bound, "refused");
    assert!(get_running_loop().is_err());
}

/// GEL-02: the loop of an unwinding main future is found by the destructors in it, and no longer by
/// who catches the panic.
#[test]
fn an_unwinding_main_finds_the_running_loop_then_who_catches_it_the_bound_one() {
    let (bound, running) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let trace = Trace::new();
    let (inside, id) = (trace.clone(), running.id());
    let caught = catch_unwind(AssertUnwindSafe(|| {
        running.run_until_complete(async {
            let _unwinds = on_drop(|| {
                assert_eq!(get_event_loop().unwrap().id(), id);
                inside.note("unwinding: running");
            });
            std::panic::resume_unwind(Box::new(()));
        })
    }));
    assert!(caught.is_err());
    if get_event_loop().unwrap() == bound {
        trace.note("caught: bound");
    }
    trace.assert(&["unwinding: running", "caught: bound"]);
}

/// GEL-04: the same answer comes back until something changes it.
#[test]
#[allow(clippy::mutable_key_type)] // A loop is hashed by its identity.
fn the_same_loop_is_found_each_time() {
    let event_loop = new_loop();
    let _bound = event_loop.bind();
    let found = HashSet::from([
        event_loop.clone(),
        get_event_loop().unwrap(),
        get_event_loop().unwrap(),
        get_bound_loop().unwrap(),
        event_loop.run_until_complete(async { get_event_loop().unwrap() }).unwrap(),
    ]);
    assert_eq!(found.len(), 1, "equal, with equal hashes");
    assert_ne!(new_loop(), new_loop());
}

/// GEL-05: with nothing running and nothing bound, a thread that is not the main one has no loop,
/// and is told so by its name, each time.
#[test]
fn a_thread_without_a_loop_is_told_by_its_name() {
    let named = thread::Builder::new().name("Thread-385".into());
    assert_eq!(lookup_in(named), "There is no current event loop in thread 'Thread-385'.");
    let main = thread::Builder::new().name("main".into());
    assert_eq!(lookup_in(main), "There is no current event loop in thread 'main'.");

    let twice = || [get_event_loop(), get_event_loop()].map(|found| found.unwrap_err());
    let [first, second] = thread::spawn(twice).join().unwrap();
    assert_eq!(first.to_string(), second.to_string(), "the first lookup changed nothing");
    assert!(matches!(first, LoopError::NoCurrentLoop { .. }));
}

/// GEL-06: the name is shown as Python's `repr` shows it, and a thread without one by its number.
#[test]
fn a_name_with_quotes_and_no_name_at_all_are_shown_as_python_would() {
    let shown = |name: &str| {
        let text = lookup_in(thread::Builder::new().name(name.into()));
        let name = text.strip_prefix("There is no current event loop in thread ").unwrap();
        name.strip_suffix('.').unwrap().to_owned()
    };
    assert_eq!(shown("it's"), r#""it's""#);
    assert_eq!(shown(r#"it's "it""#), r#"'it\'s "it"'"#);
    assert_eq!(shown("tab\tnewline\n"), r"'tab\tnewline\n'");
    assert_eq!(shown(""), "''");
    assert_eq!(shown("naïve"), "'naïve'");

    let nameless = thread::spawn(|| {
        let id = format!("{:?}", thread::current().id());
        (get_event_loop().unwrap_err().to_string(), id)
    });
    let (text, id) = nameless.join().unwrap();
    assert_eq!(text, format!("There is no current event loop in thread '<unnamed {id}>'."));
}

/// GEL-23: a thread that Rust did not start has no loop, and no name, and is told so.
#[cfg(unix)]
#[test]
fn a_thread_that_rust_did_not_start_is_told_that_it_has_no_name() {
    use std::ffi::{c_int, c_ulong, c_void};
    unsafe extern "C" {
        fn pthread_create(
            thread: *mut c_ulong,
            attributes: *const c_void,
            start: extern "C" fn(*mut c_void) -> *mut c_void,
            argument: *mut c_void,
        ) -> c_int;
        fn pthread_join(thread: c_ulong, result: *mut *mut c_void) -> c_int;
    }
    extern "C" fn look(told: *mut c_void) -> *mut c_void {
        let text = get_event_loop().unwrap_err().to_string();
        let ran = run(async { get_event_loop().is_ok() }).unwrap();
        // SAFETY: the thread that passed the pointer waits for this one.
        unsafe { *told.cast::<Option<(String, bool)>>() = Some((text, ran)) };
        std::ptr::null_mut()
    }
    let mut told: Option<(String, bool)> = None;
    let mut thread = 0;
    // SAFETY: POSIX's signatures, `pthread_t` being a word here; `told` outlives the thread.
    unsafe {
        let pointer = (&raw mut told).cast();
        assert_eq!(pthread_create(&mut thread, std::ptr::null(), look, pointer), 0);
        assert_eq!(pthread_join(thread, std::ptr::null_mut()), 0);
    }
    let (text, ran) = told.unwrap();
    assert!(
        text.starts_with("There is no current event loop in thread '<unnamed ThreadId("),
        "{text}"
    );
    assert!(ran, "it may run a loop of its own");
}

/// GEL-07: the pool's threads have no loop; what runs there may make one of its own, and the loop
/// that sent it there goes on.
#[test]
fn blocking_work_finds_no_loop_then_runs_its_own_then_its_sender_goes_on() {
    let event_loop = new_loop();
    let (before, inside, id) = event_loop
        .run_until_complete(async {
            let work = || {
                let before = (get_event_loop().is_err(), get_running_loop().is_err());
                (before, run(async { get_running_loop().unwrap().id() }).unwrap())
            };
            let (before, inside) = spawn_blocking(work).await.unwrap();
            (before, inside, get_event_loop().unwrap().id())
        })
        .unwrap();
    assert_eq!(before, (true, true));
    assert_ne!(inside, id);
    assert_eq!(id, event_loop.id());
}

/// GEL-08, GEL-09: unbound by `None`, bound again, bound to another: each call gives what was bound
/// before.
#[test]
fn none_then_a_loop_then_another_then_none_each_gives_what_was_bound_before() {
    let (first, second) = (new_loop(), new_loop());
    assert_eq!(set_event_loop(None), None);
    assert!(get_event_loop().is_err());
    assert_eq!(set_event_loop(Some(&first)), None);
    assert_eq!(get_event_loop().unwrap(), first);
    assert_eq!(set_event_loop(Some(&second)).as_ref(), Some(&first));
    assert_eq!(get_event_loop().unwrap(), second);
    assert_eq!(set_event_loop(None).as_ref(), Some(&second));
    assert!(matches!(get_event_loop(), Err(LoopError::NoCurrentLoop { .. })));
    assert_eq!(get_bound_loop(), None);
}

/// GEL-10: binding another loop inside a run changes the binding at once, and the answer once the
/// run ends.
#[test]
fn another_is_bound_during_a_run_then_found_after_it() {
    let (running, other) = (new_loop(), new_loop());
    set_event_loop(Some(&running));
    running
        .run_until_complete(async {
            assert_eq!(set_event_loop(Some(&other)).as_ref(), Some(&running));
            assert_eq!(get_event_loop().unwrap(), running, "what runs answers first");
            assert_eq!(get_bound_loop().as_ref(), Some(&other), "bound at once");
            yield_now().await;
            assert_eq!(get_event_loop().unwrap(), running);
        })
        .unwrap();
    assert_eq!(get_event_loop().unwrap(), other);
    set_event_loop(None);
}

/// GEL-10: also `None`, which is nobody's business but the binding's.
#[test]
fn nothing_is_bound_during_a_run_then_found_after_it() {
    let running = new_loop();
    set_event_loop(Some(&running));
    running
        .run_until_complete(async {
            set_event_loop(None);
            assert_eq!(get_event_loop().unwrap(), running);
        })
        .unwrap();
    assert!(get_event_loop().is_err());
}

/// GEL-11: any loop runs, whatever is bound, and the binding is neither asked nor changed: with
/// another bound, with none, and with one that is closed.
#[test]
fn a_loop_runs_while_another_is_bound_then_none_then_a_closed_one() {
    let (running, bound) = (new_loop(), new_loop());
    let inside = || {
        let found = running.run_until_complete(async { (get_event_loop(), get_bound_loop()) });
        let (found, bound) = found.unwrap();
        assert_eq!(found.unwrap(), running);
        bound
    };
    assert_eq!(inside(), None);
    assert!(get_event_loop().is_err(), "a run binds nothing");
    set_event_loop(Some(&bound));
    assert_eq!(inside().as_ref(), Some(&bound));
    assert_eq!(get_event_loop().unwrap(), bound);
    bound.close().unwrap();
    assert_eq!(inside().as_ref(), Some(&bound));
    assert_eq!(set_event_loop(None).as_ref(), Some(&bound));
}

/// GEL-12: a bound loop that is closed stays bound, and no other is made for it.
#[test]
fn bound_then_closed_stays_bound() {
    let event_loop = new_loop();
    set_event_loop(Some(&event_loop));
    event_loop.close().unwrap();
    let found = get_event_loop().unwrap();
    assert_eq!(found, event_loop);
    assert_eq!(found.run_forever().unwrap_err().to_string(), "Event loop is closed");
    assert_eq!(set_event_loop(None).as_ref(), Some(&event_loop));
}

/// GEL-13: so does one that was closed before.
#[test]
fn closed_then_bound_is_bound() {
    let event_loop = new_loop();
    event_loop.close().unwrap();
    set_event_loop(Some(&event_loop));
    assert_eq!(get_event_loop().unwrap(), event_loop);
    let _bound = event_loop.bind();
    assert_eq!(get_event_loop().unwrap(), event_loop);
    set_event_loop(None);
}

/// GEL-15: making a loop binds nothing.
#[test]
fn a_new_loop_is_bound_to_nothing() {
    let made = [new_event_loop().unwrap(), EventLoop::builder().build().unwrap(), new_loop()];
    assert!(get_event_loop().is_err());
    assert_eq!(get_bound_loop(), None);
    let _bound = made[0].bind();
    new_event_loop().unwrap();
    assert_eq!(get_event_loop().unwrap(), made[0]);
}

/// GEL-16: the running loop and nothing else: not the bound one, not a new one.
#[test]
fn the_running_loop_is_not_the_bound_one() {
    let event_loop = new_loop();
    let _bound = event_loop.bind();
    let refused = get_running_loop().unwrap_err();
    assert!(matches!(refused, LoopError::NoRunningLoop));
    assert_eq!(refused.to_string(), "no running event loop");
    let ran = event_loop.run_until_complete(async { get_running_loop().unwrap() });
    assert_eq!(ran.unwrap(), event_loop);
    assert!(get_running_loop().is_err());
}

/// GEL-17: a future polled by hand is outside of every loop, and finds the bound one.
#[test]
fn a_future_polled_by_hand_finds_the_bound_loop_then_in_a_run_the_running_one() {
    let (bound, running) = (new_loop(), new_loop());
    let _bound = bound.bind();
    let mut found = Vec::new();
    let mut look = pin!(poll_fn(|_| {
        found.push(get_event_loop().unwrap());
        if found.len() < 2 { Poll::Pending } else { Poll::Ready(()) }
    }));
    assert!(look.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    running.run_until_complete(look).unwrap();
    assert_eq!(found, [bound.clone(), running]);
}

/// GEL-18: the slots are the thread's. Two loops run at the same time on two threads, a third is
/// bound to each, and neither sees the other's.
#[test]
fn two_threads_run_at_once_and_each_sees_its_own() {
    let meet = &Barrier::new(2);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                let (bound, running) = (new_loop(), new_loop());
                set_event_loop(Some(&bound));
                running
                    .run_until_complete(async {
                        meet.wait();
                        assert_eq!(get_running_loop().unwrap(), running);
                        assert_eq!(get_bound_loop().as_ref(), Some(&bound));
                        meet.wait();
                    })
                    .unwrap();
                assert_eq!(get_event_loop().unwrap(), bound);
            });
        }
    });
}

/// PRC-10: a new thread starts with nothing bound, whatever its parent has.
#[test]
fn a_thread_started_while_a_loop_is_bound_and_runs_has_neither() {
    let event_loop = new_loop();
    let _bound = event_loop.bind();
    let started = event_loop.run_until_complete(async {
        thread::spawn(|| (get_bound_loop().is_none(), get_running_loop().is_err())).join().unwrap()
    });
    assert_eq!(started.unwrap(), (true, true));
}

/// GEL-27: `run` binds its loop for as long as it lasts and restores what was bound before, exactly:
/// a loop, nothing by `None`, and never set; also when its future panics or is stopped.
#[test]
fn run_restores_what_was_bound_before_it() {
    let inside = || {
        run(async {
            let running = get_running_loop().unwrap();
            assert_eq!(get_bound_loop(), Some(running.clone()), "bound meanwhile");
            running.id()
        })
        .unwrap()
    };
    assert_ne!(inside(), inside(), "a loop of its own each time");
    assert_eq!(get_bound_loop(), None);
    let bound = new_loop();
    set_event_loop(Some(&bound));
    assert_ne!(inside(), bound.id());
    assert_eq!(get_event_loop().unwrap(), bound);
    assert_eq!(panic_of(|| run(async { std::panic::resume_unwind(Box::new("main")) })), "main");
    assert_eq!(get_event_loop().unwrap(), bound);
    let stopped = run(async {
        get_running_loop().unwrap().stop();
        pending::<()>().await
    });
    assert!(matches!(stopped, Err(LoopError::StoppedBeforeComplete)));
    assert_eq!(get_event_loop().unwrap(), bound);
    let rebound = run(async { set_event_loop(None).unwrap() }).unwrap();
    assert!(rebound.is_closed());
    assert_eq!(get_event_loop().unwrap(), bound, "also where the future changed the binding");
    set_event_loop(None);
    inside();
    assert_eq!(get_bound_loop(), None);
}

/// GEL-28: a runner binds its loop during each run, and not between.
#[test]
fn a_runner_binds_during_each_run_and_not_between() {
    let runner = Runner::new().unwrap();
    let own = runner.event_loop().clone();
    for _ in 0..2 {
        assert_eq!(get_bound_loop(), None);
        assert_eq!(runner.run(async { get_bound_loop() }).unwrap().as_ref(), Some(&own));
    }
    assert_eq!(get_bound_loop(), None);
    let outer = new_loop();
    let _bound = outer.bind();
    runner.run(async {}).unwrap();
    assert_eq!(get_event_loop().unwrap(), outer);
    runner.close().unwrap();
    assert_eq!(get_event_loop().unwrap(), outer);
}

/// GEL-29: destructors that a closing loop calls see no running loop; they find what is bound.
#[test]
fn destructors_of_a_closing_loop_find_the_bound_one_or_none() {
    let (closing, bound) = (new_loop(), new_loop());
    let trace = Trace::new();
    let look = |name: &'static str, bound: Option<EventLoop>| {
        let trace = trace.clone();
        on_drop(move || {
            assert!(get_running_loop().is_err());
            assert_eq!(get_event_loop().ok(), bound);
            trace.note(name);
        })
    };
    let pend = |held| async move {
        let _held = held;
        pending::<()>().await;
    };
    let later = look("timer", None);
    closing.call_later(Duration::from_secs(3600), move || drop(later));
    closing.create_task(pend(look("task", None))).detach();
    closing.close().unwrap();
    trace.assert(&["timer", "task"]);

    let _bound = bound.bind();
    let dropped = new_loop();
    dropped.create_task(pend(look("task of a dropped loop", Some(bound.clone())))).detach();
    drop(dropped);
    trace.assert(&["task of a dropped loop"]);
}

/// GEL-29: and when a loop is closed inside another's run, they find that one.
#[test]
fn destructors_of_a_loop_closed_inside_another_run_find_the_one_that_runs() {
    let (outer, closing) = (new_loop(), new_loop());
    let trace = Trace::new();
    let (expected, noting) = (outer.clone(), trace.clone());
    let held = on_drop(move || {
        assert_eq!(get_event_loop().unwrap(), expected);
        noting.note("dropped");
    });
    closing
        .create_task(async move {
            let _held = held;
            pending::<()>().await;
        })
        .detach();
    outer.run_until_complete(async { closing.close().unwrap() }).unwrap();
    trace.assert(&["dropped"]);
}

/// GEL-34: `spawn` and its kin need a running loop; a bound one is not enough, and the panic says
/// what is missing. Making a sleep needs none, polling it does.
#[test]
fn spawning_outside_a_run_panics_with_a_loop_bound() {
    let event_loop = new_loop();
    let _bound = event_loop.bind();
    assert_eq!(panic_of(|| spawn(async {})), "no running event loop");
    assert_eq!(panic_of(|| spawn_blocking(|| ())), "no running event loop");
    let mut nap = sleep(Duration::from_secs(1));
    let poll = || pin!(&mut nap).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(panic_of(poll), "no running event loop");
    assert!(loopbind::task::current().is_none());
}
