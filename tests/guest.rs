//! A loop as the guest of a tokio runtime that it brings along: what is tokio's works in its tasks, and all that is
//! promised of a loop holds.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures::{FutureExt as _, select_biased};
use loopbind::net::{TcpListener, TcpStream};
use loopbind::task::cancelled;
use loopbind::{
    EventLoop, LoopError, Runner, get_bound_loop, get_event_loop, get_running_loop, loop_main,
    loop_test, loop_thread, spawn, yield_now,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

mod support;
use support::{Trace, in_child, note_reports, on_drop, panic_of};

const SHORT: Duration = Duration::from_millis(2);
const LONG: Duration = Duration::from_secs(3600);

fn guest() -> Runner {
    Runner::with(EventLoop::builder().tokio()).unwrap()
}

/// What is tokio's, and whether this is inside of a runtime's context.
fn is_at_tokio() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

#[test]
fn timers_sockets_tasks_and_blocking_work_of_tokios_are_awaited_in_ours_on_one_thread() {
    let trace = Trace::new();
    let home = thread::current().id();
    let note = trace.clone();
    loopbind::tokio::run(async {
        let kept = Rc::new(note);
        let log = Rc::clone(&kept);
        spawn(async move {
            tokio::time::sleep(SHORT).await;
            log.note("tokio's timer");
            loopbind::sleep(SHORT).await;
            log.note("our timer");
        })
        .await
        .unwrap();
        assert_eq!(tokio::spawn(async { thread::current().id() }).await.unwrap(), home);
        kept.note("tokio's task");
        let shared = Rc::clone(&kept);
        tokio::task::spawn_local(async move { shared.note("tokio's local task") }).await.unwrap();
        let elsewhere = tokio::task::spawn_blocking(|| thread::current().id()).await.unwrap();
        assert_ne!(elsewhere, home);
        kept.note("tokio's blocking work");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(b"tokio's socket").await.unwrap();
        });
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        server.await.unwrap();
        kept.note(text);
    })
    .unwrap();
    trace.assert(&[
        "tokio's timer",
        "our timer",
        "tokio's task",
        "tokio's local task",
        "tokio's blocking work",
        "tokio's socket",
    ]);
    assert!(!is_at_tokio(), "the context ends with the run");
}

/// GEL-01, RUN-01, RUN-02: in tokio's tasks, and in what drops there, the loop is found, and no run begins.
#[test]
fn what_tokio_polls_finds_the_loop_and_no_other_runs_inside() {
    let (runner, other) = (guest(), EventLoop::new().unwrap());
    let ours = runner.event_loop().clone();
    let trace = Trace::new();
    let note = trace.clone();
    runner
        .run(async move {
            let expected = ours.clone();
            let dropped = on_drop(move || assert_eq!(get_event_loop().unwrap(), expected));
            let (tell, told) = tokio::sync::oneshot::channel();
            tokio::task::spawn_local(async move {
                let _dropped = dropped;
                // The loop sleeps: it waits for this task.
                tokio::time::sleep(SHORT).await;
                assert_eq!(get_running_loop().unwrap(), ours);
                note.note(other.run_until_complete(async {}).unwrap_err().to_string());
                note.note(ours.run_until_complete(async {}).unwrap_err().to_string());
                note.note(ours.turn(None).unwrap_err().to_string());
                note.note(ours.close().unwrap_err().to_string());
                note.note(loopbind::tokio::run(async {}).unwrap_err().to_string());
                assert!(ours.is_running() && ours.current_task().is_none());
                tell.send(()).unwrap();
            });
            told.await.unwrap();
        })
        .unwrap();
    trace.assert(&[
        "Cannot run the event loop while another loop is running",
        "This event loop is already running",
        "This event loop is already running",
        "Cannot close a running event loop",
        "Cannot run the event loop while another loop is running",
    ]);
    assert!(matches!(get_running_loop(), Err(LoopError::NoRunningLoop)));
}

