//! Calls that signals interrupt: a hundred times, and for ever.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::signal::SignalKind;
use loopbind::{Async, EventLoop, run, sleep, spawn, spawn_blocking};

use crate::books::{Books, assert_is};
use crate::errno::{EINTR, EINVAL, ENOSYS};
use crate::support::in_good_child;

/// Looks that are always interrupted see nothing, and yet time passes, posts arrive, and signals are
/// dispatched.
#[test]
fn looks_for_ever_and_timers_posts_and_signals_come() {
    in_good_child("interrupted::looks_for_ever_and_timers_posts_and_signals_come", || {
        let event_loop = EventLoop::new().unwrap();
        let signals = Rc::new(Cell::new(0));
        let count = Rc::clone(&signals);
        let kind = SignalKind::user_defined1();
        event_loop.add_signal_handler(kind, move || count.set(count.get() + 1)).unwrap();
        let plan = FaultPlan::new().always(Call::EpollWait, EINTR).always(Call::EpollPwait2, EINTR);
        let faults = plan.install();
        event_loop
            .run_until_complete(async {
                sleep(Duration::from_millis(5)).await;
                // SAFETY: no preconditions; it is listened for.
                unsafe { libc::raise(libc::SIGUSR1) };
                while signals.get() == 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            })
            .unwrap();
        assert!(faults.used() > 0);
    });
}

/// One interrupted look is one look less, and nothing else: what was there is seen by the next.
#[test]
fn looks_a_hundred_times_then_everything_is_seen() {
    in_good_child("interrupted::looks_a_hundred_times_then_everything_is_seen", || {
        let plan = FaultPlan::new().span(Call::EpollWait, 1, 100, EINTR);
        let faults = plan.span(Call::EpollPwait2, 1, 100, EINTR).install();
        run(async {
            let (mut left, mut right) = UnixStream::pair().unwrap();
            let reading = spawn(async move { left.read_exact(&mut [0; 4]).await });
            sleep(Duration::from_millis(1)).await;
            right.write_all(b"word").await.unwrap();
            reading.await.unwrap().unwrap();
        })
        .unwrap();
        assert!(faults.used() > 0);
    });
}

/// A kernel without looks to the nanosecond: whole milliseconds, never early, and interrupted as well.
#[test]
fn looks_of_an_old_kernel_are_never_early() {
    in_good_child("interrupted::looks_of_an_old_kernel_are_never_early", || {
        let plan = FaultPlan::new().always(Call::EpollPwait2, ENOSYS);
        let faults = plan.span(Call::EpollWait, 1, 3, EINTR).install();
        let (begun, limit) = (Instant::now(), Duration::from_micros(2300));
        let event_loop = EventLoop::new().unwrap();
        event_loop.run_until_complete(sleep(limit)).unwrap();
        assert!(begun.elapsed() >= limit);
        // Asked for once: the loop remembers.
        for _ in 0..3 {
            event_loop.run_until_complete(sleep(limit)).unwrap();
        }
        assert_eq!(faults.count(Call::EpollPwait2), 1);
        assert!(faults.count(Call::EpollWait) >= 7, "{faults:?}");
    });
}

/// Looks that fail end the run with the system's error; the loop can be run again.
#[test]
fn looks_that_fail_end_the_run_and_the_next_one_works() {
    in_good_child("interrupted::looks_that_fail_end_the_run_and_the_next_one_works", || {
        let books = Books::open();
        let event_loop = EventLoop::new().unwrap();
        let plan = FaultPlan::new().nth(Call::EpollWait, 1, EINVAL);
        let faults = plan.nth(Call::EpollPwait2, 1, EINVAL).install();
        let waiting = event_loop.create_task(sleep(Duration::from_millis(1)));
        match event_loop.run_until_complete(sleep(Duration::from_secs(100))).unwrap_err() {
            loopbind::LoopError::Io(error) => assert_is(&error, EINVAL),
            other => panic!("{other}"),
        }
        faults.lift();
        event_loop.run_until_complete(waiting).unwrap().unwrap();
        drop(event_loop);
        books.assert_closed("loop");
    });
}

