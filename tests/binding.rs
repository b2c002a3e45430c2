//! Binding a loop to a thread: guards are frames over a base, the topmost decides, and what comes out
//! of a slot is dropped with nothing borrowed.

mod support;

use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use loopbind::{
    EventLoop, LoopError, Runner, get_bound_loop, get_event_loop, get_running_loop, run,
    set_event_loop,
};
use support::{Trace, on_drop, panic_of};

fn named(name: &str) -> EventLoop {
    EventLoop::builder().name(name).build().unwrap()
}

/// The name of the bound loop; a dash for none.
fn bound() -> String {
    get_bound_loop().map_or("-".to_owned(), |event_loop| event_loop.name().unwrap().to_owned())
}

/// GEL-09: a guard binds, and its drop binds again what was bound before.
#[test]
fn bound_then_dropped_restores_what_was_before() {
    let (first, second) = (named("first"), named("second"));
    let mut seen = vec![bound()];
    {
        let _first = first.bind();
        seen.push(bound());
        {
            let _second = second.bind();
            seen.push(bound());
            let _again = first.bind();
            seen.push(bound());
        }
        seen.push(bound());
    }
    seen.push(bound());
    assert_eq!(seen, ["-", "first", "second", "first", "first", "-"]);
}

/// GEL-08: what a guard restores is exact: nothing stays nothing, and a loop set by hand comes back.
#[test]
fn set_by_hand_then_bound_then_dropped_is_set_by_hand_again() {
    let (base, guarded) = (named("base"), named("guarded"));
    set_event_loop(Some(&base));
    let guard = guarded.bind();
    assert_eq!(bound(), "guarded");
    drop(guard);
    assert_eq!(bound(), "base");
    set_event_loop(None);
    drop(guarded.bind());
    assert_eq!(bound(), "-");
    assert!(matches!(get_event_loop(), Err(LoopError::NoCurrentLoop { .. })));
}

/// A panic that passes a guard drops it like any other way out.
#[test]
fn bound_then_panicked_restores_what_was_before() {
    let (outer, inner) = (named("outer"), named("inner"));
    let _outer = outer.bind();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _inner = inner.bind();
        let _deeper = outer.bind();
        let _seen = on_drop(|| assert_eq!(bound(), "outer", "still bound while it unwinds"));
        std::panic::resume_unwind(Box::new(bound()));
    }));
    assert_eq!(*caught.unwrap_err().downcast::<String>().unwrap(), "outer");
    assert_eq!(bound(), "outer");
}

/// Guards that drop in another order than they came take out their own frames: the topmost that is
/// left decides.
#[test]
fn guards_dropped_in_any_order_leave_the_topmost() {
    let loops = [named("a"), named("b"), named("c")];
    // Each row: the order in which the guards of a, b and c drop, and what is bound after each.
    let table = [
        ([2, 1, 0], ["b", "a", "base"]),
        ([2, 0, 1], ["b", "b", "base"]),
        ([1, 2, 0], ["c", "a", "base"]),
        ([1, 0, 2], ["c", "c", "base"]),
        ([0, 2, 1], ["c", "b", "base"]),
        ([0, 1, 2], ["c", "c", "base"]),
    ];
    let base = named("base");
    set_event_loop(Some(&base));
    for (order, expected) in table {
        let mut guards = loops.each_ref().map(|event_loop| Some(event_loop.bind()));
        let seen = order.map(|index| {
            guards[index] = None;
            bound()
        });
        assert_eq!(seen, expected, "dropped in the order {order:?}");
    }
    set_event_loop(None);
}

/// `set_event_loop` under a guard writes the guard's frame, and is gone with it.
#[test]
fn set_by_hand_under_a_guard_is_gone_with_the_guard() {
    let (base, guarded, other) = (named("base"), named("guarded"), named("other"));
    set_event_loop(Some(&base));
    let guard = guarded.bind();
    assert_eq!(set_event_loop(Some(&other)), Some(guarded.clone()));
    assert_eq!(bound(), "other");
    assert_eq!(set_event_loop(None), Some(other));
    assert!(get_event_loop().is_err(), "nothing, though the base has a loop");
    let inner = guarded.bind();
    assert_eq!(bound(), "guarded");
    drop(inner);
    assert_eq!(bound(), "-");
    drop(guard);
    assert_eq!(bound(), "base");
    set_event_loop(None);
}

