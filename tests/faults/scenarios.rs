//! What is done while calls to the system fail: programs small enough to be run thousands of times.
//!
//! A scenario ends, well or with the error that stopped it; it leaves nothing behind either way.

use std::error::Error;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::{join, try_join};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::net::{
    TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, lookup_host, start_server,
};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, signal};
use loopbind::thread::{LoopThread, ThreadBuilder, per_core};
use loopbind::{
    Async, EventLoop, LoopError, get_running_loop, io as loop_io, run, sleep, spawn,
    spawn_blocking, timeout, yield_now,
};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

pub(crate) type Scenario = (&'static str, fn() -> Outcome);

/// Each of them, by its name.
pub(crate) const ALL: &[Scenario] = &[
    ("timers", timers),
    ("echo", echo),
    ("server", server),
    ("listener_and_datagrams", listener_and_datagrams),
    ("children", children),
    ("a_signal", a_signal),
    ("the_pool", the_pool),
    ("threads", threads),
    ("a_driven_loop", a_driven_loop),
    #[cfg(feature = "calloop")]
    ("a_source_of_calloops", a_source_of_calloops),
    ("watches", watches),
    ("closed_with_everything_alive", closed_with_everything_alive),
    ("a_nested_run", a_nested_run),
    ("a_fork", a_fork),
    ("cancelled_connections", cancelled_connections),
    ("cancelled_waits", cancelled_waits),
    ("signals_of_two_loops", signals_of_two_loops),
];

/// A loop of timers, callbacks and tasks, turned and run.
pub(crate) fn timers() -> Outcome {
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
}

/// An echo over a pair of Unix sockets.
pub(crate) fn echo() -> Outcome {
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
        let talked = try_join(writing, reader.read_to_string(&mut heard)).await;
        drop(client);
        echo.await.map_err(io::Error::other)??;
        talked?;
        assert_eq!(heard, "some words");
        Ok::<_, Box<dyn Error>>(())
    })?
}

/// A TCP server, two clients, a graceful end.
pub(crate) fn server() -> Outcome {
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
        // Nobody is served while there is nothing to be served with.
        let talked = timeout(Duration::from_secs(60), join(talk(), talk())).await;
        server.shut_down(Duration::from_secs(1)).await;
        let (one, other) = talked?;
        one.and(other)?;
        Ok::<_, Box<dyn Error>>(())
    })?
}

/// A Unix listener with its file, and datagrams.
pub(crate) fn listener_and_datagrams() -> Outcome {
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
        try_join(talk, listen).await?;
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
}

/// Children: fed and read, killed, dropped.
pub(crate) fn children() -> Outcome {
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
}

/// A signal, awaited and called back for.
pub(crate) fn a_signal() -> Outcome {
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
}

/// Work on the pool: a name, a computation, words for standard error.
pub(crate) fn the_pool() -> Outcome {
    run(async {
        assert!(!lookup_host("localhost:80").await?.is_empty());
        let work = spawn_blocking(|| 7).await;
        let mut err = loop_io::stderr();
        err.write_all(b"words\n").await?;
        err.flush().await?;
        assert_eq!(work?, 7);
        Ok::<_, Box<dyn Error>>(())
    })?
}

/// Loops on threads, and what is sent to them.
pub(crate) fn threads() -> Outcome {
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
}

/// A loop driven by an executor that has no reactor, while another thread posts to it.
pub(crate) fn a_driven_loop() -> Outcome {
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
}

/// A loop that calloop turns. A turn may fail, and the next one may not.
#[cfg(feature = "calloop")]
pub(crate) fn a_source_of_calloops() -> Outcome {
    use loopbind::calloop::{LoopEvent, LoopSource};
    let event_loop = EventLoop::new()?;
    // Not the loop itself, which would live in its own callback where that never runs.
    let stop = event_loop.handle();
    event_loop.call_later(Duration::from_micros(200), || {});
    event_loop.call_later(Duration::from_millis(1), move || stop.stop());
    let mut host = calloop::EventLoop::<bool>::try_new()?;
    let told = |event, (): &mut (), over: &mut bool| {
        *over |= event == LoopEvent::Stopped;
        calloop::PostAction::Continue
    };
    let source = LoopSource::new(&event_loop)?;
    host.handle().insert_source(source, told).map_err(|refused| refused.error)?;
    let mut over = false;
    while !over {
        host.dispatch(None, &mut over)?;
    }
    Ok(())
}

