//! The span of a task, where a subscriber has one for it: in its `Cold`, from its birth to its end. Steps enter it.
//!
//! The subscriber is code of the user's, and so is the exception handler that hears what it throws: neither runs while
//! anything is borrowed, and the span is out of its place while either might.

use super::error::ExceptionContext;
use super::header::{Header, TaskRef};
use super::home::{Local, report_to_stderr};
use super::state::{DONE, TRACED};
use crate::ids::LoopId;
use crate::panic::PanicPayload;
use crate::trace::{Facts, Span};

/// How a subscriber's panic is reported.
pub(crate) const SUBSCRIBER_FAILED: &str = "exception in a tracing subscriber";

#[cold]
fn report(head: &Header, local: &Local, payload: PanicPayload) {
    local.report(ExceptionContext::panicked(SUBSCRIBER_FAILED, payload).of(head.info()));
}

/// A span for a task that is in its place, queued: whatever the subscriber does with the loop finds it whole.
#[cold]
#[inline(never)]
pub(super) fn begin(task: &TaskRef) {
    let (head, local) = (task.head(), task.local());
    match Span::of_task(&head.info().facts(head.home.id)) {
        Ok(Some(span)) if head.has(DONE) => {
            if let Err(payload) = span.close() {
                report(head, local, payload);
            }
        }
        Ok(Some(span)) => {
            head.with_cold(|cold| cold.span = Some(span));
            head.set(TRACED);
        }
        Ok(None) => {}
        Err(payload) => report(head, local, payload),
    }
}

/// The same in the hands of another thread, before the task is posted. There is no handler.
#[cold]
#[inline(never)]
pub(super) fn begin_elsewhere(head: &Header, event_loop: LoopId) {
    let (id, place) = (head.id, head.spawned_at);
    match Span::of_task(&Facts { event_loop, id, name: None, parent: None, place }) {
        Ok(Some(span)) => {
            head.with_cold(|cold| cold.span = Some(span));
            head.set(TRACED);
        }
        Ok(None) => {}
        Err(payload) => {
            report_to_stderr(&ExceptionContext::panicked(SUBSCRIBER_FAILED, payload));
        }
    }
}

/// The post was refused.
pub(super) fn end_elsewhere(head: &Header) {
    if let Some(Err(payload)) = take(head).map(Span::close) {
        report_to_stderr(&ExceptionContext::panicked(SUBSCRIBER_FAILED, payload));
    }
}

fn take(head: &Header) -> Option<Span> {
    head.if_cold(|cold| cold.span.take()).flatten()
}

/// Calls `f`, which polls or drops the task's future, within the span.
#[inline]
pub(super) fn within<R>(head: &Header, local: &Local, f: impl FnOnce() -> R) -> R {
    if !head.has(TRACED) {
        return f();
    }
    let Some(span) = take(head) else { return f() };
    let (result, told) = span.within(f);
    head.with_cold(|cold| cold.span = Some(span));
    if let Err(payload) = told {
        report(head, local, payload);
    }
    result
}

/// The future is gone, and nobody has heard of it yet.
#[inline]
pub(super) fn end(head: &Header, local: &Local) {
    if head.has(TRACED) {
        end_it(head, local);
    }
}

#[cold]
fn end_it(head: &Header, local: &Local) {
    head.clear(TRACED);
    if let Some(Err(payload)) = take(head).map(Span::close) {
        report(head, local, payload);
    }
}
