//! Wakers in numbers, and wakers that throw: a crowd of threads wakes a crowd of tasks and each wake is
//! followed by a poll that sees what was written before it; and whatever of a waker's panics, whoever it
//! was given to is whole afterwards.
//!
//! `LOOPBIND_WAKES=1000` wakes a thousand times as often.

#![allow(clippy::waker_clone_wake)] // A wake by value is another way than one by reference.

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use loopbind::sync::{Event, Queue, oneshot};
use loopbind::task::{self, JoinSet};
use loopbind::{Async, EventLoop, get_running_loop, sleep, spawn, time, timeout, yield_now};
use scripted::{Moment, scripted};
use support::{Trace, note_reports, text_of, turn};

// ─── in numbers ─────────────────────────────────────────────────────────────────────────────────

const THREADS: usize = 16;
const TASKS: usize = 64;

fn rounds() -> u64 {
    let times = std::env::var("LOOPBIND_WAKES").ok().and_then(|times| times.parse().ok());
    4_000 * times.unwrap_or(1_u64)
}

/// Numbers in an order that is none.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Sixteen threads wake sixty-four tasks, in every way. Each writes a word before; when all are through, each
/// task has seen the last word that was written for it: no wake was lost, and none was early. The last of
/// them stops the loop, behind everything.
#[test]
fn sixteen_threads_wake_sixty_four_tasks_and_each_sees_the_last_word() {
    let event_loop = EventLoop::new().unwrap();
    let words: Arc<Vec<AtomicU64>> = Arc::new((0..TASKS).map(|_| AtomicU64::new(0)).collect());
    let seen: Rc<Vec<Cell<u64>>> = Rc::new((0..TASKS).map(|_| Cell::new(0)).collect());
    let polls = Rc::new(Cell::new(0_u64));
    let wakers: Rc<RefCell<Vec<Waker>>> = Rc::default();
    for number in 0..TASKS {
        let (words, seen) = (Arc::clone(&words), Rc::clone(&seen));
        let (wakers, polls) = (Rc::clone(&wakers), Rc::clone(&polls));
        event_loop
            .create_task(poll_fn(move |cx| {
                if wakers.borrow().len() == number {
                    wakers.borrow_mut().push(cx.waker().clone());
                }
                polls.set(polls.get() + 1);
                seen[number].set(words[number].load(Ordering::Relaxed));
                Poll::<()>::Pending
            }))
            .detach();
    }
    turn(&event_loop);
    let wakers = wakers.take();
    assert_eq!(wakers.len(), TASKS);
    let rounds = rounds();
    let left = Arc::new(AtomicUsize::new(THREADS));
    let threads: Vec<_> = (0..THREADS as u64)
        .map(|number| {
            let (wakers, words, left) = (wakers.clone(), Arc::clone(&words), Arc::clone(&left));
            let handle = event_loop.handle();
            thread::spawn(move || {
                let mut state = number;
                for round in 0..rounds {
                    let task = draw(&mut state) as usize % TASKS;
                    words[task].fetch_add(1, Ordering::Relaxed);
                    match round % 3 {
                        0 => wakers[task].wake_by_ref(),
                        1 => wakers[task].clone().wake(),
                        _ => drop((wakers[task].clone(), wakers[task].wake_by_ref())),
                    }
                    if round % 256 == 0 {
                        thread::yield_now();
                    }
                }
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    handle.stop();
                }
            })
        })
        .collect();
    event_loop.run_forever().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let seen: Vec<_> = seen.iter().map(Cell::get).collect();
    let words: Vec<_> = words.iter().map(|word| word.load(Ordering::Relaxed)).collect();
    assert_eq!(seen, words);
    assert_eq!(words.iter().sum::<u64>(), THREADS as u64 * rounds);
    // And none was made up: a poll too many for each wake, at the very most.
    assert!(polls.get() <= TASKS as u64 + 2 * THREADS as u64 * rounds);
}

