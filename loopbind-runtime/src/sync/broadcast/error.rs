//! Why there was nothing to receive.

use std::error::Error;
use std::fmt;

/// A receiver was too slow: so many items were overwritten before it received them. It goes on with the oldest
/// that is still there.
///
/// ```
/// use futures::StreamExt;
/// use loopbind::sync::broadcast::{self, Lagged};
///
/// loopbind::run(async {
///     let (sender, mut receiver) = broadcast::channel(1);
///     for number in 1..=3 {
///         sender.send(number).unwrap();
///     }
///     assert_eq!(receiver.next().await, Some(Err(Lagged(2))));
///     assert_eq!(receiver.next().await, Some(Ok(3)));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lagged(
    /// How many items were missed.
    pub u64,
);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receiver lagged behind, and missed {} items", self.0)
    }
}

impl Error for Lagged {}

/// Why a receiver has no item to give.
///
/// ```
/// use loopbind::sync::broadcast::{self, RecvError};
///
/// let (sender, mut receiver) = broadcast::channel(1);
/// sender.send(1).unwrap();
/// sender.send(2).unwrap();
/// let error = receiver.try_recv().unwrap_err();
/// assert_eq!(error, RecvError::Lagged(1));
/// assert_eq!(error.to_string(), "the receiver lagged behind, and missed 1 items");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TryRecvError")]
pub enum RecvError {
    /// The last sender is gone, and everything was received.
    Closed,
    /// So many items were overwritten before this receiver received them. It goes on with the oldest that is
    /// still there.
    Lagged(u64),
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecvError::Closed => f.write_str("the channel is closed: no value will come"),
            RecvError::Lagged(missed) => Lagged(*missed).fmt(f),
        }
    }
}

impl Error for RecvError {}
