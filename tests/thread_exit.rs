//! The end of a thread and of the process: loops are closed by it, at home, and whatever a destructor of
//! a thread-local calls gets a typed answer.
//!
//! A panic in such a destructor is the end of the process, so that each test has one of its own.

mod support;

use std::cell::RefCell;
use std::future::pending;
use std::sync::mpsc::{self, Receiver, Sender};
use std::task::Waker;
use std::thread;
use std::time::Duration;

use loopbind::{
    BlockingTask, EventLoop, Handle, LoopError, LoopHandle, RemoteTask, Runner, Task, TaskError,
    TimerHandle, get_bound_loop, get_event_loop, get_running_loop, main_loop, run, set_event_loop,
    sleep, spawn, spawn_blocking, yield_now,
};
use support::{Trace, in_child, in_good_child, on_drop, panic_of, said};

/// A thread-local of the user's, that calls what it was given when its thread ends.
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

impl AtExit {
    const fn new() -> Self {
        AtExit(RefCell::new(None))
    }
}

// Destructors run in the reverse order of initialisation, in which the loop's own thread-local, touched
// in between, is destroyed in between.
thread_local! {
    static FIRST: AtExit = const { AtExit::new() };
    static SECOND: AtExit = const { AtExit::new() };
}

/// When the destructor of a thread-local runs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    /// The user's was initialised after the loop's: the loop's is whole.
    Before,
    /// The user's was initialised before the loop's: the loop's is gone.
    After,
    /// The thread never had to do with loops.
    Never,
}

/// Runs a thread in whose end, at `moment`, `call` is called with what `prepare` gave.
fn at_exit<T: 'static, R: Send + 'static>(
    moment: Moment,
    prepare: impl FnOnce() -> T + Send + 'static,
    call: impl FnOnce(T) -> R + Send + 'static,
) -> R {
    let (sender, receiver): (Sender<R>, Receiver<R>) = mpsc::channel();
    let body = move || {
        let hook = match moment {
            Moment::Before => &SECOND,
            Moment::After | Moment::Never => &FIRST,
        };
        if moment != Moment::Before {
            FIRST.with(|_| ());
        }
        if moment != Moment::Never {
            assert_eq!(get_bound_loop(), None, "touches the loop's thread-local");
        }
        let prepared = prepare();
        hook.with(|hook| {
            *hook.0.borrow_mut() = Some(Box::new(move || sender.send(call(prepared)).unwrap()));
        });
    };
    thread::Builder::new().name("ending".into()).spawn(body).unwrap().join().unwrap();
    receiver.recv().unwrap()
}

/// One of everything that hangs on a loop, with tasks that tell when they are dropped.
struct Everything {
    event_loop: EventLoop,
    tasks: [Task<()>; 2],
    soon: Handle,
    timer: TimerHandle,
    handle: LoopHandle,
    waker: Waker,
    remote: RemoteTask<()>,
    blocking: BlockingTask<i32>,
}

impl Everything {
    fn new(dropped: &Sender<(&'static str, thread::ThreadId)>) -> Self {
        let event_loop = EventLoop::new().unwrap();
        let tell = |name: &'static str| {
            let dropped = dropped.clone();
            on_drop(move || dropped.send((name, thread::current().id())).unwrap())
        };
        let (first, (waker, kept)) = (tell("first"), mpsc::channel());
        let first = event_loop.create_task(async move {
            let _first = first;
            let own = std::future::poll_fn(|cx| std::task::Poll::Ready(cx.waker().clone())).await;
            waker.send(own).unwrap();
            pending::<()>().await;
        });
        let remote = tell("remote");
        let remote = event_loop.handle().spawn(move || async move {
            let _remote = remote;
            pending::<()>().await;
        });
        event_loop.run_until_complete(async { yield_now().await }).unwrap();
        let second = tell("second");
        let second = event_loop.create_task(async move {
            let _second = second;
        });
        let (soon, timer) = (tell("callback"), tell("timer"));
        Everything {
            tasks: [first, second],
            soon: event_loop.call_soon(move || drop(soon)),
            timer: event_loop.call_later(Duration::from_secs(3600), move || drop(timer)),
            handle: event_loop.handle(),
            waker: kept.recv().unwrap(),
            remote: remote.unwrap(),
            blocking: event_loop.run_in_executor(|| 1),
            event_loop,
        }
    }
}

