//! Waiting for what a lock guards to become as one wants it.

use std::fmt;
use std::future::poll_fn;
use std::task::Poll;

use super::lock::{LockGuard, OwnedLockGuard};
use super::waiters::{KeptWaker, Key, Waiters};

/// Lets tasks wait until what a [`Lock`](super::Lock) guards has changed. asyncio's `Condition`, with the
/// lock in the caller's hands: one lock may have several conditions.
///
/// Waiting gives the lock back and takes it again. Notifying needs no lock; whoever notifies after a change
/// made under it cannot be missed. Those notified come in the order in which they waited, and may find that
/// somebody else was there before: [`wait_for`](Condition::wait_for) looks for itself. CND-01, CND-04.
///
/// ```
/// use loopbind::sync::{Condition, Lock};
/// use loopbind::{run, spawn};
/// use std::collections::VecDeque;
/// use std::rc::Rc;
///
/// run(async {
///     let shared = Rc::new((Lock::new(VecDeque::new()), Condition::new()));
///     let reader = spawn({
///         let shared = Rc::clone(&shared);
///         async move {
///             let (letters, arrived) = &*shared;
///             let guard = letters.lock().await;
///             let mut guard = arrived.wait_for(guard, |letters| !letters.is_empty()).await;
///             guard.pop_front()
///         }
///     });
///     let (letters, arrived) = &*shared;
///     letters.lock().await.push_back("a letter");
///     arrived.notify(1);
///     assert_eq!(reader.await.unwrap(), Some("a letter"));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Condvar")]
pub struct Condition {
    waiters: Waiters,
}

impl Condition {
    /// A condition that nobody waits for.
    ///
    /// ```
    /// let condition = loopbind::sync::Condition::new();
    /// condition.notify_all(); // nobody: nothing happens
    /// assert_eq!(condition.waiting(), 0);
    /// ```
    pub const fn new() -> Self {
        Condition { waiters: Waiters::new() }
    }

