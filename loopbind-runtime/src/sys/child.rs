//! Children of this process, each by itself: never "any child", which would take those of others.
//!
//! A process id names a child until it is reaped, and may name a stranger afterwards. Whoever uses
//! one here is whoever will reap it; a descriptor of a process names the same one for ever.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, pidfd_open,
    pidfd_send_signal, waitid,
};

use super::SignalKind;
use super::fault::{self, Call};

/// How often a call that a signal interrupts is made again: one that is interrupted each time is an
/// error, and not a hang.
const MOST_TRIES: u32 = 1000;

/// One child.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ChildName<'a> {
    Descriptor(BorrowedFd<'a>),
    /// For kernels without such descriptors.
    Number(u32),
}

impl ChildName<'_> {
    fn wait_id(&self) -> io::Result<WaitId<'_>> {
        Ok(match *self {
            ChildName::Descriptor(fd) => WaitId::PidFd(fd),
            ChildName::Number(number) => WaitId::Pid(pid(number)?),
        })
    }
}

fn pid(number: u32) -> io::Result<Pid> {
    let pid = i32::try_from(number).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// A descriptor that is readable once the child has ended.
pub(crate) fn open_child(number: u32) -> io::Result<OwnedFd> {
    fault::check(Call::PidfdOpen)?;
    Ok(pidfd_open(pid(number)?, PidfdFlags::empty())?)
}

/// How the child ended, if it has: it is gone from the system's table then.
///
/// # Errors
/// [`is_no_child`] where somebody else has reaped it.
pub(crate) fn reap(child: ChildName<'_>) -> io::Result<Option<ExitStatus>> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let Some(status) = wait(&child, options)? else { return Ok(None) };
    let code = status.exit_status();
    let signal = status.terminating_signal();
    Ok(match (code, signal) {
        (Some(code), _) => Some(ExitStatus::from_raw((code & 0xff) << 8)),
        (_, Some(signal)) => {
            let core = if status.dumped() { 0x80 } else { 0 };
            Some(ExitStatus::from_raw(signal | core))
        }
        // Not asked for.
        _ => None,
    })
}

fn wait(child: &ChildName<'_>, options: WaitIdOptions) -> io::Result<Option<WaitIdStatus>> {
    let mut tries = 1;
    loop {
        let waited =
            fault::check(Call::WaitId).and_then(|()| Ok(waitid(child.wait_id()?, options)?));
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted && tries < MOST_TRIES => {
                tries += 1;
            }
            waited => return waited,
        }
    }
}

/// Whether the error says that there is no such child to be reaped.
pub(crate) fn is_no_child(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::CHILD.raw_os_error())
}

/// Blocks until the child has ended, and leaves it to be reaped.
pub(crate) fn await_end(number: u32) {
    let _ = wait(&ChildName::Number(number), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
}

/// # Errors
/// The system's: [`is_no_process`] where it has ended and was reaped.
pub(crate) fn send_signal(child: ChildName<'_>, kind: SignalKind) -> io::Result<()> {
    let invalid = || super::SignalError::Invalid { signal: kind.as_raw() };
    let signal = Signal::from_named_raw(kind.as_raw()).ok_or_else(invalid)?;
    fault::check(Call::Kill)?;
    match child {
        ChildName::Descriptor(fd) => pidfd_send_signal(fd, signal)?,
        ChildName::Number(number) => kill_process(pid(number)?, signal)?,
    }
    Ok(())
}

/// Whether the error says that there is no such process.
pub(crate) fn is_no_process(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}