/// A user's thread-local holds one of everything, initialised before the loop's or after: the thread
/// ends well, and each is dropped once, at home.
#[test]
fn everything_is_held_by_a_thread_local_and_dropped_once_at_home() {
    in_good_child("everything_is_held_by_a_thread_local_and_dropped_once_at_home", || {
        for moment in [Moment::Before, Moment::After] {
            let (dropped, told) = mpsc::channel();
            let home = at_exit(
                moment,
                move || Everything::new(&dropped),
                |everything| {
                    drop(everything);
                    thread::current().id()
                },
            );
            let told: Vec<_> = told.iter().collect();
            let names = ["callback", "timer", "first", "remote", "second"];
            assert_eq!(told, names.map(|name| (name, home)), "{moment:?}");
        }
    });
}

/// The same, used before it is dropped: in a destructor that runs before the loop's everything works as
/// ever; in one that runs after, the loop is closed and says so.
#[test]
fn everything_is_used_in_the_destructor_of_a_thread_local() {
    in_good_child("everything_is_used_in_the_destructor_of_a_thread_local", || {
        let (dropped, told) = mpsc::channel();
        at_exit(
            Moment::Before,
            move || Everything::new(&dropped),
            |held| {
                let Everything { event_loop, tasks: [first, second], .. } = held;
                assert!(!event_loop.is_closed());
                held.waker.wake();
                assert!(held.handle.call_soon_threadsafe(|| ()).is_ok());
                assert!(first.cancel());
                let (ended, done, blocking) = event_loop
                    .run_until_complete(async { (first.await, second.await, held.blocking.await) })
                    .unwrap();
                assert!(ended.unwrap_err().is_cancelled());
                done.unwrap();
                assert_eq!(blocking.unwrap(), 1);
                held.soon.cancel();
                held.timer.cancel();
                held.remote.cancel();
                event_loop.close().unwrap();
                assert!(held.remote.join().unwrap_err().is_cancelled());
            },
        );
        assert_eq!(told.iter().count(), 5);

        let (dropped, told) = mpsc::channel();
        at_exit(
            Moment::After,
            move || Everything::new(&dropped),
            |held| {
                let Everything { event_loop, tasks: [first, mut second], .. } = held;
                assert!(event_loop.is_closed() && !event_loop.is_running());
                held.waker.wake_by_ref();
                held.waker.wake();
                let refused = held.handle.call_soon_threadsafe(|| ()).unwrap_err();
                assert!(matches!(refused, LoopError::Closed));
                assert!(first.is_finished() && !first.cancel());
                assert!(second.try_result().unwrap().unwrap_err().is_cancelled());
                held.soon.cancel();
                held.timer.cancel();
                assert!(!held.remote.cancel());
                assert!(held.remote.join().unwrap_err().is_cancelled());
                drop(held.blocking);
                assert!(matches!(event_loop.run_forever(), Err(LoopError::Closed)));
                assert!(matches!(event_loop.turn(None), Err(LoopError::Closed)));
                event_loop.close().unwrap();
                event_loop.stop();
                assert_eq!(panic_of(|| event_loop.call_soon(|| ())), "Event loop is closed");
                assert_eq!(panic_of(|| event_loop.create_task(async {})), "Event loop is closed");
                assert!(format!("{event_loop:?} {first:?}").contains("closed: true"));
            },
        );
        assert_eq!(told.iter().count(), 5);
    });
}

