//! What putting into a queue says where it cannot be done. The item comes back.

use std::error::Error;
use std::fmt;

/// The queue was shut down while, or before, this item was put: it comes back. asyncio's
/// `QueueShutDown`.
///
/// ```
/// use loopbind::sync::{Queue, QueueShutDown};
///
/// let queue = Queue::unbounded();
/// queue.shutdown(false);
/// let error: QueueShutDown<&str> = loopbind::run(queue.put("late"))?.unwrap_err();
/// assert_eq!(error.to_string(), "the queue was shut down: it takes no more items");
/// assert_eq!(error.0, "late");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueueShutDown<T>(pub T);

impl<T> QueueShutDown<T> {
    /// The item that was not put.
    ///
    /// ```
    /// use loopbind::sync::QueueShutDown;
    ///
    /// assert_eq!(QueueShutDown(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueShutDown").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for QueueShutDown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the queue was shut down: it takes no more items")
    }
}

impl<T> Error for QueueShutDown<T> {}

/// Why an item could not be put, or sent, without waiting. It comes back.
///
/// ```
/// use loopbind::sync::{Queue, TryPut};
///
/// let queue = Queue::bounded(1);
/// queue.try_put(1).unwrap();
/// let error = queue.try_put(2).unwrap_err();
/// assert!(matches!(error, TryPut::Full(2)));
/// assert_eq!(error.to_string(), "full: every place is taken, or promised to who waits for one");
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
#[doc(alias = "QueueFull")]
#[doc(alias = "TrySendError")]
pub enum TryPut<T> {
    /// Every place is taken, or promised to somebody who waits for one.
    Full(T),
    /// The queue was shut down; or the channel is closed.
    ShutDown(T),
}

impl<T> TryPut<T> {
    /// The item that was not put.
    ///
    /// ```
    /// use loopbind::sync::TryPut;
    ///
    /// assert_eq!(TryPut::Full(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        match self {
            TryPut::Full(item) | TryPut::ShutDown(item) => item,
        }
    }
}

impl<T> fmt::Debug for TryPut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            TryPut::Full(_) => "Full",
            TryPut::ShutDown(_) => "ShutDown",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for TryPut<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TryPut::Full(_) => "full: every place is taken, or promised to who waits for one",
            TryPut::ShutDown(_) => "shut down: no more items are taken",
        })
    }
}

impl<T> Error for TryPut<T> {}
