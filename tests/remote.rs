//! Other threads: posting callbacks to a loop, starting tasks there, waiting for them, and the race
//! of all that with the loop's end.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::{HashSet, VecDeque};
use std::future::{pending, poll_fn, ready};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::executor::block_on;
use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, LoopError, LoopHandle, RemoteTask, TaskError, sleep, task, yield_now};
use support::{Trace, note_reports, on_drop, panic_of, turn};

/// Runs `body` on another thread, and the loop until it is over.
fn elsewhere<T: Send + 'static>(
    event_loop: &EventLoop,
    body: impl FnOnce(LoopHandle) -> T + Send + 'static,
) -> T {
    let handle = event_loop.handle();
    let over = event_loop.handle();
    let thread = thread::spawn(move || {
        let _stop = on_drop(move || over.stop());
        body(handle)
    });
    event_loop.run_forever().unwrap();
    thread.join().unwrap()
}

// ─── callbacks ──────────────────────────────────────────────────────────────────────────────────

/// THR-01: a call from another thread wakes a loop that sleeps with nothing to do, runs on the
/// loop's thread, and keeps the order of its thread.
#[test]
fn posted_to_a_sleeping_loop_wakes_it_and_keeps_the_order() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let home = thread::current().id();
    let log = trace.clone();
    elsewhere(&event_loop, move |handle| {
        for i in 0..1_000 {
            let log = log.clone();
            let post = move || {
                assert_eq!(thread::current().id(), home);
                log.note(i.to_string());
            };
            handle.call_soon_threadsafe(post).unwrap();
        }
    });
    assert_eq!(trace.take(), (0..1_000).map(|i| i.to_string()).collect::<Vec<_>>());
}

/// THR-01: each call finds the loop asleep, because the next is made only when the last has run: a
/// wake that was lost would hang this.
#[test]
fn a_thousand_calls_each_to_a_sleeping_loop_all_arrive() {
    let event_loop = EventLoop::new().unwrap();
    elsewhere(&event_loop, |handle| {
        let (sender, receiver) = mpsc::channel();
        for i in 0..1_000 {
            let sender = sender.clone();
            handle.call_soon_threadsafe(move || sender.send(i).unwrap()).unwrap();
            assert_eq!(receiver.recv().unwrap(), i);
        }
    });
}

/// THR-06: on a closed loop, and after its thread ended, a call is refused by an error, and the
/// callback is dropped where it was made.
#[test]
fn closed_then_posted_is_refused_and_dropped_here() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let handle = event_loop.handle();
    event_loop.close().unwrap();
    let log = trace.clone();
    let other = handle.clone();
    thread::spawn(move || {
        let probe = log.probe("callback");
        let refused = other.call_soon_threadsafe(move || drop(probe)).unwrap_err();
        assert!(matches!(refused, LoopError::Closed));
        let probe = log.probe("future");
        let refused = other.spawn(move || async move { drop(probe) }).unwrap_err();
        assert_eq!(refused.to_string(), "Event loop is closed");
        assert!(other.run_coroutine_threadsafe(ready(())).is_err());
        other.stop();
        assert!(other.is_closed() && !other.is_running());
    })
    .join()
    .unwrap();
    trace.assert(&["callback dropped", "future dropped"]);
    drop(event_loop);
    assert!(matches!(handle.call_soon_threadsafe(|| {}), Err(LoopError::Closed)));

    let handle = thread::spawn(|| {
        let event_loop = EventLoop::new().unwrap();
        let same = event_loop.clone();
        event_loop.call_soon(move || drop(same));
        event_loop.handle()
    })
    .join()
    .unwrap();
    assert!(matches!(handle.call_soon_threadsafe(|| {}), Err(LoopError::Closed)));
    assert!(matches!(handle.spawn(|| ready(())), Err(LoopError::Closed)));
}