/// Lookup, binding, making and running in a destructor that runs before the loop's: all as ever.
#[test]
fn looked_up_bound_and_run_in_a_destructor_before_the_loops() {
    in_good_child("looked_up_bound_and_run_in_a_destructor_before_the_loops", || {
        let prepare = || {
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            event_loop
        };
        let handles = at_exit(Moment::Before, prepare, |bound| {
            assert!(get_running_loop().is_err());
            assert_eq!(get_event_loop().unwrap(), bound);
            assert_eq!(set_event_loop(None).unwrap(), bound);
            let refused = get_event_loop().unwrap_err().to_string();
            assert_eq!(refused, "There is no current event loop in thread 'ending'.");
            let guard = bound.bind();
            assert_eq!(get_event_loop().unwrap(), bound);
            let made = EventLoop::new().unwrap();
            assert_eq!(
                made.run_until_complete(async { spawn(async { 2 }).await }).unwrap().unwrap(),
                2
            );
            assert_eq!(run(async { spawn_blocking(|| 3).await }).unwrap().unwrap(), 3);
            assert!(main_loop().is_none());
            // Left bound, forgotten and held by their own tasks, for the loop's own destructor.
            std::mem::forget(guard);
            let own = made.clone();
            made.create_task(async move {
                pending::<()>().await;
                drop(own);
            })
            .detach();
            [bound.handle(), made.handle()]
        });
        assert!(handles.iter().all(LoopHandle::is_closed));
    });
}

/// The same in one that runs after: typed errors, a panic with the error's text where there is no
/// `Result`, and nothing is left open.
#[test]
fn looked_up_bound_and_run_in_a_destructor_after_the_loops() {
    in_good_child("looked_up_bound_and_run_in_a_destructor_after_the_loops", || {
        const TEXT: &str = "this thread is exiting: its event loop is gone";
        fn exiting<T>(outcome: Result<T, LoopError>) -> bool {
            outcome.err().is_some_and(|error| {
                matches!(error, LoopError::ThreadExiting) && error.to_string() == TEXT
            })
        }
        let prepare = || {
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            event_loop
        };
        at_exit(Moment::After, prepare, |bound| {
            assert!(exiting(get_event_loop()));
            assert!(matches!(get_running_loop(), Err(LoopError::NoRunningLoop)));
            assert_eq!(get_bound_loop(), None);
            assert_eq!(set_event_loop(Some(&bound)), None);
            assert_eq!(set_event_loop(None), None);
            assert!(exiting(EventLoop::new()) && exiting(Runner::new()));
            assert!(exiting(run(async { unreachable!("no loop") })));
            assert_eq!(panic_of(|| bound.bind()), TEXT);
            assert_eq!(panic_of(|| spawn(async {})), "no running event loop");
            assert_eq!(panic_of(|| spawn_blocking(|| ())), "no running event loop");
            assert!(main_loop().is_none() && loopbind::task::current().is_none());
            drop((sleep(Duration::from_secs(1)), yield_now(), loopbind::time::now()));
        });
    });
}

/// A thread that never had to do with loops, and whose destructors are the first to: it has no loop,
/// and may make one even then, which its end closes.
#[test]
fn looked_up_and_run_for_the_first_time_in_a_destructor() {
    in_good_child("looked_up_and_run_for_the_first_time_in_a_destructor", || {
        let (text, handle) = at_exit(
            Moment::Never,
            || (),
            |()| {
                let text = get_event_loop().unwrap_err().to_string();
                assert_eq!(run(async { spawn(async { 4 }).await }).unwrap().unwrap(), 4);
                let left = EventLoop::new().unwrap();
                set_event_loop(Some(&left));
                (text, left.handle())
            },
        );
        assert_eq!(text, "There is no current event loop in thread 'ending'.");
        assert!(handle.is_closed());
    });
}

