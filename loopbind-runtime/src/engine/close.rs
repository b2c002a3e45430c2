//! The end of a loop: everything of the user's is dropped, here, once, in order of creation.

use std::time::Duration;

use super::{Due, Engine};
use crate::current;
use crate::error::LoopError;
use crate::panic::discard;
use crate::task::{ExceptionContext, Phase, report_to_stderr};
use crate::trace;

/// A destructor that starts something whose destructor starts something, for ever, is a mistake;
/// closing ends all the same.
const MOST_LATE: usize = 1_000_000;

impl Engine {
    /// Refused while the loop runs; done once; from any other place it always succeeds, and does not block.
    pub(crate) fn close(&self) -> Result<(), LoopError> {
        self.close_within(Duration::ZERO)
    }

    /// The same, with so long for the blocking work of a host.
    pub(crate) fn close_within(&self, limit: Duration) -> Result<(), LoopError> {
        self.home.check_fork()?;
        if current::is_running(std::sync::Arc::as_ptr(&self.home)) {
            return Err(LoopError::CloseWhileRunning);
        }
        let local = self.home.local();
        if local.phase.get() != Phase::Open {
            return Ok(());
        }
        local.phase.set(Phase::Closing);
        self.within_host(|| self.empty());
        if let Some(lodging) = &self.lodging {
            if !lodging.leave(limit) && !limit.is_zero() {
                self.call_handler(&ExceptionContext::new(
                    "the event loop ends with blocking work of its host's that is not over",
                ));
            }
        }
        Ok(())
    }

    /// Drops everything, and gives every descriptor back.
    fn empty(&self) {
        let local = self.home.local();
        if local.debug.get() {
            report_to_stderr(&format_args!(
                "Close event loop {} with {} tasks pending",
                self.home.id.get(),
                local.counts.alive()
            ));
        }
        // From here on other threads are told. What they had posted is dropped with the rest.
        self.home.close_inbox();
        if trace::wants_runs() {
            self.report_subscriber(trace::closes(self.home.id, local.counts.alive()));
        }
        self.note_cut_off();
        let mut late = 0;
        // Destructors may cancel, wake, schedule and start: go round until nothing comes of it. That is
        // bound to be, because a closing loop takes no new tasks, and of what comes late the most is
        // forgotten unrun.
        while self.drop_callbacks()
            | self.home.drop_oldest()
            | self.drop_late(&mut late)
            | self.reactor.clear()
        {}
        // Every descriptor goes back; who is about to ring finds the bell gone.
        self.reactor.close();
        let bell = self.home.remove_bell();
        if let (Some(bell), true) = (bell, local.hosted.get()) {
            // A host that sleeps for this loop hears of its end. What it sleeps on is lent to it, and
            // stays readable; the bell goes with the engine.
            let _ = bell.ring();
            self.kept_bell.replace(Some(bell));
        }
        self.home.clear_spares();
        local.phase.set(Phase::Closed);
    }

    /// In a forked child: closed by their numbers. Nothing is removed from the epoll, which is the
    /// parent's as well.
    pub(crate) fn close_inherited_descriptors(&self) {
        self.reactor.close();
        self.home.remove_inherited_bell();
    }

    /// Queued callbacks and timers, unrun.
    fn drop_callbacks(&self) -> bool {
        let mut found = false;
        while self.home.drop_next() {
            found = true;
        }
        while let Some(due) = self.alarms.pop() {
            found = true;
            match due {
                Due::Wake(waker) => discard(waker),
                Due::Call(callback) => callback.retract(),
                // It ends with the rest.
                Due::Abort(_) => {}
            }
        }
        found
    }

    fn drop_late(&self, count: &mut usize) -> bool {
        let batch = std::mem::take(&mut *self.home.local().late.borrow_mut());
        let found = !batch.is_empty();
        for value in batch {
            *count += 1;
            match *count {
                ..MOST_LATE => discard(value),
                MOST_LATE => {
                    std::mem::forget(value);
                    self.call_handler(&ExceptionContext::new(
                        "closing the event loop: destructors go on starting tasks without end; \
                         what they start now is leaked",
                    ));
                }
                _ => std::mem::forget(value),
            }
        }
        found
    }

    /// The last share goes, or the thread does. A loop that was inherited is left as it is: its
    /// tasks are the parent's, and nothing of them happens here.
    pub(crate) fn close_for_good(&self) {
        // Running: the thread ends inside its run, by `process::exit`. Nothing can be undone then.
        if self.close().is_err() {
            return;
        }
        if let Some(handler) = self.replace_handler(None) {
            discard(handler);
        }
        for unheard in self.take_thrown() {
            // Policy `Resume`, and no run came that it could have left.
            self.tell(&unheard);
        }
    }
}
