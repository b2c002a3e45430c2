//! Blocking work: on threads of its own, given up without being interrupted, and never in the way of
//! the loop's end.

mod support;

use std::collections::HashSet;
use std::future::pending;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use futures::future::join_all;
use loopbind::{
    EventLoop, LoopError, Runner, TaskError, get_running_loop, run, spawn, spawn_blocking, timeout,
    yield_now,
};
use support::{Trace, in_child_under, note_reports, on_drop, panic_of, said, turn, virtual_loop};

/// Turns the loop until `done` says so: what it waits for comes from a pool's thread.
fn turn_until(event_loop: &EventLoop, done: impl Fn() -> bool) {
    while !done() {
        event_loop.turn(Some(Duration::from_millis(1))).unwrap();
    }
}

/// EXE-01: work runs on another thread, at once, and its value comes back; the loop goes on
/// meanwhile.
#[test]
fn work_runs_on_another_thread_while_the_loop_goes_on() {
    let home = thread::current().id();
    let (release, gate) = mpsc::channel();
    let value = run(async move {
        let work = spawn_blocking(move || {
            gate.recv().unwrap();
            thread::current().id() != home
        });
        // The work waits for the loop: a loop that waited for it would hang.
        yield_now().await;
        release.send(()).unwrap();
        work.await.unwrap()
    });
    assert!(value.unwrap());
}

/// EXE-01: the pool's threads are numbered, so that a debugger tells them from others.
#[test]
fn the_pools_threads_have_names() {
    let name = run(async { spawn_blocking(|| thread::current().name().map(str::to_owned)).await });
    let name = name.unwrap().unwrap().unwrap();
    assert!(name.starts_with("loopbind_"), "{name}");
}

/// EXE-05: work begins when it is given, awaited or not, inside a run or not.
#[test]
fn work_begins_though_nobody_awaits_and_no_loop_runs() {
    let event_loop = EventLoop::new().unwrap();
    let (sender, receiver) = mpsc::channel();
    let work = event_loop.run_in_executor(move || sender.send(7).unwrap());
    assert_eq!(receiver.recv().unwrap(), 7);
    event_loop.run_until_complete(work).unwrap().unwrap();
}

/// EXE-02: a panic of the work is what its awaiter reads; unread, the loop's handler hears of it.
#[test]
fn a_panic_of_the_work_reaches_who_awaits_or_the_handler() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let read = event_loop.run_in_executor(|| -> () { panic!("read") });
    let outcome = event_loop.run_until_complete(read).unwrap();
    assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: read");
    trace.assert(&[]);
    let (release, gate) = mpsc::channel::<()>();
    let before = event_loop.run_in_executor(move || {
        let _ = gate.recv();
        panic!("handle gone before");
    });
    drop::<loopbind::BlockingTask<()>>(before);
    drop(release);
    // The end of the first piece may wake the loop as well.
    let mut reports = Vec::new();
    while reports.is_empty() {
        event_loop.turn(None).unwrap();
        reports = trace.take();
    }
    assert_eq!(reports, ["Task exception was never retrieved: handle gone before"]);
    let after = event_loop.run_in_executor(|| -> () { panic!("handle gone after") });
    turn_until(&event_loop, || after.is_finished());
    drop(after);
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: handle gone after"]);
}

/// EXE-03: giving up work that runs returns at once and does not interrupt it: it ends by itself,
/// and its outcome is dropped.
#[test]
fn given_up_while_it_runs_returns_at_once_and_the_work_ends() {
    let (began, begins) = mpsc::channel();
    let (release, gate) = mpsc::channel::<()>();
    let (ended, ends) = mpsc::channel();
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(async move {
        spawn_blocking(move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
            ended.send("ended").unwrap();
        })
        .await
    });
    turn(&event_loop);
    begins.recv().unwrap();
    task.cancel();
    let outcome = event_loop.run_until_complete(task).unwrap();
    assert!(outcome.unwrap_err().is_cancelled());
    release.send(()).unwrap();
    assert_eq!(ends.recv().unwrap(), "ended");
}

/// EXE-03: `cancel` answers in the work's place at once; after the outcome it is too late.
#[test]
fn cancelled_by_hand_reads_cancelled_and_after_the_end_it_is_too_late() {
    let event_loop = EventLoop::new().unwrap();
    let (release, gate) = mpsc::channel::<()>();
    let work = event_loop.run_in_executor(move || gate.recv().unwrap_or_default());
    assert!(work.cancel() && work.is_finished() && !work.cancel());
    let outcome = event_loop.run_until_complete(work).unwrap();
    assert!(outcome.unwrap_err().is_cancelled());
    drop(release); // which ends the work, where it had begun

    let work = event_loop.run_in_executor(|| 7);
    turn_until(&event_loop, || work.is_finished());
    assert!(!work.cancel());
    assert_eq!(event_loop.run_until_complete(work).unwrap().unwrap(), 7);
}

