//! Threads with a loop of their own: started, stopped, joined, refused.

mod support;

use std::future::pending;
use std::io;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use loopbind::thread::{LoopThread, ThreadBuilder};
use loopbind::{
    EventLoop, LoopError, get_bound_loop, get_event_loop, get_running_loop, spawn, task, yield_now,
};
use support::{Bomb, Trace, in_child, on_drop, said, text_of};

/// A body that listens, and says once that it does.
fn listening(thread: ThreadBuilder) -> LoopThread<&'static str> {
    let (ready, is_ready) = mpsc::channel();
    let body = move || async move {
        let mut asked = std::pin::pin!(task::cancelled());
        std::future::poll_fn(|cx| {
            let polled = asked.as_mut().poll(cx);
            let _ = ready.send(());
            polled
        })
        .await;
        yield_now().await;
        "last words"
    };
    let thread = thread.spawn(body).unwrap();
    is_ready.recv().unwrap();
    thread
}

/// The loop is made and bound before `spawn` returns: its handle works at once, and what it is given
/// runs on that thread.
#[test]
fn started_then_its_loop_is_bound_and_its_handle_works() {
    let thread = listening(ThreadBuilder::new());
    let (running, bound, id) = thread
        .handle()
        .spawn(|| async {
            let running = get_running_loop().unwrap();
            let bound = get_bound_loop().is_some_and(|bound| bound == running);
            (running.id(), bound, thread::current().id())
        })
        .unwrap()
        .join()
        .unwrap();
    assert!(bound && running == thread.handle().id());
    assert_eq!(id, thread.thread().id());
    assert_ne!(id, thread::current().id());
    thread.stop();
    assert_eq!(thread.join().unwrap(), "last words");
}

/// The body is made on its thread, inside the run, and need not be `Send`; its value comes back.
#[test]
fn the_body_is_made_on_its_thread_and_its_value_comes_back() {
    let thread = ThreadBuilder::new().spawn(|| {
        assert!(get_running_loop().is_ok() && task::current().is_some());
        let not_send = Rc::new(7);
        async move {
            yield_now().await;
            *not_send
        }
    });
    assert_eq!(thread.unwrap().join().unwrap(), 7);
}

/// Stopped: a body that listens is told, cleans up, and has the value it returns.
#[test]
fn stopped_then_a_body_that_listens_ends_by_itself() {
    let thread = listening(ThreadBuilder::new());
    thread.stop();
    thread.stop();
    assert_eq!(thread.join().unwrap(), "last words");
}

/// Stopped: a body that does not listen is dropped, on its thread, and `join` says why.
#[test]
fn stopped_then_a_body_that_does_not_listen_is_dropped() {
    let trace = Trace::new();
    let log = trace.clone();
    let (ready, is_ready) = mpsc::channel();
    let thread = ThreadBuilder::new()
        .spawn(move || async move {
            let _probe = log.probe("body");
            let cleanup = log.clone();
            spawn(async move {
                task::cancelled().await;
                cleanup.note("child cleaned up");
            })
            .detach();
            yield_now().await;
            ready.send(()).unwrap();
            pending::<()>().await;
        })
        .unwrap();
    is_ready.recv().unwrap();
    thread.stop();
    let payload = thread.join().unwrap_err();
    let error = payload.downcast::<LoopError>().unwrap();
    assert!(matches!(*error, LoopError::StoppedBeforeComplete));
    trace.assert(&["body dropped", "child cleaned up"]);
}

/// Stopped while its body is being made, inside its first step: it is dropped at its first
/// suspension.
#[test]
fn stopped_while_its_body_is_made_is_dropped_at_its_first_suspension() {
    let (release, gate) = mpsc::channel::<()>();
    let (busy, is_busy) = mpsc::channel();
    let thread = ThreadBuilder::new()
        .spawn(move || {
            busy.send(()).unwrap();
            gate.recv().unwrap();
            pending::<()>()
        })
        .unwrap();
    is_busy.recv().unwrap();
    thread.stop();
    release.send(()).unwrap();
    assert!(thread.join().unwrap_err().is::<LoopError>());
}

/// Stopped after its end: nothing happens.
#[test]
fn stopped_after_the_end_changes_nothing() {
    let thread = ThreadBuilder::new().spawn(|| async { 7 }).unwrap();
    while !thread.is_finished() {
        thread::yield_now();
    }
    thread.stop();
    assert!(thread.handle().is_closed());
    assert!(matches!(thread.handle().call_soon_threadsafe(|| {}), Err(LoopError::Closed)));
    assert_eq!(thread.join().unwrap(), 7);
}

/// A body whose loop is stopped by `stop` of the loop itself ends as any run does then.
#[test]
fn the_loops_own_stop_ends_the_body_as_stopped() {
    let thread = ThreadBuilder::new()
        .spawn(|| async {
            get_running_loop().unwrap().stop();
            pending::<()>().await;
        })
        .unwrap();
    let error = thread.join().unwrap_err().downcast::<LoopError>().unwrap();
    assert!(matches!(*error, LoopError::StoppedBeforeComplete));
}

