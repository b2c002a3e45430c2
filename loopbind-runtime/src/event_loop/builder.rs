//! Describing a loop before it is made.

use std::time::Duration;

use super::EventLoop;
use crate::binding;
#[cfg(any(test, feature = "tokio"))]
use crate::engine::LodgingMaker;
use crate::engine::{Engine, Settings, UnhandledPanic};
use crate::error::LoopError;

/// What a loop is to be like. `Send` and `Clone`: build on the thread that will own the loop.
///
/// ```
/// use loopbind::EventLoop;
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().name("test").virtual_time(true).build()?;
/// let before = event_loop.time();
/// event_loop.run_until_complete(loopbind::time::sleep(Duration::from_secs(3600)))?;
/// assert_eq!(event_loop.time() - before, Duration::from_secs(3600));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("LocalExecutorBuilder", "RuntimeBuilder"))]
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Names the loop, for `Debug` and logs.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::builder().name("ui").build()?;
    /// assert_eq!(event_loop.name(), Some("ui"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Debug mode, whatever `LOOPBIND_DEBUG` says.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// assert!(EventLoop::builder().debug(true).build()?.get_debug());
    /// assert!(!EventLoop::builder().debug(false).build()?.get_debug());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn debug(mut self, enabled: bool) -> Self {
        self.settings.debug = Some(enabled);
        self
    }

    /// How long one poll or callback may take before debug mode reports it to standard error; 100 ms
    /// unless set.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_millis(1);
    /// let event_loop = EventLoop::builder().debug(true).slow_callback_duration(limit).build()?;
    /// event_loop.call_soon(move || std::thread::sleep(limit)); // standard error names this line
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert!(event_loop.metrics().slowest_poll >= limit);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn slow_callback_duration(mut self, limit: Duration) -> Self {
        self.settings.slow_callback_duration = limit;
        self
    }

    /// The loop's clock starts frozen, and jumps to the next timer only when nothing else can run:
    /// nothing is ready, nothing was posted, no descriptor has anything to say, and no blocking job is in flight.
    ///
    /// Where there is no timer to jump to either, and nothing is left that could wake the main future of
    /// [`run_until_complete`](EventLoop::run_until_complete), the run ends with
    /// [`LoopError::Deadlock`], which lists the tasks. Something may still come, and is waited for, while
    /// a task waits for a descriptor, a signal, blocking work, a child process or a
    /// [`RemoteTask`](crate::RemoteTask) of another loop, while a descriptor is watched by a callback, and
    /// while anybody has a [`LoopHandle`](crate::LoopHandle) of this loop. What cannot be seen is a
    /// waker that another thread holds, in a channel of its own say, or an `AbortHandle`: where one may be in
    /// such hands, the loop waits for two seconds of real time before it gives up. A thread that may
    /// take longer than that should keep a `LoopHandle` until it is done. Waits at what cannot leave the loop's
    /// thread, such as tasks, timers and all of [`sync`](crate::sync), are in no such hands, and are told at once.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep};
    /// use std::time::{Duration, Instant};
    ///
    /// let began = Instant::now();
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// event_loop.run_until_complete(sleep(Duration::from_secs(86_400)))?;
    /// assert!(began.elapsed() < Duration::from_secs(60));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("start_paused", "MockClock", "autojump_clock", "pause"))]
    pub fn virtual_time(mut self, enabled: bool) -> Self {
        self.settings.virtual_time = enabled;
        self
    }

    /// Ready work runs in an order drawn from `seed` instead of first in, first out: to find code
    /// that leans on the order. The same seed gives the same order.
    ///
    /// While a main future runs, some of what is ready is also put off to a later iteration, so that
    /// every order can come about in which nobody is put off for ever: one task may take several
    /// steps before another takes its next. Even seeds take any of what is ready with the same
    /// likelihood; odd ones give each task a priority and change one now and then, which finds what
    /// needs one task to be far ahead. The turns of a host, and `run_forever`, run all that is ready,
    /// in another order.
    ///
    /// What holds with any seed: what was ready when the main future is done, or when `stop` is called,
    /// runs before the run returns (RUN-12, RUN-17); time does not move while something is ready, with
    /// a virtual clock; timers become ready in order of their deadlines; a task is cancelled in its own
    /// turn, and dropped once; nothing that is ready is put off for more than some twenty iterations and
    /// four for each other entry that is ready with it. What does not: who was woken first runs first;
    /// two callbacks run in order of registration; [`yield_now`](crate::yield_now) lets everybody else
    /// take a step; so many iterations later something has happened.
    ///
    /// The same order comes about again as far as the program itself is the same each time: with a
    /// virtual clock, and with what comes from its own thread only. Other threads, sockets to elsewhere and
    /// real time come when they come; so does the iteration order of a `HashMap`, and what `select!`
    /// of the `futures` crate draws (`select_biased!` does not).
    ///
    /// ```
    /// use loopbind::{EventLoop, LoopError};
    /// use std::{cell::RefCell, rc::Rc, time::Duration};
    ///
    /// let order = |seed| {
    ///     let event_loop = EventLoop::builder().shuffle(seed).build()?;
    ///     let order = Rc::new(RefCell::new(Vec::new()));
    ///     for number in 0..8 {
    ///         let order = order.clone();
    ///         event_loop.call_soon(move || order.borrow_mut().push(number));
    ///     }
    ///     event_loop.turn(Some(Duration::ZERO))?;
    ///     Ok::<_, LoopError>(order.take())
    /// };
    /// assert_eq!(order(1)?, order(1)?);
    /// assert_ne!(order(1)?, [0, 1, 2, 3, 4, 5, 6, 7]);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "rng_seed")]
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.settings.shuffle = Some(seed);
        self
    }

    /// While work is ready, timers and the outside are looked at after this many items: 64 unless
    /// set. A host that drives the loop has its thread back as often. More is faster, fewer is prompter; zero is one.
    ///
    /// ```
    /// use loopbind::{EventLoop, time::Elapsed, timeout, yield_now};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().event_interval(8).build()?;
    /// let busy = async { loop { yield_now().await } };
    /// let outcome = event_loop.run_until_complete(timeout(Duration::from_millis(1), busy))?;
    /// assert_eq!(outcome, Err::<(), _>(Elapsed)); // always ready, and the timer fires all the same
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn event_interval(mut self, items: usize) -> Self {
        self.settings.event_interval = items.max(1);
        self
    }

    /// How long the loop looks for work, awake, before it goes to sleep, at most; zero, which is the default: it sleeps at
    /// once.
    ///
    /// To wake a thread takes a system call, and longer still where the processor has gone to sleep as well: some
    /// microseconds, and tens of them on a virtual machine. Two loops that answer each other, on a processor each, are
    /// quicker by that much if they spin; so are sockets whose answer is on its way. Meanwhile the processor is busy, as
    /// [`Metrics::spun`](crate::Metrics::spun) tells.
    ///
    /// It is spun only as long as it pays: if nothing came, the loop sleeps without spinning for a while, longer each time,
    /// until what is lost so is a thousandth of the time. What comes during a spin was worth it, unless it came while the
    /// system let another thread have this processor. A loop never spins past the next timer's deadline; with a virtual clock;
    /// between the turns of a host that it lent its descriptor to; at the end of its life; and where this thread and the
    /// process's main one have one processor between them.
    ///
    /// A good limit is what a sleep costs: about 50 us.
    ///
    /// ```
    /// use loopbind::{EventLoop, run, spawn_blocking};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().spin(Duration::from_micros(50)).build()?;
    /// let answer = event_loop.run_until_complete(async {
    ///     spawn_blocking(|| 6 * 7).await // often there before the loop would have slept
    /// })?;
    /// assert_eq!(answer.unwrap(), 42);
    /// println!("looked for work for {:?}", event_loop.metrics().spun);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("spin_before_park", "busy_poll"))]
    pub fn spin(mut self, limit: Duration) -> Self {
        self.settings.spin = limit;
        self
    }

    /// Where a panic goes that nobody awaits; [`UnhandledPanic::Report`] unless set.
    ///
    /// ```
    /// use loopbind::{EventLoop, UnhandledPanic};
    /// use std::panic::{AssertUnwindSafe, catch_unwind};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build()?;
    /// event_loop.create_task(async { panic!("nobody awaits me") });
    /// let turn = || event_loop.turn(Some(Duration::ZERO));
    /// assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "unhandled_panic")]
    pub fn on_unhandled_panic(mut self, policy: UnhandledPanic) -> Self {
        self.settings.unhandled = policy;
        self
    }

    /// How long the end of a run waits for cleanup, on the loop's clock, and for blocking work, in real
    /// time; five minutes unless set. What is not over then is dropped, or left to itself, and reported to
    /// the exception handler: see [`Abandoned`](crate::Abandoned).
    ///
    /// For whatever ends its loop by itself: [`run`](crate::run), [`Runner`](crate::Runner), the
    /// attributes, [`LoopThread`](crate::thread::LoopThread). `EventLoop::close` never waits. For one end
    /// there is [`Runner::shutdown_timeout`](crate::Runner::shutdown_timeout).
    ///
    /// ```
    /// use loopbind::{EventLoop, Runner, sleep, spawn, task::cancelled, yield_now};
    /// use std::time::Duration;
    ///
    /// let limit = Duration::from_secs(5);
    /// let runner = Runner::with(EventLoop::builder().virtual_time(true).shutdown_limit(limit))?;
    /// let event_loop = runner.event_loop().clone();
    /// runner.run(async {
    ///     spawn(async { cancelled().await; sleep(Duration::from_secs(3600)).await });
    ///     yield_now().await;
    /// })?;
    /// let before = event_loop.time();
    /// runner.close()?; // standard error names the task that was still cleaning up
    /// assert_eq!(event_loop.time() - before, limit);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "shutdown_timeout")]
    pub fn shutdown_limit(mut self, limit: Duration) -> Self {
        self.settings.shutdown_limit = limit;
        self
    }

    #[cfg(any(test, feature = "tokio"))]
    pub(crate) fn lodge(mut self, maker: LodgingMaker) -> Self {
        self.settings.lodging = Some(maker);
        self
    }

    #[cfg(feature = "tokio")]
    pub(super) fn has_host(&self) -> bool {
        self.settings.lodging.is_some()
    }

    pub(crate) fn is_named(&self) -> bool {
        self.settings.name.is_some()
    }

    /// Makes the loop, on this thread and for it, bound to nothing.
    ///
    /// # Errors
    /// As [`EventLoop::new`]. Nothing is left behind by a failure.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let builder = EventLoop::builder().name("worker");
    /// let worker = std::thread::spawn(move || {
    ///     let event_loop = builder.build()?; // on the thread that will own the loop
    ///     event_loop.run_until_complete(async { 42 })
    /// });
    /// assert_eq!(worker.join().unwrap()?, 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn build(self) -> Result<EventLoop, LoopError> {
        let hold = Engine::make(self.settings)?;
        binding::register(&hold)?;
        Ok(EventLoop::of(hold))
    }
}
