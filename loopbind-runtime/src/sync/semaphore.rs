//! A number of permits, handed out in the order of asking.

use std::cell::Cell;
use std::rc::Rc;
use std::{fmt, mem};

use super::wait::{Awaited, Wait};
use super::waiters::Waiters;

/// A number of permits, of which tasks take and give back. asyncio's `Semaphore`.
///
/// Fair: permits go to those in line in the order in which they came, and who wants many is not passed by
/// those who want few. asyncio's `BoundedSemaphore` guards against giving back twice; here a permit is a
/// value, which cannot be. There is no closing: who is not to wait any more is cancelled. SEM-01, SEM-02.
///
/// ```
/// use futures::future::join_all;
/// use loopbind::sync::Semaphore;
/// use loopbind::{EventLoop, sleep};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let (began, two_at_a_time) = (event_loop.time(), Semaphore::new(2));
/// event_loop.run_until_complete(join_all((0..6).map(|_| async {
///     let _permit = two_at_a_time.acquire().await;
///     sleep(Duration::from_secs(1)).await;
/// })))?;
/// assert_eq!(event_loop.time() - began, Duration::from_secs(3));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("BoundedSemaphore", "CapacityLimiter"))]
pub struct Semaphore {
    /// Those that nobody has, nor was granted.
    free: Cell<usize>,
    waiters: Waiters<usize>,
}

impl Semaphore {
    /// A semaphore with this many permits.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Semaphore::new(3).available(), 3);
    /// ```
    pub const fn new(permits: usize) -> Self {
        Semaphore { free: Cell::new(permits), waiters: Waiters::new() }
    }

    /// Takes a permit as soon as there is one, behind those who asked before.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; a permit that it had been granted goes to the next. SEM-03.
    ///
    /// ```
    /// use loopbind::{run, sync::Semaphore};
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = run(semaphore.acquire())?;
    /// assert_eq!(semaphore.available(), 0);
    /// drop(permit);
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn acquire(&self) -> Permit<'_> {
        if !self.take(1) {
            Wait::new(self, 1).await;
        }
        Permit { of: self, count: 1 }
    }

    /// Takes this many permits at once, as soon as there are so many; nobody behind is served before. It
    /// waits for ever for more than there will ever be.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; what it had been granted goes to the next.
    ///
    /// ```
    /// use loopbind::{run, sync::Semaphore};
    ///
    /// let semaphore = Semaphore::new(3);
    /// let two = run(semaphore.acquire_many(2))?;
    /// assert_eq!((two.count(), semaphore.available()), (2, 1));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn acquire_many(&self, permits: usize) -> Permit<'_> {
        if !self.take(permits) {
            Wait::new(self, permits).await;
        }
        Permit { of: self, count: permits }
    }

    /// As [`acquire`](Semaphore::acquire), for a permit that has a share in the semaphore and goes
    /// wherever it likes.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; a permit that it had been granted goes to the next.
    ///
    /// ```
    /// use loopbind::{run, spawn, sync::Semaphore};
    /// use std::rc::Rc;
    ///
    /// let semaphore = Rc::new(Semaphore::new(1));
    /// run(async {
    ///     let permit = Rc::clone(&semaphore).acquire_owned().await;
    ///     spawn(async move { drop(permit) }).await.unwrap();
    /// })?;
    /// assert_eq!(semaphore.available(), 1);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn acquire_owned(self: Rc<Self>) -> OwnedPermit {
        self.acquire_many_owned(1).await
    }

    /// As [`acquire_many`](Semaphore::acquire_many), for permits that have a share in the semaphore.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; what it had been granted goes to the next.
    ///
    /// ```
    /// use loopbind::{run, sync::Semaphore};
    /// use std::rc::Rc;
    ///
    /// let two = run(Rc::new(Semaphore::new(2)).acquire_many_owned(2))?;
    /// assert_eq!(two.count(), 2);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn acquire_many_owned(self: Rc<Self>, permits: usize) -> OwnedPermit {
        let taken = self.acquire_many(permits).await;
        mem::forget(taken);
        OwnedPermit { of: self, count: permits }
    }

    /// A permit, if there is one and nobody waits for it.
    ///
    /// ```
    /// use loopbind::sync::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// let permit = semaphore.try_acquire().unwrap();
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permit);
    /// assert!(semaphore.try_acquire().is_some());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// This many permits, if there are so many and nobody waits.
    ///
    /// ```
    /// let semaphore = loopbind::sync::Semaphore::new(2);
    /// assert!(semaphore.try_acquire_many(3).is_none());
    /// assert_eq!(semaphore.try_acquire_many(2).unwrap().count(), 2);
    /// ```
    pub fn try_acquire_many(&self, permits: usize) -> Option<Permit<'_>> {
        self.take(permits).then(|| Permit { of: self, count: permits })
    }

    /// As [`try_acquire`](Semaphore::try_acquire), for a permit that has a share in the semaphore.
    ///
    /// ```
    /// use loopbind::sync::Semaphore;
    /// use std::rc::Rc;
    ///
    /// let semaphore = Rc::new(Semaphore::new(1));
    /// let permit = semaphore.clone().try_acquire_owned().unwrap();
    /// assert!(semaphore.clone().try_acquire_owned().is_none());
    /// ```
    pub fn try_acquire_owned(self: Rc<Self>) -> Option<OwnedPermit> {
        self.try_acquire_many_owned(1)
    }

    /// As [`try_acquire_many`](Semaphore::try_acquire_many), for permits that have a share in the semaphore.
    ///
    /// ```
    /// use loopbind::sync::Semaphore;
    /// use std::rc::Rc;
    ///
    /// let semaphore = Rc::new(Semaphore::new(2));
    /// let both = semaphore.clone().try_acquire_many_owned(2).unwrap();
    /// assert_eq!((both.count(), semaphore.available()), (2, 0));
    /// ```
    pub fn try_acquire_many_owned(self: Rc<Self>, permits: usize) -> Option<OwnedPermit> {
        self.take(permits).then(|| OwnedPermit { of: self, count: permits })
    }

    /// How many permits nobody has. Who asks for one waits all the same if somebody in line wants more
    /// than that.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Semaphore::new(3).available(), 3);
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "available_permits")]
    pub fn available(&self) -> usize {
        self.free.get()
    }

    /// Whether [`acquire`](Semaphore::acquire) would have to wait: there is no permit, or somebody is in
    /// line. asyncio's `locked`.
    ///
    /// ```
    /// let semaphore = loopbind::sync::Semaphore::new(1);
    /// assert!(!semaphore.is_locked());
    /// let _permit = semaphore.try_acquire();
    /// assert!(semaphore.is_locked());
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "locked")]
    pub fn is_locked(&self) -> bool {
        self.free.get() == 0 || self.waiters.waiting() > 0
    }

    /// Adds permits that were not there before. asyncio's `release` of what was never acquired.
    ///
    /// # Panics
    /// Where there would be more than `usize::MAX`; nothing is added then.
    ///
    /// ```
    /// let semaphore = loopbind::sync::Semaphore::new(0);
    /// semaphore.add_permits(2);
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    #[track_caller]
    #[doc(alias = "release")]
    pub fn add_permits(&self, permits: usize) {
        let free = self.free.get().checked_add(permits);
        self.free.set(free.expect("a semaphore has at most usize::MAX permits"));
        self.hand_out();
    }

    /// Serves those in line for as long as there is enough for the first.
    #[inline]
    fn hand_out(&self) {
        if self.waiters.waiting() > 0 {
            self.serve();
        }
    }

    fn serve(&self) {
        self.waiters.tell_while(|wanted| match self.free.get().checked_sub(*wanted) {
            Some(rest) => {
                self.free.set(rest);
                true
            }
            None => false,
        });
    }
}

