//! The standard streams: awaited, and never in the way of a program's end.
//!
//! They are the process's: each case has one of its own, with pipes of the test's.

#![cfg(target_os = "linux")]

use std::cell::Cell;
use std::io::{BufRead, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::join;
use futures::io::{AsyncBufReadExt, BufReader};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, poll};
use loopbind::{
    EventLoop, get_running_loop, io, run, sleep, spawn, spawn_blocking, timeout, yield_now,
};
use rustix::event::{PollFd, PollFlags, Timespec};

mod support;

const CASE: &str = "LOOPBIND_STDIO_CASE";

/// Begins `body` in a process of its own, whose standard streams are pipes. `None`: this is it, and
/// `body` has run.
fn begin(test: &str, body: impl FnOnce()) -> Option<Child> {
    begin_part(test, "", body)
}

/// As `begin`, for a test that has several: `part` tells which this is.
fn begin_part(test: &str, part: &str, body: impl FnOnce()) -> Option<Child> {
    let case = format!("{test}:{part}");
    if let Some(wanted) = std::env::var_os(CASE) {
        if *wanted == *case {
            support::limit_lifetime();
            body();
        }
        return None;
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]).env(CASE, case);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Some(command.spawn().unwrap())
}

/// What a child wrote and how it ended.
#[track_caller]
fn end(mut child: Child) -> (ExitStatus, String) {
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}\n{said}", support::said(&output));
    (output.status, said)
}

/// More wait than wakers are kept at first: they are asked whether they do, and not again and again.
#[test]
fn many_wait_and_the_loop_sleeps() {
    let child = begin("many_wait_and_the_loop_sleeps", || {
        let event_loop = EventLoop::new().unwrap();
        let reading = async {
            let read = || spawn(async { io::stdin().read(&mut [0; 1]).await.unwrap() });
            let tasks: Vec<_> = (0..40).map(|_| read()).collect();
            sleep(Duration::from_millis(20)).await;
            for task in tasks {
                assert_eq!(task.await.unwrap(), 1);
            }
        };
        event_loop
            .run_until_complete(async {
                let reading = spawn(reading);
                sleep(Duration::from_millis(20)).await;
                let turns = get_running_loop().unwrap().metrics().turns;
                assert!(turns < 20, "{turns} while nothing came");
                println!("many wait");
                reading.await.unwrap();
            })
            .unwrap();
    });
    let Some(mut child) = child else { return };
    let mut input = child.stdin.take().unwrap();
    let mut said = std::io::BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().ends_with("many wait")));
    input.write_all(&[b'x'; 40]).unwrap();
    end(child);
}

