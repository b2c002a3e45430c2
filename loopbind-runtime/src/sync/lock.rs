//! A value that one task has at a time.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use super::place::{Exclusive, Holder, Place, lends_its_value, shows_its_value};
use super::wait::{Awaited, Wait};
use super::waiters::Waiters;

/// A value that one task has at a time, also across `await`. asyncio's `Lock`, with what it guards inside.
///
/// Fair: those who wait get it in the order in which they came, and a lock that was handed to one of them is
/// not free, not even for [`try_lock`](Lock::try_lock), before that one has had it. It is not reentrant: a
/// task that waits for a lock it has itself waits for ever. A panic while it is held gives it back like any
/// other end; nothing is poisoned. LCK-01, LCK-02.
///
/// What is not held across `await` needs no lock on one thread: a `RefCell` or a `Cell` will do.
///
/// ```
/// use loopbind::sync::Lock;
/// use loopbind::{run, spawn, yield_now};
/// use std::rc::Rc;
///
/// let ledger = Rc::new(Lock::new(Vec::new()));
/// run(async {
///     let add = |name: &'static str| {
///         let ledger = Rc::clone(&ledger);
///         spawn(async move {
///             let mut ledger = ledger.lock().await;
///             ledger.push(format!("{name} begins"));
///             yield_now().await; // nobody comes between
///             ledger.push(format!("{name} ends"));
///         })
///     };
///     let (one, two) = (add("one"), add("two"));
///     one.await.unwrap();
///     two.await.unwrap();
/// })?;
/// let ledger = Rc::into_inner(ledger).unwrap().into_inner();
/// assert_eq!(ledger, ["one begins", "one ends", "two begins", "two ends"]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("Mutex", "StrictFIFOLock"))]
pub struct Lock<T: ?Sized> {
    /// Somebody has it, or was told to come and take it.
    locked: Cell<bool>,
    waiters: Waiters,
    place: Place<T>,
}

impl<T> Lock<T> {
    /// A lock around `value`, which nobody has.
    ///
    /// ```
    /// assert_eq!(*loopbind::sync::Lock::new(5).try_lock().unwrap(), 5);
    /// ```
    pub const fn new(value: T) -> Self {
        Lock { locked: Cell::new(false), waiters: Waiters::new(), place: Place::new(value) }
    }

    /// The value, out of the lock.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Lock::new(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.place.into_inner()
    }
}

impl<T: ?Sized> Lock<T> {
    /// Takes it as soon as it is free, behind those who asked before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; a lock that had been handed to it goes to the next. LCK-03.
    ///
    /// ```
    /// use loopbind::{run, sync::Lock};
    ///
    /// let lock = Lock::new(1);
    /// run(async { *lock.lock().await += 1 })?;
    /// assert_eq!(lock.into_inner(), 2);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "acquire")]
    pub async fn lock(&self) -> LockGuard<'_, T> {
        if !self.take(()) {
            Wait::new(self, ()).await;
        }
        LockGuard(Exclusive::take(self))
    }

    /// As [`lock`](Lock::lock), with a guard that has a share in the lock and goes wherever it likes.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; a lock that had been handed to it goes to the next.
    ///
    /// ```
    /// use loopbind::{run, spawn, sync::Lock};
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(Lock::new(1));
    /// run(async {
    ///     let mut guard = Rc::clone(&lock).lock_owned().await;
    ///     spawn(async move { *guard += 1 }).await.unwrap();
    /// })?;
    /// assert_eq!(*lock.try_lock().unwrap(), 2);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn lock_owned(self: Rc<Self>) -> OwnedLockGuard<T> {
        if !self.take(()) {
            Wait::new(&*self, ()).await;
        }
        OwnedLockGuard(Exclusive::take(self))
    }

    /// Takes it if it is free now.
    ///
    /// ```
    /// let lock = loopbind::sync::Lock::new(());
    /// let guard = lock.try_lock();
    /// assert!(guard.is_some() && lock.try_lock().is_none());
    /// ```
    pub fn try_lock(&self) -> Option<LockGuard<'_, T>> {
        self.take(()).then(|| LockGuard(Exclusive::take(self)))
    }

    /// As [`try_lock`](Lock::try_lock), with a guard that has a share in the lock.
    ///
    /// ```
    /// use std::rc::Rc;
    ///
    /// let lock = Rc::new(loopbind::sync::Lock::new(()));
    /// let guard = lock.clone().try_lock_owned();
    /// assert!(guard.is_some() && lock.try_lock().is_none());
    /// ```
    pub fn try_lock_owned(self: Rc<Self>) -> Option<OwnedLockGuard<T>> {
        self.take(()).then(|| OwnedLockGuard(Exclusive::take(self)))
    }

    /// Whether [`lock`](Lock::lock) would have to wait: somebody has it, or was handed it.
    ///
    /// ```
    /// assert!(!loopbind::sync::Lock::new(()).is_locked());
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.locked.get()
    }

    /// The value, by whoever has the lock alone anyway.
    ///
    /// ```
    /// let mut lock = loopbind::sync::Lock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.place.get_mut()
    }

    /// Hands it to the first in line, or leaves it free.
    #[inline]
    fn pass_on(&self) {
        if self.waiters.waiting() == 0 {
            self.locked.set(false);
        } else {
            self.waiters.tell(1);
        }
    }
}

