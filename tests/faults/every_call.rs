//! Each scenario, with each kind of call that it makes failing in each way that kind may, the first time,
//! the second time, and so on, until there is no such call left.
//!
//! Whatever fails, the scenario ends: well, or with an error that says something. Nothing is left, no
//! panic comes out, and nobody waits for ever. Each scenario has a process of its own, and each run of it a
//! few seconds, after which the system ends that process.

use std::error::Error;
use std::io::{self, Write};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::{
    TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, lookup_host, start_server,
};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, signal};
use loopbind::thread::{ThreadBuilder, per_core};
use loopbind::{Async, EventLoop, LoopError, io as loop_io, run, sleep, spawn, spawn_blocking};

use crate::books::Books;
use crate::errno::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EBADF, ECONNABORTED, ECONNREFUSED, ECONNRESET,
    EEXIST, EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC,
    ENOSYS, EPERM, EPIPE, EPROTO, ETIMEDOUT,
};
use crate::support::{in_child, said};

type Outcome = Result<(), Box<dyn Error>>;

/// How long one run may take.
const SECONDS: u32 = 20;

/// What each kind may say. Not `EAGAIN` of those that wait for an edge after it: the system says it only
/// where an edge will come.
fn errnos(call: Call) -> &'static [i32] {
    match call {
        Call::EpollCreate => &[EMFILE, ENFILE, ENOMEM],
        Call::Eventfd => &[EMFILE, ENFILE, ENOMEM],
        Call::EpollAdd => &[ENOMEM, ENOSPC, EEXIST, EPERM, EBADF, ENOENT],
        // Not `ENOENT`, which says that the descriptor was closed behind the loop's back.
        Call::EpollModify => &[ENOMEM, ENOSPC, EBADF],
        Call::EpollRemove => &[ENOENT, EBADF, ENOMEM],
        Call::EpollWait => &[EINTR, EINVAL, EBADF],
        Call::EpollPwait2 => &[EINTR, EINVAL, ENOSYS, EPERM],
        Call::Ring => &[EINTR, EIO, EBADF],
        Call::Fcntl => &[EBADF, EPERM],
        Call::Dup => &[EMFILE],
        Call::Poll => &[EINTR, ENOMEM],
        Call::Socket => &[EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES],
        Call::Bind => &[EADDRINUSE, EACCES, ENOMEM],
        Call::Listen => &[EADDRINUSE],
        Call::Connect => &[EINTR, ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, ETIMEDOUT, EAGAIN],
        Call::Accept => &[EINTR, ECONNABORTED, EPROTO, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM],
        Call::Receive => &[EINTR, ECONNRESET, ETIMEDOUT, ENOMEM],
        Call::Send => &[EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM],
        Call::SocketError => &[ENOBUFS],
        Call::SocketOption => &[ENOMEM, EPERM],
        // Not `ENOTCONN`, which says that the connection is over.
        Call::Shutdown => &[EINVAL, ENOBUFS],
        Call::Read => &[EINTR, EIO],
        Call::Write => &[EINTR, EPIPE, EIO, ENOSPC],
        Call::PidfdOpen => &[ENOSYS, EMFILE, ENFILE, ENOMEM, EPERM],
        Call::WaitId => &[EINTR, EINVAL],
        Call::Kill => &[EPERM],
        Call::Spawn => &[EAGAIN, ENOMEM, EMFILE, ENFILE],
        Call::Thread => &[EAGAIN, ENOMEM],
        Call::Affinity => &[EINVAL, EPERM],
        Call::SignalAction => &[EINVAL],
        Call::SignalWrite => &[EINTR, EIO],
        Call::Resolve => &[ENOMEM, EMFILE],
        Call::Stat => &[ENOENT, EACCES],
    }
}

fn give(seconds: u32) {
    // SAFETY: no preconditions; nobody handles the signal, so that it ends the process.
    unsafe { libc::alarm(seconds) };
}

/// Runs `scenario` under every fault, in a process of its own.
#[track_caller]
fn under_every_fault(test: &str, scenario: fn() -> Outcome) {
    let Some(output) = in_child(test, || {
        // Warm: what is made once for the process is there.
        let plan = FaultPlan::new().install_everywhere();
        scenario().unwrap();
        plan.lift();
        let counts: Vec<_> = plan.counts().collect();
        drop(plan);
        let mut books = Books::open();
        books.close("warm");
        let (mut runs, mut failed) = (0, 0);
        for &(call, _) in &counts {
            for &errno in errnos(call) {
                for n in 1.. {
                    let case = format!("{call:?} {n}: {}", io::Error::from_raw_os_error(errno));
                    // On standard error, which shows the last one where the process is ended.
                    eprintln!("{case}");
                    give(SECONDS);
                    let faults = FaultPlan::new().nth(call, n, errno).install_everywhere();
                    let outcome = scenario();
                    faults.lift();
                    if let Err(error) = &outcome {
                        assert!(!error.to_string().is_empty(), "{case}");
                        failed += 1;
                    }
                    books.close(&case);
                    if faults.used() == 0 {
                        // Ended on its own account, then: it must end well.
                        outcome.unwrap_or_else(|error| panic!("{case}, unused: {error}"));
                        break;
                    }
                    runs += 1;
                    assert!(n < 10_000, "{case}: there is no end to it");
                }
            }
        }
        give(60);
        println!("{runs} faults, {failed} errors");
        assert!(failed > 0);
    }) else {
        return;
    };
    assert!(output.status.success(), "{}", last_words(&output));
}

