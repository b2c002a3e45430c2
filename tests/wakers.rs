//! Wakers: cloned, woken and dropped on any thread, before, during and after everything; at most one
//! poll too many, never one too few, and nothing of the user's is dropped away from home.

#![allow(clippy::waker_clone_wake)] // A wake by value is another way than one by reference.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, Task, spawn, yield_now};
use support::{Trace, turn};

/// Where a task leaves its waker.
type Slot = Rc<RefCell<Option<Waker>>>;

/// A future that leaves its waker in `slot` at each poll, notes the poll, and is done after `polls`.
fn noting(slot: &Slot, trace: &Trace, polls: u32) -> impl Future<Output = ()> + 'static {
    let (slot, trace, mut polled) = (Rc::clone(slot), trace.clone(), 0);
    poll_fn(move |cx| {
        polled += 1;
        trace.note(format!("poll {polled}"));
        *slot.borrow_mut() = Some(cx.waker().clone());
        if polled == polls { Poll::Ready(()) } else { Poll::Pending }
    })
}

/// Everything a waker can do, on a thread that is not the loop's.
fn use_elsewhere(waker: Waker) {
    thread::spawn(move || {
        let clone = waker.clone();
        clone.wake_by_ref();
        clone.wake();
        waker.clone().wake();
        drop(waker.clone());
        waker.wake_by_ref();
        drop(waker);
    })
    .join()
    .unwrap();
}

// ─── when ───────────────────────────────────────────────────────────────────────────────────────

/// What a waiter's waker calls as a task ends is nobody's step: the task is over.
#[test]
fn woken_by_the_end_of_a_task_nobody_is_current() {
    struct Asks(Mutex<Vec<bool>>);
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            self.0.lock().unwrap().push(loopbind::task::current().is_some());
        }
    }
    let (event_loop, asks) = (EventLoop::new().unwrap(), Arc::new(Asks(Mutex::default())));
    let asked = Waker::from(Arc::clone(&asks));
    for name in ["", "named"] {
        let mut task = match name {
            "" => event_loop.create_task(yield_now()),
            name => event_loop.task_builder().name(name).spawn(yield_now()),
        };
        let main = async {
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&asked)).is_pending())
        };
        event_loop.run_until_complete(main).unwrap();
        turn(&event_loop);
        turn(&event_loop);
        task.try_result().unwrap().unwrap();
    }
    assert_eq!(*asks.0.lock().unwrap(), [false, false]);
}

/// Woken from another thread: many wakes before the next turn are one poll.
#[test]
fn woken_elsewhere_many_times_is_polled_once() {
    let (event_loop, trace, slot) = (EventLoop::new().unwrap(), Trace::new(), Slot::default());
    event_loop.create_task(noting(&slot, &trace, 9)).detach();
    turn(&event_loop);
    use_elsewhere(slot.take().unwrap());
    for _ in 0..3 {
        turn(&event_loop);
    }
    trace.assert(&["poll 1", "poll 2"]);
}

/// Woken elsewhere while it is queued here, and here while it is posted there: one poll too many at
/// most.
#[test]
fn woken_here_and_elsewhere_is_polled_once_or_twice() {
    for here_first in [true, false] {
        let (event_loop, trace, slot) = (EventLoop::new().unwrap(), Trace::new(), Slot::default());
        event_loop.create_task(noting(&slot, &trace, 9)).detach();
        turn(&event_loop);
        let waker = slot.take().unwrap();
        let elsewhere = waker.clone();
        event_loop.call_soon(move || {
            if here_first {
                waker.wake_by_ref();
                use_elsewhere(elsewhere);
            } else {
                use_elsewhere(elsewhere);
                waker.wake_by_ref();
            }
        });
        for _ in 0..4 {
            turn(&event_loop);
        }
        let polls = trace.take().len() - 1;
        assert!((1..=2).contains(&polls), "{polls} polls");
    }
}

/// Woken elsewhere during the poll: polled again.
#[test]
fn woken_elsewhere_during_the_poll_is_polled_again() {
    let event_loop = EventLoop::new().unwrap();
    let mut polls = 0;
    let done = event_loop
        .run_until_complete(poll_fn(move |cx| {
            polls += 1;
            if polls == 1_000 {
                return Poll::Ready(polls);
            }
            let waker = cx.waker().clone();
            // Joined: the wake has happened by the time this poll returns.
            if polls % 100 == 0 {
                thread::spawn(move || waker.wake()).join().unwrap();
            } else {
                waker.wake();
            }
            Poll::Pending
        }))
        .unwrap();
    assert_eq!(done, 1_000);
}

