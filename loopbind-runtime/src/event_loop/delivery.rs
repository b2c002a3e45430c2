//! What a loop runs for another thread, and what becomes of an outcome that nobody there wants.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::panic::caught;
use crate::sync::reply::Sender;
use crate::task::{ExceptionContext, Home, LocalHome, TaskError, post_callback, report_to_stderr};

/// What somebody should hear of an outcome that nobody reads: its panic, or that of the value's own
/// destructor, which no handle may throw as it is dropped.
fn unheard<T>(outcome: Result<T, TaskError>) -> Option<ExceptionContext> {
    let (message, payload) = match outcome {
        Err(TaskError::Panicked(payload)) => ("Task exception was never retrieved", payload),
        other => {
            let payload = caught(move || drop(other)).err()?;
            ("exception in the destructor of a task's output", payload)
        }
    };
    Some(ExceptionContext::panicked(message, payload))
}

/// Drops an outcome that nobody waits for any more. What there is to hear goes to the loop it came
/// from; where that is gone, to standard error.
pub(crate) fn discard_from_afar<T>(home: &Arc<Home>, outcome: Result<T, TaskError>) {
    let Some(context) = unheard(outcome) else { return };
    if home.is_closed() || home.is_inherited() {
        return report_to_stderr(&context);
    }
    // Refused means that the loop closed a moment ago: the panic hook has spoken, at least.
    let _ = post_callback(home, move || {
        if let Some(home) = LocalHome::running() {
            home.local().report(context);
        }
    });
}

pin_project! {
    /// What a loop runs for another thread: makes the future, polls it, hands its outcome over.
    pub(super) struct Delivery<F, Fut, T> {
        make: Option<F>,
        #[pin]
        future: Option<Fut>,
        sender: Option<Sender<Result<T, TaskError>>>,
    }

    impl<F, Fut, T> PinnedDrop for Delivery<F, Fut, T> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Dropped unfinished: cancelled, or the loop closes. Who waits hears of it once the
            // future is gone, also where its destructor panics; the panic goes on from here.
            struct Settle<'a, T>(&'a mut Option<Sender<Result<T, TaskError>>>);
            impl<T> Drop for Settle<'_, T> {
                fn drop(&mut self) {
                    deliver(self.0, Err(TaskError::Cancelled));
                }
            }
            let settle = Settle(this.sender);
            drop(this.make.take());
            this.future.set(None);
            drop(settle);
        }
    }
}

impl<F, Fut, T> Delivery<F, Fut, T> {
    pub(super) fn new(make: F, sender: Sender<Result<T, TaskError>>) -> Self {
        Delivery { make: Some(make), future: None, sender: Some(sender) }
    }
}

impl<F, Fut> Future for Delivery<F, Fut, Fut::Output>
where
    F: FnOnce() -> Fut,
    Fut: Future,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(make) = this.make.take() {
            match caught(make) {
                Ok(future) => this.future.set(Some(future)),
                Err(payload) => {
                    // THR-15: whoever waits gets the panic, the loop's handler hears of it.
                    let text = payload.message().unwrap_or("(a payload that is not text)");
                    let message = format!("exception while a task was being made: {text}");
                    report_here(ExceptionContext::new(message));
                    deliver(this.sender, Err(TaskError::Panicked(payload)));
                    return Poll::Ready(());
                }
            }
        }
        let Some(future) = this.future.as_mut().as_pin_mut() else { return Poll::Ready(()) };
        let outcome = match caught(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(TaskError::Panicked(payload)),
        };
        // The future is gone before anybody hears that it is over.
        if let Err(payload) = caught(|| this.future.set(None)) {
            let message = "exception in the destructor of a future";
            report_here(ExceptionContext::panicked(message, payload));
        }
        deliver(this.sender, outcome);
        Poll::Ready(())
    }
}

/// Throws nothing: the panic of a waker is no affair of the task's, and must not meet a panic of the future's
/// that is on its way out. Two at once are the process's end.
fn deliver<T>(sender: &mut Option<Sender<Result<T, TaskError>>>, outcome: Result<T, TaskError>) {
    let Some(sender) = sender.take() else { return };
    let context = match caught(|| sender.settle(outcome)) {
        Ok(settled) => settled.err().and_then(unheard),
        Err(payload) => Some(ExceptionContext::panicked("exception in a waker", payload)),
    };
    if let Some(context) = context {
        report_here(context);
    }
}

fn report_here(mut context: ExceptionContext) {
    match LocalHome::running() {
        Some(home) => {
            context.task = home.current_task().map(|task| task.info());
            home.local().report(context);
        }
        None => report_to_stderr(&context),
    }
}
