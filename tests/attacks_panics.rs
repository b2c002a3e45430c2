//! Panics where nobody expects code of the user's: in what an error says of itself, in the destructor of what
//! a report carries, and in the middle of another panic.

mod support;

use std::fmt;
use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;

use loopbind::{EventLoop, run, spawn, task};
use support::{Trace, in_child, on_drop, said, turn};

/// When an error panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Shown,
    Dropped,
}

#[derive(Debug)]
struct Evil(Moment);

impl fmt::Display for Evil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == Moment::Shown {
            panic!("evil");
        }
        f.write_str("an error")
    }
}

impl std::error::Error for Evil {}

impl Drop for Evil {
    fn drop(&mut self) {
        assert!(self.0 != Moment::Dropped || std::thread::panicking(), "evil");
    }
}

/// An error of the user's that goes to the handler, because the group that should have had it is gone: it
/// panics as it is shown, by the default handler or by one of the user's that panics over it, or as it is
/// dropped behind the report. The report gets through, the task ends, and the loop goes on.
#[test]
fn an_error_that_panics_as_it_is_shown_or_dropped_behind_a_report() {
    let test = "an_error_that_panics_as_it_is_shown_or_dropped_behind_a_report";
    let child = in_child(test, || {
        std::panic::set_hook(Box::new(|_| ()));
        for moment in [Moment::Shown, Moment::Dropped] {
            for handler in ["default", "shows", "panics"] {
                eprintln!("== {moment:?}, {handler}");
                let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
                if handler != "default" {
                    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
                        eprintln!("heard: {}", context.to_string().lines().nth(1).unwrap());
                        if handler == "panics" {
                            panic!("the handler");
                        }
                    })));
                }
                let log = trace.clone();
                let parent =
                    event_loop.create_task(task::group::<io::Error, ()>(async move |group| {
                        let probe = log.probe("child");
                        group.spawn::<()>(async move {
                            let _probe = probe;
                            task::cancelled().await;
                            Err(io::Error::other(Evil(moment)))
                        });
                        pending().await
                    }));
                turn(&event_loop);
                turn(&event_loop);
                parent.abort();
                event_loop.call_soon(trace.noting("behind"));
                for _ in 0..4 {
                    turn(&event_loop);
                }
                event_loop.call_soon(trace.noting("later"));
                turn(&event_loop);
                trace.assert(&["behind", "child dropped", "later"]);
                assert!(event_loop.all_tasks().is_empty() && parent.is_finished());
                event_loop.close().unwrap();
            }
        }
    });
    let Some(child) = child else { return };
    assert!(child.status.success(), "{}", said(&child));
    let words = String::from_utf8_lossy(&child.stderr).into_owned();
    // Which task it was differs.
    let words = words.lines().filter(|line| !line.starts_with("task: ")).collect::<Vec<_>>();
    let lost = "TaskGroup task error was not propagated because the group was dropped";
    let expected = format!(
        "\
== Shown, default
loopbind: {lost}
error: (it panicked as it was shown)
== Shown, shows
heard: error: (it panicked as it was shown)
== Shown, panics
heard: error: (it panicked as it was shown)
loopbind: Unhandled error in exception handler
context: {lost}
error: (it panicked as it was shown)
panic: the handler
== Dropped, default
loopbind: {lost}
error: an error
loopbind: Task exception was never retrieved
panic: evil
== Dropped, shows
heard: error: an error
heard: panic: evil
== Dropped, panics
heard: error: an error
loopbind: Unhandled error in exception handler
context: {lost}
error: an error
panic: the handler
heard: panic: evil
loopbind: Unhandled error in exception handler
context: Task exception was never retrieved
panic: evil
panic: the handler"
    );
    assert_eq!(words, expected.lines().collect::<Vec<_>>());
}

/// A destructor that panics while its future's own panic is on its way out is the end of any Rust program. The
/// loop is not in the way of that: both messages are said, nothing hangs, and the process is aborted.
#[test]
fn a_panic_in_the_middle_of_a_panic_aborts_with_both_messages() {
    let test = "a_panic_in_the_middle_of_a_panic_aborts_with_both_messages";
    let child = in_child(test, || {
        run(async {
            spawn(async {
                let _second = on_drop(|| panic!("the second panic"));
                panic!("the first panic");
            })
            .await
        })
        .unwrap()
        .unwrap();
    });
    let Some(child) = child else { return };
    assert_eq!(child.status.signal(), Some(libc::SIGABRT), "{}", said(&child));
    let words = String::from_utf8_lossy(&child.stderr).into_owned();
    let (first, second) = (words.find("the first panic"), words.find("the second panic"));
    assert!(first.is_some() && second.is_some() && first < second, "{words}");
}
