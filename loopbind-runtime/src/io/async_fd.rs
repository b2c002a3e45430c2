//! A descriptor that is awaited.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::LoopError;
use crate::engine::Engine;
use crate::reactor::{Direction, Source};
use crate::sys;
use crate::sys::fault::Call;

/// Any descriptor, awaited on the loop that polls it: pipes, terminals, timers, inotify, sockets of
/// other crates.
///
/// It tries first, and waits only when told to. It belongs to the loop that polls it, and moves when
/// another loop of the thread does; while somebody waits for it on one loop, polling it on another is
/// an error that says so. A task that gave up waiting and lives on, or a waker of another library's, is
/// taken for somebody who waits until the descriptor is next heard of. Outside of runs, waiting is an
/// error: nothing would ever wake the waiter.
///
/// Dropping it takes it off its loop, and then drops what is inside.
///
/// It is written by what is inside. Where that is a pipe that nobody reads, and the program has `SIGPIPE`
/// at its default, the signal ends the program as it would without a loop; Rust programs ignore it from
/// the start, and hosts in other languages may not.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::{Async, run};
/// use std::os::unix::net::UnixStream;
///
/// run(async {
///     let (left, right) = UnixStream::pair()?;
///     let (mut left, mut right) = (Async::new(left)?, Async::new(right)?);
///     left.write_all(b"ping").await?;
///     let mut word = [0; 4];
///     right.read_exact(&mut word).await?;
///     assert_eq!(&word, b"ping");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("AsyncFd", "connect_read_pipe", "connect_write_pipe"))]
pub struct Async<T> {
    /// `None` only while it is taken apart.
    inner: Option<T>,
    source: Source,
}