/// Each wake is made only when the one before it was polled: as many polls as wakes, in the same order, by a
/// loop that is asleep each time or on its way there.
#[test]
fn as_many_polls_as_wakes_that_were_waited_for() {
    let rounds = rounds();
    let event_loop = EventLoop::new().unwrap();
    let (waker, wakers) = mpsc::channel::<Waker>();
    let waking = thread::spawn(move || {
        let mut count = 0;
        for waker in wakers {
            count += 1;
            waker.wake();
        }
        count
    });
    let mut polls = 0;
    let ended = event_loop.run_until_complete(poll_fn(move |cx| {
        polls += 1;
        if polls > rounds {
            return Poll::Ready(polls - 1);
        }
        waker.send(cx.waker().clone()).unwrap();
        Poll::Pending
    }));
    assert_eq!(ended.unwrap(), rounds);
    assert_eq!(waking.join().unwrap(), rounds);
}

// ─── wakers that throw ──────────────────────────────────────────────────────────────────────────

type Wait = Pin<Box<dyn Future<Output = ()>>>;

/// Something that can be waited for, again by whoever gave up or panicked, and what makes it come.
struct Thing {
    wait: Box<dyn Fn() -> Wait>,
    open: Box<dyn FnOnce()>,
}

impl Thing {
    fn new(wait: impl Fn() -> Wait + 'static, open: impl FnOnce() + 'static) -> Self {
        Thing { wait: Box::new(wait), open: Box::new(open) }
    }

    /// Of one future, which all poll in turn.
    fn of(future: impl Future<Output = ()> + 'static, open: impl FnOnce() + 'static) -> Self {
        let future = Rc::new(RefCell::new(Box::pin(future)));
        let wait = move || -> Wait {
            let future = Rc::clone(&future);
            Box::pin(poll_fn(move |cx| future.borrow_mut().as_mut().poll(cx)))
        };
        Self::new(wait, open)
    }
}

fn gate() -> (impl Future<Output = ()> + use<>, impl FnOnce() + use<>) {
    let event = Rc::new(Event::new());
    let opens = Rc::clone(&event);
    (async move { event.wait().await }, move || opens.set())
}

/// Makes one, inside a run.
type Make = fn() -> Thing;

fn things() -> Vec<(&'static str, Make)> {
    fn done<E: std::fmt::Debug>(outcome: Result<(), E>) {
        outcome.unwrap();
    }
    vec![
        ("a task", || {
            let (future, open) = gate();
            Thing::of(spawn(future).map(done), open)
        }),
        ("a join", || {
            let (future, open) = gate();
            let task = Rc::new(RefCell::new(spawn(future)));
            let wait = move || -> Wait {
                let task = Rc::clone(&task);
                Box::pin(poll_fn(move |cx| task.borrow_mut().join().poll_unpin(cx).map(done)))
            };
            Thing::new(wait, open)
        }),
        ("a shield", || {
            let (future, open) = gate();
            Thing::of(task::shield(spawn(future)).map(done), open)
        }),
        ("a set", || {
            let (future, open) = gate();
            let mut set = JoinSet::new();
            set.spawn(future);
            let set = Rc::new(RefCell::new(set));
            let wait = move || -> Wait {
                let set = Rc::clone(&set);
                #[allow(clippy::await_holding_refcell_ref)] // One waits at a time.
                Box::pin(async move { set.borrow_mut().next().await.unwrap().unwrap() })
            };
            Thing::new(wait, open)
        }),
        ("a remote task", || {
            let (sender, receiver) = futures::channel::oneshot::channel();
            let handle = get_running_loop().unwrap().handle();
            let task = handle.spawn(move || receiver.map(done)).unwrap();
            Thing::of(task.map(done), move || sender.send(()).unwrap())
        }),
        ("a sleep", || {
            let (second, event_loop) = (Duration::from_secs(1), get_running_loop().unwrap());
            Thing::of(sleep(second), move || {
                event_loop
                    .create_task(async move { time::advance(second).await.unwrap() })
                    .detach();
            })
        }),
        ("a oneshot", || {
            let (sender, receiver) = oneshot::channel();
            Thing::of(receiver.map(done), move || sender.send(()).unwrap())
        }),
        ("a queue", || {
            let queue = Rc::new(Queue::unbounded());
            let puts = Rc::clone(&queue);
            let wait = move || -> Wait {
                let queue = Rc::clone(&queue);
                Box::pin(async move { queue.get().await.unwrap() })
            };
            Thing::new(wait, move || puts.try_put(()).unwrap())
        }),
        ("a descriptor", || {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let ours = Rc::new(Async::new(ours).unwrap());
            let wait = move || -> Wait {
                let ours = Rc::clone(&ours);
                Box::pin(async move { ours.readable().await.unwrap() })
            };
            Thing::new(wait, move || (&theirs).write_all(b"x").unwrap())
        }),
    ]
}