/// After its task ended, in whatever way, a waker does nothing.
#[test]
fn woken_after_the_end_does_nothing() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    for end in ["completes", "is cancelled", "panics"] {
        let slot = Slot::default();
        let first = noting(&slot, &trace, 2);
        let mut task = event_loop.create_task(async move {
            first.await;
            if end == "panics" {
                panic!();
            }
        });
        turn(&event_loop);
        let early = slot.borrow().clone().unwrap();
        if end == "is cancelled" {
            task.cancel();
        } else {
            slot.take().unwrap().wake();
        }
        turn(&event_loop);
        assert!(task.is_finished());
        let polls = task.info().polls;
        trace.take();
        early.wake_by_ref();
        use_elsewhere(early.clone());
        let shared = early.clone();
        event_loop.call_soon(move || shared.wake());
        turn(&event_loop);
        turn(&event_loop);
        early.wake();
        assert_eq!(task.info().polls, polls, "{end}");
        drop(task.try_result());
    }
    trace.assert(&[]);
}

/// After its loop closed, was dropped, and its thread ended: still nothing.
#[test]
fn woken_after_close_after_drop_and_after_the_thread_ended_does_nothing() {
    let (event_loop, trace, slot) = (EventLoop::new().unwrap(), Trace::new(), Slot::default());
    event_loop.create_task(noting(&slot, &trace, 9)).detach();
    turn(&event_loop);
    let waker = slot.take().unwrap();
    event_loop.close().unwrap();
    use_elsewhere(waker.clone());
    drop(event_loop);
    use_elsewhere(waker.clone());
    waker.wake();
    trace.assert(&["poll 1"]);

    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let event_loop = EventLoop::new().unwrap();
        let same = event_loop.clone();
        event_loop
            .create_task(poll_fn(move |cx| {
                let _keeps_its_loop = &same;
                sender.send(cx.waker().clone()).unwrap();
                Poll::<()>::Pending
            }))
            .detach();
        turn(&event_loop);
    })
    .join()
    .unwrap();
    let waker = receiver.recv().unwrap();
    use_elsewhere(waker.clone());
    waker.wake();
}

/// Kept in a thread-local, and woken by its destructor, after the loop's own storage is gone.
#[test]
fn woken_by_a_destructor_of_the_ending_thread_does_nothing() {
    struct WakeOnDrop(RefCell<Option<Waker>>);
    impl Drop for WakeOnDrop {
        fn drop(&mut self) {
            if let Some(waker) = self.0.take() {
                waker.wake_by_ref();
                waker.clone().wake();
            }
        }
    }
    thread_local! {
        static KEPT: WakeOnDrop = const { WakeOnDrop(RefCell::new(None)) };
    }
    for kept_first in [true, false] {
        thread::spawn(move || {
            if kept_first {
                KEPT.with(|_| {});
            }
            let event_loop = EventLoop::new().unwrap();
            let same = event_loop.clone();
            event_loop
                .create_task(poll_fn(move |cx| {
                    let _keeps_its_loop = &same;
                    KEPT.with(|kept| *kept.0.borrow_mut() = Some(cx.waker().clone()));
                    Poll::<()>::Pending
                }))
                .detach();
            turn(&event_loop);
        })
        .join()
        .unwrap();
    }
}

/// Woken from outside of a run, on the loop's own thread: the next run polls.
#[test]
fn woken_on_its_own_thread_between_runs_is_polled_by_the_next() {
    let (event_loop, trace, slot) = (EventLoop::new().unwrap(), Trace::new(), Slot::default());
    event_loop.create_task(noting(&slot, &trace, 2)).detach();
    turn(&event_loop);
    slot.take().unwrap().wake();
    assert!(event_loop.turn(Some(std::time::Duration::ZERO)).unwrap().polled == 1);
    trace.assert(&["poll 1", "poll 2"]);
}

/// Woken while another loop of the same thread runs: polled on its own loop, when that runs.
#[test]
fn woken_inside_another_loops_run_is_polled_on_its_own() {
    let (ours, theirs, trace) =
        (EventLoop::new().unwrap(), EventLoop::new().unwrap(), Trace::new());
    let slot = Slot::default();
    let task = ours.create_task(noting(&slot, &trace, 2));
    turn(&ours);
    theirs.call_soon(move || slot.take().unwrap().wake());
    turn(&theirs);
    turn(&theirs);
    trace.assert(&["poll 1"]);
    turn(&ours);
    trace.assert(&["poll 2"]);
    assert!(task.is_finished());
}

