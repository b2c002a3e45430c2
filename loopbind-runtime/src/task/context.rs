//! Which context is current, and contexts as values.
//!
//! Asked only by who reads or sets a variable, and by who starts something where there may be one. In
//! this order:
//!
//! 1. The one that somebody stepped into: [`within`].
//! 2. Where a loop runs: the context of the step that it makes. A step has none until it inherits or
//!    sets something; that of a main future is the one the run was begun in, which is also that of
//!    what the loop calls outside of steps: `Local::outside`.
//! 3. The thread's own, which stands where 1 does, from the first that is set in it.
//!
//! A poll has nothing to do for that, and a birth looks at one bit, `CONTEXT`, of who gives it: it is
//! set on all that may have a context, and stays.

use std::fmt;
use std::rc::Rc;

use super::header::Header;
use super::home::{Local, LocalHome};
use super::state::{CONTEXT, ROOT};
use crate::context::Place;
use crate::current;
use crate::panic::PanicPayload;

/// Values of [`ContextVar`](super::ContextVar)s that belong together: what a task runs in, as a value.
///
/// A clone is the same context: what is set in one is seen in the other. [`copy`](Context::copy) gives
/// one of its own. Its values live on one thread, and so does it.
///
/// ```
/// use loopbind::task::{Context, ContextVar};
///
/// static USER: ContextVar<&str> = ContextVar::new("user");
///
/// let context = Context::new();
/// context.run(|| USER.set("ada"));
/// assert_eq!(context.run(|| USER.get()), Some("ada"));
/// assert_eq!(USER.get(), None); // nothing of it outside
/// ```
#[derive(Clone, Default)]
pub struct Context {
    place: Rc<Place>,
}

impl Context {
    /// A context with nothing in it.
    ///
    /// ```
    /// use loopbind::task::{Context, ContextVar};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// USER.set("ada");
    /// assert_eq!(Context::new().run(|| USER.get()), None);
    /// ```
    #[must_use = "a context does nothing until something runs in it"]
    pub fn new() -> Self {
        Context::default()
    }

    /// A copy of the context that is current here.
    ///
    /// ```
    /// use loopbind::task::{Context, ContextVar};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// USER.set("ada");
    /// let context = Context::capture();
    /// USER.set("grace");
    /// assert_eq!(context.run(|| USER.get()), Some("ada"));
    /// ```
    #[doc(alias = "copy_context")]
    #[must_use = "a context does nothing until something runs in it"]
    pub fn capture() -> Self {
        copy_current().into()
    }

    /// Another context with the same values. What is set in one from here on, the other does not see.
    ///
    /// ```
    /// use loopbind::task::{Context, ContextVar};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let context = Context::new();
    /// let copy = context.copy();
    /// copy.run(|| USER.set("ada"));
    /// assert_eq!(context.run(|| USER.get()), None);
    /// ```
    #[must_use = "a context does nothing until something runs in it"]
    pub fn copy(&self) -> Self {
        self.place.copy().into()
    }

    /// Calls `f` in this context itself: what it sets stays here, and what it starts inherits from
    /// here. A callback that runs in a given context calls this first: `call_soon(move ||
    /// context.run(f))`. CTX-04, CB-19.
    ///
    /// # Panics
    /// With the panic of `f`, once the former context is current again.
    ///
    /// ```
    /// use loopbind::{EventLoop, task::{Context, ContextVar}};
    /// use std::time::Duration;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// let (event_loop, context) = (EventLoop::new()?, Context::new());
    /// let theirs = context.clone();
    /// event_loop.call_soon(move || { theirs.run(|| USER.set("ada")); });
    /// event_loop.turn(Some(Duration::ZERO))?;
    /// assert_eq!(context.run(|| USER.get()), Some("ada"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        within(&self.place, f)
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Gives up this share; the last one drops the values.
    pub(super) fn let_go(self) -> Result<(), PanicPayload> {
        Rc::into_inner(self.place).map_or(Ok(()), |place| place.clear())
    }
}

impl From<Place> for Context {
    fn from(place: Place) -> Self {
        Context { place: Rc::new(place) }
    }
}

impl fmt::Debug for Context {
    /// The names of its variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context ")?;
        self.place.fmt(f)
    }
}

/// Calls `f` with `place` as the current context.
pub(crate) fn within<R>(place: &Place, f: impl FnOnce() -> R) -> R {
    struct Return(*const Place);
    impl Drop for Return {
        fn drop(&mut self) {
            current::replace_context(self.0);
        }
    }
    // What is started in there inherits from there, and not from the step as such.
    LocalHome::with_running(|home| home.local().mark());
    let _return = Return(current::replace_context(place));
    f()
}

/// A copy of the current context.
pub(crate) fn copy_current() -> Place {
    with_current(Place::copy).unwrap_or_default()
}

/// Calls `f`, which calls nothing of the user's, with the current context. `None`: there is nothing
/// in it.
pub(super) fn with_current<R>(f: impl FnOnce(&Place) -> R) -> Option<R> {
    let place = current::context();
    if !place.is_null() {
        // SAFETY: `current` has the place of a `within` that is on, which borrows it and puts back
        // what was there before, or the thread's own, which takes itself out as it goes.
        return Some(f(unsafe { &*place }));
    }
    LocalHome::with_running(|home| {
        let local = home.local();
        match local.step() {
            Some(step) if !step.has(CONTEXT) => None,
            Some(step) => step.context().map(|context| f(&context.place)),
            None => local.outside().map(f),
        }
    })?
}

/// The same for who sets something, which there is a place for; but for the last destructors of a
/// thread.
pub(super) fn with_current_to_set<R>(f: impl FnOnce(&Place) -> R) -> Option<R> {
    if current::context().is_null() {
        let of_the_step = LocalHome::with_running(|home| {
            let local = home.local();
            let step = local.step().map(Header::context_to_set);
            if step.is_none() {
                local.mark();
                if local.outside.get().is_null() {
                    local.outside.set(current::own_context());
                }
            }
            step
        });
        match of_the_step {
            Some(Some(context)) => return Some(f(&context.place)),
            Some(None) => return LocalHome::with_running(|home| home.local().outside().map(f))?,
            None => {
                current::replace_context(current::own_context());
            }
        }
    }
    with_current(f)
}

impl Local {
    /// The step that is being made, if its context is its own.
    fn step(&self) -> Option<&Header> {
        // SAFETY: what is current is alive while it is, see `Local::current`, and its own code is what runs.
        let step = self.current.get().map(|step| unsafe { step.as_ref() });
        step.filter(|step| !step.has(ROOT))
    }

    fn outside(&self) -> Option<&Place> {
        // SAFETY: a run that is on has it from `current`, and puts it back there as it ends: it is
        // inside the `within` whose place this is, or it is the thread's own.
        unsafe { self.outside.get().as_ref() }
    }

    /// There may be something to inherit from here on: in the step that is being made, and in the
    /// main future, which may share a place with what changes.
    fn mark(&self) {
        for entry in [self.current.get(), self.root.get()].into_iter().flatten() {
            // SAFETY: what is current is alive while it is; a root is the loop's until it is retired.
            unsafe { entry.as_ref() }.set(CONTEXT);
        }
    }
}

impl Header {
    /// Its context, made if it had none.
    fn context_to_set(&self) -> Context {
        self.set(CONTEXT);
        self.with_cold(|cold| cold.context.get_or_insert_default().clone())
    }
}

impl LocalHome {
    /// Whether the run was begun in a context with something in it.
    pub(super) fn is_outside_empty(&self) -> bool {
        self.local().outside().is_none_or(Place::is_empty)
    }
}
