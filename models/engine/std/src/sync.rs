//! Locks, and words that threads share.

use ::std::fmt;
use ::std::ops::{Deref, DerefMut};
use ::std::time::Duration;

pub use ::std::sync::*;
pub use shuttle::sync::mpsc;

use crate::time;

pub mod atomic {
    pub use ::std::sync::atomic::*;
    pub use shuttle::sync::atomic::{AtomicBool, AtomicIsize, AtomicPtr, AtomicUsize};
}

pub struct Mutex<T>(shuttle::sync::Mutex<T>);

pub struct MutexGuard<'a, T> {
    /// `None` only while its condition is waited for.
    guard: Option<shuttle::sync::MutexGuard<'a, T>>,
    of: &'a Mutex<T>,
}

impl<T> Mutex<T> {
    pub const fn new(value: T) -> Self {
        Mutex(shuttle::sync::Mutex::new(value))
    }

    fn guard<'a>(&'a self, guard: shuttle::sync::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        MutexGuard { guard: Some(guard), of: self }
    }

    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        match self.0.lock() {
            Ok(guard) => Ok(self.guard(guard)),
            Err(poisoned) => Err(PoisonError::new(self.guard(poisoned.into_inner()))),
        }
    }

    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Ok(self.guard(guard)),
            Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
            Err(TryLockError::Poisoned(poisoned)) => {
                Err(PoisonError::new(self.guard(poisoned.into_inner())).into())
            }
        }
    }

    pub fn into_inner(self) -> LockResult<T> {
        self.0.into_inner()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex { .. }")
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("locked")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("locked")
    }
}

#[derive(Default)]
pub struct Condvar {
    condvar: shuttle::sync::Condvar,
    /// How often somebody was told, for those who do not wait for ever.
    told: atomic::AtomicUsize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    pub const fn new() -> Self {
        Condvar { condvar: shuttle::sync::Condvar::new(), told: atomic::AtomicUsize::new(0) }
    }

    pub fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        let of = guard.of;
        match self.condvar.wait(guard.guard.take().expect("locked")) {
            Ok(guard) => Ok(of.guard(guard)),
            Err(poisoned) => Err(PoisonError::new(of.guard(poisoned.into_inner()))),
        }
    }

    /// Until somebody is told, or the scheduler has the time pass.
    pub fn wait_timeout<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        limit: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (of, before) = (guard.of, self.told.load(atomic::Ordering::Relaxed));
        drop(guard);
        let over = time::wait(limit, || self.told.load(atomic::Ordering::Relaxed) != before);
        match of.lock() {
            Ok(guard) => Ok((guard, WaitTimeoutResult(over))),
            Err(poisoned) => {
                Err(PoisonError::new((poisoned.into_inner(), WaitTimeoutResult(over))))
            }
        }
    }

    pub fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        limit: Duration,
        mut is_early: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let mut over = WaitTimeoutResult(false);
        while !over.timed_out() && is_early(&mut guard) {
            (guard, over) = self.wait_timeout(guard, limit)?;
        }
        Ok((guard, over))
    }

    pub fn notify_one(&self) {
        self.told.fetch_add(1, atomic::Ordering::Relaxed);
        self.condvar.notify_one();
    }

    pub fn notify_all(&self) {
        self.told.fetch_add(1, atomic::Ordering::Relaxed);
        self.condvar.notify_all();
    }
}
