//! A queue with two ends: many senders, one receiver, each of which notices when the other is gone.

mod channel;
mod permit;
mod receiver;
mod sender;

pub use super::closed::SendError;
pub use permit::{OwnedPermit, Permit};
pub use receiver::Receiver;
pub use sender::{Sender, WeakSender};

/// A channel that always has room.
///
/// ```
/// use loopbind::spawn;
/// use loopbind::sync::mpsc;
///
/// loopbind::run(async {
///     let (sender, mut receiver) = mpsc::unbounded();
///     for name in ["tea", "milk"] {
///         let sender = sender.clone();
///         spawn(async move { sender.send(name).await });
///     }
///     drop(sender);
///     assert_eq!(receiver.recv().await, Some("tea"));
///     assert_eq!(receiver.recv().await, Some("milk"));
///     assert_eq!(receiver.recv().await, None);
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("unbounded_channel", "open_memory_channel", "create_memory_object_stream"))]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    channel::new(usize::MAX)
}

/// A channel that holds this many items; who sends more waits for a place.
///
/// # Panics
/// Where the capacity is zero: nothing could be sent. For one value that is handed over, see
/// [`oneshot`](crate::sync::oneshot).
///
/// ```
/// use loopbind::sync::{TryPut, mpsc};
///
/// let (sender, mut receiver) = mpsc::bounded(1);
/// sender.try_send(1).unwrap();
/// assert_eq!(sender.try_send(2), Err(TryPut::Full(2)));
/// assert_eq!(receiver.try_recv(), Some(1));
/// sender.try_send(2).unwrap();
/// ```
#[track_caller]
#[doc(alias("channel", "open_memory_channel", "create_memory_object_stream"))]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a bounded channel needs a capacity of at least 1");
    channel::new(capacity)
}
