//! Finding a loop. RUNNING first, then BOUND; they are two slots, and no run touches the second.

use std::sync::{Mutex, MutexGuard};

use super::{EventLoop, LoopHandle};
use crate::binding::{self, Slot};
use crate::engine::Engine;
use crate::error::LoopError;
use crate::sys;

/// The loop that runs on this thread, if one runs; else the one bound to it; else, on the main
/// thread and unless `set_event_loop(None)` was called there, a new one, bound from then on.
///
/// "Inside a coroutine" is dynamic: coroutines, callbacks, wakes, destructors and exception handlers
/// all see the loop that called them, whatever loop is bound. GEL-01 to GEL-12.
///
/// The main thread is the process's, asked of the system, not one that is named so. Tests that
/// `cargo test` runs are on threads of their own: use `#[loop_test]` or bind a loop there.
///
/// # Errors
/// [`LoopError::NoCurrentLoop`], which names the thread, where nothing runs, nothing is bound and
/// nothing may be made; [`LoopError::Io`] where making one failed: nothing is bound then;
/// [`LoopError::ThreadExiting`] in the last destructors of a thread.
///
/// ```
/// use loopbind::{EventLoop, get_event_loop};
///
/// let (bound, other) = (EventLoop::new()?, EventLoop::new()?);
/// let _bound = bound.bind();
/// assert_eq!(get_event_loop()?, bound);
/// // Inside a coroutine it is the loop that runs it.
/// let inside = other.run_until_complete(async { get_event_loop() })??;
/// assert_eq!(inside, other);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn get_event_loop() -> Result<EventLoop, LoopError> {
    if let Some(running) = Engine::running() {
        return Ok(EventLoop::of(running));
    }
    match binding::bound()? {
        Slot::Bound(hold) => Ok(EventLoop::of(hold)),
        Slot::NeverSet if sys::is_main_thread() => {
            let event_loop = EventLoop::new()?;
            set_event_loop(Some(&event_loop));
            announce_main(event_loop.handle());
            Ok(event_loop)
        }
        Slot::NeverSet | Slot::Unbound => Err(LoopError::no_current_loop()),
    }
}

/// The loop that runs on this thread; never the bound one, and never a new one. GEL-16.
///
/// # Errors
/// [`LoopError::NoRunningLoop`] outside of runs.
///
/// ```
/// use loopbind::{EventLoop, LoopError, get_running_loop};
///
/// let event_loop = EventLoop::new()?;
/// let _bound = event_loop.bind();
/// assert!(matches!(get_running_loop(), Err(LoopError::NoRunningLoop)));
/// assert_eq!(event_loop.run_until_complete(async { get_running_loop() })??, event_loop);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("current", "try_current"))]
pub fn get_running_loop() -> Result<EventLoop, LoopError> {
    Engine::running().map(EventLoop::of).ok_or(LoopError::NoRunningLoop)
}

/// The loop bound to this thread, if there is one, running or not; never makes one.
///
/// ```
/// use loopbind::{EventLoop, get_bound_loop};
///
/// let (bound, other) = (EventLoop::new()?, EventLoop::new()?);
/// assert_eq!(get_bound_loop(), None);
/// let _bound = bound.bind();
/// assert_eq!(other.run_until_complete(async { get_bound_loop() })?, Some(bound));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn get_bound_loop() -> Option<EventLoop> {
    binding::bound().ok()?.into_hold().map(EventLoop::of)
}

/// A new loop, bound to nothing: [`EventLoop::new`].
///
/// # Errors
/// As [`EventLoop::new`].
///
/// ```
/// use loopbind::{get_event_loop, new_event_loop, set_event_loop};
///
/// let event_loop = new_event_loop()?;
/// set_event_loop(Some(&event_loop));
/// assert_eq!(get_event_loop()?, event_loop);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn new_event_loop() -> Result<EventLoop, LoopError> {
    EventLoop::new()
}

/// Binds `event_loop` to this thread, or with `None` nothing, and gives the one bound before.
///
/// An explicit `None` also turns the main thread's making of a loop off until one is bound again.
/// A loop that is running goes on running, and `get_event_loop` inside of it goes on giving it.
/// A closed loop may be bound, and stays bound. GEL-08 to GEL-13.
///
/// In the last destructors of a thread, when its storage is gone, it does nothing.
///
/// ```
/// use loopbind::{EventLoop, get_event_loop, set_event_loop};
///
/// let event_loop = EventLoop::new()?;
/// assert_eq!(set_event_loop(Some(&event_loop)), None);
/// assert_eq!(get_event_loop()?, event_loop);
/// assert_eq!(set_event_loop(None), Some(event_loop));
/// assert!(get_event_loop().is_err()); // none is made here any more
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub fn set_event_loop(event_loop: Option<&EventLoop>) -> Option<EventLoop> {
    let slot = Slot::of(event_loop.map(|event_loop| event_loop.hold().clone()));
    binding::bind(slot).ok()?.into_hold().map(EventLoop::of)
}

/// The loops of the main thread that were announced and may still be open, the last one last.
static MAIN: Mutex<Vec<LoopHandle>> = Mutex::new(Vec::new());

/// The handle of the loop of the process's main thread, from any thread: the one `#[loop_main]` or
/// the first lookup there made. `None` before, and after it closed.
///
/// ```
/// use loopbind::{get_running_loop, loop_main, main_loop};
///
/// #[loop_main]
/// async fn main() {
///     let found = std::thread::spawn(main_loop).join().unwrap();
///     assert_eq!(found, Some(get_running_loop().unwrap().handle()));
/// }
/// ```
pub fn main_loop() -> Option<LoopHandle> {
    let mut main = main_loops()?;
    main.retain(LoopHandle::is_usable);
    main.last().cloned()
}

/// Makes a loop the one `main_loop` gives, until it is closed.
pub(crate) fn announce_main(handle: LoopHandle) {
    if let Some(mut main) = main_loops() {
        main.retain(LoopHandle::is_usable);
        main.push(handle);
    }
}

fn main_loops() -> Option<MutexGuard<'static, Vec<LoopHandle>>> {
    sys::lock_after_fork(&MAIN)
}
