//! Wasteful and hostile programs: crowds, floods, and work for nothing. What else comes is served within a stated
//! number of iterations and of entries. Counted, not timed: a slow machine has the same numbers. Single tasks that
//! never rest stand in `fairness.rs`.

#![cfg(unix)]

mod support;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::signal::SignalKind;
use loopbind::{Async, EventLoop, get_running_loop, sleep, spawn, yield_now};
use support::turn;

fn running() -> EventLoop {
    get_running_loop().unwrap()
}

// ─── what keeps a loop busy ─────────────────────────────────────────────────────────────────────

/// What keeps a loop busy. Its threads end with it.
struct Hog {
    /// How many entries it takes of an iteration at most.
    share: u64,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Hog {
    fn of(share: u64) -> Self {
        Hog { share, is_over: Arc::default(), threads: Vec::new() }
    }

    fn thread(&mut self, body: impl FnOnce(&AtomicBool) + Send + 'static) {
        let is_over = Arc::clone(&self.is_over);
        self.threads.push(thread::spawn(move || body(&is_over)));
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}

/// How many calls each thread of a flood has on their way.
const IN_FLIGHT: usize = 32;

fn starts() {
    spawn(async { starts() }).detach();
}

fn posts() {
    running().handle().call_soon_threadsafe(posts).unwrap();
}

fn sets_and_cancels() {
    for seconds in 0..200 {
        running().call_later(Duration::from_secs(seconds), || ()).cancel();
    }
    running().call_soon(sets_and_cancels);
}

/// Sets it going.
type Make = fn(&EventLoop) -> Hog;

const HOGS: &[(&str, Make)] = &[
    ("a hundred tasks that give way", |event_loop| {
        for _ in 0..100 {
            event_loop
                .create_task(async {
                    loop {
                        yield_now().await;
                    }
                })
                .detach();
        }
        Hog::of(100)
    }),
    ("a task that starts its successor", |event_loop| {
        event_loop.create_task(async { starts() }).detach();
        Hog::of(1)
    }),
    ("a callback that posts itself as another thread would", |event_loop| {
        event_loop.handle().call_soon_threadsafe(posts).unwrap();
        Hog::of(1)
    }),
    ("a callback that sets and cancels two hundred timers", |event_loop| {
        event_loop.call_soon(sets_and_cancels);
        Hog::of(1)
    }),
    ("four threads that post without end", |event_loop| {
        let mut hog = Hog::of(4 * IN_FLIGHT as u64);
        for _ in 0..4 {
            let handle = event_loop.handle();
            hog.thread(move |is_over| {
                let (ran, returned) = mpsc::channel();
                (0..IN_FLIGHT).for_each(|_| ran.send(()).unwrap());
                while !is_over.load(Ordering::Relaxed) {
                    if returned.recv_timeout(Duration::from_millis(10)).is_ok() {
                        let ran = ran.clone();
                        let _ = handle.call_soon_threadsafe(move || {
                            let _ = ran.send(());
                        });
                    }
                }
            });
        }
        hog
    }),
    ("a peer that takes and gives a byte at a time", |event_loop| {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let ours = Rc::new(Async::new(ours).unwrap());
        let writing = Rc::clone(&ours);
        event_loop
            .create_task(async move { while (&*writing).write_all(&[0; 4096]).await.is_ok() {} })
            .detach();
        event_loop
            .create_task(async move { while (&*ours).read_exact(&mut [0]).await.is_ok() {} })
            .detach();
        // Its buffers are full from the beginning.
        for _ in 0..1_000 {
            turn(event_loop);
        }
        let soon = Some(Duration::from_millis(10));
        theirs.set_read_timeout(soon).unwrap();
        theirs.set_write_timeout(soon).unwrap();
        let mut hog = Hog::of(2);
        hog.thread(move |is_over| {
            let mut byte = [0];
            while !is_over.load(Ordering::Relaxed) {
                if theirs.read(&mut byte).is_ok() {
                    let _ = theirs.write(&byte);
                }
            }
        });
        hog
    }),
    ("four threads that wake a task without end", |event_loop| {
        let (sender, wakers) = mpsc::channel();
        event_loop
            .create_task(poll_fn(move |cx| {
                let _ = sender.send(cx.waker().clone());
                Poll::<()>::Pending
            }))
            .detach();
        turn(event_loop);
        let waker: Waker = wakers.recv().unwrap();
        let mut hog = Hog::of(2);
        for _ in 0..4 {
            let waker = waker.clone();
            hog.thread(move |is_over| {
                while !is_over.load(Ordering::Relaxed) {
                    waker.wake_by_ref();
                }
            });
        }
        hog
    }),
];

// ─── who else is there ──────────────────────────────────────────────────────────────────────────

/// When who waits hears of what it waits for.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// It joins the queue at once, or with the next iteration.
    Queue,
    /// The loop has to look.
    Look,
}

type Served = Arc<AtomicBool>;

fn serve(served: &Served) {
    served.store(true, Ordering::Relaxed);
}

/// Waits for something, and gives what makes it come.
type Victim = fn(&EventLoop, Served) -> Box<dyn FnOnce()>;

const VICTIMS: &[(&str, Way, Victim)] = &[
    ("a callback", Way::Queue, |event_loop, served| {
        let event_loop = event_loop.clone();
        Box::new(move || drop(event_loop.call_soon(move || serve(&served))))
    }),
    ("a task", Way::Queue, |_, served| Box::new(|| spawn(async move { serve(&served) }).detach())),
    ("a call of another thread's", Way::Queue, |event_loop, served| {
        let handle = event_loop.handle();
        let call = move || handle.call_soon_threadsafe(move || serve(&served)).unwrap();
        Box::new(|| thread::spawn(call).join().unwrap())
    }),
    ("a timer", Way::Look, |event_loop, served| {
        let event_loop = event_loop.clone();
        Box::new(move || drop(event_loop.call_later(Duration::ZERO, move || serve(&served))))
    }),
    ("a sleeper", Way::Look, |_, served| {
        Box::new(|| {
            let nap = sleep(Duration::from_nanos(1));
            spawn(async move {
                nap.await;
                serve(&served);
            })
            .detach();
        })
    }),
    ("a reader", Way::Look, |event_loop, served| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ours = Async::new(ours).unwrap();
        event_loop
            .create_task(async move {
                ours.read_with(|mut stream| stream.read_exact(&mut [0])).await.unwrap();
                serve(&served);
            })
            .detach();
        Box::new(move || (&theirs).write_all(b"x").unwrap())
    }),
    ("a watch", Way::Look, |event_loop, served| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        event_loop.add_reader(ours, move || serve(&served)).unwrap().detach();
        Box::new(move || (&theirs).write_all(b"x").unwrap())
    }),
    ("a signal's callback", Way::Look, |event_loop, served| {
        let kind = SignalKind::from_raw(libc::SIGWINCH);
        event_loop.add_signal_handler(kind, move || serve(&served)).unwrap();
        // SAFETY: no preconditions.
        Box::new(|| assert_eq!(unsafe { libc::raise(libc::SIGWINCH) }, 0))
    }),
];