/// EXE-03: work that is still queued when it is given up never begins, by `cancel` or by the end of
/// a wait; what was never awaited is detached, and runs. A pool of one thread makes a queue.
#[test]
fn given_up_while_queued_never_begins() {
    let name = "given_up_while_queued_never_begins";
    let child = in_child_under(name, &[("LOOPBIND_MAX_BLOCKING_THREADS", "1")], || {
        let event_loop = EventLoop::new().unwrap();
        let (began, begins) = mpsc::channel();
        let (release, gate) = mpsc::channel::<()>();
        let first = event_loop.run_in_executor(move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
        });
        begins.recv().unwrap();
        let (sender, ran) = mpsc::channel();
        let queue = |name: &'static str| {
            let sender = sender.clone();
            event_loop.run_in_executor(move || sender.send(name).unwrap())
        };
        let cancelled = queue("cancelled");
        let mut waited = queue("waited");
        drop(queue("detached"));
        let last = queue("last");
        assert!(cancelled.cancel());
        event_loop
            .run_until_complete(async { assert!((&mut waited).now_or_never().is_none()) })
            .unwrap();
        drop(waited);
        release.send(()).unwrap();
        event_loop.run_until_complete(async { join_all([first, last]).await }).unwrap();
        drop(sender);
        let ran: Vec<_> = ran.try_iter().collect();
        assert_eq!(ran, ["detached", "last"]);
    });
    if let Some(child) = child {
        let said = said(&child);
        assert!(child.status.success() && said.contains("1 passed"), "{said}");
    }
}

/// A limit on blocking work gives it up.
#[test]
fn a_limit_on_work_gives_it_up() {
    let (release, gate) = mpsc::channel::<()>();
    let event_loop = EventLoop::new().unwrap();
    let outcome = event_loop
        .run_until_complete(async move {
            timeout(Duration::from_millis(1), spawn_blocking(move || gate.recv())).await.is_err()
        })
        .unwrap();
    assert!(outcome);
    drop(release); // which ends the work, where it had begun
}

/// EXE-09: closing does not wait for work that runs, and what that brings later is dropped quietly.
#[test]
fn close_does_not_wait_and_a_late_outcome_is_dropped() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (release, gate) = mpsc::channel::<()>();
    let (ended, ends) = mpsc::channel::<()>();
    let (began, begins) = mpsc::channel::<()>();
    let work = event_loop.run_in_executor(move || {
        began.send(()).unwrap();
        gate.recv().unwrap();
        on_drop(move || ended.send(()).unwrap())
    });
    let probe = trace.probe("waiter");
    event_loop
        .create_task(async move {
            let _probe = probe;
            let _ = work.await;
        })
        .detach();
    turn(&event_loop);
    begins.recv().unwrap();
    event_loop.close().unwrap();
    trace.assert(&["waiter dropped"]);
    release.send(()).unwrap();
    ends.recv().unwrap();
}

/// Given to a closed loop, work is refused by a panic with the error's text; given by a destructor
/// while the loop closes, it is settled unrun: `LoopClosed`.
#[test]
fn given_to_a_closed_or_closing_loop_never_begins() {
    let event_loop = EventLoop::new().unwrap();
    let (same, ran) = (event_loop.clone(), Arc::new(AtomicBool::new(false)));
    let (flag, seen) = (Arc::clone(&ran), Arc::new(AtomicBool::new(false)));
    let settled = Arc::clone(&seen);
    let guard = on_drop(move || {
        let work = same.run_in_executor(move || flag.store(true, Ordering::SeqCst));
        let outcome = work.now_or_never();
        settled.store(matches!(outcome, Some(Err(TaskError::LoopClosed))), Ordering::SeqCst);
    });
    event_loop.call_soon(move || drop(guard));
    event_loop.close().unwrap();
    assert!(seen.load(Ordering::SeqCst));
    assert_eq!(panic_of(|| event_loop.run_in_executor(|| ())), "Event loop is closed");
    assert_eq!(panic_of(|| spawn_blocking(|| ())), "no running event loop");
    assert!(!ran.load(Ordering::SeqCst));
}

/// Inside of work no loop runs, and none is bound: it may make one of its own and run it, and the
/// loop that gave the work notices nothing.
#[test]
fn work_sees_no_loop_and_may_run_one_of_its_own() {
    let event_loop = EventLoop::new().unwrap();
    let value = event_loop
        .run_until_complete(async {
            let ours = get_running_loop().unwrap().id();
            let (none, theirs) = spawn_blocking(|| {
                let none = matches!(get_running_loop(), Err(LoopError::NoRunningLoop));
                (none, run(async { get_running_loop().unwrap().id() }).unwrap())
            })
            .await
            .unwrap();
            assert_eq!(get_running_loop().unwrap().id(), ours);
            none && theirs != ours
        })
        .unwrap();
    assert!(value);
}