/// Each call of sockets, descriptors and children, interrupted a hundred times in a row: as if it had not
/// been.
#[test]
fn calls_a_hundred_times_then_made() {
    in_good_child("interrupted::calls_a_hundred_times_then_made", || {
        for call in [
            Call::Accept,
            Call::Connect,
            Call::Receive,
            Call::Send,
            Call::Read,
            Call::Write,
            Call::Poll,
            Call::WaitId,
        ] {
            let books = Books::open();
            let faults = FaultPlan::new().span(call, 1, 100, EINTR).install_everywhere();
            everything();
            assert!(faults.used() >= 1, "{call:?}");
            // A connection goes on by itself: nobody asks for it again.
            assert!(faults.used() == 100 || call == Call::Connect, "{call:?}");
            books.assert_closed("everything");
        }
    });
}

fn everything() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let to = listener.local_addr().unwrap();
        let connecting = spawn(async move { TcpStream::connect(to).await });
        let (mut server, _) = listener.accept().await.unwrap();
        let mut client = connecting.await.unwrap().unwrap();
        client.write_all(b"word").await.unwrap();
        assert_eq!(client.write_vectored(&[std::io::IoSlice::new(b"s")]).await.unwrap(), 1);
        let mut words = [0; 5];
        server.read_exact(&mut words).await.unwrap();
        assert_eq!(&words, b"words");

        let (one, other) =
            (UdpSocket::bind("127.0.0.1:0").await.unwrap(), UdpSocket::bind(to).await.unwrap());
        one.send_to(b"x", other.local_addr().unwrap()).await.unwrap();
        assert_eq!(other.recv_from(&mut [0; 8]).await.unwrap().0, 1);

        let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut left, mut right) = (Async::new(left).unwrap(), Async::new(right).unwrap());
        left.writable().await.unwrap();
        left.write_all(b"x").await.unwrap();
        right.readable().await.unwrap();
        right.read_exact(&mut [0]).await.unwrap();

        let mut cat = Command::new("cat");
        let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.communicate("meow").await.unwrap().stdout, b"meow");
        let mut child = cat.stdin(Stdio::null()).spawn().unwrap();
        while child.try_wait().unwrap().is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .unwrap();
}

/// A call that is interrupted for ever does not finish; the others on the loop have their turns, and it
/// can be given up.
#[test]
fn calls_for_ever_and_the_loop_goes_on() {
    in_good_child("interrupted::calls_for_ever_and_the_loop_goes_on", || {
        run(async {
            let (left, right) = UnixStream::pair().unwrap();
            let faults = FaultPlan::new()
                .always(Call::Receive, EINTR)
                .always(Call::Send, EINTR)
                .always(Call::Accept, EINTR)
                .always(Call::Poll, EINTR)
                .install();
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let reading = spawn(async move { (&left).read(&mut [0]).await });
            let writing = spawn(async move { (&right).write(b"x").await });
            let accepting = spawn(async move { listener.accept().await.map(drop) });
            let (left, _right) = std::os::unix::net::UnixStream::pair().unwrap();
            let polling = spawn(async move { Async::new(left)?.readable().await });
            sleep(Duration::from_millis(5)).await;
            assert!(!reading.is_finished() && !writing.is_finished());
            assert!(!accepting.is_finished() && !polling.is_finished());
            faults.lift();
            writing.await.unwrap().unwrap();
            reading.await.unwrap().unwrap();
            for task in [accepting, polling] {
                task.cancel();
                assert!(task.await.unwrap_err().is_cancelled());
            }
        })
        .unwrap();
    });
}

/// A child whose status cannot be asked for: an error, and no hang; it is reaped once it can be.
#[test]
fn waits_for_ever_then_an_error_and_no_zombie() {
    in_good_child("interrupted::waits_for_ever_then_an_error_and_no_zombie", || {
        let books = Books::open();
        let mut child = Command::new("true").spawn().unwrap();
        let faults = FaultPlan::new().always(Call::WaitId, EINTR).install();
        assert_is(&child.try_wait().unwrap_err(), EINTR);
        // Nobody knows whether it is over: it is kept in mind.
        drop(child);
        drop(faults);
        // Whoever has to do with children goes through those that were left.
        let begun = Instant::now();
        while !books.are_closed() {
            assert!(begun.elapsed() < Duration::from_secs(5), "a zombie is left");
            let mut child = Command::new("true").spawn().unwrap();
            run(async { child.wait().await }).unwrap().unwrap();
        }
    });
}