/// PRC-06: a loop that is left bound when its thread ends is closed by that: its tasks are dropped
/// there, in order of creation, and whoever waits elsewhere is released.
#[test]
fn left_bound_with_a_hundred_tasks_and_closed_by_the_threads_end() {
    in_good_child("left_bound_with_a_hundred_tasks_and_closed_by_the_threads_end", || {
        let (dropped, told) = mpsc::channel();
        let started = thread::spawn(move || {
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            for number in 0..100 {
                let dropped = dropped.clone();
                let held = on_drop(move || dropped.send((number, thread::current().id())).unwrap());
                event_loop
                    .create_task(async move {
                        let _held = held;
                        sleep(Duration::from_secs(3600)).await;
                    })
                    .detach();
            }
            event_loop.run_until_complete(yield_now()).unwrap();
            let remote = event_loop.handle().spawn(pending::<()>).unwrap();
            (thread::current().id(), event_loop.handle(), remote)
        });
        let (home, handle, remote) = started.join().unwrap();
        assert!(handle.is_closed());
        assert!(remote.join().unwrap_err().is_cancelled());
        let told: Vec<_> = told.iter().collect();
        assert_eq!(told, (0..100).map(|number| (number, home)).collect::<Vec<_>>());
    });
}

/// A loop that only its own tasks hold lives until its thread ends, and debug mode says that it was not
/// closed.
#[test]
fn held_by_its_own_task_until_the_threads_end_and_debug_mode_says_so() {
    let test = "held_by_its_own_task_until_the_threads_end_and_debug_mode_says_so";
    let child = in_child(test, || {
        for debug in [false, true] {
            let (dropped, told) = mpsc::channel();
            let (go, wait) = mpsc::channel::<()>();
            let (sender, handle) = mpsc::channel();
            let thread = thread::spawn(move || {
                let event_loop = EventLoop::builder().debug(debug).build().unwrap();
                let (own, tells) = (event_loop.clone(), on_drop(move || dropped.send(()).unwrap()));
                event_loop
                    .create_task(async move {
                        let _held = (own, tells);
                        pending::<()>().await;
                    })
                    .detach();
                sender.send(event_loop.handle()).unwrap();
                drop(event_loop);
                wait.recv().unwrap();
            });
            let handle = handle.recv().unwrap();
            assert!(!handle.is_closed() && told.try_recv().is_err());
            go.send(()).unwrap();
            thread.join().unwrap();
            assert!(handle.is_closed());
            told.recv().unwrap();
            eprintln!("debug {debug}: loop {:?}", handle.id());
        }
    });
    let Some(child) = child else { return };
    assert!(child.status.success(), "{}", said(&child));
    let err = String::from_utf8_lossy(&child.stderr).into_owned();
    let (quiet, loud) = err.split_once("debug false").unwrap();
    assert!(!quiet.contains("was not closed"), "{err}");
    assert!(loud.contains("was not closed before its thread ended"), "{err}");
}

/// Destructors of tasks that the end of a thread drops find the loop's thread-local gone, and may call
/// what they like; those that panic are reported, and the process lives.
#[test]
fn destructors_of_tasks_call_and_panic_while_the_thread_ends() {
    let test = "destructors_of_tasks_call_and_panic_while_the_thread_ends";
    let child = in_child(test, || {
        let (sender, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            let (own, sender_of_second) = (event_loop.clone(), sender.clone());
            let calls = on_drop(move || {
                assert!(matches!(get_event_loop(), Err(LoopError::ThreadExiting)));
                assert!(matches!(EventLoop::new(), Err(LoopError::ThreadExiting)));
                assert_eq!(set_event_loop(None), None);
                assert!(own.is_closed());
                own.close().unwrap();
                assert!(matches!(own.run_forever(), Err(LoopError::Closed)));
                own.call_soon(|| unreachable!("taken and dropped"));
                let mut late = own.create_task(async {});
                assert!(matches!(late.try_result(), Some(Err(TaskError::LoopClosed))));
                sender.send("called").unwrap();
                panic!("first");
            });
            event_loop
                .create_task(async move {
                    let _calls = calls;
                    pending::<()>().await;
                })
                .detach();
            event_loop.call_soon({
                let held = on_drop(|| panic!("callback"));
                move || drop(held)
            });
            event_loop
                .create_task(async move {
                    let _second = on_drop(move || sender_of_second.send("second").unwrap());
                    pending::<()>().await;
                })
                .detach();
            event_loop.run_until_complete(async {}).unwrap_or(());
        });
        thread.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), ["called", "second"]);
    });
    let Some(child) = child else { return };
    assert!(child.status.success(), "{}", said(&child));
    let err = String::from_utf8_lossy(&child.stderr).into_owned();
    assert!(err.contains("loopbind: Task exception was never retrieved\npanic: first"), "{err}");
}

