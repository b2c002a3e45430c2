//! Each scenario, with each kind of call that it makes failing in each way that kind may, the first time,
//! the second time, and so on, until there is no such call left.
//!
//! Whatever fails, the scenario ends: well, or with an error that says something. Nothing is left, no
//! panic comes out, and nobody waits for ever. Each scenario has a process of its own, and each run of it a
//! few seconds, after which the system ends that process.

use std::io;

use loopbind::__private::faults::{Call, FaultPlan};

use crate::books::Books;
use crate::errno::{
    EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EBADF, ECONNABORTED, ECONNREFUSED, ECONNRESET,
    EEXIST, EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC,
    ENOSYS, EPERM, EPIPE, EPROTO, ETIMEDOUT,
};
use crate::scenarios::{self, Outcome};
use crate::support::{in_child, said};

/// How long one run may take.
pub(crate) const SECONDS: u32 = 20;

/// What each kind may say. Not `EAGAIN` of those that wait for an edge after it: the system says it only
/// where an edge will come.
pub(crate) fn errnos(call: Call) -> &'static [i32] {
    match call {
        Call::EpollCreate => &[EMFILE, ENFILE, ENOMEM],
        Call::Eventfd => &[EMFILE, ENFILE, ENOMEM],
        Call::EpollAdd => &[ENOMEM, ENOSPC, EEXIST, EPERM, EBADF, ENOENT],
        // Not `ENOENT`, which says that the descriptor was closed behind the loop's back.
        Call::EpollModify => &[ENOMEM, ENOSPC, EBADF],
        Call::EpollRemove => &[ENOENT, EBADF, ENOMEM],
        Call::EpollWait => &[EINTR, EINVAL, EBADF],
        Call::EpollPwait2 => &[EINTR, EINVAL, ENOSYS, EPERM],
        Call::Ring => &[EINTR, EIO, EBADF],
        Call::Fcntl => &[EBADF, EPERM],
        Call::Dup => &[EMFILE],
        Call::Poll => &[EINTR, ENOMEM],
        Call::Socket => &[EMFILE, ENFILE, ENOBUFS, ENOMEM, EACCES],
        Call::Bind => &[EADDRINUSE, EACCES, ENOMEM],
        Call::Listen => &[EADDRINUSE],
        Call::Connect => &[EINTR, ECONNREFUSED, ENETUNREACH, EADDRNOTAVAIL, ETIMEDOUT, EAGAIN],
        Call::Accept => &[EINTR, ECONNABORTED, EPROTO, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPERM],
        Call::Receive => &[EINTR, ECONNRESET, ETIMEDOUT, ENOMEM],
        Call::Send => &[EINTR, EPIPE, ECONNRESET, ENOBUFS, ENOMEM],
        Call::SocketError => &[ENOBUFS],
        Call::SocketOption => &[ENOMEM, EPERM],
        // Not `ENOTCONN`, which says that the connection is over.
        Call::Shutdown => &[EINVAL, ENOBUFS],
        Call::Read => &[EINTR, EIO],
        Call::Write => &[EINTR, EPIPE, EIO, ENOSPC],
        Call::PidfdOpen => &[ENOSYS, EMFILE, ENFILE, ENOMEM, EPERM],
        Call::WaitId => &[EINTR, EINVAL],
        Call::Kill => &[EPERM],
        Call::Spawn => &[EAGAIN, ENOMEM, EMFILE, ENFILE],
        Call::Thread => &[EAGAIN, ENOMEM],
        Call::Affinity => &[EINVAL, EPERM],
        Call::SignalAction => &[EINVAL],
        Call::SignalWrite => &[EINTR, EIO],
        Call::Resolve => &[ENOMEM, EMFILE],
        Call::Stat => &[ENOENT, EACCES],
        Call::TimerCreate => &[EMFILE, ENFILE, ENOMEM],
        Call::TimerSet => &[EINVAL],
    }
}

pub(crate) fn give(seconds: u32) {
    // SAFETY: no preconditions; nobody handles the signal, so that it ends the process.
    unsafe { libc::alarm(seconds) };
}

