//! Linux: where a loop looks at the outside and sleeps, and the bell that wakes it.
//!
//! A look is one system call: `epoll_pwait2`, with a time-out in nanoseconds and no timer
//! descriptor. The bell is an eventfd watched edge-triggered and never read: each ring is a new
//! edge, and a counter of 64 bits does not fill up.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::{Event, Interest, Seen};

/// No sleep is longer, whatever the next timer: RUN-37.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

/// Events taken in one look; what is over comes with the next.
const BATCH: usize = 256;

/// The bell's key: no source has it.
const BELL: u64 = 0;

pub(crate) struct Driver {
    /// Shared with whoever it is lent to.
    epoll: Rc<OwnedFd>,
    buffer: RefCell<Vec<epoll::Event>>,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    eventfd: OwnedFd,
}

/// The descriptor that is readable when a look would see something.
pub(crate) struct Lent {
    epoll: Rc<OwnedFd>,
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &eventfd, epoll::EventData::new_u64(BELL), interest)?;
        let buffer = RefCell::new(Vec::with_capacity(BATCH));
        Ok((Driver { epoll: Rc::new(epoll), buffer }, Bell { eventfd }))
    }

    /// Looks, after sleeping until something happens, the bell rings, or `timeout` is over. Waking
    /// early is allowed: whoever sleeps looks again. What happened is added to `events`.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<Seen> {
        let timeout = timeout.map(|limit| limit.min(LONGEST_SLEEP));
        match self.wait_once(timeout) {
            // No `epoll_pwait2` in this kernel: whole milliseconds, rounded up, never early.
            Err(Errno::NOSYS) => self.wait_once(timeout.map(whole_milliseconds))?,
            Err(Errno::INTR) => return Ok(Seen::All),
            other => other?,
        }
        let buffer = self.buffer.borrow();
        for event in buffer.iter() {
            // A copy: the kernel's record may be packed.
            let (flags, key) = (event.flags, event.data.u64());
            if key != BELL {
                events.push(seen(key, flags));
            }
        }
        Ok(if buffer.len() < BATCH { Seen::All } else { Seen::Full })
    }

    fn wait_once(&self, timeout: Option<Duration>) -> Result<(), Errno> {
        let timeout = timeout.map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        });
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut buffer), timeout.as_ref())?;
        Ok(())
    }

    pub(crate) fn lend(&self) -> Lent {
        Lent { epoll: Rc::clone(&self.epoll) }
    }

    /// Watches `fd` under `key`, which comes back with its events.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(key), flags(interest))?)
    }

    /// Watches `fd` for something else, or under another key.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(key), flags(interest))?)
    }

    /// Watches `fd` no more. To be called before the descriptor is closed.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    use epoll::EventFlags as Flags;
    match interest {
        Interest::Edges => Flags::IN | Flags::OUT | Flags::RDHUP | Flags::PRI | Flags::ET,
        Interest::Readable => Flags::IN | Flags::RDHUP,
        Interest::Writable => Flags::OUT,
        Interest::ReadableAndWritable => Flags::IN | Flags::RDHUP | Flags::OUT,
    }
}

/// A hang-up or an error makes both directions worth a try: the call that follows says what it is.
fn seen(key: u64, flags: epoll::EventFlags) -> Event {
    use epoll::EventFlags as Flags;
    let over = flags.intersects(Flags::HUP | Flags::ERR);
    Event {
        key,
        readable: over || flags.intersects(Flags::IN | Flags::RDHUP | Flags::PRI),
        writable: over || flags.intersects(Flags::OUT),
        // A read stops short at urgent data, with more behind it.
        last: over || flags.intersects(Flags::RDHUP | Flags::PRI),
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

    fn sleep(driver: &Driver, timeout: Option<Duration>) -> Vec<Event> {
        let mut events = Vec::new();
        driver.wait(timeout, &mut events).unwrap();
        events
    }

    #[test]
    fn a_ring_before_the_sleep_ends_it_at_once_each_time() {
        let (driver, bell) = Driver::new().unwrap();
        for _ in 0..3 {
            bell.ring().unwrap();
            assert!(sleep(&driver, None).is_empty());
        }
    }

    /// RUN-36: rounded up, never early, also where only milliseconds can be had.
    #[test]
    fn a_sleep_is_never_short() {
        let (driver, _bell) = Driver::new().unwrap();
        let limit = Duration::from_micros(1300);
        let start = Instant::now();
        sleep(&driver, Some(limit));
        assert!(start.elapsed() >= limit);
        assert_eq!(whole_milliseconds(limit), Duration::from_millis(2));
        assert_eq!(whole_milliseconds(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn edges_come_once_and_levels_each_time() {
        let (driver, _bell) = Driver::new().unwrap();
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        driver.add(reader.as_fd(), 7, Interest::Edges).unwrap();
        sleep(&driver, Some(Duration::ZERO));
        rustix::io::write(&writer, b"x").unwrap();
        let events = sleep(&driver, None);
        assert!(matches!(events[..], [Event { key: 7, readable: true, last: false, .. }]));
        assert!(sleep(&driver, Some(Duration::ZERO)).is_empty());
        driver.modify(reader.as_fd(), 8, Interest::Readable).unwrap();
        for _ in 0..2 {
            assert!(matches!(sleep(&driver, None)[..], [Event { key: 8, readable: true, .. }]));
        }
        driver.remove(reader.as_fd()).unwrap();
        assert!(sleep(&driver, Some(Duration::ZERO)).is_empty());
    }
}