/// A thread that ends in a panic, with a loop bound and tasks pending, ends in that one panic.
#[test]
fn panicked_with_a_loop_bound_and_the_payload_arrives() {
    in_good_child("panicked_with_a_loop_bound_and_the_payload_arrives", || {
        let (dropped, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            let held = on_drop(move || dropped.send(()).unwrap());
            event_loop
                .create_task(async move {
                    let _held = held;
                    pending::<()>().await;
                })
                .detach();
            let _guard = event_loop.bind();
            event_loop.run_until_complete(async { std::panic::resume_unwind(Box::new("the one")) })
        });
        let payload = thread.join().map(|_: Result<(), _>| ()).unwrap_err();
        assert_eq!(support::text_of(&*payload), "the one");
        told.recv().unwrap();
    });
}

/// A waker, a handle and a remote task leave their thread before it ends, and are used and dropped after.
#[test]
fn used_elsewhere_after_the_thread_ended() {
    in_good_child("used_elsewhere_after_the_thread_ended", || {
        let (dropped, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let everything = Everything::new(&dropped);
            let Everything { waker, handle, remote, blocking, .. } = everything;
            (waker, handle, remote, blocking, thread::current().id())
        });
        let (waker, handle, remote, blocking, home) = thread.join().unwrap();
        assert!(told.iter().all(|(_, at)| at == home));
        waker.wake_by_ref();
        waker.wake();
        assert!(handle.is_closed());
        handle.stop();
        assert!(matches!(handle.spawn(|| async {}), Err(LoopError::Closed)));
        assert!(remote.join().unwrap_err().is_cancelled());
        let other = EventLoop::new().unwrap();
        assert_eq!(other.run_until_complete(blocking).unwrap().unwrap(), 1);
    });
}

/// `exit` from a coroutine, a callback, a destructor, a handler, a closing loop, blocking work and
/// another thread: the process ends with its code.
#[test]
fn the_process_exits_from_anywhere_with_its_code() {
    fn bound() -> EventLoop {
        let event_loop = EventLoop::new().unwrap();
        set_event_loop(Some(&event_loop));
        event_loop.create_task(pending::<()>()).detach();
        event_loop.call_later(Duration::from_secs(3600), || ());
        event_loop
    }
    fn leave<T>() -> T {
        std::process::exit(3)
    }
    let places: [(&str, fn()); 8] = [
        ("coroutine", || bound().run_until_complete(async { leave() }).unwrap()),
        ("task", || {
            let event_loop = bound();
            event_loop.create_task(async { leave::<()>() }).detach();
            event_loop.run_forever().unwrap();
        }),
        ("callback", || {
            let event_loop = bound();
            event_loop.call_soon(leave::<()>);
            event_loop.run_forever().unwrap();
        }),
        ("destructor", || {
            let event_loop = bound();
            let held = on_drop(leave::<()>);
            event_loop.call_soon(move || drop(held)).cancel();
        }),
        ("close", || {
            let event_loop = bound();
            let held = on_drop(leave::<()>);
            event_loop.call_soon(move || drop(held));
            event_loop.close().unwrap();
        }),
        ("handler", || {
            let event_loop = bound();
            event_loop.set_exception_handler(Some(Box::new(|_, _| leave())));
            event_loop.call_soon(|| std::panic::resume_unwind(Box::new(())));
            event_loop.run_forever().unwrap();
        }),
        ("blocking work", || {
            bound()
                .run_until_complete(async { spawn_blocking(leave::<()>).await })
                .unwrap()
                .unwrap();
        }),
        ("another thread", || {
            let handle = bound().handle();
            let thread = thread::spawn(move || {
                bound().run_until_complete(async { handle.is_closed() }).unwrap();
                leave::<()>()
            });
            thread.join().unwrap();
        }),
    ];
    let test = "the_process_exits_from_anywhere_with_its_code";
    for (place, body) in places {
        let Some(child) = support::in_child_with(test, Some(place), body) else { continue };
        assert_eq!(child.status.code(), Some(3), "{place}: {}", said(&child));
    }
}

