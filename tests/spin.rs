//! Looking for work before a sleep: what comes meanwhile is seen, what is due is on time, and nobody spins where that cannot
//! pay. How a loop learns whether it does is tried with made-up times in the room itself, `engine/spin.rs`.

mod support;

use std::future::pending;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc as std_mpsc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::channel::{mpsc, oneshot};
use loopbind::thread::ThreadBuilder;
use loopbind::{
    Async, EventLoop, Host, LoopError, Metrics, Runner, get_event_loop, sleep, spawn, task,
};
use support::{Trace, in_good_child};

/// A spin of so long that whoever spins would never sleep in these tests.
const LONG: Duration = Duration::from_secs(3600);

fn spinning(limit: Duration) -> EventLoop {
    EventLoop::builder().spin(limit).build().unwrap()
}

/// Whether the running loop spins before it sleeps. A wait is none where the machine was busy until its end, so there are some.
async fn spins() -> bool {
    let event_loop = get_event_loop().unwrap();
    for _ in 0..200 {
        sleep(Duration::from_millis(1)).await;
        if !event_loop.metrics().spun.is_zero() {
            return true;
        }
    }
    false
}

/// Whether others can run while one spins.
fn has_company() -> bool {
    thread::available_parallelism().unwrap().get() > 1
}

/// Whether a loop that had to wait once, if what it waited for was not there first, has not slept. With a second wait it might:
/// the machine may have been busy, and the first spin in vain.
#[track_caller]
fn assert_never_slept(metrics: &Metrics) {
    if has_company() {
        assert_eq!(metrics.parked, Duration::ZERO, "{metrics:?}");
    }
}

/// Two loops on two threads play ball, so many times: each ball is the answer to the one before.
fn play(trips: usize, builder: &loopbind::Builder) -> [Metrics; 2] {
    let (there, mut at_echo) = mpsc::unbounded();
    let (back, mut here) = mpsc::unbounded();
    let threads = ThreadBuilder::new().event_loop(builder.clone());
    let echo = threads.clone().spawn(move || async move {
        while let Some(ball) = at_echo.next().await {
            back.unbounded_send(ball).unwrap();
        }
        get_event_loop().unwrap().metrics()
    });
    let player = threads.spawn(move || async move {
        for trip in 0..trips {
            there.unbounded_send(trip).unwrap();
            assert_eq!(here.next().await, Some(trip));
        }
        get_event_loop().unwrap().metrics()
    });
    [player, echo].map(|thread| thread.unwrap().join().unwrap())
}

// ─── what comes meanwhile ───────────────────────────────────────────────────────────────────────

/// THR-01, THR-16: with this limit nothing but the post ends the wait.
#[test]
fn posted_while_it_spins_then_run() {
    let (event_loop, trace) = (spinning(LONG), Trace::new());
    let (handle, log) = (event_loop.handle(), trace.clone());
    let (idle, begins) = std_mpsc::channel();
    event_loop.call_soon({
        let log = trace.clone();
        move || {
            log.note("idle");
            idle.send(()).unwrap();
        }
    });
    let poster = thread::spawn(move || {
        begins.recv().unwrap();
        let post = move || {
            log.note("posted");
            get_event_loop().unwrap().stop();
        };
        handle.call_soon_threadsafe(post).unwrap();
    });
    event_loop.run_forever().unwrap();
    poster.join().unwrap();
    trace.assert(&["idle", "posted"]);
    assert_never_slept(&event_loop.metrics());
}

/// RUN-35.
#[test]
fn stopped_from_another_thread_while_it_spins() {
    let event_loop = spinning(LONG);
    let handle = event_loop.handle();
    let (idle, begins) = std_mpsc::channel();
    event_loop.call_soon(move || idle.send(()).unwrap());
    let stopper = thread::spawn(move || {
        begins.recv().unwrap();
        handle.stop();
    });
    event_loop.run_forever().unwrap();
    stopper.join().unwrap();
    assert_never_slept(&event_loop.metrics());
}

