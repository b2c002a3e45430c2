//! The end that receives.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::channel::Channel;

/// The end that receives, also as a stream. Dropped, it closes the channel, and drops what was not received.
///
/// ```
/// use futures::StreamExt;
/// use loopbind::sync::mpsc;
///
/// loopbind::run(async {
///     let (sender, receiver) = mpsc::unbounded();
///     sender.send(1).await.unwrap();
///     sender.send(2).await.unwrap();
///     drop(sender);
///     assert_eq!(receiver.collect::<Vec<_>>().await, [1, 2]);
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[must_use = "a receiver that is dropped closes its channel"]
pub struct Receiver<T> {
    pub(super) channel: Rc<Channel<T>>,
    /// The stream has ended.
    pub(super) is_done: bool,
}

impl<T> Receiver<T> {
    /// The next item, as soon as there is one. `None`: the last sender is gone, or the channel was
    /// [closed](Receiver::close), and everything was received.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: an item is taken only by the poll that gives it.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// loopbind::run(async {
    ///     let (sender, mut receiver) = mpsc::unbounded();
    ///     sender.send("tea").await.unwrap();
    ///     drop(sender);
    ///     assert_eq!(receiver.recv().await, Some("tea"));
    ///     assert_eq!(receiver.recv().await, None);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[inline]
    pub fn recv(&mut self) -> impl Future<Output = Option<T>> {
        // Not an `async fn`, which would have to remember how far it is.
        poll_fn(|cx| self.channel.poll_pop(cx))
    }

    /// The next item, if it is there. `None` where it is not there yet, and where none will come any more, which
    /// [`is_closed`](Receiver::is_closed) tells apart.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// assert_eq!(receiver.try_recv(), None);
    /// sender.try_send("tea").unwrap();
    /// assert_eq!(receiver.try_recv(), Some("tea"));
    /// ```
    #[inline]
    pub fn try_recv(&mut self) -> Option<T> {
        self.channel.pop()
    }

    /// Wants nothing new: sending fails from now on, also for those who wait for a place. What is there can
    /// still be received, and so can what a [`Permit`](super::Permit) was given out for.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, mut receiver) = mpsc::unbounded();
    /// sender.try_send("tea").unwrap();
    /// receiver.close();
    /// assert!(sender.try_send("milk").is_err());
    /// assert_eq!(receiver.try_recv(), Some("tea"));
    /// ```
    pub fn close(&self) {
        self.channel.close();
    }

    /// Whether nothing new will come: the last sender is gone, or the channel was closed.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded::<u32>();
    /// assert!(!receiver.is_closed());
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed() || self.channel.senders() == 0
    }

    /// How many items wait to be received.
    ///
    /// ```
    /// use loopbind::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::unbounded();
    /// sender.try_send("tea").unwrap();
    /// assert_eq!(receiver.len(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.channel.len()
    }

    /// Whether nothing waits to be received.
    ///
    /// ```
    /// let (_sender, receiver) = loopbind::sync::mpsc::unbounded::<u32>();
    /// assert!(receiver.is_empty());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    #[inline]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let polled = self.channel.poll_pop(cx);
        if let Poll::Ready(None) = polled {
            self.is_done = true;
        }
        polled
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.len();
        (len, (!self.channel.is_fed()).then_some(len))
    }
}

impl<T> FusedStream for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.channel.abandon();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Receiver");
        debug.field("len", &self.len()).field("is_closed", &self.is_closed()).finish()
    }
}