/// Work may hold a handle of its loop and use it, also to wait for tasks there.
#[test]
fn work_may_wait_for_tasks_of_its_loop() {
    let value = run(async {
        let handle = get_running_loop().unwrap().handle();
        let work = spawn_blocking(move || {
            let on_the_loop = handle.spawn(|| {
                let not_send = Rc::new(7);
                async move { *not_send }
            });
            on_the_loop.unwrap().join().unwrap()
        });
        work.await.unwrap()
    });
    assert_eq!(value.unwrap(), 7);
}

/// Many pieces of work, half of which panic: each comes back as what it is, and the pool survives.
#[test]
fn many_pieces_half_of_them_panicking_all_come_back() {
    let outcomes = run(async {
        let work = (0..400).map(|i| {
            spawn_blocking(move || {
                if i % 2 == 0 {
                    std::panic::resume_unwind(Box::new(i));
                }
                i
            })
        });
        join_all(work.collect::<Vec<_>>()).await
    });
    for (i, outcome) in (0..).zip(outcomes.unwrap()) {
        match outcome {
            Ok(value) => assert!(value == i && i % 2 == 1),
            Err(error) => {
                let payload = error.into_panic().unwrap();
                assert!(*payload.downcast::<i32>().unwrap() == i && i % 2 == 0);
            }
        }
    }
}

/// Work that was never awaited and whose handle is gone runs all the same.
#[test]
fn dropped_unawaited_runs_all_the_same() {
    let event_loop = EventLoop::new().unwrap();
    let (sender, receiver) = mpsc::channel();
    drop(event_loop.run_in_executor(move || sender.send(7).unwrap()));
    assert_eq!(receiver.recv().unwrap(), 7);
}

/// RNR-10: the end of `run` waits for work, awaited or not, and so does a runner's. The work begins
/// its end when main is over; the pause in it is for a `run` that would not wait, which would be gone
/// by then.
#[test]
fn the_end_of_a_run_waits_for_work() {
    let trace = Trace::new();
    let (log, main) = (trace.clone(), trace.clone());
    let (release, gate) = mpsc::channel::<()>();
    run(async move {
        drop(spawn_blocking(move || {
            gate.recv().unwrap();
            thread::sleep(Duration::from_millis(5));
            log.note("work ended");
        }));
        main.note("main ended");
        release.send(()).unwrap();
    })
    .unwrap();
    trace.note("run returned");
    trace.assert(&["main ended", "work ended", "run returned"]);

    let runner = Runner::new().unwrap();
    let log = trace.clone();
    drop(runner.event_loop().run_in_executor(move || {
        thread::sleep(Duration::from_millis(5));
        log.note("work ended");
    }));
    runner.close().unwrap();
    trace.note("closed");
    trace.assert(&["work ended", "closed"]);
}

/// A loop asleep with nothing else to do is woken by the end of its work.
#[test]
fn the_end_of_work_wakes_a_loop_that_sleeps() {
    for _ in 0..200 {
        let event_loop = EventLoop::new().unwrap();
        event_loop.create_task(pending::<()>()).detach();
        let work = event_loop.run_in_executor(|| ());
        event_loop.run_until_complete(work).unwrap().unwrap();
    }
}

/// On a virtual clock, work in flight keeps the time where it is; once it is over the clock goes on.
#[test]
fn work_in_flight_keeps_a_virtual_clock_where_it_is() {
    let event_loop = virtual_loop();
    let began = event_loop.time();
    let same = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            let nap = spawn(loopbind::sleep(Duration::from_secs(60)));
            for _ in 0..20 {
                spawn_blocking(thread::yield_now).await.unwrap();
            }
            assert_eq!(same.time(), began);
            nap.await.unwrap();
            assert_eq!(same.time(), began + Duration::from_secs(60));
        })
        .unwrap();
}

/// Two loops share the pool, and each gets its own outcomes.
#[test]
fn loops_on_two_threads_share_the_pool() {
    let seen: Arc<Mutex<HashSet<u32>>> = Arc::default();
    let threads: Vec<_> = (0..2_u32)
        .map(|i| {
            let seen = Arc::clone(&seen);
            thread::spawn(move || {
                run(async move {
                    for n in 0..50 {
                        let value = spawn_blocking(move || i * 100 + n).await.unwrap();
                        assert!(seen.lock().unwrap().insert(value));
                    }
                })
                .unwrap();
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(seen.lock().unwrap().len(), 100);
}
