//! A loop from its making to its closing: what `run`, `Runner` and the attributes do.

use std::collections::HashSet;
use std::panic::Location;
use std::time::{Duration, Instant};

use super::{Abandoned, Builder, EventLoop};
use crate::attention::Matter;
use crate::binding;
use crate::engine::{Patience, Reason, check_none_runs};
use crate::error::LoopError;
use crate::panic::{PanicPayload, caught};
use crate::task::{Context, ExceptionContext, report_to_stderr};

/// How long it waits for a reader of the standard streams who takes nothing.
const WRITE_LIMIT: Duration = Duration::from_secs(1);

/// How many tasks may be started during the end of a run. More is a destructor that starts a task whose
/// destructor starts a task, without end: closing the loop deals with that.
const MOST_BORN: u64 = 100_000;

/// Makes a loop, binds it, runs `future`, cancels what is left, waits for blocking work, closes the
/// loop, and restores the former binding: what `#[loop_main]` does to its function's body. RNR-01.
///
/// # Errors
/// [`LoopError::AnotherLoopRunning`] inside a run, before anything is made; as [`EventLoop::new`]
/// where no loop could be made; [`LoopError::StoppedBeforeComplete`] where `stop` came first.
///
/// # Panics
/// With the future's own panic, once everything is cleaned up. RNR-08.
///
/// ```
/// assert_eq!(loopbind::run(async { 1 + 1 })?, 2);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "block_on")]
#[track_caller]
pub fn run<F: IntoFuture>(future: F) -> Result<F::Output, LoopError> {
    check_none_runs()?;
    let runner = Runner::new()?;
    runner.run_and_close(future, Location::caller())
}

/// [`run`] in steps: one loop, many runs; dropping it does what the end of `run` does.
///
/// Its loop is bound during each `run`, not between. Tasks that a run leaves behind stay, frozen, for
/// the next. RNR-15. Its runs share one context, a copy of the one that was current as the runner was
/// made: what one run [sets](crate::task::ContextVar), the next sees, and the caller does not. RNR-16.
///
/// ```
/// use loopbind::Runner;
///
/// let runner = Runner::new()?;
/// let first = runner.run(async { 1 })?;
/// let second = runner.run(async { 2 })?;
/// runner.close()?;
/// assert_eq!(first + second, 3);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Runtime")]
#[derive(Debug)]
#[must_use = "dropping a runner ends its loop"]
pub struct Runner {
    event_loop: EventLoop,
    /// RNR-16: that of all its runs.
    context: Context,
}