/// A wake by a waker, and a job's end, come by the same way.
#[test]
fn woken_by_a_thread_then_by_a_job_while_it_spins() {
    let (sender, receiver) = oneshot::channel();
    let (idle, begins) = std_mpsc::channel();
    let waker = thread::spawn(move || {
        begins.recv().unwrap();
        sender.send("woken").unwrap();
    });
    let event_loop = spinning(LONG);
    let woken = async {
        idle.send(()).unwrap();
        receiver.await.unwrap()
    };
    assert_eq!(event_loop.run_until_complete(woken).unwrap(), "woken");
    waker.join().unwrap();
    assert_never_slept(&event_loop.metrics());
    let event_loop = spinning(LONG);
    let job = async { loopbind::spawn_blocking(|| "done").await.unwrap() };
    assert_eq!(event_loop.run_until_complete(job).unwrap(), "done");
    assert_never_slept(&event_loop.metrics());
}

/// Descriptors are looked at while the loop spins: no post ends this wait.
#[test]
fn readable_while_it_spins() {
    let event_loop = spinning(LONG);
    // A pipe: of a socket the first thing to be seen is that it may be written to.
    let (ours, theirs) = rustix::pipe::pipe().unwrap();
    rustix::io::ioctl_fionbio(&ours, true).unwrap();
    let (idle, begins) = std_mpsc::channel();
    let writer = thread::spawn(move || {
        begins.recv().unwrap();
        rustix::io::write(&theirs, b"x").unwrap();
        theirs
    });
    event_loop
        .run_until_complete(async {
            let ours = Async::new(ours).unwrap();
            idle.send(()).unwrap();
            ours.readable().await.unwrap();
        })
        .unwrap();
    drop(writer.join().unwrap());
    assert_never_slept(&event_loop.metrics());
}

#[test]
fn a_callback_on_a_descriptor_runs_while_it_spins() {
    let (event_loop, trace) = (spinning(LONG), Trace::new());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let (stop, log) = (event_loop.clone(), trace.clone());
    let watch = event_loop.add_reader(ours, move || {
        log.note("readable");
        stop.stop();
    });
    let (idle, begins) = std_mpsc::channel();
    event_loop.call_soon(move || idle.send(()).unwrap());
    let writer = thread::spawn(move || {
        begins.recv().unwrap();
        theirs.write_all(b"x").unwrap();
        theirs
    });
    event_loop.run_forever().unwrap();
    drop((watch.unwrap(), writer.join().unwrap()));
    trace.assert(&["readable"]);
    assert_never_slept(&event_loop.metrics());
}

// ─── what is due ────────────────────────────────────────────────────────────────────────────────

/// CB-05, RUN-36: the spin is for an hour, and ends with the first timer that is due; none is early.
#[test]
fn timers_are_due_while_it_spins() {
    let (event_loop, trace) = (spinning(LONG), Trace::new());
    let began = Instant::now();
    for (name, delay) in [("later", 7), ("first", 2), ("second", 4)] {
        let (log, delay) = (trace.clone(), Duration::from_millis(delay));
        event_loop.call_later(delay, move || {
            assert!(began.elapsed() >= delay, "{name} is early");
            log.note(name);
        });
    }
    event_loop.run_until_complete(sleep(Duration::from_millis(10))).unwrap();
    assert!(began.elapsed() >= Duration::from_millis(10));
    trace.assert(&["first", "second", "later"]);
}

/// What was spun is no longer to be slept: a sleep that forgot it would end after 250 ms each time.
#[test]
fn a_timer_is_not_late_by_the_spin_before_its_sleep() {
    let (spin, due) = (Duration::from_millis(100), Duration::from_millis(150));
    let took = || {
        let event_loop = spinning(spin);
        let began = Instant::now();
        event_loop.run_until_complete(sleep(due)).unwrap();
        let took = began.elapsed();
        assert!(took >= due, "early");
        took
    };
    assert!((0..20).any(|_| took() < spin + due));
}

/// A turn's limit is one too.
#[test]
fn a_turn_waits_no_longer_than_it_may() {
    let event_loop = spinning(LONG);
    let began = Instant::now();
    let turn = event_loop.turn(Some(Duration::from_millis(5))).unwrap();
    assert!(turn.polled == 0 && began.elapsed() >= Duration::from_millis(5));
}