/// A loop that closes refuses what its destructors post.
#[test]
fn posted_by_a_destructor_during_close_is_refused() {
    let event_loop = EventLoop::new().unwrap();
    let (handle, seen) = (event_loop.handle(), Rc::new(Cell::new(false)));
    let flag = Rc::clone(&seen);
    let guard = on_drop(move || {
        flag.set(matches!(handle.call_soon_threadsafe(|| {}), Err(LoopError::Closed)));
    });
    event_loop.call_soon(move || drop(guard));
    event_loop.close().unwrap();
    assert!(seen.get());
}

/// THR-14: a loop that does not run accepts, and runs it when it does; one that closes instead drops
/// it unrun, at home.
#[test]
fn posted_before_the_run_waits_for_it_and_is_dropped_by_close() {
    for runs in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let handle = event_loop.handle();
        assert!(!handle.is_running() && !handle.is_closed());
        let (log, probe) = (trace.clone(), trace.probe("capture"));
        thread::spawn(move || {
            handle
                .call_soon_threadsafe(move || {
                    log.note("ran");
                    drop(probe);
                })
                .unwrap();
        })
        .join()
        .unwrap();
        trace.assert(&[]);
        if runs {
            turn(&event_loop);
            trace.assert(&["ran", "capture dropped"]);
        } else {
            event_loop.close().unwrap();
            trace.assert(&["capture dropped"]);
        }
    }
}

/// A stop from another thread goes behind what was posted before it; before a run it makes that one
/// short.
#[test]
fn stopped_from_elsewhere_goes_behind_what_was_posted_before() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (handle, log) = (event_loop.handle(), trace.clone());
    thread::spawn(move || {
        let first = log.clone();
        handle.call_soon_threadsafe(move || first.note("posted before")).unwrap();
        handle.stop();
        handle.call_soon_threadsafe(move || log.note("posted after")).unwrap();
    })
    .join()
    .unwrap();
    event_loop.run_forever().unwrap();
    trace.assert(&["posted before", "posted after"]);
    assert_eq!(turn(&event_loop), 0, "one batch held all three");
}

/// Handles are identities: equal for one loop, from wherever, different for others.
#[test]
#[allow(clippy::mutable_key_type)] // What is hashed is the loop's number, which never changes.
fn handles_of_one_loop_are_equal_and_of_two_are_not() {
    let (one, other) =
        (EventLoop::builder().name("io").build().unwrap(), EventLoop::new().unwrap());
    assert_eq!(one.handle(), one.handle().clone());
    assert_ne!(one.handle(), other.handle());
    assert_eq!(one.handle().id(), one.id());
    assert_eq!((one.handle().name(), other.handle().name()), (Some("io"), None));
    let set: HashSet<_> = [one.handle(), other.handle(), one.handle()].into();
    assert_eq!(set.len(), 2);
    assert!(format!("{:?}", one.handle()).contains("io"));
}

// ─── tasks ──────────────────────────────────────────────────────────────────────────────────────

/// THR-08: a task started from another thread is made, polled and dropped on the loop's, though its
/// future is not `Send`; its value, its error and its panic come back.
#[test]
fn started_elsewhere_is_made_and_lives_at_home_and_its_outcome_comes_back() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let home = thread::current().id();
    let log = trace.clone();
    let (value, error, panic) = elsewhere(&event_loop, move |handle| {
        let made = log.clone();
        let value = handle.spawn(move || {
            assert_eq!(thread::current().id(), home);
            let (not_send, probe) = (Rc::new(RefCell::new(6)), made.probe("future"));
            async move {
                let _probe = probe;
                yield_now().await;
                assert_eq!(thread::current().id(), home);
                *not_send.borrow_mut() += 1;
                *not_send.borrow()
            }
        });
        let value = value.unwrap().join().unwrap();
        let error = handle.run_coroutine_threadsafe(async { Err::<(), _>("mine") }).unwrap();
        let panic: RemoteTask<()> = handle.spawn(|| async { panic!("theirs") }).unwrap();
        (value, error.join().unwrap(), panic.join().unwrap_err().to_string())
    });
    assert_eq!((value, error), (7, Err("mine")));
    assert_eq!(panic, "the task panicked: theirs");
    trace.assert(&["future dropped"]);
}