impl Awaited for Semaphore {
    type Wish = usize;

    fn waiters(&self) -> &Waiters<usize> {
        &self.waiters
    }

    #[inline]
    fn take(&self, permits: usize) -> bool {
        match self.free.get().checked_sub(permits) {
            Some(rest) if self.waiters.waiting() == 0 => {
                self.free.set(rest);
                true
            }
            _ => false,
        }
    }

    /// Permits that were added meanwhile may leave no room for these: then there are as many as can be.
    #[inline]
    fn give_back(&self, permits: usize) {
        self.free.set(self.free.get().saturating_add(permits));
        self.hand_out();
    }

    fn line_moved(&self) {
        self.hand_out();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("available", &self.free.get())
            .field("waiters", &self.waiters.waiting())
            .finish()
    }
}

/// Permits of a [`Semaphore`], given back when dropped.
///
/// ```
/// use loopbind::sync::Semaphore;
///
/// let semaphore = Semaphore::new(1);
/// let permit = semaphore.try_acquire();
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// ```
#[must_use = "a permit is given back as soon as it is dropped"]
#[doc(alias = "SemaphorePermit")]
pub struct Permit<'a> {
    of: &'a Semaphore,
    count: usize,
}

/// Permits of a [`Semaphore`] with a share in it, given back when dropped.
///
/// ```
/// use loopbind::sync::Semaphore;
/// use std::rc::Rc;
///
/// let semaphore = Rc::new(Semaphore::new(1));
/// let permit = semaphore.clone().try_acquire_owned();
/// assert_eq!(semaphore.available(), 0);
/// drop(permit);
/// assert_eq!(semaphore.available(), 1);
/// ```
#[must_use = "a permit is given back as soon as it is dropped"]
#[doc(alias = "OwnedSemaphorePermit")]
pub struct OwnedPermit {
    of: Rc<Semaphore>,
    count: usize,
}

impl Permit<'_> {
    /// How many permits it stands for.
    ///
    /// ```
    /// let semaphore = loopbind::sync::Semaphore::new(2);
    /// assert_eq!(semaphore.try_acquire_many(2).unwrap().count(), 2);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Does not give them back: the semaphore has fewer from now on.
    ///
    /// ```
    /// let semaphore = loopbind::sync::Semaphore::new(2);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl OwnedPermit {
    /// How many permits it stands for.
    ///
    /// ```
    /// use loopbind::sync::Semaphore;
    /// use std::rc::Rc;
    ///
    /// assert_eq!(Rc::new(Semaphore::new(2)).try_acquire_owned().unwrap().count(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Does not give them back: the semaphore has fewer from now on.
    ///
    /// ```
    /// use loopbind::sync::Semaphore;
    /// use std::rc::Rc;
    ///
    /// let semaphore = Rc::new(Semaphore::new(2));
    /// semaphore.clone().try_acquire_owned().unwrap().forget();
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.of.give_back(self.count);
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        self.of.give_back(self.count);
    }
}

impl fmt::Debug for Permit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("count", &self.count).finish_non_exhaustive()
    }
}

impl fmt::Debug for OwnedPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").field("count", &self.count).finish_non_exhaustive()
    }
}
