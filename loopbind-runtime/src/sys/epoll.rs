//! Linux: where a loop sleeps, and the bell that wakes it.
//!
//! A look is one system call: `epoll_pwait2`, with a time-out in nanoseconds and no timer
//! descriptor. The bell is an eventfd watched edge-triggered and never read: each ring is a new
//! edge, and a counter of 64 bits does not fill up.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

/// No sleep is longer, whatever the next timer: RUN-37.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

pub(crate) struct Driver {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    eventfd: OwnedFd,
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &eventfd, epoll::EventData::new_u64(0), interest)?;
        Ok((Driver { epoll, events: Vec::with_capacity(4) }, Bell { eventfd }))
    }

    /// Sleeps until the bell rings or `timeout` is over. Waking early is allowed: whoever sleeps
    /// looks again.
    pub(crate) fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(|limit| limit.min(LONGEST_SLEEP));
        match self.wait(timeout) {
            // No `epoll_pwait2` in this kernel: whole milliseconds, rounded up, never early.
            Err(Errno::NOSYS) => self.wait(timeout.map(whole_milliseconds))?,
            Err(Errno::INTR) => {}
            other => other?,
        }
        Ok(())
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        });
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref())?;
        Ok(())
    }
}

fn whole_milliseconds(limit: Duration) -> Duration {
    Duration::from_millis(limit.as_nanos().div_ceil(1_000_000) as u64)
}

impl Bell {
    pub(crate) fn ring(&self) -> io::Result<()> {
        loop {
            match rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes()) {
                // A counter that is full has been rung.
                Ok(_) | Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_ring_before_the_sleep_ends_it_at_once_each_time() {
        let (mut driver, bell) = Driver::new().unwrap();
        for _ in 0..3 {
            bell.ring().unwrap();
            driver.sleep(None).unwrap();
        }
    }

    /// RUN-36: rounded up, never early, also where only milliseconds can be had.
    #[test]
    fn a_sleep_is_never_short() {
        let (mut driver, _bell) = Driver::new().unwrap();
        let limit = Duration::from_micros(1300);
        let start = Instant::now();
        driver.sleep(Some(limit)).unwrap();
        assert!(start.elapsed() >= limit);
        assert_eq!(whole_milliseconds(limit), Duration::from_millis(2));
        assert_eq!(whole_milliseconds(Duration::ZERO), Duration::ZERO);
    }
}