impl<T: ?Sized> Awaited for Lock<T> {
    type Wish = ();

    fn waiters(&self) -> &Waiters {
        &self.waiters
    }

    #[inline]
    fn take(&self, (): ()) -> bool {
        !self.locked.replace(true)
    }

    fn give_back(&self, (): ()) {
        self.pass_on();
    }
}

impl<T: ?Sized> Holder<T> for Lock<T> {
    #[inline]
    fn place(&self) -> &Place<T> {
        &self.place
    }

    #[inline]
    fn exclusive_gone(&self) {
        self.pass_on();
    }
}

impl<T: Default> Default for Lock<T> {
    fn default() -> Self {
        Lock::new(T::default())
    }
}

impl<T> From<T> for Lock<T> {
    fn from(value: T) -> Self {
        Lock::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Lock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lock = f.debug_struct("Lock");
        match self.try_lock() {
            Some(value) => lock.field("value", &&*value),
            None => lock.field("value", &format_args!("<locked>")),
        };
        lock.field("waiters", &self.waiters.waiting()).finish()
    }
}

/// The right to a [`Lock`]'s value, given back when dropped.
///
/// ```
/// use loopbind::sync::{Lock, LockGuard};
///
/// fn append(mut log: LockGuard<'_, Vec<u32>>) {
///     log.push(7);
/// }
///
/// let lock = Lock::new(Vec::new());
/// append(lock.try_lock().unwrap());
/// assert_eq!(lock.into_inner(), [7]);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
#[doc(alias = "MutexGuard")]
pub struct LockGuard<'a, T: ?Sized>(Exclusive<&'a Lock<T>, T>);

/// The right to a [`Lock`]'s value, with a share in the lock; given back when dropped.
///
/// ```
/// use loopbind::sync::{Lock, OwnedLockGuard};
/// use std::rc::Rc;
///
/// fn anywhere() -> OwnedLockGuard<u32> {
///     Rc::new(Lock::new(7)).try_lock_owned().unwrap()
/// }
///
/// assert_eq!(*anywhere(), 7);
/// ```
#[must_use = "a lock is given back as soon as its guard is dropped"]
#[doc(alias = "OwnedMutexGuard")]
pub struct OwnedLockGuard<T: ?Sized>(Exclusive<Rc<Lock<T>>, T>);

lends_its_value!(LockGuard<'_, T>);
lends_its_value!(OwnedLockGuard<T>);

impl<'a, T: ?Sized> LockGuard<'a, T> {
    pub(super) fn of(&self) -> &'a Lock<T> {
        self.0.keeper()
    }
}

impl<T: ?Sized> OwnedLockGuard<T> {
    pub(super) fn of(&self) -> Rc<Lock<T>> {
        Rc::clone(self.0.keeper())
    }
}
