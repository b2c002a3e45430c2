//! Hosts that do not do as one would: that see edges and ask for the deadline alone, that come late, or never, that
//! look at no descriptor, or turn the loop while it is driven.

use std::cell::{Cell, RefCell};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::AsyncReadExt as _;
use loopbind::{Async, EventLoop, Host, LoopError, UnhandledPanic, sleep, yield_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

mod support;
use support::{Trace, panic_of};

/// A host that hears of the loop's descriptor when it comes to be readable, and only then, and otherwise goes by
/// `next_deadline`: it never looks at what a turn says.
#[cfg(target_os = "linux")]
struct Edges {
    epoll: OwnedFd,
}

#[cfg(target_os = "linux")]
impl Edges {
    fn of(guest: &EventLoop) -> Edges {
        use rustix::event::epoll::{CreateFlags, EventData, EventFlags, add, create};
        let epoll = create(CreateFlags::CLOEXEC).unwrap();
        add(&epoll, guest.as_fd(), EventData::new_u64(0), EventFlags::IN | EventFlags::ET).unwrap();
        Edges { epoll }
    }

    /// Sleeps and turns until `done`. Panics where it would sleep for good.
    #[track_caller]
    fn host(&self, guest: &EventLoop, done: impl Fn() -> bool) {
        use rustix::event::epoll::wait;
        while !done() {
            let left = guest.next_deadline().map(|at| at.saturating_duration_since(Instant::now()));
            let limit = left.unwrap_or(Duration::from_secs(5));
            let limit =
                Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: limit.subsec_nanos().into() };
            let mut seen = Vec::with_capacity(1);
            wait(&self.epoll, rustix::buffer::spare_capacity(&mut seen), Some(&limit)).unwrap();
            assert!(!seen.is_empty() || left.is_some(), "asleep for good");
            guest.turn(Some(Duration::ZERO)).unwrap();
        }
    }
}

/// IO-03: what is watched for as long as it is ready.
#[cfg(target_os = "linux")]
#[test]
fn one_edge_then_twenty_calls_of_a_watch() {
    let guest = EventLoop::new().unwrap();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let (mut source, calls) = (reader.try_clone().unwrap(), Rc::new(Cell::new(0)));
    let count = Rc::clone(&calls);
    let watch = guest.add_reader(reader, move || {
        source.read_exact(&mut [0]).unwrap();
        count.set(count.get() + 1);
    });
    let host = Edges::of(&guest);
    writer.write_all(&[7; 20]).unwrap();
    host.host(&guest, || calls.get() == 20);
    assert!(guest.metrics().turns <= 22, "{} turns", guest.metrics().turns);
    // And rests.
    drop(watch);
    guest.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(guest.next_deadline(), None);
}

/// More comes than one look has room for.
#[cfg(target_os = "linux")]
#[test]
fn one_edge_then_six_hundred_are_served() {
    let (guest, served) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
    let mut writers = Vec::new();
    for _ in 0..600 {
        let (reader, writer) = UnixStream::pair().unwrap();
        writers.push(writer);
        let count = Rc::clone(&served);
        guest
            .create_task(async move {
                Async::new(reader).unwrap().read_exact(&mut [0]).await.unwrap();
                count.set(count.get() + 1);
            })
            .detach();
    }
    let host = Edges::of(&guest);
    while guest.next_deadline().is_some() {
        guest.turn(Some(Duration::ZERO)).unwrap();
    }
    for mut writer in writers {
        writer.write_all(b"x").unwrap();
    }
    host.host(&guest, || served.get() == 600);
}

/// What was left to be seen is nobody's any more.
#[cfg(target_os = "linux")]
#[test]
fn closed_with_something_left_to_be_seen_has_no_deadline() {
    let guest = EventLoop::new().unwrap();
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let _watch = guest.add_reader(reader, || {}).unwrap();
    writer.write_all(b"x").unwrap();
    while guest.turn(Some(Duration::ZERO)).unwrap().polled == 0 {}
    assert!(guest.next_deadline().is_some_and(|at| at <= Instant::now()));
    guest.close().unwrap();
    assert_eq!(guest.next_deadline(), None);
}

/// A frame that took long: all that is due is seen to in one turn, in the order of the deadlines.
#[test]
fn late_then_all_that_is_due_in_one_turn_by_deadline() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let now = guest.time();
    for (after, name) in [(3, "third"), (1, "first"), (2, "second")] {
        guest.call_at(now + Duration::from_micros(after), trace.noting(name));
    }
    while Instant::now() < now + Duration::from_millis(1) {}
    guest.call_soon(trace.noting("ready"));
    assert_eq!(guest.turn(Some(Duration::ZERO)).unwrap().polled, 4);
    trace.assert(&["ready", "first", "second", "third"]);
}

/// A game: a turn for each frame, and no descriptor. What other threads post is seen by the next.
#[test]
fn a_turn_for_each_frame_and_nothing_watched() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (handle, log) = (guest.handle(), trace.clone());
    let (posted, frame) = mpsc::channel();
    let other = std::thread::spawn(move || {
        for word in ["one", "two"] {
            let log = log.clone();
            handle.call_soon_threadsafe(move || log.note(word)).unwrap();
            posted.send(()).unwrap();
        }
    });
    frame.recv().unwrap();
    frame.recv().unwrap();
    other.join().unwrap();
    assert_eq!(guest.turn(Some(Duration::ZERO)).unwrap().polled, 2);
    trace.assert(&["one", "two"]);
}

