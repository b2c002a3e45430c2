//! Describing a loop before it is made.

use std::time::Duration;

use super::EventLoop;
use crate::binding;
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
#[derive(Clone, Debug, Default)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder {
    settings: Settings,
}

impl Builder {
    /// Names the loop, for `Debug` and logs.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.settings.name = Some(name.into());
        self
    }

    /// Debug mode, whatever `LOOPBIND_DEBUG` says.
    pub fn debug(mut self, enabled: bool) -> Self {
        self.settings.debug = Some(enabled);
        self
    }

    /// How long a step may take before debug mode reports it; 100 ms unless set.
    pub fn slow_callback_duration(mut self, limit: Duration) -> Self {
        self.settings.slow_callback_duration = limit;
        self
    }

    /// The loop's clock starts frozen, and jumps to the next timer only when nothing else can run:
    /// nothing is ready, nothing was posted, and no blocking job is in flight.
    pub fn virtual_time(mut self, enabled: bool) -> Self {
        self.settings.virtual_time = enabled;
        self
    }

    /// Ready work runs in an order drawn from `seed` instead of first in, first out: to find code
    /// that leans on the order. The same seed gives the same order.
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.settings.shuffle = Some(seed);
        self
    }

    /// While work is ready, timers and the outside are looked at after this many items: 64 unless
    /// set. More is faster, fewer is prompter; zero is one.
    pub fn event_interval(mut self, items: usize) -> Self {
        self.settings.event_interval = items.max(1);
        self
    }

    /// Where a panic goes that nobody awaits.
    pub fn on_unhandled_panic(mut self, policy: UnhandledPanic) -> Self {
        self.settings.unhandled = policy;
        self
    }

    pub(crate) fn is_named(&self) -> bool {
        self.settings.name.is_some()
    }

    /// Makes the loop, on this thread and for it, bound to nothing.
    ///
    /// # Errors
    /// As [`EventLoop::new`]. Nothing is left behind by a failure.
    pub fn build(self) -> Result<EventLoop, LoopError> {
        let hold = Engine::make(self.settings)?;
        binding::register(&hold)?;
        Ok(EventLoop::of(hold))
    }
}
