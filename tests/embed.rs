//! A loop inside somebody else's: turned by hand, as a future, and by a host that lends its eyes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use loopbind::{EventLoop, Host, LoopError, get_running_loop, sleep, spawn};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

mod support;

/// What a host with `poll(2)` does until `done`: sleep for the loop's descriptor or its deadline, then
/// turn. Gives the number of sleeps.
fn host(event_loop: &EventLoop, done: impl Fn() -> bool) -> usize {
    let mut sleeps = 0;
    while !done() {
        let timeout = event_loop.next_deadline().map(|at| {
            let left = at.saturating_duration_since(Instant::now());
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() }
        });
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, timeout.as_ref()).unwrap();
        sleeps += 1;
        event_loop.turn(Some(Duration::ZERO)).unwrap();
    }
    sleeps
}

#[test]
fn a_post_of_another_thread_wakes_a_host_that_sleeps_on_the_descriptor() {
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let done = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&done);
    let (asleep, go) = mpsc::channel();
    let poster = std::thread::spawn(move || {
        go.recv().unwrap();
        let seven = handle.spawn(|| async { 7 }).unwrap().join().unwrap();
        handle.call_soon_threadsafe(move || flag.store(true, Ordering::Relaxed)).unwrap();
        seven
    });
    asleep.send(()).unwrap();
    host(&event_loop, || done.load(Ordering::Relaxed));
    assert_eq!(poster.join().unwrap(), 7);
}

#[test]
fn timers_and_local_work_are_the_deadline_and_nothing_spins() {
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(sleep(Duration::from_millis(20)));
    assert!(event_loop.next_deadline().unwrap() <= Instant::now(), "a task is ready");
    let sleeps = host(&event_loop, || task.is_finished());
    assert!(sleeps <= 6, "{sleeps} sleeps for one timer");
    assert_eq!(event_loop.next_deadline(), None);
}

/// What is scheduled by the host's own code between two turns makes the descriptor readable: a host
/// that asked for the deadline before is not left asleep.
#[test]
fn work_scheduled_between_turns_wakes_the_host() {
    let event_loop = EventLoop::new().unwrap();
    let readable = |timeout: Duration| {
        let timeout = Timespec { tv_sec: 0, tv_nsec: timeout.subsec_nanos().into() };
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).unwrap() == 1
    };
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(!readable(Duration::ZERO));
    event_loop.call_soon(|| {});
    assert!(readable(Duration::ZERO), "call_soon");
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(!readable(Duration::ZERO));
    event_loop.call_later(Duration::from_secs(60), || {});
    assert!(readable(Duration::ZERO), "a new deadline");
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    let task = event_loop.create_task(std::future::pending::<()>());
    assert!(readable(Duration::ZERO), "create_task");
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    task.cancel();
    assert!(readable(Duration::ZERO), "cancel");
}

/// What changes nothing for a host that sleeps does not wake it: a descriptor to be watched, which is watched by
/// the one that was lent, and a deadline behind another. One in front of all does, however it came about.
#[test]
fn what_is_set_between_turns_wakes_a_host_that_would_miss_it_and_no_other() {
    let event_loop = EventLoop::new().unwrap();
    let is_readable = || {
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec::default())).unwrap() == 1
    };
    let turn = || {
        assert!(is_readable());
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert!(!is_readable());
    };
    assert!(!is_readable());
    let hours = |count: u64| Duration::from_secs(3600 * count);

    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let heard = Rc::new(Cell::new(false));
    let hears = Rc::clone(&heard);
    let _watch = event_loop.add_reader(ours, move || hears.set(true)).unwrap();
    assert!(!is_readable(), "there is nothing to read");
    theirs.write_all(b"x").unwrap();
    assert!(is_readable());
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(heard.get());
    drop(_watch);

    event_loop.call_later(hours(5), || ());
    turn();
    event_loop.call_later(hours(6), || ());
    assert!(!is_readable(), "the host turns it in five hours");
    let first = event_loop.call_later(hours(4), || ());
    turn();
    first.cancel();
    event_loop.call_later(hours(5), || ());
    assert!(!is_readable(), "the host turns it in four hours, for nothing");

    let nap = Rc::new(RefCell::new(None));
    let naps = Rc::clone(&nap);
    event_loop
        .create_task(poll_fn(move |cx| {
            let mut nap = naps.borrow_mut();
            nap.get_or_insert_with(|| Box::pin(sleep(hours(7)))).as_mut().poll(cx)
        }))
        .detach();
    turn();
    let mut nap = nap.borrow_mut();
    let nap = nap.as_mut().unwrap();
    let now = event_loop.time();
    nap.as_mut().reset(now + hours(8));
    assert!(!is_readable());
    nap.as_mut().reset(now + hours(3));
    turn();
    assert_eq!(event_loop.next_deadline(), Some(now + hours(3)));
}