/// Under a guard that is not the topmost, a frame keeps what was set into it.
#[test]
fn set_by_hand_then_the_guard_beneath_drops_and_it_stays() {
    let (lower, upper, other) = (named("lower"), named("upper"), named("other"));
    let lower = lower.bind();
    let upper = upper.bind();
    set_event_loop(Some(&other));
    drop(lower);
    assert_eq!(bound(), "other");
    drop(upper);
    assert_eq!(bound(), "-");
}

/// GEL-11: binding and running are two matters: a guard may come and go during a run, and outlive it.
#[test]
fn bound_during_a_run_then_dropped_after_it() {
    let (running, other) = (named("running"), named("other"));
    let guard = running
        .run_until_complete(async {
            drop(running.bind());
            let guard = other.bind();
            assert_eq!(get_event_loop().unwrap(), running);
            assert_eq!(bound(), "other");
            guard
        })
        .unwrap();
    assert_eq!(get_event_loop().unwrap(), other);
    drop(guard);
    assert!(get_event_loop().is_err());
}

/// A guard from before the run, dropped inside it, leaves the run alone.
#[test]
fn bound_before_a_run_then_dropped_during_it() {
    let running = named("running");
    let guard = running.bind();
    running
        .run_until_complete(async {
            drop(guard);
            assert_eq!(bound(), "-");
            assert_eq!(get_event_loop().unwrap(), running);
            assert!(running.is_running());
        })
        .unwrap();
    assert!(get_event_loop().is_err());
}

/// What is bound is a share in the loop: it stays open without another.
#[test]
fn bound_then_every_other_handle_dropped_stays_open() {
    let trace = Trace::new();
    let event_loop = named("kept");
    let handle = event_loop.handle();
    let held = trace.probe("task");
    event_loop
        .create_task(async move {
            let _held = held;
            pending::<()>().await;
        })
        .detach();
    set_event_loop(Some(&event_loop));
    drop(event_loop);
    assert!(!handle.is_closed());
    trace.assert(&[]);
    assert_eq!(get_event_loop().unwrap().run_until_complete(async { 5 }).unwrap(), 5);
    set_event_loop(None);
    assert!(handle.is_closed(), "the slot had the last share");
    trace.assert(&["task dropped"]);
}

/// The last share goes with a slot, and the destructors that are called for it look up, bind and
/// unbind: nothing of ours is borrowed then.
#[test]
fn destructors_of_what_was_bound_may_bind_again() {
    fn set_then(last: EventLoop, next: Option<&EventLoop>) {
        set_event_loop(Some(&last));
        drop(last);
        drop(set_event_loop(next));
    }
    type Way = fn(EventLoop, &EventLoop);
    let ways: [(&str, Way); 3] = [
        ("set to none", |last, _| set_then(last, None)),
        ("set to another", |last, other| set_then(last, Some(other))),
        ("guard", |last, _| {
            let guard = last.bind();
            drop(last);
            drop(guard);
        }),
    ];
    for (name, bind_and_let_go) in ways {
        let (trace, other) = (Trace::new(), named("other"));
        let event_loop = named("last");
        let (inside, next) = (trace.clone(), other.clone());
        let held = on_drop(move || {
            let guard = next.bind();
            inside.note(bound());
            let before = set_event_loop(None);
            inside.note(before.unwrap().name().unwrap());
            drop(guard);
            set_event_loop(Some(&next));
            inside.note(bound());
        });
        event_loop
            .create_task(async move {
                let _held = held;
                pending::<()>().await;
            })
            .detach();
        bind_and_let_go(event_loop, &other);
        assert_eq!(trace.take(), ["other", "other", "other"], "{name}");
        set_event_loop(None);
    }
}

/// A guard that is forgotten leaves its binding; others still come and go above it.
#[test]
fn forgotten_guards_stay_and_the_next_restores_them() {
    let ended = thread::spawn(|| {
        let (forgotten, other) = (named("forgotten"), named("other"));
        std::mem::forget(forgotten.bind());
        let guard = other.bind();
        let during = bound();
        drop(guard);
        (during, bound(), forgotten.handle())
    });
    let (during, after, handle) = ended.join().unwrap();
    assert_eq!((during.as_str(), after.as_str()), ("other", "forgotten"));
    assert!(handle.is_closed(), "its thread closed it");
}

/// GEL-27: under a guard, `run` restores the guard's loop; what is set inside is gone with the run.
#[test]
fn run_under_a_guard_restores_the_guards_loop() {
    let (outer, other) = (named("outer"), named("other"));
    let _outer = outer.bind();
    run(async {
        assert_ne!(get_bound_loop().unwrap(), outer);
        assert_eq!(get_bound_loop(), get_running_loop().ok());
        set_event_loop(Some(&other));
    })
    .unwrap();
    assert_eq!(bound(), "outer");
}

