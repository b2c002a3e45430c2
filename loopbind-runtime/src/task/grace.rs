//! The time that a task has to end in, once it was told that it is to.
//!
//! A task that does not listen is dropped at once, so that nothing is set before one is told. The timer
//! is the loop's, and holds the task; it is taken back when the task ends before it.

use std::time::Duration;

use super::header::{Header, TaskRef};
use super::home::Local;
use super::state::{DONE, TOLD};
use crate::clock::{self, Tick};
use crate::timers::TimerKey;

#[derive(Clone, Copy, Default)]
pub(super) enum Grace {
    /// Any time.
    #[default]
    Endless,
    /// Until then, if it is told.
    Granted(Tick),
    /// It was told, and is aborted then, by this timer.
    Running(Tick, TimerKey),
}

impl TaskRef {
    /// Asks the task to end, and aborts it where it was told and has not ended `grace` from now, on the
    /// loop's clock; true if it was not done. Of several times the shortest counts. One that was told
    /// before and cleans up is not asked again, unless it listens again.
    pub(crate) fn cancel_within(&self, grace: Duration) -> bool {
        let head = self.head();
        if head.has(DONE) || head.home.is_inherited() {
            return false;
        }
        let local = self.local();
        if let Some(now) = local.with_keeper(|keeper| keeper.now()) {
            self.grant(clock::after(now, grace), local);
        }
        if head.has(TOLD) {
            self.begin_grace();
        }
        if !head.has(TOLD) || self.is_listening() {
            self.cancel();
        }
        true
    }

    fn grant(&self, until: Tick, local: &Local) {
        let shorter = self.head().with_cold(|cold| match cold.grace {
            Grace::Granted(known) | Grace::Running(known, _) if known <= until => None,
            _ => Some(std::mem::replace(&mut cold.grace, Grace::Granted(until))),
        });
        if let Some(Grace::Running(_, timer)) = shorter {
            local.with_keeper(|keeper| keeper.call_off(timer));
        }
    }

    /// It was told: what it was granted is running.
    pub(super) fn begin_grace(&self) {
        let head = self.head();
        let grace = head.if_cold(|cold| cold.grace);
        let Some(Grace::Granted(until)) = grace else { return };
        let local = self.local();
        let timer = local.with_keeper(|keeper| keeper.abort_at(until, self.clone()));
        if let Some(timer) = timer {
            head.with_cold(|cold| cold.grace = Grace::Running(until, timer));
        }
    }
}

/// The task is over.
pub(super) fn end(head: &Header, local: &Local) {
    let grace = head.if_cold(|cold| std::mem::take(&mut cold.grace));
    if let Some(Grace::Running(_, timer)) = grace {
        local.with_keeper(|keeper| keeper.call_off(timer));
    }
}