/// Watches and descriptors of any kind.
pub(crate) fn watches() -> Outcome {
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
}

/// A loop closed with one of everything alive.
pub(crate) fn closed_with_everything_alive() -> Outcome {
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
}

/// A run inside a run: refused, whatever else fails; the outer one goes on, and the refused one runs later.
pub(crate) fn a_nested_run() -> Outcome {
    let outer = EventLoop::new()?;
    let inner = outer.run_until_complete(async {
        let inner = EventLoop::new()?;
        let refused = inner.run_until_complete(async { unreachable!("it is refused") });
        assert!(
            matches!(refused, Err::<(), _>(LoopError::AnotherLoopRunning { .. })),
            "{refused:?}"
        );
        let refused = run(async { unreachable!("it is refused") });
        assert!(
            matches!(refused, Err::<(), _>(LoopError::AnotherLoopRunning { .. })),
            "{refused:?}"
        );
        let refused = outer.run_forever();
        assert!(matches!(refused, Err(LoopError::AlreadyRunning)), "{refused:?}");
        assert_eq!(get_running_loop()?.id(), outer.id());
        // On another thread another loop runs.
        let elsewhere = spawn_blocking(|| run(sleep(Duration::from_micros(100))));
        let (left, mut right) = UnixStream::pair()?;
        let reading = spawn(async move { (&left).read_exact(&mut [0; 4]).await });
        yield_now().await;
        let written = right.write_all(b"word").await;
        drop(right);
        let read = reading.await;
        elsewhere.await??;
        written?;
        read??;
        assert_eq!(get_running_loop()?.id(), outer.id());
        Ok::<_, Box<dyn Error>>(inner)
    })??;
    inner.run_until_complete(sleep(Duration::from_micros(100)))?;
    outer.close()?;
    Ok(())
}

/// A loop of its own, and what it is for.
fn a_life_of_its_own() -> Outcome {
    run(async {
        let (left, mut right) = UnixStream::pair()?;
        let reading = spawn(async move { (&left).read_exact(&mut [0; 4]).await });
        sleep(Duration::from_micros(100)).await;
        let written = right.write_all(b"word").await;
        drop(right);
        reading.await??;
        Ok::<_, Box<dyn Error>>(written?)
    })?
}

/// A fork inside a coroutine: the child's world is its own, and the parent's waits are still the parent's.
pub(crate) fn a_fork() -> Outcome {
    run(async {
        let (left, mut right) = UnixStream::pair()?;
        let reading = spawn({
            let left = left.clone();
            async move { (&left).read_exact(&mut [0; 4]).await }
        });
        let inherited = get_running_loop()?;
        yield_now().await;
        // SAFETY: of the process's threads only this one does anything.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            let alone = || {
                assert!(get_running_loop().is_err());
                assert!(matches!(inherited.turn(None), Err(LoopError::Forked)));
                let lived = a_life_of_its_own();
                drop((left, inherited));
                lived.is_ok()
            };
            let code = catch_unwind(AssertUnwindSafe(alone)).map_or(101, i32::from);
            // SAFETY: no preconditions.
            unsafe { libc::_exit(code) };
        }
        assert!(forked > 0, "cannot fork");
        let mut status = 0;
        // SAFETY: `status` is ours; the child is ours and was not waited for yet.
        assert_eq!(unsafe { libc::waitpid(forked, &mut status, 0) }, forked);
        // It lived, or was told why it could not.
        let code = libc::WEXITSTATUS(status);
        assert!(libc::WIFEXITED(status) && code <= 1, "the child ended with {status:#x}");
        // The same here, so that each call of the child has its turn to fail.
        let lived = std::thread::spawn(|| a_life_of_its_own().map_err(|error| error.to_string()));
        let lived = lived.join().unwrap();
        let written = right.write_all(b"word").await;
        drop(right);
        let read = reading.await;
        lived?;
        written?;
        read??;
        Ok::<_, Box<dyn Error>>(())
    })?
}