/// GEL-28: the end of a runner binds its loop once more, for the cleanup, and restores as well.
#[test]
fn a_runner_closed_under_a_guard_binds_for_the_cleanup_and_restores() {
    let (outer, trace) = (named("outer"), Trace::new());
    let _outer = outer.bind();
    let runner = Runner::with(EventLoop::builder().name("runner")).unwrap();
    let (dropped, noting) = (trace.clone(), trace.clone());
    runner
        .run(async {
            let held = on_drop(move || dropped.note(format!("cleanup: {}", bound())));
            loopbind::spawn(async move {
                let _held = held;
                pending::<()>().await;
            })
            .detach();
            noting.note(format!("run: {}", bound()));
        })
        .unwrap();
    trace.note(format!("between: {}", bound()));
    runner.close().unwrap();
    trace.note(format!("after: {}", bound()));
    trace.assert(&["run: runner", "between: outer", "cleanup: runner", "after: outer"]);
}

/// A refused run binds nothing: neither the runner's nor the free function's.
#[test]
fn a_refused_run_binds_nothing() {
    let (outer, runner) = (named("outer"), Runner::new().unwrap());
    set_event_loop(Some(&outer));
    outer
        .run_until_complete(async {
            runner.run(async { unreachable!("refused") }).unwrap_err();
            assert_eq!(bound(), "outer");
            run(async { unreachable!("refused") }).unwrap_err();
            assert_eq!(bound(), "outer");
        })
        .unwrap();
    let closed = runner.event_loop().clone();
    closed.close().unwrap();
    assert!(matches!(runner.run(async {}), Err(LoopError::Closed)));
    assert_eq!(bound(), "outer");
    set_event_loop(None);
}

/// The binding is the thread's: a guard here is nothing to a thread next door, which binds its own.
#[test]
fn two_threads_bind_and_neither_sees_the_other() {
    let here = named("here");
    let _here = here.bind();
    let there = thread::spawn(|| {
        let before = bound();
        let event_loop = named("there");
        let _bound = event_loop.bind();
        [before, bound()]
    });
    assert_eq!(there.join().unwrap(), ["-", "there"]);
    assert_eq!(bound(), "here");
}

/// Ten thousand guards leave nothing behind, in either order.
#[test]
fn many_guards_come_and_go() {
    let event_loop = named("one");
    let guards: Vec<_> = (0..5_000).map(|_| event_loop.bind()).collect();
    assert_eq!(bound(), "one");
    guards.into_iter().for_each(drop);
    let mut guards: Vec<_> = (0..5_000).map(|_| event_loop.bind()).collect();
    while guards.pop().is_some() {}
    assert_eq!(bound(), "-");
}

/// A guard says what it is, and a lookup that fails in a panic's message is a text, not a panic.
#[test]
fn a_guard_and_an_error_can_be_shown() {
    let event_loop = named("shown");
    let guard = event_loop.bind();
    assert_eq!(format!("{guard:?}"), "Bound { .. }");
    drop(guard);
    let text = panic_of(|| get_event_loop().unwrap());
    assert!(text.contains("NoCurrentLoop"), "{text}");
}

/// Whether a type is `Send` and `Sync`: the inherent constant where it is, else the trait's.
struct Crosses<T>(std::marker::PhantomData<T>);

impl<T: Send> Crosses<T> {
    const SEND: bool = true;
}

impl<T: Sync> Crosses<T> {
    const SYNC: bool = true;
}

trait StaysAtHome {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T> StaysAtHome for Crosses<T> {}

/// THR-03, RUN-07, GEL-19: a loop, what names it and what hangs on it cannot leave its thread, so that
/// what may not be called from another does not compile; what may, can.
#[test]
fn a_loop_and_what_hangs_on_it_stay_on_their_thread_and_handles_cross() {
    macro_rules! crosses {
        ($($kind:ty),* $(,)?) => {
            [$((stringify!($kind), Crosses::<$kind>::SEND, Crosses::<$kind>::SYNC)),*]
        };
    }
    let at_home =
        crosses![EventLoop, Runner, loopbind::Bound, loopbind::Handle, loopbind::Task<()>];
    for (kind, send, sync) in at_home {
        assert!(!send && !sync, "{kind} crosses threads");
    }
    let across = crosses![loopbind::LoopHandle, loopbind::Builder, LoopError];
    for (kind, send, sync) in across {
        assert!(send && sync, "{kind} does not cross threads");
    }
}
