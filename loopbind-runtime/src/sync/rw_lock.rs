//! A value that several tasks look at, or one changes.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::place::{Exclusive, Holder, Place, Shared, lends_its_value, shows_its_value};
use super::wait::{Awaited, Wait};
use super::waiters::Waiters;

/// `holders` while somebody may write.
const WRITER: usize = usize::MAX;

/// A value that several tasks look at together, or one has to itself, also across `await`.
///
/// Fair, in strict order: readers and writers stand in one line. A reader that comes behind a waiting writer
/// waits for it, so writers are not starved by readers, nor readers by writers; readers that stand next to
/// each other are let in together. So a task that reads already and asks to read again waits for ever, if a
/// writer came in between. Nothing is poisoned by a panic.
///
/// ```
/// use loopbind::{run, sync::RwLock};
///
/// let settings = RwLock::new(vec!["quiet"]);
/// run(async {
///     {
///         let (one, other) = (settings.read().await, settings.read().await); // together
///         assert_eq!(one.len() + other.len(), 2);
///     }
///     settings.write().await.push("fast"); // alone
/// })?;
/// assert_eq!(settings.into_inner(), ["quiet", "fast"]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct RwLock<T: ?Sized> {
    /// `WRITER`, or the number of readers; with those who were told to come in.
    holders: Cell<usize>,
    waiters: Waiters<Access>,
    place: Place<T>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Access {
    Read,
    Write,
}

impl<T> RwLock<T> {
    /// A lock around `value`, which nobody has.
    ///
    /// ```
    /// assert_eq!(*loopbind::sync::RwLock::new(5).try_read().unwrap(), 5);
    /// ```
    pub const fn new(value: T) -> Self {
        RwLock { holders: Cell::new(0), waiters: Waiters::new(), place: Place::new(value) }
    }

