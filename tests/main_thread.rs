//! What only the process's main thread can show: a loop made by the first lookup, `None` turning that
//! off, `main_loop`, and threads that are merely called "main".
//!
//! Without libtest's harness, which runs no test on that thread. Each case is a process of its own,
//! whose main thread has done nothing before.

mod support;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use loopbind::{
    EventLoop, LoopError, LoopHandle, Runner, get_bound_loop, get_event_loop, get_running_loop,
    main_loop, run, set_event_loop,
};

const CASES: &[support::Case] = support::cases![
    found_then_found_again_is_the_same_new_loop,
    made_by_hand_then_looked_up_makes_another,
    bound_then_looked_up_makes_none,
    asked_without_making_makes_none,
    none_then_looked_up_then_bound_then_none,
    none_under_a_guard_then_the_guard_drops,
    made_then_closed_stays_and_no_other_is_made,
    run_then_looked_up_makes_one_as_before,
    none_then_run_then_still_none,
    a_thread_named_main_has_no_loop,
    looked_up_inside_a_run_makes_none,
    looked_up_during_the_close_of_another_makes_one,
    main_loop_before_the_first_lookup_and_after,
    main_loop_is_not_what_is_bound_or_runs,
    main_loop_after_it_closed_is_none,
    the_attribute_makes_the_main_loop,
    the_attribute_over_a_looked_up_loop_then_back,
    the_attribute_on_a_plain_function_binds,
    the_bound_loop_is_left_to_the_end_of_the_process,
    no_descriptors_then_looked_up_binds_nothing_then_looked_up_again,
];

fn main() -> ExitCode {
    support::run_cases(CASES)
}

/// GEL-03, GEL-04: the first lookup makes a loop and binds it; the next finds the same.
fn found_then_found_again_is_the_same_new_loop() {
    assert!(get_bound_loop().is_none());
    let first = get_event_loop().unwrap();
    assert_eq!(get_event_loop().unwrap(), first);
    assert_eq!(get_bound_loop().as_ref(), Some(&first));
    assert!(!first.is_running() && !first.is_closed());
    assert_eq!(first.run_until_complete(async { get_event_loop().unwrap() }).unwrap(), first);
    // It is kept by the binding alone.
    let handle = first.handle();
    drop(first);
    assert!(!handle.is_closed());
    assert_eq!(get_event_loop().unwrap().id(), handle.id());
}

/// GEL-15: a loop made by hand is bound to nothing, so that the lookup makes its own.
fn made_by_hand_then_looked_up_makes_another() {
    let by_hand = EventLoop::new().unwrap();
    let found = get_event_loop().unwrap();
    assert_ne!(found, by_hand);
    // GEL-11: the one runs while the other is bound.
    assert_eq!(by_hand.run_until_complete(async { get_event_loop().unwrap() }).unwrap(), by_hand);
    assert_eq!(get_event_loop().unwrap(), found);
}

/// GEL-02: what is bound is found, and nothing is made; under a guard, and after it as never set.
fn bound_then_looked_up_makes_none() {
    let by_hand = EventLoop::new().unwrap();
    let guard = by_hand.bind();
    assert_eq!(get_event_loop().unwrap(), by_hand);
    assert!(main_loop().is_none(), "neither looked up nor made by an attribute");
    drop(guard);
    assert!(get_bound_loop().is_none());
    assert_ne!(get_event_loop().unwrap(), by_hand, "made now");
}

/// GEL-16: asking for the running or the bound loop makes none.
fn asked_without_making_makes_none() {
    assert!(matches!(get_running_loop(), Err(LoopError::NoRunningLoop)));
    assert_eq!(get_bound_loop(), None);
    assert!(main_loop().is_none());
    assert_eq!(get_bound_loop(), None);
}

