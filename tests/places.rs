//! What a report names is the user's line, however deep inside the library the task was made.

#![cfg(feature = "macros")]

use std::time::Duration;

use futures::FutureExt as _;
use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, Runner, TaskInfo, loop_main, loop_thread, run, task};

#[track_caller]
fn assert_here(info: &TaskInfo, line: u32) {
    assert_eq!((info.spawned_at.file(), info.spawned_at.line()), (file!(), line));
}

fn current() -> TaskInfo {
    task::current().expect("called in a task")
}

#[test]
fn a_main_future_stands_where_it_was_run() {
    let event_loop = EventLoop::new().unwrap();
    assert_here(&event_loop.run_until_complete(async { current() }).unwrap(), line!());
    assert_here(&run(async { current() }).unwrap(), line!());
    let runner = Runner::new().unwrap();
    assert_here(&runner.run(async { current() }).unwrap(), line!());
}

#[test]
fn a_thread_s_body_stands_where_the_thread_was_started() {
    let thread = ThreadBuilder::new().spawn(|| async { current() }).unwrap();
    assert_here(&thread.join().unwrap(), line!() - 1);
}

#[loop_main]
async fn annotated_main() -> TaskInfo {
    current()
}

#[loop_thread(spawn)]
async fn annotated_thread() -> TaskInfo {
    current()
}

#[test]
fn an_annotated_function_s_body_stands_in_this_file() {
    for info in [annotated_main(), annotated_thread().join().unwrap()] {
        assert_eq!(info.spawned_at.file(), file!());
    }
}

/// What was taken back did not run; the end of a task that was asked to end is a step.
#[test]
fn a_turn_counts_what_ran() {
    let event_loop = EventLoop::new().unwrap();
    event_loop.call_soon(|| {}).cancel();
    event_loop.create_task(std::future::pending::<()>()).cancel();
    event_loop.call_soon(|| {});
    assert_eq!(event_loop.turn(Some(Duration::ZERO)).unwrap().polled, 2);
}

/// A body that listens hears of a stop that comes the moment it was started.
#[test]
fn stopped_as_soon_as_started_a_body_that_listens_ends_by_itself() {
    for _ in 0..200 {
        let thread = ThreadBuilder::new()
            .spawn(|| async {
                task::cancelled().await;
                "heard"
            })
            .unwrap();
        thread.stop();
        assert_eq!(thread.join().unwrap(), "heard");
    }
}

#[test]
#[should_panic(expected = "a BlockingTask was polled after it gave its outcome")]
fn awaited_twice_blocking_work_panics_instead_of_hanging() {
    run(async {
        let mut work = loopbind::spawn_blocking(|| 1);
        (&mut work).await.unwrap();
        let _ = (&mut work).now_or_never();
    })
    .unwrap();
}

#[test]
#[should_panic(expected = "a RemoteTask was polled after it gave its outcome")]
fn awaited_twice_a_remote_task_panics_instead_of_hanging() {
    let event_loop = EventLoop::new().unwrap();
    let mut remote = event_loop.handle().spawn(|| async { 1 }).unwrap();
    event_loop
        .run_until_complete(async {
            (&mut remote).await.unwrap();
            let _ = (&mut remote).now_or_never();
        })
        .unwrap();
}

/// A timer that never comes is no deadline for a host.
#[test]
fn never_is_no_deadline() {
    let event_loop = EventLoop::new().unwrap();
    event_loop.call_later(Duration::MAX, || {});
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(event_loop.next_deadline(), None);
}
