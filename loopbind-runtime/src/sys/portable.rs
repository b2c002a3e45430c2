//! Where there is no epoll, or where it is not wanted: the same room over the `polling` crate.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use polling::{Events, PollMode, Poller};

use super::{Event, Interest};

pub(crate) struct Driver {
    poller: Arc<Poller>,
    buffer: RefCell<Events>,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    poller: Arc<Poller>,
}

/// The descriptor that is readable when a look would see something.
pub(crate) struct Lent {
    poller: Arc<Poller>,
}

impl AsFd for Lent {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poller.as_fd()
    }
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        let poller = Arc::new(Poller::new()?);
        let bell = Bell { poller: Arc::clone(&poller) };
        Ok((Driver { poller, buffer: RefCell::new(Events::new()) }, bell))
    }

    /// Looks, after sleeping until something happens, the bell rings, or `timeout` is over. Waking
    /// early is allowed: whoever sleeps looks again. What happened is added to `events`.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        events: &mut Vec<Event>,
    ) -> io::Result<()> {
        let mut buffer = self.buffer.borrow_mut();
        buffer.clear();
        match self.poller.wait(&mut buffer, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => drop(other?),
        }
        events.extend(buffer.iter().map(|event| Event {
            key: event.key as u64,
            readable: event.readable,
            writable: event.writable,
            // Not every system tells: believed of all, it costs a read that finds nothing.
            last: true,
        }));
        Ok(())
    }

    pub(crate) fn lend(&self) -> Lent {
        Lent { poller: Arc::clone(&self.poller) }
    }

    /// Watches `fd` under `key`, which comes back with its events.
    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64, interest: Interest) -> io::Result<()> {
        let (event, mode) = wanted(key, interest);
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
        let (event, mode) = wanted(key, interest);
        self.poller.modify_with_mode(fd, event, mode)
    }

    /// Watches `fd` no more. To be called before the descriptor is closed.
    pub(crate) fn remove(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }
}

fn wanted(key: u64, interest: Interest) -> (polling::Event, PollMode) {
    let key = key as usize;
    match interest {
        Interest::Edges => (polling::Event::all(key), PollMode::Edge),
        Interest::Readable => (polling::Event::readable(key), PollMode::Level),
        Interest::Writable => (polling::Event::writable(key), PollMode::Level),
        Interest::ReadableAndWritable => (polling::Event::all(key), PollMode::Level),
    }
}

impl Bell {
    pub(crate) fn ring(&self) -> io::Result<()> {
        self.poller.notify()
    }
}
