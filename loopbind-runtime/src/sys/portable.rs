//! Where there is no epoll: the same room over the `polling` crate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use polling::{Events, Poller};

#[derive(Debug)]
pub(crate) struct Driver {
    poller: Arc<Poller>,
    events: Events,
}

/// Wakes the sleeper, from any thread.
#[derive(Debug)]
pub(crate) struct Bell {
    poller: Arc<Poller>,
}

impl Driver {
    pub(crate) fn new() -> io::Result<(Driver, Bell)> {
        let poller = Arc::new(Poller::new()?);
        let bell = Bell { poller: Arc::clone(&poller) };
        Ok((Driver { poller, events: Events::new() }, bell))
    }

    /// Sleeps until the bell rings or `timeout` is over. Waking early is allowed: whoever sleeps
    /// looks again.
    pub(crate) fn sleep(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.events.clear();
        match self.poller.wait(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            other => other.map(drop),
        }
    }
}

impl Bell {
    pub(crate) fn ring(&self) -> io::Result<()> {
        self.poller.notify()
    }
}
