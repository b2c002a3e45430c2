//! What is said to who uses the library as it is not meant: at the place of the mistake, and what to write instead.
//!
//! The compiler's own words change from one to the next, so that ours alone are looked for in what it says.
#![cfg(feature = "macros")]

#[allow(dead_code)] // It serves another test, too.
#[path = "rustc_parity/built.rs"]
mod built;

use built::{Built, Compiler, place};

/// What is said of a program whose `main` has this line in it, in this order.
#[track_caller]
fn assert_told(line: &str, says: &[&str]) {
    let text = format!(
        "use loopbind::*;
use std::{{rc::Rc, time::Duration}};
pub fn wrong(event_loop: EventLoop, lock: sync::Lock<u8>, semaphore: sync::Semaphore) {{
    let _ = (&event_loop, &lock, &semaphore, Rc::new(Duration::ZERO));
    {line}
}}"
    );
    let said = Built::find().compile(Compiler::RUSTC, &place(line), &text);
    assert!(said.contains("--> program.rs:5:"), "nothing is said of the line:\n{said}");
    let mut rest = said.as_str();
    for words in says {
        let Some((_, after)) = rest.split_once(words) else {
            panic!("`{words}` is not said, or not there:\n{said}");
        };
        rest = after;
    }
}

#[test]
fn a_number_for_an_address_is_told_what_names_one() {
    let says = [
        "names no socket address",
        "neither an address nor a name with a port",
        "`\"localhost:8080\"`, in two parts `(\"localhost\", 8080)`",
    ];
    assert_told("drop(net::TcpStream::connect(8080));", &says);
    assert_told("drop(net::TcpListener::bind((\"localhost\", \"80\")));", &says);
    assert_told("drop(net::UdpSocket::bind(()));", &says);
}

#[test]
fn a_host_that_is_none_is_told_of_the_two_methods_and_of_the_way_without() {
    let says =
        ["`()` cannot drive a loop", "`poll_readable` and `poll_deadline`", "EventLoop::drive"];
    assert_told("drop(event_loop.drive_with(()));", &says);
}

#[test]
fn what_must_be_kept_or_awaited_says_what_is_lost() {
    for (line, says) in [
        ("sleep(Duration::ZERO);", "futures do nothing unless awaited"),
        ("timeout(Duration::ZERO, sleep(Duration::ZERO));", "futures do nothing unless awaited"),
        ("yield_now();", "futures do nothing unless"),
        ("event_loop.bind();", "the binding ends when the guard drops"),
        ("EventLoop::builder();", "a builder makes nothing until `build`"),
        ("thread::ThreadBuilder::new();", "a builder starts nothing until `spawn`"),
        ("event_loop.task_builder();", "a builder starts nothing until `spawn`"),
        (
            "event_loop.add_reader(std::io::stdin(), || {}).unwrap();",
            "dropping it removes the watch",
        ),
        ("lock.try_lock().unwrap();", "a lock is given back as soon as its guard is dropped"),
        ("semaphore.try_acquire().unwrap();", "a permit is given back as soon as it is dropped"),
        ("event_loop.create_task(async {}).abort_on_drop();", "dropping it aborts the task"),
        (
            "signal::signal(signal::SignalKind::hangup()).unwrap();",
            "dropping it stops the listening",
        ),
        ("Runner::new().unwrap();", "dropping a runner ends its loop"),
        ("task::JoinSet::<()>::new();", "dropping the set cancels its tasks"),
    ] {
        assert_told(line, &["that must be used", says]);
    }
}

/// THR-03: what asyncio finds out as it runs, in debug mode, is said as it compiles, with the type's name.
#[test]
fn what_belongs_to_a_thread_is_named_where_it_would_leave() {
    let says = ["cannot be sent between threads safely", "EventLoop"];
    assert_told("std::thread::spawn(move || event_loop.stop());", &says);
    let says = ["cannot be sent between threads safely", "Task<()>"];
    assert_told(
        "let it = event_loop.create_task(async {}); std::thread::spawn(move || it.cancel());",
        &says,
    );
    let rc = "event_loop.handle().run_coroutine_threadsafe(async { let it = Rc::new(1); yield_now().await; drop(it); }).unwrap();";
    assert_told(rc, &["cannot be sent between threads safely", "Rc<i32>"]);
}
