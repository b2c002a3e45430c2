//! A stream of bytes, in the traits of the other side: of futures-io for hyper, of hyper for futures-io.

use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use futures_io::{AsyncRead, AsyncWrite};

use crate::engine::{Engine, SLATE};

/// Above this a read's buffer is offered in part: what is offered is cleared first, also where nothing is there to
/// be read, and a socket rarely has more.
const AT_ONCE: usize = 64 * 1024;

/// A stream for hyper, of anything with the traits of `futures-io`: our sockets, a TLS stream over one. And the other
/// way: what has hyper's traits, such as an upgraded connection, is one of `futures-io` in here.
///
/// It is the stream itself, in `.0`, and keeps nothing of its own. Shutting down closes the stream's writing half.
/// Headers and bodies are written together, in one `poll_write_vectored`; for a stream that has none of its own, switch
/// that off at hyper's builder (`writev(false)`), which then copies them together. Neither trait asks for `Send`, so
/// the connection's service and bodies need not be, either.
///
/// # Cancel safety
/// Reading and writing are the stream's own: what a poll has read is in the buffer it was given.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
/// use loopbind::hyper::HyperIo;
/// use loopbind::{net::UnixStream, run, spawn};
/// use std::{cell::Cell, convert::Infallible, rc::Rc};
///
/// run(async {
///     let (mut client, server) = UnixStream::pair()?;
///     let served = Rc::new(Cell::new(0)); // of this thread, and no lock around it
///     let hello = service_fn(move |_: Request<Incoming>| {
///         served.set(served.get() + 1);
///         let text = format!("request {}", served.get());
///         async { Ok::<_, Infallible>(Response::new(text)) }
///     });
///     spawn(http1::Builder::new().serve_connection(HyperIo(server), hello)).detach();
///
///     client.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///     assert!(answer.starts_with("HTTP/1.0 200 OK\r\n") && answer.ends_with("request 1"));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("TokioIo", "FuturesIo"))]
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperIo<T>(pub T);

impl<T: AsyncRead + Unpin> Read for HyperIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        let slate = match buffer.remaining() {
            ..=SLATE => Engine::with_running(|engine| engine.slate.take()),
            _ => None,
        };
        match slate {
            Some(slate) => self.read_by(slate, cx, buffer),
            None => self.read_into(cx, buffer),
        }
    }
}

impl<T: AsyncRead + Unpin> HyperIo<T> {
    /// By way of the running loop's slate: most of a buffer for a request or a frame stays as it is.
    fn read_by(
        &mut self,
        mut slate: Box<[u8]>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        let space = &mut slate[..buffer.remaining()];
        let polled = Pin::new(&mut self.0).poll_read(cx, space);
        let mut count = 0;
        if let Poll::Ready(Ok(read)) = polled {
            count = check(read, space.len());
            buffer.put_slice(&space[..count]);
        }
        // What ran may have ended the run, or have come from another one's: any will do.
        Engine::with_running(|engine| engine.slate.put_back(slate, count));
        polled.map_ok(drop)
    }

    /// Into memory that is cleared first, at once for the long run of bytes that it is meant for.
    fn read_into(
        &mut self,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<Result<()>> {
        let offered = buffer.remaining().min(AT_ONCE);
        // Whatever a stranger's `poll_read` does with it, it is memory that was written to.
        let space = buffer.initialize_unfilled_to(offered);
        let count = check(ready!(Pin::new(&mut self.0).poll_read(cx, space))?, offered);
        // SAFETY: "Written before it is counted": `initialize_unfilled_to` has written to the next `offered` bytes,
        // which nobody can take back, and `count` is no more than that, whatever the stream says.
        unsafe { buffer.advance(count) };
        Poll::Ready(Ok(()))
    }
}

/// What a stream says that it has read, if it may be.
fn check(count: usize, offered: usize) -> usize {
    assert!(count <= offered, "a stream read {count} bytes into {offered}");
    count
}

impl<T: AsyncWrite + Unpin> Write for HyperIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

impl<T: Read + Unpin> AsyncRead for HyperIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(&mut self.0).poll_read(cx, buffer.unfilled()))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl<T: Write + Unpin> AsyncWrite for HyperIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
