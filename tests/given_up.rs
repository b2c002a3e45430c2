//! What is awaited and given up: at its first poll, at its second, and so on to its end. Nothing of it is
//! left, and where giving up is said to lose nothing, nothing is lost.

#![cfg(target_os = "linux")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::fs;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::future::{join, try_join, try_join3};
use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, ctrl_c, signal};
use loopbind::{Async, get_running_loop, run, spawn, yield_now};
use rustix::io::Errno;
use rustix::process::{WaitId, WaitIdOptions, waitid};

use sockets::{ANY, pair};
use support::in_good_child;

/// What the process's epoll instances watch, and its descriptors.
fn holdings() -> (Vec<String>, usize) {
    let mut found = Vec::new();
    let entries: Vec<_> = fs::read_dir("/proc/self/fd").unwrap().collect();
    let count = entries.len();
    for entry in entries {
        let path = entry.unwrap().path();
        if fs::read_link(&path).is_ok_and(|to| to.as_os_str() == "anon_inode:[eventpoll]") {
            let number = path.file_name().unwrap().to_str().unwrap();
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
            let word = |line: &str| line.split_whitespace().nth(1).map(str::to_owned);
            found.extend(info.lines().filter(|line| line.starts_with("tfd:")).filter_map(word));
        }
    }
    found.sort();
    (found, count)
}

/// Whether there is no child, also no zombie.
fn no_child_is_left() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(Errno::CHILD))
}

/// Polls `future` at most so many times, and gives it up then.
async fn at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Gives `operation` up at each poll until it gets to its end. Each time the loop comes to have what it had
/// before, by itself.
async fn at_each_poll<T>(what: &str, operation: impl AsyncFn() -> io::Result<T>) {
    // What is made once and kept.
    operation().await.unwrap();
    let settled = async || {
        while get_running_loop().unwrap().all_tasks().len() > 1 || !no_child_is_left() {
            yield_now().await;
        }
        // What watched a child is gone a turn after the child.
        yield_now().await;
        yield_now().await;
        holdings()
    };
    let before = settled().await;
    for polls in 1..100 {
        let outcome = at_most(polls, operation()).await;
        let done = outcome.map(|outcome| drop(outcome.unwrap())).is_some();
        // A lookup that was given up goes on in a thread of its own, with files open.
        let patience = Instant::now() + Duration::from_secs(10);
        let mut after = settled().await;
        while after != before && Instant::now() < patience {
            after = settled().await;
        }
        assert_eq!(after, before, "{what}, given up at poll {polls}");
        if done {
            return;
        }
    }
    panic!("{what} comes to no end");
}

/// Sent to this very thread, so that it has come when this returns: one that was sent to the process may
/// come by another thread, when nobody listens any more.
fn raise(signal: SignalKind) {
    // SAFETY: a plain call to the system.
    assert_eq!(unsafe { libc::raise(signal.as_raw()) }, 0);
}

#[test]
fn nothing_is_left_of_it() {
    in_good_child("nothing_is_left_of_it", || {
        run(async {
            at_each_poll("a name looked up", async || {
                loopbind::net::lookup_host("localhost:80").await
            })
            .await;
            at_each_poll("readiness", async || {
                let (left, right) = StdUnixStream::pair()?;
                let (left, right) = (Async::new(left)?, Async::new(right)?);
                let late = async {
                    yield_now().await;
                    right.writable().await?;
                    (&right).write_all(b"x").await
                };
                try_join(left.readable(), late).await
            })
            .await;
            at_each_poll("Unix streams", async || {
                let path = std::env::temp_dir().join(format!("given-up-{}", std::process::id()));
                let _ = fs::remove_file(&path);
                let listener = UnixListener::bind(&path)?;
                let (client, (mut server, _)) =
                    try_join(UnixStream::connect(&path), listener.accept()).await?;
                let mut buffer = [0; 1];
                let write = async { (&client).write_all(b"x").await };
                try_join(server.read_exact(&mut buffer), write).await
            })
            .await;
            at_each_poll("a datagram to a full queue", async || {
                let path = std::env::temp_dir().join(format!("full-{}", std::process::id()));
                let _ = fs::remove_file(&path);
                let (to, from) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
                while at_most(1, from.send_to(b"x", &path)).await.is_some() {}
                let mut buffer = [0; 1];
                let drain = async {
                    yield_now().await;
                    to.recv(&mut buffer).await
                };
                try_join(from.send_to(b"x", &path), drain).await
            })
            .await;
            at_each_poll("the end of a child", async || {
                let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
                let input = child.stdin.take();
                let late = async {
                    yield_now().await;
                    drop(input);
                    Ok(())
                };
                try_join(child.wait(), late).await
            })
            .await;
            at_each_poll("a child's output", async || {
                let mut command = Command::new("cat");
                let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
                child.communicate("what it is told").await
            })
            .await;
            at_each_poll("a child's status", async || Command::new("true").status().await).await;
            at_each_poll("signals", async || {
                let mut signals = signal(SignalKind::user_defined1())?;
                let late = async {
                    yield_now().await;
                    raise(SignalKind::user_defined1());
                };
                join(signals.recv(), late).await.0.ok_or_else(|| io::ErrorKind::Other.into())
            })
            .await;
            at_each_poll("Ctrl-C", async || {
                let mut heard = pin!(ctrl_c());
                // Listened to before it is raised: it would end the process otherwise.
                assert!(futures::poll!(&mut heard).is_pending());
                raise(SignalKind::interrupt());
                heard.await
            })
            .await;
            at_each_poll("a copy", async || {
                let (mut from, left) = pair().await?;
                let (mut right, mut to) = pair().await?;
                let copy = async {
                    loopbind::io::copy(left, &mut right).await?;
                    right.close().await
                };
                let feed = async {
                    yield_now().await;
                    from.write_all(b"x").await?;
                    from.close().await
                };
                let mut all = Vec::new();
                try_join3(copy, feed, to.read_to_end(&mut all)).await
            })
            .await;
            at_each_poll("both ways at once", async || {
                let (mut from, left) = pair().await?;
                let (right, mut to) = pair().await?;
                let proxy = loopbind::io::copy_bidirectional(left, right);
                let talk = async {
                    from.write_all(b"x").await?;
                    from.close().await?;
                    from.read_to_end(&mut Vec::new()).await
                };
                let answer = async {
                    let mut asked = Vec::new();
                    to.read_to_end(&mut asked).await?;
                    to.write_all(&asked).await?;
                    to.close().await
                };
                try_join3(proxy, talk, answer).await
            })
            .await;
        })
        .unwrap();
    });
}

