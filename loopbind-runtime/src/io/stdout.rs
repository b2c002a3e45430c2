//! Standard output and standard error, awaited.
//!
//! As with standard input, they stay blocking: others have them open too. What is written goes
//! through a queue of the stream's, and jobs on the blocking pool that empty it, so that a reader who
//! does not read makes nobody wait but who writes.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;

use crate::error::LoopError;
use crate::event_loop::spawn_blocking;
use crate::sync::{Receiver, Sender, channel};
use crate::task::LocalHome;

/// Most that is taken by one write.
const CHUNK: usize = 64 * 1024;

/// A handle of the process's standard output.
///
/// ```
/// use futures::AsyncWriteExt;
/// use loopbind::{io, run};
///
/// run(async {
///     let mut stdout = io::stdout();
///     stdout.write_all(b"hello\n").await?;
///     stdout.flush().await // it is out
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdout() -> Stdout {
    Stdout { inner: io::stdout(), written: Written(None) }
}

/// A handle of the process's standard error: see [`stdout`].
///
/// ```
/// use futures::AsyncWriteExt;
/// use loopbind::{io, run};
///
/// run(async {
///     let mut stderr = io::stderr();
///     stderr.write_all(b"careful\n").await?;
///     stderr.flush().await // it is out
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stderr() -> Stderr {
    Stderr { inner: io::stderr(), written: Written(None) }
}

/// One of the two: what waits to be written, and who writes.
struct Stream {
    queue: Mutex<Queue>,
    /// How many chunks were written. Held by whoever writes.
    done: Mutex<u64>,
    write: fn(&[u8]) -> io::Result<()>,
}

struct Queue {
    chunks: VecDeque<Chunk>,
    /// How many ever came.
    came: u64,
}

struct Chunk {
    ticket: u64,
    bytes: Vec<u8>,
    sender: Sender<io::Result<()>>,
}

static OUT: Stream = Stream::new(|bytes| write_to(io::stdout().lock(), bytes));
static ERR: Stream = Stream::new(|bytes| write_to(io::stderr().lock(), bytes));

fn write_to(mut stream: impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes)?;
    stream.flush()
}

impl Stream {
    const fn new(write: fn(&[u8]) -> io::Result<()>) -> Self {
        let queue = Mutex::new(Queue { chunks: VecDeque::new(), came: 0 });
        Stream { queue, done: Mutex::new(0), write }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(&'static self, bytes: Vec<u8>) -> Receiver<io::Result<()>> {
        let (sender, receiver) = channel();
        let ticket = {
            let mut queue = self.queue();
            queue.came += 1;
            let ticket = queue.came;
            queue.chunks.push_back(Chunk { ticket, bytes, sender });
            ticket
        };
        // Not awaited, so that it goes on by itself whatever becomes of the handle.
        let turn = Turn { stream: self, ticket };
        drop(spawn_blocking(move || turn.take()));
        receiver
    }

    /// Writes what came up to `ticket`, in the order in which it came, whoever brought it: the end of
    /// a run waits for its loop's jobs, and so for what its tasks have written.
    fn write_up_to(&self, ticket: u64) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while *done < ticket {
            let next = self.queue().chunks.pop_front();
            let Some(Chunk { bytes, sender, .. }) = next else { return };
            let outcome = (self.write)(&bytes);
            *done += 1;
            let _ = sender.settle(outcome);
        }
    }
}

/// A job's duty to write. Where it is dropped unrun, because no thread can be had for it, whoever
/// waits is told.
struct Turn {
    stream: &'static Stream,
    ticket: u64,
}

impl Turn {
    fn take(self) {
        self.stream.write_up_to(self.ticket);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let left = {
            let mut queue = self.stream.queue();
            let position = queue.chunks.iter().position(|chunk| chunk.ticket == self.ticket);
            position.and_then(|position| queue.chunks.remove(position))
        };
        if let Some(chunk) = left {
            let _ = chunk.sender.settle(Err(io::Error::other("no thread can be had to write it")));
        }
    }
}

/// A handle's last write.
#[derive(Default)]
struct Written(Option<Receiver<io::Result<()>>>);

impl Written {
    /// Ready once the last write is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(receiver) = &self.0 else { return Poll::Ready(Ok(())) };
        let outcome = ready!(receiver.poll(cx));
        self.0 = None;
        Poll::Ready(outcome)
    }

    fn poll_write(
        &mut self,
        stream: &'static Stream,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll(cx))?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if LocalHome::running().is_none() {
            return Poll::Ready(Err(LoopError::NoRunningLoop.into()));
        }
        let taken = bytes.len().min(CHUNK);
        self.0 = Some(stream.submit(bytes[..taken].to_vec()));
        Poll::Ready(Ok(taken))
    }
}

macro_rules! writer {
    ($(#[$doc:meta])* $Name:ident, $STREAM:ident) => {
        $(#[$doc])*
        ///
        /// ```
        /// use futures::AsyncWriteExt;
        /// use loopbind::{io, run};
        ///
        /// run(async {
        ///     print!("one, ");
        ///     io::stdout().write_all(b"two, ").await?; // no flush: it is out at the end of `run`
        ///     assert_eq!(io::stderr().write(b"three\n").await?, 6);
        ///     Ok::<(), std::io::Error>(())
        /// })??;
        /// # Ok::<(), std::io::Error>(())
        /// ```
        pub struct $Name {
            inner: io::$Name,
            written: Written,
        }

        impl AsyncWrite for $Name {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.written.poll_write(&$STREAM, cx, buffer)
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.written.poll(cx)
            }

            /// Flushes: the stream is the process's, and stays open.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }

        impl AsFd for $Name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.inner.as_fd()
            }
        }

        impl std::fmt::Debug for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($Name)).finish_non_exhaustive()
            }
        }
    };
}

writer! {
    /// Standard output: made by [`stdout`].
    ///
    /// A write takes the bytes, and returns once those before are out; `flush` waits until all are.
    /// What was taken is written in any case, in order with what other handles and tasks write: the
    /// end of [`run`](crate::run) waits for it, as for all blocking work. An error is told by the next
    /// call. What `print!` has printed before is written before. Outside of runs a write is a
    /// [`LoopError::NoRunningLoop`].
    Stdout, OUT
}

writer! {
    /// Standard error: made by [`stderr`], and like [`Stdout`].
    Stderr, ERR
}
