//! Descriptors that cannot be watched: each errno at each place that watches one.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdStream;
use std::rc::Rc;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::{TcpListener, UdpSocket, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, signal};
use loopbind::{Async, EventLoop, run, sleep, spawn};

use crate::bells::TRIES;
use crate::books::{Books, assert_is};
use crate::errno::{EBADF, EEXIST, EIO, ENOENT, ENOMEM, ENOSPC, EPERM};
use crate::support::{in_good_child, turn};

const ADDING: [i32; 6] = [ENOMEM, ENOSPC, EEXIST, EPERM, EBADF, ENOENT];

type Place = (&'static str, fn() -> io::Result<()>);

/// Each place that waits for a descriptor. The first registration is the one that fails.
const PLACES: [Place; 9] = [
    ("stream", || {
        run(async {
            let (mut left, mut right) = UnixStream::pair()?;
            let writing = spawn(async move { right.write_all(b"x").await });
            left.read_exact(&mut [0]).await?;
            writing.await.unwrap()
        })?
    }),
    ("accept", || {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let to = listener.local_addr()?;
            // Begun once the listener waits.
            let client = spawn(async move { std::net::TcpStream::connect(to).map(drop) });
            let accepted = listener.accept().await.map(drop);
            drop(listener);
            // Refused where the listener is gone.
            let _ = client.await.unwrap();
            accepted
        })?
    }),
    ("udp", || {
        run(async {
            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let to = socket.local_addr()?;
            let sending = spawn(async move {
                std::net::UdpSocket::bind("127.0.0.1:0")?.send_to(b"x", to).map(drop)
            });
            socket.recv_from(&mut [0]).await?;
            sending.await.unwrap()
        })?
    }),
    ("Async", || {
        run(async {
            let (left, mut right) = StdStream::pair()?;
            let left = Async::new(left)?;
            let writing = spawn(async move { right.write_all(b"x") });
            left.readable().await?;
            writing.await.unwrap()
        })?
    }),
    ("add_reader", || {
        let event_loop = EventLoop::new()?;
        let (reader, mut writer) = StdStream::pair()?;
        let stop = event_loop.clone();
        let _watch = event_loop.add_reader(reader, move || stop.stop())?;
        writer.write_all(b"x")?;
        Ok(event_loop.run_forever()?)
    }),
    ("add_writer", || {
        let event_loop = EventLoop::new()?;
        let (writer, _reader) = StdStream::pair()?;
        let stop = event_loop.clone();
        let _watch = event_loop.add_writer(writer, move || stop.stop())?;
        Ok(event_loop.run_forever()?)
    }),
    ("pipe", || {
        run(async {
            let mut cat = Command::new("cat");
            let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let mut stdout = child.stdout.take().unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // In this order, so that the wait is for the pipe.
            let writing = spawn(async move { stdin.write_all(b"x").await });
            let read = stdout.read_exact(&mut [0]).await;
            let written = writing.await.unwrap();
            drop(stdout);
            child.wait().await?;
            read.and(written)
        })?
    }),
    ("child", || {
        run(async {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
            // Closed once somebody waits.
            let stdin = child.stdin.take();
            let closing = spawn(async move { drop(stdin) });
            let ended = child.wait().await;
            closing.await.unwrap();
            assert!(ended?.success());
            Ok(())
        })?
    }),
    ("signal", || {
        run(async {
            let mut heard = signal(SignalKind::user_defined1())?;
            // SAFETY: no preconditions; this process listens for it.
            unsafe { libc::raise(libc::SIGUSR1) };
            heard.recv().await.ok_or_else(|| io::Error::other("not heard"))
        })?
    }),
];

/// The number of the call that is the place's own: the loop's bell comes first.
const OWN: u64 = 2;

/// A registration that is refused is an error of whoever waits, nobody hangs, and nothing is left.
#[test]
fn refused_then_whoever_waits_is_told() {
    in_good_child("watching::refused_then_whoever_waits_is_told", || {
        for (_, act) in PLACES {
            act().unwrap();
        }
        let books = Books::open();
        for (place, act) in PLACES {
            for errno in ADDING {
                let faults = FaultPlan::new().nth(Call::EpollAdd, OWN, errno).install();
                let outcome = act();
                assert_eq!(faults.used(), 1, "{place}");
                assert_is(&outcome.expect_err(place), errno);
                drop(faults);
                books.assert_closed(place);
                act().unwrap();
                books.assert_closed(place);
            }
        }
    });
}

