//! What nobody else could be told: the exception handler, and debug mode's warnings.

use std::rc::Rc;
use std::time::Duration;

use super::{Due, Engine, Hold, UnhandledPanic};
use crate::attention::Matter;
use crate::clock::Tick;
use crate::panic::{caught, discard};
use crate::task::{
    ExceptionContext, Keeper, SUBSCRIBER_FAILED, Step, TaskInfo, TaskRef, report_to_stderr,
};
use crate::timers::TimerKey;
use crate::trace;

pub(crate) type Handler = Rc<dyn Fn(&Engine, &ExceptionContext)>;

/// What a test hears of its loop, because nobody else did.
#[derive(Default)]
pub(super) struct Witness {
    /// Panics that no handler of the user's saw, or that one broke on.
    unseen: Vec<String>,
    /// Tasks that closing the loop ended.
    cut_off: Vec<Leftover>,
}

/// A task that did not come to its end by itself.
#[derive(Clone)]
pub(crate) struct Leftover {
    pub(crate) info: TaskInfo,
    pub(crate) is_detached: bool,
}

impl Keeper for Engine {
    fn share(&self) -> Option<Box<dyn Keeper>> {
        Some(Box::new(self.hold()?))
    }

    fn report(&self, mut context: ExceptionContext) {
        if self.unhandled == UnhandledPanic::Resume && context.panic.is_some() {
            self.thrown.borrow_mut().push(context);
            self.home.local().attention.call_for(Matter::Escape);
            // A host that sleeps for this loop has something to hear of.
            self.home.take_in();
            return;
        }
        if self.shutting_down.get() && context.task.is_some() && context.panic.is_some() {
            // RNR-09.
            context.message = "unhandled exception during loopbind::run() shutdown".into();
        }
        self.call_handler(&context);
    }

    fn stepped(&self, step: Step, took: Duration) {
        if took < self.slow_limit.get() {
            return;
        }
        // DBG-03. Who is told may let go of the loop.
        let _hold = self.hold();
        let seconds = took.as_secs_f64();
        let told = match step {
            Step::Task(task) => {
                report_to_stderr(&format_args!(
                    "Executing <Task {task}> took {seconds:.3} seconds"
                ));
                trace::slow_poll(&task.facts(self.home.id), seconds)
            }
            Step::Callback(place) => {
                report_to_stderr(&format_args!(
                    "Executing <Handle created at {place}> took {seconds:.3} seconds"
                ));
                trace::slow_callback(self.home.id, place, seconds)
            }
        };
        self.report_subscriber(told);
    }

    fn now(&self) -> Tick {
        self.alarms.clock.read()
    }

    fn abort_at(&self, at: Tick, task: TaskRef) -> TimerKey {
        self.alarms.set(at, Due::Abort(task))
    }

    fn call_off(&self, timer: TimerKey) {
        drop(self.alarms.unset(timer));
    }
}

impl Keeper for Hold {
    fn share(&self) -> Option<Box<dyn Keeper>> {
        Some(Box::new(self.clone()))
    }

    fn report(&self, context: ExceptionContext) {
        Engine::report(self, context);
    }

    fn stepped(&self, step: Step, took: Duration) {
        Engine::stepped(self, step, took);
    }

    fn now(&self) -> Tick {
        Keeper::now(&***self)
    }

    fn abort_at(&self, at: Tick, task: TaskRef) -> TimerKey {
        Engine::abort_at(self, at, task)
    }

    fn call_off(&self, timer: TimerKey) {
        Engine::call_off(self, timer);
    }
}

impl Engine {
    /// What tasks throw while `f` runs is reported as the shutdown's: RNR-09.
    pub(crate) fn while_shutting_down<R>(&self, f: impl FnOnce() -> R) -> R {
        self.shutting_down.set(true);
        let result = f();
        self.shutting_down.set(false);
        result
    }

    /// The old handler comes out, for the caller to drop: it is the user's.
    pub(crate) fn replace_handler(&self, handler: Option<Handler>) -> Option<Handler> {
        self.handler.replace(handler)
    }

    pub(crate) fn call_handler(&self, context: &ExceptionContext) {
        let handler = self.handler.borrow().clone();
        let Some(handler) = handler else { return self.default_handler(context) };
        let outcome = caught(|| handler(self, context));
        discard(handler);
        if let Err(payload) = outcome {
            // EXH-04: once more, by the handler that cannot fail.
            self.default_handler(&ExceptionContext::panicked(
                format!("Unhandled error in exception handler\ncontext: {context}"),
                payload,
            ));
        }
    }

    pub(crate) fn default_handler(&self, context: &ExceptionContext) {
        if context.panic.is_some() && self.witness.borrow().is_some() {
            let text = context.to_string();
            if let Some(witness) = &mut *self.witness.borrow_mut() {
                witness.unseen.push(text);
            }
        }
        self.tell(context);
    }

    /// Tells whoever reads standard error, and a subscriber.
    pub(super) fn tell(&self, context: &ExceptionContext) {
        report_to_stderr(context);
        let task = context.task.as_ref().map(|task| task.facts(self.home.id));
        let panic = context.panic.as_ref().map(|panic| panic.message().unwrap_or("(not text)"));
        let error = context.error.as_ref();
        let told = trace::unhandled(self.home.id, &context.message, panic, error, task.as_ref());
        if let Err(payload) = told {
            // Not to the handler, which would tell it again.
            report_to_stderr(&ExceptionContext::panicked(SUBSCRIBER_FAILED, payload));
        }
    }

    /// What a subscriber threw, as it was told of the loop.
    pub(super) fn report_subscriber(&self, told: trace::Told) {
        if let Err(payload) = told {
            self.home.local().report(ExceptionContext::panicked(SUBSCRIBER_FAILED, payload));
        }
    }

    /// From here on it is written down what a test must not miss.
    pub(crate) fn call_witness(&self) {
        self.witness.replace(Some(Witness::default()));
    }

    /// Panics that nobody saw. Those that wait to leave a run are among them, and leave none.
    pub(crate) fn take_unseen(&self) -> Vec<String> {
        for context in self.take_thrown() {
            self.default_handler(&context);
        }
        self.witness.take().map(|witness| witness.unseen).unwrap_or_default()
    }

    /// The tasks that are not at their end, and those that never came to it, if somebody asked.
    pub(crate) fn leftovers(&self) -> Vec<Leftover> {
        let mut leftovers = match &*self.witness.borrow() {
            Some(witness) => witness.cut_off.clone(),
            None => Vec::new(),
        };
        leftovers.extend(
            self.home
                .live_tasks()
                .iter()
                .map(|task| Leftover { info: task.info(), is_detached: task.is_detached() }),
        );
        leftovers
    }

    /// What is there now is about to be dropped with the loop.
    pub(super) fn note_cut_off(&self) {
        if self.witness.borrow().is_none() {
            return;
        }
        let leftovers = self.leftovers();
        if let Some(witness) = &mut *self.witness.borrow_mut() {
            witness.cut_off = leftovers;
        }
    }
}
