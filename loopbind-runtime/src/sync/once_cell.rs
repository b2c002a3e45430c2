//! A value that is made once, by the first who needs it, with `await`.

use std::cell::{self, Cell};
use std::fmt;

use super::wait::{Awaited, Wait};
use super::waiters::Waiters;

/// A value that is made once, by an async function, when somebody first needs it.
///
/// Those who come while it is made wait for it. Where its making fails, panics or is cancelled, the next in
/// line makes it.
///
/// ```
/// use futures::future::join;
/// use loopbind::sync::OnceCell;
/// use loopbind::{run, yield_now};
/// use std::cell::Cell;
///
/// let (address, asked) = (OnceCell::new(), Cell::new(0));
/// let look_up = async || {
///     asked.set(asked.get() + 1);
///     yield_now().await;
///     "192.0.2.1"
/// };
/// let both = join(address.get_or_init(look_up), address.get_or_init(look_up));
/// assert_eq!(run(both)?, (&"192.0.2.1", &"192.0.2.1"));
/// assert_eq!(asked.get(), 1);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "SetOnce")]
pub struct OnceCell<T> {
    value: cell::OnceCell<T>,
    /// Somebody makes it, or was told to.
    made: Cell<bool>,
    waiters: Waiters,
}

impl<T> OnceCell<T> {
    /// An empty cell.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::OnceCell::<u8>::new().get(), None);
    /// ```
    pub const fn new() -> Self {
        OnceCell { value: cell::OnceCell::new(), made: Cell::new(false), waiters: Waiters::new() }
    }

    /// The value, if it was made.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::OnceCell::from(5).get(), Some(&5));
    /// ```
    pub fn get(&self) -> Option<&T> {
        self.value.get()
    }

    /// The value, by whoever has the cell alone.
    ///
    /// ```
    /// let mut cell = loopbind::sync::OnceCell::from(5);
    /// *cell.get_mut().unwrap() += 1;
    /// assert_eq!(cell.into_inner(), Some(6));
    /// ```
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut()
    }

    /// Puts a value in that was made otherwise.
    ///
    /// # Errors
    /// The value comes back where there is one, or one is being made: those who wait are to have that one.
    ///
    /// ```
    /// let cell = loopbind::sync::OnceCell::new();
    /// assert_eq!(cell.set(1), Ok(()));
    /// assert_eq!(cell.set(2), Err(2));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        if self.made.get() { Err(value) } else { self.value.set(value) }
    }

    /// The value; made by `init` first, if there is none and nobody makes it.
    ///
    /// A cell that is asked for its value by its own `init` waits for ever.
    ///
    /// # Cancel safety
    /// Dropped while it makes the value, the future drops what it has of it, and the next in line begins
    /// anew; dropped while it waits, it leaves the line.
    ///
    /// ```
    /// use loopbind::{run, sync::OnceCell};
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(run(cell.get_or_init(async || 5))?, &5);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn get_or_init(&self, init: impl AsyncFnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let made: Result<_, Never> = self.get_or_try_init(async || Ok(init().await)).await;
        match made {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// The value; made by `init` first, if there is none and nobody makes it. Where that fails, the next in
    /// line tries.
    ///
    /// # Errors
    /// What `init` fails with, if it was this one's that was called.
    ///
    /// # Cancel safety
    /// As [`get_or_init`](OnceCell::get_or_init).
    ///
    /// ```
    /// use loopbind::{run, sync::OnceCell};
    ///
    /// let cell = OnceCell::new();
    /// assert_eq!(run(cell.get_or_try_init(async || Err("not yet")))?, Err("not yet"));
    /// assert_eq!(run(cell.get_or_try_init(async || Ok::<_, ()>(5)))?, Ok(&5));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn get_or_try_init<E>(
        &self,
        init: impl AsyncFnOnce() -> Result<T, E>,
    ) -> Result<&T, E> {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        if !Awaited::take(self, ()) {
            Wait::new(self, ()).await;
        }
        // There by now, or this one's to make.
        if let Some(value) = self.get() {
            return Ok(value);
        }
        let making = Making { of: self };
        let value = init().await?;
        // Nobody else could: `set` is refused, and this is the only one who makes it.
        let value = self.value.get_or_init(|| value);
        drop(making);
        Ok(value)
    }

    /// The value, if it was made, out of the cell.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::OnceCell::from(5).into_inner(), Some(5));
    /// ```
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// The value, if it was made, out of the cell, which is as new.
    ///
    /// ```
    /// let mut cell = loopbind::sync::OnceCell::from(5);
    /// assert_eq!((cell.take(), cell.get()), (Some(5), None));
    /// ```
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    /// Lets everybody go if the value is there, or the next in line make it.
    fn pass_on(&self) {
        if self.value.get().is_some() {
            self.made.set(false);
            self.waiters.tell_all();
        } else if self.waiters.tell(1) == 0 {
            self.made.set(false);
        }
    }
}

/// The type of no value.
enum Never {}

/// Somebody makes the value, until this drops.
struct Making<'a, T> {
    of: &'a OnceCell<T>,
}

impl<T> Drop for Making<'_, T> {
    fn drop(&mut self) {
        self.of.pass_on();
    }
}

/// What is waited for is the value, or the right to make it.
impl<T> Awaited for OnceCell<T> {
    type Wish = ();

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    fn take(&self, (): ()) -> bool {
        self.value.get().is_some() || !self.made.replace(true)
    }

    fn give_back(&self, (): ()) {
        // With the value there, nobody was given anything that others lack.
        if self.value.get().is_none() {
            self.pass_on();
        }
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        OnceCell::new()
    }
}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        OnceCell { value: value.into(), ..OnceCell::new() }
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cell = f.debug_tuple("OnceCell");
        match self.get() {
            Some(value) => cell.field(value).finish(),
            None => cell.field(&format_args!("<empty>")).finish(),
        }
    }
}