#[test]
fn inside_a_turn_the_rules_of_a_run_hold() {
    let (event_loop, other) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let inner = event_loop.clone();
    let task = event_loop.create_task(async move {
        assert_eq!(get_running_loop().unwrap(), inner);
        let refused = other.turn(Some(Duration::ZERO)).unwrap_err();
        assert!(
            matches!(refused, LoopError::AnotherLoopRunning { running } if running == inner.id())
        );
        assert!(matches!(inner.turn(None).unwrap_err(), LoopError::AlreadyRunning));
    });
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(task.is_finished());
    assert!(get_running_loop().is_err());
}

#[test]
fn driven_by_a_foreign_executor_until_stopped() {
    let event_loop = EventLoop::new().unwrap();
    let inner = event_loop.clone();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&trace);
    event_loop
        .create_task(async move {
            log.borrow_mut().push("started");
            sleep(Duration::from_millis(2)).await;
            log.borrow_mut().push("slept");
            inner.stop();
        })
        .detach();
    futures::executor::block_on(event_loop.drive()).unwrap();
    assert_eq!(*trace.borrow(), ["started", "slept"]);
    assert!(!event_loop.is_running() && !event_loop.is_closed());
}

/// Wake-ups go both ways: the host's task feeds the loop's, and is fed by it.
#[test]
fn two_loops_under_one_foreign_executor_talk() {
    let mut pool = LocalPool::new();
    let (left, right) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let (mut to_right, from_left) = futures::channel::mpsc::unbounded::<u32>();
    let stop = right.clone();
    let sum = Rc::new(Cell::new(0));
    let total = Rc::clone(&sum);
    right
        .create_task(async move {
            use futures::StreamExt as _;
            let mut from_left = from_left;
            while let Some(number) = from_left.next().await {
                total.set(total.get() + number);
            }
            stop.stop();
        })
        .detach();
    let stop = left.clone();
    left.create_task(async move {
        for number in 1..=100 {
            to_right.start_send(number).unwrap();
            if number % 10 == 0 {
                spawn(async {}).await.unwrap();
            }
        }
        drop(to_right);
        stop.stop();
    })
    .detach();
    for event_loop in [&left, &right] {
        let drive = event_loop.drive();
        pool.spawner().spawn_local(async move { drive.await.unwrap() }).unwrap();
    }
    pool.run();
    assert_eq!(sum.get(), 5050);
}

/// A host with a reactor of its own: nothing of ours watches.
struct ByHand {
    polls: Rc<Cell<usize>>,
}

