//! Linux: where a loop looks at the outside and sleeps, and the bell that wakes it.
//!
//! A look is one system call, without a timer descriptor: `epoll_pwait2` where it waits for a time that is not
//! in whole milliseconds, and `epoll_pwait` where it does not, or where the kernel has no other. A wait
//! is asked for in steps, so that it ends to the point, and hardly ever is in whole milliseconds. The bell is an
//! eventfd watched edge-triggered and never read: each ring is a new edge, and a counter of 64 bits does not
//! fill up.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::io::Errno;

use super::epoll_pwait2::epoll_pwait2;
use super::epoll_remove::epoll_remove;
use super::fault::{self, Call};
use super::{Event, Interest, Seen};

/// No sleep is longer, whatever the next timer: RUN-37.
const LONGEST_SLEEP: Duration = Duration::from_secs(24 * 3600);

/// A thread's timer slack, unless somebody changed it. A sleep that ends this much sooner is slept on.
const SLACK: Duration = Duration::from_micros(50);

/// Sleeps up to this long are late by the slack, and longer ones by a share of their length.
const LATE_BY_SLACK: Duration = Duration::from_millis(64);

/// Events taken in one look; what is over comes with the next.
const BATCH: usize = 256;

/// The bell's key: no source has it.
const BELL: u64 = 0;

/// How often a write that is interrupted is repeated, before something else is tried.
const MOST_RINGS: u32 = 1000;

/// How often a ring that fails in both ways is tried, and the time between two of those.
const MOST_TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(1);

pub(crate) struct Driver {
    /// Shared with whoever it is lent to, and with the bell.
    epoll: Arc<OwnedFd>,
    buffer: RefCell<Vec<epoll::Event>>,
    /// The kernel has no look with a limit in nanoseconds, or whoever guards it lets nobody have one.
    coarse: Cell<bool>,
    /// All that were ever added, for tests that invent events.
    #[cfg(feature = "faults")]
    keys: RefCell<std::collections::BTreeSet<u64>>,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    eventfd: OwnedFd,
    epoll: Arc<OwnedFd>,
}