#[test]
fn tasks_of_both_wake_each_other_and_other_threads_wake_both() {
    let runner = guest();
    let handle = runner.event_loop().handle();
    let (to_ours, mut from_tokio) = tokio::sync::mpsc::unbounded_channel::<u32>();
    let (to_tokio, mut from_ours) = tokio::sync::mpsc::unbounded_channel::<u32>();
    let last = runner
        .run(async move {
            let task = spawn(async move {
                while let Some(number) = from_tokio.recv().await {
                    to_tokio.send(number + 1).unwrap();
                }
            });
            let theirs = tokio::spawn(async move {
                let mut number = 0;
                for _ in 0..100 {
                    to_ours.send(number).unwrap();
                    number = from_ours.recv().await.unwrap();
                }
                number
            });
            let last = theirs.await.unwrap();
            task.await.unwrap();
            // From another thread, while both sleep.
            let seven = thread::spawn(move || {
                handle.spawn(|| async { tokio::spawn(async { 7 }).await.unwrap() }).unwrap().join()
            });
            let joined = tokio::task::spawn_blocking(move || seven.join().unwrap().unwrap());
            last + joined.await.unwrap()
        })
        .unwrap();
    assert_eq!(last, 107);
}

/// What is scheduled on a loop that sleeps, by a task of its host's, on the loop's own thread.
#[test]
fn a_timer_a_callback_and_a_socket_of_ours_that_a_task_of_tokios_begins() {
    let runner = guest();
    let ours = runner.event_loop().clone();
    let trace = Trace::new();
    let note = trace.clone();
    runner
        .run(async move {
            let (tell, told) = tokio::sync::oneshot::channel();
            let theirs = tokio::task::spawn_local(async move {
                tokio::time::sleep(SHORT).await;
                loopbind::sleep(SHORT).await;
                note.note("our timer");
                let mut timer = Box::pin(loopbind::sleep(LONG));
                assert!(timer.as_mut().now_or_never().is_none());
                // Asleep for the long one by now, and told of the short one.
                tokio::time::sleep(SHORT).await;
                let (fired, fires) = tokio::sync::oneshot::channel();
                ours.call_later(SHORT, move || fired.send(()).unwrap());
                fires.await.unwrap();
                note.note("our callback");
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let knock = tokio::task::spawn_local(tokio::net::TcpStream::connect(address));
                listener.accept().await.unwrap();
                knock.await.unwrap().unwrap();
                note.note("our socket");
                tell.send(()).unwrap();
            });
            told.await.unwrap();
            theirs.await.unwrap();
        })
        .unwrap();
    trace.assert(&["our timer", "our callback", "our socket"]);
}

/// RNR-06: our tasks are asked to end while tokio goes on; then the loop is closed inside of tokio's context; then
/// tokio's tasks are dropped.
#[test]
fn the_end_cleans_up_with_tokio_then_closes_in_its_context_then_ends_it() {
    let trace = Trace::new();
    let runner = guest();
    let (a, b, c) = (trace.clone(), trace.clone(), trace.clone());
    runner
        .run(async move {
            spawn(async move {
                select_biased! {
                    () = cancelled().fuse() => a.note("told"),
                    () = pending().fuse() => unreachable!(),
                }
                tokio::time::sleep(SHORT).await;
                tokio::spawn(async {}).await.unwrap();
                a.note("cleaned up");
            });
            let ours = get_running_loop().unwrap();
            spawn(async move {
                let _at_tokio = on_drop(move || {
                    drop(tokio::spawn(async {}));
                    b.note("dropped in the context");
                });
                pending::<()>().await;
            });
            tokio::task::spawn_local(async move {
                let _last = on_drop(move || {
                    assert!(ours.is_closed());
                    c.note("tokio's task dropped behind the loop's end");
                });
                pending::<()>().await;
            });
            yield_now().await;
            tokio::time::sleep(SHORT).await;
        })
        .unwrap();
    trace.assert(&[]);
    runner.close().unwrap();
    trace.assert(&[
        "told",
        "dropped in the context",
        "cleaned up",
        "tokio's task dropped behind the loop's end",
    ]);
}

