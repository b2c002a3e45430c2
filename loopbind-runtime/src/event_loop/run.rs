//! Running a loop, and turning it by hand.

use std::panic::Location;
use std::time::{Duration, Instant};

use super::EventLoop;
use crate::attention::Matter;
use crate::engine::{Exit, Patience, Reason};
use crate::error::LoopError;

/// What one turn did.
///
/// ```
/// use loopbind::{EventLoop, yield_now};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::new()?;
/// event_loop.create_task(yield_now());
/// let first = event_loop.turn(Some(Duration::ZERO))?;
/// assert_eq!((first.polled, first.more), (1, true));
/// let second = event_loop.turn(Some(Duration::ZERO))?;
/// assert_eq!((second.polled, second.more), (1, false));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Turn {
    /// How many callbacks ran and steps of tasks were made; the end of a task that was asked to end
    /// is a step, a callback that was taken back is none.
    pub polled: usize,
    /// Whether more is ready: the next turn would not wait.
    pub more: bool,
    /// Whether [`stop`](EventLoop::stop) was called, before the turn or in it: the loop's own code wants whoever turns
    /// it to end. Said once; the next turn is one as any other.
    pub stopped: bool,
}

impl EventLoop {
    /// Runs the loop until `future` is done, and gives its value.
    ///
    /// Any loop may run on its thread, whatever loop is bound there. The future may borrow from the
    /// caller: it lives and dies inside this call. When it is done, what was ready by then runs
    /// before the call returns; what did not finish is still there for the next run. RUN-12.
    ///
    /// # Errors
    /// Checked in this order, and a refusal drops the future unpolled and changes nothing at all:
    /// [`LoopError::Forked`], [`LoopError::Closed`], [`LoopError::AlreadyRunning`],
    /// [`LoopError::AnotherLoopRunning`]. [`LoopError::StoppedBeforeComplete`] when `stop` ended the
    /// run first: the future is dropped; a `&mut Task` given instead leaves its task pending. RUN-20.
    /// [`LoopError::Deadlock`] with a virtual clock, where nothing is left that could wake the future:
    /// it is dropped, and the tasks stay; see
    /// [`Builder::virtual_time`](crate::Builder::virtual_time).
    /// [`LoopError::Io`] where the system refuses the waiting.
    ///
    /// # Panics
    /// With the future's own panic, once the loop is no longer the running one; under
    /// [`UnhandledPanic::Resume`](crate::UnhandledPanic::Resume) also with one that nobody awaited.
    ///
    /// ```
    /// use loopbind::{EventLoop, yield_now};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let mut words = vec!["a", "future", "may"];
    /// event_loop.run_until_complete(async {
    ///     yield_now().await;
    ///     words.push("borrow");
    /// })?;
    /// assert_eq!(words.join(" "), "a future may borrow");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("block_on", "run_until"))]
    #[track_caller]
    pub fn run_until_complete<F: IntoFuture>(&self, future: F) -> Result<F::Output, LoopError> {
        self.hold().complete(future, Location::caller())
    }

