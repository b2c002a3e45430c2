//! Errors that nobody awaits, and debug mode: who hears of them, in which words, and what is said on
//! standard error. What a process says is read from a child.

mod support;

use std::cell::{Cell, RefCell};
use std::process::Output;
use std::rc::Rc;
use std::time::Duration;

use loopbind::{EventLoop, ExceptionContext, LoopError, Task, get_running_loop, spawn, task};
use support::{Trace, in_child_under, note_reports, on_drop, said, turn};

/// What the child said on standard error, once it ended well.
fn words_of(child: Output) -> String {
    let all = said(&child);
    assert!(child.status.success() && all.contains("1 passed"), "{all}");
    String::from_utf8(child.stderr).unwrap()
}

/// The lines that are the loop's, and those that belong to them.
fn reports(words: &str) -> Vec<&str> {
    words.lines().skip_while(|line| !line.starts_with("loopbind: ")).collect()
}

// ─── the handler ────────────────────────────────────────────────────────────────────────────────

/// EXH-01, EXH-02: the installed handler hears, with the loop, the message, the panic and the task.
#[test]
fn the_installed_handler_hears_with_everything_there_is() {
    let event_loop = EventLoop::new().unwrap();
    let heard = Rc::new(Cell::new(0));
    let (count, expected) = (Rc::clone(&heard), event_loop.clone());
    event_loop.set_exception_handler(Some(Box::new(move |event_loop, context| {
        count.set(count.get() + 1);
        assert!(*event_loop == expected);
        assert_eq!(context.message, "Task exception was never retrieved");
        assert_eq!(context.panic.as_ref().unwrap().message(), Some("mine"));
        let task = context.task.as_ref().unwrap();
        assert_eq!(task.name.as_deref(), Some("worker"));
        assert!(task.spawned_at.file().ends_with("exceptions.rs"));
    })));
    event_loop.task_builder().name("worker").spawn(async { panic!("mine") }).detach();
    turn(&event_loop);
    assert_eq!(heard.get(), 1);
    event_loop.set_exception_handler(None);
}

/// A handler replaced hears no more; by hand, whoever is installed is called; with none, the default.
#[test]
fn replaced_then_the_new_one_hears() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let install = |name: &'static str| {
        let (log, probe) = (trace.clone(), trace.probe(name));
        event_loop.set_exception_handler(Some(Box::new(move |_, context| {
            let _keep = &probe;
            log.note(format!("{name}: {}", context.message));
        })));
    };
    install("first");
    event_loop.call_exception_handler(&ExceptionContext::new("one"));
    install("second");
    event_loop.call_exception_handler(&ExceptionContext::new("two"));
    event_loop.set_exception_handler(None);
    trace.assert(&["first: one", "first dropped", "second: two", "second dropped"]);
}

/// EXH-03: the default handler writes the message, then what else is known, a line each.
#[test]
fn the_default_handler_writes_the_message_and_a_line_for_each_thing_known() {
    let name = "the_default_handler_writes_the_message_and_a_line_for_each_thing_known";
    let child = in_child_under(name, &[], || {
        std::panic::set_hook(Box::new(|_| {}));
        let event_loop = EventLoop::new().unwrap();
        event_loop.task_builder().name("worker").spawn(async { panic!("mine") }).detach();
        turn(&event_loop);
        event_loop.call_exception_handler(&ExceptionContext::new(""));
        event_loop.default_exception_handler(&ExceptionContext::new("by hand"));
    });
    let Some(child) = child else { return };
    let words = words_of(child);
    let lines = reports(&words);
    assert_eq!(lines.len(), 5, "{words}");
    assert_eq!(lines[..2], ["loopbind: Task exception was never retrieved", "panic: mine"]);
    assert!(lines[2].starts_with("task: 'worker' (Task-"), "{}", lines[2]);
    assert!(lines[2].contains(", finished, spawned at tests/exceptions.rs:"), "{}", lines[2]);
    assert_eq!(lines[3..], ["loopbind: Unhandled exception in event loop", "loopbind: by hand"]);
}

