//! `AbortHandle`: one task's end, asked for from any thread, at any time; the future is dropped at home.

mod support;

use std::collections::HashSet;
use std::future::{pending, ready};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use loopbind::{AbortHandle, EventLoop, Task, spawn, task, yield_now};
use support::{Trace, in_good_child, turn};

/// A task that never ends, with a probe of that name in its future.
fn waiting(event_loop: &EventLoop, trace: &Trace, name: &'static str) -> Task<()> {
    let probe = trace.probe(name);
    event_loop.create_task(async move {
        let _probe = probe;
        pending().await
    })
}

/// A task that listens, and notes what it hears and its drop.
fn listening(event_loop: &EventLoop, trace: &Trace) -> Task<()> {
    let log = trace.clone();
    event_loop.create_task(async move {
        let _probe = log.probe("future");
        task::cancelled().await;
        log.note("told");
    })
}

fn elsewhere<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(body).join().unwrap()
}

/// THR-11: asked from another thread, nothing is dropped there: the future goes in the task's own turn,
/// at home.
#[test]
fn asked_from_another_thread_is_dropped_at_home() {
    for ask in [AbortHandle::cancel, AbortHandle::abort] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let mut task = waiting(&event_loop, &trace, "future");
        turn(&event_loop);
        let handle = task.abort_handle();
        let log = trace.clone();
        elsewhere(move || {
            assert!(ask(&handle) && !handle.is_finished());
            log.note("asked");
        });
        turn(&event_loop);
        trace.assert(&["asked", "future dropped"]);
        assert!(task.try_result().unwrap().unwrap_err().is_cancelled());
    }
}

/// A loop that sleeps is woken for it.
#[test]
fn asked_from_another_thread_wakes_a_loop_that_sleeps() {
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(pending::<()>());
    let (handle, loop_handle) = (task.abort_handle(), event_loop.handle());
    let asker = thread::spawn(move || {
        while !loop_handle.is_running() {
            thread::yield_now();
        }
        assert!(handle.abort());
    });
    assert!(event_loop.run_until_complete(task).unwrap().unwrap_err().is_cancelled());
    asker.join().unwrap();
}

/// `cancel` tells who listens, and `abort` does not: also where both were asked for in one post, in both
/// orders.
#[test]
fn cancel_tells_who_listens_and_an_abort_among_cancels_does_not() {
    type Ask = fn(&AbortHandle) -> bool;
    let all: [(&[Ask], &[&str]); 4] = [
        (&[AbortHandle::cancel], &["told", "future dropped"]),
        (&[AbortHandle::abort], &["future dropped"]),
        (&[AbortHandle::cancel, AbortHandle::abort], &["future dropped"]),
        (&[AbortHandle::abort, AbortHandle::cancel], &["future dropped"]),
    ];
    for at_home in [false, true] {
        for (asks, expected) in all {
            let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
            let task = listening(&event_loop, &trace);
            turn(&event_loop);
            let handle = task.abort_handle();
            let ask = move || assert!(asks.iter().all(|ask| ask(&handle)));
            if at_home {
                event_loop.call_soon(ask);
                turn(&event_loop);
            } else {
                elsewhere(ask);
            }
            turn(&event_loop);
            trace.assert(expected);
            assert!(task.is_finished());
        }
    }
}

/// From the loop's own thread, inside its run, it is as by the task's own handle: it lands behind what
/// was ready, and before what is scheduled afterwards.
#[test]
fn asked_at_home_lands_in_order_with_what_is_scheduled_there() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = waiting(&event_loop, &trace, "future");
    turn(&event_loop);
    let (same, log, handle) = (event_loop.clone(), trace.clone(), task.abort_handle());
    event_loop.call_soon(move || {
        same.call_soon(log.noting("before"));
        assert!(handle.cancel());
        same.call_soon(log.noting("after"));
        log.note("asked");
    });
    turn(&event_loop);
    trace.assert(&["asked"]);
    assert_eq!(event_loop.metrics().remote_wakes, 0, "by the local path");
    turn(&event_loop);
    trace.assert(&["before", "future dropped", "after"]);
}

/// On the loop's own thread between runs it waits for the next turn.
#[test]
fn asked_at_home_between_runs_waits_for_the_next_turn() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let task = waiting(&event_loop, &trace, "future");
    turn(&event_loop);
    assert!(task.abort_handle().cancel());
    trace.assert(&[]);
    turn(&event_loop);
    trace.assert(&["future dropped"]);
}