/// A panic of the body, or of what makes it, comes back as its payload, and the loop was closed.
#[test]
fn a_panic_comes_back_as_its_payload_and_the_loop_was_closed() {
    let thread = ThreadBuilder::new().spawn(|| async { panic!("body") }).unwrap();
    let handle = thread.handle().clone();
    assert_eq!(text_of(&*LoopThread::<()>::join(thread).unwrap_err()), "body");
    assert!(handle.is_closed());
    let made = ThreadBuilder::new().spawn(|| -> std::future::Ready<()> { panic!("maker") });
    assert_eq!(text_of(&*made.unwrap().join().unwrap_err()), "maker");
    let any = ThreadBuilder::new().spawn(|| async { std::panic::panic_any(7_u8) }).unwrap();
    let payload = LoopThread::<()>::join(any).unwrap_err();
    assert_eq!(payload.downcast_ref::<u8>(), Some(&7));
}

/// Dropping it detaches the thread, which runs to its end.
#[test]
fn dropped_then_the_thread_runs_to_its_end() {
    let (sender, receiver) = mpsc::channel();
    let (release, gate) = futures::channel::oneshot::channel::<()>();
    drop(ThreadBuilder::new().spawn(move || async move {
        gate.await.unwrap();
        sender.send("ended").unwrap();
    }));
    release.send(()).unwrap();
    assert_eq!(receiver.recv().unwrap(), "ended");
}

/// The name is the thread's, and the loop's where its builder has none.
#[test]
fn named_for_thread_and_loop() {
    let thread = listening(ThreadBuilder::new().name("io"));
    assert_eq!((thread.thread().name(), thread.handle().name()), (Some("io"), Some("io")));
    assert!(format!("{thread:?}").contains("io"));
    thread.stop();
    thread.join().unwrap();
    let builder = EventLoop::builder().name("reactor");
    let thread = listening(ThreadBuilder::new().name("io").event_loop(builder));
    assert_eq!((thread.thread().name(), thread.handle().name()), (Some("io"), Some("reactor")));
    thread.stop();
    thread.join().unwrap();
    let nameless = listening(ThreadBuilder::new());
    assert_eq!((nameless.thread().name(), nameless.handle().name()), (None, None));
    nameless.stop();
    nameless.join().unwrap();
}

/// What its builder says of the loop is what the loop is.
#[test]
fn the_loop_is_as_its_builder_says() {
    let builder = EventLoop::builder().virtual_time(true);
    let thread = ThreadBuilder::new().event_loop(builder).stack_size(1 << 20).spawn(|| async {
        loopbind::sleep(std::time::Duration::from_secs(86_400)).await;
        get_event_loop().unwrap().id()
    });
    let thread = thread.unwrap();
    let id = thread.handle().id();
    assert_eq!(thread.join().unwrap(), id);
}

/// A name that no thread can have is an error that says so, and nothing was started.
#[test]
fn a_nul_in_the_name_is_an_error_that_says_so() {
    let trace = Trace::new();
    let probe = trace.clone();
    let guard = on_drop(move || probe.note("body dropped"));
    let refused = ThreadBuilder::new().name("a\0b").spawn(move || async move { drop(guard) });
    let Err(LoopError::Io(error)) = refused.map(|_| ()) else { panic!() };
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), "a thread's name cannot contain a NUL byte: \"a\\0b\"");
    trace.assert(&["body dropped"]);
}

/// A core that does not exist is an error that names it; a thread that was started for it is gone by
/// then, and nothing of the body ran.
#[cfg(target_os = "linux")]
#[test]
fn a_core_that_does_not_exist_is_an_error_that_names_it() {
    for core in [1_000, 1_000_000] {
        let trace = Trace::new();
        let log = trace.clone();
        let refused = ThreadBuilder::new().core(core).spawn(move || {
            log.note("ran");
            async {}
        });
        let Err(LoopError::Io(error)) = refused.map(|_| ()) else { panic!("core {core}") };
        assert!(error.to_string().contains(&format!("core {core}")), "{error}");
        trace.assert(&[]);
    }
}

