//! Asking again after a while, where nothing will tell when it is time.
//!
//! Two cases need it, both of Unix sockets: the queue of a listener is full, or that of the receiver
//! of a datagram whose sender is not connected to it. The system says `EAGAIN` for both, and has no
//! event for their end.

use std::io;
use std::time::Duration;

use crate::engine::Engine;
use crate::error::LoopError;
use crate::time::sleep;

const FIRST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(64);

/// Pauses, each twice as long as the one before, to the longest.
pub(super) struct Pause {
    next: Duration,
}

impl Pause {
    pub(super) fn new() -> Self {
        Pause { next: FIRST }
    }

    pub(super) async fn wait(&mut self) -> io::Result<()> {
        Engine::with_running(|_| ()).ok_or(LoopError::NoRunningLoop)?;
        sleep(self.next).await;
        self.next = LONGEST.min(self.next * 2);
        Ok(())
    }
}