/// CAN-02: a task that has not begun never begins, whoever asked, also one that is on its way from another
/// thread.
#[test]
fn asked_before_its_first_step_never_starts() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for ask in [AbortHandle::cancel, AbortHandle::abort] {
        let (mark, probe) = (trace.noting("began"), trace.probe("capture"));
        let task = event_loop.create_task(async move {
            mark();
            drop(probe);
        });
        let handle = task.abort_handle();
        assert!(elsewhere(move || ask(&handle)));
        turn(&event_loop);
        trace.assert(&["capture dropped"]);

        let mark = trace.noting("began elsewhere");
        let remote = event_loop.handle().spawn(move || {
            mark();
            ready(())
        });
        let remote = remote.unwrap();
        assert!(ask(&remote.abort_handle()));
        turn(&event_loop);
        trace.assert(&[]);
        assert!(remote.is_finished() && remote.abort_handle().is_finished());
    }
    // The same from inside the run, while the task still is in the inbox.
    let (loop_handle, mark) = (event_loop.handle(), trace.noting("began"));
    let both = event_loop.create_task(async move {
        let remote = loop_handle.spawn(move || {
            mark();
            ready(())
        });
        let remote = remote.unwrap();
        assert!(remote.abort_handle().abort());
        remote.await
    });
    let remote = event_loop.run_until_complete(both).unwrap().unwrap();
    assert!(remote.unwrap_err().is_cancelled());
    trace.assert(&[]);
}

/// CAN-03: after the end, the close and the thread's end it does nothing, and says so; nothing dangles.
#[test]
fn asked_after_the_end_the_close_or_the_threads_end_does_nothing() {
    let event_loop = EventLoop::new().unwrap();
    let done = event_loop.create_task(ready(7));
    let panicked = event_loop.create_task(async { panic!("mine") });
    let (early, unfinished) = (done.abort_handle(), event_loop.create_task(pending::<()>()));
    turn(&event_loop);
    let late = done.abort_handle();
    for handle in [&early, &late, &panicked.abort_handle()] {
        assert!(handle.is_finished() && !handle.cancel() && !handle.abort());
    }
    let unfinished = unfinished.abort_handle();
    assert!(!unfinished.is_finished());
    event_loop.close().unwrap();
    drop((done, panicked, event_loop));
    elsewhere(move || assert!(unfinished.is_finished() && !unfinished.cancel()));

    let (sender, receiver) = mpsc::channel();
    elsewhere(move || {
        let event_loop = EventLoop::new().unwrap();
        let guard = Rc::new(());
        let task = event_loop.create_task(async move {
            let _local = guard;
            pending::<()>().await;
        });
        turn(&event_loop);
        sender.send(task.abort_handle()).unwrap();
        // The loop is closed as its thread ends.
    });
    let handle = receiver.recv().unwrap();
    assert!(handle.is_finished() && !handle.cancel() && !handle.abort());
    assert!(!handle.cancel_within(std::time::Duration::ZERO));
}

/// The end shows from other threads only once the future is gone; its destructors see a task that is not
/// over.
#[test]
fn the_end_shows_once_the_future_is_gone() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let handle: Rc<std::cell::OnceCell<AbortHandle>> = Rc::default();
    let (shared, log) = (Rc::clone(&handle), trace.clone());
    let guard = support::on_drop(move || {
        let handle = shared.get().unwrap().clone();
        log.note(format!("finished in the drop: {}", elsewhere(move || handle.is_finished())));
    });
    let task = event_loop.create_task(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    handle.set(task.abort_handle()).unwrap();
    turn(&event_loop);
    handle.get().unwrap().cancel();
    turn(&event_loop);
    trace.assert(&["finished in the drop: false"]);
    assert!(handle.get().unwrap().is_finished());
}