impl Runner {
    /// A runner over a loop with the defaults.
    ///
    /// # Errors
    /// As [`EventLoop::new`].
    ///
    /// ```
    /// use loopbind::Runner;
    ///
    /// let runner = Runner::new()?;
    /// assert_eq!(runner.run(async { 42 })?, 42);
    /// runner.close()?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn new() -> Result<Self, LoopError> {
        Self::with(Builder::default())
    }

    /// A runner over the loop that `builder` describes.
    ///
    /// # Errors
    /// As [`EventLoop::new`].
    ///
    /// ```
    /// use loopbind::{EventLoop, Runner, sleep};
    /// use std::time::Duration;
    ///
    /// let runner = Runner::with(EventLoop::builder().name("batch").virtual_time(true))?;
    /// runner.run(sleep(Duration::from_secs(3600)))?;
    /// assert_eq!(runner.event_loop().name(), Some("batch"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn with(builder: Builder) -> Result<Self, LoopError> {
        Ok(Runner { event_loop: builder.build()?, context: Context::capture() })
    }

    /// The loop, also between runs.
    ///
    /// ```
    /// use loopbind::Runner;
    ///
    /// let runner = Runner::new()?;
    /// let task = runner.event_loop().create_task(async { 42 }); // between runs
    /// assert_eq!(runner.run(task)?.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "get_loop")]
    pub fn event_loop(&self) -> &EventLoop {
        &self.event_loop
    }

    /// Runs `future` on the loop, bound meanwhile.
    ///
    /// # Errors
    /// As [`EventLoop::run_until_complete`]: inside a run it is refused, and nothing changes.
    /// [`LoopError::ThreadExiting`] in the last destructors of a thread.
    ///
    /// # Panics
    /// With the future's own panic, once the binding is restored.
    ///
    /// ```
    /// use loopbind::{Runner, get_bound_loop};
    ///
    /// let runner = Runner::new()?;
    /// let bound = runner.run(async { get_bound_loop() })?;
    /// assert_eq!(bound.as_ref(), Some(runner.event_loop()));
    /// assert_eq!(get_bound_loop(), None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn run<F: IntoFuture>(&self, future: F) -> Result<F::Output, LoopError> {
        self.run_from(future, Location::caller())
    }

    /// [`run`](Runner::run) in `context` itself, instead of in the one that the runs of this runner
    /// share. RNR-16.
    ///
    /// # Errors
    /// As [`run`](Runner::run).
    ///
    /// # Panics
    /// As [`run`](Runner::run).
    ///
    /// ```
    /// use loopbind::{Runner, task::{Context, ContextVar}};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let (runner, context) = (Runner::new()?, Context::new());
    /// runner.run_in(&context, async { USER.set("ada") })?;
    /// assert_eq!(context.run(|| USER.get()), Some("ada"));
    /// assert_eq!(runner.run(async { USER.get() })?, None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn run_in<F: IntoFuture>(
        &self,
        context: &Context,
        future: F,
    ) -> Result<F::Output, LoopError> {
        self.run_with(context, future, Location::caller())
    }

    /// `run` for the caller at `place`.
    pub(crate) fn run_from<F: IntoFuture>(
        &self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        self.run_with(&self.context, future, place)
    }

    fn run_with<F: IntoFuture>(
        &self,
        context: &Context,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        self.event_loop.hold().check_can_run()?;
        let _bound = binding::push(self.event_loop.hold().clone())?;
        context.run(|| self.event_loop.hold().complete_here(future, place))
    }

    /// Cancels what is left, in order of creation, and runs the loop until it is gone, with the
    /// cleanup of tasks that listen to `task::cancelled()`, and with what is started meanwhile; each is asked
    /// once, and one that was told before and listens again is asked again;
    /// waits for blocking work; closes the loop. At most five minutes for all that
    /// ([`Builder::shutdown_limit`]): what is not over by then is dropped with the loop, or left to its
    /// thread, and is reported to the loop's exception handler. RNR-06, RNR-10, RNR-12.
    ///
    /// # Errors
    /// [`LoopError::Forked`] in a forked child.
    ///
    /// # Panics
    /// Under [`UnhandledPanic::Resume`](crate::UnhandledPanic::Resume), with a panic that nobody
    /// awaited, once the loop is closed.
    ///
    /// ```
    /// use loopbind::{Runner, spawn, task::cancelled, yield_now};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let (runner, cleaned) = (Runner::new()?, Rc::new(Cell::new(false)));
    /// let flag = cleaned.clone();
    /// runner.run(async { spawn(async move { cancelled().await; flag.set(true) }); yield_now().await })?;
    /// assert!(!cleaned.get());
    /// runner.close()?;
    /// assert!(cleaned.get());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "shutdown_default_executor")]
    pub fn close(self) -> Result<(), LoopError> {
        // Dropped afterwards, closed: the drop finds nothing to do.
        close_and_report(&self.event_loop)
    }

    /// [`close`](Runner::close) with a bound of this end's own, which gives back what had to be abandoned
    /// instead of reporting it. The limit is on the loop's clock for tasks, and in real time for blocking
    /// work, and for tasks that wait for a descriptor; at a limit of zero each task still has the turn in which it ends, or is told to.
    ///
    /// # Errors
    /// As [`close`](Runner::close).
    ///
    /// # Panics
    /// As [`close`](Runner::close).
    ///
    /// ```
    /// use loopbind::{EventLoop, Runner, sleep, spawn, spawn_blocking, task::cancelled, yield_now};
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let runner = Runner::new()?;
    /// let (release, gate) = mpsc::channel::<()>();
    /// runner.run(async move {
    ///     spawn(async { cancelled().await; sleep(Duration::from_secs(3600)).await });
    ///     spawn_blocking(move || gate.recv());
    ///     yield_now().await;
    /// })?;
    /// let abandoned = runner.shutdown_timeout(Duration::from_millis(5))?;
    /// assert_eq!((abandoned.tasks.len(), abandoned.blocking.len()), (1, 1));
    /// assert_eq!(abandoned.blocking[0].spawned_at.file(), file!());
    /// drop(release);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("shutdown_background", "shutdown_default_executor"))]
    pub fn shutdown_timeout(self, limit: Duration) -> Result<Abandoned, LoopError> {
        shut_down(&self.event_loop, limit, |_| {})
    }

    /// One run and the end, in this order also when the run panics.
    pub(crate) fn run_and_close<F: IntoFuture>(
        self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        let outcome = caught(|| self.run_from(future, place));
        let (outcome, closed) = self.close_behind(outcome);
        let value = outcome?;
        closed?;
        Ok(value)
    }

    /// Closes behind something that was done with the loop; its panic, or the closing's, goes on.
    pub(super) fn close_behind<T>(
        self,
        outcome: Result<T, PanicPayload>,
    ) -> (T, Result<(), LoopError>) {
        match (outcome, caught(|| self.close())) {
            (Ok(value), Ok(closed)) => (value, closed),
            (Ok(value), Err(payload)) => {
                // Not while the panic unwinds: two at once are the process's end.
                if let Err(another) = caught(|| drop(value)) {
                    tell_of_another(another);
                }
                payload.resume()
            }
            (Err(payload), Ok(_)) => payload.resume(),
            (Err(payload), Err(another)) => {
                tell_of_another(another);
                payload.resume()
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // Nobody is there to take a panic that nobody awaited, and an error is of no use.
        if let Err(payload) = caught(|| close_and_report(&self.event_loop)) {
            let message = "unhandled exception during a Runner's drop";
            report_to_stderr(&ExceptionContext::panicked(message, payload));
        }
    }
}

/// The end of a loop's life, for those who give nothing back.
fn close_and_report(event_loop: &EventLoop) -> Result<(), LoopError> {
    let engine = event_loop.hold();
    let report = |abandoned: &Abandoned| {
        // Whoever does not read may be standard error's reader: nothing is written to him.
        if !abandoned.is_empty() && abandoned.writes == 0 {
            let message = format!("the event loop ends with work that is not over:\n{abandoned}");
            engine.call_handler(&ExceptionContext::new(message));
        }
    };
    shut_down(event_loop, engine.shutdown_limit, report).map(|_| ())
}

/// The end of a loop's life. What has to be abandoned is told to `report` while the loop is still open.
fn shut_down(
    event_loop: &EventLoop,
    limit: Duration,
    report: impl FnOnce(&Abandoned),
) -> Result<Abandoned, LoopError> {
    let engine = event_loop.hold();
    engine.home.check_fork()?;
    if event_loop.is_closed() {
        return Ok(Abandoned::default());
    }
    // In the last destructors of a thread there is nothing to bind to.
    let _bound = binding::push(engine.clone());
    let began = Instant::now();
    let thrown = match engine.enter() {
        Ok(running) => engine.within_host(|| {
            let thrown = engine.while_shutting_down(|| wind_down(event_loop, limit));
            drop(running);
            thrown
        }),
        // A runner that is dropped inside another loop's run, or its own: closing drops what is
        // left, without cleanup.
        Err(_) => None,
    };
    let abandoned = Abandoned::left_on(&engine.home);
    report(&abandoned);
    let closed = engine.close_within(limit.saturating_sub(began.elapsed()));
    match thrown {
        Some(payload) => payload.resume(),
        None => closed.map(|()| abandoned),
    }
}

/// Turns the loop until no task and no blocking job is left, or the limit is over; once at least, so that
/// everybody is told. A panic that wanted to leave a turn comes out at the end.
fn wind_down(event_loop: &EventLoop, limit: Duration) -> Option<PanicPayload> {
    let engine = event_loop.hold();
    let (began, clock) = (Instant::now(), &engine.alarms.clock);
    let deadline = clock.after(limit);
    let mut thrown = None;
    let (first, born_before) = (engine.iteration(), engine.metrics().tasks_spawned);
    // How far the writes were, and since when.
    let mut stuck = (0, began);
    // Each is asked once: one that listens for ever must not keep the loop from resting.
    let mut asked = HashSet::new();
    loop {
        let mut left = 0;
        for task in engine.home.live_tasks() {
            left += 1;
            if !asked.contains(&task.id()) && task.cancel_once() {
                asked.insert(task.id());
            }
        }
        // In this order: a write counts as a job a little longer.
        let (jobs, (writes, progress)) = (engine.home.blocking_jobs(), engine.home.writes());
        if left == 0 && jobs == 0 {
            return thrown;
        }
        let on_clock = deadline.saturating_sub(clock.last()).max(0).unsigned_abs();
        let mut remaining =
            limit.saturating_sub(began.elapsed()).min(Duration::from_nanos(on_clock));
        if stuck.0 != progress {
            stuck = (progress, Instant::now());
        }
        if writes > 0 {
            let patience = WRITE_LIMIT.saturating_sub(stuck.1.elapsed());
            match (left, jobs - writes) {
                (0, 0) => remaining = remaining.min(patience),
                // Looked at again, in case that those are the last.
                _ => remaining = remaining.min(WRITE_LIMIT),
            }
        }
        let born = engine.metrics().tasks_spawned - born_before;
        let was_told = engine.iteration() > first;
        let over = (remaining.is_zero() && was_told) || engine.is_overdue();
        if over || born > MOST_BORN {
            return thrown;
        }
        // A stray `stop` does not cut the cleanup short.
        engine.home.local().attention.settle(Matter::Stop);
        let turned = engine.turn_once(match remaining {
            Duration::ZERO => Patience::Not,
            remaining => Patience::Closing(remaining),
        });
        match engine.let_escape().map_err(|exit| *exit) {
            Err(Reason::Thrown(payload)) if thrown.is_none() => thrown = Some(payload),
            Err(Reason::Thrown(payload)) => tell_of_another(payload),
            _ => {}
        }
        if turned.is_err() || engine.home.is_inherited() {
            return thrown;
        }
    }
}

/// A loop that ends has no next run: one panic leaves it, and the others are said.
fn tell_of_another(payload: PanicPayload) {
    let message = "unhandled exception during loopbind::run() shutdown";
    report_to_stderr(&ExceptionContext::panicked(message, payload));
}
