//! Descriptors whose owner is code of the user's that fails: asked for its number it panics, the first time, the
//! second time, and so on; or it panics as it is dropped.
//!
//! Two panics at once are the end of a process, so that each test has one of its own.

#![cfg(target_os = "linux")]

mod support;

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::thread;

use loopbind::{Async, EventLoop, set_event_loop, spawn, yield_now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use support::{Trace, in_good_child, open_descriptors, turn};

/// Panics from the `last`th time on that somebody asks for its number; or, at zero, as it is dropped.
struct Faulty {
    stream: UnixStream,
    asked: Rc<Cell<usize>>,
    last: usize,
}

impl AsFd for Faulty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.asked.set(self.asked.get() + 1);
        if self.last > 0 && self.asked.get() >= self.last {
            panic!("no number");
        }
        self.stream.as_fd()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if self.last == 0 && !thread::panicking() {
            panic!("no end");
        }
    }
}

/// Its own panics are said to nobody.
fn say_only_others() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !support::text_of(info.payload()).starts_with("no ") {
            before(info);
        }
    }));
}

/// How often it is asked at most, in what follows.
const MOST: usize = 12;

fn faulty(last: usize) -> (Faulty, UnixStream, Rc<Cell<usize>>) {
    let (stream, theirs) = UnixStream::pair().unwrap();
    let asked = Rc::new(Cell::new(0));
    (Faulty { stream, asked: Rc::clone(&asked), last }, theirs, asked)
}

/// Whether the other end is gone.
fn is_closed(mut theirs: &UnixStream) -> bool {
    theirs.set_nonblocking(true).unwrap();
    match theirs.read(&mut [0; 8]) {
        Ok(read) => read == 0,
        // With words unread.
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

/// Read by a task that owns it, whose panic drops it on its way out; watched, and the watch replaced and ended; or
/// left to the close. Whatever panics, it is gone in the end, with what was called for it, and the loop goes on.
#[test]
fn asked_for_its_number_it_panics_and_is_gone_all_the_same() {
    in_good_child("asked_for_its_number_it_panics_and_is_gone_all_the_same", || {
        say_only_others();
        let before = open_descriptors();
        for last in 0..MOST {
            let event_loop = EventLoop::new().unwrap();
            event_loop.set_exception_handler(Some(Box::new(|_, _| ())));
            let trace = Trace::new();

            let (owner, mut theirs, _) = faulty(last);
            let probe = trace.probe("reader");
            let task = event_loop.create_task(async move {
                let _probe = probe;
                let owner = Async::new(owner).unwrap();
                for _ in 0..3 {
                    owner.readable().await.unwrap();
                    owner.read_with(|owner| (&owner.stream).read(&mut [0])).await.unwrap();
                }
            });
            for _ in 0..5 {
                turn(&event_loop);
                let _ = theirs.write_all(b"x");
            }
            assert!(task.is_finished(), "{last}");
            trace.assert(&["reader dropped"]);
            assert!(is_closed(&theirs), "{last}");

            let (owner, theirs, _) = faulty(last);
            let owner = Rc::new(owner);
            let watches = ["read", "write", "read again"].map(|name| {
                let (probe, owner) = (trace.probe(name), Rc::clone(&owner));
                let call = move || {
                    let _probe = &probe;
                };
                catch_unwind(AssertUnwindSafe(|| match name {
                    "write" => event_loop.add_writer(owner, call),
                    _ => event_loop.add_reader(owner, call),
                }))
            });
            drop(owner);
            turn(&event_loop);
            for watch in watches {
                let _ = catch_unwind(AssertUnwindSafe(|| drop(watch)));
            }
            turn(&event_loop);
            let mut dropped = trace.take();
            dropped.sort();
            assert_eq!(dropped, ["read again dropped", "read dropped", "write dropped"], "{last}");
            assert!(is_closed(&theirs), "{last}");

            // What is left to the close.
            let (owner, theirs, _) = faulty(last);
            let probe = trace.probe("detached");
            let call = move || {
                let _probe = &probe;
            };
            if let Ok(watch) = catch_unwind(AssertUnwindSafe(|| event_loop.add_reader(owner, call)))
            {
                watch.unwrap().detach();
            }
            let done = event_loop.run_until_complete(async { spawn(yield_now()).await.is_ok() });
            assert!(done.unwrap());
            event_loop.close().unwrap();
            trace.assert(&["detached dropped"]);
            assert!(is_closed(&theirs), "{last}");
        }
        assert_eq!(open_descriptors(), before);
    });
}

/// Somebody else has a duplicate, so that the system does not forget the descriptor as it is closed; what it has to read
/// would be seen by each look from then on, and no sleep would be one.
#[test]
fn it_panics_as_its_watch_ends_and_nothing_of_it_is_seen_any_more() {
    in_good_child("it_panics_as_its_watch_ends_and_nothing_of_it_is_seen_any_more", || {
        say_only_others();
        let (never, ..) = faulty(usize::MAX);
        let asked = Rc::clone(&never.asked);
        let event_loop = EventLoop::new().unwrap();
        drop(event_loop.add_reader(never, || ()).unwrap());
        for last in 1..=asked.get() + 1 {
            let (owner, mut theirs, _) = faulty(last);
            let _duplicate = owner.stream.try_clone().unwrap();
            theirs.write_all(b"x").unwrap();
            let watch =
                catch_unwind(AssertUnwindSafe(|| event_loop.add_reader(owner, || unreachable!())));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(watch)));
            let lent = event_loop.as_fd();
            let mut seen = [PollFd::new(&lent, PollFlags::IN)];
            assert_eq!(poll(&mut seen, Some(&Timespec::default())), Ok(0), "{last}");
        }
    });
}

/// The same, left to the end of a thread, where a panic that leaves a destructor is the end of the process.
#[test]
fn left_to_the_end_of_its_thread_it_panics_and_is_gone_all_the_same() {
    in_good_child("left_to_the_end_of_its_thread_it_panics_and_is_gone_all_the_same", || {
        say_only_others();
        let before = open_descriptors();
        for last in 0..MOST {
            let theirs = thread::spawn(move || {
                let event_loop = EventLoop::new().unwrap();
                set_event_loop(Some(&event_loop));
                let (read, their_read, _) = faulty(last);
                let (watched, their_watched, _) = faulty(last);
                if let Ok(watch) =
                    catch_unwind(AssertUnwindSafe(|| event_loop.add_reader(watched, || ())))
                {
                    watch.unwrap().detach();
                }
                let reading = async move {
                    let read = Async::new(read).unwrap();
                    read.readable().await.unwrap();
                };
                event_loop.create_task(reading).detach();
                event_loop.set_exception_handler(Some(Box::new(|_, _| ())));
                turn(&event_loop);
                [their_read, their_watched]
            });
            assert!(theirs.join().unwrap().iter().all(is_closed), "{last}");
        }
        assert_eq!(open_descriptors(), before);
    });
}
