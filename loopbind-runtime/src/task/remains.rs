//! What a task leaves behind: its context, and an outcome that nobody reads.
//!
//! Both are the user's, and dropped at home with nothing borrowed; what goes wrong meanwhile is reported.

use std::ptr::NonNull;

use super::context::{Context, within};
use super::error::ExceptionContext;
use super::header::Header;
use super::home::Local;
use super::raw::Unread;
use super::state::{CALLBACK, CONTEXT, ROOT};
use crate::context::Place;
use crate::panic::PanicPayload;

/// Calls `f` in the task's context. Where it has none, what `f` sets ends here.
#[cold]
pub(super) fn within_its_own<R>(head: &Header, local: &Local, f: impl FnOnce() -> R) -> R {
    if head.has(ROOT) {
        return f();
    }
    let (context, none) = (head.context(), Place::default());
    let result = within(context.as_ref().map_or(&none, Context::place), f);
    // The task's share is the last one then, as it should be, unless `f` took that away.
    let dropped = context.map_or(Ok(()), Context::let_go);
    report_values(dropped, local);
    report_values(none.clear(), local);
    result
}

/// What it inherited and set is dropped at home, as it ends.
#[cold]
pub(super) fn drop_context(head: &Header, local: &Local) {
    head.clear(CONTEXT);
    let context = head.if_cold(|cold| cold.context.take()).flatten();
    if let Some(context) = context {
        report_values(context.let_go(), local);
    }
}

#[cold]
fn report_values(dropped: Result<(), PanicPayload>, local: &Local) {
    if let Err(payload) = dropped {
        let message = "exception in the destructor of a context variable's value";
        local.report(ExceptionContext::panicked(message, payload));
    }
}

/// Drops an outcome that nobody will read; what was in it that somebody should hear of is reported.
#[inline]
pub(super) unsafe fn discard_outcome(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive, done or about to be, and on the owner's thread.
    unsafe {
        match (header.as_ref().vtable.drop_outcome)(header) {
            Unread::Quiet => {}
            unread => report_unread(header, local, unread),
        }
    }
}

#[cold]
unsafe fn report_unread(header: NonNull<Header>, local: &Local, unread: Unread) {
    // SAFETY: as `discard_outcome`.
    unsafe {
        let head = header.as_ref();
        let (message, payload) = match unread {
            Unread::Quiet => return,
            Unread::Panic(payload) if head.has(CALLBACK) => {
                (format!("Exception in callback at {}", head.spawned_at), payload)
            }
            Unread::Panic(payload) => ("Task exception was never retrieved".into(), payload),
            Unread::Spill(payload) => {
                ("exception in the destructor of a task's output".into(), payload)
            }
        };
        let mut context = ExceptionContext::panicked(message, payload);
        if !head.has(CALLBACK) {
            context = context.of(head.info());
        }
        within_its_own(head, local, || local.report(context));
        if head.has(CONTEXT) {
            drop_context(head, local);
        }
    }
}
