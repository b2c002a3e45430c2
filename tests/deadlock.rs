//! A virtual-time run that waits for what cannot come ends with the list of who waits; one that waits
//! for anything that may still come does not.

mod support;

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::io::Write;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::AsyncReadExt;
use futures::channel::oneshot;
use loopbind::net::UnixStream;
use loopbind::sync::{self, Barrier, Event, Lock, Queue, Semaphore};
use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, LoopError, Task, sleep, spawn, task, timeout, yield_now};
use support::{Trace, panic_of, turn, virtual_loop};

/// How long a wait lasts that nothing is known to end; what comes later than that is to be waited for
/// where it is known.
const GRACE: Duration = Duration::from_secs(2);
const SLOW: Duration = Duration::from_millis(2200);

/// The tasks of a deadlock.
#[track_caller]
fn stuck<T: std::fmt::Debug>(outcome: Result<T, LoopError>) -> Vec<loopbind::StuckTask> {
    match outcome {
        Err(LoopError::Deadlock { tasks }) => tasks,
        other => panic!("no deadlock: {other:?}"),
    }
}

/// A task that awaits what is put into the cell.
fn awaiting(other: &Rc<RefCell<Option<Task<()>>>>) -> impl Future<Output = ()> + use<> {
    let other = Rc::clone(other);
    async move {
        let task = other.take().unwrap();
        drop(task.await);
    }
}

#[test]
fn two_who_await_each_other_end_the_run_at_once_and_are_named_with_their_places() {
    let event_loop = virtual_loop();
    let (one, other) = (Rc::default(), Rc::default());
    let first = event_loop.task_builder().name("first").spawn(awaiting(&one));
    let place = line!() - 1;
    let second = event_loop.create_task(awaiting(&other));
    let (first_id, second_id) = (first.id(), second.id());
    *other.borrow_mut() = Some(first);
    *one.borrow_mut() = Some(second);
    let outcome = event_loop.run_until_complete(pending::<()>());
    let run = line!() - 1;
    let text = outcome.as_ref().unwrap_err().to_string();
    let tasks = stuck(outcome);
    assert_eq!(tasks.len(), 3);
    let known: Vec<_> =
        tasks.iter().map(|task| (task.name.as_deref(), task.is_main, &task.awaits[..])).collect();
    let expected: [(_, _, &[_]); 3] =
        [(Some("first"), false, &[second_id]), (None, false, &[first_id]), (None, true, &[])];
    assert_eq!(known, expected);
    let (one, two, main) = (first_id.get(), second_id.get(), tasks[2].id.get());
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "Deadlock: nothing is left that could wake the tasks that wait:");
    let beginnings = [
        format!("  'first' (Task-{one}), spawned at tests/deadlock.rs:{place}:"),
        format!("  Task-{two}, spawned at tests/deadlock.rs:"),
        format!("  Task-{main}, the main future, run at tests/deadlock.rs:{run}:"),
    ];
    for (line, beginning) in lines[1..].iter().zip(&beginnings) {
        assert!(line.starts_with(beginning), "{line}\nis not\n{beginning}");
    }
    assert!(lines[1].ends_with(&format!(", awaits Task-{two}")), "{text}");
    assert!(lines[2].ends_with(&format!(", awaits Task-{one}")), "{text}");
    // Every waker is accounted for: there is nobody to wait for.
    assert!(event_loop.metrics().parked < GRACE, "{:?}", event_loop.metrics().parked);
}

#[test]
fn given_up_then_run_again_goes_on_with_the_same_tasks() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let (sender, receiver) = oneshot::channel();
    let log = trace.clone();
    let waiting = event_loop.create_task(async move {
        let _probe = log.probe("waiting");
        log.note(receiver.await.unwrap());
    });
    let main = trace.probe("main");
    let outcome = event_loop.run_until_complete(async move {
        let _main = main;
        pending::<()>().await;
    });
    assert_eq!(stuck(outcome).len(), 2);
    trace.assert(&["main dropped"]);
    sender.send("woken").unwrap();
    event_loop.run_until_complete(waiting).unwrap().unwrap();
    trace.assert(&["woken", "waiting dropped"]);
}

#[test]
fn work_then_timers_then_nothing() {
    let event_loop = virtual_loop();
    let before = event_loop.time();
    let outcome = event_loop.run_until_complete(async {
        spawn(sleep(Duration::from_secs(3))).await.unwrap();
        yield_now().await;
        pending::<()>().await;
    });
    assert_eq!(stuck(outcome).len(), 1);
    assert_eq!(event_loop.time() - before, Duration::from_secs(3), "timers come first");
    // One that never comes is none.
    assert_eq!(stuck(event_loop.run_until_complete(sleep(Duration::MAX))).len(), 1);
}