    /// The value, out of the lock.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::RwLock::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.place.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Comes in to look as soon as nobody writes, behind those who asked before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; if it had been let in, the next is.
    ///
    /// ```
    /// use loopbind::{run, sync::RwLock};
    ///
    /// let lock = RwLock::new(5);
    /// assert_eq!(*run(lock.read())?, 5);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        self.enter(Access::Read).await;
        RwLockReadGuard(Shared::take(self))
    }

    /// Comes in to write as soon as nobody else is there, behind those who asked before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; if it had been let in, the next is, and readers that stood
    /// behind it may be at once.
    ///
    /// ```
    /// use loopbind::{run, sync::RwLock};
    ///
    /// let lock = RwLock::new(5);
    /// *run(lock.write())? += 1;
    /// assert_eq!(lock.into_inner(), 6);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.enter(Access::Write).await;
        RwLockWriteGuard(Exclusive::take(self))
    }

    /// As [`read`](RwLock::read), with a guard that has a share in the lock and goes wherever it likes.
    ///
    /// # Cancel safety
    /// As [`read`](RwLock::read).
    ///
    /// ```
    /// use loopbind::{run, spawn, sync::RwLock};
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(RwLock::new(5));
    /// let seen = run(async {
    ///     let guard = lock.read_owned().await;
    ///     spawn(async move { *guard }).await.unwrap()
    /// })?;
    /// assert_eq!(seen, 5);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn read_owned(self: Rc<Self>) -> OwnedRwLockReadGuard<T> {
        self.enter(Access::Read).await;
        OwnedRwLockReadGuard(Shared::take(self))
    }

    /// As [`write`](RwLock::write), with a guard that has a share in the lock and goes wherever it likes.
    ///
    /// # Cancel safety
    /// As [`write`](RwLock::write).
    ///
    /// ```
    /// use loopbind::{run, spawn, sync::RwLock};
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(RwLock::new(5));
    /// run(async {
    ///     let mut guard = Rc::clone(&lock).write_owned().await;
    ///     spawn(async move { *guard += 1 }).await.unwrap()
    /// })?;
    /// assert_eq!(*lock.try_read().unwrap(), 6);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn write_owned(self: Rc<Self>) -> OwnedRwLockWriteGuard<T> {
        self.enter(Access::Write).await;
        OwnedRwLockWriteGuard(Exclusive::take(self))
    }

    /// Comes in to look, if nobody writes and nobody waits.
    ///
    /// ```
    /// let lock = loopbind::sync::RwLock::new(());
    /// let writes = lock.try_write();
    /// assert!(lock.try_read().is_none());
    /// drop(writes);
    /// assert!(lock.try_read().is_some());
    /// ```
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.take(Access::Read).then(|| RwLockReadGuard(Shared::take(self)))
    }

    /// Comes in to write, if nobody is there and nobody waits.
    ///
    /// ```
    /// let lock = loopbind::sync::RwLock::new(());
    /// let reads = lock.try_read();
    /// assert!(lock.try_write().is_none());
    /// drop(reads);
    /// assert!(lock.try_write().is_some());
    /// ```
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.take(Access::Write).then(|| RwLockWriteGuard(Exclusive::take(self)))
    }

    /// As [`try_read`](RwLock::try_read), with a guard that has a share in the lock.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(loopbind::sync::RwLock::new(5));
    /// assert_eq!(*lock.try_read_owned().unwrap(), 5);
    /// ```
    pub fn try_read_owned(self: Rc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        self.take(Access::Read).then(|| OwnedRwLockReadGuard(Shared::take(self)))
    }

    /// As [`try_write`](RwLock::try_write), with a guard that has a share in the lock.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(loopbind::sync::RwLock::new(5));
    /// *lock.clone().try_write_owned().unwrap() += 1;
    /// assert_eq!(*lock.try_read().unwrap(), 6);
    /// ```
    pub fn try_write_owned(self: Rc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        self.take(Access::Write).then(|| OwnedRwLockWriteGuard(Exclusive::take(self)))
    }

    /// The value, by whoever has the lock alone anyway.
    ///
    /// ```
    /// let mut lock = loopbind::sync::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.place.get_mut()
    }

    async fn enter(&self, access: Access) {
        if !self.take(access) {
            Wait::new(self, access).await;
        }
    }

    /// Lets one more in, if who is there allows it.
    fn admit(&self, access: Access) -> bool {
        let holders = match (access, self.holders.get()) {
            (Access::Write, 0) => WRITER,
            // One short of `WRITER`, which is another thing.
            (Access::Read, readers) if readers < WRITER - 1 => readers + 1,
            _ => return false,
        };
        self.holders.set(holders);
        true
    }

    fn let_in(&self) {
        if self.waiters.waiting() > 0 {
            self.waiters.tell_while(|access| self.admit(*access));
        }
    }

    /// The writer looks on, and those who wait to look may come in.
    fn downgrade(&self) {
        self.holders.set(1);
        self.let_in();
    }
}

impl<T: ?Sized> Awaited for RwLock<T> {
    type Wish = Access;

    fn waiters(&self) -> &Waiters<Access> {
        &self.waiters
    }

    #[inline]
    fn take(&self, access: Access) -> bool {
        self.waiters.waiting() == 0 && self.admit(access)
    }

    #[inline]
    fn give_back(&self, access: Access) {
        self.holders.set(match access {
            Access::Read => self.holders.get() - 1,
            Access::Write => 0,
        });
        self.let_in();
    }

    fn line_moved(&self) {
        self.let_in();
    }
}

impl<T: ?Sized> Holder<T> for RwLock<T> {
    #[inline]
    fn place(&self) -> &Place<T> {
        &self.place
    }

    #[inline]
    fn exclusive_gone(&self) {
        self.give_back(Access::Write);
    }

    #[inline]
    fn shared_gone(&self) {
        self.give_back(Access::Read);
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        RwLock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("RwLock");
        match self.try_read() {
            Some(value) => lock.field("value", &&*value),
            None => lock.field("value", &format_args!("<locked>")),
        };
        lock.field("waiters", &self.waiters.waiting()).finish()
    }
}