impl Host for ByHand {
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls.set(self.polls.get() + 1);
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut fds, Some(&now)).unwrap() {
            0 => {
                // The test's executor polls again by itself.
                let _ = cx;
                Poll::Pending
            }
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_deadline(&mut self, at: Instant, _cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn a_host_with_eyes_of_its_own_and_a_loop_that_is_refused() {
    let event_loop = EventLoop::new().unwrap();
    let polls = Rc::new(Cell::new(0));
    let mut drive = Box::pin(event_loop.drive_with(ByHand { polls: Rc::clone(&polls) }));
    let mut cx = Context::from_waker(futures::task::noop_waker_ref());
    assert!(drive.as_mut().poll(&mut cx).is_pending());
    assert!(polls.get() > 0);
    // Inside another loop's run a turn is refused like a run, and nothing changes.
    let other = EventLoop::new().unwrap();
    let refused = other.run_until_complete(async { drive.as_mut().poll(&mut cx) }).unwrap();
    assert!(matches!(refused, Poll::Ready(Err(LoopError::AnotherLoopRunning { .. }))));
    let inner = event_loop.clone();
    event_loop.call_soon(move || inner.stop());
    assert!(matches!(drive.as_mut().poll(&mut cx), Poll::Ready(Ok(()))));
}

/// A loop that is asked for its descriptor while it runs is not taken for one that sleeps; once the run is over, a post
/// from another thread makes the descriptor readable, and a turn runs it.
#[test]
fn lent_inside_a_run_then_posted_to_is_readable_then_turned() {
    let trace = support::Trace::new();
    let event_loop = EventLoop::new().unwrap();
    let readable = || {
        let mut fds = [PollFd::from_borrowed_fd(event_loop.as_fd(), PollFlags::IN)];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
    };
    event_loop.run_until_complete(async { assert!(!readable()) }).unwrap();
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert!(!readable());
    let (handle, log) = (event_loop.handle(), trace.clone());
    let post = move || handle.call_soon_threadsafe(move || log.note("posted")).unwrap();
    std::thread::spawn(post).join().unwrap();
    assert!(readable());
    trace.note("seen");
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    trace.assert(&["seen", "posted"]);
    assert!(!readable());
}

/// The lent descriptor outlives the closing of its loop, for whoever still has it registered.
#[test]
fn a_lent_descriptor_lives_as_long_as_a_value_of_its_loop() {
    let event_loop = EventLoop::new().unwrap();
    let fd = event_loop.as_fd();
    event_loop.close().unwrap();
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut fds, Some(&now)).unwrap();
    assert!(!fds[0].revents().contains(PollFlags::NVAL));
    assert_eq!(event_loop.as_fd().as_raw_fd(), fd.as_raw_fd(), "the same, afterwards too");
}

/// Loops that watch loops, as deep as the system lets them: what would watch the last cannot, and the
/// drive says so.
#[test]
#[cfg(target_os = "linux")]
fn driven_where_it_cannot_be_watched() {
    support::in_good_child("driven_where_it_cannot_be_watched", || {
        let mut deepest = EventLoop::new().unwrap();
        let mut watches = Vec::new();
        let refused = loop {
            let next = EventLoop::new().unwrap();
            match next.add_reader(deepest.clone(), || {}) {
                Ok(watch) => watches.push(watch),
                Err(error) => break error,
            }
            deepest = next;
        };
        assert_eq!(refused.kind(), std::io::Error::from_raw_os_error(libc::ELOOP).kind());
        assert!(refused.to_string().contains("too many loops inside of each other"), "{refused}");
        let mut drive = deepest.drive();
        for _ in 0..2 {
            let error = futures::executor::block_on(&mut drive).unwrap_err().to_string();
            assert!(error.starts_with("the event loop cannot be watched: "), "{error}");
        }
    });
}

/// A forked process that drops a drive it inherited leaves the parent's watcher asleep.
#[test]
#[cfg(target_os = "linux")]
fn an_inherited_drive_is_dropped_and_the_watcher_sleeps_on() {
    const FORKS: u64 = 20;
    support::in_good_child("an_inherited_drive_is_dropped_and_the_watcher_sleeps_on", || {
        let event_loop = EventLoop::new().unwrap();
        let (woken, wakes) = mpsc::channel();
        let waker = futures::task::waker(Arc::new(Tell(woken)));
        let mut cx = Context::from_waker(&waker);
        let mut drive = Some(event_loop.drive());
        let mut poll = || Pin::new(drive.as_mut().unwrap()).poll(&mut cx);
        while wakes.try_recv().is_ok() || poll().is_ready() {}
        event_loop.handle().call_soon_threadsafe(|| {}).unwrap();
        wakes.recv().unwrap();
        assert!(poll().is_pending());
        let before = watchers_sleeps();
        for _ in 0..FORKS {
            // SAFETY: the child drops what is said, and leaves by `_exit`.
            unsafe {
                match libc::fork() {
                    0 => {
                        support::limit_lifetime();
                        drop(drive.take());
                        libc::_exit(0)
                    }
                    other => {
                        let mut status = -1;
                        assert_eq!(libc::waitpid(other, &mut status, 0), other);
                        assert_eq!(status, 0);
                    }
                }
            }
        }
        // It may have been about to sleep.
        let woken = watchers_sleeps() - before;
        assert!(woken < FORKS / 2, "{woken}");
    });
}

#[cfg(target_os = "linux")]
struct Tell(mpsc::Sender<()>);

#[cfg(target_os = "linux")]
impl futures::task::ArcWake for Tell {
    fn wake_by_ref(tell: &Arc<Self>) {
        let _ = tell.0.send(());
    }
}

/// How often the thread that watches driven loops has gone to sleep.
#[cfg(target_os = "linux")]
fn watchers_sleeps() -> u64 {
    for entry in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = entry.unwrap().path();
        // The system cuts names.
        if std::fs::read_to_string(path.join("comm")).unwrap().starts_with("loopbind-watche") {
            let status = std::fs::read_to_string(path.join("status")).unwrap();
            let line =
                status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            return line.unwrap().trim().parse().unwrap();
        }
    }
    panic!("nobody watches");
}

#[test]
fn one_thread_per_core_each_with_its_own() {
    let group = loopbind::thread::per_core(|index| async move {
        let cores = rustix::thread::sched_getaffinity(None).unwrap();
        (index, cores.count(), get_running_loop().unwrap().id())
    })
    .unwrap();
    let handles: Vec<_> = group.handles().iter().map(|handle| handle.id()).collect();
    let outcomes: Vec<_> = group.join().into_iter().map(Result::unwrap).collect();
    for (place, (index, cores, id)) in outcomes.into_iter().enumerate() {
        assert_eq!((index, cores, id), (place, 1, handles[place]));
    }
}
