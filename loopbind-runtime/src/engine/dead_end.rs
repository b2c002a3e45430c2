//! Deadlock: a virtual-time run that waits for what cannot come ends, and says who waits.
//!
//! In virtual time nothing but a wake ends a wait, so that a loop can tell when none is left to come:
//! nothing is ready and no timer set, nobody waits for a descriptor or a signal, no job and no child
//! is on its way, and no other thread has a `LoopHandle` or is awaited. What it cannot tell is whether
//! another thread holds a task's waker, in a channel of somebody else's. Where wakers are out of sight
//! it waits for a while of real time before it gives up, because a test that is failed for nothing is
//! worse than one that fails late; where it can account for every waker, it need not wait: those
//! that tasks, timers, groups and all of `sync` keep are counted.
//!
//! A real-time loop never gives up: it has time-outs for that. Neither does one that was lent to a
//! host, nor a run without a main future, which is there to wait.

use std::time::Duration;

use super::Engine;
use crate::error::LoopError;
use crate::task::Waits;

/// How long something may take that comes by a waker in unknown hands.
const GRACE: Duration = Duration::from_secs(2);

impl Engine {
    /// Whether nothing is known that could end the wait of a run with a main future. Asked when nothing
    /// is ready, and when no timer is set.
    pub(super) fn is_abandoned(&self) -> bool {
        let local = self.home.local();
        self.home.awaits_main()
            && !self.home.is_tied()
            && !local.hosted.get()
            && !local.waits_outside.get()
            && !self.reactor.is_awaited()
    }

    /// For how long it is waited all the same.
    pub(super) fn grace(&self) -> Duration {
        if self.waits().all_known { Duration::ZERO } else { GRACE }
    }

    /// After the grace: the error, unless something came.
    pub(super) fn check_alive(&self) -> Result<(), LoopError> {
        if !self.is_idle() || self.home.has_mail() || !self.is_abandoned() {
            return Ok(());
        }
        Err(LoopError::Deadlock { tasks: self.waits().tasks })
    }

    fn waits(&self) -> Waits {
        Waits::of(&self.home, &self.alarms.sleepers(&self.home))
    }
}