/// The time-out of a test is looked at between iterations, and a spin is within one.
#[cfg(feature = "macros")]
#[loopbind::loop_test(timeout = "20ms", builder = EventLoop::builder().spin(LONG))]
#[should_panic = "timed out after 20ms"]
async fn a_test_times_out_while_it_spins() {
    pending::<()>().await;
}

// ─── where nobody spins ─────────────────────────────────────────────────────────────────────────

#[test]
fn nobody_spins_unless_asked_to() {
    for event_loop in [EventLoop::new().unwrap(), spinning(Duration::ZERO)] {
        event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
        let metrics = event_loop.metrics();
        assert!(metrics.spun.is_zero() && !metrics.parked.is_zero());
    }
}

/// A virtual clock moves when nothing is ready; a job stops it, and is waited for asleep.
#[test]
fn a_virtual_clock_jumps_and_waits_asleep() {
    let event_loop = EventLoop::builder().spin(LONG).virtual_time(true).build().unwrap();
    let before = event_loop.time();
    let (sender, receiver) = std_mpsc::channel();
    let late = async move {
        sleep(LONG).await;
        let job = loopbind::spawn_blocking(move || receiver.recv().unwrap());
        let job = spawn(job);
        thread::spawn(move || sender.send("done").unwrap());
        job.await.unwrap().unwrap()
    };
    assert_eq!(event_loop.run_until_complete(late).unwrap(), "done");
    assert_eq!(event_loop.time() - before, LONG);
    assert!(event_loop.metrics().spun.is_zero());
}

#[test]
fn a_virtual_loop_that_is_dead_says_so_without_spinning() {
    let event_loop = EventLoop::builder().spin(LONG).virtual_time(true).build().unwrap();
    let ended = event_loop.run_until_complete(pending::<()>());
    assert!(matches!(ended, Err(LoopError::Deadlock { .. })));
    assert!(event_loop.metrics().spun.is_zero());
}

/// A host sleeps for the loop between its turns, and has said how long a turn may wait.
#[test]
fn lent_to_a_host_then_turned_without_a_spin() {
    let event_loop = spinning(LONG);
    let _fd = event_loop.as_fd();
    event_loop.turn(Some(Duration::from_millis(1))).unwrap();
    event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
    let metrics = event_loop.metrics();
    assert!(metrics.spun.is_zero() && !metrics.parked.is_zero());
}

/// Looks and asks, and never waits.
struct Eager;

