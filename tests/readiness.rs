//! What a descriptor can be ready for, and who is told of it: each state of a descriptor with each
//! interest in it, for those who await it and for those who watch it. Nothing is told for ever that
//! nobody asked for: events and turns are counted.

#![cfg(target_os = "linux")]

use std::any::Any;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use loopbind::{Async, EventLoop};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::pipe::{PipeFlags, pipe_with};
use socket2::SockRef;

use support::{Trace, turn};

#[path = "support/sockets.rs"]
mod sockets;
mod support;

const NONE: PollFlags = PollFlags::empty();
const IN: PollFlags = PollFlags::IN;
const OUT: PollFlags = PollFlags::OUT;
const RDHUP: PollFlags = PollFlags::RDHUP;
const HUP: PollFlags = PollFlags::HUP;
const ERR: PollFlags = PollFlags::ERR;
const PRI: PollFlags = PollFlags::PRI;

/// What the system says of it.
fn state(fd: BorrowedFd<'_>) -> PollFlags {
    let mut polled = [PollFd::from_borrowed_fd(fd, IN | OUT | RDHUP | PRI)];
    poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
    polled[0].revents()
}

/// What makes it so.
type Trigger = Box<dyn FnOnce() -> Box<dyn Any>>;

/// A descriptor before and after something happened to it.
struct Case {
    name: &'static str,
    fd: Rc<OwnedFd>,
    before: PollFlags,
    after: PollFlags,
    trigger: Trigger,
}

impl Case {
    fn new<K: 'static>(
        name: &'static str,
        fd: impl Into<OwnedFd>,
        before: PollFlags,
        after: PollFlags,
        trigger: impl FnOnce() -> K + 'static,
    ) -> Case {
        let fd = Rc::new(fd.into());
        assert_eq!(state(fd.as_fd()), before, "{name}, before");
        Case { name, fd, before, after, trigger: Box::new(|| Box::new(trigger())) }
    }

    /// Gives what keeps the other side as it is then.
    fn happen(trigger: Trigger, fd: &OwnedFd, after: PollFlags) -> Box<dyn Any> {
        let kept = trigger();
        // The system delivers on its own time what goes through TCP.
        let began = Instant::now();
        while state(fd.as_fd()) != after {
            assert!(began.elapsed() < Duration::from_secs(10), "{:?}", state(fd.as_fd()));
            std::thread::yield_now();
        }
        kept
    }
}

fn fill(fd: impl AsFd) {
    while rustix::io::write(fd.as_fd(), &[0; 4096]).is_ok() {}
}

fn drain(fd: impl AsFd) {
    while matches!(rustix::io::read(fd.as_fd(), &mut [0; 4096][..]), Ok(1..)) {}
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap()
}

