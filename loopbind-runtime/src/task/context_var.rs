//! Variables whose values tasks inherit.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::AtomicU8;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::context::{with_current, with_current_to_set};
use crate::context::{Key, Value};

/// A value that every task started from here on inherits: a request's id, a user, a span, for
/// whatever is called on behalf of it, without a parameter (asyncio's `contextvars`).
///
/// A `static`, for a `T` of any kind, `Rc` too: values never leave their thread.
///
/// * A task runs in a copy of the context of whoever started it, as it was then. Later changes of
///   either are not seen by the other, and its own last as long as it does. CTX-01.
/// * Awaiting a future directly shares the context. CTX-02.
/// * Callbacks (`call_soon`, `call_later`, done-callbacks, `add_reader`, `add_signal_handler`) see a
///   copy of the context in which they were registered. CTX-03, CB-19.
/// * `run_until_complete` runs its future in a copy of its caller's context; the runs of a
///   [`Runner`](crate::Runner) share one. CTX-06, RNR-16.
/// * The context is current also while a future is dropped: by cancellation, and by the end of its
///   loop. CTX-10.
/// * An exception handler sees the context of the task or callback that failed. EXH-08.
/// * Outside of loops a thread has a context of its own.
///
/// Nothing crosses threads by itself: see [`carry`](ContextVar::carry).
///
/// ```
/// use loopbind::{run, spawn, task::ContextVar};
///
/// static REQUEST: ContextVar<u32> = ContextVar::new("request");
///
/// run(async {
///     REQUEST.set(7);
///     let task = spawn(async { (REQUEST.get(), REQUEST.set(8)) });
///     REQUEST.set(9);
///     assert_eq!(task.await.unwrap(), (Some(7), Some(7))); // as it was when it was started
///     assert_eq!(REQUEST.get(), Some(9)); // and nothing comes back
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// A `const` would be another variable at each use, and does not compile:
///
/// ```compile_fail,E0716
/// use loopbind::task::ContextVar;
///
/// const REQUEST: ContextVar<u32> = ContextVar::new("request");
/// REQUEST.get();
/// ```
#[doc(alias("contextvars", "task_local", "LocalKey", "RunVar"))]
pub struct ContextVar<T: 'static> {
    name: &'static str,
    /// Never read. A `static` with a cell in it has an address that is no other's, and a `const` with
    /// one cannot be lent for ever: the address is the variable.
    _address: AtomicU8,
    _value: PhantomData<fn() -> T>,
}

