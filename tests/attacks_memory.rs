//! What is done again and again leaves no byte behind: refusals, stops, panics, lives of loops and of
//! threads, handles and wakers that somebody keeps. And a signal's handler takes none.
//!
//! Every byte of a process is counted, so that each test has a process of its own.

// Every task by itself, for tools that watch the allocator: blocks have other sizes then.
#![cfg(all(target_os = "linux", not(feature = "plain-allocation")))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use loopbind::signal::{SignalKind, signal};
use loopbind::thread::ThreadBuilder;
use loopbind::{
    EventLoop, LoopError, Runner, Task, run, set_event_loop, sleep, spawn, spawn_blocking,
    yield_now,
};
use support::{in_good_child, on_drop, turn};

/// Counts the bytes that the process has, and how often each thread asks for some.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counters need no allocation and no
// destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn bytes() -> isize {
    BYTES.load(Ordering::Relaxed)
}

/// `round` is done `times` times, and then as often again without a byte more. What leaks does so each time;
/// the harness, which has the main thread, may come in between once.
#[track_caller]
fn leaves_nothing(times: usize, mut round: impl FnMut()) {
    let mut left = [0; 3];
    (0..times).for_each(|_| round());
    for left in &mut left {
        let before = bytes();
        (0..times).for_each(|_| round());
        *left = bytes() - before;
        if *left == 0 {
            return;
        }
    }
    panic!("bytes left by {times} rounds, and again: {left:?}");
}

// ─── again and again ────────────────────────────────────────────────────────────────────────────

/// Runs that are refused inside a run, with everything that they were given.
#[test]
fn refused_ten_thousand_times() {
    in_good_child("refused_ten_thousand_times", || {
        let (outer, inner) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        outer
            .run_until_complete(async {
                leaves_nothing(5_000, || {
                    let given = vec![0_u8; 100];
                    assert!(inner.run_until_complete(async move { drop(given) }).is_err());
                    assert!(inner.run_forever().is_err() && outer.run_forever().is_err());
                    assert!(run(pending::<()>()).is_err());
                });
            })
            .unwrap();
    });
}

/// A stop, and the one iteration that a run is then.
#[test]
fn stopped_and_run_a_hundred_thousand_times() {
    in_good_child("stopped_and_run_a_hundred_thousand_times", || {
        let event_loop = EventLoop::new().unwrap();
        event_loop.create_task(pending::<()>()).detach();
        let turns = event_loop.metrics().turns;
        leaves_nothing(50_000, || {
            event_loop.stop();
            event_loop.run_forever().unwrap();
            assert!(!event_loop.is_running());
        });
        assert!(event_loop.metrics().turns - turns >= 100_000);
    });
}

/// Runs that panic, in main, in a task and in a callback, between good ones.
#[test]
fn panicked_and_run_again() {
    in_good_child("panicked_and_run_again", || {
        let event_loop = EventLoop::new().unwrap();
        event_loop.set_exception_handler(Some(Box::new(|_, _| ())));
        leaves_nothing(500, || {
            event_loop.call_soon(|| resume_unwind(Box::new("callback")));
            event_loop.create_task(async { resume_unwind(Box::new("task")) }).detach();
            let main = async { resume_unwind(Box::new("main")) };
            assert!(
                catch_unwind(AssertUnwindSafe(|| event_loop.run_until_complete(main))).is_err()
            );
            assert_eq!(event_loop.run_until_complete(async { 7 }).unwrap(), 7);
        });
    });
}

/// Loops that are made, run, and closed or dropped, with everything alive that a loop can have.
#[test]
fn ten_thousand_lives() {
    in_good_child("ten_thousand_lives", || {
        leaves_nothing(2_500, || {
            let event_loop = EventLoop::new().unwrap();
            event_loop.run_until_complete(yield_now()).unwrap();
            event_loop.close().unwrap();
        });
        leaves_nothing(1_000, || {
            let event_loop = EventLoop::new().unwrap();
            let own = event_loop.clone();
            // Holds its own loop, and its own waker.
            event_loop
                .create_task(async move {
                    let waker = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                    sleep(Duration::from_secs(3600)).await;
                    drop((own, waker));
                })
                .detach();
            event_loop.call_later(Duration::from_secs(3600), || ());
            turn(&event_loop);
            event_loop.call_soon(|| ());
            event_loop.handle().call_soon_threadsafe(|| ()).unwrap();
            drop(event_loop.handle().spawn(pending::<()>).unwrap());
            event_loop.close().unwrap();
        });
        leaves_nothing(500, || run(async { spawn(pending::<()>()).detach() }).unwrap());
        leaves_nothing(500, || {
            let runner = Runner::new().unwrap();
            let _ = runner.run(async { spawn(yield_now()).await });
            set_event_loop(Some(runner.event_loop()));
            set_event_loop(None);
        });
    });
}