/// It is a task like any other: current inside, named by its line, first in its turn.
#[test]
fn started_elsewhere_is_a_task_like_any_other() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (handle, log) = (event_loop.handle(), trace.clone());
    let line = line!() + 1;
    let remote = handle.spawn(move || {
        let info = task::current().unwrap();
        assert!(info.spawned_at.file().ends_with("remote.rs"));
        log.note(format!("made by the task of line {}", info.spawned_at.line()));
        async move { log.note(format!("polls {}", task::current().unwrap().polls)) }
    });
    event_loop.call_soon(trace.noting("callback"));
    turn(&event_loop);
    trace.assert(&[&format!("made by the task of line {line}"), "polls 1", "callback"]);
    assert!(remote.unwrap().is_finished());
}

/// THR-09: a wait that times out changes nothing and gives the handle back; any limit is fine.
#[test]
fn timed_out_then_waited_for_again_gives_the_value() {
    let event_loop = EventLoop::new().unwrap();
    let outcome = elsewhere(&event_loop, |handle| {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let task = handle.spawn(move || receiver).unwrap();
        let task = task.join_timeout(Duration::ZERO).unwrap_err();
        let task = task.join_timeout(Duration::from_millis(1)).unwrap_err();
        assert!(!task.is_finished());
        sender.send(7).unwrap();
        task.join_timeout(Duration::MAX).unwrap().unwrap().unwrap()
    });
    assert_eq!(outcome, 7);
}

/// THR-10: a task that was cancelled says so to who waits for it elsewhere; a waiting thread wakes.
#[test]
fn cancelled_from_elsewhere_wakes_the_thread_that_waits() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    elsewhere(&event_loop, move |handle| {
        let (running, runs) = mpsc::channel();
        let task = handle
            .spawn(move || {
                let probe = log.probe("future");
                async move {
                    let _probe = probe;
                    running.send(()).unwrap();
                    pending::<()>().await;
                }
            })
            .unwrap();
        runs.recv().unwrap();
        assert!(task.cancel());
        assert!(task.join().unwrap_err().is_cancelled());
    });
    trace.assert(&["future dropped"]);
}

/// THR-11: cancelled before the loop picked it up, it never starts: its closure is dropped, at home.
#[test]
fn cancelled_before_it_was_taken_in_never_starts() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (handle, log, probe) = (event_loop.handle(), trace.clone(), trace.probe("closure"));
    let task = thread::spawn(move || {
        let task = handle
            .spawn(move || {
                log.note("made");
                drop(probe);
                pending::<()>()
            })
            .unwrap();
        assert!(task.cancel() && task.cancel());
        task
    })
    .join()
    .unwrap();
    assert!(!task.is_finished());
    turn(&event_loop);
    trace.assert(&["closure dropped"]);
    assert!(task.is_finished() && !task.cancel());
    assert!(task.join().unwrap_err().is_cancelled());
}

/// A remote cancellation is told to who listens, like any other.
#[test]
fn cancelled_from_elsewhere_is_told_to_who_listens() {
    let event_loop = EventLoop::new().unwrap();
    let words = elsewhere(&event_loop, |handle| {
        let (running, runs) = mpsc::channel();
        let task = handle
            .spawn(move || async move {
                let mut asked = pin!(task::cancelled());
                poll_fn(|cx| {
                    let polled = asked.as_mut().poll(cx);
                    let _ = running.send(());
                    polled
                })
                .await;
                "last words"
            })
            .unwrap();
        runs.recv().unwrap();
        task.cancel();
        task.join().unwrap()
    });
    assert_eq!(words, "last words");
}