fn last_words(output: &std::process::Output) -> String {
    let said = said(output);
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// A loop of timers, callbacks and tasks, turned and run.
#[test]
fn timers() {
    under_every_fault("every_call::timers", || {
        let event_loop = EventLoop::new()?;
        let (fired, seen) = (Rc::new(()), Rc::new(()));
        event_loop.call_later(Duration::from_micros(100), move || drop(fired));
        event_loop.call_soon(move || drop(seen));
        event_loop.turn(Some(Duration::from_micros(50)))?;
        event_loop.run_until_complete(async {
            let other = spawn(sleep(Duration::from_micros(300)));
            sleep(Duration::from_millis(1)).await;
            other.await.map_err(io::Error::other)
        })??;
        event_loop.close()?;
        Ok(())
    });
}

/// An echo over a pair of Unix sockets.
#[test]
fn echo() {
    under_every_fault("every_call::echo", || {
        run(async {
            let (client, server) = UnixStream::pair()?;
            let echo = spawn(async move {
                loop_io::copy(&server, &server).await?;
                (&server).close().await
            });
            let mut writer = &client;
            let writing = async {
                writer.write_all(b"some words").await?;
                writer.close().await
            };
            let mut heard = String::new();
            let mut reader = &client;
            let talked =
                futures::future::try_join(writing, reader.read_to_string(&mut heard)).await;
            drop(client);
            echo.await.map_err(io::Error::other)??;
            talked?;
            assert_eq!(heard, "some words");
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// A TCP server, two clients, a graceful end.
#[test]
fn server() {
    under_every_fault("every_call::server", || {
        // Its rests after a fault are a second of this clock.
        let event_loop = EventLoop::builder().virtual_time(true).build()?;
        event_loop.set_exception_handler(Some(Box::new(|_, _| {})));
        event_loop.run_until_complete(async {
            let server = start_server("127.0.0.1:0", |mut stream, _| async move {
                let mut word = [0; 4];
                if stream.read_exact(&mut word).await.is_ok() {
                    let _ = stream.write_all(&word).await;
                }
            });
            let server = server.await?;
            let to = server.local_addrs()[0];
            let talk = || async move {
                let mut stream = TcpStream::connect(to).await?;
                stream.write_all(b"word").await?;
                let mut word = [0; 4];
                stream.read_exact(&mut word).await?;
                assert_eq!(&word, b"word");
                Ok::<_, io::Error>(())
            };
            let talked = futures::future::join(talk(), talk()).await;
            server.shut_down(Duration::from_secs(1)).await;
            talked.0?;
            talked.1?;
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// A Unix listener with its file, and datagrams.
#[test]
fn listener_and_datagrams() {
    under_every_fault("every_call::listener_and_datagrams", || {
        let path = std::env::temp_dir().join(format!("loopbind-every-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let event_loop = EventLoop::builder().virtual_time(true).build()?;
        event_loop.run_until_complete(async {
            let listener = UnixListener::bind(&path)?;
            let talk = async {
                let mut stream = UnixStream::connect(&path).await?;
                stream.write_all(b"word").await
            };
            let listen = async {
                let accepted = listener.incoming().next().await;
                let mut server = accepted.ok_or_else(|| io::Error::other("it ends"))??;
                server.read_exact(&mut [0; 4]).await
            };
            futures::future::try_join(talk, listen).await?;
            let (one, other) =
                (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
            other.connect(one.local_addr()?).await?;
            let receiving = spawn(async move { one.recv_from(&mut [0; 8]).await });
            if let Err(error) = other.send(b"word").await {
                receiving.abort();
                return Err(error.into());
            }
            assert_eq!(receiving.await.map_err(io::Error::other)??.0, 4);
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// Children: fed and read, killed, dropped.
#[test]
fn children() {
    under_every_fault("every_call::children", || {
        run(async {
            let mut cat = Command::new("cat");
            let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            // Input that nobody takes is no error: so says `EPIPE`.
            let said = child.communicate("meow").await?.stdout;
            assert!(b"meow".starts_with(&said), "{said:?}");
            let mut child = cat.kill_on_drop(true).spawn()?;
            child.kill()?;
            child.wait().await?;
            drop(cat.spawn()?);
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// A signal, awaited and called back for.
#[test]
fn a_signal() {
    under_every_fault("every_call::a_signal", || {
        let kind = SignalKind::user_defined1();
        // Whatever becomes of the listeners, the process is not to be ended by it.
        // SAFETY: a disposition of the system's own.
        unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
        let event_loop = EventLoop::new()?;
        event_loop.add_signal_handler(kind, || {})?;
        let heard = event_loop.run_until_complete(async {
            let mut heard = signal(kind)?;
            let waiting = spawn(async move { heard.recv().await });
            sleep(Duration::ZERO).await;
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGUSR1) };
            waiting.await.map_err(io::Error::other)
        });
        event_loop.remove_signal_handler(kind);
        event_loop.close()?;
        heard??.ok_or("the loop could not listen")?;
        Ok(())
    });
}

/// Work on the pool: a name, a computation, words for standard error.
#[test]
fn the_pool() {
    under_every_fault("every_call::the_pool", || {
        run(async {
            assert!(!lookup_host("localhost:80").await?.is_empty());
            let work = spawn_blocking(|| 7).await;
            let mut err = loop_io::stderr();
            err.write_all(b"words\n").await?;
            err.flush().await?;
            assert_eq!(work?, 7);
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// Loops on threads, and what is sent to them.
#[test]
fn threads() {
    under_every_fault("every_call::threads", || {
        let thread = ThreadBuilder::new().name("talker").spawn(|| async {
            sleep(Duration::from_secs(3600)).await;
        })?;
        let asked = thread.handle().spawn(|| async { 7 }).and_then(|task| {
            thread.handle().call_soon_threadsafe(|| {})?;
            task.join().map_err(|error| LoopError::Io(io::Error::other(error)))
        });
        thread.stop();
        let ended = thread.join();
        for outcome in per_core(|index| async move { index })?.join() {
            outcome.map_err(|error| *error.downcast::<LoopError>().unwrap())?;
        }
        assert_eq!(asked?, 7);
        // Asked to stop, or its loop said why it could not go on.
        match *ended.unwrap_err().downcast::<LoopError>().map_err(|_| "it panicked")? {
            LoopError::StoppedBeforeComplete => Ok(()),
            other => Err(other.into()),
        }
    });
}

/// A loop driven by an executor that has no reactor, while another thread posts to it.
#[test]
fn a_driven_loop() {
    under_every_fault("every_call::a_driven_loop", || {
        let event_loop = EventLoop::new()?;
        let (stop, handle) = (event_loop.clone(), event_loop.handle());
        let poster = std::thread::spawn(move || handle.call_soon_threadsafe(|| {}).map(drop));
        event_loop.call_later(Duration::from_millis(1), move || stop.stop());
        let driven = futures::executor::block_on(event_loop.drive());
        let posted = poster.join().unwrap();
        event_loop.close()?;
        driven?;
        posted?;
        Ok(())
    });
}

/// Watches and descriptors of any kind.
#[test]
fn watches() {
    under_every_fault("every_call::watches", || {
        let event_loop = EventLoop::new()?;
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair()?;
        let reader = Rc::new(reader);
        let stop = event_loop.clone();
        let reading = event_loop.add_reader(Rc::clone(&reader), move || stop.stop())?;
        let writing = event_loop.add_writer(Rc::clone(&reader), || {})?;
        writer.write_all(b"x")?;
        event_loop.run_forever()?;
        drop((reading, writing));
        event_loop.run_until_complete(async {
            let (left, right) = std::os::unix::net::UnixStream::pair()?;
            let (left, mut right) = (Async::new(left)?, Async::new(right)?);
            let reading = spawn(async move {
                left.readable().await?;
                (&left).read(&mut [0; 4]).await
            });
            right.writable().await?;
            let written = right.write_all(b"word").await;
            drop(right);
            reading.await.map_err(io::Error::other)??;
            written?;
            Ok::<_, Box<dyn Error>>(())
        })?
    });
}

/// A loop closed with one of everything alive.
#[test]
fn closed_with_everything_alive() {
    under_every_fault("every_call::closed_with_everything_alive", || {
        // SAFETY: a disposition of the system's own.
        unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
        let event_loop = EventLoop::new()?;
        let made = event_loop.run_until_complete(async {
            let (left, right) = UnixStream::pair()?;
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let mut child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn()?;
            let mut heard = signal(SignalKind::user_defined2())?;
            spawn(async move { (&left).read(&mut [0]).await }).detach();
            spawn(async move { listener.accept().await.map(drop) }).detach();
            spawn(async move {
                let _stdin = child.stdin.take();
                child.wait().await
            })
            .detach();
            spawn(async move { heard.recv().await }).detach();
            spawn(sleep(Duration::from_secs(3600))).detach();
            spawn(async move {
                let _right = right;
                let work = spawn_blocking(|| 7);
                std::future::poll_fn(|_| Poll::<()>::Pending).await;
                drop(work);
            })
            .detach();
            sleep(Duration::ZERO).await;
            sleep(Duration::ZERO).await;
            Ok::<_, Box<dyn Error>>(())
        });
        event_loop.call_later(Duration::from_secs(1), || {});
        event_loop.close()?;
        made?
    });
}
