//! What the channels say when the other side is gone.

use std::error::Error;
use std::fmt;

/// Nobody is left on the other side of a channel: no value will come any more.
///
/// ```
/// use loopbind::sync::oneshot;
///
/// loopbind::run(async {
///     let (sender, receiver) = oneshot::channel::<u32>();
///     drop(sender);
///     let error: oneshot::Closed = receiver.await.unwrap_err();
///     assert_eq!(error.to_string(), "the channel is closed: no value will come");
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed: no value will come")
    }
}

impl Error for Closed {}

/// Nobody can receive what was to be sent: it comes back.
///
/// ```
/// use loopbind::sync::mpsc::{self, SendError};
///
/// loopbind::run(async {
///     let (sender, receiver) = mpsc::unbounded();
///     drop(receiver);
///     let error: SendError<&str> = sender.send("hello").await.unwrap_err();
///     assert_eq!(error.to_string(), "the channel is closed: its receiver is gone or has closed it");
///     assert_eq!(error.0, "hello");
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// use loopbind::sync::mpsc::SendError;
    ///
    /// assert_eq!(SendError(5).into_inner(), 5);
    /// ```
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the channel is closed: its receiver is gone or has closed it")
    }
}

impl<T> Error for SendError<T> {}
