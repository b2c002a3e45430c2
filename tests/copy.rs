//! Copying: once, and both ways at once.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::join;
use futures::io::{AllowStdIo, Cursor};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, poll};
use loopbind::io::{copy, copy_bidirectional};
use loopbind::net::UnixStream;
use loopbind::{run, spawn, yield_now};

use support::Trace;

mod support;

/// More than any buffer; every byte, in order.
#[test]
fn everything_arrives_in_order() {
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let (count, copied) = run(async {
        let mut copied = Vec::new();
        let count = copy(Cursor::new(&bytes), &mut copied).await.unwrap();
        (count, copied)
    })
    .unwrap();
    assert_eq!(count, 1_000_000);
    assert_eq!(copied, bytes);
}

/// A writer that notes what is asked of it.
struct Noting(Trace);

impl AsyncWrite for Noting {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Short writes: three bytes at most.
        let taken = &bytes[..bytes.len().min(3)];
        self.0.note(String::from_utf8_lossy(taken));
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.note("flush");
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.note("close");
        Poll::Ready(Ok(()))
    }
}

/// What was written is flushed when nothing follows for now, and at the end; nothing is closed.
#[test]
fn flushed_when_the_reader_pauses_and_at_the_end() {
    let trace = Trace::new();
    run(async {
        let (mut left, right) = UnixStream::pair().unwrap();
        let copying = spawn(copy(right, Noting(trace.clone())));
        left.write_all(b"hello").await.unwrap();
        yield_now().await;
        trace.assert(&["hel", "lo", "flush"]);
        left.write_all(b"x").await.unwrap();
        left.close().await.unwrap();
        assert_eq!(copying.await.unwrap().unwrap(), 6);
        trace.assert(&["x", "flush"]);
    })
    .unwrap();
}

/// A writer that takes nothing is an error, not a loop without end.
#[test]
fn a_full_writer_is_an_error() {
    let mut room = [0; 4];
    let refused = run(copy(&b"too much"[..], AllowStdIo::new(&mut room[..]))).unwrap();
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::WriteZero);
    assert_eq!(&room, b"too ");
}

/// A reader that never ends and a writer that never waits leave turns to others.
#[test]
fn an_endless_copy_leaves_turns_to_others() {
    run(async {
        let copying = spawn(copy(futures::io::repeat(1), futures::io::sink()));
        for _ in 0..5 {
            yield_now().await;
        }
        assert!(!copying.is_finished());
        copying.cancel();
    })
    .unwrap();
}

/// Each way its own end: one half closes, the other goes on; both counts come back.
#[test]
fn one_side_ends_and_the_other_goes_on() {
    run(async {
        let (mut client, left) = UnixStream::pair().unwrap();
        let (right, mut server) = UnixStream::pair().unwrap();
        let proxy = spawn(copy_bidirectional(left, right));
        client.write_all(b"question").await.unwrap();
        client.close().await.unwrap();
        let mut asked = String::new();
        server.read_to_string(&mut asked).await.unwrap();
        assert_eq!(asked, "question");
        assert!(!proxy.is_finished());
        for _ in 0..3 {
            server.write_all(b"answer").await.unwrap();
            let mut answer = [0; 6];
            client.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"answer");
        }
        server.close().await.unwrap();
        assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(proxy.await.unwrap().unwrap(), (8, 18));
    })
    .unwrap();
}

/// Megabytes both ways at once, through borrowed ends.
#[test]
fn much_both_ways_at_once() {
    const SIZE: usize = 3 << 20;
    run(async {
        let (client, mut left) = UnixStream::pair().unwrap();
        let (mut right, server) = UnixStream::pair().unwrap();
        let talk = |stream: UnixStream, byte: u8| async move {
            let (mut reader, mut writer) = stream.split();
            let writing = async {
                writer.write_all(&vec![byte; SIZE]).await.unwrap();
                writer.close().await.unwrap();
            };
            let mut all = Vec::new();
            let (read, ()) = join(reader.read_to_end(&mut all), writing).await;
            assert_eq!(read.unwrap(), SIZE);
            assert!(all.iter().all(|&other| other == 3 - byte));
        };
        let talking = join(talk(client, 1), talk(server, 2));
        let (counts, _) = join(copy_bidirectional(&mut left, &mut right), talking).await;
        assert_eq!(counts.unwrap(), (SIZE as u64, SIZE as u64));
    })
    .unwrap();
}

/// One that nobody reads holds up its own way only.
#[test]
fn a_stuck_way_does_not_hold_up_the_other() {
    run(async {
        let (mut client, left) = UnixStream::pair().unwrap();
        let (right, mut server) = UnixStream::pair().unwrap();
        let proxy = spawn(copy_bidirectional(left, right));
        // The server reads nothing: fill everything towards it.
        while poll!(client.write(&[0; 4096])).is_ready() {
            yield_now().await;
        }
        server.write_all(b"still here").await.unwrap();
        let mut word = [0; 10];
        client.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"still here");
        proxy.cancel();
    })
    .unwrap();
}

/// Fails on its second read.
struct Failing(bool);

impl AsyncRead for Failing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        buffer[0] = b'x';
        Poll::Ready(Ok(1))
    }
}

/// A reader's error comes out, behind what was read before.
#[test]
fn read_then_failed() {
    let mut copied = Vec::new();
    let refused = run(copy(Failing(false), &mut copied)).unwrap().unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(copied, b"x");
}
