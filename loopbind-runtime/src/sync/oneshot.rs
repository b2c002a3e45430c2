//! One value, from one sender to one receiver.

use std::cell::{Cell, OnceCell};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::future::FusedFuture;

use super::line::Line;
use super::waker_slot::WakerSlot;

pub use super::closed::Closed;

/// A channel for one value, between two tasks of one thread.
///
/// ```
/// use loopbind::spawn;
/// use loopbind::sync::oneshot;
///
/// loopbind::run(async {
///     let (sender, receiver) = oneshot::channel();
///     spawn(async move { sender.send("tea").unwrap() });
///     assert_eq!(receiver.await, Ok("tea"));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("create_future", "started"))]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared {
        phase: Cell::new(Phase::Open),
        value: Cell::new(None),
        receiver: WakerSlot::new(),
        closed: OnceCell::new(),
    });
    (Sender { shared: Rc::clone(&shared) }, Receiver { shared, is_done: false })
}

struct Shared<T> {
    phase: Cell<Phase>,
    /// There while the phase is `Sent`.
    value: Cell<Option<T>>,
    receiver: WakerSlot,
    /// Who waits for the receiver to lose interest: made when somebody does, which is not often.
    closed: OnceCell<Box<Line>>,
}

/// `Open` → `Sent` (`send`) → `Over` (received, or the receiver is dropped); `Open` → `Over` (`close`,
/// or either side is dropped).
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Open,
    Sent,
    Over,
}

impl<T> Shared<T> {
    /// The value, if it is there. It is user code once it is dropped.
    #[inline]
    fn receive(&self) -> Poll<Result<T, Closed>> {
        match self.phase.get() {
            Phase::Open => Poll::Pending,
            Phase::Sent => {
                self.phase.set(Phase::Over);
                Poll::Ready(self.value.take().ok_or(Closed))
            }
            Phase::Over => Poll::Ready(Err(Closed)),
        }
    }

    fn close(&self) {
        if self.phase.get() == Phase::Open {
            self.phase.set(Phase::Over);
            self.dismiss();
        }
    }

    #[inline]
    fn dismiss(&self) {
        if let Some(closed) = self.closed.get() {
            closed.dismiss();
        }
    }

    fn is_closed(&self) -> bool {
        self.phase.get() == Phase::Over
    }
}

/// The half that sends. Dropped unused, it closes the channel: who receives hears [`Closed`].
///
/// ```
/// use loopbind::sync::oneshot;
///
/// let (sender, mut receiver) = oneshot::channel();
/// sender.send(7).unwrap();
/// assert_eq!(receiver.try_recv(), Ok(Some(7)));
/// ```
#[must_use = "a sender that is dropped closes its channel"]
pub struct Sender<T> {
    shared: Rc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends the value, without waiting: the receiver is woken if it awaits it.
    ///
    /// # Errors
    /// The value comes back where the receiver is gone or has closed the channel.
    ///
    /// ```
    /// use loopbind::sync::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel();
    /// drop(receiver);
    /// assert_eq!(sender.send("late"), Err("late"));
    /// ```
    #[doc(alias = "set_result")]
    #[inline]
    pub fn send(self, value: T) -> Result<(), T> {
        if self.is_closed() {
            return Err(value);
        }
        self.shared.value.set(Some(value));
        self.shared.phase.set(Phase::Sent);
        self.shared.receiver.take().wake();
        Ok(())
    }

    /// Waits until nobody wants the value any more: the receiver was dropped, or has closed the
    /// channel. So that work which nobody waits for can be given up.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::oneshot;
    ///
    /// loopbind::run(async {
    ///     let (sender, receiver) = oneshot::channel::<u32>();
    ///     spawn(async move { drop(receiver) });
    ///     sender.closed().await;
    ///     assert!(sender.is_closed());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn closed(&self) {
        let closed = self.shared.closed.get_or_init(|| Box::new(Line::new()));
        closed.until(|| self.is_closed()).await;
    }

    /// Whether the receiver is gone or has closed the channel.
    ///
    /// ```
    /// use loopbind::sync::oneshot;
    ///
    /// let (sender, receiver) = oneshot::channel::<u32>();
    /// assert!(!sender.is_closed());
    /// receiver.close();
    /// assert!(sender.is_closed());
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if self.shared.phase.get() == Phase::Open {
            self.shared.phase.set(Phase::Over);
            self.shared.receiver.take().wake();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("is_closed", &self.is_closed()).finish()
    }
}

