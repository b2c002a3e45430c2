//! `#[loop_main(ctrl_c = "cancel")]`: the first Ctrl-C cancels the body, the second ends the process.
//!
//! The body hears of the first one as a task does that was cancelled: see [`Cancellable`]. The second
//! is the signal handler's, because the loop may be busy, in a destructor that never returns say. RNR-20
//! to RNR-25.

use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::entry::or_raise;
use super::runner::Runner;
use crate::error::LoopError;
use crate::panic::{caught, discard};
use crate::reactor::Listener;
use crate::sys::{FinalSignal, Listening, SignalKind};
use crate::task::LocalHome;

/// What a shell takes for "ended by Ctrl-C": 128, and the number of the signal.
const STATUS: i32 = 130;

/// Runs the body and ends the loop, as `Runner::run_and_close` does. Comes back with a value if the
/// body was not interrupted, or was told of it and ended by itself; otherwise it ends the process.
#[track_caller]
pub(super) fn run_and_close<F: Future>(runner: Runner, body: F) -> F::Output {
    let place = Location::caller();
    let kind = SignalKind::interrupt();
    let interrupt = or_raise(Interrupt::begin(&runner, kind).map_err(LoopError::Io));
    let Some(interrupt) = interrupt else {
        return or_raise(runner.run_and_close(body, place));
    };
    let mut told = false;
    let main =
        Cancellable { body: Some(body), interrupt: &interrupt, asked: false, told: &mut told };
    let outcome = caught(|| runner.run_from(main, place));
    let interrupted = interrupt.body_is_over();
    let closed = caught(|| runner.close());
    let (outcome, closed) = match (outcome, closed) {
        (Err(payload), _) | (Ok(_), Err(payload)) => payload.resume(),
        (Ok(outcome), Ok(closed)) => (outcome, closed),
    };
    if interrupted && !told {
        discard(outcome);
        std::process::exit(STATUS);
    }
    let value = or_raise(outcome);
    or_raise(closed);
    match value {
        Some(value) => value,
        None => unreachable!("dropped for a signal, and by nothing else"),
    }
}

/// Hears of Ctrl-C for one run.
struct Interrupt {
    listener: Rc<Listener>,
    last: FinalSignal,
}

impl Interrupt {
    /// `None`: somebody else sees to the signal. RNR-24.
    fn begin(runner: &Runner, kind: SignalKind) -> io::Result<Option<Self>> {
        let Some((listening, last)) = Listening::begin_to_end(kind)? else {
            return Ok(None);
        };
        let listener = Listener::waiter(listening);
        runner.event_loop().hold().reactor.hear(&listener)?;
        Ok(Some(Interrupt { listener, last }))
    }

    /// Nothing is left to be cancelled: the next signal is the last. True: the body was interrupted,
    /// or would have been if it had not just ended.
    fn body_is_over(&self) -> bool {
        self.last.make_next();
        self.last.is_near()
    }
}

pin_project! {
    /// A body that a signal cancels, where it stands, as `Task::cancel` cancels a task: told, if it
    /// listens, and dropped if it does not. Its task is the main future's.
    struct Cancellable<'a, F: Future> {
        #[pin]
        body: Option<F>,
        interrupt: &'a Interrupt,
        asked: bool,
        // Whether the value that the body returned is wanted all the same.
        told: &'a mut bool,
    }
}

impl<F: Future> Future for Cancellable<'_, F> {
    /// `None`: it was dropped.
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let mut this = self.project();
        let listener = &this.interrupt.listener;
        // The waker first: a signal after it wakes, and one before it is taken here.
        listener.wait(cx.waker());
        let myself = || LocalHome::running().and_then(|home| home.current_task());
        if listener.take() && !*this.asked {
            *this.asked = true;
            match myself().filter(|task| task.is_listening()) {
                // Told by its next step, like any task.
                Some(task) => {
                    task.cancel();
                    return Poll::Pending;
                }
                None => this.body.set(None),
            }
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = body.poll(cx);
        if polled.is_ready() {
            **this.told = myself().is_some_and(|task| task.was_told());
        }
        polled.map(Some)
    }
}
