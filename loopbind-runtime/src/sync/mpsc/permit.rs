//! Places that are kept for items that come later.

use std::fmt;
use std::mem;

use super::{SendError, Sender};

/// A place that is kept for an item. Dropped unused, it goes to the next who waits for one.
///
/// ```
/// use loopbind::sync::mpsc;
///
/// let (sender, _receiver) = mpsc::bounded(1);
/// let permit = sender.try_reserve().unwrap();
/// assert!(sender.try_send("tea").is_err());
/// drop(permit);
/// sender.try_send("tea").unwrap();
/// ```
#[must_use = "a place is given up as soon as its permit is dropped"]
pub struct Permit<'a, T> {
    sender: &'a Sender<T>,
}

impl<'a, T> Permit<'a, T> {
    /// The place is kept already.
    pub(super) fn of(sender: &'a Sender<T>) -> Self {
        Permit { sender }
    }

    /// Sends the item, also where the receiver has closed the channel meanwhile: it waits for what it has
    /// given out places for.
    ///
    /// # Errors
    /// The item comes back where the receiver is gone.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::bounded(1);
    /// let permit = sender.try_reserve().unwrap();
    /// receiver.close();
    /// permit.send("tea").unwrap();
    /// assert_eq!(receiver.try_recv(), Some("tea"));
    /// ```
    pub fn send(self, item: T) -> Result<(), SendError<T>> {
        let channel = &self.sender.channel;
        mem::forget(self);
        channel.push_kept(item).map_err(SendError)
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.sender.channel.give_up_kept();
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").finish_non_exhaustive()
    }
}

/// A place that is kept for an item, with a sender of its own. Dropped unused, it goes to the next who waits for
/// one.
///
/// ```
/// use loopbind::sync::mpsc::{self, OwnedPermit};
///
/// let (sender, mut receiver) = mpsc::bounded(1);
/// let permit: OwnedPermit<&str> = sender.try_reserve_owned().unwrap();
/// let sender = permit.send("tea").unwrap();
/// assert_eq!((receiver.try_recv(), sender.len()), (Some("tea"), 0));
/// ```
#[must_use = "a place is given up as soon as its permit is dropped"]
pub struct OwnedPermit<T> {
    /// `None` when the place is used or given up.
    sender: Option<Sender<T>>,
}

impl<T> OwnedPermit<T> {
    /// The place is kept already.
    pub(super) fn of(sender: Sender<T>) -> Self {
        OwnedPermit { sender: Some(sender) }
    }

    /// As [`Permit::send`]; gives the sender back.
    ///
    /// # Errors
    /// The item comes back where the receiver is gone.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::bounded(1);
    /// let permit = sender.try_reserve_owned().unwrap();
    /// drop(receiver);
    /// assert_eq!(permit.send("tea").unwrap_err().0, "tea");
    /// ```
    pub fn send(mut self, item: T) -> Result<Sender<T>, SendError<T>> {
        let sender = self.take();
        sender.channel.push_kept(item).map_err(SendError)?;
        Ok(sender)
    }

    /// Gives up the place, and the sender back.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, _receiver) = mpsc::bounded(1);
    /// let sender = sender.try_reserve_owned().unwrap().release();
    /// sender.try_send("tea").unwrap();
    /// ```
    pub fn release(mut self) -> Sender<T> {
        let sender = self.take();
        sender.channel.give_up_kept();
        sender
    }

    fn take(&mut self) -> Sender<T> {
        match self.sender.take() {
            Some(sender) => sender,
            None => unreachable!("only its end takes a permit's sender"),
        }
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.channel.give_up_kept();
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit").finish_non_exhaustive()
    }
}