/// GEL-08: an explicit `None` turns the making off until a loop is bound; and then again.
fn none_then_looked_up_then_bound_then_none() {
    assert_eq!(set_event_loop(None), None);
    let refused = get_event_loop().unwrap_err();
    assert_eq!(refused.to_string(), "There is no current event loop in thread 'main'.");
    assert!(get_event_loop().is_err(), "each time");
    let by_hand = EventLoop::new().unwrap();
    assert_eq!(set_event_loop(Some(&by_hand)), None);
    assert_eq!(get_event_loop().unwrap(), by_hand);
    assert_eq!(set_event_loop(None), Some(by_hand));
    assert!(matches!(get_event_loop(), Err(LoopError::NoCurrentLoop { .. })));
}

/// GEL-08: under a guard the `None` is the guard's, and what was never set is never set again after it.
fn none_under_a_guard_then_the_guard_drops() {
    let by_hand = EventLoop::new().unwrap();
    let guard = by_hand.bind();
    set_event_loop(None);
    assert!(get_event_loop().is_err());
    drop(guard);
    get_event_loop().unwrap();
}

/// GEL-12: a loop that the lookup made and that was closed stays the answer.
fn made_then_closed_stays_and_no_other_is_made() {
    let made = get_event_loop().unwrap();
    made.close().unwrap();
    assert_eq!(get_event_loop().unwrap(), made);
    assert_eq!(made.run_forever().unwrap_err().to_string(), "Event loop is closed");
}

/// GEL-27: after `run`, what was never set is so again: the lookup makes a loop.
fn run_then_looked_up_makes_one_as_before() {
    let inside = run(async { get_event_loop().unwrap() }).unwrap();
    assert!(inside.is_closed());
    assert!(main_loop().is_none());
    assert_eq!(get_bound_loop(), None);
    let found = get_event_loop().unwrap();
    assert_ne!(found, inside);
    assert!(!found.is_closed());
    let runner = Runner::new().unwrap();
    assert_ne!(runner.run(async { get_event_loop().unwrap() }).unwrap(), found);
    assert_eq!(get_event_loop().unwrap(), found);
}

/// GEL-27: and after `None` it stays off.
fn none_then_run_then_still_none() {
    set_event_loop(None);
    run(async { assert!(get_event_loop().is_ok()) }).unwrap();
    assert!(get_event_loop().is_err());
}

/// PRC-12: the main thread is the process's; a name makes none.
fn a_thread_named_main_has_no_loop() {
    let named = thread::Builder::new().name("main".into());
    let refused = named.spawn(|| get_event_loop().unwrap_err().to_string()).unwrap();
    assert_eq!(refused.join().unwrap(), "There is no current event loop in thread 'main'.");
    get_event_loop().unwrap();
}

/// GEL-01: inside a run the answer is the running loop, and none is made for the binding.
fn looked_up_inside_a_run_makes_none() {
    let by_hand = EventLoop::new().unwrap();
    let found = by_hand.run_until_complete(async { get_event_loop().unwrap() });
    assert_eq!(found.unwrap(), by_hand);
    assert_eq!(get_bound_loop(), None);
    assert!(main_loop().is_none());
}

/// GEL-29: a destructor that a closing loop calls is outside of every run: its lookup makes a loop.
fn looked_up_during_the_close_of_another_makes_one() {
    let closing = EventLoop::new().unwrap();
    let held = support::on_drop(|| assert!(!get_event_loop().unwrap().is_closed()));
    closing.call_soon(move || drop(held));
    closing.close().unwrap();
    assert!(get_bound_loop().is_some());
}

/// What another thread gets from `main_loop`, and that it works.
fn from_afar() -> Option<LoopHandle> {
    thread::spawn(main_loop).join().unwrap()
}

/// None before the first lookup; after it its handle, from any thread, and calls reach it.
fn main_loop_before_the_first_lookup_and_after() {
    assert!(main_loop().is_none() && from_afar().is_none());
    let main = get_event_loop().unwrap();
    assert_eq!(main_loop(), Some(main.handle()));
    assert_eq!(from_afar(), Some(main.handle()));
    let posted = thread::spawn(|| {
        let main = main_loop().unwrap();
        let there = main.spawn(|| async { thread::current().id() }).unwrap().join().unwrap();
        main.stop();
        there
    });
    main.run_forever().unwrap();
    assert_eq!(posted.join().unwrap(), thread::current().id());
}

