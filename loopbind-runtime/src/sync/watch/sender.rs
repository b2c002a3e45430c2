//! The end that changes the value.

use std::fmt;
use std::mem;
use std::rc::Rc;

use super::{Receiver, Ref, SendError, Shared};

/// The end that changes the value. Once the last clone is gone, those who wait for a change hear of it.
///
/// ```
/// use loopbind::sync::watch;
///
/// let (sender, receiver) = watch::channel(0);
/// sender.send_modify(|count| *count += 1);
/// assert_eq!(*receiver.borrow(), 1);
/// ```
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    pub(super) fn of(shared: Rc<Shared<T>>) -> Self {
        shared.senders.set(shared.senders.get() + 1);
        Sender { shared }
    }

    /// Makes this the value, and tells who waits for a change. Who looks at the former value goes on doing so.
    ///
    /// # Errors
    /// The value comes back where there is no receiver. [`send_replace`](Sender::send_replace) needs none.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// sender.send(2).unwrap();
    /// assert_eq!(*receiver.borrow(), 2);
    /// drop(receiver);
    /// assert_eq!(sender.send(3).unwrap_err().0, 3);
    /// ```
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        let _former = {
            let mut place = self.place();
            match Rc::get_mut(&mut place) {
                Some(place) => Former::Value(mem::replace(place, value)),
                // Somebody looks at it.
                None => Former::Seen(mem::replace(&mut *place, Rc::new(value))),
            }
        };
        self.changed();
        // The user's destructor is last, where it runs here at all.
        Ok(())
    }

    /// Makes this the value, tells who waits for a change, and gives the former one.
    ///
    /// # Panics
    /// While a [`Ref`] to the value is held, which then could not be given away; nothing is changed.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, _) = watch::channel(1);
    /// assert_eq!(sender.send_replace(2), 1);
    /// assert_eq!(*sender.borrow(), 2);
    /// ```
    #[track_caller]
    pub fn send_replace(&self, value: T) -> T {
        let mut value = value;
        self.send_modify(|place| mem::swap(place, &mut value));
        value
    }

    /// Changes the value in place, and tells who waits for a change. If the closure panics, nobody is told.
    ///
    /// # Panics
    /// While a [`Ref`] to the value is held: drop it first, or [`send`](Sender::send) another value. Inside the
    /// closure the channel's value cannot be looked at or sent.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(vec!["tea"]);
    /// sender.send_modify(|list| list.push("milk"));
    /// assert_eq!(receiver.borrow().len(), 2);
    /// ```
    #[track_caller]
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value in place, and tells who waits for a change if the closure says that it has changed
    /// something; gives what it says.
    ///
    /// # Panics
    /// As [`send_modify`](Sender::send_modify).
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(5);
    /// let raise = |to| sender.send_if_modified(|most| {
    ///     let is_more = to > *most;
    ///     if is_more {
    ///         *most = to;
    ///     }
    ///     is_more
    /// });
    /// assert!(!raise(3));
    /// assert!(!receiver.has_changed().unwrap());
    /// assert!(raise(8));
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    #[track_caller]
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let is_modified = {
            let mut place = self.place();
            let Some(value) = Rc::get_mut(&mut place) else {
                panic!("the watched value cannot be modified while a `Ref` to it is held")
            };
            modify(value)
        };
        if is_modified {
            self.changed();
        }
        is_modified
    }

    /// The value.
    ///
    /// # Panics
    /// Inside the closure of [`send_modify`](Sender::send_modify) and its like.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, _receiver) = watch::channel(1);
    /// assert_eq!(*sender.borrow(), 1);
    /// ```
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow(false)
    }

    /// Another receiver, which has seen the value that is there now.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, _) = watch::channel(1);
    /// let receiver = sender.subscribe();
    /// sender.send(2).unwrap();
    /// assert!(receiver.has_changed().unwrap());
    /// ```
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::of(Rc::clone(&self.shared), self.shared.version.get())
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::watch;
    ///
    /// loopbind::run(async {
    ///     let (sender, receiver) = watch::channel(1);
    ///     spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert_eq!(sender.receiver_count(), 0);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn closed(&self) {
        self.shared.closed.until(|| self.is_closed()).await;
    }

    /// Whether there is no receiver. There may be one again: see [`subscribe`](Sender::subscribe).
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
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
    /// use loopbind::sync::watch;
    ///
    /// let (sender, receiver) = watch::channel(1);
    /// let _other = receiver.clone();
    /// assert_eq!(sender.receiver_count(), 2);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.get()
    }

    /// How many senders there are.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, _receiver) = watch::channel(1);
    /// let _other = sender.clone();
    /// assert_eq!(sender.sender_count(), 2);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn sender_count(&self) -> usize {
        self.shared.senders.get()
    }

    /// Whether both are of one channel.
    ///
    /// ```
    /// use loopbind::sync::watch;
    ///
    /// let (sender, _receiver) = watch::channel(1);
    /// assert!(sender.same_channel(&sender.clone()));
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn same_channel(&self, other: &Sender<T>) -> bool {
        Rc::ptr_eq(&self.shared, &other.shared)
    }

    #[track_caller]
    fn place(&self) -> std::cell::RefMut<'_, Rc<T>> {
        match self.shared.value.try_borrow_mut() {
            Ok(place) => place,
            Err(_) => {
                panic!("the watched value is being modified: it cannot be changed from in there")
            }
        }
    }

    fn changed(&self) {
        self.shared.version.set(self.shared.version.get() + 1);
        self.shared.changed.dismiss();
    }
}

/// What was replaced: dropped where nothing is borrowed.
#[allow(dead_code)] // Held to be dropped.
enum Former<T> {
    Value(T),
    Seen(Rc<T>),
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender::of(Rc::clone(&self.shared))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let left = self.sender_count() - 1;
        self.shared.senders.set(left);
        if left == 0 {
            self.shared.changed.dismiss();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("version", &self.shared.version.get())
            .field("receivers", &self.receiver_count())
            .finish()
    }
}
