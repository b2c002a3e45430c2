//! A caught panic on its way to whoever should hear of it.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

/// What a panic threw, with its message.
///
/// `Send` and `Sync`: the message is copied out when the panic is caught, the payload itself comes
/// out by value only.
///
/// ```
/// use loopbind::{EventLoop, TaskError};
///
/// let event_loop = EventLoop::new()?;
/// let task = event_loop.create_task(async { panic!("no more tea") });
/// let TaskError::Panicked(payload) = event_loop.run_until_complete(task)?.unwrap_err() else {
///     unreachable!("a panic reaches the awaiter");
/// };
/// assert_eq!(payload.message(), Some("no more tea"));
/// assert_eq!(payload.to_string(), "no more tea");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct PanicPayload {
    // One word, because results are handed on everywhere and panics are few.
    thrown: Box<Thrown>,
}

struct Thrown {
    message: Option<Box<str>>,
    /// The task it came from, where that is not plain from where the payload is found.
    origin: Option<Box<str>>,
    // `None` only between `into_inner` and the drop that follows. The lock is never contended: it
    // is what makes an `Any + Send` shareable without a line of `unsafe`.
    payload: Mutex<Option<Box<dyn Any + Send>>>,
}

impl PanicPayload {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        let message = match payload.downcast_ref::<&'static str>() {
            Some(text) => Some((*text).into()),
            None => payload.downcast_ref::<String>().map(|text| text.as_str().into()),
        };
        let thrown = Box::new(Thrown { message, origin: None, payload: Mutex::new(Some(payload)) });
        PanicPayload { thrown }
    }

    /// The text given to `panic!`; `None` for a payload that is not text (`panic_any`).
    ///
    /// ```
    /// use loopbind::{EventLoop, TaskError};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async { std::panic::panic_any(42) });
    /// let Err(TaskError::Panicked(payload)) = event_loop.run_until_complete(task)? else { unreachable!() };
    /// assert_eq!(payload.message(), None); // not a text
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn message(&self) -> Option<&str> {
        self.thrown.message.as_deref()
    }

    pub(crate) fn with_origin(mut self, origin: &dyn fmt::Display) -> Self {
        self.thrown.origin = Some(origin.to_string().into());
        self
    }

    /// The task that panicked, in words: its name, its number and the line that started it. `None` but for
    /// the children of a task group, whose panics are found with the group.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let outcome = run(task::group::<(), ()>(async |group| {
    ///     group.spawn_named::<()>("pot", async { panic!("it broke") });
    ///     std::future::pending().await
    /// }))?;
    /// let panics = outcome.unwrap_err().panics;
    /// assert!(panics[0].origin().unwrap().starts_with("'pot' (Task-"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn origin(&self) -> Option<&str> {
        self.thrown.origin.as_deref()
    }

    /// The payload as `std::panic::catch_unwind` gave it.
    ///
    /// ```
    /// use loopbind::{EventLoop, TaskError};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async { std::panic::panic_any(42) });
    /// let Err(TaskError::Panicked(payload)) = event_loop.run_until_complete(task)? else { unreachable!() };
    /// assert_eq!(payload.into_inner().downcast_ref(), Some(&42));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn into_inner(self) -> Box<dyn Any + Send> {
        self.take().unwrap_or_else(|| unreachable!("only `into_inner` empties a payload, by value"))
    }

    /// Goes on unwinding with this payload, without calling the panic hook again.
    ///
    /// # Panics
    /// Always: with this payload.
    ///
    /// ```
    /// use loopbind::{EventLoop, TaskError};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async { std::panic::panic_any(42) });
    /// let Err(TaskError::Panicked(payload)) = event_loop.run_until_complete(task)? else { unreachable!() };
    /// let caught = std::panic::catch_unwind(|| payload.resume()).unwrap_err();
    /// assert_eq!(caught.downcast_ref(), Some(&42));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn resume(self) -> ! {
        resume_unwind(self.into_inner())
    }

    fn take(&self) -> Option<Box<dyn Any + Send>> {
        self.thrown.payload.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("PanicPayload");
        match self.message() {
            Some(message) => tuple.field(&message).finish(),
            None => tuple.finish_non_exhaustive(),
        }
    }
}

/// The text given to `panic!`, or that there is none.
impl fmt::Display for PanicPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message().unwrap_or("a panic whose payload is no text"))
    }
}

impl Drop for PanicPayload {
    /// A payload is user code: one whose own destructor panics must not hurt who ignores it.
    fn drop(&mut self) {
        if let Some(payload) = self.take() {
            discard(payload);
        }
    }
}

/// Runs `f`; what it throws comes back as a value.
pub(crate) fn caught<R>(f: impl FnOnce() -> R) -> Result<R, PanicPayload> {
    catch_unwind(AssertUnwindSafe(f)).map_err(PanicPayload::new)
}

/// Drops a value of the user's whose destructor may panic and whose panic nobody can receive:
/// that of a panic payload, which throws payloads in turn. The hook has printed each by then.
pub(crate) fn discard<T>(value: T) {
    let mut thrown = catch_unwind(AssertUnwindSafe(move || drop(value))).err();
    // A payload that throws a fresh payload each time would go on for ever: leak it in the end.
    for _ in 0..8 {
        let Some(payload) = thrown else { return };
        thrown = catch_unwind(AssertUnwindSafe(move || drop(payload))).err();
    }
    std::mem::forget(thrown);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            std::panic::resume_unwind(Box::new("bang"));
        }
    }

    #[test]
    fn a_payload_whose_drop_panics_is_dropped_quietly() {
        let payload = caught(|| std::panic::panic_any(Bomb)).unwrap_err();
        assert_eq!(payload.message(), None);
        drop(payload);
    }

    #[test]
    fn the_message_of_formatted_and_plain_panics_is_kept() {
        assert_eq!(caught(|| panic!("plain")).unwrap_err().message(), Some("plain"));
        assert_eq!(caught(|| panic!("{}", 7)).unwrap_err().message(), Some("7"));
    }

    #[test]
    fn payloads_are_send_and_sync() {
        fn check<T: Send + Sync>() {}
        check::<PanicPayload>();
    }
}