#[test]
fn a_waker_in_another_threads_hands_has_a_while_to_be_used() {
    let event_loop = virtual_loop();
    let (asked, is_asked) = mpsc::channel();
    let (answer, answered) = oneshot::channel();
    let other = thread::spawn(move || {
        is_asked.recv().unwrap();
        thread::sleep(GRACE / 2); // what it does takes a time
        answer.send(42).unwrap();
    });
    let mut asked = Some(asked);
    let mut answered = answered;
    let main = poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut answered).poll(cx);
        if let Some(asked) = asked.take() {
            // Whoever is asked answers when nothing else is left to do here, or nearly so.
            assert!(polled.is_pending());
            asked.send(()).unwrap();
        }
        polled
    });
    assert_eq!(event_loop.run_until_complete(main).unwrap(), Ok(42));
    other.join().unwrap();
    // In nobody's hands any more that would use it: that is not seen, and so it takes the while.
    let (_answer, answered) = oneshot::channel::<()>();
    let parked = event_loop.metrics().parked;
    assert_eq!(stuck(event_loop.run_until_complete(answered)).len(), 1);
    assert!(event_loop.metrics().parked - parked >= GRACE);
}

/// A lock of another thread's may hold a waker of this loop's: the other thread can use it, so it is none of those that
/// wait in vain.
#[test]
fn a_waker_in_something_local_to_another_thread_may_be_used_there() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let (waker, given) = mpsc::channel::<std::task::Waker>();
    let (kept, is_kept) = mpsc::channel();
    let log = trace.clone();
    let other = thread::spawn(move || {
        let event = Event::new();
        let waker = given.recv().unwrap();
        let mut wait = std::pin::pin!(event.wait());
        assert!(wait.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
        drop(waker);
        log.note("kept");
        kept.send(()).unwrap();
        thread::sleep(GRACE / 4); // what it does takes a time
        event.set();
    });
    let mut asked = false;
    let main = poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        waker.send(cx.waker().clone()).unwrap();
        is_kept.recv().unwrap();
        trace.note("waits");
        Poll::Pending
    });
    // Something that asks for the number of those that are kept.
    let idle = event_loop.create_task(async { Event::new().wait().await });
    event_loop.run_until_complete(main).unwrap();
    trace.assert(&["kept", "waits"]);
    drop(idle);
    other.join().unwrap();
}

