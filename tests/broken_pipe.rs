//! `SIGPIPE` at its default, as it is in hosts that were not written in Rust: writing to a pipe of ours
//! that nobody reads is an error, and not the end of the process. Each case has a process of its own.

#![cfg(target_os = "linux")]

use std::fs::File;
use std::io::{ErrorKind, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;

use futures::{AsyncWriteExt, future::poll_fn};
use loopbind::process::{ChildStdin, Command, Stdio};
use loopbind::{Async, io, run, sleep};

use support::{in_child, in_good_child, said};

mod support;

/// As C programs find it.
fn be_a_host() {
    // SAFETY: no function of ours is called.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// A child's standard input, and the child gone.
async fn abandoned() -> ChildStdin {
    let mut child = Command::new("true").stdin(Stdio::piped()).spawn().unwrap();
    let stdin = child.stdin.take().unwrap();
    child.wait().await.unwrap();
    stdin
}

async fn write_in_every_way() {
    let mut stdin = abandoned().await;
    let kinds = [
        stdin.write(b"x").await.unwrap_err().kind(),
        stdin.write_vectored(&[IoSlice::new(b"x"), IoSlice::new(b"y")]).await.unwrap_err().kind(),
        stdin.write_all(&vec![0; 1 << 20]).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::BrokenPipe; 3]);
    // Waiting for room when the reader goes.
    let mut child = Command::new("sleep").arg("1000").stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let much = vec![0; 1 << 20];
    let (written, ()) = futures::join!(stdin.write_all(&much), async {
        sleep(std::time::Duration::from_millis(1)).await;
        child.kill().unwrap();
    });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
    child.wait().await.unwrap();
    // One who does not want its input is no error: SUB-03.
    let mut command = Command::new("true");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    assert!(child.communicate(&much).await.unwrap().status.success());
}

#[test]
fn written_to_a_child_that_is_gone_then_told_so() {
    in_good_child("written_to_a_child_that_is_gone_then_told_so", || {
        be_a_host();
        run(write_in_every_way()).unwrap();
    });
}

/// A kernel that has no such write, or no `pwritev2` at all, told to say so.
#[test]
fn written_on_an_old_kernel_then_told_so() {
    in_good_child("written_on_an_old_kernel_then_told_so", || {
        be_a_host();
        support::refuse(&[libc::SYS_pwritev2], libc::EOPNOTSUPP);
        run(write_in_every_way()).unwrap();
    });
}

/// Many slices, and none: as any pipe takes them.
#[test]
fn written_in_pieces_to_a_child_that_reads_then_all_is_there() {
    run(async {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        assert_eq!(stdin.write_vectored(&[]).await.unwrap(), 0);
        assert_eq!(stdin.write(b"").await.unwrap(), 0);
        let pieces = [IoSlice::new(b"ab"); 5000];
        let first = poll_fn(|cx| {
            futures::AsyncWrite::poll_write_vectored(std::pin::Pin::new(&mut stdin), cx, &pieces)
        });
        let written = first.await.unwrap();
        assert!(written >= 2, "{written}");
        drop(stdin);
        let said = child.wait_with_output().await.unwrap().stdout;
        assert_eq!(said, b"ab".repeat(written / 2));
    })
    .unwrap();
}

/// The process's own output, and a descriptor of the user's, are written as std writes them: whoever
/// has the signal at its default for the sake of `program | head` is ended by it.
#[test]
fn the_processs_own_output_and_the_users_pipes_are_as_the_host_wants_them() {
    let test = "the_processs_own_output_and_the_users_pipes_are_as_the_host_wants_them";
    let output = in_child(test, || {
        be_a_host();
        run(async {
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            drop(reader);
            // SAFETY: both are open, and this process has nothing to say there but this.
            assert_eq!(unsafe { libc::dup2(writer.as_raw_fd(), 1) }, 1);
            let mut stdout = io::stdout();
            let _ = stdout.write_all(b"x").await;
            let _ = stdout.flush().await;
        })
        .unwrap();
    });
    if let Some(output) = output {
        assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{}", said(&output));
    }
}

/// And where it is ignored, as Rust's programs have it, both are errors.
#[test]
fn ignored_then_both_are_errors() {
    run(async {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        drop(reader);
        let mut writer = Async::new(File::from(writer)).unwrap();
        assert_eq!(writer.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    })
    .unwrap();
}
