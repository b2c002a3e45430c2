//! The end that sends to all.

use std::fmt;
use std::rc::Rc;

use super::{Receiver, SendError, Shared};

/// The end that sends to all receivers. Once the last clone is gone, they hear of it when they have received
/// everything.
///
/// ```
/// use loopbind::sync::broadcast;
///
/// let (sender, mut receiver) = broadcast::channel(4);
/// assert_eq!(sender.send("tea"), Ok(1));
/// assert_eq!(receiver.try_recv(), Ok(Some("tea")));
/// ```
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn of(shared: Rc<Shared<T>>) -> Self {
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }

    /// Sends an item to all who have subscribed; gives how many there are. It never waits: see
    /// [`channel`](super::channel).
    ///
    /// # Errors
    /// The item comes back where there is no receiver.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, receiver) = broadcast::channel(4);
    /// let _other = sender.subscribe();
    /// assert_eq!(sender.send("tea"), Ok(2));
    /// drop((receiver, _other));
    /// assert_eq!(sender.send("milk").unwrap_err().0, "milk");
    /// ```
    pub fn send(&self, item: T) -> Result<usize, SendError<T>> {
        let receivers = self.receiver_count();
        if receivers == 0 {
            return Err(SendError(item));
        }
        // The user's: dropped last.
        let _overwritten = self.shared.ring.borrow_mut().push(item, receivers);
        self.shared.arrived.dismiss();
        Ok(receivers)
    }

    /// Another receiver, for what is sent from now on.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, _receiver) = broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut late = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(late.try_recv(), Ok(Some(2)));
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::of(Rc::clone(&self.shared))
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::broadcast;
    ///
    /// loopbind::run(async {
    ///     let (sender, receiver) = broadcast::channel::<u32>(4);
    ///     spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn closed(&self) {
        self.shared.closed.until(|| self.is_closed()).await;
    }

    /// Whether there is no receiver. There may be one again: see [`subscribe`](Sender::subscribe).
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, receiver) = broadcast::channel::<u32>(4);
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// How many receivers there are.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, _receiver) = broadcast::channel::<u32>(4);
    /// assert_eq!(sender.receiver_count(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// How many items somebody has still to receive.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, mut receiver) = broadcast::channel(4);
    /// sender.send("tea").unwrap();
    /// assert_eq!(sender.len(), 1);
    /// receiver.try_recv().unwrap();
    /// assert_eq!(sender.len(), 0);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.shared.ring.borrow().len()
    }

    /// Whether everything was received.
    ///
    /// ```
    /// let (sender, _receiver) = loopbind::sync::broadcast::channel::<u32>(4);
    /// assert!(sender.is_empty());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both are of one channel.
    ///
    /// ```
    /// let (sender, _receiver) = loopbind::sync::broadcast::channel::<u32>(4);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender::of(Rc::clone(&self.shared))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.shared.senders.get() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.arrived.dismiss();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Sender");
        debug.field("len", &self.len()).field("receivers", &self.receiver_count()).finish()
    }
}
