//! tokio's `AsyncRead` and `AsyncWrite` for what is ours, on a loop by itself: what was written is read, the end of
//! writing is seen, and nothing of tokio's runs.

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::Pin;
use std::rc::Rc;

use loopbind::net::{TcpListener, TcpStream, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::{Async, run, spawn};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead as _, AsyncReadExt as _, AsyncWrite as _, AsyncWriteExt as _,
    BufReader, ReadBuf,
};

mod support;
use support::Trace;

#[test]
fn a_stream_is_read_line_by_line_and_ends_where_the_writing_was_shut_down() {
    let trace = Trace::new();
    let note = trace.clone();
    run(async move {
        assert!(tokio::runtime::Handle::try_current().is_err());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let log = note.clone();
        let server = spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut lines = BufReader::new(&stream).lines();
            while let Some(line) = lines.next_line().await.unwrap() {
                log.note(line);
            }
            log.note("end");
            (&stream).write_all(b"and back").await.unwrap();
        });
        let mut client = TcpStream::connect(address).await.unwrap();
        assert!(tokio::io::AsyncWrite::is_write_vectored(&client));
        client.write_all(b"one\ntwo\n").await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut client).await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        server.await.unwrap();
        note.note(text);
    })
    .unwrap();
    trace.assert(&["one", "two", "end", "and back"]);
}

/// More than a buffer, both ways at once, by `tokio::io::split`.
#[test]
fn both_halves_of_a_split_stream_go_on_at_once() {
    run(async {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let echo = spawn(async move {
            let (mut reader, mut writer) = tokio::io::split(theirs);
            let copied = tokio::io::copy(&mut reader, &mut writer).await.unwrap();
            writer.shutdown().await.unwrap();
            copied
        });
        let ours = Rc::new(ours);
        let sender = Rc::clone(&ours);
        let sending = spawn(async move {
            let mut writer = &*sender;
            writer.write_all(&[7; 1 << 20]).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut writer).await.unwrap();
        });
        let mut received = Vec::new();
        let mut reader = &*ours;
        reader.read_to_end(&mut received).await.unwrap();
        sending.await.unwrap();
        assert_eq!((echo.await.unwrap(), received), (1 << 20, vec![7; 1 << 20]));
    })
    .unwrap();
}

#[test]
fn a_descriptor_of_any_kind_and_the_pipes_of_a_child() {
    run(async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut ours, mut theirs) = (Async::new(ours).unwrap(), Async::new(theirs).unwrap());
        ours.write_u32(7).await.unwrap();
        ours.flush().await.unwrap();
        assert_eq!(theirs.read_u32().await.unwrap(), 7);

        let mut command = Command::new("cat");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        stdin.write_all(b"through a child").await.unwrap();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).await.unwrap();
        assert!(child.wait().await.unwrap().success());
        assert_eq!(text, "through a child");
    })
    .unwrap();
}

/// A buffer that has something in it already keeps that, is filled no further than it goes, and where there is no room
/// nothing is read.
#[test]
fn a_buffer_is_filled_behind_what_it_has_and_no_further() {
    run(async {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"abcdef").await.unwrap();
        let mut space = [std::mem::MaybeUninit::uninit(); 8];
        let mut buffer = ReadBuf::uninit(&mut space);
        buffer.put_slice(b"begun ");
        let read = async |stream: &mut UnixStream, buffer: &mut ReadBuf<'_>| {
            poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buffer)).await.unwrap();
        };
        read(&mut theirs, &mut buffer).await;
        assert_eq!((buffer.filled(), buffer.remaining()), (&b"begun ab"[..], 0));
        read(&mut theirs, &mut buffer).await;
        assert_eq!(buffer.filled(), b"begun ab", "no room, and nothing is lost");
        let mut grown = Vec::with_capacity(3);
        grown.push(b'>');
        assert!(theirs.read_buf(&mut grown).await.unwrap() > 0);
        drop(ours);
        theirs.read_to_end(&mut grown).await.unwrap();
        assert_eq!(grown, b">cdef");
    })
    .unwrap();
}

/// Several buffers go out in one call, in order; `shutdown` of what has no end of its own flushes, and leaves it open.
#[test]
fn buffers_together_then_a_shutdown_that_leaves_it_open() {
    run(async {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut ours, mut theirs) = (Async::new(ours).unwrap(), Async::new(theirs).unwrap());
        let slices = [IoSlice::new(b"one "), IoSlice::new(b"two "), IoSlice::new(b"three")];
        assert!(ours.is_write_vectored());
        assert_eq!(ours.write_vectored(&slices).await.unwrap(), 13);
        ours.shutdown().await.unwrap();
        ours.write_all(b", and on").await.unwrap();
        drop(ours);
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "one two three, and on");
    })
    .unwrap();
}

/// tokio's `copy_bidirectional` between two of ours: both ways at once, each to its end, more than any buffer.
#[test]
fn copied_both_ways_each_to_its_end() {
    let trace = Trace::new();
    let note = trace.clone();
    run(async move {
        let (mut client, mut inner) = UnixStream::pair().unwrap();
        let (mut outer, mut server) = UnixStream::pair().unwrap();
        let proxy =
            spawn(
                async move { tokio::io::copy_bidirectional(&mut inner, &mut outer).await.unwrap() },
            );
        let serving = spawn(async move {
            let mut asked = Vec::new();
            server.read_to_end(&mut asked).await.unwrap();
            note.note(format!("asked {}", asked.len()));
            server.write_all(&vec![8; 300_000]).await.unwrap();
            tokio::io::AsyncWriteExt::shutdown(&mut server).await.unwrap();
        });
        client.write_all(&vec![7; 500_000]).await.unwrap();
        tokio::io::AsyncWriteExt::shutdown(&mut client).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        serving.await.unwrap();
        assert_eq!((answer.len(), proxy.await.unwrap()), (300_000, (500_000, 300_000)));
    })
    .unwrap();
    trace.assert(&["asked 500000"]);
}