/// Nobody turns it: what was sent waits, and is told at the end.
#[test]
fn never_turned_then_closed_then_who_waits_is_told() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let _lent = guest.as_fd();
    let (handle, log) = (guest.handle(), trace.clone());
    let (sent, all) = mpsc::channel();
    let other = std::thread::spawn(move || {
        let task = handle.spawn(|| async { 42 }).unwrap();
        for _ in 0..10_000 {
            handle.call_soon_threadsafe(|| panic!("it never ran")).unwrap();
        }
        sent.send(()).unwrap();
        let outcome = task.join();
        log.note(format!("{:?}", outcome.map_err(|error| error.to_string())));
    });
    all.recv().unwrap();
    guest.close().unwrap();
    other.join().unwrap();
    let told = trace.take();
    assert!(told.len() == 1 && told[0].starts_with("Err("), "{told:?}");
}

/// A stop is for whoever turns it: a host by hand hears of it as one that drives.
#[test]
fn stopped_then_the_turn_says_so_once() {
    let guest = EventLoop::new().unwrap();
    let says = || guest.turn(Some(Duration::ZERO)).unwrap().stopped;
    assert!(!says());
    let stop = guest.clone();
    guest.call_soon(move || stop.stop());
    assert_eq!([says(), says()], [true, false]);
    guest.stop();
    assert_eq!([says(), says()], [true, false], "before a turn");
    let handle = guest.handle();
    std::thread::spawn(move || handle.stop()).join().unwrap();
    assert_eq!([says(), says()], [true, false], "from another thread");
}

/// A panic that leaves a turn leaves a loop that wants another.
#[test]
fn a_panic_leaves_the_turn_then_the_rest_is_due_at_once() {
    let guest = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build().unwrap();
    let trace = Trace::new();
    let _lent = guest.as_fd();
    guest.call_soon(|| panic!("out of tea"));
    guest.call_soon(trace.noting("the rest"));
    trace.note(panic_of(|| guest.turn(Some(Duration::ZERO))));
    assert!(guest.next_deadline().is_some_and(|at| at <= Instant::now()));
    guest.turn(Some(Duration::ZERO)).unwrap();
    trace.assert(&["out of tea", "the rest"]);
    assert_eq!(guest.next_deadline(), None);
}

/// A host that turns the loop by itself while it is asked to wait for it, and says that something came all the time.
struct Meddling {
    guest: EventLoop,
    polls: usize,
}

impl Host for Meddling {
    fn poll_readable(&mut self, _: BorrowedFd<'_>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.polls += 1;
        self.guest.turn(Some(Duration::ZERO)).map_err(io::Error::from)?;
        if self.polls % 2 == 0 { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_deadline(&mut self, _: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let _ = self.guest.turn(Some(Duration::ZERO));
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[test]
fn turned_by_the_host_while_it_is_driven_and_nothing_is_lost() {
    let (guest, trace) = (EventLoop::new().unwrap(), Rc::new(RefCell::new(Vec::new())));
    let (stop, log) = (guest.clone(), Rc::clone(&trace));
    guest
        .create_task(async move {
            for step in 0..5 {
                log.borrow_mut().push(step);
                yield_now().await;
                sleep(Duration::from_micros(50)).await;
            }
            // In a turn of either: told again for as long as the drive has not heard.
            loop {
                stop.stop();
                yield_now().await;
            }
        })
        .detach();
    let host = Meddling { guest: guest.clone(), polls: 0 };
    futures::executor::block_on(guest.drive_with(host)).unwrap();
    assert_eq!(*trace.borrow(), [0, 1, 2, 3, 4]);
    // The task has the loop.
    guest.close().unwrap();
    assert!(matches!(guest.turn(None), Err(LoopError::Closed)));
}

/// A host that forks: in the child all is refused in words, what a host may ask still gives an answer, and the parent's
/// host hears of none of it.
#[test]
fn forked_while_it_is_lent_then_the_child_is_refused_and_the_parent_goes_on() {
    let test = "forked_while_it_is_lent_then_the_child_is_refused_and_the_parent_goes_on";
    support::in_good_child(test, || {
        let (guest, never_lent) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        let (trace, lent) = (Trace::new(), guest.as_fd());
        let timer = guest.call_later(Duration::from_secs(60), trace.noting("due"));
        guest.turn(Some(Duration::ZERO)).unwrap();
        // SAFETY: the child does what is said, and leaves by `_exit`.
        unsafe {
            match libc::fork() {
                0 => {
                    support::limit_lifetime();
                    let refused = [&guest, &never_lent].map(|inherited| {
                        let (_, _) = (inherited.as_fd(), inherited.next_deadline());
                        let turned = inherited.turn(Some(Duration::ZERO)).map(drop);
                        let driven = futures::executor::block_on(inherited.drive());
                        let forked = |outcome| matches!(outcome, Err(LoopError::Forked));
                        inherited.stop();
                        timer.cancel();
                        forked(turned) && forked(driven) && forked(inherited.close())
                    });
                    drop((guest.clone(), never_lent));
                    libc::_exit(if refused == [true, true] { 0 } else { 1 })
                }
                child => {
                    let mut status = -1;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    assert_eq!(status, 0);
                }
            }
        }
        let mut fds = [PollFd::from_borrowed_fd(lent, PollFlags::IN)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(
            poll(&mut fds, Some(&now)).unwrap(),
            0,
            "the parent's host is woken for nothing"
        );
        guest.call_soon(trace.noting("ran"));
        assert_eq!(poll(&mut fds, Some(&now)).unwrap(), 1);
        guest.turn(Some(Duration::ZERO)).unwrap();
        trace.assert(&["ran"]);
        assert_eq!(guest.next_deadline(), Some(timer.when()));
    });
}
