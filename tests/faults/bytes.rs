//! Bytes that go one at a time, and conversations that break at each of their calls.

use std::io::{self, IoSlice};

use futures::future::try_join;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::{io as loop_io, run, spawn};

use crate::books::Books;
use crate::errno::{
    EADDRNOTAVAIL, EAGAIN, ECONNREFUSED, ECONNRESET, ENETUNREACH, ENOBUFS, ENOMEM, EPIPE, ETIMEDOUT,
};
use crate::support::in_good_child;

/// Bytes in which a lost, a doubled and a misplaced one show.
fn bytes(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// A call for each of them, where they go one at a time.
const MANY: usize = 100_000;

/// Where each byte goes through another process, too.
const SOME: usize = 30_000;

async fn carried(
    mut writer: impl AsyncWrite + Unpin + 'static,
    mut reader: impl AsyncRead + Unpin,
    sent: Vec<u8>,
) -> io::Result<Vec<u8>> {
    let writing = spawn(async move {
        writer.write_all(&sent).await?;
        writer.close().await
    });
    let mut got = Vec::new();
    reader.read_to_end(&mut got).await?;
    writing.await.unwrap()?;
    Ok(got)
}

async fn tcp() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let to = listener.local_addr()?;
    let (client, (server, _)) = try_join(TcpStream::connect(to), listener.accept()).await?;
    Ok((client, server))
}

/// The system takes, or gives, one byte at a time: all of them arrive, in order, once.
#[test]
fn one_at_a_time_through_everything_that_carries() {
    in_good_child("bytes::one_at_a_time_through_everything_that_carries", || {
        let sent = bytes(MANY);
        for call in [Call::Send, Call::Receive, Call::Write, Call::Read] {
            let faults = FaultPlan::new().short(call, 1).install();
            run(async {
                // A TCP read that fills less than its buffer is believed to have emptied the socket,
                // as it has in the system: see DESIGN.md.
                if call != Call::Receive {
                    let (left, right) = tcp().await.unwrap();
                    let got = carried(left, right, sent.clone()).await.unwrap();
                    assert!(got == sent, "{call:?}: TCP");
                }
                let (left, right) = UnixStream::pair().unwrap();
                assert!(
                    carried(left, right, sent.clone()).await.unwrap() == sent,
                    "{call:?}: Unix"
                );
                let mut cat = Command::new("cat");
                let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
                let some = sent[..SOME].to_vec();
                assert!(
                    carried(stdin, stdout, some.clone()).await.unwrap() == some,
                    "{call:?}: cat"
                );
                assert!(child.wait().await.unwrap().success());
                let child = cat.spawn().unwrap();
                assert!(child.communicate(&some).await.unwrap().stdout == some, "{call:?}");
            })
            .unwrap();
            assert!(faults.used() as usize >= SOME, "{call:?}");
        }
    });
}

/// The same through a proxy, both ways at once.
#[test]
fn one_at_a_time_both_ways_through_a_proxy() {
    in_good_child("bytes::one_at_a_time_both_ways_through_a_proxy", || {
        let sent = bytes(50_000);
        for call in [Call::Send, Call::Receive] {
            let _faults = FaultPlan::new().short(call, 1).install();
            run(async {
                let (client, left) = UnixStream::pair().unwrap();
                let (right, server) = UnixStream::pair().unwrap();
                let proxy = spawn(async move { loop_io::copy_bidirectional(left, right).await });
                let there = carried(client.clone(), server.clone(), sent.clone());
                let back = carried(server.clone(), client.clone(), sent.clone());
                let (there, back) = try_join(there, back).await.unwrap();
                assert!(there == sent && back == sent, "{call:?}");
                let count = sent.len() as u64;
                assert_eq!(proxy.await.unwrap().unwrap(), (count, count));
            })
            .unwrap();
        }
    });
}

/// Of several buffers at once, too: what was not taken of the first comes before the second.
#[test]
fn one_at_a_time_of_many_buffers() {
    in_good_child("bytes::one_at_a_time_of_many_buffers", || {
        let _faults = FaultPlan::new().short(Call::Send, 1).short(Call::Receive, 3).install();
        run(async {
            let (mut left, mut right) = UnixStream::pair().unwrap();
            let words: [&[u8]; 4] = [b"", b"one", b"", b"two three"];
            let all = words.concat();
            let mut slices = words.map(IoSlice::new);
            let mut slices = &mut slices[..];
            while !slices.is_empty() {
                let count = left.write_vectored(slices).await.unwrap();
                assert_eq!(count, 1);
                IoSlice::advance_slices(&mut slices, count);
            }
            drop(left);
            let mut got = Vec::new();
            loop {
                let (mut one, mut two) = ([0; 5], [0; 5]);
                let mut buffers = [io::IoSliceMut::new(&mut one), io::IoSliceMut::new(&mut two)];
                let count = right.read_vectored(&mut buffers).await.unwrap();
                if count == 0 {
                    break;
                }
                assert!(count <= 3);
                got.extend_from_slice(&one[..count]);
            }
            assert_eq!(got, all);
        })
        .unwrap();
    });
}