/// A waker of a run's main future that outlives its run reaches no later run's.
#[test]
fn a_late_wake_of_one_main_future_never_reaches_the_next() {
    let event_loop = EventLoop::new().unwrap();
    let kept: Slot = Slot::default();
    let slot = Rc::clone(&kept);
    event_loop
        .run_until_complete(poll_fn(move |cx| {
            *slot.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        }))
        .unwrap();
    for elsewhere in [false, true] {
        let waker = kept.borrow().clone().unwrap();
        let polls = Cell::new(0);
        let later = event_loop.clone();
        event_loop.stop();
        event_loop
            .run_until_complete(poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::<()>::Pending
            }))
            .unwrap_err();
        assert_eq!(polls.get(), 1);
        // In the middle of a run, too.
        event_loop.call_soon(move || {
            if elsewhere {
                use_elsewhere(waker)
            } else {
                waker.wake()
            }
            let stop = later.clone();
            later.call_soon(move || {
                let last = stop.clone();
                stop.call_soon(move || last.stop());
            });
        });
        polls.set(0);
        event_loop
            .run_until_complete(poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::<()>::Pending
            }))
            .unwrap_err();
        assert_eq!(polls.get(), 1, "polled at its start, and by nobody's waker");
    }
}

/// A waker of a main future that was stopped before it was done points to no stack that is gone:
/// whatever is done with it later, nothing is polled.
#[test]
fn a_waker_of_a_stopped_main_future_is_harmless() {
    let event_loop = EventLoop::new().unwrap();
    let (slot, trace) = (Slot::default(), Trace::new());
    let borrowed = String::from("on the stack");
    event_loop.stop();
    event_loop
        .run_until_complete(poll_fn(|cx| {
            trace.note(borrowed.as_str());
            *slot.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }))
        .unwrap_err();
    drop(borrowed);
    let waker = slot.take().unwrap();
    waker.wake_by_ref();
    turn(&event_loop);
    use_elsewhere(waker);
    turn(&event_loop);
    trace.assert(&["on the stack"]);
}

// ─── identity, memory ───────────────────────────────────────────────────────────────────────────