    /// Runs the loop until [`stop`](EventLoop::stop). An idle loop waits, also with a virtual
    /// clock: without a main future there is nothing that it could fail to bring about. RUN-15.
    ///
    /// # Errors
    /// As [`run_until_complete`](EventLoop::run_until_complete) refuses, and [`LoopError::Io`] as there.
    ///
    /// # Panics
    /// Under [`UnhandledPanic::Resume`](crate::UnhandledPanic::Resume), with a panic that nobody
    /// awaited.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let (before, same_loop) = (event_loop.time(), event_loop.clone());
    /// event_loop.call_later(Duration::from_secs(5), move || same_loop.stop());
    /// event_loop.run_forever()?;
    /// assert_eq!(event_loop.time() - before, Duration::from_secs(5));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn run_forever(&self) -> Result<(), LoopError> {
        let running = self.hold().enter()?;
        let ended = self.hold().run_on();
        drop(running);
        leave(ended)
    }

    /// Ends the current run after this iteration; what is in the batch still runs. Before a run it
    /// makes that one exactly one iteration long. Several calls equal one. RUN-16, RUN-17, RUN-18. On a
    /// loop that will not run again, a closed one or the parent's in a forked child, it does nothing.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.call_soon(|| {});
    /// event_loop.stop();
    /// event_loop.run_forever()?; // one iteration
    /// let metrics = event_loop.metrics();
    /// assert_eq!((metrics.turns, metrics.callbacks), (1, 1));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn stop(&self) {
        let home = &self.hold().home;
        if home.is_inherited() || home.is_closed() {
            return;
        }
        home.local().attention.call_for(Matter::Stop);
        // A host that sleeps for this loop has something to hear of.
        home.take_in();
    }

    /// One turn, for a host that has a loop of its own: what is ready, due timers, readiness. Waits
    /// at most `timeout` (`Some(Duration::ZERO)`: not at all; `None`: until something comes). A
    /// virtual clock moves instead, as far as the loop would have waited.
    ///
    /// # Errors
    /// As [`run_until_complete`](EventLoop::run_until_complete) refuses, and [`LoopError::Io`] as there.
    ///
    /// # Panics
    /// As [`run_forever`](EventLoop::run_forever).
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async { "done" });
    /// assert_eq!(event_loop.turn(Some(Duration::ZERO))?.polled, 1);
    /// assert!(task.is_finished());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("run_once", "try_tick"))]
    pub fn turn(&self, timeout: Option<Duration>) -> Result<Turn, LoopError> {
        let patience = match timeout {
            None => Patience::Forever,
            Some(Duration::ZERO) => Patience::Not,
            Some(limit) => Patience::UpTo(limit),
        };
        self.turn_once(patience)
    }

    /// One turn, wherever the loop sleeps.
    pub(super) fn turn_once(&self, patience: Patience) -> Result<Turn, LoopError> {
        let engine = self.hold();
        let running = engine.enter()?;
        let attention = &engine.home.local().attention;
        let patience = if attention.is_wanted_for(Matter::Stop) { Patience::Not } else { patience };
        let turned = engine.let_escape().and_then(|()| {
            let before = engine.steps();
            engine.turn_once(patience).map_err(LoopError::Io)?;
            let polled = engine.steps() - before;
            engine.home.check_fork()?;
            engine.let_escape()?;
            let more = !engine.is_idle() || engine.home.has_mail() || engine.reactor.has_more();
            let stopped = attention.is_wanted_for(Matter::Stop);
            Ok(Turn { polled, more, stopped })
        });
        drop(running);
        leave(turned)
    }

    /// When the host must call `turn` next even if nothing comes from outside: now, where work is
    /// ready, or the last turn had no room for all that came; `None`, where there is neither work nor a timer.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// assert_eq!(event_loop.next_deadline(), None);
    /// let timer = event_loop.call_later(Duration::from_secs(60), || {});
    /// assert_eq!(event_loop.next_deadline(), Some(timer.when()));
    /// event_loop.call_soon(|| {});
    /// assert_eq!(event_loop.next_deadline(), Some(event_loop.time()));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        let engine = self.hold();
        let clock = &engine.alarms.clock;
        if !engine.is_idle()
            || engine.home.has_mail()
            // Who sees edges alone has seen the last of what is ready still.
            || engine.reactor.has_more()
            || engine.home.local().attention.is_wanted_for(Matter::Stop)
        {
            return Some(clock.instant(clock.read()));
        }
        engine.alarms.next().map(|at| clock.instant(at))
    }
}

/// A run's end, as its caller sees it: a panic goes on from here.
fn leave<T>(ended: Result<T, Exit>) -> Result<T, LoopError> {
    ended.map_err(|exit| match *exit {
        Reason::Refused(error) => error,
        Reason::Thrown(payload) => payload.resume(),
    })
}
