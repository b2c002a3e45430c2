//! Descriptors: without any left a loop is an error that leaves nothing behind, and a thousand lives of
//! loops cost none.
//!
//! Each test counts, so each is the only one of its process.

#![cfg(target_os = "linux")]

mod support;

use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::thread;
use std::time::Duration;

use loopbind::thread::ThreadBuilder;
use loopbind::{
    EventLoop, LoopError, Runner, get_bound_loop, get_event_loop, get_running_loop, run,
    set_event_loop, sleep, spawn, yield_now,
};
use support::{in_good_child, open_descriptors, take_descriptors_but};

/// The system's error for "this process has no descriptors left".
const EMFILE: i32 = 24;

#[track_caller]
fn assert_none_left<T>(outcome: Result<T, LoopError>) {
    match outcome {
        Err(LoopError::Io(error)) => assert_eq!(error.raw_os_error(), Some(EMFILE), "{error}"),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("there was a descriptor left"),
    }
}

/// The descriptors that are open after `life` was lived a thousand times are those from before, after
/// one that may open what is kept for good.
#[track_caller]
fn costs_nothing(life: impl Fn()) {
    life();
    let before = open_descriptors();
    for _ in 0..1_000 {
        life();
    }
    assert_eq!(open_descriptors(), before);
}

/// With no descriptor left, and with one where two are wanted, making a loop is an error that says so;
/// nothing is bound, nothing is left open; and once there are descriptors again, loops are made again.
#[test]
fn none_left_then_making_fails_a_thousand_times_then_works() {
    in_good_child("none_left_then_making_fails_a_thousand_times_then_works", || {
        for left in [0, 1] {
            let taken = take_descriptors_but(left);
            for _ in 0..1_000 {
                assert_none_left(EventLoop::new());
                assert_none_left(Runner::new());
                assert_none_left(run(async { unreachable!("no loop to run it") }));
            }
            assert_eq!(get_bound_loop(), None);
            // What was left is still left, and no more.
            let opened: Vec<_> = (0..=left).map(|_| std::fs::File::open("/dev/null")).collect();
            assert_eq!(opened.iter().filter(|file| file.is_ok()).count(), left);
            drop(opened);
            drop(taken);
            assert_eq!(run(async { 1 }).unwrap(), 1);
        }
    });
}

/// The error keeps its kind on its way into an `io::Error`, for `?` in code that has those.
#[test]
fn none_left_is_the_systems_own_error() {
    in_good_child("none_left_is_the_systems_own_error", || {
        fn make() -> io::Result<EventLoop> {
            Ok(EventLoop::new()?)
        }
        let taken = take_descriptors_but(0);
        assert_eq!(make().unwrap_err().raw_os_error(), Some(EMFILE));
        drop(taken);
        make().unwrap();
    });
}

/// RUN-03, RNR-03: a failure inside a run leaves the run and the binding as they were.
#[test]
fn none_left_inside_a_run_and_the_run_goes_on() {
    in_good_child("none_left_inside_a_run_and_the_run_goes_on", || {
        let (running, bound) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        let _bound = bound.bind();
        let taken = take_descriptors_but(0);
        let value = running.run_until_complete(async {
            assert_none_left(EventLoop::new());
            assert_none_left(EventLoop::builder().name("late").build());
            // Refused before a loop is made: it does not come to ask for descriptors.
            assert!(matches!(run(async {}), Err(LoopError::AnotherLoopRunning { .. })));
            assert_eq!(get_running_loop().unwrap(), running);
            assert_eq!(get_bound_loop().unwrap(), bound);
            sleep(Duration::from_millis(1)).await;
            spawn(async { 5 }).await.unwrap()
        });
        assert_eq!(value.unwrap(), 5);
        assert_eq!(get_event_loop().unwrap(), bound);
        drop(taken);
    });
}

/// A thread whose loop cannot be made does not start: its starter gets the error, and no thread is left.
#[test]
fn none_left_then_starting_a_thread_fails() {
    in_good_child("none_left_then_starting_a_thread_fails", || {
        let taken = take_descriptors_but(1);
        for _ in 0..100 {
            assert_none_left(ThreadBuilder::new().spawn(|| async { unreachable!("no loop") }));
        }
        drop(taken);
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        assert_eq!(ThreadBuilder::new().spawn(|| async { 3 }).unwrap().join().unwrap(), 3);
        // A thread that was joined may be seen for a moment longer.
        while threads() > before {
            thread::yield_now();
        }
    });
}

