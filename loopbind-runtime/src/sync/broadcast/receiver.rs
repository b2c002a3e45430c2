//! The ends that receive everything.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};

use super::ring::Received;
use super::{Lagged, RecvError, Shared};
use crate::sync::waiters::Key;

/// An end that receives everything that is sent after it was made, also as a stream.
///
/// ```
/// use futures::StreamExt;
/// use loopbind::sync::broadcast;
///
/// loopbind::run(async {
///     let (sender, receiver) = broadcast::channel(4);
///     sender.send("tea").unwrap();
///     drop(sender);
///     assert_eq!(receiver.collect::<Vec<_>>().await, [Ok("tea")]);
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "a receiver that is dropped receives nothing"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// The position of the next item to receive.
    next: u64,
    /// Its place among those who wait, since it last found nothing.
    key: Option<Key>,
    /// The stream has ended.
    is_done: bool,
}

impl<T> Receiver<T> {
    pub(super) fn of(shared: Rc<Shared<T>>) -> Self {
        shared.receivers.set(shared.receivers.get() + 1);
        let next = shared.ring.borrow().tail();
        Receiver { shared, next, key: None, is_done: false }
    }

    /// Another receiver, for what is sent from now on.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, receiver) = broadcast::channel(4);
    /// sender.send(1).unwrap();
    /// let mut late = receiver.resubscribe();
    /// sender.send(2).unwrap();
    /// assert_eq!(late.try_recv(), Ok(Some(2)));
    /// ```
    pub fn resubscribe(&self) -> Receiver<T> {
        Receiver::of(Rc::clone(&self.shared))
    }

    /// How many items there are for it; those that it missed are not.
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, receiver) = broadcast::channel(4);
    /// sender.send("tea").unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.shared.ring.borrow().len_from(self.next) as usize
    }

    /// Whether there is nothing for it.
    ///
    /// ```
    /// let (_sender, receiver) = loopbind::sync::broadcast::channel::<u32>(4);
    /// assert!(receiver.is_empty());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the last sender is gone. What was sent can still be received.
    ///
    /// ```
    /// let (sender, receiver) = loopbind::sync::broadcast::channel::<u32>(4);
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_closed(&self) -> bool {
        self.shared.senders.get() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// The next item, as soon as there is one. An item whose clone panics is passed over.
    ///
    /// # Errors
    /// [`RecvError::Lagged`] where items were overwritten before this received them: the next call goes on
    /// behind them. [`RecvError::Closed`] where the last sender is gone, and everything was received.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: an item is received only by the poll that gives it.
    ///
    /// ```
    /// use loopbind::sync::broadcast::{self, RecvError};
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = broadcast::channel(2);
    ///     for number in 1..=3 {
    ///         sender.send(number).unwrap();
    ///     }
    ///     drop(sender);
    ///     assert_eq!(receiver.recv().await, Err(RecvError::Lagged(1)));
    ///     assert_eq!(receiver.recv().await, Ok(2));
    ///     assert_eq!(receiver.recv().await, Ok(3));
    ///     assert_eq!(receiver.recv().await, Err(RecvError::Closed));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The next item, if it is there: `None` where it may come yet.
    ///
    /// # Errors
    /// As [`recv`](Receiver::recv).
    ///
    /// ```
    /// use loopbind::sync::broadcast;
    ///
    /// let (sender, mut receiver) = broadcast::channel(2);
    /// assert_eq!(receiver.try_recv(), Ok(None));
    /// sender.send("tea").unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(Some("tea")));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Result<Option<T>, RecvError> {
        let received = self.shared.ring.borrow_mut().receive(&mut self.next);
        match received {
            Received::Item(item) => Ok(Some(item)),
            Received::Share(share) => Ok((*share).clone()),
            Received::Lagged(missed) => Err(RecvError::Lagged(missed)),
            Received::Nothing if self.is_closed() => Err(RecvError::Closed),
            Received::Nothing => Ok(None),
        }
    }

    #[inline]
    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, RecvError>> {
        loop {
            if let Some(received) = self.try_recv().transpose() {
                return Poll::Ready(received);
            }
            let (shared, next) = (&self.shared, self.next);
            let has_come = || shared.ring.borrow().tail() > next || shared.senders.get() == 0;
            ready!(shared.arrived.poll_news(&mut self.key, cx, has_come));
        }
    }
}

impl<T: Clone> Stream for Receiver<T> {
    type Item = Result<T, Lagged>;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_recv(cx)) {
            Ok(item) => Some(Ok(item)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged(missed))),
            Err(RecvError::Closed) => {
                self.is_done = true;
                None
            }
        })
    }
}

impl<T: Clone> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let left = self.shared.receivers.get() - 1;
        self.shared.receivers.set(left);
        // The user's: dropped last, and the waker before them.
        let _unreceived = self.shared.ring.borrow_mut().unsubscribe(self.next);
        let _waker = self.key.take().map(|key| self.shared.arrived.leave(key));
        if left == 0 {
            self.shared.closed.dismiss();
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Receiver");
        debug.field("len", &self.len()).field("is_closed", &self.is_closed()).finish()
    }
}