/// Closed without a run, and left to its last handle: destructors are at tokio all the same.
#[test]
fn closed_by_hand_or_dropped_the_destructors_are_in_the_context() {
    let trace = Trace::new();
    for by_hand in [true, false] {
        let event_loop = EventLoop::builder().tokio().build().unwrap();
        let note = trace.clone();
        event_loop
            .create_task(async move {
                let _dropped = on_drop(move || note.note(format!("{}", is_at_tokio())));
                tokio::time::sleep(LONG).await;
            })
            .detach();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        if by_hand {
            event_loop.close().unwrap();
            event_loop.close().unwrap();
            assert!(matches!(event_loop.turn(None), Err(LoopError::Closed)));
        }
        drop(event_loop);
        assert!(!is_at_tokio());
    }
    trace.assert(&["true", "true"]);
}

/// RNR-08: a panic leaves the run, once everything is cleaned up and the slots are as before.
#[test]
fn main_panics_in_a_guest_and_everything_is_as_before() {
    let trace = Trace::new();
    let note = trace.clone();
    let text = panic_of(move || {
        loopbind::tokio::run(async move {
            let at_tokio = note.clone();
            let _main = on_drop(move || at_tokio.note(format!("main dropped: {}", is_at_tokio())));
            spawn(async move {
                let _task = on_drop(move || note.note(format!("task dropped: {}", is_at_tokio())));
                pending::<()>().await;
            });
            tokio::time::sleep(SHORT).await;
            panic!("out of tea");
        })
    });
    assert_eq!(text, "out of tea");
    trace.assert(&["main dropped: true", "task dropped: true"]);
    assert!(get_running_loop().is_err() && get_bound_loop().is_none() && !is_at_tokio());
    assert_eq!(loopbind::tokio::run(async { 1 }).unwrap(), 1);
}

/// A panic in a task of tokio's is its handle's.
#[test]
fn a_panic_of_either_side_stays_there() {
    let trace = Trace::new();
    let runner = guest();
    note_reports(runner.event_loop(), &trace);
    let (theirs, ours) = runner
        .run(async {
            let theirs = tokio::spawn(async { panic!("tokio's") }).await.map(|(): ()| ());
            let ours = spawn(async { panic!("ours") }).await.map(|(): ()| ());
            (theirs.unwrap_err(), ours.unwrap_err())
        })
        .unwrap();
    assert_eq!(support::text_of(&*theirs.into_panic()), "tokio's");
    assert!(ours.to_string().contains("ours"), "{ours}");
    runner.close().unwrap();
    trace.assert(&[]);
}

/// RUN-03, RUN-04: inside a runtime that is there already it is refused, and nothing changes.
#[test]
fn inside_another_runtime_it_is_refused_unpolled_then_runs_outside() {
    let trace = Trace::new();
    let theirs = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runner = guest();
    let task = runner.event_loop().create_task(async { 42 });
    let probe = trace.probe("the future");
    theirs.block_on(async {
        let refused = runner.run(async move { drop(probe) }).unwrap_err();
        assert!(matches!(refused, LoopError::InsideTokio));
        trace.note(refused.to_string());
        let refused = runner.event_loop().turn(None).unwrap_err();
        assert!(matches!(refused, LoopError::InsideTokio));
        let refused = loopbind::tokio::run(async {}).unwrap_err();
        assert!(matches!(refused, LoopError::InsideTokio));
        // The end of a loop in there waits for nobody, and panics nowhere.
        let other = guest();
        other.event_loop().create_task(pending::<()>()).detach();
        other.close().unwrap();
    });
    trace.assert(&[
        "the future dropped",
        "Cannot run the event loop, and the tokio runtime it is a guest of, inside of another tokio runtime",
    ]);
    assert_eq!(runner.run(task).unwrap().unwrap(), 42);
}

#[test]
fn another_host_and_virtual_time_are_refused() {
    let event_loop = EventLoop::builder().tokio().build().unwrap();
    let refused = futures::executor::block_on(event_loop.drive()).unwrap_err();
    assert!(matches!(refused, LoopError::HasHost));
    assert_eq!(event_loop.run_until_complete(async { 1 }).unwrap(), 1);
    let refused = EventLoop::builder().tokio().virtual_time(true).build().unwrap_err();
    assert!(matches!(refused, LoopError::VirtualGuest));
}

