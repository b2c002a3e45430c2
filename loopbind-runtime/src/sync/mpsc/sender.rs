//! The ends that send.

use std::fmt;
use std::rc::{Rc, Weak};

use super::channel::Channel;
use super::{OwnedPermit, Permit, Receiver, SendError};
use crate::sync::TryPut;

/// An end that sends. Clones send to the same receiver, which hears of the end once the last of them is gone.
///
/// ```
/// use loopbind::sync::mpsc;
///
/// let (sender, mut receiver) = mpsc::unbounded();
/// let other = sender.clone();
/// sender.try_send(1).unwrap();
/// other.try_send(2).unwrap();
/// assert_eq!((receiver.try_recv(), receiver.try_recv()), (Some(1), Some(2)));
/// ```
#[doc(alias = "UnboundedSender")]
pub struct Sender<T> {
    pub(super) channel: Rc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(super) fn of(channel: Rc<Channel<T>>) -> Self {
        channel.add_sender();
        Sender { channel }
    }

    /// Sends an item, as soon as there is a place for it; at once where there is no bound.
    ///
    /// # Errors
    /// The item comes back where the receiver is gone or has closed the channel, or does before a place is
    /// free.
    ///
    /// # Cancel safety
    /// An item whose `send` is dropped is dropped with it, and was not sent; the place it was promised goes to
    /// the next in line. To keep the item, [`reserve`](Sender::reserve) first.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = mpsc::bounded(8);
    ///     sender.send("tea").await.unwrap();
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    ///     drop(receiver);
    ///     assert_eq!(sender.send("milk").await.unwrap_err().0, "milk");
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn send(&self, item: T) -> Result<(), SendError<T>> {
        if !self.channel.place().await {
            return Err(SendError(item));
        }
        self.channel.push(item);
        Ok(())
    }