/// What cannot leave the loop's thread cannot be used by another one: whoever waits for that waits in vain, and
/// that is said at once.
#[test]
fn waits_that_only_this_thread_could_end_are_said_at_once() {
    type Wait = std::pin::Pin<Box<dyn Future<Output = ()>>>;
    /// What is waited for, how many tasks are stuck, and the wait.
    type Case = (&'static str, usize, fn() -> Wait);
    let two_locks = || {
        let (one, other) = (Rc::new(Lock::new(())), Rc::new(Lock::new(())));
        let tasks = [(&one, &other), (&other, &one)].map(|(first, second)| {
            let (first, second) = (Rc::clone(first), Rc::clone(second));
            async move {
                let _first = first.lock().await;
                yield_now().await;
                let _second = second.lock().await;
            }
        });
        let [one, other] = tasks;
        async move {
            let other = spawn(other);
            one.await;
            drop(other.await);
        }
    };
    let waits: [Case; 13] = [
        ("event", 1, || Box::pin(async { Event::new().wait().await })),
        ("queue", 1, || {
            Box::pin(async {
                let _ = Queue::<()>::unbounded().get().await;
            })
        }),
        ("oneshot", 1, || {
            Box::pin(async {
                let (_sender, receiver) = sync::oneshot::channel::<()>();
                let _ = receiver.await;
            })
        }),
        ("mpsc", 1, || {
            Box::pin(async {
                let (_sender, mut receiver) = sync::mpsc::bounded::<()>(1);
                receiver.recv().await;
            })
        }),
        // Its waker is known to the channel still, where nobody waits any more.
        ("event, with an item received before", 1, || {
            Box::pin(async {
                let (sender, mut receiver) = sync::mpsc::unbounded();
                let task = spawn(async move { sender.try_send(()) });
                receiver.recv().await.unwrap();
                drop(task.await);
                Event::new().wait().await;
            })
        }),
        ("semaphore", 1, || Box::pin(async { drop(Semaphore::new(0).acquire().await) })),
        ("barrier", 1, || {
            Box::pin(async {
                let _ = Barrier::new(2).wait().await;
            })
        }),
        ("asked to end", 1, || Box::pin(task::cancelled())),
        ("a time that never comes", 1, || Box::pin(sleep(Duration::MAX))),
        ("within a limit that never comes", 1, || {
            Box::pin(async {
                let _ = timeout(Duration::MAX, Event::new().wait()).await;
            })
        }),
        ("group", 3, || {
            Box::pin(async {
                let outcome = task::group::<(), ()>(async |group| {
                    group.limit(1);
                    for _ in 0..2 {
                        group.spawn(pending::<Result<(), ()>>());
                    }
                    Ok(())
                });
                drop(outcome.await);
            })
        }),
        ("set", 2, || {
            Box::pin(async {
                let mut set = task::JoinSet::new();
                set.spawn(pending::<()>()); // whose handle is dropped
                set.next().await;
            })
        }),
        ("given up and begun again", 1, || {
            Box::pin(async {
                let event = Event::new();
                for _ in 0..3 {
                    let _ = timeout(Duration::from_secs(1), event.wait()).await;
                }
                event.wait().await;
            })
        }),
    ];
    let said_at_once = |name: &str, count: usize, wait: Wait| {
        let event_loop = virtual_loop();
        assert_eq!(stuck(event_loop.run_until_complete(wait)).len(), count, "{name}");
        let parked = event_loop.metrics().parked;
        assert!(parked < GRACE / 2, "{name}: {parked:?}");
    };
    for (name, count, wait) in waits {
        said_at_once(name, count, wait());
    }
    said_at_once("locks", 2, Box::pin(async move { two_locks().await }));
}

/// One that waits at something local, and for another thread as well, is not dead; nor does a wait that was given
/// up, inside of a run or outside, count as one.
#[test]
fn a_wait_at_something_local_hides_no_other_thread() {
    let event_loop = virtual_loop();
    let event = Event::new();
    let mut local = Box::pin(event.wait());
    let begun = poll_fn(|cx| Poll::Ready(local.as_mut().poll(cx).is_pending()));
    assert!(event_loop.run_until_complete(begun).unwrap());
    drop(local);
    for given_up in 0..3 {
        let (answer, answered) = oneshot::channel();
        let other = thread::spawn(move || {
            thread::sleep(GRACE / 8);
            answer.send(()).unwrap();
        });
        let both = async {
            for _ in 0..given_up {
                assert!(timeout(Duration::from_secs(1), event.wait()).await.is_err());
            }
            futures::future::select(Box::pin(event.wait()), answered).await;
        };
        event_loop.run_until_complete(both).unwrap();
        other.join().unwrap();
    }
}

#[test]
fn as_long_as_somebody_has_a_handle_it_waits() {
    let event_loop = virtual_loop();
    let handle = event_loop.handle();
    let (answer, answered) = oneshot::channel();
    let other = thread::spawn(move || {
        thread::sleep(SLOW);
        handle.call_soon_threadsafe(|| answer.send("posted").unwrap()).unwrap();
    });
    assert_eq!(event_loop.run_until_complete(answered).unwrap(), Ok("posted"));
    other.join().unwrap();
    assert_eq!(stuck(event_loop.run_until_complete(pending::<()>())).len(), 1, "it is gone now");
}

/// The loop sleeps without a limit by then, and hears of it.
#[test]
fn when_the_last_handle_goes_unused_the_loop_looks_again() {
    let event_loop = virtual_loop();
    let handles = [event_loop.handle(), event_loop.handle()];
    let other = thread::spawn(move || {
        for handle in handles {
            thread::sleep(Duration::from_millis(100));
            drop(handle);
        }
    });
    assert_eq!(stuck(event_loop.run_until_complete(pending::<()>())).len(), 1);
    other.join().unwrap();
}

#[test]
fn what_another_loop_does_is_waited_for() {
    let thread = ThreadBuilder::new().spawn(task::cancelled).unwrap();
    let event_loop = virtual_loop();
    let slow = thread.handle().spawn(|| async {
        sleep(SLOW).await; // in real time
        "done"
    });
    let mut slow = slow.unwrap();
    assert_eq!(event_loop.run_until_complete(&mut slow).unwrap().unwrap(), "done");
    assert_eq!(stuck(event_loop.run_until_complete(pending::<()>())).len(), 1, "it is over now");
    let never = thread.handle().spawn(pending::<()>).unwrap();
    let mut given_up = event_loop.create_task(async move {
        let mut never = Box::pin(never);
        poll_fn(|cx| {
            assert!(never.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(never);
        pending::<()>().await;
    });
    assert_eq!(stuck(event_loop.run_until_complete(given_up.join())).len(), 2, "given up");
    thread.stop();
}

#[test]
fn blocking_work_is_waited_for() {
    let event_loop = virtual_loop();
    let work = event_loop.run_in_executor(|| thread::sleep(SLOW));
    event_loop.run_until_complete(work).unwrap().unwrap();
    assert_eq!(stuck(event_loop.run_until_complete(pending::<()>())).len(), 1, "it is over now");
}

#[test]
fn the_outside_is_waited_for_by_who_waits_for_it() {
    let event_loop = virtual_loop();
    let (ours, mut theirs) = StdUnixStream::pair().unwrap();
    let mut stream = UnixStream::from_std(ours).unwrap();
    let other = thread::spawn(move || {
        thread::sleep(SLOW);
        theirs.write_all(b"x").unwrap();
        theirs
    });
    let mut byte = [0];
    event_loop.run_until_complete(stream.read_exact(&mut byte)).unwrap().unwrap();
    assert_eq!(byte, *b"x");
    // Open, registered, and awaited by nobody.
    let _theirs = other.join().unwrap();
    assert_eq!(stuck(event_loop.run_until_complete(pending::<()>())).len(), 1);
}

#[test]
fn a_watch_may_always_be_called() {
    let event_loop = virtual_loop();
    let (ours, mut theirs) = StdUnixStream::pair().unwrap();
    let (answer, answered) = oneshot::channel();
    let mut answer = Some(answer);
    let watch = event_loop.add_reader(ours, move || {
        if let Some(answer) = answer.take() {
            answer.send("readable").unwrap();
        }
    });
    let other = thread::spawn(move || {
        thread::sleep(SLOW);
        theirs.write_all(b"x").unwrap();
    });
    assert_eq!(event_loop.run_until_complete(answered).unwrap(), Ok("readable"));
    other.join().unwrap();
    drop(watch);
}

/// RUN-15: without a main future there is nothing that a run could fail to bring about.
#[test]
fn run_forever_and_the_turns_of_a_host_wait() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let (same, log) = (event_loop.clone(), trace.clone());
    let (answer, answered) = oneshot::channel();
    let other = thread::spawn(move || {
        thread::sleep(SLOW);
        answer.send(()).unwrap();
    });
    event_loop
        .create_task(async move {
            answered.await.unwrap();
            log.note("answered");
            same.stop();
        })
        .detach();
    event_loop.run_forever().unwrap();
    other.join().unwrap();
    trace.assert(&["answered"]);
    event_loop.create_task(pending::<()>()).detach();
    assert_eq!(turn(&event_loop), 1);
    let limit = Some(Duration::from_secs(1));
    assert_eq!(event_loop.turn(limit).unwrap().polled, 0, "the clock moves instead");
}

#[test]
fn stopped_while_it_waits_is_stopped_and_not_dead() {
    let event_loop = virtual_loop();
    let same = event_loop.clone();
    let outcome = event_loop.run_until_complete(async move {
        same.stop();
        pending::<()>().await;
    });
    assert!(matches!(outcome, Err(LoopError::StoppedBeforeComplete)), "{outcome:?}");
}

#[test]
fn a_runner_cleans_up_behind_a_deadlock() {
    let (runner, trace) =
        (loopbind::Runner::with(EventLoop::builder().virtual_time(true)).unwrap(), Trace::new());
    let log = trace.clone();
    let outcome = runner.run(async move {
        spawn(async move {
            task::cancelled().await;
            sleep(Duration::from_secs(1)).await;
            log.note("cleaned up");
        })
        .detach();
        pending::<()>().await;
    });
    assert_eq!(stuck(outcome).len(), 2);
    runner.close().unwrap();
    trace.assert(&["cleaned up"]);
}

#[test]
fn the_text_is_what_unwrapping_shows_too() {
    let event_loop = virtual_loop();
    let told = panic_of(|| event_loop.run_until_complete(pending::<()>()).unwrap());
    assert!(told.contains("Deadlock") && told.contains("deadlock.rs"), "{told}");
}