/// It is the loop that was announced, whatever is bound to the main thread now and whatever runs.
fn main_loop_is_not_what_is_bound_or_runs() {
    let main = get_event_loop().unwrap();
    let other = EventLoop::new().unwrap();
    set_event_loop(Some(&other));
    assert_eq!(main_loop(), Some(main.handle()));
    assert_eq!(other.run_until_complete(async { main_loop() }).unwrap(), Some(main.handle()));
    set_event_loop(None);
    assert_eq!(from_afar(), Some(main.handle()), "still open");
}

/// None after it closed, by hand or because its last share went.
fn main_loop_after_it_closed_is_none() {
    get_event_loop().unwrap().close().unwrap();
    assert!(main_loop().is_none() && from_afar().is_none());
    set_event_loop(None);
    assert!(main_loop().is_none());
}

#[loopbind::loop_main]
async fn attributed() -> LoopHandle {
    let running = get_running_loop().unwrap();
    assert_eq!(get_bound_loop().as_ref(), Some(&running));
    assert_eq!(main_loop(), Some(running.handle()));
    assert_eq!(from_afar(), Some(running.handle()));
    running.handle()
}

/// `loop_main` makes its loop the process's, for as long as it lasts.
fn the_attribute_makes_the_main_loop() {
    let handle = attributed();
    assert!(handle.is_closed());
    assert!(main_loop().is_none() && get_bound_loop().is_none());
}

/// Over a loop that a lookup made: the attribute's meanwhile, then the other again.
fn the_attribute_over_a_looked_up_loop_then_back() {
    let looked_up = get_event_loop().unwrap();
    assert_ne!(attributed(), looked_up.handle());
    assert_eq!(main_loop(), Some(looked_up.handle()));
    assert_eq!(get_event_loop().unwrap(), looked_up);
}

#[loopbind::loop_main]
fn attributed_plain() -> LoopHandle {
    assert!(get_running_loop().is_err());
    let bound = get_event_loop().unwrap();
    assert_eq!(main_loop(), Some(bound.handle()));
    bound.call_later(Duration::from_secs(3600), || unreachable!("dropped unrun"));
    bound.run_until_complete(async { get_event_loop().unwrap().handle() }).unwrap()
}

/// A plain function runs inside the binding, and may run the loop itself.
fn the_attribute_on_a_plain_function_binds() {
    assert!(attributed_plain().is_closed());
    assert!(main_loop().is_none() && get_bound_loop().is_none());
}

/// PRC-07: a loop that is bound, with work of all kinds, when `main` returns: the process ends well.
fn the_bound_loop_is_left_to_the_end_of_the_process() {
    let main = get_event_loop().unwrap();
    main.create_task(std::future::pending::<()>()).detach();
    main.call_soon(|| ());
    main.call_later(Duration::from_secs(3600), || ());
    let own = main.clone();
    main.create_task(async move { drop(own) }).detach();
}

/// GEL-03: a loop that cannot be made is an error, and binds nothing: the next lookup tries again.
fn no_descriptors_then_looked_up_binds_nothing_then_looked_up_again() {
    #[cfg(target_os = "linux")]
    for left in [0, 1] {
        let taken = support::take_descriptors_but(left);
        for _ in 0..100 {
            let refused = get_event_loop().unwrap_err();
            assert!(matches!(&refused, LoopError::Io(_)), "{refused:?}");
            assert_eq!(get_bound_loop(), None);
            assert!(main_loop().is_none());
        }
        drop(taken);
    }
    let made = get_event_loop().unwrap();
    assert_eq!(get_bound_loop(), Some(made.clone()));
    assert_eq!(main_loop(), Some(made.handle()));
}
