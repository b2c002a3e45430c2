//! Threads that cannot be had.

use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::Duration;

use futures::AsyncWriteExt;
use futures::future::join_all;
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::net::lookup_host;
use loopbind::{TaskError, io as loop_io, run, sleep, spawn_blocking};

use crate::books::{Books, assert_is};
use crate::errno::{EAGAIN, EIO, ENOMEM};
use crate::support::{in_child, in_good_child, said};

/// None at all: each kind of work says so, and none waits for ever. With one, the work is done.
#[test]
fn none_then_an_error_and_then_one_and_the_work_is_done() {
    in_good_child("threads::none_then_an_error_and_then_one_and_the_work_is_done", || {
        let books = Books::open();
        run(async {
            for errno in [EAGAIN, ENOMEM] {
                let faults = FaultPlan::new().always(Call::Thread, errno).install();
                match spawn_blocking(|| 7).await {
                    Err(TaskError::NoThread(error)) => assert_is(&error, errno),
                    other => panic!("{other:?}"),
                }
                let error = lookup_host("localhost:80").await.unwrap_err();
                assert_is(&error, errno);
                assert!(error.to_string().contains("`localhost`"), "{error}");
                let mut out = loop_io::stderr();
                out.write_all(b"lost\n").await.unwrap();
                assert_is(&out.flush().await.unwrap_err(), errno);
                assert_is(
                    &futures::AsyncReadExt::read(&mut loop_io::stdin(), &mut [0])
                        .await
                        .unwrap_err(),
                    errno,
                );
                assert_eq!(faults.used(), 4);
            }
            assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
            assert!(!lookup_host("localhost:80").await.unwrap().is_empty());
            let mut out = loop_io::stderr();
            out.write_all(b"said\n").await.unwrap();
            out.flush().await.unwrap();
        })
        .unwrap();
        books.assert_closed("threads");
    });
}

/// The first thread is there, and no second one: ten pieces of work are done by the one.
#[test]
fn one_and_no_more_and_all_the_work_is_done() {
    in_good_child("threads::one_and_no_more_and_all_the_work_is_done", || {
        for had in 1..4 {
            let faults = FaultPlan::new().span(Call::Thread, had, 1000, EAGAIN).install();
            run(async {
                // The first keeps a thread for as long as the others are given.
                let (go, wait) = mpsc::channel::<()>();
                let first = spawn_blocking(move || wait.recv().is_err());
                let first = match had {
                    1 => {
                        assert!(matches!(first.await, Err(TaskError::NoThread(_)) | Ok(_)));
                        None
                    }
                    _ => Some(first),
                };
                if first.is_none() {
                    return;
                }
                let rest: Vec<_> = (0..10).map(|number| spawn_blocking(move || number)).collect();
                drop(go);
                let rest: Vec<_> = join_all(rest).await.into_iter().map(Result::unwrap).collect();
                assert_eq!(rest, (0..10).collect::<Vec<_>>());
                assert!(first.unwrap().await.unwrap());
            })
            .unwrap();
            drop(faults);
        }
    });
}

/// A writer that fails says so to whoever wrote, and the next word is written.
#[test]
fn a_write_that_fails_is_told_and_the_next_one_is_written() {
    if let Some(output) =
        in_child("threads::a_write_that_fails_is_told_and_the_next_one_is_written", || {
            run(async {
                let faults = FaultPlan::new().nth(Call::Write, 1, EIO).install_everywhere();
                let mut err = loop_io::stderr();
                err.write_all(b"first\n").await.unwrap();
                assert_is(&err.flush().await.unwrap_err(), EIO);
                err.write_all(b"second\n").await.unwrap();
                err.flush().await.unwrap();
                assert_eq!(faults.used(), 1);
            })
            .unwrap();
        })
    {
        assert!(output.status.success(), "{}", said(&output));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("second") && !err.contains("first"), "{err}");
    }
}

/// Standard input that fails is an error to whoever reads, interrupted is nothing, and what comes is read.
#[test]
fn a_read_that_fails_is_told_and_the_next_one_reads() {
    in_good_child("threads::a_read_that_fails_is_told_and_the_next_one_reads", || {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        // SAFETY: both are open; the number of standard input stays the process's own.
        assert_eq!(unsafe { libc::dup2(reader.as_raw_fd(), 0) }, 0);
        run(async {
            let plan = FaultPlan::new().span(Call::Read, 1, 10, crate::errno::EINTR);
            let faults = plan.nth(Call::Read, 11, EIO).install_everywhere();
            let mut input = loop_io::stdin();
            let read = futures::AsyncReadExt::read(&mut input, &mut [0; 8]).await;
            assert_is(&read.unwrap_err(), EIO);
            rustix::io::write(&writer, b"word").unwrap();
            let mut word = [0; 8];
            assert_eq!(futures::AsyncReadExt::read(&mut input, &mut word).await.unwrap(), 4);
            assert_eq!((&word[..4], faults.used()), (&b"word"[..], 11));
            sleep(Duration::ZERO).await;
        })
        .unwrap();
    });
}
