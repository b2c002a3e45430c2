//! From one end to the other: once, or both ways at once.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

/// What is carried at a time.
const BUFFER: usize = 16 * 1024;

/// Buffers carried in one poll, where nothing ever makes it wait: others have their turn then.
const MOST_AT_ONCE: u32 = 32;

/// Copies everything from `reader` to `writer`, to the end; says how many bytes that were. `writer` is
/// flushed, whenever there is nothing to read and at the end, and not closed.
///
/// # Errors
/// The reader's and the writer's; `WriteZero` where the writer takes nothing.
///
/// # Cancel safety
/// What was read and not yet written is lost.
///
/// ```
/// use loopbind::{io, run};
///
/// run(async {
///     let mut copied = Vec::new();
///     let count = io::copy(&b"bytes"[..], &mut copied).await?;
///     assert_eq!((count, &copied[..]), (5, &b"bytes"[..]));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn copy<R, W>(mut reader: R, mut writer: W) -> io::Result<u64>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut transfer = Transfer::new();
    poll_fn(|cx| transfer.poll(Pin::new(&mut reader), Pin::new(&mut writer), cx)).await?;
    Ok(transfer.total)
}

/// Copies both ways at once, until both sides have said all: what each of two peers needs to talk
/// through us. Says how many bytes went from `a` to `b`, and from `b` to `a`.
///
/// Each way has a buffer of its own, so that one that is stuck does not hold up the other. When one
/// side ends, the other's writing half is closed, and the other way goes on.
///
/// # Errors
/// The first that either side has: the other way ends with it.
///
/// # Cancel safety
/// What was read and not yet written is lost.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::net::UnixStream;
/// use loopbind::{io, run, spawn};
///
/// run(async {
///     let (mut client, left) = UnixStream::pair()?;
///     let (right, mut server) = UnixStream::pair()?;
///     let proxy = spawn(async move { io::copy_bidirectional(left, right).await });
///     client.write_all(b"ping").await?;
///     client.close().await?;
///     let mut asked = String::new();
///     server.read_to_string(&mut asked).await?; // to the end: it was passed on
///     server.write_all(b"pong!").await?;
///     drop(server);
///     let mut answer = String::new();
///     client.read_to_string(&mut answer).await?;
///     assert_eq!((&asked[..], &answer[..]), ("ping", "pong!"));
///     assert_eq!(proxy.await.unwrap()?, (4, 5));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn copy_bidirectional<A, B>(mut a: A, mut b: B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let (mut there, mut back) = (Way::new(), Way::new());
    poll_fn(|cx| {
        let there = there.poll(Pin::new(&mut a), Pin::new(&mut b), cx)?;
        let back = back.poll(Pin::new(&mut b), Pin::new(&mut a), cx)?;
        match (there, back) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending,
        }
    })
    .await
    .map(|()| (there.transfer.total, back.transfer.total))
}

/// One way of two: everything, and then the end.
struct Way {
    transfer: Transfer,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    Copying,
    Closing,
    Over,
}

impl Way {
    fn new() -> Self {
        Way { transfer: Transfer::new(), stage: Stage::Copying }
    }

    fn poll<R: AsyncRead, W: AsyncWrite>(
        &mut self,
        reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if let Stage::Copying = self.stage {
            ready!(self.transfer.poll(reader, writer.as_mut(), cx))?;
            self.stage = Stage::Closing;
        }
        if let Stage::Closing = self.stage {
            ready!(writer.poll_close(cx))?;
            self.stage = Stage::Over;
        }
        Poll::Ready(Ok(()))
    }
}

/// What is on its way.
struct Transfer {
    buffer: Box<[u8]>,
    /// Read, and not yet written.
    from: usize,
    to: usize,
    /// Written, and not yet flushed.
    unflushed: bool,
    ended: bool,
    total: u64,
}

impl Transfer {
    fn new() -> Self {
        let buffer = vec![0; BUFFER].into_boxed_slice();
        Transfer { buffer, from: 0, to: 0, unflushed: false, ended: false, total: 0 }
    }

    fn poll<R: AsyncRead, W: AsyncWrite>(
        &mut self,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        for _ in 0..MOST_AT_ONCE {
            while self.from < self.to {
                let left = &self.buffer[self.from..self.to];
                match ready!(writer.as_mut().poll_write(cx, left))? {
                    0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                    written => {
                        self.from += written;
                        self.total += written as u64;
                        self.unflushed = true;
                    }
                }
            }
            if self.ended {
                return writer.poll_flush(cx);
            }
            match reader.as_mut().poll_read(cx, &mut self.buffer)? {
                Poll::Ready(0) => self.ended = true,
                Poll::Ready(read) => (self.from, self.to) = (0, read),
                Poll::Pending => {
                    // Nothing will follow soon: whoever waits for what was written gets it now.
                    if self.unflushed && writer.poll_flush(cx)?.is_ready() {
                        self.unflushed = false;
                    }
                    return Poll::Pending;
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