/// Dropping a remote handle, awaited or not, detaches its task.
#[test]
fn dropped_then_the_task_runs_on() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for polled in [false, true] {
        let log = trace.clone();
        let mut remote = event_loop
            .handle()
            .spawn(move || async move {
                yield_now().await;
                yield_now().await;
                log.note("ended");
            })
            .unwrap();
        turn(&event_loop);
        if polled {
            let waker = std::task::Waker::noop();
            let mut cx = std::task::Context::from_waker(waker);
            assert!(std::pin::Pin::new(&mut remote).poll(&mut cx).is_pending());
        }
        drop(remote);
        turn(&event_loop);
        turn(&event_loop);
        trace.assert(&["ended"]);
    }
}

/// A remote handle can be awaited from anywhere: another executor, another loop, its own loop.
#[test]
fn awaited_by_another_executor_by_another_loop_and_by_its_own() {
    let event_loop = EventLoop::new().unwrap();
    let values = elsewhere(&event_loop, |handle| {
        let start = |value| {
            let make = move || async move {
                sleep(Duration::from_millis(1)).await;
                value
            };
            handle.spawn(make).unwrap()
        };
        let foreign = block_on(start(1)).unwrap();
        let other = EventLoop::new().unwrap();
        let other = other.run_until_complete(start(2)).unwrap().unwrap();
        let own = start(3);
        let own = handle.spawn(move || own).unwrap().join().unwrap().unwrap();
        [foreign, other, own]
    });
    assert_eq!(values, [1, 2, 3]);
}

/// THR-13: blocking on the thread that would have to do the work is an error at once, inside a run
/// and outside; what is over can be had.
#[test]
fn joined_on_its_own_loops_thread_is_an_error_not_a_deadlock() {
    let event_loop = EventLoop::new().unwrap();
    let start = |event_loop: &EventLoop| event_loop.handle().spawn(|| ready(7)).unwrap();
    assert!(matches!(start(&event_loop).join(), Err(TaskError::WouldDeadlock)));
    let limited = start(&event_loop).join_timeout(Duration::MAX);
    assert!(matches!(limited, Ok(Err(TaskError::WouldDeadlock))));
    let same = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            assert!(matches!(start(&same).join(), Err(TaskError::WouldDeadlock)));
            let other = EventLoop::new().unwrap();
            let (foreign, own) = (start(&other), start(&same));
            // One of another loop of this thread would wait as long.
            assert!(matches!(foreign.join(), Err(TaskError::WouldDeadlock)));
            yield_now().await;
            assert_eq!(own.join().unwrap(), 7, "it is over");
        })
        .unwrap();
    let done = start(&event_loop);
    turn(&event_loop);
    assert_eq!(done.join_timeout(Duration::ZERO).unwrap().unwrap(), 7);
}

/// THR-15: a closure that panics before it made a future: who waits gets the panic, the loop's
/// handler hears of it.
#[test]
fn a_closure_that_panics_before_it_made_a_future_is_told_to_both() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let outcome = elsewhere(&event_loop, |handle| {
        let make = || -> std::future::Ready<()> { panic!("no future") };
        handle.spawn(make).unwrap().join()
    });
    assert_eq!(outcome.unwrap_err().to_string(), "the task panicked: no future");
    trace.assert(&["exception while a task was being made: no future"]);
}

/// A panic that nobody waits for any more goes to the loop's handler, whether the handle goes before
/// or after.
#[test]
fn an_unread_panic_goes_to_the_loops_handler() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let start = |text: &'static str| -> RemoteTask<()> {
        event_loop.handle().spawn(move || async move { panic!("{text}") }).unwrap()
    };
    drop(start("before"));
    let after = start("after");
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: before"]);
    thread::spawn(move || drop(after)).join().unwrap();
    turn(&event_loop);
    trace.assert(&["Task exception was never retrieved: after"]);
}