impl Host for Eager {
    fn poll_readable(
        &mut self,
        _: BorrowedFd<'_>,
        _: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Poll::Pending
    }

    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        cx.waker().wake_by_ref();
        if at <= Instant::now() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn driven_by_a_host_then_never_spun() {
    let event_loop = spinning(LONG);
    let stop = event_loop.clone();
    event_loop.call_later(Duration::from_millis(2), move || stop.stop());
    futures::executor::block_on(event_loop.drive_with(Eager)).unwrap();
    assert!(event_loop.metrics().spun.is_zero());
}

/// What a run's end waits for is waited for asleep.
#[test]
fn a_job_that_outlasts_the_body_is_waited_for_asleep() {
    let runner = Runner::with(EventLoop::builder().spin(LONG)).unwrap();
    let event_loop = runner.event_loop().clone();
    // Slow, so that the end has to wait.
    let slow = || thread::sleep(Duration::from_millis(20));
    let mut job = None;
    runner.run(async { job = Some(loopbind::spawn_blocking(slow)) }).unwrap();
    let before = event_loop.metrics();
    runner.close().unwrap();
    drop(job);
    let after = event_loop.metrics();
    assert_eq!(after.spun, before.spun);
    assert!(after.parked > before.parked);
}

/// Both the main thread and this one: whoever posts has the same processor.
#[cfg(target_os = "linux")]
fn keep_to_one_processor(thread: Option<rustix::process::Pid>) {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    let allowed = sched_getaffinity(None).unwrap();
    let first = (0..CpuSet::MAX_CPU).find(|&cpu| allowed.is_set(cpu)).unwrap();
    let mut only = CpuSet::new();
    only.set(first);
    sched_setaffinity(thread, &only).unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn on_one_processor_nobody_spins_and_all_balls_come_back() {
    in_good_child("on_one_processor_nobody_spins_and_all_balls_come_back", || {
        keep_to_one_processor(Some(rustix::process::getpid()));
        keep_to_one_processor(None);
        let metrics = play(2_000, &EventLoop::builder().spin(LONG));
        assert!(metrics.iter().all(|metrics| metrics.spun.is_zero()), "{metrics:?}");
        assert!(metrics.iter().all(|metrics| !metrics.parked.is_zero()), "{metrics:?}");
    });
}

// ─── there and back ─────────────────────────────────────────────────────────────────────────────

#[test]
fn all_balls_come_back_whatever_the_limit() {
    for limit in [1, 50, 1_000] {
        play(5_000, &EventLoop::builder().spin(Duration::from_micros(limit)));
    }
}

/// Both loops are kept to one processor, in a process that has more: a spin finds nothing then, and only the loop's own
/// experience can tell. An hour each would be the end of this.
#[cfg(target_os = "linux")]
#[test]
fn on_a_processor_that_is_shared_all_balls_come_back() {
    in_good_child("on_a_processor_that_is_shared_all_balls_come_back", || {
        // This thread is not the process's main one, which keeps what it has.
        keep_to_one_processor(None);
        for limit in [Duration::from_micros(50), LONG] {
            play(2_000, &EventLoop::builder().spin(limit));
        }
    });
}

/// One of them sleeps, so that the other one's spins are often in vain.
#[test]
fn who_spins_and_who_sleeps_hear_each_other() {
    let (there, mut at_echo) = mpsc::unbounded();
    let (back, mut here) = mpsc::unbounded();
    let echo = ThreadBuilder::new().spawn(move || async move {
        while let Some(ball) = at_echo.next().await {
            back.unbounded_send(ball).unwrap();
        }
    });
    let event_loop = spinning(Duration::from_micros(20));
    event_loop
        .run_until_complete(async move {
            for trip in 0..2_000 {
                there.unbounded_send(trip).unwrap();
                assert_eq!(here.next().await, Some(trip));
            }
        })
        .unwrap();
    echo.unwrap().join().unwrap();
}

// ─── how it is asked for ────────────────────────────────────────────────────────────────────────

#[test]
fn a_thread_with_a_loop_that_spins_is_stopped() {
    let builder = EventLoop::builder().spin(LONG);
    let thread = ThreadBuilder::new().event_loop(builder).spawn(|| async {
        task::cancelled().await;
        spins().await
    });
    let thread = thread.unwrap();
    thread.handle().spawn(|| async {}).unwrap().join().unwrap();
    thread.stop();
    assert_eq!(thread.join().unwrap(), has_company());
}

#[cfg(feature = "macros")]
mod attributes {
    use loopbind::{loop_main, loop_thread};

    use super::*;

    fn builder(limit: Duration) -> loopbind::Builder {
        EventLoop::builder().spin(limit)
    }

    #[loop_main(spin = "1h")]
    async fn main_spins() -> bool {
        spins().await
    }

    #[loop_main(spin = "0us", builder = builder(LONG))]
    async fn main_does_not() -> bool {
        spins().await
    }

    #[loop_thread(spawn, spin = LONG)]
    async fn thread_spins() -> bool {
        spins().await
    }

    #[loop_thread(builder = builder(LONG))]
    fn function_spins() -> bool {
        get_event_loop().unwrap().run_until_complete(spins()).unwrap()
    }

    #[test]
    fn asked_for_by_an_attribute() {
        assert_eq!(main_spins(), has_company());
        assert!(!main_does_not());
        assert_eq!(thread_spins().join().unwrap(), has_company());
        assert_eq!(function_spins(), has_company());
    }
}

/// Each thread has one processor, and the others have others.
#[test]
fn a_loop_on_each_core_spins() {
    let builder = ThreadBuilder::new().name("shard").event_loop(EventLoop::builder().spin(LONG));
    let group = builder.per_core(|_| spins()).unwrap();
    for outcome in group.join() {
        assert_eq!(outcome.unwrap(), has_company());
    }
}