/// EXH-04: a handler that panics: the default handler says so, with what it was called for, and the
/// loop goes on.
#[test]
fn a_handler_that_panics_is_told_of_with_what_it_was_called_for() {
    let name = "a_handler_that_panics_is_told_of_with_what_it_was_called_for";
    let child = in_child_under(name, &[], || {
        std::panic::set_hook(Box::new(|_| {}));
        let event_loop = EventLoop::new().unwrap();
        event_loop.set_exception_handler(Some(Box::new(|_, _| panic!("the handler's own"))));
        event_loop.call_soon(|| panic!("the callback's"));
        assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
    });
    let Some(child) = child else { return };
    let words = words_of(child);
    let lines = reports(&words);
    assert_eq!(lines[0], "loopbind: Unhandled error in exception handler");
    assert!(lines[1].starts_with("context: Exception in callback at tests/exceptions.rs:"));
    assert_eq!(lines[2..], ["panic: the callback's", "panic: the handler's own"]);
}

/// A process whose standard error is closed loses the words and nothing else.
#[test]
fn with_standard_error_closed_the_loop_goes_on() {
    let name = "with_standard_error_closed_the_loop_goes_on";
    let child = in_child_under(name, &[], || {
        std::panic::set_hook(Box::new(|_| {}));
        // SAFETY: nothing in this process uses descriptor 2 but standard error itself.
        unsafe { drop(std::os::fd::OwnedFd::from_raw_fd(2)) };
        let event_loop = EventLoop::new().unwrap();
        event_loop.call_soon(|| panic!("unheard"));
        assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
    });
    use std::os::fd::FromRawFd;
    if let Some(child) = child {
        words_of(child);
    }
}

/// EXH-09: a closed loop's handler still hears.
#[test]
fn closed_then_reported_is_heard() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let task: Task<()> = event_loop.create_task(async { panic!("early") });
    turn(&event_loop);
    event_loop.close().unwrap();
    event_loop.call_exception_handler(&ExceptionContext::new("late"));
    drop(task);
    trace.assert(&["late", "Task exception was never retrieved: early"]);
}

/// EXH-10: inside the handler the loop is the running one, may be used in every way, and running
/// anything from there is refused.
#[test]
fn inside_the_handler_the_loop_runs_and_runs_are_refused() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |event_loop, _| {
        assert!(get_running_loop().unwrap() == *event_loop);
        assert!(loopbind::get_event_loop().unwrap() == *event_loop);
        assert!(matches!(event_loop.run_forever(), Err(LoopError::AlreadyRunning)));
        let other = EventLoop::new().unwrap();
        let nested = other.run_until_complete(async {});
        assert!(matches!(nested, Err(LoopError::AnotherLoopRunning { .. })));
        assert!(matches!(event_loop.close(), Err(LoopError::CloseWhileRunning)));
        event_loop.call_soon(log.noting("scheduled by the handler"));
        let mark = log.noting("started by the handler");
        spawn(async move { mark() }).detach();
        let replaced = log.clone();
        event_loop.set_exception_handler(Some(Box::new(move |_, context| {
            replaced.note(format!("the next handler: {}", context.message));
        })));
        log.note("heard");
    })));
    event_loop.call_soon(|| panic!("first"));
    event_loop.create_task(async { panic!("second") }).detach();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&[
        "heard",
        "the next handler: Task exception was never retrieved",
        "scheduled by the handler",
        "started by the handler",
    ]);
}

/// A handler that reports from inside a report is called again, and no deeper than it asks for.
#[test]
fn a_report_from_inside_a_report_is_heard() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    event_loop.set_exception_handler(Some(Box::new(move |event_loop, context| {
        log.note(context.message.as_str());
        if context.message == "outer" {
            event_loop.call_exception_handler(&ExceptionContext::new("inner"));
        }
    })));
    event_loop.call_exception_handler(&ExceptionContext::new("outer"));
    trace.assert(&["outer", "inner"]);
}

