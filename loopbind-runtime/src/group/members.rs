//! What a task group's handle, its body and its children have in common.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::rc::Rc;
use std::task::{Context, Poll};

use super::error::GroupError;
use super::gate::{Gate, Pass};
use super::refused::Refused;
use super::report;
use super::waiter::Waiter;
use crate::PanicPayload;
use crate::panic::caught;
use crate::task::{ExceptionContext, KeptTask, TaskError, TaskRef};

pub(super) struct Members<E> {
    phase: Cell<Phase>,
    /// The body is over, or was dropped: the last child ends the group.
    is_leaving: Cell<bool>,
    pub(super) gate: Gate,
    pub(super) refused: Refused<'static>,
    /// How many children there ever were.
    born: Cell<u64>,
    alive: Cell<usize>,
    /// Those that are not over, in order of creation.
    children: RefCell<BTreeMap<u64, KeptTask>>,
    failures: RefCell<Vec<Failed<E>>>,
    /// Who awaits the group.
    waiter: Waiter,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Somebody failed or cancelled: whoever is left was asked to end.
    Ending,
    /// Nobody awaits the group any more, for good or ill.
    Ended,
}

pub(super) enum Failure<E> {
    Error(E),
    Panic(PanicPayload),
}

/// A failure, and whose it is: `None` for the body's.
struct Failed<E> {
    failure: Failure<E>,
    child: Option<TaskRef>,
}

/// A child's place in its group, until it leaves.
pub(super) struct Place<E: 'static> {
    members: Option<Rc<Members<E>>>,
    number: u64,
    pass: Pass,
}

impl<E> Members<E> {
    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(super) fn alive(&self) -> usize {
        self.alive.get()
    }
}

impl<E: 'static> Members<E> {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Members {
            phase: Cell::new(Phase::Open),
            is_leaving: Cell::new(false),
            gate: Gate::default(),
            refused: Refused::default(),
            born: Cell::new(0),
            alive: Cell::new(0),
            children: RefCell::default(),
            failures: RefCell::default(),
            waiter: Waiter::default(),
        })
    }

    /// What a child that comes now is told, where it comes too late. TGR-08.
    pub(super) fn refusal(&self) -> Option<TaskError> {
        match self.phase.get() {
            Phase::Open => None,
            // As those that were there a moment before.
            Phase::Ending => Some(TaskError::Cancelled),
            Phase::Ended => Some(TaskError::GroupEnded),
        }
    }

    /// A place for a child that is about to be started; `enlist` follows once it was.
    pub(super) fn place(self: &Rc<Self>) -> Place<E> {
        let number = self.born.get();
        self.born.set(number + 1);
        self.alive.set(self.alive.get() + 1);
        Place { members: Some(Rc::clone(self)), number, pass: Pass::Outside }
    }

    pub(super) fn enlist(&self, number: u64, child: TaskRef) {
        self.children.borrow_mut().insert(number, KeptTask::new(child));
    }

    /// Asks every child to end, in order of creation.
    pub(super) fn cancel_children(&self) {
        let children: Vec<_> = self.children.borrow().values().map(KeptTask::task).collect();
        for child in children {
            child.cancel();
        }
    }

    /// The first failure, or a cancellation: the children and the body are asked to end.
    pub(super) fn end(&self) {
        if self.turn_to_the_end() {
            self.wake();
        }
    }

    /// The body failed; its group is being polled, and needs no waking.
    pub(super) fn body_failed(&self, failure: Failure<E>) {
        self.failures.borrow_mut().push(Failed { failure, child: None });
        self.turn_to_the_end();
    }

    fn turn_to_the_end(&self) -> bool {
        let turns = self.phase.get() == Phase::Open;
        if turns {
            self.phase.set(Phase::Ending);
            self.cancel_children();
        }
        turns
    }

    pub(super) fn body_is_over(&self) {
        self.is_leaving.set(true);
    }

    fn child_failed(&self, number: u64, failure: Failure<E>) {
        // It is on its way out already, and not to be asked.
        let child = self.children.borrow_mut().remove(&number).map(|child| child.task());
        let failed = Failed { failure, child };
        if self.phase.get() == Phase::Ended {
            return failed.report();
        }
        self.failures.borrow_mut().push(failed);
        self.end();
    }

    fn child_left(&self, number: u64) {
        self.children.borrow_mut().remove(&number);
        self.alive.set(self.alive.get() - 1);
        if self.alive.get() == 0 && self.is_leaving.get() {
            self.wake();
        }
    }

    fn wake(&self) {
        self.waiter.wake();
    }

    /// Remembers whom to wake.
    pub(super) fn watch(&self, cx: &mut Context<'_>) {
        self.waiter.watch(cx);
    }

    /// All have left: what became of the group.
    pub(super) fn finish<T>(&self, value: Option<T>) -> Result<T, GroupError<E>> {
        let was_open = self.phase.replace(Phase::Ended) == Phase::Open;
        match value {
            Some(value) if was_open => Ok(value),
            unwanted => {
                if let Err(payload) = caught(move || drop(unwanted)) {
                    let failure = Failure::Panic(payload);
                    self.failures.borrow_mut().push(Failed { failure, child: None });
                }
                let mut error = GroupError { errors: Vec::new(), panics: Vec::new() };
                for failed in self.failures.take() {
                    match failed.failure {
                        Failure::Error(failure) => error.errors.push(failure),
                        Failure::Panic(payload) => error.panics.push(match failed.child {
                            Some(child) => payload.with_origin(&child.info()),
                            None => payload,
                        }),
                    }
                }
                Err(error)
            }
        }
    }

    /// Nobody will hear of the group: what failed is reported, and who is left is asked to end.
    /// Nothing to do for a group that came to its end.
    pub(super) fn abandon(&self) {
        self.waiter.forget();
        if self.phase.replace(Phase::Ended) == Phase::Ended {
            return;
        }
        self.cancel_children();
        for failed in self.failures.take() {
            failed.report();
        }
    }
}

