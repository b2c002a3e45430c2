//! Where there is no epoll, or where it is not wanted: the same room over the `polling` crate.
//!
//! Its time-outs are exact where the system has timer descriptors or kqueue, and rounded up to
//! milliseconds elsewhere: never early.

use std::cell::RefCell;
use std::io;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use polling::{Events, PollMode, Poller};

use super::fault::{self, Call};
use super::short_keys::ShortKeys;
use super::{Event, Interest, Seen, forks};

pub(crate) struct Driver {
    poller: Shared,
    buffer: RefCell<Events>,
    /// `polling` has keys of a machine word, which may be half of one of ours.
    keys: RefCell<ShortKeys>,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    poller: Shared,
}

/// The descriptor that is readable when a look would see something.
pub(crate) struct Lent {
    poller: Shared,
}

/// A share in a poller. In a forked child it is forgotten, with its descriptors: a poller takes things
/// out of the system's table as it drops, and that table is the parent's as well.
#[derive(Debug)]
struct Shared {
    poller: ManuallyDrop<Arc<Poller>>,
    forks: u64,
}

impl Shared {
    fn new() -> io::Result<Self> {
        let poller = ManuallyDrop::new(Arc::new(Poller::new()?));
        Ok(Shared { poller, forks: forks() })
    }
}

impl Clone for Shared {
    fn clone(&self) -> Self {
        Shared { poller: ManuallyDrop::new(Arc::clone(&self.poller)), forks: self.forks }
    }
}

impl Deref for Shared {
    type Target = Poller;

    fn deref(&self) -> &Poller {
        &self.poller
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if self.forks == forks() {
            // SAFETY: dropped once, here, and not used again.
            unsafe { ManuallyDrop::drop(&mut self.poller) };
        }
    }
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        fault::check(Call::EpollCreate)?;
        let poller = Shared::new()?;
        let bell = Bell { poller: poller.clone() };
        let buffer = RefCell::new(Events::new());
        Ok((Driver { poller, buffer, keys: RefCell::default() }, bell))
    }

    /// Looks, after sleeping until something happens, the bell rings, or `timeout` is over. Waking
    /// early is allowed: whoever sleeps looks again. What happened is added to `events`.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<Seen> {
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        let waited = match fault::check(Call::EpollWait) {
            Ok(()) => self.poller.wait(&mut buffer, timeout),
            Err(error) => Err(error),
        };
        match waited {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                return Ok(Seen::Interrupted);
            }
            other => drop(other?),
        }
        let keys = self.keys.borrow();
        events.extend(buffer.iter().filter_map(|event| {
            Some(Event {
                key: keys.whole(event.key as u32)?,
                readable: event.readable,
                writable: event.writable,
                // Not every system tells: believed of all, it costs a read that finds nothing.
                last: true,
            })
        }));
        Ok(if buffer.len() < buffer.capacity().get() { Seen::All } else { Seen::Full })
    }

    pub(crate) fn lend(&self) -> Lent {
        Lent { poller: self.poller.clone() }
    }

    /// Watches `fd` under `key`, which comes back with its events.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        fault::check(Call::EpollAdd)?;
        let (event, mode) = wanted(self.keys.borrow_mut().shorten(key)?, interest);
        // SAFETY: whoever registers a descriptor removes it before it is closed: `Reactor` takes it
        // out of its table and off this one at once, and everything that owns a registered
        // descriptor does that first as it drops.
        unsafe { self.poller.add_with_mode(fd.as_raw_fd(), event, mode) }
    }

    /// Watches `fd` for something else, or under another key.
    pub(crate) fn modify(
        &self,
        fd: BorrowedFd<'_>,
        key: u64,
        interest: Interest,
    ) -> io::Result<()> {
        fault::check(Call::EpollModify)?;
        let (event, mode) = wanted(self.keys.borrow_mut().shorten(key)?, interest);
        self.poller.modify_with_mode(fd, event, mode)
    }

    /// Watches the descriptor of this number no more. To be called before it is closed.
    pub(crate) fn remove(&self, number: RawFd) -> io::Result<()> {
        fault::check(Call::EpollRemove)?;
        // SAFETY: the number of a descriptor that was registered here, which was borrowed then and is not -1.
        // Its owner has not closed it yet, or has behind our back; then this is an error, since nobody
        // else's of this number is registered: `Reactor` keeps book of that.
        self.poller.delete(unsafe { BorrowedFd::borrow_raw(number) })
    }
}

fn wanted(key: u32, interest: Interest) -> (polling::Event, PollMode) {
    let key = key as usize; // at least as wide
    match interest {
        Interest::Edges => (polling::Event::all(key), PollMode::Edge),
        Interest::Readable => (polling::Event::readable(key), PollMode::Level),
        Interest::Writable => (polling::Event::writable(key), PollMode::Level),
        Interest::ReadableAndWritable => (polling::Event::all(key), PollMode::Level),
    }
}

impl Bell {
    pub(crate) fn ring(&self) -> io::Result<()> {
        fault::check(Call::Ring)?;
        self.poller.notify()
    }
}
