//! What is asked of single descriptors.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::fault::{self, Call};

pub(crate) fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    fault::check(Call::Fcntl)?;
    let flags = rustix::fs::fcntl_getfl(fd)?;
    if !flags.contains(OFlags::NONBLOCK) {
        rustix::fs::fcntl_setfl(fd, flags | OFlags::NONBLOCK)?;
    }
    Ok(())
}

pub(crate) fn set_blocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    fault::check(Call::Fcntl)?;
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(rustix::fs::fcntl_setfl(fd, flags - OFlags::NONBLOCK)?)
}

/// `WouldBlock`, unless there is something to read now, or the end, or an error.
pub(crate) fn check_readable(fd: BorrowedFd<'_>) -> io::Result<()> {
    check(fd, PollFlags::IN)
}

/// `WouldBlock`, unless a write would be taken now, or fail.
pub(crate) fn check_writable(fd: BorrowedFd<'_>) -> io::Result<()> {
    check(fd, PollFlags::OUT)
}

fn check(fd: BorrowedFd<'_>, flags: PollFlags) -> io::Result<()> {
    fault::check(Call::Poll)?;
    let mut polled = [PollFd::from_borrowed_fd(fd, flags)];
    match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))? {
        0 => Err(io::ErrorKind::WouldBlock.into()),
        _ => Ok(()),
    }
}

/// Why a descriptor cannot be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchTrouble {
    /// It is watched already, on the same loop.
    Twice,
    /// Nobody ever waits for such a thing.
    NeverWaits,
    /// It is the watching loop's own.
    Itself,
    /// It is a loop's that watches this one in turn, or one of too many inside of each other.
    Circle,
    /// The user has no more watches.
    TooMany,
    Other,
}

pub(crate) fn watch_trouble(error: &io::Error) -> WatchTrouble {
    match Errno::from_io_error(error) {
        Some(Errno::EXIST) => WatchTrouble::Twice,
        Some(Errno::PERM) => WatchTrouble::NeverWaits,
        Some(Errno::INVAL) => WatchTrouble::Itself,
        Some(Errno::LOOP) => WatchTrouble::Circle,
        Some(Errno::NOSPC) => WatchTrouble::TooMany,
        _ => WatchTrouble::Other,
    }
}

/// Another descriptor of the same thing.
pub(crate) fn duplicate(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    fault::check(Call::Dup)?;
    fd.try_clone_to_owned()
}

/// Reads from `source`, which is of the user's kind.
#[inline]
pub(crate) fn read(mut source: impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let most = fault::limit(Call::Read, buffer.len())?;
    source.read(&mut buffer[..most])
}

/// Writes to `sink`, which is of the user's kind.
#[inline]
pub(crate) fn write(mut sink: impl io::Write, buffer: &[u8]) -> io::Result<usize> {
    let most = fault::limit(Call::Write, buffer.len())?;
    sink.write(&buffer[..most])
}