/// Gives up at the first poll, at the second, and so on, until it comes.
async fn in_the_end<T>(mut operation: impl AsyncFnMut() -> T) -> T {
    let mut polls = 1;
    loop {
        if let Some(value) = at_most(polls, operation()).await {
            return value;
        }
        polls += 1;
        yield_now().await;
    }
}

const MANY: u32 = 50;

/// Connections, datagrams, bytes and signals: each that is given up on is there for the next call, once, and
/// in its order.
#[test]
fn nothing_is_lost_by_it() {
    in_good_child("nothing_is_lost_by_it", || {
        run(async {
            let listener = TcpListener::bind(ANY).await.unwrap();
            let to = listener.local_addr().unwrap();
            let connecting = spawn(async move {
                let mut clients = Vec::new();
                for _ in 0..MANY {
                    clients.push(TcpStream::connect(to).await.unwrap());
                    yield_now().await;
                }
                clients
            });
            let mut peers = Vec::new();
            for _ in 0..MANY {
                peers.push(in_the_end(async || listener.accept().await).await.unwrap());
            }
            for (client, (_, peer)) in connecting.await.unwrap().iter().zip(&peers) {
                assert_eq!(client.local_addr().unwrap(), *peer);
            }

            let (left, right) =
                (UdpSocket::bind(ANY).await.unwrap(), UdpSocket::bind(ANY).await.unwrap());
            let to = right.local_addr().unwrap();
            let sending = spawn(async move {
                for number in 0..MANY {
                    let sent = in_the_end(async || left.send_to(&number.to_ne_bytes(), to).await);
                    assert_eq!(sent.await.unwrap(), 4);
                    yield_now().await;
                }
            });
            for number in 0..MANY {
                let mut buffer = [0; 4];
                let heard = in_the_end(async || right.recv_from(&mut buffer).await).await;
                assert_eq!(heard.unwrap().0, 4);
                assert_eq!(u32::from_ne_bytes(buffer), number);
            }
            sending.await.unwrap();

            // More than the sockets hold, so that both sides wait; what a call says it took is what comes.
            let (mut client, mut server) = pair().await.unwrap();
            let writing = spawn(async move {
                let all: Vec<_> = (0..1_u32 << 20).flat_map(u32::to_ne_bytes).collect();
                let mut left = &all[..];
                while !left.is_empty() {
                    let some = &left[..left.len().min(100_003)];
                    left = &left[in_the_end(async || client.write(some).await).await.unwrap()..];
                }
                client.close().await.unwrap();
            });
            let (mut all, mut buffer) = (Vec::new(), [0; 7919]);
            while let 1.. = {
                let read = in_the_end(async || server.read(&mut buffer).await).await.unwrap();
                all.extend_from_slice(&buffer[..read]);
                read
            } {}
            writing.await.unwrap();
            let expected = (0..1_u32 << 20).flat_map(u32::to_ne_bytes);
            assert!(all.into_iter().eq(expected), "what was read is not what was written");

            let mut signals = signal(SignalKind::user_defined2()).unwrap();
            for _ in 0..MANY {
                assert!(at_most(1, signals.recv()).await.is_none());
                raise(SignalKind::user_defined2());
                in_the_end(async || signals.recv().await).await.unwrap();
            }
        })
        .unwrap();
    });
}
