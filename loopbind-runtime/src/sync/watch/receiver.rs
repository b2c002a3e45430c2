//! The ends that watch.

use std::fmt;
use std::rc::Rc;

use super::{Closed, Ref, Shared};

/// An end that watches the value. Each remembers which version it has seen.
///
/// ```
/// use loopbind::sync::watch;
///
/// let (sender, mut receiver) = watch::channel(1);
/// sender.send(2).unwrap();
/// sender.send(3).unwrap();
/// assert!(receiver.has_changed().unwrap());
/// assert_eq!(*receiver.borrow_and_update(), 3);
/// assert!(!receiver.has_changed().unwrap());
/// ```
#[must_use = "a receiver that is dropped sees nothing"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    seen: u64,
}

impl<T> Receiver<T> {
    pub(super) fn of(shared: Rc<Shared<T>>, seen: u64) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        Receiver { shared, seen }
    }

    /// The value, which still counts as unseen if it was.
    ///
    /// # Panics
    /// Inside the closure of [`Sender::send_modify`](super::Sender::send_modify) and its like.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow(self.is_behind())
    }

    /// The value, which counts as seen from now on.
    ///
    /// # Panics
    /// Inside the closure of [`Sender::send_modify`](super::Sender::send_modify) and its like.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, mut receiver) = watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow_and_update(), 2);
    /// assert!(!receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let is_behind = self.is_behind();
        let value = self.shared.borrow(is_behind);
        self.mark_unchanged();
        value
    }

    /// Waits until there is a value that this receiver has not seen, which then counts as seen. At once where
    /// there is one already.
    ///
    /// # Errors
    /// [`Closed`] where the last sender is gone, and its last value was seen.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: a change that it was woken for is still unseen.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = watch::channel(1);
    ///     sender.send(2).unwrap();
    ///     drop(sender);
    ///     assert!(receiver.changed().await.is_ok());
    ///     assert!(receiver.changed().await.is_err());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn changed(&mut self) -> Result<(), Closed> {
        self.news().await;
        if !self.is_behind() {
            return Err(Closed);
        }
        self.mark_unchanged();
        Ok(())
    }

    /// Waits until the value, seen before or not, is as wanted; and counts each that it looked at as seen.
    ///
    /// # Errors
    /// [`Closed`] where the last sender is gone, and its last value was not as wanted.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing but what it has looked at: those values count as seen.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::watch;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = watch::channel(1);
    ///     spawn(async move { sender.send(5) });
    ///     assert_eq!(*receiver.wait_for(|value| *value > 3).await.unwrap(), 5);
    ///     assert!(receiver.wait_for(|value| *value > 9).await.is_err());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait_for(
        &mut self,
        mut is_wanted: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        loop {
            let value = self.shared.borrow(self.is_behind());
            self.mark_unchanged();
            if is_wanted(&value) {
                return Ok(value);
            }
            // A look must not be held while waiting: the value may be modified.
            drop(value);
            self.news().await;
            if !self.is_behind() {
                return Err(Closed);
            }
        }
    }

    /// Whether there is a value that this receiver has not seen.
    ///
    /// # Errors
    /// [`Closed`] where the last sender is gone, and its last value was seen.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// sender.send(2).unwrap();
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    pub fn has_changed(&self) -> Result<bool, Closed> {
        match self.is_behind() {
            false if self.shared.senders.get() == 0 => Err(Closed),
            is_behind => Ok(is_behind),
        }
    }

    /// Counts the value as unseen, whatever was seen before.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (_sender, mut receiver) = watch::channel(1);
    /// receiver.mark_changed();
    /// assert_eq!(receiver.has_changed(), Ok(true));
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen = self.shared.version.get().wrapping_sub(1);
    }

    /// Counts the value as seen.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, mut receiver) = watch::channel(1);
    /// sender.send(2).unwrap();
    /// receiver.mark_unchanged();
    /// assert_eq!(receiver.has_changed(), Ok(false));
    /// ```
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version.get();
    }

    /// Whether both are of one channel.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (_sender, receiver) = watch::channel(1);
    /// assert!(receiver.same_channel(&receiver.clone()));
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn same_channel(&self, other: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    #[inline]
    fn is_behind(&self) -> bool {
        self.shared.version.get() != self.seen
    }

    /// Waits for a version that was not seen, or for the end of the last sender.
    async fn news(&self) {
        let ended = || self.shared.senders.get() == 0;
        self.shared.changed.until(|| self.is_behind() || ended()).await;
    }
}

impl<T> Clone for Receiver<T> {
    /// The clone has seen what this has.
    fn clone(&self) -> Self {
        Receiver::of(Rc::clone(&self.shared), self.seen)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        if left == 0 {
            self.shared.closed.dismiss();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("has_changed", &self.has_changed()).finish()
    }
}