impl<E: 'static> Failed<E> {
    /// TGR-06, TGR-19: what the group cannot be told is not lost.
    fn report(self) {
        let context = match self.failure {
            Failure::Panic(payload) => {
                ExceptionContext::panicked("Task exception was never retrieved", payload)
            }
            // The user's: what it says of itself, and its destructor. One after the other, since what is
            // returned while something else panics as it is dropped is leaked.
            Failure::Error(error) => {
                let mut error = Some(error);
                let told = caught(|| context_of(&mut error));
                match caught(|| drop(error)).and(told) {
                    Ok(context) => context,
                    Err(payload) => ExceptionContext::panicked(UNTOLD, payload),
                }
            }
        };
        match self.child {
            Some(child) => child.report(context),
            None => report(context),
        }
    }
}

const UNTOLD: &str = "TaskGroup task error was not propagated because the group was dropped";

/// Nothing is known of an error's type here; of the usual ones, what they say is told.
fn context_of<E: 'static>(error: &mut Option<E>) -> ExceptionContext {
    let error: &mut dyn Any = error;
    if let Some(error) = error.downcast_mut::<Option<io::Error>>().and_then(Option::take) {
        return ExceptionContext::failed(UNTOLD, error);
    }
    let said = if let Some(Some(text)) = error.downcast_ref::<Option<String>>() {
        Some(text.clone())
    } else if let Some(Some(text)) = error.downcast_ref::<Option<&'static str>>() {
        Some((*text).to_owned())
    } else if let Some(Some(error)) = error.downcast_ref::<Option<Box<dyn Error>>>() {
        Some(error.to_string())
    } else if let Some(Some(error)) = error.downcast_ref::<Option<Box<dyn Error + Send + Sync>>>() {
        Some(error.to_string())
    } else {
        None
    };
    match said {
        Some(text) => ExceptionContext::new(format!("{UNTOLD}: {text}")),
        None => ExceptionContext::new(UNTOLD),
    }
}

impl<E: 'static> Place<E> {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &self.members {
            Some(members) => members.gate.poll_enter(&mut self.pass, cx),
            None => Poll::Ready(()),
        }
    }

    pub(super) fn fail(&self, failure: Failure<E>) {
        if let Some(members) = &self.members {
            members.child_failed(self.number, failure);
        }
    }

    /// Once, and again without effect.
    pub(super) fn leave(&mut self) {
        if let Some(members) = self.members.take() {
            members.gate.leave(std::mem::replace(&mut self.pass, Pass::Outside));
            members.child_left(self.number);
        }
    }
}
