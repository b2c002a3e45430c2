//! Linux: a descriptor that is readable from an instant on, for a host that watches descriptors.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::fault::{self, Call};

const NO_TIME: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

pub(crate) struct TimerDescriptor {
    fd: OwnedFd,
}

impl TimerDescriptor {
    pub(crate) fn new() -> io::Result<Self> {
        fault::check(Call::TimerCreate)?;
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(TimerDescriptor { fd: timerfd_create(TimerfdClockId::Monotonic, flags)? })
    }

    /// Readable once `left` is over, and for as long as nobody sets it anew; `None`: never.
    pub(crate) fn set(&self, left: Option<Duration>) -> io::Result<()> {
        let value = left.map_or(NO_TIME, |left| {
            // Nothing at all would be never.
            let left = left.max(Duration::from_nanos(1));
            let tv_sec = i64::try_from(left.as_secs()).unwrap_or(i64::MAX);
            Timespec { tv_sec, tv_nsec: left.subsec_nanos().into() }
        });
        fault::check(Call::TimerSet)?;
        let once = Itimerspec { it_interval: NO_TIME, it_value: value };
        timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }
}

impl AsFd for TimerDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::check_readable;

    #[test]
    fn set_then_readable_until_set_anew() {
        let timer = TimerDescriptor::new().unwrap();
        let is_readable = || check_readable(timer.as_fd()).is_ok();
        assert!(!is_readable());
        timer.set(Some(Duration::ZERO)).unwrap();
        while !is_readable() {
            std::thread::yield_now();
        }
        assert!(is_readable(), "for as long as nobody sets it");
        timer.set(Some(Duration::MAX)).unwrap();
        assert!(!is_readable());
        timer.set(Some(Duration::ZERO)).unwrap();
        timer.set(None).unwrap();
        assert!(!is_readable());
    }
}