/// What was refused once works at the next try, on the same loop, with the same descriptor.
#[test]
fn refused_once_then_watched_by_the_same_loop() {
    in_good_child("watching::refused_once_then_watched_by_the_same_loop", || {
        for errno in ADDING {
            let event_loop = EventLoop::new().unwrap();
            let books = Books::open();
            let _faults = FaultPlan::new().nth(Call::EpollAdd, 1, errno).install();
            event_loop
                .run_until_complete(async {
                    let (mut left, mut right) = UnixStream::pair().unwrap();
                    assert_is(&left.read(&mut [0]).await.unwrap_err(), errno);
                    let reading = spawn(async move { left.read_exact(&mut [0; 4]).await });
                    sleep(Duration::ZERO).await;
                    right.write_all(b"word").await.unwrap();
                    reading.await.unwrap().unwrap();
                })
                .unwrap();
            books.assert_closed("stream");
        }
    });
}

/// A second direction that cannot be added leaves the first one as it was.
#[test]
fn a_writer_refused_and_the_reader_goes_on() {
    for errno in [ENOMEM, EBADF, EPERM, EEXIST, ENOSPC] {
        let event_loop = EventLoop::new().unwrap();
        let (reader, mut writer) = StdStream::pair().unwrap();
        let reader = Rc::new(reader);
        let (reads, writes) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let count = Rc::clone(&reads);
        let _watch =
            event_loop.add_reader(Rc::clone(&reader), move || count.set(count.get() + 1)).unwrap();
        let faults = FaultPlan::new().nth(Call::EpollModify, 1, errno).install();
        let count = Rc::clone(&writes);
        let refused = event_loop.add_writer(Rc::clone(&reader), move || count.set(1));
        assert_is(&refused.unwrap_err(), errno);
        assert_eq!(faults.used(), 1);
        assert_eq!(Rc::strong_count(&writes), 1, "its callback is dropped");
        writer.write_all(b"x").unwrap();
        turn(&event_loop);
        turn(&event_loop);
        assert!(reads.get() >= 1 && writes.get() == 0);
        let count = Rc::clone(&writes);
        let watch = event_loop.add_writer(Rc::clone(&reader), move || count.set(1)).unwrap();
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!(writes.get(), 1);
        drop(watch);
    }
}

/// A watch whose system's part cannot be undone ends all the same: it is called no more.
#[test]
fn not_to_be_undone_then_called_no_more() {
    for errno in [ENOMEM, EBADF, ENOENT, EPERM] {
        let event_loop = EventLoop::new().unwrap();
        let (reader, mut writer) = StdStream::pair().unwrap();
        let reader = Rc::new(reader);
        let calls = Rc::new(Cell::new(0));
        let count = Rc::clone(&calls);
        let watch =
            event_loop.add_reader(Rc::clone(&reader), move || count.set(count.get() + 1)).unwrap();
        writer.write_all(b"x").unwrap();
        let faults = FaultPlan::new().always(Call::EpollRemove, errno).install();
        drop(watch);
        assert!(faults.used() > 0);
        drop(faults);
        assert_eq!(Rc::strong_count(&calls), 1, "its callback is dropped");
        turn(&event_loop);
        turn(&event_loop);
        assert_eq!(calls.get(), 0);
        event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
    }
}