/// A future whose destructor panics as it is cancelled: who waits hears all the same.
#[test]
fn a_destructor_that_panics_at_home_does_not_leave_the_waiter_waiting() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&event_loop, &trace);
    let outcome = elsewhere(&event_loop, |handle| {
        let (running, runs) = mpsc::channel();
        let task = handle
            .spawn(move || async move {
                let _guard = on_drop(|| panic!("destructor"));
                running.send(()).unwrap();
                pending::<()>().await;
            })
            .unwrap();
        runs.recv().unwrap();
        task.cancel();
        task.join()
    });
    assert!(outcome.unwrap_err().is_cancelled());
    trace.assert(&["Task exception was never retrieved: destructor"]);
}

/// A handle whose outcome was taken by awaiting says so when it is joined.
#[test]
fn joined_after_it_gave_its_outcome_says_so() {
    let event_loop = EventLoop::new().unwrap();
    let mut remote = event_loop.handle().spawn(|| ready(7)).unwrap();
    assert_eq!(event_loop.run_until_complete(&mut remote).unwrap().unwrap(), 7);
    let text = panic_of(|| remote.join());
    assert_eq!(text, "a RemoteTask was joined after it gave its outcome");
}

// ─── races with the end ─────────────────────────────────────────────────────────────────────────

/// A loop that closes settles what it had accepted: as cancelled, waiting threads included; queued,
/// running and not yet taken in.
#[test]
fn closed_then_every_accepted_task_settles_as_cancelled() {
    let (sender, receiver) = mpsc::channel();
    let (close, closes) = mpsc::channel::<()>();
    let owner = thread::spawn(move || {
        let event_loop = EventLoop::new().unwrap();
        sender.send(event_loop.handle()).unwrap();
        event_loop.run_until_complete(yield_now()).unwrap();
        closes.recv().unwrap();
        turn(&event_loop);
        closes.recv().unwrap();
        event_loop.close().unwrap();
    });
    let handle = receiver.recv().unwrap();
    let polled = handle.spawn(pending::<()>).unwrap();
    close.send(()).unwrap();
    let waiting = thread::spawn(move || polled.join());
    let late = handle.spawn(pending::<()>).unwrap();
    close.send(()).unwrap();
    assert!(waiting.join().unwrap().unwrap_err().is_cancelled());
    assert!(late.join().unwrap_err().is_cancelled());
    owner.join().unwrap();
}

/// A poster that is not to flood its loop: waits while `backlog` of its posts are on their way.
fn wait_while_busy(handle: &LoopHandle, accepted: usize, settled: &AtomicUsize) {
    const BACKLOG: usize = 64;
    while accepted > settled.load(Ordering::SeqCst) + BACKLOG && !handle.is_closed() {
        thread::yield_now();
    }
}