/// The handler's own capture may use the loop as it is dropped: by a replacement, and with the loop.
#[test]
fn a_handlers_capture_may_use_the_loop_as_it_is_dropped() {
    let trace = Trace::new();
    let event_loop = EventLoop::new().unwrap();
    for _ in 0..2 {
        let log = trace.clone();
        let guard = on_drop(move || {
            assert!(get_running_loop().is_err() && task::current().is_none());
            log.note("dropped");
        });
        event_loop.set_exception_handler(Some(Box::new(move |_, _| {
            let _keep = &guard;
        })));
    }
    drop(event_loop);
    trace.assert(&["dropped", "dropped"]);
}

/// A handler that captures its own loop is a ring: the end of the thread breaks it, whether the loop
/// was closed before or not.
#[test]
fn a_handler_that_captures_its_own_loop_is_dropped_with_the_thread() {
    for closed in [false, true] {
        let trace = Trace::new();
        let log = trace.clone();
        std::thread::spawn(move || {
            let event_loop = EventLoop::new().unwrap();
            let (same, probe) = (event_loop.clone(), log.probe("handler"));
            event_loop.set_exception_handler(Some(Box::new(move |_, _| {
                let _keep = (&same, &probe);
            })));
            if closed {
                event_loop.close().unwrap();
            }
            drop(event_loop);
            log.note("thread ends");
        })
        .join()
        .unwrap();
        trace.assert(&["thread ends", "handler dropped"]);
    }
}

// ─── debug mode ─────────────────────────────────────────────────────────────────────────────────

/// DBG-01: `LOOPBIND_DEBUG` turns debug mode on, unless empty or `0`; a builder overrules it.
#[test]
fn the_environment_turns_debug_on_and_a_builder_overrules_it() {
    let name = "the_environment_turns_debug_on_and_a_builder_overrules_it";
    for (value, expected) in [("1", true), ("yes", true), ("0", false), ("", false)] {
        // The parent's value is the child's to read; the child knows what to expect from it.
        let child = in_child_under(name, &[("LOOPBIND_DEBUG", value)], || {
            let on =
                std::env::var("LOOPBIND_DEBUG").is_ok_and(|value| !["", "0"].contains(&&*value));
            assert_eq!(EventLoop::new().unwrap().get_debug(), on);
            let overruled = EventLoop::builder().debug(!on).build().unwrap();
            assert_eq!(overruled.get_debug(), !on);
            println!("debug: {on}");
        });
        let Some(child) = child else { return };
        let all = said(&child);
        words_of(child);
        assert!(all.contains(&format!("debug: {expected}")), "{value:?}: {all}");
    }
}

/// DBG-02: debug mode is each loop's own, and changes at any time.
#[test]
fn debug_is_each_loops_own_and_changes_while_it_runs() {
    let (one, other) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let before = other.get_debug();
    let same = one.clone();
    one.run_until_complete(async move {
        same.set_debug(true);
        assert!(same.get_debug());
        same.set_debug(false);
    })
    .unwrap();
    assert!(!one.get_debug());
    assert_eq!(other.get_debug(), before);
}

/// DBG-03: in debug mode a step that takes as long as the limit is reported, as the task or the
/// callback it was, with its place; outside of debug mode never.
#[test]
fn slow_steps_are_reported_in_debug_mode_only() {
    let name = "slow_steps_are_reported_in_debug_mode_only";
    let child = in_child_under(name, &[], || {
        let slow = Duration::from_millis(2);
        let work = move || {
            let began = std::time::Instant::now();
            while began.elapsed() < slow {}
        };
        let event_loop =
            EventLoop::builder().debug(true).slow_callback_duration(slow).build().unwrap();
        event_loop.call_soon(work);
        event_loop.task_builder().name("slow").spawn(async move { work() }).detach();
        turn(&event_loop);
        // Quicker than the limit: silent. A limit this long is met by no machine.
        event_loop.set_slow_callback_duration(Duration::from_secs(3600));
        event_loop.call_soon(work);
        turn(&event_loop);
        // And not in debug mode: silent, however low the limit.
        event_loop.set_slow_callback_duration(Duration::ZERO);
        event_loop.set_debug(false);
        event_loop.call_soon(work);
        event_loop.create_task(async move { work() }).detach();
        turn(&event_loop);
    });
    let Some(child) = child else { return };
    let words = words_of(child);
    let lines = reports(&words);
    assert_eq!(lines.len(), 2, "{words}");
    let callback = "loopbind: Executing <Handle created at tests/exceptions.rs:";
    assert!(lines[0].starts_with(callback), "{}", lines[0]);
    let task = "loopbind: Executing <Task 'slow' (Task-";
    assert!(lines[1].starts_with(task), "{}", lines[1]);
    for line in lines {
        let seconds = line.split(" took ").nth(1).unwrap().strip_suffix(" seconds").unwrap();
        assert!(seconds.parse::<f64>().unwrap() >= 0.002, "{line}");
    }
}