/// Threads that come one after the other, each with a loop that it closes, leaves bound, or leaves to its
/// own task.
#[test]
fn a_thousand_threads() {
    in_good_child("a_thousand_threads", || {
        leaves_nothing(100, || {
            thread::spawn(|| run(async { spawn(async { 1 }).await.unwrap() }).unwrap())
                .join()
                .unwrap();
            thread::spawn(|| drop(set_event_loop(Some(&EventLoop::new().unwrap()))))
                .join()
                .unwrap();
            let held = || {
                let event_loop = EventLoop::new().unwrap();
                let own = event_loop.clone();
                event_loop.create_task(async move {
                    pending::<()>().await;
                    drop(own);
                });
            };
            thread::spawn(held).join().unwrap();
            let panics = || {
                set_event_loop(Some(&EventLoop::new().unwrap()));
                resume_unwind(Box::new("thread"));
            };
            assert!(thread::spawn(panics).join().is_err());
            ThreadBuilder::new().spawn(|| async { 1 }).unwrap().join().unwrap();
        });
    });
}

/// A crowd of tasks that sleep is cancelled at once.
#[test]
fn a_crowd_of_sleepers_is_cancelled() {
    const CROWD: usize = 100_000;
    in_good_child("a_crowd_of_sleepers_is_cancelled", || {
        let event_loop = EventLoop::new().unwrap();
        let mut tasks: Vec<Task<()>> = Vec::with_capacity(CROWD);
        let mut round = || {
            for number in 0..CROWD as u64 {
                tasks.push(event_loop.create_task(sleep(Duration::from_secs(3600 + number % 60))));
            }
            assert_eq!(turn(&event_loop), CROWD);
            assert!(tasks.iter().all(Task::cancel));
            // Each in a turn of its own, all in one iteration.
            assert_eq!(turn(&event_loop), CROWD);
            tasks.clear();
            assert_eq!(event_loop.next_deadline(), None);
            assert_eq!(event_loop.metrics().tasks_alive, 0);
        };
        leaves_nothing(1, &mut round);
        drop(tasks);
        drop(event_loop);
        // And what the loop had kept for the next crowd is gone with it.
        assert!(bytes() < 1 << 20, "{} bytes", bytes());
    });
}

// ─── kept by somebody ───────────────────────────────────────────────────────────────────────────

/// A handle that outlives its loop is used by several threads, again and again: each call is refused, and
/// all that is kept of the loop is a little that does not grow.
#[test]
fn a_handle_is_used_for_ever_after_the_close() {
    in_good_child("a_handle_is_used_for_ever_after_the_close", || {
        let life = || {
            let event_loop = EventLoop::new().unwrap();
            for _ in 0..1_000 {
                event_loop.create_task(pending::<()>()).detach();
            }
            turn(&event_loop);
            let handle = event_loop.handle();
            event_loop.close().unwrap();
            handle
        };
        drop(life());
        let before = bytes();
        let handle = life();
        let kept = bytes() - before;
        assert!((1..2_048).contains(&kept), "{kept} bytes are kept by a handle");
        let use_it = || {
            thread::scope(|scope| {
                let threads = [(); 4].map(|()| {
                    scope.spawn(|| {
                        for _ in 0..10_000 {
                            let given = vec![0_u8; 16];
                            let refused = handle.call_soon_threadsafe(move || drop(given));
                            assert!(matches!(refused, Err(LoopError::Closed)));
                            assert!(matches!(handle.spawn(|| async {}), Err(LoopError::Closed)));
                            handle.stop();
                            assert!(handle.is_closed());
                        }
                    })
                });
                // The end of a scope does not wait for all of a thread to be over.
                threads.into_iter().for_each(|thread| thread.join().unwrap());
            });
        };
        leaves_nothing(2, use_it);
    });
}

