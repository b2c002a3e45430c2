//! This thread: which loop is bound to it, and which loops are open on it.
//!
//! BOUND is a stack of frames over a base. `set_event_loop` writes the topmost; a guard of
//! `EventLoop::bind` is a frame, and takes out its own when it drops, wherever it stands by then:
//! the topmost left decides. RUNNING is another matter, and another room: `current`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Weak;

use crate::engine::{Engine, Hold};
use crate::error::LoopError;
use crate::ids::LoopId;
use crate::sys;
use crate::task::report_to_stderr;

thread_local! {
    static THREAD: Thread = const { Thread::new() };
}

/// What is bound.
#[derive(Clone)]
pub(crate) enum Slot {
    /// Nobody ever said: the main thread may make a loop.
    NeverSet,
    /// Somebody said: nothing.
    Unbound,
    Bound(Hold),
}

impl Slot {
    pub(crate) fn of(hold: Option<Hold>) -> Self {
        hold.map_or(Slot::Unbound, Slot::Bound)
    }

    pub(crate) fn into_hold(self) -> Option<Hold> {
        match self {
            Slot::Bound(hold) => Some(hold),
            Slot::NeverSet | Slot::Unbound => None,
        }
    }
}

struct Frame {
    number: u64,
    slot: Slot,
}

struct Thread {
    base: RefCell<Slot>,
    frames: RefCell<Vec<Frame>>,
    next_frame: Cell<u64>,
    open: RefCell<BTreeMap<LoopId, Weak<Engine>>>,
    /// The number of forks when this was last right: see `sys::forks`.
    forks: Cell<u64>,
}

impl Thread {
    const fn new() -> Self {
        Thread {
            base: RefCell::new(Slot::NeverSet),
            frames: RefCell::new(Vec::new()),
            next_frame: Cell::new(0),
            open: RefCell::new(BTreeMap::new()),
            forks: Cell::new(0),
        }
    }

    /// In a forked child everything is as never set. What was there is the parent's: forgotten, not
    /// dropped, but for its descriptors.
    fn wake_up_in_child(&self) {
        if self.forks.get() == sys::forks() {
            return;
        }
        self.forks.set(sys::forks());
        std::mem::forget(self.base.replace(Slot::NeverSet));
        std::mem::forget(self.frames.take());
        for engine in self.open.take().values().filter_map(Weak::upgrade) {
            engine.close_inherited_descriptors();
        }
    }
}

/// Calls `f` with this thread's storage; an error once that is being torn down.
fn with<R>(f: impl FnOnce(&Thread) -> R) -> Result<R, LoopError> {
    THREAD
        .try_with(|thread| {
            thread.wake_up_in_child();
            f(thread)
        })
        .map_err(|_| LoopError::ThreadExiting)
}

pub(crate) fn bound() -> Result<Slot, LoopError> {
    with(|thread| match thread.frames.borrow().last() {
        Some(frame) => frame.slot.clone(),
        None => thread.base.borrow().clone(),
    })
}

/// Binds, and gives what was bound before. What comes out is dropped by the caller, with nothing
/// borrowed: it may be a loop's last share.
pub(crate) fn bind(slot: Slot) -> Result<Slot, LoopError> {
    with(|thread| match thread.frames.borrow_mut().last_mut() {
        Some(frame) => std::mem::replace(&mut frame.slot, slot),
        None => thread.base.replace(slot),
    })
}

/// Binds in a frame of its own.
pub(crate) fn push(hold: Hold) -> Result<Bound, LoopError> {
    with(|thread| {
        let number = thread.next_frame.get();
        thread.next_frame.set(number + 1);
        thread.frames.borrow_mut().push(Frame { number, slot: Slot::Bound(hold) });
        Bound { number, _unsend: std::marker::PhantomData }
    })
}

/// A binding that ends when this drops: what was bound before is bound again, also on unwinding.
///
/// Guards are frames: dropping one takes out its own frame, and the topmost left decides.
///
/// ```
/// use loopbind::{EventLoop, get_bound_loop};
///
/// let (first, second) = (EventLoop::new()?, EventLoop::new()?);
/// let first_bound = first.bind();
/// let second_bound = second.bind();
/// drop(first_bound); // not the topmost: what is bound stays bound
/// assert_eq!(get_bound_loop(), Some(second));
/// drop(second_bound);
/// assert_eq!(get_bound_loop(), None);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "the binding ends when the guard drops"]
pub struct Bound {
    number: u64,
    _unsend: std::marker::PhantomData<*const ()>,
}

impl Drop for Bound {
    fn drop(&mut self) {
        let frame = with(|thread| {
            let mut frames = thread.frames.borrow_mut();
            let position = frames.iter().rposition(|frame| frame.number == self.number)?;
            Some(frames.remove(position))
        });
        // A thread that is exiting has taken its frames down already. The frame is dropped here,
        // with nothing borrowed.
        drop(frame);
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").finish_non_exhaustive()
    }
}

/// Sees to it that the loop is closed when this thread ends, at the latest. A closed one stays in
/// the list until it is gone: its exception handler may be what holds it.
pub(crate) fn register(hold: &Hold) -> Result<(), LoopError> {
    with(|thread| {
        let engine = hold.enroll(unregister);
        thread.open.borrow_mut().insert(hold.home.id, engine);
    })
}

fn unregister(id: LoopId) {
    // In a thread that is exiting the list was taken down already.
    let _ = with(|thread| thread.open.borrow_mut().remove(&id));
}

impl Drop for Thread {
    /// The thread ends. A panic in here would be the process's end: `close` catches what the
    /// destructors of users throw.
    fn drop(&mut self) {
        self.wake_up_in_child();
        for (id, engine) in self.open.take() {
            let Some(hold) = Hold::revive(&engine) else { continue };
            if hold.home.local().debug() && !hold.home.is_closed() {
                report_to_stderr(&format_args!(
                    "event loop {} was not closed before its thread ended",
                    id.get()
                ));
            }
            hold.close_for_good();
        }
    }
}
