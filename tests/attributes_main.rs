//! `#[loop_main]`: what it makes, binds, runs, ends and gives back.
//!
//! What only a program's own main thread can show is in `ui/pass`; what looks at the whole process runs in a child of this test.
#![cfg(feature = "macros")]

use loopbind::{
    EventLoop, LoopHandle, get_bound_loop, get_event_loop, get_running_loop, loop_main, main_loop,
    set_event_loop, spawn, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::process::Command;
use std::rc::Rc;
use std::{env, thread};

type Trace = Rc<RefCell<Vec<&'static str>>>;

/// Says when it is dropped, and whether a loop is bound and running there.
struct Noted(&'static str, Trace);

impl Drop for Noted {
    fn drop(&mut self) {
        self.1.borrow_mut().push(self.0);
    }
}

/// The text of the panic that `body` ends with.
#[track_caller]
fn panic_of<T>(body: impl FnOnce() -> T) -> String {
    let Err(payload) = panic::catch_unwind(AssertUnwindSafe(body)) else {
        panic!("there was no panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().expect("a text")).to_owned(),
    }
}

/// Runs `body` in a process where no other test is.
fn alone(test: &str, body: impl FnOnce()) {
    const CHILD: &str = "LOOPBIND_TEST_ALONE";
    if env::var_os(CHILD).is_some_and(|name| name == test) {
        return body();
    }
    let output = Command::new(env::current_exe().expect("a test knows its own file"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, test)
        .output()
        .expect("the test can start itself");
    assert!(
        output.status.success() && String::from_utf8_lossy(&output.stdout).contains("1 passed"),
        "{test}, alone:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[loop_main]
async fn add(first: u32, second: u32) -> u32 {
    yield_now().await;
    first + second
}

#[test]
fn what_the_function_returns_comes_back() {
    assert_eq!(add(1, 2), 3);
}

#[loop_main]
async fn parse(text: &str) -> Result<u32, Box<dyn std::error::Error>> {
    yield_now().await;
    if text.is_empty() {
        return Err("nothing there".into());
    }
    Ok(text.parse()?)
}

#[loop_main]
fn parse_without_await(text: &str) -> Result<u32, std::num::ParseIntError> {
    text.parse()
}

#[test]
fn an_error_comes_back_as_it_is() {
    assert_eq!(parse("5").expect("a number"), 5);
    assert_eq!(parse("").expect_err("an early return").to_string(), "nothing there");
    assert_eq!(parse("x").expect_err("a `?`").to_string(), "invalid digit found in string");
    assert_eq!(parse_without_await("5"), Ok(5));
    assert!(parse_without_await("x").is_err());
}

#[loop_main(name = "ui")]
async fn inside() -> EventLoop {
    let event_loop = get_event_loop().expect("a loop runs here");
    assert_eq!(get_running_loop().expect("it is running"), event_loop);
    assert_eq!(get_bound_loop().expect("it is bound"), event_loop);
    assert_eq!(event_loop.name(), Some("ui"));
    assert!(event_loop.is_running());
    event_loop
}

#[test]
fn inside_the_loop_is_found_bound_and_running() {
    let event_loop = inside();
    assert!(event_loop.is_closed());
    assert!(get_bound_loop().is_none());
    assert!(get_event_loop().is_err(), "a test's thread makes no loop of its own");
}

#[loop_main]
fn inside_plain() -> EventLoop {
    let event_loop = get_event_loop().expect("a loop is bound here");
    assert!(get_running_loop().is_err(), "it runs only where the function runs it");
    let seen = event_loop.run_until_complete(async { get_running_loop() });
    assert_eq!(seen.expect("it can run").expect("it does run"), event_loop);
    event_loop
}

#[test]
fn a_plain_function_runs_inside_the_binding() {
    let event_loop = inside_plain();
    assert!(event_loop.is_closed());
    assert!(get_bound_loop().is_none());
}

#[test]
fn the_former_binding_is_restored() {
    let former = EventLoop::new().expect("a loop");
    set_event_loop(Some(&former));
    assert_ne!(inside(), former);
    assert_eq!(get_bound_loop().as_ref(), Some(&former));
    assert_ne!(inside_plain(), former);
    assert_eq!(get_bound_loop().as_ref(), Some(&former));
    assert!(!former.is_closed());
}

#[loop_main]
async fn panics() -> u32 {
    yield_now().await;
    panic!("on purpose, with await")
}

#[loop_main]
fn panics_without_await() {
    panic!("on purpose");
}

#[test]
fn a_panic_leaves_with_its_own_words_after_everything_is_restored() {
    let former = EventLoop::new().expect("a loop");
    set_event_loop(Some(&former));
    assert_eq!(panic_of(panics), "on purpose, with await");
    assert_eq!(get_bound_loop().as_ref(), Some(&former));
    assert_eq!(panic_of(panics_without_await), "on purpose");
    assert_eq!(get_bound_loop().as_ref(), Some(&former));
    assert!(get_running_loop().is_err());
    assert_eq!(add(2, 3), 5);
}

#[loop_main]
async fn leaves_work_behind(trace: Trace) -> Trace {
    for name in ["first", "second"] {
        let noted = Noted(name, Rc::clone(&trace));
        spawn(async move {
            noted.1.borrow_mut().push("started");
            std::future::pending::<()>().await;
            drop(noted);
        })
        .detach();
    }
    yield_now().await;
    trace.borrow_mut().push("returned");
    trace
}

#[test]
fn what_is_left_is_cancelled_in_order_before_the_function_returns() {
    let trace = leaves_work_behind(Trace::default());
    assert_eq!(*trace.borrow(), ["started", "started", "returned", "first", "second"]);
}

#[loop_main]
async fn takes(argument: Noted, _unused: Noted) {
    yield_now().await;
    argument.1.borrow_mut().push("called");
}

#[test]
fn inside_a_running_loop_it_is_refused_and_nothing_changes() {
    let trace = Trace::default();
    let outer = EventLoop::new().expect("a loop");
    let told = outer
        .run_until_complete(async {
            let (first, second) =
                (Noted("first", Rc::clone(&trace)), Noted("second", Rc::clone(&trace)));
            let told = panic_of(|| takes(first, second));
            // The outer loop still is the one that runs, and it still works.
            assert_eq!(get_running_loop().expect("the outer loop"), outer);
            assert!(get_bound_loop().is_none());
            yield_now().await;
            told
        })
        .expect("it was not stopped");
    assert_eq!(told, "Cannot run the event loop while another loop is running");
    let mut trace = trace.take();
    trace.sort_unstable();
    assert_eq!(trace, ["first", "second"], "the body never began, and its arguments are gone");
    assert_eq!(
        outer.run_until_complete(async { panic_of(inside_plain) }).expect("it was not stopped"),
        "Cannot run the event loop while another loop is running"
    );
}

#[loop_main]
async fn countdown(from: u32) -> u32 {
    if from == 0 { 0 } else { countdown(from - 1) }
}

#[test]
fn recursion_is_a_nested_run_and_refused_as_one() {
    assert_eq!(countdown(0), 0);
    assert_eq!(
        panic_of(|| countdown(1)),
        "Cannot run the event loop while another loop is running"
    );
}

#[test]
fn a_refusal_comes_before_any_loop_is_made() {
    alone("a_refusal_comes_before_any_loop_is_made", || {
        let outer = EventLoop::new().expect("a loop");
        outer.run_until_complete(async { panic_of(|| add(1, 2)) }).expect("it was not stopped");
        let next = EventLoop::new().expect("a loop");
        let number = |event_loop: &EventLoop| -> u64 {
            let id = format!("{:?}", event_loop.id());
            id.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number")
        };
        assert_eq!(number(&next), number(&outer) + 1, "a loop was made in between");
    });
}

#[test]
fn a_refusal_is_told_at_the_attribute() {
    thread_local!(static TOLD_AT: Cell<Option<(u32, bool)>> = const { Cell::new(None) });
    alone("a_refusal_is_told_at_the_attribute", || {
        panic::set_hook(Box::new(|info| {
            let place = info.location().expect("a place");
            TOLD_AT.set(Some((place.line(), place.file().ends_with("attributes_main.rs"))));
        }));
        let line = line!() + 1;
        #[loop_main]
        async fn refused() {}
        let outer = EventLoop::new().expect("a loop");
        outer.run_until_complete(async { panic_of(refused) }).expect("it was not stopped");
        let _ = panic::take_hook();
        assert_eq!(TOLD_AT.get(), Some((line, true)));
    });
}

#[loop_main]
async fn is_the_main_loop() -> LoopHandle {
    let handle = main_loop().expect("this one");
    assert_eq!(handle.id(), get_event_loop().expect("a loop runs here").id());
    let seen = thread::spawn(|| main_loop().expect("from every thread").id());
    assert_eq!(seen.join().expect("no panic"), handle.id());
    handle
}

#[loop_main]
fn is_the_main_loop_without_await() -> LoopHandle {
    let handle = main_loop().expect("this one");
    assert_eq!(handle.id(), get_event_loop().expect("a loop is bound here").id());
    handle
}

#[test]
fn its_loop_is_the_main_loop_until_the_end() {
    alone("its_loop_is_the_main_loop_until_the_end", || {
        assert!(main_loop().is_none());
        assert!(is_the_main_loop().is_closed());
        assert!(main_loop().is_none());
        assert!(is_the_main_loop_without_await().is_closed());
        assert!(main_loop().is_none());
    });
}

#[loop_main(builder = EventLoop::builder().name("builder").debug(true))]
async fn built() -> (Option<String>, bool) {
    described()
}

#[loop_main(name = format!("{}-{}", "option", 1), builder = EventLoop::builder().name("builder"), debug)]
async fn built_with_options() -> (Option<String>, bool) {
    described()
}

#[loop_main(debug = false, builder = EventLoop::builder().debug(true))]
fn built_without_debug() -> (Option<String>, bool) {
    described()
}

fn described() -> (Option<String>, bool) {
    let event_loop = get_event_loop().expect("a loop");
    (event_loop.name().map(str::to_owned), event_loop.get_debug())
}

#[test]
fn options_stand_above_the_builder() {
    assert_eq!(built(), (Some("builder".to_owned()), true));
    assert_eq!(built_with_options(), (Some("option-1".to_owned()), true));
    assert_eq!(built_without_debug(), (None, false));
}

#[loop_main]
async fn borrows<'a>(words: &'a mut Vec<String>, more: &str) -> &'a str {
    yield_now().await;
    words.push(more.to_owned());
    words.last().expect("the one just pushed")
}

#[test]
fn arguments_and_the_result_may_borrow_from_the_caller() {
    let mut words = Vec::new();
    assert_eq!(borrows(&mut words, "one"), "one");
    assert_eq!(words, ["one"]);
}