/// The right to look at a [`RwLock`]'s value, given back when dropped.
///
/// ```
/// use loopbind::sync::{RwLock, RwLockReadGuard};
///
/// fn total(prices: &RwLockReadGuard<'_, Vec<u32>>) -> u32 {
///     prices.iter().sum()
/// }
///
/// let prices = RwLock::new(vec![3, 4]);
/// assert_eq!(total(&prices.try_read().unwrap()), 7);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
pub struct RwLockReadGuard<'a, T: ?Sized>(Shared<&'a RwLock<T>, T>);

/// The right to change a [`RwLock`]'s value, given back when dropped.
///
/// ```
/// use loopbind::sync::{RwLock, RwLockWriteGuard};
///
/// fn raise(prices: &mut RwLockWriteGuard<'_, Vec<u32>>) {
///     prices.iter_mut().for_each(|price| *price += 1);
/// }
///
/// let prices = RwLock::new(vec![3, 4]);
/// raise(&mut prices.try_write().unwrap());
/// assert_eq!(prices.into_inner(), [4, 5]);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
pub struct RwLockWriteGuard<'a, T: ?Sized>(Exclusive<&'a RwLock<T>, T>);

/// The right to look at a [`RwLock`]'s value, with a share in the lock; given back when dropped.
///
/// ```
/// use loopbind::sync::{OwnedRwLockReadGuard, RwLock};
/// use std::rc::Rc;
///
/// fn anywhere() -> OwnedRwLockReadGuard<u32> {
///     Rc::new(RwLock::new(7)).try_read_owned().unwrap()
/// }
///
/// assert_eq!(*anywhere(), 7);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
pub struct OwnedRwLockReadGuard<T: ?Sized>(Shared<Rc<RwLock<T>>, T>);

/// The right to change a [`RwLock`]'s value, with a share in the lock; given back when dropped.
///
/// ```
/// use loopbind::sync::{OwnedRwLockWriteGuard, RwLock};
/// use std::rc::Rc;
///
/// fn anywhere() -> OwnedRwLockWriteGuard<u32> {
///     Rc::new(RwLock::new(7)).try_write_owned().unwrap()
/// }
///
/// assert_eq!(*anywhere(), 7);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
pub struct OwnedRwLockWriteGuard<T: ?Sized>(Exclusive<Rc<RwLock<T>>, T>);

shows_its_value!(RwLockReadGuard<'_, T>);
shows_its_value!(OwnedRwLockReadGuard<T>);
lends_its_value!(RwLockWriteGuard<'_, T>);
lends_its_value!(OwnedRwLockWriteGuard<T>);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Goes on looking at the value, and lets others look: nobody writes in between.
    ///
    /// ```
    /// use loopbind::sync::{RwLock, RwLockWriteGuard};
    ///
    /// let lock = RwLock::new(1);
    /// let mut writes = lock.try_write().unwrap();
    /// *writes = 2;
    /// let looks = RwLockWriteGuard::downgrade(writes);
    /// assert_eq!((*looks, *lock.try_read().unwrap()), (2, 2));
    /// ```
    pub fn downgrade(this: Self) -> RwLockReadGuard<'a, T> {
        let guard = RwLockReadGuard(this.0.downgrade());
        guard.0.keeper().downgrade();
        guard
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// Goes on looking at the value, and lets others look: nobody writes in between.
    ///
    /// ```
    /// use loopbind::sync::{OwnedRwLockWriteGuard, RwLock};
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(RwLock::new(1));
    /// let writes = lock.clone().try_write_owned().unwrap();
    /// let looks = OwnedRwLockWriteGuard::downgrade(writes);
    /// assert_eq!((*looks, *lock.try_read().unwrap()), (1, 1));
    /// ```
    pub fn downgrade(this: Self) -> OwnedRwLockReadGuard<T> {
        let guard = OwnedRwLockReadGuard(this.0.downgrade());
        guard.0.keeper().downgrade();
        guard
    }
}
