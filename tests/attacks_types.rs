//! What would be unsound does not compile: what is borrowed, and what belongs to a thread, goes neither into a
//! loop nor across to one. Each program is wrong in one place, and the compiler says so there.
#![cfg(feature = "macros")]

#[path = "rustc_parity/built.rs"]
#[allow(dead_code)]
mod built;

use built::{Built, Compiler, place};

const E0277: &str = "error[E0277]";
const E0597: &str = "error[E0597]";

/// What is wrong, what the compiler says, and the body that it says it of.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "borrowed by a call from another thread",
        E0597,
        "handle.call_soon_threadsafe(move || drop(text.len())).unwrap();",
    ),
    (
        "counted without atomics, in a call from another thread",
        E0277,
        "handle.call_soon_threadsafe(move || drop(rc)).unwrap();",
    ),
    (
        "borrowed by a task from another thread",
        E0597,
        "handle.spawn(move || async move { text.len() }).unwrap();",
    ),
    (
        "counted without atomics, in a task from another thread",
        E0277,
        "handle.spawn(move || async move { drop(rc) }).unwrap();",
    ),
    (
        "counted without atomics, the outcome of a task from another thread",
        E0277,
        "handle.spawn(|| async { Rc::new(1) }).unwrap();",
    ),
    (
        "borrowed by a future from another thread",
        E0597,
        "handle.run_coroutine_threadsafe(async move { text.len() }).unwrap();",
    ),
    (
        "counted without atomics, in a future from another thread",
        "future cannot be sent between threads safely",
        "handle.run_coroutine_threadsafe(async move { drop(rc) }).unwrap();",
    ),
    ("borrowed by blocking work", E0597, "drop(event_loop.run_in_executor(move || text.len()));"),
    (
        "counted without atomics, in blocking work",
        E0277,
        "drop(event_loop.run_in_executor(move || drop(rc)));",
    ),
    (
        "counted without atomics, the outcome of blocking work",
        E0277,
        "drop(event_loop.run_in_executor(|| Rc::new(1)));",
    ),
    (
        "counted without atomics, in a thread's body",
        E0277,
        "ThreadBuilder::new().spawn(move || async move { drop(rc) }).unwrap();",
    ),
    (
        "borrowed by a thread's body",
        E0597,
        "ThreadBuilder::new().spawn(move || async move { text.len() }).unwrap();",
    ),
    ("borrowed by a task", E0597, "event_loop.create_task(async move { text.len() }).detach();"),
    ("borrowed by a callback", E0597, "event_loop.call_soon(move || drop(text.len()));"),
    (
        "borrowed by a timer",
        E0597,
        "event_loop.call_later(Duration::ZERO, move || drop(text.len()));",
    ),
    (
        "borrowed by a done-callback",
        E0597,
        "event_loop.create_task(async {}).add_done_callback(move || drop(text.len()));",
    ),
    (
        "borrowed by an exception handler",
        E0597,
        "event_loop.set_exception_handler(Some(Box::new(move |_, _| drop(text.len()))));",
    ),
    (
        "a descriptor that is borrowed, watched",
        E0597,
        "let stream = std::net::TcpListener::bind(\"127.0.0.1:0\").unwrap(); let borrowed = std::os::fd::AsFd::as_fd(&stream); event_loop.add_reader(borrowed, || ()).unwrap().detach();",
    ),
    ("a loop on another thread", E0277, "std::thread::spawn(move || drop(event_loop));"),
    (
        "a task's handle on another thread",
        E0277,
        "let task = event_loop.create_task(async {}); std::thread::spawn(move || drop(task));",
    ),
    (
        "a loop shared with another thread",
        E0277,
        "std::thread::scope(|scope| { scope.spawn(|| event_loop.stop()); });",
    ),
    (
        "a timer's handle on another thread",
        E0277,
        "let timer = event_loop.call_later(Duration::ZERO, || ()); std::thread::spawn(move || timer.cancel());",
    ),
];

#[test]
fn what_would_be_unsound_does_not_compile() {
    let (built, place) = (Built::find(), place("types"));
    let program = |body: &str| {
        format!(
            "#![allow(unused)]
use std::{{rc::Rc, time::Duration}};
use loopbind::{{EventLoop, thread::ThreadBuilder}};
pub fn program(event_loop: EventLoop) {{
    let (handle, rc, owned) = (event_loop.handle(), Rc::new(1), String::new());
    let text = &owned;
    {body}
}}
"
        )
    };
    let fine = "handle.call_soon_threadsafe(|| ()).unwrap(); drop(event_loop.run_in_executor(|| 1)); event_loop.create_task(async { Rc::new(1) }).detach();";
    assert_eq!(built.compile(Compiler::RUSTC, &place, &program(fine)), "");
    let mut wrong = Vec::new();
    for (name, text, body) in WRONG {
        let said = built.compile(Compiler::BRIEF, &place, &program(body));
        // One error or several of one kind, in the body or where it borrows.
        let errors: Vec<_> = said.lines().filter(|line| line.starts_with("program.rs:")).collect();
        let places = ["program.rs:6:", "program.rs:7:"];
        let expected =
            |line: &&str| places.iter().any(|at| line.starts_with(at)) && line.contains(text);
        if errors.is_empty() || !errors.iter().all(expected) {
            wrong.push(format!("{name}:\n{said}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