fn streams() -> (UnixStream, UnixStream) {
    let (left, right) = UnixStream::pair().unwrap();
    left.set_nonblocking(true).unwrap();
    right.set_nonblocking(true).unwrap();
    (left, right)
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let (reader, writer) = pipe();
    cases.push(Case::new("data in a pipe", reader, NONE, IN, move || {
        rustix::io::write(&writer, b"x").unwrap();
        writer
    }));
    let (reader, writer) = pipe();
    fill(&writer);
    cases.push(Case::new("room in a pipe", writer, NONE, OUT, move || {
        drain(&reader);
        reader
    }));
    let (left, mut right) = streams();
    fill(&left);
    cases.push(Case::new("data, and room", left, NONE, IN | OUT, move || {
        drain(&right);
        right.write_all(b"x").unwrap();
        right
    }));
    let (left, right) = streams();
    fill(&left);
    cases.push(Case::new("the other side writes no more", left, NONE, IN | RDHUP, move || {
        right.shutdown(Shutdown::Write).unwrap();
        right
    }));
    let (reader, writer) = pipe();
    cases.push(Case::new("nobody writes to a pipe", reader, NONE, HUP, move || drop(writer)));
    let (reader, writer) = pipe();
    fill(&writer);
    cases.push(Case::new("nobody reads a full pipe", writer, NONE, ERR, move || drop(reader)));
    let (reader, writer) = pipe();
    cases.push(Case::new("nobody reads a pipe", writer, OUT, OUT | ERR, move || drop(reader)));
    let (left, right) = streams();
    fill(&left);
    let gone = IN | OUT | RDHUP | HUP;
    cases.push(Case::new("the other side is gone", left, NONE, gone, move || {
        drain(&right);
        drop(right);
    }));
    let (left, mut right) = sockets::std_pair().unwrap();
    (&left).write_all(b"unread").unwrap();
    right.read_exact(&mut [0]).unwrap();
    let reset = IN | OUT | RDHUP | HUP | ERR;
    cases.push(Case::new("the other side broke off", left, OUT, reset, move || {
        SockRef::from(&right).set_linger(Some(Duration::ZERO)).unwrap();
        drop(right);
    }));
    let (left, right) = sockets::std_pair().unwrap();
    cases.push(Case::new("urgent data", left, OUT, OUT | PRI, move || {
        assert_eq!(send(&right, b"!", SendFlags::OOB).unwrap(), 1);
        right
    }));
    cases
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Wants {
    reads: bool,
    writes: bool,
}

const INTERESTS: [Wants; 4] = [
    Wants { reads: false, writes: false },
    Wants { reads: true, writes: false },
    Wants { reads: false, writes: true },
    Wants { reads: true, writes: true },
];

/// `add_reader` and `add_writer`: each look calls whose direction is ready, or over, and nobody else; and
/// what nobody asked for is no event. IO-01, IO-03.
#[test]
fn watched_in_every_state_with_every_interest() {
    for wants in INTERESTS {
        for Case { name, fd, before, after, trigger } in cases() {
            let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
            let reader = trace.clone();
            let reader = event_loop.add_reader(Rc::clone(&fd), move || reader.note("reader"));
            let writer = trace.clone();
            let writer = event_loop.add_writer(Rc::clone(&fd), move || writer.note("writer"));
            // Taken away again, too: `none` has been something else.
            let _reader = reader.ok().filter(|_| wants.reads);
            let _writer = writer.ok().filter(|_| wants.writes);
            let three_looks = |state: PollFlags| {
                let reads = if cfg!(feature = "polling") { IN | RDHUP | PRI } else { IN | RDHUP };
                let mut expected = Vec::new();
                if wants.reads && state.intersects(reads | HUP | ERR) {
                    expected.push("reader");
                }
                if wants.writes && state.intersects(OUT | HUP | ERR) {
                    expected.push("writer");
                }
                for look in 1..=3 {
                    let events = event_loop.metrics().io_events;
                    let ran = turn(&event_loop);
                    let said = format!("{name}, {wants:?}, {state:?}, look {look}");
                    assert_eq!(trace.take(), expected, "{said}");
                    assert_eq!(ran, expected.len(), "{said}");
                    let events = event_loop.metrics().io_events - events;
                    assert_eq!(events, u64::from(!expected.is_empty()), "{said}");
                }
            };
            three_looks(before);
            let _other_side = Case::happen(trigger, &fd, after);
            three_looks(after);
        }
    }
}

/// `Async`: who waits for a direction goes on when that is ready, or over; and then it is quiet, whatever
/// else there is to tell.
#[test]
fn awaited_in_every_state_with_every_interest() {
    for wants in INTERESTS {
        for Case { name, fd, before, after, trigger } in cases() {
            let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
            let said = format!("{name}, {wants:?}");
            let source = Rc::new(Async::new(Rc::clone(&fd)).unwrap());
            let waiting = |direction: &'static str| {
                let (source, trace) = (Rc::clone(&source), trace.clone());
                event_loop.create_task(async move {
                    match direction {
                        "reader" => source.readable().await.unwrap(),
                        _ => source.writable().await.unwrap(),
                    }
                    trace.note(direction);
                })
            };
            let tasks =
                [wants.reads.then(|| waiting("reader")), wants.writes.then(|| waiting("writer"))];
            let expected = |state: PollFlags| {
                let mut expected = Vec::new();
                if wants.reads && state.intersects(IN | HUP | ERR) {
                    expected.push("reader");
                }
                if wants.writes && state.intersects(OUT | HUP | ERR) {
                    expected.push("writer");
                }
                expected
            };
            for _ in 0..3 {
                turn(&event_loop);
            }
            let first = trace.take();
            assert_eq!(first, expected(before), "{said}, before");
            let events = event_loop.metrics().io_events;
            let _other_side = Case::happen(trigger, &fd, after);
            for _ in 0..3 {
                turn(&event_loop);
            }
            let mut all = first;
            all.extend(trace.take());
            all.sort();
            assert_eq!(all, expected(after), "{said}, after");
            let told = event_loop.metrics().io_events - events;
            assert!(told <= 3, "{said}: {told} events");
            // Whoever waits still is not woken, and there are no more events.
            for _ in 0..5 {
                let events = event_loop.metrics().io_events;
                assert_eq!(turn(&event_loop), 0, "{said}");
                assert_eq!(event_loop.metrics().io_events, events, "{said}");
            }
            drop(tasks);
        }
    }
}

/// Urgent data wakes who reads it, and only the one it is for gets something.
#[test]
fn urgent_data_is_awaited_by_who_asks_for_it() {
    let (left, right) = sockets::std_pair().unwrap();
    loopbind::run(async {
        let left = Rc::new(Async::new(left).unwrap());
        let urgent = loopbind::spawn({
            let left = Rc::clone(&left);
            async move {
                let mut byte = [0];
                let taken = left.read_with(|socket| {
                    recv(socket, &mut byte[..], RecvFlags::OOB).map_err(|error| {
                        // There is none yet, or it has not arrived, says TCP.
                        match std::io::Error::from(error) {
                            error if error.kind() == ErrorKind::InvalidInput => {
                                ErrorKind::WouldBlock.into()
                            }
                            error => error,
                        }
                    })
                });
                taken.await.unwrap();
                byte
            }
        });
        loopbind::yield_now().await;
        send(&right, b"!", SendFlags::OOB).unwrap();
        let urgent = loopbind::timeout(Duration::from_secs(20), urgent).await;
        assert_eq!(urgent.expect("told of it").unwrap(), *b"!");
    })
    .unwrap();
}