/// The same for what is closed next: its number may be another's, which is watched by itself.
#[test]
fn not_to_be_undone_then_closed_and_its_number_is_anothers() {
    in_good_child("watching::not_to_be_undone_then_closed_and_its_number_is_anothers", || {
        run(async {
            for errno in [ENOMEM, ENOENT] {
                let (left, _right) = StdStream::pair().unwrap();
                let left = Async::new(left).unwrap();
                let number = left.as_fd().try_clone_to_owned().map(drop);
                number.unwrap();
                poll_fn(|cx| {
                    assert!(left.poll_readable(cx).is_pending());
                    std::task::Poll::Ready(())
                })
                .await;
                let faults = FaultPlan::new().nth(Call::EpollRemove, 1, errno).install();
                drop(left);
                assert_eq!(faults.used(), 1);
                let (left, mut right) = StdStream::pair().unwrap();
                let left = Async::new(left).unwrap();
                let reading = spawn(async move { left.readable().await });
                sleep(Duration::ZERO).await;
                right.write_all(b"x").unwrap();
                reading.await.unwrap().unwrap();
            }
        })
        .unwrap();
    });
}

/// A loop driven by an executor that has no reactor: what the watcher cannot watch is an error of the
/// driven future, and driving it once more works.
#[test]
fn not_to_be_driven_then_driven() {
    in_good_child("watching::not_to_be_driven_then_driven", || {
        let drive_until = |end| {
            let event_loop = EventLoop::new().unwrap();
            let stop = event_loop.clone();
            event_loop.call_later(end, move || stop.stop());
            let driven = futures::executor::block_on(event_loop.drive());
            // The timer has the loop, and the loop the timer.
            event_loop.close().unwrap();
            driven
        };
        let drive = || drive_until(Duration::from_millis(1));
        // Refused before its time comes, however long that takes: one that comes at once needs no watching.
        let refused = || drive_until(Duration::from_secs(3600)).unwrap_err();
        let books = Books::open();
        for (call, n, errno) in [
            (Call::Thread, 1, crate::errno::EAGAIN),
            // The loop's own comes first.
            (Call::EpollCreate, 2, crate::errno::EMFILE),
            (Call::Eventfd, 2, crate::errno::EMFILE),
            (Call::EpollAdd, 2, ENOMEM),
        ] {
            let faults = FaultPlan::new().nth(call, n, errno).install_everywhere();
            match refused() {
                loopbind::LoopError::Io(error) => assert_is(&error, errno),
                other => panic!("{other}"),
            }
            assert_eq!(faults.used(), 1, "{call:?}");
            books.assert_closed(&format!("{call:?}, before there is a watcher"));
        }
        drive().unwrap();
        let books = Books::open();
        for (call, n, errno) in [(Call::Dup, 1, crate::errno::EMFILE), (Call::EpollAdd, 2, ENOSPC)]
        {
            let faults = FaultPlan::new().nth(call, n, errno).install_everywhere();
            match refused() {
                loopbind::LoopError::Io(error) => assert_is(&error, errno),
                other => panic!("{other}"),
            }
            assert_eq!(faults.used(), 1, "{call:?}");
            drop(faults);
            drive().unwrap();
            books.assert_closed("driven");
        }
        // A watcher that cannot be told: neither way to wake it works.
        let plan = FaultPlan::new().span(Call::Ring, 1, TRIES, EIO);
        let faults = plan.span(Call::EpollModify, 1, TRIES, ENOMEM).install();
        match refused() {
            loopbind::LoopError::Io(error) => assert_is(&error, ENOMEM),
            other => panic!("{other}"),
        }
        assert_eq!(faults.used(), 2 * TRIES);
        drop(faults);
        drive().unwrap();
        books.assert_closed("told");
    });
}

/// The same future, driven on after the watcher could not be told of its loop: it is told then.
#[test]
fn not_to_be_told_then_told_at_the_next_poll() {
    in_good_child("watching::not_to_be_told_then_told_at_the_next_poll", || {
        let event_loop = EventLoop::new().unwrap();
        let mut driven = event_loop.drive();
        let plan = FaultPlan::new().span(Call::Ring, 1, TRIES, EIO);
        let faults = plan.span(Call::EpollModify, 1, TRIES, ENOMEM).install();
        assert!(futures::executor::block_on(&mut driven).is_err());
        assert_eq!(faults.used(), 2 * TRIES);
        let handle = event_loop.handle();
        let stopping = std::thread::spawn(move || {
            // Once the loop is asleep, or before: both are to end it.
            std::thread::yield_now();
            handle.stop();
        });
        futures::executor::block_on(&mut driven).unwrap();
        stopping.join().unwrap();
    });
}