/// WFR-01: each may limit the other.
#[test]
fn each_sides_time_out_ends_the_others_wait() {
    loopbind::tokio::run(async {
        assert!(loopbind::timeout(SHORT, tokio::time::sleep(LONG)).await.is_err());
        assert!(tokio::time::timeout(SHORT, loopbind::sleep(LONG)).await.is_err());
        let task = spawn(async { tokio::time::timeout(LONG, pending::<()>()).await });
        yield_now().await;
        task.cancel();
        assert!(task.await.unwrap_err().is_cancelled());
    })
    .unwrap();
}

/// Neither side's work that never rests keeps the other from its own.
#[test]
fn who_never_rests_starves_nobody_on_the_other_side() {
    let trace = Trace::new();
    let note = trace.clone();
    loopbind::tokio::run(async move {
        let busy = spawn(async {
            loop {
                yield_now().await;
            }
        });
        tokio::spawn(async { tokio::time::sleep(SHORT).await }).await.unwrap();
        note.note("tokio beside our busy task");
        busy.cancel();
        let busy = tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        loopbind::sleep(SHORT).await;
        spawn(loopbind::sleep(SHORT)).await.unwrap();
        note.note("we beside tokio's busy task");
        busy.abort();
    })
    .unwrap();
    trace.assert(&["tokio beside our busy task", "we beside tokio's busy task"]);
}

/// Our own sockets, seen by our own reactor, which tokio's looks at.
#[test]
fn a_server_of_ours_and_a_client_of_tokios_a_hundred_times_over() {
    loopbind::tokio::run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            while stream.read(&mut byte).await.unwrap() == 1 {
                stream.write_all(&byte).await.unwrap();
            }
        });
        let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
        for number in 0..100 {
            tokio::io::AsyncWriteExt::write_all(&mut client, &[number]).await.unwrap();
            assert_eq!(tokio::io::AsyncReadExt::read_u8(&mut client).await.unwrap(), number);
        }
        drop(client);
        server.await.unwrap();
        let mut ours = TcpStream::connect(address).await.map(|_| ());
        drop(ours.as_mut());
    })
    .unwrap();
}

/// One turn at a time, by a program that has a loop of its own; tokio has its round in each.
#[test]
fn turned_by_hand_tokio_goes_along() {
    let event_loop = EventLoop::builder().tokio().build().unwrap();
    let task = event_loop.create_task(async {
        tokio::spawn(async {}).await.unwrap();
        tokio::time::sleep(SHORT).await;
        7
    });
    let mut turns = 0;
    while !task.is_finished() {
        event_loop.turn(None).unwrap();
        turns += 1;
    }
    assert!((2..=10).contains(&turns), "{turns} turns");
    let before = Instant::now();
    event_loop.turn(Some(SHORT)).unwrap();
    assert!(before.elapsed() >= SHORT);
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 7);

    // Turns that wait for nothing: tokio has its round all the same.
    let task = event_loop.create_task(async { tokio::spawn(async { 8 }).await.unwrap() });
    (0..10).for_each(|_| _ = event_loop.turn(Some(Duration::ZERO)).unwrap());
    assert!(task.is_finished());
}

/// RUN-16, RUN-17, RUN-35.
#[test]
fn stopped_before_and_from_another_thread_while_it_sleeps() {
    let event_loop = EventLoop::builder().tokio().build().unwrap();
    event_loop.stop();
    event_loop.run_forever().unwrap();
    let handle = event_loop.handle();
    let (asleep, sleeps) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        sleeps.recv().unwrap();
        handle.stop();
    });
    event_loop.call_soon(move || asleep.send(()).unwrap());
    event_loop.run_forever().unwrap();
    other.join().unwrap();
    let trace = Trace::new();
    let note = trace.clone();
    let refused = event_loop.run_until_complete(async move {
        let _main = on_drop(move || note.note(format!("main dropped: {}", is_at_tokio())));
        get_running_loop().unwrap().stop();
        pending::<()>().await;
    });
    assert!(matches!(refused, Err(LoopError::StoppedBeforeComplete)));
    trace.assert(&["main dropped: true"]);
}