/// `exit` inside a run: the thread's destructors are called with the loop still running, before the
/// loop's own and after, and are answered like anything else that it calls.
#[test]
fn the_process_exits_inside_a_run_and_thread_locals_are_answered() {
    let test = "the_process_exits_inside_a_run_and_thread_locals_are_answered";
    let child = in_child(test, || {
        let answers = |name: &'static str| {
            Box::new(move || {
                let running = get_running_loop().unwrap();
                let answers = [
                    get_event_loop().is_ok_and(|found| found == running),
                    matches!(running.close(), Err(LoopError::CloseWhileRunning)),
                    matches!(running.run_forever(), Err(LoopError::AlreadyRunning)),
                    matches!(run(async {}), Err(LoopError::AnotherLoopRunning { .. })),
                    !spawn(async {}).is_finished(),
                    running.handle().call_soon_threadsafe(|| ()).is_ok(),
                ];
                println!("{name}: {}", answers == [true; 6]);
            })
        };
        FIRST.with(|hook| *hook.0.borrow_mut() = Some(answers("initialised first")));
        let event_loop = EventLoop::new().unwrap();
        set_event_loop(Some(&event_loop));
        SECOND.with(|hook| *hook.0.borrow_mut() = Some(answers("initialised last")));
        event_loop.run_until_complete(async { std::process::exit(3) }).unwrap()
    });
    let Some(child) = child else { return };
    assert_eq!(child.status.code(), Some(3), "{}", said(&child));
    let out = String::from_utf8_lossy(&child.stdout).into_owned();
    assert!(out.contains("initialised last: true\ninitialised first: true"), "{}", said(&child));
}

/// What runs when the process ends, after the thread's destructors, may look for a loop.
#[cfg(unix)]
#[test]
fn looked_up_in_an_exit_handler_of_the_process() {
    extern "C" fn handler() {
        let answered = matches!(
            get_event_loop(),
            Err(LoopError::ThreadExiting | LoopError::NoCurrentLoop { .. })
        );
        let none = get_running_loop().is_err() && get_bound_loop().is_none();
        println!("handler: {}", answered && none && main_loop().is_none());
    }
    unsafe extern "C" {
        fn atexit(handler: extern "C" fn()) -> std::ffi::c_int;
    }
    let test = "looked_up_in_an_exit_handler_of_the_process";
    let child = in_child(test, || {
        // SAFETY: the handler is a function of the program's.
        assert_eq!(unsafe { atexit(handler) }, 0);
        let event_loop = EventLoop::new().unwrap();
        set_event_loop(Some(&event_loop));
        std::process::exit(0)
    });
    let Some(child) = child else { return };
    assert!(child.status.success(), "{}", said(&child));
    assert!(String::from_utf8_lossy(&child.stdout).contains("handler: true"), "{}", said(&child));
}

/// A key of the system's own kind is destroyed after every thread-local of Rust's: a lookup there is
/// answered, also in a thread that never had to do with loops.
#[cfg(unix)]
#[test]
fn looked_up_in_the_destructor_of_a_key_of_the_systems() {
    use std::ffi::{c_int, c_uint, c_void};
    unsafe extern "C" {
        fn pthread_key_create(key: *mut c_uint, drop: extern "C" fn(*mut c_void)) -> c_int;
        fn pthread_setspecific(key: c_uint, value: *const c_void) -> c_int;
    }
    extern "C" fn destroyed(value: *mut c_void) {
        // SAFETY: made from a box below, and given out once.
        let sender = unsafe { Box::from_raw(value.cast::<Sender<bool>>()) };
        let answers = [
            matches!(get_event_loop(), Err(LoopError::ThreadExiting)),
            matches!(EventLoop::new(), Err(LoopError::ThreadExiting)),
            matches!(run(async {}), Err(LoopError::ThreadExiting)),
            matches!(get_running_loop(), Err(LoopError::NoRunningLoop)),
            get_bound_loop().is_none() && main_loop().is_none(),
        ];
        sender.send(answers == [true; 5]).unwrap();
    }
    in_good_child("looked_up_in_the_destructor_of_a_key_of_the_systems", || {
        for touches in [true, false] {
            let (sender, answered) = mpsc::channel::<bool>();
            let thread = thread::spawn(move || {
                let mut key = 0;
                let value = Box::into_raw(Box::new(sender)).cast_const();
                // SAFETY: the system's signatures; the value is a box that `destroyed` takes.
                unsafe {
                    assert_eq!(pthread_key_create(&mut key, destroyed), 0);
                    assert_eq!(pthread_setspecific(key, value.cast()), 0);
                }
                if touches {
                    set_event_loop(Some(&EventLoop::new().unwrap()));
                }
            });
            thread.join().unwrap();
            assert!(answered.recv().unwrap(), "touches: {touches}");
        }
    });
}