/// The descriptor that is readable when a look would see something.
pub(crate) struct Lent {
    epoll: Arc<OwnedFd>,
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        fault::check(Call::EpollCreate)?;
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        fault::check(Call::Eventfd)?;
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let interest = epoll::EventFlags::IN | epoll::EventFlags::ET;
        fault::check(Call::EpollAdd)?;
        epoll::add(&epoll, &eventfd, epoll::EventData::new_u64(BELL), interest)?;
        let bell = Bell { eventfd, epoll: Arc::clone(&epoll) };
        let driver = Driver {
            epoll,
            buffer: RefCell::new(Vec::with_capacity(BATCH)),
            coarse: Cell::new(false),
            #[cfg(feature = "faults")]
            keys: RefCell::default(),
        };
        Ok((driver, bell))
    }

    /// Looks, after sleeping until something happens, the bell rings, or `timeout` is over. Waking
    /// early is allowed: whoever sleeps looks again. What happened is added to `events`.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<Seen> {
        let timeout = timeout.map(|limit| limit.min(LONGEST_SLEEP));
        match self.wait_to_the_point(timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Seen::Interrupted);
            }
            other => other?,
        }
        #[cfg(feature = "faults")]
        events.extend(fault::invented(&self.keys.borrow()).into_iter().map(|key| Event {
            key,
            readable: true,
            writable: true,
            last: false,
        }));
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

    /// In steps, because the system is late by a share of what it is asked for.
    fn wait_to_the_point(&self, mut timeout: Option<Duration>) -> io::Result<()> {
        while let Some((limit, most)) = timeout.and_then(|limit| Some((limit, most_of(limit)?))) {
            let began = Instant::now();
            self.wait_once(Some(most))?;
            let left = limit.saturating_sub(began.elapsed());
            if left.is_zero() || !self.buffer.borrow().is_empty() {
                return Ok(());
            }
            timeout = Some(left);
        }
        self.wait_once(timeout)
    }

    fn wait_once(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        if let Some(limit) = timeout.filter(|&limit| limit != whole_milliseconds(limit)) {
            if !self.coarse.get() {
                let waited = fault::check(Call::EpollPwait2)
                    .and_then(|()| Ok(epoll_pwait2(self.epoll.as_fd(), &mut buffer, limit)?));
                // Old kernels say the one, and old sandboxes the other: it does not exist, for us.
                let missing = [Some(Errno::NOSYS), Some(Errno::PERM)];
                match waited {
                    Err(error) if missing.contains(&Errno::from_io_error(&error)) => {
                        self.coarse.set(true);
                    }
                    waited => return waited,
                }
            }
        }
        fault::check(Call::EpollWait)?;
        // Rounded up: never early.
        let timeout = timeout.map(whole_milliseconds).map(|limit| Timespec {
            tv_sec: limit.as_secs() as i64,
            tv_nsec: limit.subsec_nanos().into(),
        });
        buffer.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut buffer), timeout.as_ref())?;
        Ok(())
    }

    pub(crate) fn lend(&self) -> Lent {
        Lent { epoll: Arc::clone(&self.epoll) }
    }

    /// Watches `fd` under `key`, which comes back with its events.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        fault::check(Call::EpollAdd)?;
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(key), flags(interest))?;
        #[cfg(feature = "faults")]
        self.keys.borrow_mut().insert(key);
        Ok(())
    }

    /// Watches `fd` for something else, or under another key.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        fault::check(Call::EpollModify)?;
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(key), flags(interest))?)
    }

    /// Watches the descriptor of this number no more. To be called before it is closed.
    pub(crate) fn remove(&self, number: RawFd) -> io::Result<()> {
        fault::check(Call::EpollRemove)?;
        epoll_remove(self.epoll.as_fd(), number)
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

/// How much of a sleep to ask for, where it is not all. Linux wakes a poller late by the thread's timer slack,
/// and where that is more, by a thousandth of the time-out, or a two-hundredth if the thread is niced. The
/// former is asked for less; of a long sleep most is slept first, so that what is left is late by no more.
fn most_of(limit: Duration) -> Option<Duration> {
    if limit > LATE_BY_SLACK {
        return Some(limit - limit / 128);
    }
    limit.checked_sub(SLACK).filter(|most| !most.is_zero())
}

fn whole_milliseconds(limit: Duration) -> Duration {
    Duration::from_millis(limit.as_nanos().div_ceil(1_000_000) as u64)
}

impl Bell {
    /// Wakes the sleeper. What refuses for want of memory may have some a moment later, and who sleeps on
    /// is not asked again: it is tried a few times, in both ways.
    pub(crate) fn ring(&self) -> io::Result<()> {
        let mut rung = self.ring_once();
        for _ in 1..MOST_TRIES {
            if rung.is_ok() {
                break;
            }
            thread::sleep(PAUSE);
            rung = self.ring_once();
        }
        rung
    }

    fn ring_once(&self) -> io::Result<()> {
        for _ in 0..MOST_RINGS {
            match self.write() {
                Ok(()) => return Ok(()),
                Err(error) => match error.kind() {
                    // A counter that is full has been rung.
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _ => break,
                },
            }
        }
        self.watch_anew()
    }

    fn write(&self) -> io::Result<()> {
        fault::check(Call::Ring)?;
        rustix::io::write(&self.eventfd, &1_u64.to_ne_bytes())?;
        Ok(())
    }

    /// The other way to wake the sleeper: an eventfd always has room, and asking for that again is news
    /// each time.
    fn watch_anew(&self) -> io::Result<()> {
        use epoll::EventFlags as Flags;
        let interest = Flags::IN | Flags::OUT | Flags::ET;
        fault::check(Call::EpollModify)?;
        let data = epoll::EventData::new_u64(BELL);
        Ok(epoll::modify(&self.epoll, &self.eventfd, data, interest)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

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

    /// What wakes the sleeper where the write is refused.
    #[test]
    fn watched_anew_then_the_sleep_ends_each_time() {
        let (driver, bell) = Driver::new().unwrap();
        for _ in 0..3 {
            bell.watch_anew().unwrap();
            assert!(sleep(&driver, None).is_empty());
            assert!(sleep(&driver, Some(Duration::ZERO)).is_empty());
            assert_eq!(driver.buffer.borrow().len(), 0, "heard of once");
        }
        bell.ring().unwrap();
        assert!(sleep(&driver, None).is_empty(), "and rung as before");
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

    /// How long the quickest of some sleeps took: a loaded machine makes some of them long.
    fn quickest(driver: &Driver, limit: Duration) -> Duration {
        let once = || {
            let start = Instant::now();
            sleep(driver, Some(limit));
            start.elapsed()
        };
        (0..200).map(|_| once()).min().unwrap()
    }

    #[test]
    fn a_tenth_of_a_millisecond_is_no_whole_one() {
        let (driver, _bell) = Driver::new().unwrap();
        let limit = Duration::from_micros(100);
        let took = quickest(&driver, limit);
        assert!((limit..Duration::from_millis(1)).contains(&took), "{took:?}");
        assert!(!driver.coarse.get(), "this kernel has the call");
        driver.coarse.set(true);
        let took = quickest(&driver, limit);
        assert!(took >= Duration::from_millis(1), "{took:?}");
    }

    /// What is left of a sleep is asked for anew until it is short, and that is soon.
    #[test]
    fn long_sleeps_end_in_a_short_one_after_a_few_steps() {
        let second = Duration::from_secs(1);
        let most = most_of(second).unwrap();
        assert!(second - most > second / 200, "late by what the system may take, it is not over");
        let left = |limit: &Duration| Some(*limit - most_of(*limit)?);
        let steps = [(10 * second, 4), (3600 * second, 5), (LONGEST_SLEEP, 5)];
        for (limit, steps) in steps.into_iter().chain([(LATE_BY_SLACK, 2), (SLACK * 2, 2)]) {
            let steps_taken: Vec<_> = std::iter::successors(Some(limit), left).collect();
            assert_eq!((steps_taken.len(), steps_taken.last()), (steps, Some(&SLACK)), "{limit:?}");
        }
        for limit in [SLACK, Duration::from_nanos(1), Duration::ZERO] {
            assert_eq!(most_of(limit), None);
        }
    }

    #[test]
    fn a_long_sleep_is_never_short_and_ends_with_a_ring_in_any_step() {
        let (driver, bell) = Driver::new().unwrap();
        let limit = Duration::from_millis(100);
        let start = Instant::now();
        assert!(sleep(&driver, Some(limit)).is_empty());
        assert!(start.elapsed() >= limit);
        bell.ring().unwrap();
        let start = Instant::now();
        assert!(sleep(&driver, Some(Duration::from_secs(3600))).is_empty());
        assert!(start.elapsed() < Duration::from_secs(60));
    }

    /// Events come with such a look as with any other, more of them than it has room for.
    #[test]
    fn a_precise_look_sees_what_any_other_does() {
        let (driver, bell) = Driver::new().unwrap();
        let limit = Some(Duration::from_micros(20_000_100));
        let pairs: Vec<_> = (1..=BATCH as u64 + 10)
            .map(|key| {
                let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
                driver.add(reader.as_fd(), key, Interest::Edges).unwrap();
                rustix::io::write(&writer, b"x").unwrap();
                (reader, writer)
            })
            .collect();
        let mut events = Vec::new();
        assert_eq!(driver.wait(limit, &mut events).unwrap(), Seen::Full);
        assert_eq!(driver.wait(limit, &mut events).unwrap(), Seen::All);
        let keys: std::collections::BTreeSet<_> = events.iter().map(|event| event.key).collect();
        // A new socket may tell of its room to write and of the byte apart.
        assert_eq!(keys.len(), pairs.len());
        bell.ring().unwrap();
        assert!(sleep(&driver, limit).is_empty());
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
        driver.remove(reader.as_raw_fd()).unwrap();
        assert!(sleep(&driver, Some(Duration::ZERO)).is_empty());
    }
}