/// RNR-10, with tokio's pool: the end of a run waits for it, and not for ever; closing does not wait.
#[test]
fn blocking_work_of_tokios_is_waited_for_within_the_limit() {
    let trace = Trace::new();
    let note = trace.clone();
    let (release, gate) = mpsc::channel::<()>();
    loopbind::tokio::run(async move {
        // In the hands of the pool, and as slow as it likes.
        let (began, begins) = tokio::sync::oneshot::channel();
        drop(tokio::task::spawn_blocking(move || {
            began.send(()).unwrap();
            gate.recv().unwrap();
            note.note("over");
        }));
        begins.await.unwrap();
        release.send(()).unwrap();
    })
    .unwrap();
    trace.assert(&["over"]);

    let (release, gate) = mpsc::channel::<()>();
    let runner = guest();
    note_reports(runner.event_loop(), &trace);
    runner
        .run(async move {
            let (began, begins) = tokio::sync::oneshot::channel();
            drop(tokio::task::spawn_blocking(move || {
                began.send(()).unwrap();
                let _ = gate.recv();
            }));
            begins.await.unwrap();
        })
        .unwrap();
    assert!(runner.shutdown_timeout(SHORT).unwrap().is_empty());
    trace.assert(&["the event loop ends with blocking work of its host's that is not over"]);
    drop(release);
}

/// A loop that its own tasks hold is closed as its thread ends, in what is left of tokio's context.
#[test]
fn left_open_it_ends_with_its_thread() {
    let trace = Trace::new();
    let note = trace.clone();
    thread::spawn(move || {
        let event_loop = EventLoop::builder().tokio().build().unwrap();
        let kept = event_loop.clone();
        event_loop
            .create_task(async move {
                let _kept = kept;
                let _dropped = on_drop(move || note.note("dropped"));
                let mut listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
                listener.as_mut().unwrap().accept().await.unwrap();
            })
            .detach();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
    })
    .join()
    .unwrap();
    trace.assert(&["dropped"]);
}

/// Each descriptor goes back, the runtime's too.
#[cfg(target_os = "linux")]
#[test]
fn made_run_and_ended_many_times_it_leaves_nothing_open() {
    let output = in_child("made_run_and_ended_many_times_it_leaves_nothing_open", || {
        let once = || loopbind::tokio::run(async { tokio::time::sleep(SHORT).await }).unwrap();
        once();
        let before = support::open_descriptors();
        (0..20).for_each(|_| once());
        assert_eq!(support::open_descriptors(), before);
    });
    if let Some(output) = output {
        assert!(output.status.success(), "{}", support::said(&output));
    }
}

/// RNR-20, RNR-21: Ctrl-C while the loop sleeps at tokio cancels main, with cleanup; the process ends with 130.
#[test]
fn ctrl_c_cancels_a_guest() {
    #[loop_main(host = "tokio", ctrl_c = "cancel")]
    async fn interrupted() {
        spawn(async {
            cancelled().await;
            tokio::time::sleep(SHORT).await;
            println!("cleaned up");
            std::io::stdout().flush().unwrap();
        });
        yield_now().await;
        spawn(async {
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGINT) };
        });
        tokio::time::sleep(LONG).await;
        println!("not cancelled");
    }
    if let Some(output) = in_child("ctrl_c_cancels_a_guest", interrupted) {
        assert_eq!((output.status.code(), output.status.signal()), (Some(130), None));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("cleaned up") && !said.contains("not cancelled"), "{said}");
    }
}

