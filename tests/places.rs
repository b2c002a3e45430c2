//! What a report names is the user's line, however deep inside the library the task was made.

#![cfg(feature = "macros")]

use std::cell::RefCell;
use std::future::{pending, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::time::Duration;

use futures::FutureExt as _;
use futures::executor::block_on;
use loopbind::thread::ThreadBuilder;
use loopbind::{
    EventLoop, Runner, TaskInfo, loop_main, loop_thread, run, sleep, spawn, task, timeout,
};

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

/// The file and line that a panic of `wrong` names on standard error.
fn blamed(wrong: impl FnOnce()) -> (String, u32) {
    static HOOK: Once = Once::new();
    thread_local!(static LAST: RefCell<Option<(String, u32)>> = const { RefCell::new(None) });
    HOOK.call_once(|| {
        let former = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let place = info.location().expect("every panic has one");
            LAST.set(Some((place.file().to_owned(), place.line())));
            former(info);
        }));
    });
    catch_unwind(AssertUnwindSafe(wrong)).expect_err("it was to panic");
    LAST.take().expect("the hook heard of it")
}

/// What is wrong stands in the user's program, and so does the line that the panic names: not only where
/// a function panics, but where a future does that is awaited.
#[test]
fn a_mistake_is_blamed_on_the_line_that_awaits() {
    let here = |line: u32| (file!().to_owned(), line);
    let second = Duration::from_secs(1);
    assert_eq!(blamed(|| block_on(async { sleep(second).await })), here(line!()));
    let late = || block_on(async { _ = timeout(second, pending::<()>()).await });
    assert_eq!(blamed(late), here(line!() - 1));
    assert_eq!(blamed(|| drop(spawn(ready(1)))), here(line!()));

    let event_loop = EventLoop::new().unwrap();
    let mut remote = event_loop.handle().spawn(|| ready(1)).unwrap();
    event_loop.run_until_complete(&mut remote).unwrap().unwrap();
    assert_eq!(blamed(|| drop(remote.join())), here(line!()));
    event_loop.close().unwrap();
    assert_eq!(blamed(|| drop(event_loop.call_soon(|| {}))), here(line!()));
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