/// Ten thousand tasks with futures of four kilobytes end while somebody keeps their wakers: what the futures
/// had is gone, their blocks stay until the wakers go, and then all is given back.
#[test]
fn wakers_are_kept_of_ten_thousand_large_tasks() {
    const TASKS: usize = 10_000;
    const FUTURE: usize = 4 << 10;
    static KEPT: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    in_good_child("wakers_are_kept_of_ten_thousand_large_tasks", || {
        *KEPT.lock().unwrap() = Vec::with_capacity(TASKS);
        let dropped = Rc::new(Cell::new(0));
        let before = bytes();
        let event_loop = EventLoop::new().unwrap();
        for _ in 0..TASKS {
            let (room, heap, counts) = ([1_u8; FUTURE], vec![1_u8; FUTURE], Rc::clone(&dropped));
            let counts = on_drop(move || counts.set(counts.get() + 1));
            event_loop
                .create_task(async move {
                    let _counts = counts;
                    poll_fn(|cx| {
                        KEPT.lock().unwrap().push(cx.waker().clone());
                        Poll::Ready(())
                    })
                    .await;
                    yield_now().await;
                    room.len() + heap.len()
                })
                .detach();
        }
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!((dropped.get(), event_loop.metrics().tasks_alive), (TASKS, 0));
        let each = (bytes() - before) / TASKS as isize;
        // The future and its block's head; not what the future had on the heap.
        assert!((FUTURE as isize..FUTURE as isize + 512).contains(&each), "{each} bytes for each");
        event_loop.close().unwrap();
        drop(event_loop);
        assert!((bytes() - before) / TASKS as isize <= each);
        let wakers = std::mem::take(&mut *KEPT.lock().unwrap());
        thread::spawn(move || wakers.into_iter().for_each(Waker::wake)).join().unwrap();
        let left = bytes() - before;
        assert!(left < 16 << 10, "{left} bytes are left");
    });
}

/// Wakers are used once more after the close, which puts nothing into a queue that would keep it, and tasks
/// that await each other are let go of by the close.
#[test]
fn woken_after_the_close_and_in_a_ring() {
    in_good_child("woken_after_the_close_and_in_a_ring", || {
        leaves_nothing(200, || {
            let event_loop = EventLoop::new().unwrap();
            let slots: [Rc<RefCell<Option<Task<()>>>>; 2] = Default::default();
            let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
            for (own, other) in [(0, 1), (1, 0)] {
                let (awaited, wakers) = (Rc::clone(&slots[other]), Rc::clone(&wakers));
                let task = event_loop.create_task(async move {
                    let own = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
                    wakers.borrow_mut().push(own);
                    let task = awaited.take().unwrap();
                    _ = task.await;
                });
                *slots[own].borrow_mut() = Some(task);
            }
            let work = event_loop.create_task(async { spawn_blocking(|| 1).await });
            turn(&event_loop);
            turn(&event_loop);
            assert_eq!(wakers.borrow().len(), 2);
            // A job that is over brings its outcome to nobody.
            event_loop.run_until_complete(work).unwrap().unwrap().unwrap();
            event_loop.close().unwrap();
            let wakers = wakers.take();
            thread::scope(|scope| {
                scope.spawn(|| wakers.iter().for_each(Waker::wake_by_ref)).join().unwrap();
            });
            wakers.into_iter().for_each(Waker::wake);
        });
    });
}

// ─── in a signal's handler ──────────────────────────────────────────────────────────────────────

/// What runs in a signal's handler, which may have interrupted the allocator itself, asks for no memory:
/// with one who listens, with several, and with a callback.
#[test]
fn a_signals_handler_takes_no_memory() {
    in_good_child("a_signals_handler_takes_no_memory", || {
        let raise = || {
            let before = ASKED.get();
            for _ in 0..1_000 {
                // SAFETY: no preconditions. Raised on this thread, it is handled before this returns.
                assert_eq!(unsafe { libc::raise(libc::SIGUSR1) }, 0);
            }
            assert_eq!(ASKED.get() - before, 0, "allocations in the handler");
        };
        let event_loop = EventLoop::new().unwrap();
        event_loop
            .run_until_complete(async {
                let mut first = signal(SignalKind::user_defined1()).unwrap();
                raise();
                first.recv().await.unwrap();
                let mut second = signal(SignalKind::user_defined1()).unwrap();
                raise();
                first.recv().await.unwrap();
                second.recv().await.unwrap();
            })
            .unwrap();
        let heard = Rc::new(Cell::new(0));
        let hears = Rc::clone(&heard);
        event_loop
            .add_signal_handler(SignalKind::user_defined1(), move || hears.set(hears.get() + 1))
            .unwrap();
        raise();
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!(heard.get(), 1, "a thousand at once are one call");
    });
}
