//! Somebody may listen: the crate's level filter says so in one load, before anything is made to be told.

use std::io;
use std::panic::Location;

use tracing::level_filters::{LevelFilter, STATIC_MAX_LEVEL};
use tracing::{Level, dispatcher};

use super::{Facts, Told};
use crate::current;
use crate::ids::{LoopId, TaskId};
use crate::panic::{PanicPayload, caught};

/// The span of a task.
pub(crate) struct Span(tracing::Span);

impl Span {
    /// A root, that follows from the span that is current, and is no child of it: a task may outlive whoever started
    /// it, and a chain of tasks that start each other would keep all of their spans.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_task(task: &Facts<'_>) -> Result<Option<Self>, PanicPayload> {
        let span = tell(|| {
            let span = tracing::span!(
                target: "loopbind",
                parent: None,
                Level::DEBUG,
                "task",
                event_loop = task.event_loop.get(),
                task.id = task.id.get(),
                task.name = task.name,
                task.parent = task.parent.map(TaskId::get),
                loc.file = task.place.file(),
                loc.line = task.place.line(),
                loc.col = task.place.column(),
            );
            if !span.is_disabled() {
                span.follows_from(dispatcher::get_default(|it| it.current_span().id().cloned()));
            }
            span
        })?;
        Ok(span.filter(|span| !span.is_disabled()).map(Span))
    }

    /// Calls `f` in between entering and leaving.
    pub(crate) fn within<R>(&self, f: impl FnOnce() -> R) -> (R, Told) {
        match tell(|| self.0.enter()) {
            Err(payload) => (f(), Err(payload)),
            Ok(entered) => {
                let result = f();
                (result, tell(|| drop(entered)).map(drop))
            }
        }
    }

    pub(crate) fn close(self) -> Told {
        // A subscriber may have it closed as it is told of something else: it hears of that in any case.
        let mut span = Some(self);
        let told = tell(|| drop(span.take())).map(drop);
        told.and_then(|()| caught(|| drop(span)))
    }
}

/// Calls the subscriber, unless it is what called us.
fn tell<R>(f: impl FnOnce() -> R) -> Result<Option<R>, PanicPayload> {
    caught(|| current::telling(f))
}

#[inline]
fn is_wanted(level: Level) -> bool {
    level <= STATIC_MAX_LEVEL && level <= LevelFilter::current()
}

#[inline]
pub(crate) fn wants_tasks() -> bool {
    is_wanted(Level::DEBUG)
}

#[inline]
pub(crate) fn wants_runs() -> bool {
    is_wanted(Level::DEBUG)
}

#[cold]
pub(crate) fn run_begins(event_loop: LoopId) -> Told {
    let told = tell(|| {
        tracing::debug!(target: "loopbind", event_loop = event_loop.get(), "event loop runs");
    });
    told.map(drop)
}

#[cold]
pub(crate) fn run_ends(event_loop: LoopId) -> Told {
    let told = tell(|| {
        tracing::debug!(target: "loopbind", event_loop = event_loop.get(), "event loop stopped");
    });
    told.map(drop)
}

#[cold]
pub(crate) fn closes(event_loop: LoopId, pending: usize) -> Told {
    let told = tell(|| {
        tracing::debug!(
            target: "loopbind",
            event_loop = event_loop.get(),
            pending,
            "event loop closes"
        );
    });
    told.map(drop)
}

#[cold]
pub(crate) fn slow_poll(task: &Facts<'_>, seconds: f64) -> Told {
    let told = tell(|| {
        tracing::warn!(
            target: "loopbind",
            event_loop = task.event_loop.get(),
            task.id = task.id.get(),
            task.name = task.name,
            loc.file = task.place.file(),
            loc.line = task.place.line(),
            loc.col = task.place.column(),
            seconds,
            "slow poll"
        );
    });
    told.map(drop)
}

#[cold]
pub(crate) fn slow_callback(
    event_loop: LoopId,
    place: &'static Location<'static>,
    seconds: f64,
) -> Told {
    let told = tell(|| {
        tracing::warn!(
            target: "loopbind",
            event_loop = event_loop.get(),
            loc.file = place.file(),
            loc.line = place.line(),
            loc.col = place.column(),
            seconds,
            "slow callback"
        );
    });
    told.map(drop)
}

#[cold]
pub(crate) fn unhandled(
    event_loop: LoopId,
    message: &str,
    panic: Option<&str>,
    error: Option<&io::Error>,
    task: Option<&Facts<'_>>,
) -> Told {
    let told = tell(|| {
        tracing::error!(
            target: "loopbind",
            event_loop = event_loop.get(),
            task.id = task.map(|task| task.id.get()),
            task.name = task.and_then(|task| task.name),
            loc.file = task.map(|task| task.place.file()),
            loc.line = task.map(|task| task.place.line()),
            loc.col = task.map(|task| task.place.column()),
            panic,
            error = error.map(tracing::field::display),
            "{message}"
        );
    });
    told.map(drop)
}