/// What a waker that panics at `moment` does to one who waits: where the panic comes out. What was waited for
/// comes all the same, to who waits next.
fn tried(make: Make, moment: Moment) -> String {
    let (event_loop, trace) = (support::virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let armed = Rc::new(Cell::new(false));
    let arms = Rc::clone(&armed);
    let rude = scripted(move |now| assert!(!arms.get() || now != moment, "rude"));
    let heard = RefCell::new(Vec::new());
    let threw = |what: &'static str, body: &mut dyn FnMut()| {
        armed.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(body));
        armed.set(false);
        if let Err(payload) = &outcome {
            assert_eq!(text_of(&**payload), "rude");
            heard.borrow_mut().push(what);
        }
        outcome.is_err()
    };
    event_loop
        .run_until_complete(async {
            let Thing { wait, open } = make();
            let (mut waiting, mut open) = (wait(), Some(open));
            for _ in 0..3 {
                yield_now().await;
            }
            let mut cx = Context::from_waker(&rude);
            if threw("polled", &mut || assert!(waiting.as_mut().poll(&mut cx).is_pending())) {
                waiting = wait();
            }
            if moment == Moment::Drop {
                // Somebody else waits from now on, and the waker goes.
                let mut cx = Context::from_waker(Waker::noop());
                let mut polled = || assert!(waiting.as_mut().poll(&mut cx).is_pending());
                if threw("polled by another", &mut polled) {
                    waiting = wait();
                }
            }
            threw("opened", &mut || open.take().unwrap()());
            // What the loop does with it.
            armed.set(true);
            for _ in 0..5 {
                yield_now().await;
            }
            armed.set(false);
            timeout(Duration::from_secs(60), waiting).await.unwrap();
        })
        .unwrap();
    // And the loop goes on as ever.
    assert_eq!(
        event_loop.run_until_complete(async { spawn(async { 7 }).await }).unwrap().unwrap(),
        7
    );
    event_loop.close().unwrap();
    let mut heard = heard.take();
    let reports = trace.take();
    heard.extend(reports.iter().map(String::as_str));
    heard.join(", ")
}

/// A waker whose clone, wake or drop panics, given to everything that can be awaited: the panic comes out
/// where that was done, or is reported where the loop did it; what was waited for comes all the same.
#[test]
fn whatever_of_a_waker_panics_what_was_waited_for_comes() {
    let table: Vec<_> = things()
        .into_iter()
        .map(|(name, make)| {
            let outcomes =
                [Moment::Clone, Moment::Wake, Moment::Drop].map(|moment| tried(make, moment));
            format!("{name}: {}", outcomes.join(" | "))
        })
        .collect();
    let loops = "exception in a waker: rude";
    let expected = [
        format!("a task: polled | {loops} | polled by another"),
        // Each poll is a wait of its own, which goes with it.
        format!("a join: polled |  | {loops}"),
        format!("a shield: polled | {loops} | polled by another"),
        format!("a set: polled | {loops} | "),
        format!("a remote task: polled | {loops} | polled by another"),
        format!("a sleep: polled | {loops} | polled by another"),
        // Here it is woken by who sends.
        "a oneshot: polled | opened | polled by another".to_owned(),
        "a queue: polled | opened | polled by another".to_owned(),
        format!("a descriptor: polled | {loops} | "),
    ];
    assert_eq!(table, expected);
}