/// Calls race with close: each is either refused, or has run or was dropped by the time close
/// returned. None is lost, none is both.
#[test]
fn calls_race_with_close_and_each_is_refused_run_or_dropped() {
    const POSTERS: usize = 3;
    for round in 0..60 {
        let event_loop = EventLoop::new().unwrap();
        let barrier = Arc::new(Barrier::new(POSTERS + 1));
        let (closed, ran) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let home = thread::current().id();
        let posters: Vec<_> = (0..POSTERS)
            .map(|_| {
                let (handle, barrier) = (event_loop.handle(), Arc::clone(&barrier));
                let (closed, ran) = (Arc::clone(&closed), Arc::clone(&ran));
                thread::spawn(move || {
                    // What became of the callbacks: dropped at home, run or not, or here, refused.
                    let at_home = Arc::new(AtomicUsize::new(0));
                    let here = Arc::new(AtomicUsize::new(0));
                    let (mut accepted, mut refused) = (0, 0);
                    barrier.wait();
                    while refused < 3 {
                        let (at_home_too, here_too) = (Arc::clone(&at_home), Arc::clone(&here));
                        let (closed, ran) = (Arc::clone(&closed), Arc::clone(&ran));
                        let late = Arc::clone(&closed);
                        let guard = on_drop(move || {
                            if thread::current().id() == home {
                                assert!(!late.load(Ordering::SeqCst), "dropped after close");
                                at_home_too.fetch_add(1, Ordering::SeqCst);
                            } else {
                                here_too.fetch_add(1, Ordering::SeqCst);
                            }
                        });
                        let posted = handle.call_soon_threadsafe(move || {
                            assert!(!closed.load(Ordering::SeqCst), "run after close");
                            ran.fetch_add(1, Ordering::SeqCst);
                            drop(guard);
                        });
                        match posted {
                            Ok(()) => accepted += 1,
                            Err(LoopError::Closed) => refused += 1,
                            Err(other) => panic!("{other}"),
                        }
                        wait_while_busy(&handle, accepted, &at_home);
                    }
                    (accepted, at_home, refused, here)
                })
            })
            .collect();
        barrier.wait();
        for _ in 0..round % 10 {
            turn(&event_loop);
        }
        event_loop.close().unwrap();
        closed.store(true, Ordering::SeqCst);
        let mut all = 0;
        for poster in posters {
            let (accepted, at_home, refused, here) = poster.join().unwrap();
            assert_eq!(at_home.load(Ordering::SeqCst), accepted, "all that was accepted is gone");
            assert_eq!(here.load(Ordering::SeqCst), refused);
            all += accepted;
        }
        assert!(ran.load(Ordering::SeqCst) <= all);
    }
}

/// Tasks race with close: each one that was accepted settles, with its value or as cancelled, and no
/// thread waits for ever.
#[test]
fn tasks_race_with_close_and_each_accepted_one_settles() {
    const STARTERS: usize = 3;
    fn settle(task: RemoteTask<usize>, expected: usize) {
        match task.join() {
            Ok(value) => assert_eq!(value, expected),
            Err(TaskError::Cancelled) => {}
            Err(other) => panic!("{other}"),
        }
    }
    for round in 0..60 {
        let event_loop = EventLoop::new().unwrap();
        let barrier = Arc::new(Barrier::new(STARTERS + 1));
        let starters: Vec<_> = (0..STARTERS)
            .map(|i| {
                let (handle, barrier) = (event_loop.handle(), Arc::clone(&barrier));
                thread::spawn(move || {
                    let mut tasks = VecDeque::new();
                    barrier.wait();
                    for n in 0.. {
                        let make = move || async move {
                            yield_now().await;
                            i
                        };
                        match handle.spawn(make) {
                            Ok(task) => tasks.push_back(task),
                            Err(LoopError::Closed) => break,
                            Err(other) => panic!("{other}"),
                        }
                        if n % 3 == 0 {
                            tasks.back().unwrap().cancel();
                        }
                        if tasks.len() > 32 {
                            settle(tasks.pop_front().unwrap(), i);
                        }
                    }
                    tasks.into_iter().for_each(|task| settle(task, i));
                })
            })
            .collect();
        barrier.wait();
        for _ in 0..round % 10 {
            turn(&event_loop);
        }
        event_loop.close().unwrap();
        for starter in starters {
            starter.join().unwrap();
        }
    }
}