const INTERVAL: u64 = 32;

/// Whoever waits for something in the queue has its turn in this iteration or the next one. Whoever waits for
/// what the loop has to look for has its turn two iterations after the look, and that is due when
/// `event_interval` entries have run; the batch that is on then is run to its end.
#[test]
fn whatever_keeps_the_loop_busy_the_others_have_their_turns() {
    let mut most = 0;
    for (hog_name, make) in HOGS {
        for (name, way, wait) in VICTIMS {
            let event_loop =
                EventLoop::builder().event_interval(INTERVAL as usize).build().unwrap();
            let hog = make(&event_loop);
            let served = Served::default();
            let come = wait(&event_loop, Arc::clone(&served));
            let entries = || {
                let metrics = event_loop.metrics();
                metrics.polls + metrics.callbacks
            };
            let (iterations, entries) = event_loop
                .run_until_complete(async {
                    for _ in 0..100 {
                        yield_now().await;
                    }
                    let before = entries();
                    come();
                    let mut iterations = 0;
                    while !served.load(Ordering::Relaxed) {
                        iterations += 1;
                        assert!(iterations < 10_000, "{name} starves beside {hog_name}");
                        yield_now().await;
                    }
                    (iterations, entries() - before)
                })
                .unwrap();
            // The hog, this run's main future, and who waits.
            let batch = hog.share + 2;
            let (most_iterations, most_entries) = match way {
                Way::Queue => (2, 2 * batch),
                Way::Look => (INTERVAL + 2, INTERVAL + 3 * batch),
            };
            assert!(
                iterations <= most_iterations && entries <= most_entries,
                "{name} beside {hog_name}: {iterations} iterations, {entries} entries"
            );
            most = most.max(iterations);
            event_loop.close().unwrap();
        }
    }
    assert!(most > 2, "the look was put off somewhere: the interval is what is seen here");
}