impl<T: AsFd> Async<T> {
    /// Takes the descriptor over, and sets it non-blocking.
    ///
    /// # Errors
    /// The system's, where it cannot be set so.
    ///
    /// ```
    /// use loopbind::Async;
    /// use std::{io::{ErrorKind, Read}, os::unix::net::UnixStream};
    ///
    /// let (left, _right) = UnixStream::pair()?;
    /// let left = Async::new(left)?;
    /// let read = (&mut left.get_ref()).read(&mut [0; 8]);
    /// assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(inner: T) -> io::Result<Self> {
        sys::set_nonblocking(inner.as_fd())?;
        Ok(Self::nonblocking(inner))
    }

    /// Takes over a descriptor that is non-blocking already.
    pub(crate) fn nonblocking(inner: T) -> Self {
        Async { inner: Some(inner), source: Source::default() }
    }

    /// What is inside. Operations on it that would block do not wait, but fail.
    ///
    /// ```
    /// use loopbind::Async;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let (left, _right) = UnixStream::pair()?;
    /// assert!(Async::new(left)?.get_ref().peer_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get_ref(&self) -> &T {
        self.inside()
    }

    /// What is inside, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// None today; a registration that cannot be undone would be one.
    ///
    /// ```
    /// use loopbind::Async;
    /// use std::os::{fd::AsRawFd, unix::net::UnixStream};
    ///
    /// let (left, _right) = UnixStream::pair()?;
    /// let number = left.as_raw_fd();
    /// assert_eq!(Async::new(left)?.into_inner()?.as_raw_fd(), number);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(mut self) -> io::Result<T> {
        self.source.leave();
        self.inner.take().ok_or_else(|| unreachable!("taken out once"))
    }

    /// Waits until a read would not block: there is something to read, or the end, or an error.
    ///
    /// # Errors
    /// [`LoopError::NoRunningLoop`] outside of runs; the system's, where the descriptor cannot be
    /// watched, as regular files cannot.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::{io::Write, os::unix::net::UnixStream};
    ///
    /// run(async {
    ///     let (reader, mut writer) = UnixStream::pair()?;
    ///     let reader = Async::new(reader)?;
    ///     writer.write_all(b"x")?;
    ///     reader.readable().await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "wait_readable")]
    pub async fn readable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_readable(cx)).await
    }

    /// Waits until a write would not block.
    ///
    /// # Errors
    /// As [`readable`](Async::readable).
    ///
    /// # Cancel safety
    /// As [`readable`](Async::readable).
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::os::unix::net::UnixStream;
    ///
    /// run(async {
    ///     let (writer, _reader) = UnixStream::pair()?;
    ///     Async::new(writer)?.writable().await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "wait_writable")]
    pub async fn writable(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_writable(cx)).await
    }

    /// [`readable`](Async::readable) for futures written by hand.
    ///
    /// # Errors
    /// As [`readable`](Async::readable).
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::{future::poll_fn, os::unix::net::UnixStream};
    ///
    /// run(async {
    ///     let (reader, writer) = UnixStream::pair()?;
    ///     let reader = Async::new(reader)?;
    ///     drop(writer); // the end is something to read, too
    ///     poll_fn(|cx| reader.poll_readable(cx)).await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(Direction::Read, cx, |inner| sys::check_readable(inner.as_fd()))
    }

    /// [`writable`](Async::writable) for futures written by hand.
    ///
    /// # Errors
    /// As [`readable`](Async::readable).
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::{future::poll_fn, os::unix::net::UnixStream};
    ///
    /// run(async {
    ///     let (writer, _reader) = UnixStream::pair()?;
    ///     let writer = Async::new(writer)?;
    ///     poll_fn(|cx| writer.poll_writable(cx)).await
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(Direction::Write, cx, |inner| sys::check_writable(inner.as_fd()))
    }

    /// Calls `op`, and where it would block waits until the descriptor is readable and calls it
    /// again.
    ///
    /// # Errors
    /// `op`'s, other than `WouldBlock` and `Interrupted`; else as [`readable`](Async::readable).
    ///
    /// # Cancel safety
    /// An `op` that succeeded is not dropped: its value is this call's.
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// let length = run(async {
    ///     let (reader, writer) = UnixDatagram::pair()?;
    ///     let reader = Async::new(reader)?;
    ///     writer.send(b"four")?;
    ///     reader.read_with(|socket| socket.recv(&mut [0; 16])).await
    /// })??;
    /// assert_eq!(length, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias("sock_recv", "sock_recv_into"))]
    pub async fn read_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        poll_fn(|cx| self.poll_io(Direction::Read, cx, &mut op)).await
    }

    /// Calls `op`, and where it would block waits until the descriptor is writable and calls it
    /// again.
    ///
    /// # Errors
    /// As [`read_with`](Async::read_with).
    ///
    /// # Cancel safety
    /// As [`read_with`](Async::read_with).
    ///
    /// ```
    /// use loopbind::{Async, run};
    /// use std::os::unix::net::UnixDatagram;
    ///
    /// let length = run(async {
    ///     let (writer, _reader) = UnixDatagram::pair()?;
    ///     Async::new(writer)?.write_with(|socket| socket.send(b"four")).await
    /// })??;
    /// assert_eq!(length, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "sock_sendall")]
    pub async fn write_with<R>(&self, mut op: impl FnMut(&T) -> io::Result<R>) -> io::Result<R> {
        poll_fn(|cx| self.poll_io(Direction::Write, cx, &mut op)).await
    }

    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let inner = self.get_ref();
        let settle = || {
            // On the loop that polls.
            Engine::with_running(|engine| {
                self.source.settle_on(&engine.reactor, inner.as_fd())?;
                Ok(engine.iteration())
            })
            .unwrap_or_else(|| Err(LoopError::NoRunningLoop.into()))
        };
        self.source.poll_io(settle, direction, cx, || op(inner))
    }

    /// A read of a stream socket filled less than its buffer: the next would block.
    pub(crate) fn came_short(&self) {
        self.source.came_short();
    }
}

impl<T> Async<T> {
    fn inside(&self) -> &T {
        match &self.inner {
            Some(inner) => inner,
            None => unreachable!("taken out by value only"),
        }
    }
}

// Nothing in it is pinned: what is inside is reached by reference only.
impl<T> Unpin for Async<T> {}

impl<T> Drop for Async<T> {
    fn drop(&mut self) {
        self.source.leave();
    }
}

impl<T: AsFd> AsFd for Async<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd> AsRawFd for Async<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<T: fmt::Debug> fmt::Debug for Async<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Async").field(self.inside()).finish()
    }
}

impl<T: AsFd> AsyncRead for &Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(Direction::Read, cx, |inner| sys::read(inner, buffer))
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(Direction::Read, cx, |mut inner| {
            sys::fault::check(Call::Read)?;
            inner.read_vectored(buffers)
        })
    }
}

impl<T: AsFd> AsyncWrite for &Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(Direction::Write, cx, |inner| sys::write(inner, buffer))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_io(Direction::Write, cx, |mut inner| {
            sys::fault::check(Call::Write)?;
            inner.write_vectored(buffers)
        })
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_io(Direction::Write, cx, |mut inner| inner.flush())
    }

    /// Flushes. What "closed" means is the descriptor's business: drop it.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl<T: AsFd> AsyncRead for Async<T>
where
    for<'a> &'a T: Read,
{
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read(cx, buffer)
    }

    fn poll_read_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_read_vectored(cx, buffers)
    }
}

impl<T: AsFd> AsyncWrite for Async<T>
where
    for<'a> &'a T: Write,
{
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut &*self).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut &*self).poll_close(cx)
    }
}