    /// Sends an item, if there is a place that nobody waits for.
    ///
    /// # Errors
    /// The item comes back: [`TryPut::Full`], or [`TryPut::ShutDown`] where the receiver is gone or has
    /// closed the channel.
    ///
    /// ```
    /// use loopbind::sync::{TryPut, mpsc};
    ///
    /// let (sender, receiver) = mpsc::bounded(1);
    /// assert_eq!(sender.try_send(1), Ok(()));
    /// assert_eq!(sender.try_send(2), Err(TryPut::Full(2)));
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(TryPut::ShutDown(3)));
    /// ```
    #[inline]
    pub fn try_send(&self, item: T) -> Result<(), TryPut<T>> {
        if self.channel.is_closed() {
            return Err(TryPut::ShutDown(item));
        }
        if !self.channel.has_place() {
            return Err(TryPut::Full(item));
        }
        self.channel.push(item);
        Ok(())
    }

    /// Waits for a place, and keeps it for an item that is made later.
    ///
    /// # Errors
    /// As [`send`](Sender::send).
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: the place it was promised goes to the next in line.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = mpsc::bounded(1);
    ///     let permit = sender.reserve().await.unwrap();
    ///     assert!(sender.try_send("milk").is_err(), "the place is kept");
    ///     permit.send("tea").unwrap();
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        if !self.channel.place().await {
            return Err(SendError(()));
        }
        self.channel.keep_place();
        Ok(Permit::of(self))
    }

    /// Keeps a place, if there is one that nobody waits for.
    ///
    /// # Errors
    /// As [`try_send`](Sender::try_send).
    ///
    /// ```
    /// use loopbind::sync::{TryPut, mpsc};
    ///
    /// let (sender, _receiver) = mpsc::bounded(1);
    /// let permit = sender.try_reserve().unwrap();
    /// assert!(matches!(sender.try_reserve(), Err(TryPut::Full(()))));
    /// permit.send("tea").unwrap();
    /// ```
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TryPut<()>> {
        self.take_place()?;
        Ok(Permit::of(self))
    }

    /// As [`reserve`](Sender::reserve), with a permit that has the sender and goes wherever it likes.
    ///
    /// # Errors
    /// As for [`send`](Sender::send); the sender goes with it.
    ///
    /// # Cancel safety
    /// Dropping it drops the sender; the place it was promised goes to the next in line.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::mpsc;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = mpsc::bounded(1);
    ///     let permit = sender.clone().reserve_owned().await.unwrap();
    ///     spawn(async move { permit.send("tea") });
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        if !self.channel.place().await {
            return Err(SendError(()));
        }
        self.channel.keep_place();
        Ok(OwnedPermit::of(self))
    }

    /// As [`try_reserve`](Sender::try_reserve), with a permit that has the sender.
    ///
    /// # Errors
    /// As for [`try_send`](Sender::try_send); the sender comes back.
    ///
    /// ```
    /// use loopbind::sync::{TryPut, mpsc};
    ///
    /// let (sender, _receiver) = mpsc::bounded(1);
    /// let permit = sender.clone().try_reserve_owned().unwrap();
    /// let Err(TryPut::Full(sender)) = sender.try_reserve_owned() else { panic!() };
    /// permit.send("tea").unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TryPut<Sender<T>>> {
        match self.take_place() {
            Ok(()) => Ok(OwnedPermit::of(self)),
            Err(TryPut::Full(())) => Err(TryPut::Full(self)),
            Err(TryPut::ShutDown(())) => Err(TryPut::ShutDown(self)),
        }
    }

    /// Waits until the receiver is gone or has closed the channel.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::mpsc;
    ///
    /// loopbind::run(async {
    ///     let (sender, receiver) = mpsc::unbounded::<u32>();
    ///     spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn closed(&self) {
        self.channel.closed.until(|| self.is_closed()).await;
    }

    /// Whether the receiver is gone or has closed the channel.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded::<u32>();
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// How many items wait to be received.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, _receiver) = mpsc::unbounded();
    /// sender.try_send("tea").unwrap();
    /// assert_eq!(sender.len(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// Whether nothing waits to be received.
    ///
    /// ```
    /// let (sender, _receiver) = loopbind::sync::mpsc::unbounded::<u32>();
    /// assert!(sender.is_empty());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items have room in the channel; `None` where there is no bound.
    ///
    /// ```
    /// let (sender, _receiver) = loopbind::sync::mpsc::bounded::<u32>(5);
    /// assert_eq!(sender.capacity(), Some(5));
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "max_capacity")]
    pub fn capacity(&self) -> Option<usize> {
        let capacity = self.channel.capacity;
        (capacity != usize::MAX).then_some(capacity)
    }

    /// Whether both send to the same receiver.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, _receiver) = mpsc::unbounded::<u32>();
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.channel, &other.channel)
    }

    /// Whether `receiver` receives what this sends.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded::<u32>();
    /// assert!(sender.sends_to(&receiver));
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn sends_to(&self, receiver: &Receiver<T>) -> bool {
        Rc::ptr_eq(&self.channel, &receiver.channel)
    }

    /// A sender that does not keep the channel open.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// let weak = sender.downgrade();
    /// weak.upgrade().unwrap().try_send("tea").unwrap();
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// assert_eq!(receiver.try_recv(), Some("tea"));
    /// ```
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender { channel: Rc::downgrade(&self.channel) }
    }

    fn take_place(&self) -> Result<(), TryPut<()>> {
        if self.channel.is_closed() {
            return Err(TryPut::ShutDown(()));
        }
        if !self.channel.has_place() {
            return Err(TryPut::Full(()));
        }
        self.channel.keep_place();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    #[inline]
    fn clone(&self) -> Self {
        Sender::of(Rc::clone(&self.channel))
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("is_closed", &self.is_closed())
            .finish()
    }
}

/// A sender that does not keep its channel open: once the last [`Sender`] is gone, it has nobody to send to.
///
/// ```
/// use loopbind::sync::mpsc;
///
/// let (sender, _receiver) = mpsc::unbounded::<u32>();
/// let weak = sender.downgrade();
/// assert!(weak.upgrade().unwrap().same_channel(&sender));
/// ```
pub struct WeakSender<T> {
    channel: Weak<Channel<T>>,
}

impl<T> WeakSender<T> {
    /// A sender, if there is another still.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, _receiver) = mpsc::unbounded::<u32>();
    /// let weak = sender.downgrade();
    /// drop(sender);
    /// assert!(weak.upgrade().is_none());
    /// ```
    #[must_use = "a sender that is dropped at once sends nothing"]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let channel = self.channel.upgrade().filter(|channel| channel.senders() > 0)?;
        Some(Sender::of(channel))
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        WeakSender { channel: Weak::clone(&self.channel) }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish_non_exhaustive()
    }
}