/// Runs `scenario` under every fault, in a process of its own.
#[track_caller]
fn under_every_fault(test: &str, scenario: fn() -> Outcome) {
    let Some(output) = in_child(test, || {
        // Warm: what is made once for the process is there.
        let plan = FaultPlan::new().install_everywhere();
        scenario().unwrap();
        plan.lift();
        let counts: Vec<_> = plan.counts().collect();
        drop(plan);
        let mut books = Books::open();
        books.close("warm");
        let (mut runs, mut failed) = (0, 0);
        for &(call, _) in &counts {
            for &errno in errnos(call) {
                for n in 1.. {
                    let case = format!("{call:?} {n}: {}", io::Error::from_raw_os_error(errno));
                    // On standard error, which shows the last one where the process is ended.
                    eprintln!("{case}");
                    give(SECONDS);
                    let faults = FaultPlan::new().nth(call, n, errno).install_everywhere();
                    let outcome = scenario();
                    faults.lift();
                    if let Err(error) = &outcome {
                        assert!(!error.to_string().is_empty(), "{case}");
                        failed += 1;
                    }
                    books.close(&case);
                    if faults.used() == 0 {
                        // Ended on its own account, then: it must end well.
                        outcome.unwrap_or_else(|error| panic!("{case}, unused: {error}"));
                        break;
                    }
                    runs += 1;
                    assert!(n < 10_000, "{case}: there is no end to it");
                }
            }
        }
        give(60);
        println!("{runs} faults, {failed} errors");
        assert!(failed > 0);
    }) else {
        return;
    };
    assert_went_well(test, &output);
}

/// The child did what it was to do, and it was one test.
#[track_caller]
pub(crate) fn assert_went_well(what: &str, output: &std::process::Output) {
    let went = String::from_utf8_lossy(&output.stdout).contains("1 passed");
    assert!(output.status.success() && went, "{what}: {}", last_words(output));
}

fn last_words(output: &std::process::Output) -> String {
    let said = said(output);
    let lines: Vec<_> = said.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

#[test]
fn timers() {
    under_every_fault("every_call::timers", scenarios::timers);
}

#[test]
fn echo() {
    under_every_fault("every_call::echo", scenarios::echo);
}

#[test]
fn server() {
    under_every_fault("every_call::server", scenarios::server);
}

#[test]
fn listener_and_datagrams() {
    under_every_fault("every_call::listener_and_datagrams", scenarios::listener_and_datagrams);
}

#[test]
fn children() {
    under_every_fault("every_call::children", scenarios::children);
}

#[test]
fn a_signal() {
    under_every_fault("every_call::a_signal", scenarios::a_signal);
}

#[test]
fn the_pool() {
    under_every_fault("every_call::the_pool", scenarios::the_pool);
}

#[test]
fn threads() {
    under_every_fault("every_call::threads", scenarios::threads);
}

#[test]
fn a_driven_loop() {
    under_every_fault("every_call::a_driven_loop", scenarios::a_driven_loop);
}

#[cfg(feature = "calloop")]
#[test]
fn a_source_of_calloops() {
    under_every_fault("every_call::a_source_of_calloops", scenarios::a_source_of_calloops);
}

#[test]
fn watches() {
    under_every_fault("every_call::watches", scenarios::watches);
}

#[test]
fn closed_with_everything_alive() {
    under_every_fault(
        "every_call::closed_with_everything_alive",
        scenarios::closed_with_everything_alive,
    );
}

#[test]
fn a_nested_run() {
    under_every_fault("every_call::a_nested_run", scenarios::a_nested_run);
}

#[test]
fn a_fork() {
    under_every_fault("every_call::a_fork", scenarios::a_fork);
}

#[test]
fn cancelled_connections() {
    under_every_fault("every_call::cancelled_connections", scenarios::cancelled_connections);
}

#[test]
fn cancelled_waits() {
    under_every_fault("every_call::cancelled_waits", scenarios::cancelled_waits);
}

#[test]
fn signals_of_two_loops() {
    under_every_fault("every_call::signals_of_two_loops", scenarios::signals_of_two_loops);
}