/// A panic says so where there is no `Result`: what the attributes' functions do.
#[test]
#[cfg(feature = "macros")]
fn none_left_then_an_attributed_function_panics_with_the_systems_words() {
    #[loopbind::loop_thread]
    async fn worker() {}
    in_good_child("none_left_then_an_attributed_function_panics_with_the_systems_words", || {
        let taken = take_descriptors_but(0);
        let text = support::panic_of(worker);
        drop(taken);
        assert!(text.contains("os error 24"), "{text}");
        assert_eq!(get_bound_loop(), None);
        worker();
    });
}

/// RUN-38: the descriptors of a loop are given back by `close`, also while handles of it are about.
#[test]
fn closed_gives_its_descriptors_back_while_handles_live_on() {
    in_good_child("closed_gives_its_descriptors_back_while_handles_live_on", || {
        let before = open_descriptors();
        let event_loop = EventLoop::new().unwrap();
        let open = open_descriptors();
        assert!(open > before);
        let (handle, task) = (event_loop.handle(), event_loop.create_task(pending::<()>()));
        event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
        assert_eq!(open_descriptors(), open, "running opens none");
        event_loop.close().unwrap();
        assert_eq!(open_descriptors(), before);
        assert!(handle.is_closed() && task.is_finished());
    });
}

/// A thousand loops made, run and closed; made and dropped, with work; bound and unbound.
#[test]
fn a_thousand_lives_cost_no_descriptor() {
    in_good_child("a_thousand_lives_cost_no_descriptor", || {
        costs_nothing(|| {
            let event_loop = EventLoop::new().unwrap();
            event_loop.run_until_complete(yield_now()).unwrap();
            event_loop.close().unwrap();
        });
        costs_nothing(|| drop(EventLoop::new().unwrap()));
        costs_nothing(|| {
            let event_loop = EventLoop::new().unwrap();
            event_loop.create_task(pending::<()>()).detach();
            event_loop.call_later(Duration::from_secs(3600), || ());
            event_loop.handle().call_soon_threadsafe(|| ()).unwrap();
        });
        costs_nothing(|| {
            set_event_loop(Some(&EventLoop::new().unwrap()));
            drop(EventLoop::new().unwrap().bind());
            set_event_loop(None);
        });
        costs_nothing(|| run(async { spawn(yield_now()).await.unwrap() }).unwrap());
        costs_nothing(|| {
            let runner = Runner::new().unwrap();
            runner.run(async { spawn(pending::<()>()).detach() }).unwrap();
        });
        costs_nothing(|| {
            let main = async { std::panic::resume_unwind(Box::new("main")) };
            catch_unwind(AssertUnwindSafe(|| run(main))).unwrap_err();
        });
        costs_nothing(|| {
            let event_loop = EventLoop::new().unwrap();
            // A circle that only the end breaks.
            let own = event_loop.clone();
            event_loop.create_task(async move {
                pending::<()>().await;
                drop(own);
            });
            event_loop.close().unwrap();
        });
    });
}

/// Two hundred threads, one after the other: each closes its loop, leaves it bound, leaves it held by
/// its own task, panics, or is stopped.
#[test]
fn many_threads_cost_no_descriptor_however_they_end() {
    in_good_child("many_threads_cost_no_descriptor_however_they_end", || {
        type Body = fn();
        let bodies: [Body; 4] = [
            || EventLoop::new().unwrap().close().unwrap(),
            || drop(set_event_loop(Some(&EventLoop::new().unwrap()))),
            || {
                let event_loop = EventLoop::new().unwrap();
                let own = event_loop.clone();
                event_loop.create_task(async move {
                    pending::<()>().await;
                    drop(own);
                });
            },
            || {
                let event_loop = EventLoop::new().unwrap();
                set_event_loop(Some(&event_loop));
                std::panic::resume_unwind(Box::new("thread"));
            },
        ];
        let before = open_descriptors();
        for round in 0..200 {
            let _ = thread::spawn(bodies[round % bodies.len()]).join();
        }
        assert_eq!(open_descriptors(), before);
        for round in 0..100 {
            let thread = ThreadBuilder::new().spawn(move || async move {
                if round % 2 == 0 {
                    std::panic::resume_unwind(Box::new("body"));
                }
                pending::<()>().await;
            });
            let thread = thread.unwrap();
            thread.stop();
            thread.join().unwrap_err();
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// A program that is executed inherits no descriptor of a loop.
#[test]
fn a_program_that_is_executed_inherits_none() {
    in_good_child("a_program_that_is_executed_inherits_none", || {
        let event_loop = EventLoop::new().unwrap();
        let listed = event_loop.run_until_complete(async {
            Command::new("ls").args(["-l", "/proc/self/fd/"]).output().unwrap()
        });
        let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
        assert!(listed.contains("/proc/"), "{listed}");
        assert!(!listed.contains("eventpoll") && !listed.contains("eventfd"), "{listed}");
    });
}