/// A runner and a guard in a thread-local: dropped in the thread's end, before the loop's and after.
#[test]
fn a_runner_and_a_guard_are_held_by_a_thread_local() {
    in_good_child("a_runner_and_a_guard_are_held_by_a_thread_local", || {
        for moment in [Moment::Before, Moment::After] {
            let (dropped, told) = mpsc::channel();
            let prepare = move || {
                let runner = Runner::new().unwrap();
                let held = on_drop(move || dropped.send(()).unwrap());
                runner
                    .run(async {
                        spawn(async move {
                            let _held = held;
                            pending::<()>().await;
                        })
                        .detach();
                        yield_now().await;
                    })
                    .unwrap();
                let guard = runner.event_loop().bind();
                (runner, guard)
            };
            at_exit(moment, prepare, |(runner, guard)| {
                let handle = runner.event_loop().handle();
                drop(runner);
                assert!(handle.is_closed());
                drop(guard);
            });
            assert_eq!(told.iter().count(), 1, "{moment:?}");
        }
    });
}

/// Two loops of one thread are closed in the order in which they were made, and the task of one may use
/// the other's handle meanwhile.
#[test]
fn two_loops_are_closed_in_order_of_creation_by_the_threads_end() {
    in_good_child("two_loops_are_closed_in_order_of_creation_by_the_threads_end", || {
        let (sender, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let loops = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
            for (own, other, name) in [(1, 0, "second"), (0, 1, "first")] {
                let (sender, other) = (sender.clone(), loops[other].handle());
                let kept = loops[own].clone();
                let held = on_drop(move || sender.send((name, other.is_closed())).unwrap());
                loops[own]
                    .create_task(async move {
                        let _held = (held, kept);
                        pending::<()>().await;
                    })
                    .detach();
            }
        });
        thread.join().unwrap();
        assert_eq!(told.iter().collect::<Vec<_>>(), [("first", false), ("second", true)]);
    });
}

/// The trace of a thread's end, start to finish: the user's thread-local initialised last, then the
/// loop's with its tasks, then the one initialised first.
#[test]
fn a_threads_end_in_order() {
    in_good_child("a_threads_end_in_order", || {
        let (sender, told) = mpsc::channel();
        let thread = thread::spawn(move || {
            let trace = Trace::new();
            let say = move |what: &'static str| {
                let (sender, trace) = (sender.clone(), trace.clone());
                move || {
                    trace.note(what);
                    sender.send(what).unwrap();
                }
            };
            FIRST.with(|hook| *hook.0.borrow_mut() = Some(Box::new(say("initialised first"))));
            let event_loop = EventLoop::new().unwrap();
            set_event_loop(Some(&event_loop));
            let held = on_drop(say("task"));
            event_loop
                .create_task(async move {
                    let _held = held;
                    pending::<()>().await;
                })
                .detach();
            SECOND.with(|hook| *hook.0.borrow_mut() = Some(Box::new(say("initialised last"))));
        });
        thread.join().unwrap();
        let told: Vec<_> = told.iter().collect();
        assert_eq!(told, ["initialised last", "task", "initialised first"]);
    });
}
