//! Our ends of a child's pipes. Only they are non-blocking: the child's ends are descriptions of
//! their own, and stay as they are.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::io::Async;
use crate::reactor::Direction;
use crate::sys;

fn open(end: impl Into<OwnedFd>) -> io::Result<Async<File>> {
    Async::new(File::from(end.into()))
}

/// Blocking again, as std and other programs expect it.
fn close(end: Async<File>) -> io::Result<OwnedFd> {
    let file = end.into_inner()?;
    sys::set_blocking(file.as_fd())?;
    Ok(file.into())
}

fn hand_over(end: Async<File>) -> Stdio {
    // Neither step fails for a pipe that is open; were it so, the child would have nothing here.
    close(end).map_or_else(|_| Stdio::null(), Stdio::from)
}

macro_rules! reader {
    ($(#[$doc:meta])* $Name:ident) => {
        $(#[$doc])*
        ///
        /// ```
        /// use futures::AsyncReadExt;
        /// use loopbind::process::{Command, Stdio};
        ///
        /// let mut command = Command::new("sh");
        /// command.args(["-c", "echo heard; echo oops >&2"]);
        /// let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        /// let (mut stdout, mut stderr) = (child.stdout.unwrap(), child.stderr.unwrap());
        /// let mut said = String::new();
        /// loopbind::run(async { stdout.read_to_string(&mut said).await })??;
        /// loopbind::run(async { stderr.read_to_string(&mut said).await })??;
        /// assert_eq!(said, "heard\noops\n");
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[derive(Debug)]
        pub struct $Name {
            pipe: Async<File>,
        }

        impl $Name {
            /// Takes std's over.
            ///
            /// # Errors
            /// The system's, where it cannot be made non-blocking.
            ///
            /// ```
            /// use futures::AsyncReadExt;
            /// use loopbind::process::ChildStdout; // and so with `ChildStderr`
            /// use std::process::{Command, Stdio};
            ///
            /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
            /// let mut stdout = ChildStdout::from_std(child.stdout.take().unwrap())?;
            /// let mut said = String::new();
            /// loopbind::run(async { stdout.read_to_string(&mut said).await })??;
            /// assert_eq!(said, "hello\n");
            /// assert!(child.wait()?.success());
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn from_std(pipe: std::process::$Name) -> io::Result<Self> {
                Ok($Name { pipe: open(pipe)? })
            }

            /// Std's again, and blocking.
            ///
            /// # Errors
            /// The system's, where it cannot be made blocking.
            ///
            /// ```
            /// use loopbind::process::{Command, Stdio};
            ///
            /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
            /// let stdout = child.stdout.take().unwrap().into_std()?; // and so with `stderr`
            /// assert_eq!(std::io::read_to_string(stdout)?, "hello\n");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn into_std(self) -> io::Result<std::process::$Name> {
                Ok(close(self.pipe)?.into())
            }
        }

        impl AsyncRead for $Name {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.pipe).poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.pipe).poll_read_vectored(cx, buffers)
            }
        }

        impl TryFrom<std::process::$Name> for $Name {
            type Error = io::Error;

            fn try_from(pipe: std::process::$Name) -> io::Result<Self> {
                Self::from_std(pipe)
            }
        }

        /// For the standard input of another child: what one writes, the next reads.
        impl From<$Name> for Stdio {
            fn from(pipe: $Name) -> Self {
                hand_over(pipe.pipe)
            }
        }

        impl AsFd for $Name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.pipe.as_fd()
            }
        }

        impl AsRawFd for $Name {
            fn as_raw_fd(&self) -> RawFd {
                self.pipe.as_raw_fd()
            }
        }
    };
}

reader! {
    /// Reads a child's standard output. It belongs to the loop that polls it, as all of
    /// [`Async`](crate::Async)'s kind do; what the child wrote can be read after its end. SUB-13.
    ChildStdout
}

reader! {
    /// Reads a child's standard error: see [`ChildStdout`].
    ChildStderr
}

/// Writes to a child's standard input. Closing it, or dropping it, is the end of the input.
///
/// A child that reads no more is `BrokenPipe`, also where the program has `SIGPIPE` at its default:
/// the signal is not raised.
///
/// ```
/// use futures::AsyncWriteExt;
/// use loopbind::process::{Command, Stdio};
///
/// let mut command = Command::new("sh");
/// let mut child = command.args(["-c", "test $(cat) = meow"]).stdin(Stdio::piped()).spawn()?;
/// let mut stdin = child.stdin.take().unwrap();
/// loopbind::run(async { stdin.write_all(b"meow").await })??;
/// drop(stdin); // `cat` finds the end
/// assert!(loopbind::run(async { child.wait().await })??.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildStdin {
    /// `None`: closed.
    pipe: Option<Async<File>>,
}

impl ChildStdin {
    /// Takes std's over.
    ///
    /// # Errors
    /// The system's, where it cannot be made non-blocking.
    ///
    /// ```
    /// use futures::AsyncWriteExt;
    /// use loopbind::process::ChildStdin;
    /// use std::process::{Command, Stdio};
    ///
    /// let mut command = Command::new("sh");
    /// let mut child = command.args(["-c", "test $(cat) = meow"]).stdin(Stdio::piped()).spawn()?;
    /// let mut stdin = ChildStdin::from_std(child.stdin.take().unwrap())?;
    /// loopbind::run(async { stdin.write_all(b"meow").await })??;
    /// drop(stdin);
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(pipe: std::process::ChildStdin) -> io::Result<Self> {
        Ok(ChildStdin { pipe: Some(open(pipe)?) })
    }

    /// Std's again, and blocking.
    ///
    /// # Errors
    /// `BrokenPipe` where it was closed; the system's, where it cannot be made blocking.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use std::io::Write;
    ///
    /// let mut command = Command::new("sh");
    /// let mut child = command.args(["-c", "test $(cat) = meow"]).stdin(Stdio::piped()).spawn()?;
    /// let mut stdin = child.stdin.take().unwrap().into_std()?;
    /// stdin.write_all(b"meow")?;
    /// drop(stdin);
    /// assert!(loopbind::run(async { child.wait().await })??.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::process::ChildStdin> {
        Ok(close(self.pipe.ok_or_else(closed)?)?.into())
    }

    fn poll_write_by(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let pipe = self.pipe.as_ref().ok_or_else(closed)?;
        pipe.poll_io(Direction::Write, cx, |file| write(file.as_fd()))
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the child's standard input was closed")
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |pipe| sys::write_quietly(pipe, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_by(cx, |pipe| sys::write_vectored_quietly(pipe, buffers))
    }

    /// Nothing is kept back.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The child finds the end of its input.
    fn poll_close(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        drop(self.pipe.take());
        Poll::Ready(Ok(()))
    }
}

impl TryFrom<std::process::ChildStdin> for ChildStdin {
    type Error = io::Error;

    fn try_from(pipe: std::process::ChildStdin) -> io::Result<Self> {
        Self::from_std(pipe)
    }
}

/// For the standard output of another child. One that was closed takes nothing.
impl From<ChildStdin> for Stdio {
    fn from(pipe: ChildStdin) -> Self {
        pipe.pipe.map_or_else(Stdio::null, hand_over)
    }
}
