//! tokio's `AsyncRead` and `AsyncWrite` for what is ours, on a loop by itself: what was written is read, the end of
//! writing is seen, and nothing of tokio's runs.

use std::rc::Rc;

use loopbind::net::{TcpListener, TcpStream, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::{Async, run, spawn};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

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