/// Cancellations from several threads race with the end of their tasks: each task ends once.
#[test]
fn cancellations_race_with_the_end_of_their_tasks() {
    let event_loop = EventLoop::new().unwrap();
    let (values, cancelled) = elsewhere(&event_loop, |handle| {
        let count = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (handle, count) = (handle.clone(), Arc::clone(&count));
                thread::spawn(move || {
                    for i in 0..1_000 {
                        let task = handle.spawn(|| async { yield_now().await }).unwrap();
                        if i % 2 == 0 {
                            thread::yield_now();
                        }
                        task.cancel();
                        match task.join() {
                            Ok(()) => count.0.fetch_add(1, Ordering::SeqCst),
                            Err(TaskError::Cancelled) => count.1.fetch_add(1, Ordering::SeqCst),
                            Err(other) => panic!("{other}"),
                        };
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        (count.0.load(Ordering::SeqCst), count.1.load(Ordering::SeqCst))
    });
    assert_eq!(values + cancelled, 3_000);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// THR-07: the loop goes to sleep and is closed, over and over, while another thread knocks: neither
/// a wake into nothing nor a descriptor that is somebody else's by then.
#[test]
fn knocks_race_with_a_loop_that_sleeps_and_closes() {
    for _ in 0..50 {
        let thread = ThreadBuilder::new().spawn(pending::<()>).unwrap();
        let knocking: Vec<_> = (0..2)
            .map(|_| {
                let (handle, served) = (thread.handle().clone(), Arc::new(AtomicUsize::new(0)));
                thread::spawn(move || {
                    let mut knocks = 0;
                    loop {
                        let served_too = Arc::clone(&served);
                        let knock = move || {
                            served_too.fetch_add(1, Ordering::SeqCst);
                        };
                        if handle.call_soon_threadsafe(knock).is_err() {
                            break;
                        }
                        knocks += 1;
                        wait_while_busy(&handle, knocks, &served);
                    }
                })
            })
            .collect();
        thread.stop();
        thread.join().unwrap_err();
        for knocking in knocking {
            knocking.join().unwrap();
        }
    }
}

/// THR-16: a value handed over by a channel's `Send` half wakes the loop at once, with nothing else
/// to wake it.
#[test]
fn a_value_from_another_thread_wakes_a_loop_that_has_nothing_else_to_do() {
    let event_loop = EventLoop::new().unwrap();
    let (sender, receiver) = futures::channel::oneshot::channel();
    let thread = thread::spawn(move || sender.send(7).unwrap());
    assert_eq!(event_loop.run_until_complete(receiver).unwrap(), Ok(7));
    thread.join().unwrap();
}

/// A main future that waits for many threads, each through a handle of its own.
#[test]
fn many_threads_feed_one_loop_and_nothing_is_lost() {
    let event_loop = EventLoop::new().unwrap();
    let sum = elsewhere(&event_loop, |handle| {
        let threads: Vec<_> = (0..4_u64)
            .map(|i| {
                let handle = handle.clone();
                thread::spawn(move || {
                    let tasks: Vec<_> = (0..250)
                        .map(|n| handle.spawn(move || ready(i * 1_000 + n)).unwrap())
                        .collect();
                    tasks.into_iter().map(|task| task.join().unwrap()).sum::<u64>()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    let expected: u64 = (0..4_u64).flat_map(|i| (0..250).map(move |n| i * 1_000 + n)).sum();
    assert_eq!(sum, expected);
}

/// Polling a remote handle by hand: pending with the waker of the last poll, which alone is woken.
#[test]
fn a_remote_handle_wakes_the_last_waker_that_polled_it() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut remote = event_loop.handle().spawn(|| ready(7)).unwrap();
    let counts: Vec<Arc<Count>> = (0..2).map(|_| Arc::default()).collect();
    for count in &counts {
        let waker = std::task::Waker::from(Arc::clone(count));
        let mut cx = std::task::Context::from_waker(&waker);
        assert!(std::pin::Pin::new(&mut remote).poll(&mut cx).is_pending());
    }
    turn(&event_loop);
    assert_eq!(
        counts.iter().map(|count| count.0.load(Ordering::SeqCst)).collect::<Vec<_>>(),
        [0, 1]
    );
    let waker = std::task::Waker::noop();
    let polled = std::pin::Pin::new(&mut remote).poll(&mut std::task::Context::from_waker(waker));
    assert!(matches!(polled, Poll::Ready(Ok(7))));
    trace.assert(&[]);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl std::task::Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