/// A conversation of eight words there and back.
async fn converse(
    client: impl AsyncRead + AsyncWrite + Unpin,
    server: impl AsyncRead + AsyncWrite + Unpin + 'static,
) -> [io::Result<()>; 2] {
    let echo = spawn(async move {
        let mut server = server;
        let mut word = [0; 4];
        for _ in 0..8 {
            server.read_exact(&mut word).await?;
            server.write_all(&word).await?;
        }
        Ok::<_, io::Error>(())
    });
    let mut client = client;
    let talk = async {
        for number in 0..8_u32 {
            client.write_all(&number.to_le_bytes()).await?;
            let mut word = [0; 4];
            client.read_exact(&mut word).await?;
            assert_eq!(word, number.to_le_bytes());
        }
        Ok::<_, io::Error>(())
    };
    let talked = talk.await;
    // The other side hears of it.
    drop(client);
    let echoed = echo.await.unwrap();
    [talked, echoed]
}

/// Broken at each call in turn: an error for the side it happened to, the end for the other, and nothing
/// left.
#[test]
fn broken_at_each_call_in_turn() {
    in_good_child("bytes::broken_at_each_call_in_turn", || {
        for call in [Call::Send, Call::Receive] {
            for errno in [ECONNRESET, EPIPE, ETIMEDOUT, ENOBUFS, ENOMEM] {
                for kind in ["tcp", "unix"] {
                    let mut n = 1;
                    loop {
                        let books = Books::open();
                        let faults = FaultPlan::new().nth(call, n, errno).install();
                        let outcomes = run(async {
                            if kind == "tcp" {
                                let (client, server) = tcp().await.unwrap();
                                converse(client, server).await
                            } else {
                                let (client, server) = UnixStream::pair().unwrap();
                                converse(client, server).await
                            }
                        })
                        .unwrap();
                        books.assert_closed(kind);
                        if faults.used() == 0 {
                            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                            break;
                        }
                        // The other side hears of the end, or of a word that nobody takes.
                        let raw = |outcome: &io::Result<()>| {
                            outcome.as_ref().err().and_then(io::Error::raw_os_error)
                        };
                        assert!(outcomes.iter().any(|it| raw(it) == Some(errno)), "{outcomes:?}");
                        n += 1;
                    }
                    assert!(n > 16, "{call:?}: {n} calls");
                }
            }
        }
    });
}

/// A connection that cannot be begun, for ever: an error that names the address, at once. Also where there
/// is no local port, which the system says in the words it has for a queue that is full.
#[test]
fn not_to_be_connected_and_told_at_once() {
    in_good_child("bytes::not_to_be_connected_and_told_at_once", || {
        for errno in [EAGAIN, EADDRNOTAVAIL, ENETUNREACH, ECONNREFUSED, ETIMEDOUT] {
            let books = Books::open();
            run(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let to = listener.local_addr().unwrap();
                let faults = FaultPlan::new().always(Call::Connect, errno).install();
                let error = TcpStream::connect(to).await.unwrap_err();
                assert_eq!(
                    (faults.used(), error.kind()),
                    (1, io::Error::from_raw_os_error(errno).kind())
                );
                assert!(error.to_string().contains(&to.to_string()), "{error}");
            })
            .unwrap();
            books.assert_closed("connect");
        }
    });
}

/// The same of a Unix listener is a queue that is full: the call waits until there is room.
#[test]
fn a_full_queue_is_waited_for() {
    in_good_child("bytes::a_full_queue_is_waited_for", || {
        let path = std::env::temp_dir().join(format!("loopbind-queue-{}", std::process::id()));
        run(async {
            let listener = UnixListener::bind(&path).unwrap();
            let faults = FaultPlan::new().span(Call::Connect, 1, 5, EAGAIN).install();
            UnixStream::connect(&path).await.unwrap();
            assert_eq!((faults.used(), faults.count(Call::Connect)), (5, 6));
            let (stream, peer) = listener.accept().await.unwrap();
            let local = stream.local_addr().unwrap();
            assert!(peer.is_unnamed(), "{peer:?}");
            assert_eq!(local.as_pathname(), Some(&*path), "{local:?}");
        })
        .unwrap();
        std::fs::remove_file(&path).unwrap();
    });
}