/// Line by line, each as it comes; then the end.
#[test]
fn lines_come_as_they_are_typed() {
    let child = begin("lines_come_as_they_are_typed", || {
        run(async {
            let mut lines = BufReader::new(io::stdin()).lines();
            let mut stdout = io::stdout();
            while let Some(line) = lines.next().await {
                stdout.write_all(format!("<{}>\n", line.unwrap()).as_bytes()).await.unwrap();
                stdout.flush().await.unwrap();
            }
            stdout.write_all(b"over\n").await.unwrap();
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let mut input = child.stdin.take().unwrap();
    let mut said = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    for word in ["one", "two"] {
        input.write_all(format!("{word}\n").as_bytes()).unwrap();
        // Libtest's own lines come first.
        let echo = format!("<{word}>");
        assert!(said.by_ref().any(|line| line.unwrap().ends_with(&echo)), "{word}");
    }
    drop(input);
    assert!(said.any(|line| line.unwrap() == "over"));
    assert!(child.wait().unwrap().success());
}

/// A read that nobody answers, given up: the program ends all the same, though its input stays open.
#[test]
fn an_unanswered_read_keeps_no_program_from_ending() {
    let child = begin("an_unanswered_read_keeps_no_program_from_ending", || {
        run(async {
            let mut stdin = io::stdin();
            let waited = timeout(Duration::from_millis(1), stdin.read(&mut [0; 8])).await;
            assert!(waited.is_err());
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let input = child.stdin.take();
    end(child);
    drop(input);
}

/// What a read that was given up had asked for goes to the next; so does what std reads not.
#[test]
fn given_up_then_asked_again_nothing_is_lost() {
    let child = begin("given_up_then_asked_again_nothing_is_lost", || {
        run(async {
            let mut first = [0; 2];
            {
                let mut stdin = io::stdin();
                assert!(poll!(stdin.read(&mut first)).is_pending());
            }
            io::stdout().write_all(b"ready\n").await.unwrap();
            io::stdin().read_exact(&mut first).await.unwrap();
            assert_eq!(&first, b"ab");
            let mut rest = String::new();
            io::stdin().read_to_string(&mut rest).await.unwrap();
            assert_eq!(rest, "cdef");
            assert_eq!(io::stdin().read(&mut first).await.unwrap(), 0, "the end, again");
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let mut input = child.stdin.take().unwrap();
    let mut said = child.stdout.take().unwrap();
    let mut text = String::new();
    while !text.ends_with("ready\n") {
        let mut byte = [0];
        said.read_exact(&mut byte).unwrap();
        text.push(char::from(byte[0]));
    }
    input.write_all(b"abcdef").unwrap();
    drop(input);
    said.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
}

/// Nothing that was taken is lost at the end, flushed or not, whatever becomes of the handle; and it
/// comes out in the order in which it was given, from whatever handle.
#[test]
fn unflushed_then_ended_and_all_is_out() {
    let child = begin("unflushed_then_ended_and_all_is_out", || {
        run(async {
            println!("printed");
            for word in ["a", "b", "c", "d"] {
                io::stdout().write_all(word.as_bytes()).await.unwrap();
            }
            let mut kept = io::stdout();
            kept.write_all(b"e").await.unwrap();
            let waiting = spawn(async move {
                kept.flush().await.unwrap();
                std::future::pending::<()>().await
            });
            yield_now().await;
            io::stdout().write_all(b"f\n").await.unwrap();
            waiting.cancel();
        })
        .unwrap();
    });
    let Some(child) = child else { return };
    assert!(end(child).1.contains("printed\nabcdef\n"));
}

/// A reader that reads slowly makes who writes wait, and nobody else.
#[test]
fn a_slow_reader_holds_up_the_writer_only() {
    const SIZE: usize = 1 << 20;
    let child = begin("a_slow_reader_holds_up_the_writer_only", || {
        run(async {
            let mut errors = io::stderr();
            let mut out = io::stdout();
            let writing = async {
                out.write_all(&vec![b'x'; SIZE]).await.unwrap();
                out.flush().await.unwrap();
            };
            let alive = async {
                // The other end reads the output only after it has read this.
                loopbind::sleep(Duration::from_millis(1)).await;
                errors.write_all(b"alive\n").await.unwrap();
                errors.close().await.unwrap();
            };
            join(writing, alive).await;
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let mut said = [0; 6];
    child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"alive\n");
    let (_, out) = end(child);
    assert_eq!(out.matches('x').count(), SIZE);
}

/// A reader that does not read, and more who write than the pool has threads: other blocking work goes
/// on, and all is out in the end.
#[test]
fn many_write_to_who_does_not_read_and_blocking_work_goes_on() {
    const MANY: usize = 600;
    let child = begin("many_write_to_who_does_not_read_and_blocking_work_goes_on", || {
        run(async {
            let tasks: Vec<_> = std::iter::repeat_n("x".repeat(1 << 10), MANY)
                .map(|line| spawn(async move { io::stdout().write_all(line.as_bytes()).await }))
                .collect();
            for task in tasks {
                task.await.unwrap().unwrap();
            }
            assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            // The other end reads the output only after it has read this.
            let mut errors = io::stderr();
            errors.write_all(b"alive\n").await.unwrap();
            errors.flush().await.unwrap();
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let mut said = [0; 6];
    child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"alive\n");
    assert_eq!(end(child).1.matches('x').count(), MANY << 10);
}

/// A handle for each write, and nobody reads: the writer waits all the same, and what is kept for the
/// reader is bounded. Small writes and large ones.
#[test]
fn a_fresh_handle_for_each_write_and_the_writer_waits() {
    for (part, size, all) in [("small", 16, 1 << 19), ("large", 1 << 16, 8 << 20)] {
        let name = "a_fresh_handle_for_each_write_and_the_writer_waits";
        let child = begin_part(name, part, || {
            run(async {
                let taken = Rc::new(Cell::new(0));
                let count = Rc::clone(&taken);
                let writing = spawn(async move {
                    let chunk = "x".repeat(size);
                    while count.get() < all {
                        io::stdout().write_all(chunk.as_bytes()).await.unwrap();
                        count.set(count.get() + size);
                    }
                });
                // The pipe takes its share first.
                let stdout = std::io::stdout();
                let mut pipe = [PollFd::new(&stdout, PollFlags::OUT)];
                while rustix::event::poll(&mut pipe, Some(&Timespec::default())).unwrap() > 0 {
                    yield_now().await;
                }
                // A write that is given up took nothing.
                let (mut given_up, mut ys) = (0, 0);
                while given_up < 100 {
                    match poll!(io::stdout().write_all(b"y")) {
                        Poll::Ready(done) => ys += done.map(|()| 1).unwrap(),
                        Poll::Pending => given_up += 1,
                    }
                    yield_now().await;
                }
                assert!(!writing.is_finished(), "{} bytes wait for a reader", taken.get());
                assert!(taken.get() < 2 << 20, "{} bytes wait for a reader", taken.get());
                // The other end reads the output only after it has read this.
                let mut errors = io::stderr();
                errors.write_all(b"alive\n").await.unwrap();
                errors.flush().await.unwrap();
                writing.await.unwrap();
                io::stdout().write_all(format!(" {ys} ys\n").as_bytes()).await.unwrap();
            })
            .unwrap();
        });
        let Some(mut child) = child else { continue };
        let mut said = [0; 6];
        child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(&said, b"alive\n");
        let (_, out) = end(child);
        assert_eq!(out.matches('x').count(), all, "{part}");
        let (before, _) = out.split_once(" ys\n").unwrap();
        let (text, ys) = before.rsplit_once(' ').unwrap();
        assert_eq!(text.matches('y').count().to_string(), ys, "{part}");
    }
}

/// More than a pipe holds, in chunks that are all taken, and not flushed.
async fn write_much() {
    for letter in ["a", "b", "c", "d"] {
        let taken = io::stdout().write(letter.repeat(1 << 16).as_bytes()).await.unwrap();
        assert_eq!(taken, 1 << 16);
    }
}

/// Not flushed, and nobody reads: the program ends all the same.
#[test]
fn a_reader_who_does_not_read_keeps_no_program_from_ending() {
    let child = begin("a_reader_who_does_not_read_keeps_no_program_from_ending", || {
        run(write_much()).unwrap();
        // Libtest would write to it, too.
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    });
    let Some(mut child) = child else { return };
    let kept = child.stdout.take();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", support::said(&output));
    drop(kept);
}

/// Not flushed, and read slowly: the end of the run waits for as long as it is read.
#[test]
fn a_reader_who_is_slow_at_the_end_gets_it_all() {
    let child = begin("a_reader_who_is_slow_at_the_end_gets_it_all", || {
        run(write_much()).unwrap();
    });
    let Some(mut child) = child else { return };
    let mut out = child.stdout.take().unwrap();
    let (mut portion, mut text) = (vec![0; 1 << 14], Vec::new());
    // Longer, altogether, than who reads nothing would be waited for.
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(250));
        out.read_exact(&mut portion).unwrap();
        text.extend_from_slice(&portion);
    }
    out.read_to_end(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    // Libtest says a few words besides.
    assert!(text.len() >= 4 << 16, "{}", text.len());
    assert!(text.windows(1 << 16).any(|chunk| chunk.iter().all(|&byte| byte == b'd')));
}

/// Forked while the parent's thread reads, and has std's lock on the stream: the forked process reads,
/// by a thread of its own, and wakes nobody of the parent's.
#[test]
fn forked_while_somebody_reads_then_read_there() {
    let child = begin("forked_while_somebody_reads_then_read_there", || {
        let event_loop = EventLoop::new().unwrap();
        let waiting = event_loop.create_task(async { io::stdin().read(&mut [0; 1]).await });
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        // `read`, of descriptor 0.
        let reads = || {
            let tasks = std::fs::read_dir("/proc/self/task").unwrap();
            let call = |path| std::fs::read_to_string(path).unwrap_or_default();
            let call_of = |number: i64| format!("{number} 0x0 ");
            tasks
                .map(|task| call(task.unwrap().path().join("syscall")))
                .any(|call| call.starts_with(&call_of(libc::SYS_read)))
        };
        while !reads() {
            std::thread::yield_now();
        }
        // SAFETY: what the forked process uses is what this is about.
        if unsafe { libc::fork() } > 0 {
            // SAFETY: no preconditions. The thread that reads ends with the process.
            unsafe { libc::_exit(0) };
        }
        support::limit_lifetime();
        let heard = run(async {
            let mut heard = [0; 16];
            let read = async { io::stdin().read(&mut heard).await };
            let count = timeout(Duration::from_secs(20), read).await;
            format!("{count:?} {:?}", String::from_utf8_lossy(&heard[..4]))
        });
        println!("{}", heard.unwrap());
        assert!(!waiting.is_finished());
        // SAFETY: no preconditions.
        unsafe { libc::_exit(0) };
    });
    let Some(mut child) = child else { return };
    let mut input = child.stdin.take().unwrap();
    assert!(child.wait().unwrap().success());
    input.write_all(b"word").unwrap();
    let (_, said) = end(child);
    assert!(said.contains("Ok(Ok(4)) \"word\""), "{said}");
}

/// Forked with words of the parent's on their way, which the pool has no thread for so far: the parent says them,
/// once, and the child its own. To the child the handle that they were given to has nothing to wait for.
#[test]
fn forked_with_words_on_their_way_and_each_process_says_its_own() {
    let test = "forked_with_words_on_their_way_and_each_process_says_its_own";
    let one_thread = [("LOOPBIND_MAX_BLOCKING_THREADS", "1")];
    let child = support::in_child_under(test, &one_thread, || {
        let event_loop = EventLoop::new().unwrap();
        let (release, gate) = std::sync::mpsc::channel();
        let busy = event_loop.run_in_executor(move || gate.recv());
        let mut out = io::stdout();
        let written = event_loop.run_until_complete(async { poll!(out.write(b"the parent's\n")) });
        assert!(matches!(written.unwrap(), Poll::Ready(Ok(13))));
        // SAFETY: what the forked process uses is what this is about.
        let forked = unsafe { libc::fork() };
        if forked == 0 {
            support::limit_lifetime();
            run(async {
                out.flush().await.unwrap();
                out.write_all(b"the child's\n").await.unwrap();
                out.flush().await.unwrap();
            })
            .unwrap();
            // SAFETY: no preconditions.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: `status` is ours, and so is the child, which nobody else waits for.
        assert_eq!(unsafe { libc::waitpid(forked, &raw mut status, 0) }, forked);
        assert_eq!(status, 0, "how the child ended");
        release.send(()).unwrap();
        event_loop.run_until_complete(out.flush()).unwrap().unwrap();
        event_loop.run_until_complete(busy).unwrap().unwrap().unwrap();
    });
    let Some(child) = child else { return };
    let all = support::said(&child);
    assert!(child.status.success(), "{all}");
    let said = String::from_utf8(child.stdout).unwrap();
    assert!(said.contains("the child's\nthe parent's\n"), "{all}");
    assert_eq!(said.matches("the parent's").count(), 1, "{all}");
}

/// Other processes have the same description open: it stays as it was.
#[test]
fn the_streams_stay_blocking() {
    let child = begin("the_streams_stay_blocking", || {
        run(async {
            let mut stdin = io::stdin();
            assert!(poll!(stdin.read(&mut [0; 1])).is_pending());
            io::stdout().write_all(b"x\n").await.unwrap();
            for number in [0, 1, 2] {
                // SAFETY: asks only.
                let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
                assert_eq!(flags & libc::O_NONBLOCK, 0, "{number}");
            }
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    let input = child.stdin.take();
    end(child);
    drop(input);
}

/// A reader that is gone is an error of the next call, as a write's is; the program lives on.
#[test]
fn a_reader_that_is_gone_is_an_error() {
    let child = begin("a_reader_that_is_gone_is_an_error", || {
        run(async {
            assert_eq!(io::stdin().read(&mut [0; 1]).await.unwrap(), 0);
            let mut errors = io::stderr();
            let refused = loop {
                match errors.write(b"is anybody there?").await {
                    Ok(_) => yield_now().await,
                    Err(error) => break error,
                }
            };
            assert_eq!(refused.kind(), std::io::ErrorKind::BrokenPipe);
        })
        .unwrap();
    });
    let Some(mut child) = child else { return };
    drop(child.stderr.take());
    drop(child.stdin.take());
    end(child);
}

/// No thread can be had to write with: an error, and not a wait without end.
#[test]
fn without_a_thread_to_be_had_writing_is_an_error() {
    let child = begin("without_a_thread_to_be_had_writing_is_an_error", || {
        run(async {
            let mut stdout = io::stdout();
            let limit = |current| rustix::process::Rlimit { current, maximum: None };
            let set = |current| {
                let space = rustix::process::Resource::As;
                rustix::process::setrlimit(space, limit(current)).unwrap();
            };
            // Nothing more can be mapped, a thread's stack for one.
            set(Some(1 << 20));
            stdout.write_all(b"never").await.unwrap();
            let outcome = stdout.flush().await;
            set(None);
            // The system's own reason is in it: EAGAIN.
            let (error, reason) = (outcome.unwrap_err(), std::io::Error::from_raw_os_error(11));
            assert_eq!(error.kind(), reason.kind());
            assert_eq!(error.to_string(), format!("no thread can be had to write it: {reason}"));
            stdout.write_all(b"then\n").await.unwrap();
        })
        .unwrap();
    });
    let Some(child) = child else { return };
    let (_, said) = end(child);
    assert!(said.contains("then") && !said.contains("never"), "{said}");
}

/// Outside of a run writing is an error, and nothing is taken.
#[test]
fn without_a_loop_nothing_is_taken() {
    let refused = futures::executor::block_on(io::stdout().write(b"never")).unwrap_err();
    assert_eq!(refused.to_string(), "no running event loop");
    assert_eq!(futures::executor::block_on(io::stderr().write(b"")).unwrap(), 0);
}
