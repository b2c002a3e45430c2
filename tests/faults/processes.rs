//! Children that cannot be started, or not be watched.

use std::io;

use futures::AsyncReadExt;
use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::process::{Command, ProcessError, Stdio};
use loopbind::run;

use crate::books::{Books, assert_is};
use crate::errno::{EAGAIN, EBADF, EMFILE, ENFILE, ENOMEM, ENOSYS, EPERM};
use crate::support::in_good_child;

/// Which signals this thread blocks.
fn mask() -> Vec<bool> {
    // SAFETY: a set of the system's, filled by the system; a null pointer asks for no change.
    unsafe {
        let mut set = std::mem::zeroed();
        assert_eq!(libc::pthread_sigmask(libc::SIG_BLOCK, std::ptr::null(), &mut set), 0);
        (1..=64).map(|signal| libc::sigismember(&set, signal) == 1).collect()
    }
}

/// Not started: an error that names the program, no descriptor, no zombie, the same signal mask.
#[test]
fn not_started_then_the_program_is_named() {
    in_good_child("processes::not_started_then_the_program_is_named", || {
        let (books, before) = (Books::open(), mask());
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (call, most) in [(Call::Spawn, 1), (Call::Fcntl, 3)] {
            for errno in [EAGAIN, ENOMEM, EMFILE, ENFILE] {
                for n in 1..=most {
                    let faults = FaultPlan::new().nth(call, n, errno).install();
                    let error = command.spawn().unwrap_err();
                    assert_eq!(faults.used(), 1);
                    assert_is(&error, errno);
                    assert!(error.to_string().starts_with("cannot run \"cat\": "), "{error}");
                    let inner = error.get_ref().unwrap().downcast_ref::<ProcessError>();
                    assert!(matches!(inner, Some(ProcessError::Spawn { .. })));
                    drop(faults);
                    assert_eq!(mask(), before);
                    books.assert_closed("not started");
                }
            }
        }
        run(async {
            let child = command.spawn().unwrap();
            assert_eq!(child.communicate("meow").await.unwrap().stdout, b"meow");
        })
        .unwrap();
        books.assert_closed("started");
    });
}

/// Started, and no descriptor of it to be had: it is waited for in another way.
#[test]
fn without_a_descriptor_it_is_waited_for_all_the_same() {
    in_good_child("processes::without_a_descriptor_it_is_waited_for_all_the_same", || {
        // The pool's threads stay.
        let books = Books::open();
        for errno in [ENOSYS, EMFILE, ENFILE, ENOMEM, EPERM] {
            let faults = FaultPlan::new().always(Call::PidfdOpen, errno).install();
            run(async {
                let mut cat = Command::new("cat");
                let child = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                assert_eq!(child.communicate("meow").await.unwrap().stdout, b"meow");
                let mut child = cat.spawn().unwrap();
                child.kill().unwrap();
                let status = child.wait().await.unwrap();
                assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
                assert!(child.kill().is_err());
                let mut dropped = cat.kill_on_drop(true).spawn().unwrap();
                let mut stdout = dropped.stdout.take().unwrap();
                drop(dropped);
                stdout.read_to_end(&mut Vec::new()).await.unwrap();
            })
            .unwrap();
            assert_eq!(faults.used(), 3);
            drop(faults);
            books.assert_closed("children");
        }
    });
}

/// Neither a descriptor nor a thread: an error that says which process, and it can be waited for once
/// there is a thread.
#[test]
fn without_a_descriptor_or_a_thread_it_says_so() {
    in_good_child("processes::without_a_descriptor_or_a_thread_it_says_so", || {
        let books = Books::open();
        let plan = FaultPlan::new().always(Call::PidfdOpen, ENOSYS);
        let faults = plan.nth(Call::Thread, 1, EAGAIN).install();
        run(async {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let stdin = child.stdin.take();
            let error = child.wait().await.unwrap_err();
            assert_is(&error, EAGAIN);
            assert!(error.to_string().contains(&format!("process {}", child.id())), "{error}");
            drop(stdin);
            assert!(child.wait().await.unwrap().success());
        })
        .unwrap();
        assert_eq!(faults.used(), 2);
        books.assert_closed("children");
    });
}

/// Dropped with nothing to watch it by, and no thread: it is on the list.
#[test]
fn dropped_without_a_descriptor_or_a_thread_and_no_zombie_is_left() {
    in_good_child(
        "processes::dropped_without_a_descriptor_or_a_thread_and_no_zombie_is_left",
        || {
            let books = Books::open();
            let plan = FaultPlan::new().always(Call::PidfdOpen, EMFILE);
            let faults = plan.always(Call::Thread, EAGAIN).install();
            drop(Command::new("true").spawn().unwrap());
            assert_eq!(faults.used(), 2);
            drop(faults);
            books.assert_closed("children");
        },
    );
}

/// A loop that cannot watch a child that was dropped: it is on the list, too. One whose status cannot be
/// asked for stays there.
#[test]
fn dropped_on_a_loop_that_cannot_watch_it_and_no_zombie_is_left() {
    in_good_child(
        "processes::dropped_on_a_loop_that_cannot_watch_it_and_no_zombie_is_left",
        || {
            let books = Books::open();
            for call in [Call::EpollAdd, Call::WaitId] {
                run(async {
                    let mut cat = Command::new("cat");
                    let mut child = cat.stdin(Stdio::piped()).spawn().unwrap();
                    let stdin = child.stdin.take();
                    let faults = FaultPlan::new().span(call, 1, 2, EBADF).install();
                    drop(child);
                    assert!(faults.used() > 0, "{call:?}");
                    drop((stdin, faults));
                })
                .unwrap();
                books.assert_closed("children");
            }
        },
    );
}

/// A signal that cannot be sent is an error, and the child is there.
#[test]
fn not_killed_then_an_error_and_killed() {
    in_good_child("processes::not_killed_then_an_error_and_killed", || {
        let books = Books::open();
        run(async {
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let faults = FaultPlan::new().nth(Call::Kill, 1, EPERM).install();
            let error: io::Error = child.kill().unwrap_err();
            assert_is(&error, EPERM);
            assert_eq!(child.try_wait().unwrap(), None);
            child.kill().unwrap();
            child.wait().await.unwrap();
            assert_eq!(faults.used(), 1);
        })
        .unwrap();
        books.assert_closed("children");
    });
}