impl<T: Clone + 'static> ContextVar<T> {
    /// A variable, without a value anywhere. The name is for people: two may have the same.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    /// use std::rc::Rc;
    ///
    /// static USER: ContextVar<Rc<str>> = ContextVar::new("user");
    ///
    /// USER.set("ada".into());
    /// assert_eq!(USER.get().as_deref(), Some("ada"));
    /// ```
    #[must_use = "a variable is made to be a `static`"]
    pub const fn new(name: &'static str) -> Self {
        ContextVar { name, _address: AtomicU8::new(0), _value: PhantomData }
    }

    /// A clone of the value that the variable has in the current context, if it has one.
    ///
    /// # Panics
    /// With the panic of the value's `clone`.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.get().unwrap_or("nobody"), "nobody");
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn get(&'static self) -> Option<T> {
        let value = with_current(|place| place.value(self.key()))??;
        value.downcast_ref::<T>().cloned()
    }

    /// Gives the variable a value in the current context, and gives back the former one. Who inherited
    /// that keeps it.
    ///
    /// In the last destructors of a thread, outside of loops, there is no context left: `value` is
    /// dropped then.
    ///
    /// # Panics
    /// With the panic of the former value's `clone`, where others have it too; `value` is set then.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.set("ada"), None);
    /// assert_eq!(USER.set("grace"), Some("ada"));
    /// ```
    pub fn set(&'static self, value: T) -> Option<T> {
        into_inner(self.replace(Some(Rc::new(value))))
    }

    /// Takes the variable's value out of the current context. Who inherited it keeps it.
    ///
    /// # Panics
    /// With the panic of the value's `clone`, where others have it too; it is taken out then.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// USER.set("ada");
    /// assert_eq!(USER.unset(), Some("ada"));
    /// assert_eq!(USER.get(), None);
    /// ```
    #[doc(alias = "reset")]
    pub fn unset(&'static self) -> Option<T> {
        into_inner(self.replace(None))
    }

    /// Runs `future` with the variable set to `value`: while it is polled, and while it is dropped. In
    /// between, and afterwards, the variable is what it was outside, also where `future` panics.
    ///
    /// What `future` starts inherits the value, and what it sets itself lasts until its end. Scopes
    /// nest.
    ///
    /// # Panics
    /// With the panic of `future`; when it is polled again after its end.
    ///
    /// # Cancel safety
    /// Dropping it drops `future`.
    ///
    /// ```
    /// use loopbind::{run, spawn, task::ContextVar};
    ///
    /// static REQUEST: ContextVar<u32> = ContextVar::new("request");
    ///
    /// run(async {
    ///     let handled = REQUEST.scope(7, async { spawn(async { REQUEST.get() }).await.unwrap() });
    ///     assert_eq!(handled.await, Some(7));
    ///     assert_eq!(REQUEST.get(), None);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> impl Future<Output = F::Output> {
        self.scoped(Some(value), future)
    }

    /// Calls `f` with the variable set to `value`, and makes it afterwards what it was before, also
    /// where `f` panics.
    ///
    /// # Panics
    /// With the panic of `f`.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.enter("ada", || USER.get()), Some("ada"));
    /// assert_eq!(USER.get(), None);
    /// ```
    #[doc(alias = "sync_scope")]
    pub fn enter<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        let mut inside = erase(Some(value));
        let _inside = Inside::go(self, &mut inside);
        f()
    }

    /// Takes the value along to another thread: it is `Send` where `T` is. Nothing goes there by
    /// itself, neither with `spawn_blocking` nor with [`LoopHandle::spawn`](crate::LoopHandle::spawn):
    /// a context may hold what must not leave its thread.
    ///
    /// ```
    /// use loopbind::{run, spawn_blocking, task::ContextVar};
    ///
    /// static REQUEST: ContextVar<u32> = ContextVar::new("request");
    ///
    /// run(async {
    ///     REQUEST.set(7);
    ///     let request = REQUEST.carry();
    ///     let there = spawn_blocking(move || request.enter(|| REQUEST.get()));
    ///     assert_eq!(there.await.unwrap(), Some(7));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "to_thread")]
    pub fn carry(&'static self) -> Carried<T> {
        Carried { variable: self, value: self.get() }
    }

    fn scoped<F: Future>(&'static self, value: Option<T>, future: F) -> Scope<T, F> {
        Scope { variable: self, inside: erase(value), future: Some(future) }
    }
}

impl<T> ContextVar<T> {
    /// The name it was given.
    ///
    /// ```
    /// use loopbind::task::ContextVar;
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    ///
    /// assert_eq!(USER.name(), "user");
    /// ```
    pub fn name(&self) -> &'static str {
        self.name
    }

    fn key(&'static self) -> Key {
        Key { address: (&raw const *self).cast(), name: self.name }
    }

    fn replace(&'static self, value: Option<Value>) -> Option<Value> {
        with_current_to_set(|place| place.replace(self.key(), value))?
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContextVar").field(&self.name).finish()
    }
}

fn erase<T: 'static>(value: Option<T>) -> Option<Value> {
    value.map(|value| Rc::new(value) as Value)
}

fn into_inner<T: Clone + 'static>(value: Option<Value>) -> Option<T> {
    value?.downcast::<T>().ok().map(Rc::unwrap_or_clone)
}

/// A variable has another value until this drops. Both stay with the variable meanwhile: what is set
/// inside is there when one comes back.
struct Inside<'a, T: 'static> {
    variable: &'static ContextVar<T>,
    inside: &'a mut Option<Value>,
    outside: Option<Value>,
}

impl<'a, T> Inside<'a, T> {
    fn go(variable: &'static ContextVar<T>, inside: &'a mut Option<Value>) -> Self {
        let outside = variable.replace(inside.take());
        Inside { variable, inside, outside }
    }
}