/// Handles of one task are equal, also of one that is over, and hash alike; those of two are not.
#[test]
fn equal_by_task_and_shown_by_number() {
    let event_loop = EventLoop::new().unwrap();
    let (one, two) = (event_loop.create_task(ready(())), event_loop.create_task(ready(())));
    let (first, second) = (one.abort_handle(), two.abort_handle());
    assert!(first == one.abort_handle() && first == first.clone() && first != second);
    assert_eq!(first.id(), one.id());
    let shown = format!("{first:?}");
    assert_eq!(shown, format!("AbortHandle {{ id: {}, finished: false }}", one.id().get()));
    let mut set = HashSet::from([first.clone(), second.clone(), one.abort_handle()]);
    turn(&event_loop);
    assert!(set.remove(&one.abort_handle()) && set.len() == 1);
    fn travels<T: Send + Sync + Clone + std::hash::Hash + Eq + std::fmt::Debug + 'static>() {}
    travels::<AbortHandle>();
}

/// A handle that outlives everything keeps none of the user's values.
#[test]
fn a_handle_keeps_nothing_of_the_users() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (future, output) = (trace.probe("future"), trace.probe("output"));
    let task = event_loop.create_task(async move {
        let _future = future;
        output
    });
    let handle = task.abort_handle();
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    drop(task);
    trace.assert(&["output dropped"]);
    drop(event_loop);
    drop(handle);
}

/// Asked by several threads while the task ends, in every way: it ends once, at home, and every handle
/// sees it.
#[test]
fn asked_by_several_threads_while_it_ends_ends_once() {
    for round in 0..200 {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let probe = trace.probe("future");
        let mut task = event_loop.create_task(async move {
            let _probe = probe;
            for _ in 0..round % 5 {
                yield_now().await;
            }
            if round % 2 == 0 {
                pending::<()>().await;
            }
        });
        let handle = task.abort_handle();
        let threads: Vec<_> = (0..3)
            .map(|i| {
                let handle = handle.clone();
                thread::spawn(move || if i == 0 { handle.abort() } else { handle.cancel() })
            })
            .collect();
        let outcome = event_loop.run_until_complete(task.join()).unwrap();
        assert!(outcome.is_ok() || outcome.unwrap_err().is_cancelled());
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(handle.is_finished() && !handle.abort());
        trace.assert(&["future dropped"]);
    }
}

/// Asked by a handle while the loop closes: from a destructor, and from another thread.
#[test]
fn asked_while_the_loop_closes_is_harmless() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let last = Rc::new(std::cell::OnceCell::<AbortHandle>::new());
    let shared = Rc::clone(&last);
    let guard = support::on_drop(move || {
        let handle = shared.get().unwrap().clone();
        handle.cancel();
        elsewhere(move || handle.abort());
    });
    let _first = event_loop.create_task(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    last.set(waiting(&event_loop, &trace, "last").abort_handle()).unwrap();
    turn(&event_loop);
    event_loop.close().unwrap();
    trace.assert(&["last dropped"]);
}

/// A body may hold its own handle, and end itself by it: at its next suspension.
#[test]
fn a_task_ends_itself_by_its_own_handle_at_its_next_suspension() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let outcome = event_loop.run_until_complete(async move {
        let (sender, receiver) = futures::channel::oneshot::channel::<AbortHandle>();
        let task = spawn(async move {
            assert!(receiver.await.unwrap().abort());
            log.note("still here");
            yield_now().await;
            log.note("never");
        });
        sender.send(task.abort_handle()).ok();
        task.await
    });
    assert!(outcome.unwrap().unwrap_err().is_cancelled());
    trace.assert(&["still here"]);
}

/// In a forked child the task is the parent's: nothing is asked of it.
#[cfg(target_os = "linux")]
#[test]
fn in_a_forked_child_nothing_is_asked() {
    in_good_child("in_a_forked_child_nothing_is_asked", || {
        unsafe extern "C" {
            fn fork() -> i32;
            fn _exit(status: i32) -> !;
            fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
        }
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let task = waiting(&event_loop, &trace, "future");
        turn(&event_loop);
        let handle = task.abort_handle();
        // SAFETY: this process has one thread that matters here, and the child only asks and leaves.
        let child = unsafe { fork() };
        if child == 0 {
            let asked = handle.cancel() | handle.abort();
            // SAFETY: ends the child without anything of the parent's being dropped in it.
            unsafe { _exit(i32::from(asked)) };
        }
        let mut status = -1;
        // SAFETY: the child's number, and a place for its status.
        unsafe { waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "asked in the child");
        turn(&event_loop);
        assert!(!task.is_finished());
        assert!(handle.abort());
        turn(&event_loop);
        trace.assert(&["future dropped"]);
    });
}
