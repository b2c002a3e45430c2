//! What a loop is told when it is made.

use std::time::Duration;

use super::host::LodgingMaker;

/// Where a panic goes that nobody awaits.
///
/// ```
/// use loopbind::{EventLoop, UnhandledPanic};
/// use std::panic::{AssertUnwindSafe, catch_unwind};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume).build()?;
/// event_loop.call_soon(|| panic!("nobody awaits a callback"));
/// let turn = || event_loop.turn(Some(Duration::ZERO));
/// assert!(catch_unwind(AssertUnwindSafe(turn)).is_err());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// To the loop's exception handler.
    Report,
    /// Out of the current `run_*` or `turn`, or of the next one where none is on. What was ready
    /// behind it stays ready. A run in a destructor, while the thread panics already, gives it to the exception
    /// handler: a second panic would be the end of the process.
    Resume,
}

#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: Option<String>,
    /// `None`: as `LOOPBIND_DEBUG` says.
    pub(crate) debug: Option<bool>,
    pub(crate) slow_callback_duration: Duration,
    pub(crate) virtual_time: bool,
    pub(crate) shuffle: Option<u64>,
    pub(crate) event_interval: usize,
    /// How long a loop looks for work before it sleeps; zero: not at all.
    pub(crate) spin: Duration,
    pub(crate) unhandled: UnhandledPanic,
    /// How long the end of a run waits for cleanup and for blocking work.
    pub(crate) shutdown_limit: Duration,
    /// Whose guest it is, if it is one.
    pub(crate) lodging: Option<LodgingMaker>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            name: None,
            debug: None,
            slow_callback_duration: Duration::from_millis(100),
            virtual_time: false,
            shuffle: None,
            event_interval: 64,
            spin: Duration::ZERO,
            unhandled: UnhandledPanic::Report,
            // asyncio's five minutes.
            shutdown_limit: Duration::from_secs(300),
            lodging: None,
        }
    }
}

/// DBG-01: on unless unset, empty or `0`.
pub(super) fn debug_by_environment() -> bool {
    std::env::var_os("LOOPBIND_DEBUG").is_some_and(|value| !value.is_empty() && value != "0")
}
