//! What nobody else could be told: the exception handler, and debug mode's warnings.

use std::rc::Rc;
use std::time::Duration;

use super::{Engine, Hold, UnhandledPanic};
use crate::panic::{caught, discard};
use crate::task::{ExceptionContext, Keeper, Step, report_to_stderr};

pub(crate) type Handler = Rc<dyn Fn(&Engine, &ExceptionContext)>;

impl Keeper for Engine {
    fn share(&self) -> Option<Box<dyn Keeper>> {
        Some(Box::new(self.hold()?))
    }

    fn report(&self, mut context: ExceptionContext) {
        if self.unhandled == UnhandledPanic::Resume {
            if let Some(payload) = context.panic.take() {
                self.thrown.borrow_mut().push(payload);
                self.escaping.set(true);
                return;
            }
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
        // DBG-03.
        let seconds = took.as_secs_f64();
        match step {
            Step::Task(task) => {
                report_to_stderr(&format_args!(
                    "Executing <Task {task}> took {seconds:.3} seconds"
                ));
            }
            Step::Callback(place) => report_to_stderr(&format_args!(
                "Executing <Handle created at {place}> took {seconds:.3} seconds"
            )),
        }
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
        report_to_stderr(context);
    }
}