/// A thread on a core of its own runs there and nowhere else.
#[cfg(target_os = "linux")]
#[test]
fn a_thread_on_a_core_runs_there() {
    // One that this process may use: the first of those the system says are allowed.
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let allowed = |status: &str| -> String {
        let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list:")).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let first: usize = allowed(&status).split([',', '-']).next().unwrap().parse().unwrap();
    let thread = ThreadBuilder::new()
        .core(first)
        .spawn(|| async { std::fs::read_to_string("/proc/thread-self/status").unwrap() });
    assert_eq!(allowed(&thread.unwrap().join().unwrap()), first.to_string());
}

/// A stack no system gives is an error, not a panic.
#[test]
fn a_stack_that_cannot_be_had_is_an_error() {
    let refused = ThreadBuilder::new().stack_size(usize::MAX / 4).spawn(|| async {});
    assert!(matches!(refused.map(|_| ()), Err(LoopError::Io(_))));
}

/// Blocking work and tasks of the thread are over by the time `join` returns.
#[test]
fn joined_then_nothing_of_the_thread_is_left() {
    let trace = Trace::new();
    let log = trace.clone();
    let thread = ThreadBuilder::new().spawn(move || async move {
        let (probe, work) = (log.probe("task"), log.clone());
        spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        })
        .detach();
        drop(loopbind::spawn_blocking(move || {
            thread::sleep(std::time::Duration::from_millis(2));
            work.note("work ended");
        }));
        yield_now().await;
    });
    thread.unwrap().join().unwrap();
    let mut events = trace.take();
    events.sort();
    assert_eq!(events, ["task dropped", "work ended"]);
}

/// Threads start threads, and each has its own loop.
#[test]
fn threads_start_threads_each_with_its_own_loop() {
    let outer = ThreadBuilder::new().spawn(|| async {
        let ours = get_running_loop().unwrap().id();
        let inner =
            ThreadBuilder::new().spawn(|| async { get_running_loop().unwrap().id() }).unwrap();
        let theirs = loopbind::spawn_blocking(move || inner.join().unwrap()).await.unwrap();
        ours != theirs
    });
    assert!(outer.unwrap().join().unwrap());
}

/// An outcome that nobody reads and that panics as it is dropped, a value or a panic's payload, is caught
/// and said, whether the handle or the thread goes first.
#[test]
fn an_unread_outcome_that_panics_as_it_drops_is_caught_and_said() {
    let test = "an_unread_outcome_that_panics_as_it_drops_is_caught_and_said";
    let output = in_child(test, || {
        let over = |thread: &LoopThread<Bomb>| {
            while !thread.is_finished() {
                thread::yield_now();
            }
        };
        let thread = ThreadBuilder::new().spawn(|| async { Bomb("read by none") }).unwrap();
        over(&thread);
        drop(thread);
        let thread = ThreadBuilder::new().spawn(|| async {
            std::panic::panic_any(Bomb("thrown to none"));
            #[allow(unreachable_code)]
            Bomb("")
        });
        let thread = thread.unwrap();
        over(&thread);
        drop(thread);

        for payload in [false, true] {
            let (go, wait) = mpsc::channel::<()>();
            let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
            let before = threads();
            let thread = ThreadBuilder::new().spawn(move || async move {
                let _ = wait.recv();
                match payload {
                    false => Bomb("given to none"),
                    true => std::panic::panic_any(Bomb("thrown away")),
                }
            });
            let thread = thread.unwrap();
            assert_ne!(thread.thread().id(), thread::current().id());
            drop(thread);
            go.send(()).unwrap();
            // Nobody can join it; it is over when it is gone.
            while threads() > before {
                thread::yield_now();
            }
        }
    });
    let Some(output) = output else { return };
    assert!(output.status.success(), "{}", said(&output));
    let said = said(&output);
    assert_eq!(
        said.matches("exception in the destructor of a thread's output").count(),
        2,
        "{said}"
    );
    assert_eq!(said.matches("Thread exception was never retrieved").count(), 2, "{said}");
    for text in ["read by none", "given to none"] {
        assert!(said.contains(&format!("panic: {text}")), "{said}");
    }
}

/// A thread that was stopped, and whose handle is dropped, ended as it was told: nothing to report.
#[test]
fn a_stopped_thread_that_nobody_joins_is_not_reported() {
    let output = in_child("a_stopped_thread_that_nobody_joins_is_not_reported", || {
        let thread = ThreadBuilder::new().spawn(pending::<()>).unwrap();
        thread.stop();
        while !thread.is_finished() {
            thread::yield_now();
        }
        drop(thread);
    });
    let Some(output) = output else { return };
    let said = said(&output);
    assert!(output.status.success() && !said.contains("loopbind:"), "{said}");
}

/// What is joined is the very payload, and the thread is over by then, its destructors of thread-locals
/// included.
#[test]
fn joined_then_the_thread_is_really_over() {
    thread_local!(static LAST: std::cell::RefCell<Option<Box<dyn std::any::Any>>> = const { std::cell::RefCell::new(None) });
    let trace = Trace::new();
    let log = trace.clone();
    let thread = ThreadBuilder::new().spawn(move || async move {
        LAST.set(Some(Box::new(on_drop(move || {
            thread::sleep(std::time::Duration::from_millis(20));
            log.note("thread-local dropped");
        }))));
        "value"
    });
    assert_eq!(thread.unwrap().join().unwrap(), "value");
    trace.assert(&["thread-local dropped"]);
}