    /// Gives the lock back, waits until it is notified, and takes the lock again.
    ///
    /// # Cancel safety
    /// Dropping the future stops the waiting; the lock was given back and stays so, where asyncio takes it
    /// again first. One that had been notified, whether it has come to wait for the lock or not, passes the
    /// notification on. CND-02, CND-03.
    ///
    /// ```
    /// use loopbind::sync::{Condition, Lock};
    /// use loopbind::{run, spawn, yield_now};
    /// use std::rc::Rc;
    ///
    /// run(async {
    ///     let shared = Rc::new((Lock::new(0), Condition::new()));
    ///     let waits = spawn({
    ///         let shared = Rc::clone(&shared);
    ///         async move {
    ///             let guard = shared.0.lock().await;
    ///             *shared.1.wait(guard).await
    ///         }
    ///     });
    ///     yield_now().await;
    ///     *shared.0.lock().await = 42;
    ///     shared.1.notify(1);
    ///     assert_eq!(waits.await.unwrap(), 42);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait<'a, T: ?Sized>(&self, guard: LockGuard<'a, T>) -> LockGuard<'a, T> {
        let lock = guard.of();
        let notice = Notice::receive(self, guard).await;
        let guard = lock.lock().await;
        notice.heed();
        guard
    }

    /// As [`wait`](Condition::wait), for a guard that has a share in its lock.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    ///
    /// ```
    /// use loopbind::sync::{Condition, Lock};
    /// use loopbind::{run, spawn, yield_now};
    /// use std::rc::Rc;
    ///
    /// run(async {
    ///     let (lock, condition) = (Rc::new(Lock::new(0)), Rc::new(Condition::new()));
    ///     let mut guard = Rc::clone(&lock).lock_owned().await;
    ///     let waits = spawn({
    ///         let condition = Rc::clone(&condition);
    ///         async move { *condition.wait_owned(guard).await }
    ///     });
    ///     yield_now().await;
    ///     *lock.lock().await = 42;
    ///     condition.notify(1);
    ///     assert_eq!(waits.await.unwrap(), 42);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait_owned<T: ?Sized>(&self, guard: OwnedLockGuard<T>) -> OwnedLockGuard<T> {
        let lock = guard.of();
        let notice = Notice::receive(self, guard).await;
        let guard = lock.lock_owned().await;
        notice.heed();
        guard
    }

    /// Waits until `is_so` of the value, which is looked at now and each time this is notified.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    ///
    /// ```
    /// use loopbind::sync::{Condition, Lock};
    /// use loopbind::run;
    ///
    /// let (lock, condition) = (Lock::new(3), Condition::new());
    /// run(async {
    ///     let guard = lock.lock().await;
    ///     let guard = condition.wait_for(guard, |value| *value > 2).await; // so already
    ///     assert_eq!(*guard, 3);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait_for<'a, T: ?Sized>(
        &self,
        mut guard: LockGuard<'a, T>,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> LockGuard<'a, T> {
        while !is_so(&mut guard) {
            guard = self.wait(guard).await;
        }
        guard
    }

    /// As [`wait_for`](Condition::wait_for), for a guard that has a share in its lock.
    ///
    /// # Cancel safety
    /// As [`wait`](Condition::wait).
    ///
    /// ```
    /// use loopbind::sync::{Condition, Lock};
    /// use loopbind::run;
    /// use std::rc::Rc;
    ///
    /// let (lock, condition) = (Rc::new(Lock::new(3)), Condition::new());
    /// run(async {
    ///     let guard = lock.lock_owned().await;
    ///     let guard = condition.wait_for_owned(guard, |value| *value > 2).await;
    ///     assert_eq!(*guard, 3);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait_for_owned<T: ?Sized>(
        &self,
        mut guard: OwnedLockGuard<T>,
        mut is_so: impl FnMut(&mut T) -> bool,
    ) -> OwnedLockGuard<T> {
        while !is_so(&mut guard) {
            guard = self.wait_owned(guard).await;
        }
        guard
    }

    /// Lets the first `n` of those who wait go on, or as many as there are.
    ///
    /// ```
    /// let condition = loopbind::sync::Condition::new();
    /// condition.notify(1); // nobody waits, and nobody who comes later has heard it
    /// assert_eq!(condition.waiting(), 0);
    /// ```
    #[doc(alias = "notify_one")]
    pub fn notify(&self, n: usize) {
        self.waiters.tell(n);
    }

    /// Lets everybody go on who waits now.
    ///
    /// ```
    /// let condition = loopbind::sync::Condition::new();
    /// condition.notify_all();
    /// assert_eq!(condition.waiting(), 0);
    /// ```
    #[doc(alias = "notify_waiters")]
    pub fn notify_all(&self) {
        self.waiters.tell_all();
    }

    /// How many wait to be notified.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Condition::new().waiting(), 0);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn waiting(&self) -> usize {
        self.waiters.waiting()
    }
}

/// One notification on its way to who waits for it. Whoever is dropped with one it has received, and has not
/// heeded, notifies the next.
struct Notice<'a> {
    of: &'a Condition,
    progress: Progress,
}

enum Progress {
    New,
    InLine(Key),
    Received,
    Heeded,
}

impl<'a> Notice<'a> {
    /// Joins the line, then lets go of `guard`: what is notified from then on is not missed.
    async fn receive(of: &'a Condition, guard: impl Sized) -> Notice<'a> {
        let mut notice = Notice { of, progress: Progress::New };
        let mut guard = Some(guard);
        poll_fn(|cx| match &notice.progress {
            Progress::New => {
                notice.progress = Progress::InLine(of.waiters.join(KeptWaker::of(cx), ()));
                // The last of this poll: others run, who may notify.
                drop(guard.take());
                Poll::Pending
            }
            Progress::InLine(key) => of.waiters.poll(key, cx),
            Progress::Received | Progress::Heeded => Poll::Ready(()),
        })
        .await;
        if let Progress::InLine(key) = std::mem::replace(&mut notice.progress, Progress::Received) {
            drop(of.waiters.leave(key));
        }
        notice
    }

    fn heed(mut self) {
        self.progress = Progress::Heeded;
    }
}

impl Drop for Notice<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.progress, Progress::Heeded) {
            Progress::InLine(key) => {
                // Its waker is user code: it drops last, when the notification has gone on.
                let left = self.of.waiters.leave(key);
                if left.told {
                    self.of.notify(1);
                }
            }
            Progress::Received => self.of.notify(1),
            Progress::New | Progress::Heeded => {}
        }
    }
}

impl Default for Condition {
    fn default() -> Self {
        Condition::new()
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condition").field("waiters", &self.waiters.waiting()).finish()
    }
}