/// A million timers, cancelled all at once: no later iteration has anything to do with them. What is due meanwhile
/// runs in the next one, and nothing else does; the loop sleeps for the timer that is left.
#[test]
fn a_million_timers_are_cancelled_and_the_next_iteration_has_one_entry() {
    const MANY: u64 = 1_000_000;
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let began = event_loop.time();
    let seconds = |number: u64| Duration::from_secs(number * 7_919 % MANY + 1);
    let mut timers: Vec<_> = (0..MANY)
        .map(|number| event_loop.call_later(seconds(number), || unreachable!("cancelled")))
        .collect();
    let left = event_loop.call_later(Duration::from_secs(MANY / 2), || ());
    assert_eq!(event_loop.next_deadline(), Some(began + Duration::from_secs(1)));
    event_loop.call_soon(move || {
        // In an order that is neither that of their making nor of their deadlines.
        let half = timers.split_off(timers.len() / 2);
        half.into_iter().chain(timers.into_iter().rev()).for_each(|timer| timer.cancel());
    });
    event_loop.call_at(began, || ());
    assert_eq!(turn(&event_loop), 2);
    event_loop.call_at(began, || ());
    assert_eq!(turn(&event_loop), 1);
    assert_eq!(event_loop.next_deadline(), Some(left.when()));
    assert_eq!(event_loop.turn(None).unwrap().polled, 1);
    assert_eq!((event_loop.time(), event_loop.next_deadline()), (left.when(), None));
}

/// Ten thousand timers that have been due for long come together, in one batch that is run to its end, in the
/// order of their deadlines; what came by a descriptor meanwhile is not behind more than that one batch.
#[test]
fn ten_thousand_overdue_timers_are_one_batch_and_a_watch_is_in_it() {
    let event_loop = EventLoop::new().unwrap();
    let order: Rc<RefCell<Vec<u64>>> = Rc::default();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let log = Rc::clone(&order);
    let _watch = event_loop.add_reader(ours, move || log.borrow_mut().push(u64::MAX)).unwrap();
    turn(&event_loop);
    let past = event_loop.time() - Duration::from_secs(1_000);
    for number in 0..10_000_u64 {
        // In an order that is none: a walk by a number without a common factor.
        let deadline = number * 7_919 % 10_000;
        let log = Rc::clone(&order);
        let at = past + Duration::from_millis(deadline);
        event_loop.call_at(at, move || log.borrow_mut().push(deadline));
    }
    (&theirs).write_all(b"x").unwrap();
    assert_eq!(turn(&event_loop), 10_001);
    let order = order.take();
    assert_eq!(order[0], u64::MAX, "what was seen joins the queue before timers do");
    assert!(order[1..].iter().copied().eq(0..10_000));
}
