//! A flag that tasks wait for.

use std::cell::Cell;
use std::fmt;

use super::wait::{Awaited, Wait};
use super::waiters::Waiters;

/// A flag: tasks wait until it is set. asyncio's `Event`.
///
/// Setting it lets everybody go who waits, in the order in which they came, also where it is cleared
/// again before they had their turn. EVT-01, EVT-02.
///
/// To let go one at a time, also one who comes later, as tokio's `notify_one` does: a
/// [`Semaphore`](super::Semaphore) without permits, to which each that has news adds one.
///
/// ```
/// use loopbind::sync::Event;
/// use loopbind::{run, spawn, yield_now};
/// use std::rc::Rc;
///
/// run(async {
///     let started = Rc::new(Event::new());
///     let waits = spawn({
///         let started = Rc::clone(&started);
///         async move { started.wait().await }
///     });
///     yield_now().await;
///     started.set();
///     started.clear(); // who waited goes on all the same
///     waits.await.unwrap();
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Notify")]
pub struct Event {
    set: Cell<bool>,
    waiters: Waiters,
}

impl Event {
    /// An event that is not set.
    ///
    /// ```
    /// assert!(!loopbind::sync::Event::new().is_set());
    /// ```
    pub const fn new() -> Self {
        Event { set: Cell::new(false), waiters: Waiters::new() }
    }

    /// Sets it, and lets everybody go who waits. Until it is cleared nobody waits for it.
    ///
    /// ```
    /// let event = loopbind::sync::Event::new();
    /// event.set();
    /// assert!(event.is_set());
    /// ```
    pub fn set(&self) {
        self.set.set(true);
        self.waiters.tell_all();
    }

    /// Makes those wait who come from now on.
    ///
    /// ```
    /// let event = loopbind::sync::Event::new();
    /// event.set();
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.set.set(false);
    }

    /// Whether it is set.
    ///
    /// ```
    /// let event = loopbind::sync::Event::new();
    /// assert!(!event.is_set());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_set(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is set; goes on without a pause where it is.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting, and nothing else.
    ///
    /// ```
    /// use loopbind::{run, sync::Event};
    ///
    /// let event = Event::new();
    /// event.set();
    /// run(event.wait())?; // set: no wait
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait(&self) {
        if !self.is_set() {
            Wait::new(self, ()).await;
        }
    }
}

impl Awaited for Event {
    type Wish = ();

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn take(&self, (): ()) -> bool {
        self.set.get()
    }

    /// There is enough for everybody.
    fn give_back(&self, (): ()) {}
}

impl Default for Event {
    fn default() -> Self {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("set", &self.set.get())
            .field("waiters", &self.waiters.waiting())
            .finish()
    }
}