/// The half that receives: a future of the value. Awaited by `&mut`, it can be awaited again.
///
/// It is done with [`Closed`] where the sender was dropped without sending; so is a receiver that is
/// polled again after it gave its value.
///
/// # Cancel safety
/// Dropping a receiver closes the channel. Giving up `&mut receiver` loses nothing: a value stays until
/// it is received.
///
/// ```
/// use loopbind::sync::oneshot;
/// use loopbind::timeout;
/// use std::time::Duration;
///
/// loopbind::run(async {
///     let (sender, mut receiver) = oneshot::channel();
///     assert!(timeout(Duration::ZERO, &mut receiver).await.is_err());
///     sender.send(1).unwrap();
///     assert_eq!(receiver.await, Ok(1));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Future")]
#[must_use = "futures do nothing unless awaited, and dropping this one closes its channel"]
pub struct Receiver<T> {
    shared: Rc<Shared<T>>,
    /// It said what it had to say: `select!` passes it over.
    is_done: bool,
}

impl<T> Receiver<T> {
    /// The value, if it has come: `None` where it may come yet.
    ///
    /// # Errors
    /// [`Closed`] where it cannot come any more, also where it was received before.
    ///
    /// ```
    /// use loopbind::sync::oneshot::{self, Closed};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// assert_eq!(receiver.try_recv(), Ok(None));
    /// sender.send(3).unwrap();
    /// assert_eq!(receiver.try_recv(), Ok(Some(3)));
    /// assert_eq!(receiver.try_recv(), Err(Closed));
    /// ```
    pub fn try_recv(&mut self) -> Result<Option<T>, Closed> {
        match self.receive() {
            Poll::Ready(received) => received.map(Some),
            Poll::Pending => Ok(None),
        }
    }

    /// Refuses what was not sent yet: a sender gets its value back from now on, and one that awaits
    /// [`closed`](Sender::closed) goes on. What was sent before can still be received.
    ///
    /// ```
    /// use loopbind::sync::oneshot::{self, Closed};
    ///
    /// let (sender, mut receiver) = oneshot::channel();
    /// receiver.close();
    /// assert_eq!(sender.send(3), Err(3));
    /// assert_eq!(receiver.try_recv(), Err(Closed));
    /// ```
    pub fn close(&self) {
        self.shared.close();
    }

    #[inline]
    fn receive(&mut self) -> Poll<Result<T, Closed>> {
        let received = self.shared.receive();
        self.is_done = received.is_ready();
        received
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, Closed>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(received) = self.receive() {
            return Poll::Ready(received);
        }
        if self.shared.receiver.is_set_for(cx) {
            return Poll::Pending;
        }
        self.shared.receiver.set(cx);
        // To clone a waker is user code, which may have brought the value.
        self.receive()
    }
}

impl<T> FusedFuture for Receiver<T> {
    fn is_terminated(&self) -> bool {
        self.is_done
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // What is the user's is dropped last, whatever it does with what is left of the channel.
        match self.shared.phase.replace(Phase::Over) {
            Phase::Open => {
                let _waker = self.shared.receiver.take();
                self.shared.dismiss();
            }
            Phase::Sent => drop(self.shared.value.take()),
            // It was received or refused; a waker that is left goes with the channel.
            Phase::Over => {}
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_sent = self.shared.phase.get() == Phase::Sent;
        let mut debug = f.debug_struct("Receiver");
        debug.field("is_sent", &is_sent).field("is_closed", &self.shared.is_closed()).finish()
    }
}
