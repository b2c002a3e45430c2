//! What stream sockets have in common: bytes both ways, through handles that may be shared.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use crate::io::Async;
use crate::reactor::Direction;
use crate::sys;

/// A socket of std's that carries bytes both ways.
pub(super) trait StreamSocket: AsFd + 'static
where
    for<'a> &'a Self: Read,
{
    /// Whether a read that fills less than its buffer has read everything there was. Not so for
    /// Unix sockets: a read stops behind a message that came with descriptors, whatever follows.
    const SHORT_READ_DRAINS: bool;

    fn shut(&self, how: Shutdown) -> io::Result<()>;
}

impl StreamSocket for std::net::TcpStream {
    const SHORT_READ_DRAINS: bool = true;

    fn shut(&self, how: Shutdown) -> io::Result<()> {
        sys::shut(self, how)
    }
}

impl StreamSocket for std::os::unix::net::UnixStream {
    const SHORT_READ_DRAINS: bool = false;

    fn shut(&self, how: Shutdown) -> io::Result<()> {
        sys::shut(self, how)
    }
}

/// One of the handles of a stream socket; the last one closes it.
pub(super) struct Duplex<S: AsFd> {
    io: Rc<Async<S>>,
}

impl<S: AsFd> Clone for Duplex<S> {
    fn clone(&self) -> Self {
        Duplex { io: Rc::clone(&self.io) }
    }
}

impl<S: StreamSocket> Duplex<S>
where
    for<'a> &'a S: Read,
{
    pub(super) fn new(io: Async<S>) -> Self {
        Duplex { io: Rc::new(io) }
    }

    pub(super) fn io(&self) -> &Async<S> {
        &self.io
    }

    pub(super) fn socket(&self) -> &S {
        self.io.get_ref()
    }

    /// The socket, if this is its only handle.
    pub(super) fn into_socket(self) -> io::Result<S> {
        let io = Rc::try_unwrap(self.io).map_err(|io| {
            let others = Rc::strong_count(&io) - 1;
            io::Error::other(format!(
                "the socket cannot be taken out of this handle: {others} more of its clones exist; \
                 drop them first"
            ))
        })?;
        io.into_inner()
    }

    /// A way to hang up, which does not keep the socket open.
    pub(super) fn line(&self) -> Weak<dyn Line> {
        let io: Weak<Async<S>> = Rc::downgrade(&self.io);
        io
    }

    pub(super) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // STR-01: nothing is there at once; the system would wait for something to leave out.
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let read = ready!(
            self.io.poll_io(Direction::Read, cx, |socket| sys::receive(socket.as_fd(), buffer))
        );
        Poll::Ready(read.inspect(|&count| self.came(count, buffer.len())))
    }

    pub(super) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        let Some(first) = buffers.iter().position(|buffer| !buffer.is_empty()) else {
            return Poll::Ready(Ok(0));
        };
        // As many as one call fills, so that room it leaves is telling.
        let end = buffers.len().min(first + sys::MOST_SLICES);
        let buffers = &mut buffers[first..end];
        let room: usize = buffers.iter().map(|buffer| buffer.len()).sum();
        let read = ready!(
            self.io.poll_io(Direction::Read, cx, |socket| sys::receive_vectored(socket, buffers))
        );
        Poll::Ready(read.inspect(|&count| self.came(count, room)))
    }

    /// Only reads of this kind may say so: what peeks, or reads something else, leaves bytes behind.
    fn came(&self, count: usize, room: usize) {
        if S::SHORT_READ_DRAINS && (1..room).contains(&count) {
            self.io.came_short();
        }
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        buffer: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_io(Direction::Write, cx, |socket| sys::send(socket.as_fd(), buffer))
    }

    pub(super) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_io(Direction::Write, cx, |socket| sys::send_vectored(socket.as_fd(), buffers))
    }

    /// The end, as the other side reads it. One that is gone already needs none.
    pub(super) fn end_writing(&self) -> io::Result<()> {
        match self.socket().shut(Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            done => done,
        }
    }
}

impl<S: AsFd + fmt::Debug> fmt::Debug for Duplex<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get_ref().fmt(f)
    }
}

/// A connection, to somebody who may end it.
pub(super) trait Line {
    fn hang_up(&self, how: Shutdown);
}

impl<S: StreamSocket> Line for Async<S>
where
    for<'a> &'a S: Read,
{
    fn hang_up(&self, how: Shutdown) {
        // It fails where the other side was faster.
        let _ = self.get_ref().shut(how);
    }
}

/// The traits of byte streams for `$stream` and `&$stream`, which hold a [`Duplex`] in their field 0.
macro_rules! byte_stream {
    ($stream:ty) => {
        byte_stream!(@halves &$stream);
        byte_stream!(@halves $stream);

        impl AsFd for $stream {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.io().as_fd()
            }
        }

        impl AsRawFd for $stream {
            fn as_raw_fd(&self) -> RawFd {
                self.0.io().as_raw_fd()
            }
        }
    };
    (@halves $stream:ty) => {
        impl AsyncRead for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read(cx, buffer)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_read_vectored(cx, buffers)
            }
        }

        impl AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write(cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.0.poll_write_vectored(cx, buffers)
            }

            /// Nothing is held back: there is nothing to flush.
            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts the writing half down: the other side reads the end. Reading goes on.
            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.0.end_writing())
            }
        }
    };
}
pub(super) use byte_stream;