/// DBG-07: `Debug` of a loop says what it is and what it is doing.
#[test]
fn a_loop_shows_its_id_its_name_and_its_state() {
    let event_loop = EventLoop::builder().name("ui").debug(true).build().unwrap();
    let id = format!("{:?}", event_loop.id());
    let number: String = id.chars().filter(char::is_ascii_digit).collect();
    let expected = |running, closed| {
        format!(
            "EventLoop {{ id: {number}, name: Some(\"ui\"), running: {running}, closed: {closed}, \
             debug: true }}"
        )
    };
    assert_eq!(format!("{event_loop:?}"), expected(false, false));
    let same = event_loop.clone();
    let inside = event_loop.run_until_complete(async move { format!("{same:?}") }).unwrap();
    assert_eq!(inside, expected(true, false));
    event_loop.set_debug(true);
    event_loop.close().unwrap();
    assert_eq!(format!("{event_loop:?}"), expected(false, true));
}

/// DBG-08: closing in debug mode says so; and a loop that its thread forgot to close is told of.
#[test]
fn closing_in_debug_mode_is_said() {
    let name = "closing_in_debug_mode_is_said";
    let child = in_child_under(name, &[("LOOPBIND_DEBUG", "1")], || {
        let event_loop = EventLoop::new().unwrap();
        event_loop.create_task(std::future::pending::<()>()).detach();
        event_loop.close().unwrap();
        std::thread::spawn(|| {
            let event_loop = EventLoop::new().unwrap();
            let same = event_loop.clone();
            event_loop.call_soon(move || drop(same));
        })
        .join()
        .unwrap();
    });
    let Some(child) = child else { return };
    let words = words_of(child);
    assert!(words.contains("Close event loop 1 with 1 tasks pending"), "{words}");
    assert!(words.contains("event loop 2 was not closed before its thread ended"), "{words}");
}

/// Everything can be shown from inside of every place the loop calls: nothing is borrowed there.
#[test]
fn everything_can_be_shown_from_everywhere() {
    let event_loop = EventLoop::builder().debug(true).build().unwrap();
    let shown: Rc<RefCell<Vec<String>>> = Rc::default();
    let (same, list) = (event_loop.clone(), Rc::clone(&shown));
    let task = Rc::new(event_loop.create_task(std::future::pending::<()>()));
    let handle = Rc::new(event_loop.call_later(Duration::from_secs(60), || {}));
    let show = move || {
        list.borrow_mut().push(format!(
            "{same:?} {:?} {:?} {:?} {:?} {:?}",
            same.handle(),
            task,
            handle,
            same.all_tasks(),
            same.metrics()
        ));
    };
    let (callback, poll, drop, handler) = (show.clone(), show.clone(), show.clone(), show);
    event_loop.call_soon(callback);
    let guard = on_drop(drop);
    event_loop.set_exception_handler(Some(Box::new(move |_, _| handler())));
    event_loop
        .create_task(async move {
            let _guard = guard;
            poll();
            panic!("reported");
        })
        .detach();
    turn(&event_loop);
    assert_eq!(shown.borrow().len(), 4);
    event_loop.set_exception_handler(None);
    event_loop.close().unwrap();
}