/// `will_wake` knows its own, in clones and across polls, and no other.
#[test]
fn will_wake_is_true_for_the_same_task_and_false_for_others() {
    let event_loop = EventLoop::new().unwrap();
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    let tasks: Vec<Task<()>> = (0..2)
        .map(|_| {
            let wakers = Rc::clone(&wakers);
            event_loop.create_task(poll_fn(move |cx| {
                assert!(cx.waker().will_wake(&cx.waker().clone()));
                wakers.borrow_mut().push(cx.waker().clone());
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        })
        .collect();
    turn(&event_loop);
    turn(&event_loop);
    let wakers = wakers.take();
    let [a1, b1, a2, b2] = &wakers[..] else { panic!("two tasks, polled twice") };
    assert!(a1.will_wake(a2) && b1.will_wake(b2));
    assert!(!a1.will_wake(b1) && !b2.will_wake(a2));
    drop(tasks);
}

/// An output that is not `Send` and that nobody took is dropped at home, though the last reference
/// to its task is a waker on another thread; and so is the future.
#[test]
fn the_last_reference_elsewhere_finds_nothing_to_drop() {
    let (event_loop, trace, slot) = (EventLoop::new().unwrap(), Trace::new(), Slot::default());
    let (future, output) = (trace.probe("future"), trace.probe("output"));
    let kept = Rc::clone(&slot);
    let task = event_loop.create_task(async move {
        let _future = future;
        poll_fn(|cx| {
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        output
    });
    turn(&event_loop);
    trace.assert(&["future dropped"]);
    drop(task);
    trace.assert(&["output dropped"]);
    let waker = slot.take().unwrap();
    drop(event_loop);
    thread::spawn(move || drop(waker)).join().unwrap();
    trace.assert(&[]);
}

/// A task that owns its own waker, or its own handle, is freed by its end, and by close.
#[test]
fn a_task_that_owns_its_own_waker_or_handle_is_freed() {
    for ends in [true, false] {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (probe, mut own) = (trace.probe("future"), None);
        let handle: Rc<RefCell<Option<Task<()>>>> = Rc::default();
        let inside = Rc::clone(&handle);
        let task = event_loop.create_task(poll_fn(move |cx| {
            let _keep = (&probe, &inside);
            if own.replace(cx.waker().clone()).is_some() && ends {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        *handle.borrow_mut() = Some(task);
        drop(handle);
        turn(&event_loop);
        turn(&event_loop);
        event_loop.close().unwrap();
        trace.assert(&["future dropped"]);
    }
}

/// The waker that awaits a task is dropped at the task's end, not with its memory.
#[test]
fn the_waker_of_who_awaits_is_dropped_at_the_end() {
    struct Counted(Arc<AtomicUsize>);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let event_loop = EventLoop::new().unwrap();
    for cancelled in [false, true] {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = Arc::new(Counted(Arc::clone(&wakes)));
        let waker = Waker::from(Arc::clone(&counted));
        let (sender, receiver) = futures::channel::oneshot::channel::<()>();
        let mut task = event_loop.create_task(receiver);
        event_loop
            .run_until_complete(async {
                let mut cx = Context::from_waker(&waker);
                for _ in 0..3 {
                    assert!(Pin::new(&mut task).poll(&mut cx).is_pending());
                }
            })
            .unwrap();
        drop(waker);
        assert_eq!(Arc::strong_count(&counted), 2, "one for the task, however often it was polled");
        if cancelled {
            task.cancel();
        } else {
            sender.send(()).unwrap();
        }
        turn(&event_loop);
        assert!(task.is_finished());
        assert_eq!((Arc::strong_count(&counted), wakes.load(Ordering::SeqCst)), (1, 1));
    }
}

// ─── races ──────────────────────────────────────────────────────────────────────────────────────

/// What was written before a wake is seen by the poll after it, though the wake found the task woken
/// already: relaxed stores, many threads, and the last word of each must arrive.
#[test]
fn what_was_written_before_a_wake_is_seen_and_no_wake_is_lost() {
    const THREADS: usize = 4;
    const ROUNDS: u64 = 5_000;
    let event_loop = EventLoop::new().unwrap();
    let words: Arc<Vec<AtomicU64>> = Arc::new((0..THREADS).map(|_| AtomicU64::new(0)).collect());
    let (sender, receiver) = mpsc::channel::<Waker>();
    let threads: Vec<_> = (0..THREADS)
        .map(|i| {
            let words = Arc::clone(&words);
            let (mine, wakers) = mpsc::channel::<Waker>();
            let thread = thread::spawn(move || {
                let waker = wakers.recv().unwrap();
                for word in 1..=ROUNDS {
                    words[i].store(word, Ordering::Relaxed);
                    if word % 2 == 0 {
                        waker.wake_by_ref()
                    } else {
                        waker.clone().wake()
                    }
                    if word % 64 == 0 {
                        thread::yield_now();
                    }
                }
            });
            (mine, thread)
        })
        .collect();
    let mut channels: Vec<_> = threads.iter().map(|(mine, _)| mine.clone()).collect();
    let seen = event_loop
        .run_until_complete(poll_fn(move |cx| {
            for mine in channels.drain(..) {
                mine.send(cx.waker().clone()).unwrap();
            }
            let seen: Vec<u64> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
            if seen.iter().all(|&word| word == ROUNDS) { Poll::Ready(seen) } else { Poll::Pending }
        }))
        .unwrap();
    assert_eq!(seen, [ROUNDS; THREADS]);
    for (_, thread) in threads {
        thread.join().unwrap();
    }
    drop((sender, receiver));
}

/// A ping-pong across threads through nothing but wakers and relaxed words: each side goes on only
/// if it saw the other's word, so a lost wake or a stale read would hang it.
#[test]
fn a_ping_pong_of_words_and_wakes_between_two_loops_ends() {
    const ROUNDS: u64 = 3_000;
    struct Court {
        word: AtomicU64,
        wakers: [Mutex<Option<Waker>>; 2],
    }
    let court = Arc::new(Court { word: AtomicU64::new(0), wakers: Default::default() });
    let play = |side: usize| {
        let court = Arc::clone(&court);
        move || {
            poll_fn(move |cx| {
                *court.wakers[side].lock().unwrap() = Some(cx.waker().clone());
                let word = court.word.load(Ordering::Acquire);
                if word >= ROUNDS {
                    let other = court.wakers[1 - side].lock().unwrap().take();
                    other.into_iter().for_each(Waker::wake);
                    return Poll::Ready(word);
                }
                if word % 2 == side as u64 {
                    court.word.store(word + 1, Ordering::Release);
                    let other = court.wakers[1 - side].lock().unwrap().take();
                    other.into_iter().for_each(Waker::wake);
                }
                Poll::Pending
            })
        }
    };
    let sides: Vec<_> =
        (0..2).map(|side| ThreadBuilder::new().spawn(play(side)).unwrap()).collect();
    for side in sides {
        assert_eq!(side.join().unwrap(), ROUNDS);
    }
}

/// Three threads wake and clone and drop the wakers of tasks whose loop ends meanwhile, over and over.
#[test]
fn wakes_race_with_the_end_of_the_loop() {
    const WAKERS: usize = 3;
    for round in 0..150 {
        let (barrier, over) =
            (Arc::new(Barrier::new(WAKERS + 1)), Arc::new(AtomicBool::new(false)));
        let event_loop = EventLoop::new().unwrap();
        let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
        for _ in 0..4 {
            let wakers = Rc::clone(&wakers);
            event_loop
                .create_task(poll_fn(move |cx| {
                    let mut wakers = wakers.borrow_mut();
                    if wakers.len() < 4 {
                        wakers.push(cx.waker().clone());
                    }
                    Poll::<()>::Pending
                }))
                .detach();
        }
        turn(&event_loop);
        let threads: Vec<_> = (0..WAKERS)
            .map(|_| {
                let wakers = wakers.borrow().clone();
                let (barrier, over) = (Arc::clone(&barrier), Arc::clone(&over));
                thread::spawn(move || {
                    barrier.wait();
                    for i in 0.. {
                        for waker in &wakers {
                            if i % 2 == 0 { waker.wake_by_ref() } else { waker.clone().wake() }
                        }
                        if over.load(Ordering::Acquire) {
                            break;
                        }
                    }
                })
            })
            .collect();
        barrier.wait();
        for _ in 0..round % 7 {
            turn(&event_loop);
        }
        if round % 2 == 0 {
            event_loop.close().unwrap();
        }
        drop(event_loop);
        over.store(true, Ordering::Release);
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

/// Tasks that end while other threads hold and use their last wakers.
#[test]
fn wakes_race_with_the_end_of_their_tasks() {
    let event_loop = EventLoop::new().unwrap();
    let (sender, receiver) = mpsc::channel::<Waker>();
    let waking = thread::spawn(move || {
        let mut count = 0;
        for waker in receiver {
            waker.wake_by_ref();
            let clone = waker.clone();
            drop(waker);
            clone.wake();
            count += 1;
        }
        count
    });
    let trace = Trace::new();
    for _ in 0..2_000 {
        let sender = sender.clone();
        let probe = trace.probe("x");
        let task = event_loop.create_task(async move {
            let _probe = probe;
            let mut polled = false;
            poll_fn(|cx| {
                sender.send(cx.waker().clone()).unwrap();
                if std::mem::replace(&mut polled, true) { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        });
        event_loop.run_until_complete(task).unwrap().unwrap();
    }
    drop(sender);
    assert!(waking.join().unwrap() >= 4_000);
    assert_eq!(trace.take().len(), 2_000);
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// A waker that is kept for ever costs its memory and nothing else.
#[test]
fn a_waker_kept_for_ever_costs_its_memory_and_nothing_else() {
    static KEPT: Mutex<Vec<Waker>> = Mutex::new(Vec::new());
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let probe = trace.probe("future");
    let task = event_loop.create_task(async move {
        let _probe = probe;
        poll_fn(|cx| {
            KEPT.lock().unwrap().push(cx.waker().clone());
            Poll::Ready(())
        })
        .await;
        pending::<()>().await;
    });
    turn(&event_loop);
    task.cancel();
    turn(&event_loop);
    trace.assert(&["future dropped"]);
}

/// A wake that runs user code: the waker of an awaiting future that spawns, schedules and cancels
/// from inside, while the loop tells of a task's end.
#[test]
fn a_waker_may_use_the_loop_that_wakes_it() {
    struct Busy(Trace);
    impl Wake for Busy {
        fn wake(self: Arc<Self>) {
            let event_loop = loopbind::get_running_loop().unwrap();
            event_loop.call_soon(self.0.noting("scheduled"));
            spawn(ready(())).cancel();
            assert!(event_loop.close().is_err());
            self.0.note("woken");
        }
    }
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let mut task = event_loop.create_task(yield_now());
    let waker = Waker::from(Arc::new(Busy(trace.clone())));
    event_loop
        .run_until_complete(async {
            assert!(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending());
        })
        .unwrap();
    turn(&event_loop);
    turn(&event_loop);
    trace.assert(&["woken", "scheduled"]);
}