impl<T> Drop for Inside<'_, T> {
    fn drop(&mut self) {
        *self.inside = self.variable.replace(self.outside.take());
    }
}

pin_project! {
    #[must_use = "futures do nothing unless awaited"]
    struct Scope<T: 'static, F> {
        variable: &'static ContextVar<T>,
        // The value, while nobody is inside.
        inside: Option<Value>,
        #[pin]
        future: Option<F>,
    }

    impl<T, F> PinnedDrop for Scope<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = Inside::go(*this.variable, this.inside);
            this.future.set(None);
        }
    }
}

impl<T, F: Future> Future for Scope<T, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _inside = Inside::go(*this.variable, this.inside);
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            panic!("the scope of a context variable was polled after its end")
        };
        let polled = future.poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

/// A value on its way to another thread: see [`ContextVar::carry`].
///
/// A variable that had no value where it was taken along has none where it is entered.
///
/// ```
/// use loopbind::task::ContextVar;
///
/// static USER: ContextVar<String> = ContextVar::new("user");
///
/// let user = USER.enter("ada".into(), || USER.carry());
/// let there = std::thread::spawn(move || user.enter(|| USER.get())).join().unwrap();
/// assert_eq!(there.as_deref(), Some("ada"));
/// ```
///
/// What must not leave its thread is not carried:
///
/// ```compile_fail,E0277
/// use loopbind::task::ContextVar;
/// use std::rc::Rc;
///
/// static USER: ContextVar<Rc<str>> = ContextVar::new("user");
///
/// let user = USER.carry();
/// std::thread::spawn(move || user.enter(|| USER.get()));
/// ```
#[derive(Clone)]
#[must_use = "a value arrives where `enter` or `scope` is called"]
pub struct Carried<T: 'static> {
    variable: &'static ContextVar<T>,
    value: Option<T>,
}

impl<T: Clone + 'static> Carried<T> {
    /// Calls `f` with the variable as it was where it was taken along: see [`ContextVar::enter`].
    ///
    /// # Panics
    /// With the panic of `f`.
    ///
    /// ```
    /// use loopbind::{run, spawn_blocking, task::ContextVar};
    ///
    /// static USER: ContextVar<&str> = ContextVar::new("user");
    /// static REQUEST: ContextVar<u32> = ContextVar::new("request");
    ///
    /// run(async {
    ///     USER.set("ada");
    ///     REQUEST.set(7);
    ///     let (user, request) = (USER.carry(), REQUEST.carry());
    ///     let work = || (USER.get(), REQUEST.get());
    ///     let there = spawn_blocking(move || user.enter(|| request.enter(work)));
    ///     assert_eq!(there.await.unwrap(), (Some("ada"), Some(7)));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn enter<R>(self, f: impl FnOnce() -> R) -> R {
        let mut inside = erase(self.value);
        let _inside = Inside::go(self.variable, &mut inside);
        f()
    }

    /// Runs `future` with the variable as it was where it was taken along: see [`ContextVar::scope`].
    ///
    /// # Panics
    /// As [`ContextVar::scope`].
    ///
    /// # Cancel safety
    /// Dropping it drops `future`.
    ///
    /// ```
    /// use loopbind::{EventLoop, task::ContextVar, thread::ThreadBuilder};
    ///
    /// static REQUEST: ContextVar<u32> = ContextVar::new("request");
    ///
    /// let request = REQUEST.enter(7, || REQUEST.carry());
    /// let (event_loop, worker) = (EventLoop::new()?, ThreadBuilder::new().spawn(async || {
    ///     std::future::pending::<()>().await
    /// })?);
    /// let there = worker.handle().spawn(|| request.scope(async { REQUEST.get() }))?;
    /// assert_eq!(event_loop.run_until_complete(there)?.unwrap(), Some(7));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        self.variable.scoped(self.value, future)
    }
}

impl<T> fmt::Debug for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carried")
            .field("variable", &self.variable.name)
            .field("is_set", &self.value.is_some())
            .finish()
    }
}