/// How many iterations an operation is given at most, before it is cancelled.
const PATIENCE: usize = 5;

/// Does `operation`, cancelled at its first suspension, and again, cancelled at its second, and so on.
async fn cancelled_at_each_await<F, T>(operation: impl Fn() -> F) -> Outcome
where
    F: Future<Output = Result<T, Box<dyn Error>>> + 'static,
    T: 'static,
{
    for patience in 0..PATIENCE {
        let task = spawn(operation());
        for _ in 0..patience {
            yield_now().await;
        }
        task.cancel();
        match task.await {
            Ok(outcome) => return outcome.map(drop),
            Err(error) if error.is_cancelled() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Connections, cancelled at each of their awaits.
pub(crate) fn cancelled_connections() -> Outcome {
    run(async {
        cancelled_at_each_await(|| async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let to = listener.local_addr()?;
            let (client, server) = try_join(TcpStream::connect(to), listener.accept()).await?;
            let (mut client, (mut server, _)) = (client, server);
            let reading = spawn(async move { server.read_exact(&mut [0; 4]).await });
            yield_now().await;
            client.write_all(b"word").await?;
            client.close().await?;
            reading.await??;
            Ok(())
        })
        .await?;
        cancelled_at_each_await(|| async {
            let (one, other) =
                (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
            let to = other.local_addr()?;
            let receiving = spawn(async move { other.recv_from(&mut [0; 8]).await });
            yield_now().await;
            one.send_to(b"word", to).await?;
            receiving.await??;
            Ok(())
        })
        .await
    })?
}

/// A thread that ends with whoever has it.
struct Stopped(Option<LoopThread<()>>);

impl Drop for Stopped {
    fn drop(&mut self) {
        let thread = self.0.take().unwrap();
        thread.stop();
        let _ = thread.join();
    }
}

/// Waits for children, for signals, for work, and for other loops, cancelled at each of their awaits.
pub(crate) fn cancelled_waits() -> Outcome {
    // SAFETY: a disposition of the system's own: whatever becomes of the listeners, nobody dies of it.
    unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) };
    run(async {
        cancelled_at_each_await(|| async {
            let mut cat = Command::new("cat");
            let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            Ok(child.spawn()?.communicate("meow").await?)
        })
        .await?;
        cancelled_at_each_await(|| async {
            let mut heard = signal(SignalKind::user_defined1())?;
            let waiting = spawn(async move { heard.recv().await });
            yield_now().await;
            // SAFETY: no preconditions.
            unsafe { libc::raise(libc::SIGUSR1) };
            Ok(waiting.await?.ok_or("the loop could not listen")?)
        })
        .await?;
        cancelled_at_each_await(|| async { Ok(spawn_blocking(|| 7).await?) }).await?;
        cancelled_at_each_await(|| async {
            let thread = ThreadBuilder::new().spawn(|| async {
                sleep(Duration::from_secs(3600)).await;
            })?;
            let thread = Stopped(Some(thread));
            Ok(thread.0.as_ref().unwrap().handle().spawn(|| async { 7 })?.await?)
        })
        .await
    })?
}

/// Two loops that hear one signal, on two threads; one is closed while the other listens.
pub(crate) fn signals_of_two_loops() -> Outcome {
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGUSR2, libc::SIG_IGN) };
    let kind = SignalKind::user_defined2();
    let other = ThreadBuilder::new().spawn(move || async move {
        let mut heard = signal(kind)?;
        // SAFETY: no preconditions; this process listens for it.
        unsafe { libc::raise(libc::SIGUSR2) };
        heard.recv().await.ok_or_else(|| io::Error::other("the loop could not listen"))
    })?;
    let event_loop = EventLoop::new();
    let added = match &event_loop {
        Ok(event_loop) => event_loop.add_signal_handler(kind, || {}),
        Err(_) => Ok(()),
    };
    let other = other.join();
    let event_loop = event_loop?;
    let turned = event_loop.turn(Some(Duration::ZERO)).map(drop);
    event_loop.close()?;
    added?;
    turned?;
    match other {
        Ok(heard) => Ok(heard?),
        // Its loop ended under it, and said why.
        Err(payload) => Err((*payload.downcast::<LoopError>().map_err(|_| "it panicked")?).into()),
    }
}
