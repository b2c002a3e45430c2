//! Writes to pipes of ours, in which a reader who is gone is an error and never `SIGPIPE`.
//!
//! Rust programs ignore that signal from the start. A library in a host written in another language finds
//! it at its default, which ends the process. Since Linux 6.18 a write can say that it wants none;
//! before, it is held back from this thread meanwhile, and taken away where the write raised it.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::io::{Errno, ReadWriteFlags};

use super::fault::{self, Call};
use super::socket::MOST_SLICES;

/// Linux's `RWF_NOSIGNAL`.
const NO_SIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

/// Whether the kernel was asked for such a write, and has none.
static REFUSED: AtomicBool = AtomicBool::new(false);

/// Writes to `pipe`. `BrokenPipe`: nobody reads it.
pub(crate) fn write_quietly(pipe: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let most = fault::limit(Call::Write, buffer.len())?;
    write(pipe, &[IoSlice::new(&buffer[..most])])
}

/// As `write_quietly`, of several pieces.
pub(crate) fn write_vectored_quietly(
    pipe: BorrowedFd<'_>,
    buffers: &[IoSlice<'_>],
) -> io::Result<usize> {
    fault::check(Call::Write)?;
    write(pipe, &buffers[..buffers.len().min(MOST_SLICES)])
}

fn write(pipe: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    if !REFUSED.load(Ordering::Relaxed) {
        match rustix::io::pwritev2(pipe, buffers, u64::MAX, NO_SIGNAL) {
            // By kernels before 6.18, by those before 4.6, and by old sandboxes.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::PERM) => {
                REFUSED.store(true, Ordering::Relaxed);
            }
            done => return Ok(done?),
        }
    }
    write_held_back(pipe, buffers)
}

fn write_held_back(pipe: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let held = Held::begin();
    let written = rustix::io::writev(pipe, buffers);
    if written == Err(Errno::PIPE) {
        held.take_away();
    }
    drop(held);
    Ok(written?)
}

/// `SIGPIPE` waits, for this thread, until this drops.
struct Held {
    before: libc::sigset_t,
    /// One was waiting before: it is not ours to take away.
    waiting: bool,
}

fn pipe_signal() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the first call fills the set in, and the second has a valid number.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE);
        set.assume_init()
    }
}

impl Held {
    fn begin() -> Self {
        let (signal, mut before) = (pipe_signal(), MaybeUninit::uninit());
        // SAFETY: POSIX's signatures. The first call fills `before` in, and does not fail with a valid
        // `how`; the third fills its set in.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const signal, before.as_mut_ptr());
            let before = before.assume_init();
            let mut waiting = false;
            // Where it was not held back, none can have been waiting.
            if libc::sigismember(&raw const before, libc::SIGPIPE) == 1 {
                let mut pending = MaybeUninit::uninit();
                libc::sigpending(pending.as_mut_ptr());
                waiting = libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1;
            }
            Held { before, waiting }
        }
    }

    /// The one that the write raised, which is this thread's alone: one that somebody sent to the
    /// process stands behind it.
    fn take_away(&self) {
        if self.waiting {
            return;
        }
        let (signal, now) = (pipe_signal(), libc::timespec { tv_sec: 0, tv_nsec: 0 });
        // SAFETY: POSIX's signature; it does not wait, and keeps neither pointer.
        while unsafe { libc::sigtimedwait(&raw const signal, ptr::null_mut(), &raw const now) }
            == -1
            && Errno::from_io_error(&io::Error::last_os_error()) == Some(Errno::INTR)
        {}
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: POSIX's signature, and the mask that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn is_waiting() -> bool {
        let mut pending = MaybeUninit::uninit();
        // SAFETY: as above.
        unsafe {
            libc::sigpending(pending.as_mut_ptr());
            libc::sigismember(pending.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    fn is_held() -> bool {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: as above; nothing is changed.
        unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), mask.as_mut_ptr());
            libc::sigismember(mask.as_ptr(), libc::SIGPIPE) == 1
        }
    }

    /// This thread's mask is what it was, and so is what waited for it; each write is an error.
    #[test]
    fn written_then_the_mask_and_what_waited_are_as_before() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let piece = [IoSlice::new(b"x")];
        assert_eq!(write_held_back(writer.as_fd(), &piece).unwrap(), 1);
        assert_eq!(write(writer.as_fd(), &piece).unwrap(), 1);
        drop(reader);
        let refused = |write: fn(BorrowedFd<'_>, &[IoSlice<'_>]) -> io::Result<usize>| {
            let refused = write(writer.as_fd(), &piece).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        };
        for write in [write_held_back, write] {
            refused(write);
            assert!(!is_held() && !is_waiting());
        }
        let held = Held::begin();
        for write in [write_held_back, write] {
            refused(write);
            assert!(is_held() && !is_waiting());
        }
        // SAFETY: no preconditions; it waits for this thread.
        unsafe { libc::raise(libc::SIGPIPE) };
        for write in [write_held_back, write] {
            refused(write);
            assert!(is_held() && is_waiting(), "somebody else's");
        }
        held.take_away();
        drop(held);
        assert!(!is_held() && !is_waiting());
    }
}
