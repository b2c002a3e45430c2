//! Being the running loop: who may, and what is undone afterwards.

use std::ptr;
use std::sync::Arc;

use super::{Engine, Hold, Patience};
use crate::attention::Matter;
use crate::current::{self, Entered};
use crate::error::LoopError;
use crate::panic::PanicPayload;
use crate::task::{ExceptionContext, LocalHome, Phase};
use crate::trace;

/// Why a run ended, other than by its `stop`. In a box of its own, so that the answer that says that there is
/// none, which every run gives, is one word.
pub(crate) type Exit = Box<Reason>;

pub(crate) enum Reason {
    Refused(LoopError),
    /// A panic that nobody received leaves the run.
    Thrown(PanicPayload),
}

impl From<LoopError> for Exit {
    #[cold]
    fn from(error: LoopError) -> Self {
        Box::new(Reason::Refused(error))
    }
}

/// The loop is the running one of this thread until this drops.
#[must_use = "the loop runs until this drops"]
pub(crate) struct Running {
    // In this order: the slot is restored before the loop is let go of, which may close it.
    _entered: Entered,
    hold: Hold,
}

impl Drop for Running {
    fn drop(&mut self) {
        let local = self.hold.home.local();
        local.attention.settle(Matter::Stop);
        local.attention.settle(Matter::Done);
        current::replace_context(local.outside.replace(ptr::null()));
        if !self.hold.home.is_inherited() {
            self.hold.home.run_ends();
            if local.hosted.get() {
                // With mail in the box it fails, and `next_deadline` says so.
                self.hold.home.park();
            }
        }
    }
}

impl Engine {
    /// Whether the loop may run here and now. RUN-05: the order of the refusals is asyncio's.
    pub(crate) fn check_can_run(&self) -> Result<(), LoopError> {
        self.home.check_fork()?;
        if self.home.local().phase.get() != Phase::Open {
            return Err(LoopError::Closed);
        }
        if current::is_running(Arc::as_ptr(&self.home)) {
            return Err(LoopError::AlreadyRunning);
        }
        check_none_runs()?;
        match &self.lodging {
            Some(lodging) => lodging.check(),
            None => Ok(()),
        }
    }

    /// Checks first, and only then changes anything.
    pub(crate) fn enter(&self) -> Result<Running, LoopError> {
        self.check_can_run()?;
        let Some(hold) = self.hold() else { return Err(LoopError::Closed) };
        self.home.run_begins();
        self.home.unpark();
        // RUN-16: the first iteration looks, however little there is to run before. Where nothing is to be
        // seen it is as if it had.
        self.until_look.set(if self.is_blind() { self.event_interval } else { 0 });
        // Steps have contexts of their own: the one that is current here is for what is none.
        self.home.local().outside.set(current::replace_context(ptr::null()));
        let entered = current::enter(Arc::as_ptr(&self.home));
        Ok(Running { _entered: entered, hold })
    }

    /// Runs until stopped.
    pub(crate) fn run_on(&self) -> Result<(), Exit> {
        if trace::wants_runs() { self.run_on_told() } else { self.turn_on() }
    }

    /// The same, with a subscriber who is told.
    #[cold]
    fn run_on_told(&self) -> Result<(), Exit> {
        self.report_subscriber(trace::run_begins(self.home.id));
        let ended = self.turn_on();
        if !self.home.is_inherited() {
            self.report_subscriber(trace::run_ends(self.home.id));
        }
        ended
    }

    /// Turns until stopped.
    fn turn_on(&self) -> Result<(), Exit> {
        let (home, attention) = (Arc::as_ptr(&self.home), &self.home.local().attention);
        self.let_escape()?;
        if let Some(lodging) = &self.lodging {
            return self.run_there(&**lodging);
        }
        let mut patience = self.patience();
        loop {
            let ran = self.turn(patience).map_err(LoopError::Io)?;
            if !current::is_running(home) || attention.is_wanted() {
                if self.is_over(ran)? {
                    return Ok(());
                }
                patience = self.patience();
            }
        }
    }

    /// One that is to stop does not sleep before.
    fn patience(&self) -> Patience {
        match self.home.local().attention.is_wanted_for(Matter::Stop) {
            true => Patience::Not,
            false => Patience::Forever,
        }
    }

    /// Sees to what wants attention after an iteration that ran so many entries. True: the run ends.
    #[inline(never)]
    pub(super) fn is_over(&self, ran: usize) -> Result<bool, Exit> {
        let attention = &self.home.local().attention;
        self.home.check_fork()?;
        let is_dead = attention.is_wanted_for(Matter::DeadEnd) && ran == 0;
        attention.settle(Matter::DeadEnd);
        self.let_escape()?;
        if is_dead {
            self.check_alive()?;
        }
        if attention.is_wanted_for(Matter::Stop) || self.is_overdue() {
            return Ok(true);
        }
        if attention.is_wanted_for(Matter::Done) {
            attention.settle(Matter::Done);
            // RUN-12: what is ready by now runs, in one more iteration.
            if self.alarms.is_due() || !self.home.has_only_root() {
                attention.call_for(Matter::Stop);
                return Ok(false);
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// Has the next run, or turn, left by `payload`, before anything else that waits to leave.
    pub(crate) fn throw_next(&self, payload: PanicPayload) {
        let context = ExceptionContext::panicked("Task exception was never retrieved", payload);
        self.thrown.borrow_mut().insert(0, context);
        self.home.local().attention.call_for(Matter::Escape);
    }

    /// The first panic that is waiting to leave a run, leaves. Where the thread unwinds already, a second one
    /// would be the end of the process: there, all are told.
    #[inline]
    pub(crate) fn let_escape(&self) -> Result<(), Exit> {
        if self.home.local().attention.is_wanted_for(Matter::Escape) {
            return self.escape();
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn escape(&self) -> Result<(), Exit> {
        if std::thread::panicking() {
            for context in self.take_thrown() {
                self.call_handler(&context);
            }
            return Ok(());
        }
        let first = {
            let mut thrown = self.thrown.borrow_mut();
            let first = (!thrown.is_empty()).then(|| thrown.remove(0));
            if thrown.is_empty() {
                self.home.local().attention.settle(Matter::Escape);
            }
            first
        };
        match first.and_then(|context| context.panic) {
            Some(payload) => Err(Box::new(Reason::Thrown(payload))),
            None => Ok(()),
        }
    }

    /// The panics that are waiting to leave a run do not leave one any more.
    pub(super) fn take_thrown(&self) -> Vec<ExceptionContext> {
        self.home.local().attention.settle(Matter::Escape);
        std::mem::take(&mut *self.thrown.borrow_mut())
    }
}

/// Whether a run may begin on this thread at all.
pub(crate) fn check_none_runs() -> Result<(), LoopError> {
    match LocalHome::running() {
        None => Ok(()),
        Some(home) => Err(LoopError::AnotherLoopRunning { running: home.id }),
    }
}