/// PRC-03: a fork in a guest's run leaves the parent's reactor alone.
#[cfg(target_os = "linux")]
#[test]
fn forked_inside_a_run_the_child_leaves_and_the_parent_goes_on() {
    fn body() {
        let runner = guest();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let is_child = Rc::new(Cell::new(false));
        let flag = Rc::clone(&is_child);
        let outcome = runner.run(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            // Watched before the fork, this one by tokio, the other by us and so by tokio.
            assert!(listener.accept().now_or_never().is_none());
            let ours = TcpListener::bind("127.0.0.1:0").await.unwrap();
            assert!(ours.accept().now_or_never().is_none());
            tokio::time::sleep(SHORT).await;
            // SAFETY: a process of one thread.
            let child = unsafe { libc::fork() };
            if child == 0 {
                flag.set(true);
                // tokio would take it out of the reactor that the two share.
                std::mem::forget(listener);
                drop(ours);
                return;
            }
            let mut status = 0;
            // SAFETY: a child of ours.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "the child left as it should");
            let client = tokio::net::TcpStream::connect(address);
            let (accepted, connected) = futures::join!(listener.accept(), client);
            accepted.unwrap();
            connected.unwrap();
            // The child's drop of its runtime must not have ended the watching of ours.
            let client = tokio::net::TcpStream::connect(ours.local_addr().unwrap());
            let (accepted, connected) = futures::join!(ours.accept(), client);
            accepted.unwrap();
            connected.unwrap();
        });
        if is_child.get() {
            let told = matches!(outcome, Err(LoopError::Forked) | Ok(()));
            drop(runner);
            // SAFETY: ends the child, and nothing of the parent's.
            unsafe { libc::_exit(if told { 0 } else { 1 }) };
        }
        outcome.unwrap();
        runner.close().unwrap();
    }
    let name = "forked_inside_a_run_the_child_leaves_and_the_parent_goes_on";
    if let Some(output) = in_child(name, body) {
        assert!(output.status.success(), "{}", support::said(&output));
    }
}

#[loop_thread(host = "tokio")]
async fn worker(number: u32) -> u32 {
    tokio::spawn(async move { number }).await.unwrap()
}

#[loop_thread(spawn, host = "tokio", name = "guest")]
async fn on_its_own(number: u32) -> (u32, Option<String>) {
    tokio::time::sleep(SHORT).await;
    (number, get_running_loop().unwrap().name().map(str::to_owned))
}

#[loop_main(host = "tokio")]
fn plain() -> u32 {
    let event_loop = get_event_loop().unwrap();
    event_loop.run_until_complete(async { tokio::spawn(async { 3 }).await.unwrap() }).unwrap()
}

#[test]
fn each_attribute_has_the_option() {
    #[loop_main(name = "main", host = "tokio")]
    async fn main() -> String {
        tokio::task::yield_now().await;
        get_running_loop().unwrap().name().unwrap().to_owned()
    }
    assert_eq!(main(), "main");
    assert_eq!(worker(1), 1);
    assert_eq!(on_its_own(2).join().unwrap(), (2, Some("guest".to_owned())));
    assert_eq!(plain(), 3);
}

#[loop_test(host = "tokio", seeds = 0..8)]
async fn explored_with_seeds() {
    let order = Rc::new(RefCell::new(Vec::new()));
    let task = |number| {
        let order = Rc::clone(&order);
        spawn(async move {
            tokio::task::yield_now().await;
            order.borrow_mut().push(number);
        })
    };
    for task in [task(1), task(2)] {
        task.await.unwrap();
    }
    order.borrow_mut().sort_unstable();
    assert_eq!(*order.borrow(), [1, 2]);
}

/// The limit of a test ends a guest that sleeps at its host.
#[loop_test(host = "tokio", timeout = "20ms")]
#[should_panic(expected = "timed out after 20ms")]
async fn a_test_that_waits_at_tokio_for_ever_times_out() {
    tokio::time::sleep(LONG).await;
}

/// A poll that is told of by nobody is none: a guest that has nothing to do sleeps.
#[test]
fn a_guest_that_waits_does_not_spin() {
    let runner = guest();
    runner.run(async { tokio::time::sleep(Duration::from_millis(20)).await }).unwrap();
    let turns = runner.event_loop().metrics().turns;
    assert!(turns < 10, "{turns} turns for one sleep");
    let woken = Rc::new(Cell::new(0));
    let count = Rc::clone(&woken);
    runner
        .run(async move {
            poll_fn(|cx| {
                count.set(count.get() + 1);
                if count.get() == 5 {
                    return Poll::Ready(());
                }
                let waker = cx.waker().clone();
                thread::spawn(move || waker.wake());
                Poll::Pending
            })
            .await;
        })
        .unwrap();
    assert_eq!(woken.get(), 5);
    let outcome = catch_unwind(AssertUnwindSafe(|| drop(runner)));
    assert!(outcome.is_ok());
}
