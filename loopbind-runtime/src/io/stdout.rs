//! Standard output and standard error, awaited.
//!
//! As with standard input, they stay blocking: others have them open too. What is written goes
//! through a queue of the stream's, which one job on the blocking pool empties, so that a reader who
//! does not read makes nobody wait but who writes, and takes one thread however many those are.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use futures_io::AsyncWrite;

use crate::blocking;
use crate::engine::Engine;
use crate::error::LoopError;
use crate::event_loop::InFlight;
use crate::ids::LoopId;
use crate::panic::caught;
use crate::reactor::{Waiters, Wakers};
use crate::sync::reply::{Receiver, Sender, channel};
use crate::sys;
use crate::sys::fault::Call;

/// Most that is taken by one write.
const CHUNK: usize = 64 * 1024;

/// Given to the system at once.
const PIECE: usize = 8 * 1024;

/// What waits to be written for one loop, at most, before a write waits. A handle has one chunk there
/// and no more; this is for who makes a handle for each write.
const MOST_WAITING: usize = 1024 * 1024;

const HALF: usize = MOST_WAITING / 2;

/// What a chunk takes besides its bytes, about.
const ASIDE: usize = 256;

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
    write: Write,
}

type Write = fn(&[u8], &InFlight) -> io::Result<()>;

struct Queue {
    chunks: VecDeque<Chunk>,
    /// Each loop's share in them.
    shares: BTreeMap<LoopId, Share>,
    /// There is a job that writes until nothing waits.
    writing: bool,
    /// The number of forks of the process whose chunks and job these are.
    forks: u64,
}

#[derive(Default)]
struct Share {
    size: usize,
    /// Those who wait for it to be less.
    waiters: Waiters,
}

struct Chunk {
    bytes: Vec<u8>,
    of: LoopId,
    sender: Sender<io::Result<()>>,
    /// The end of its loop's run waits for it.
    in_flight: InFlight,
}

static OUT: Stream = Stream::new(|bytes, on| write_to(io::stdout().lock(), bytes, on));
static ERR: Stream = Stream::new(|bytes, on| write_to(io::stderr().lock(), bytes, on));

fn write_to(mut stream: impl io::Write, bytes: &[u8], on: &InFlight) -> io::Result<()> {
    // In pieces, so that a reader who is slow is known from one who is gone.
    for piece in bytes.chunks(PIECE) {
        sys::fault::check(Call::Write)?;
        stream.write_all(piece)?;
        stream.flush()?;
        on.progressed();
    }
    Ok(())
}

impl Stream {
    const fn new(write: Write) -> Self {
        let queue =
            Queue { chunks: VecDeque::new(), shares: BTreeMap::new(), writing: false, forks: 0 };
        Stream { queue: Mutex::new(queue), write }
    }

    fn queue(&self) -> io::Result<MutexGuard<'_, Queue>> {
        let unreachable = "the stream's queue cannot be reached in this forked process";
        let queue = sys::lock_after_fork(&self.queue);
        let mut queue = queue.ok_or_else(|| io::Error::other(unreachable))?;
        let forks = sys::forks();
        if queue.forks != forks {
            // The parent's to write, by a thread that is not here.
            mem::forget((mem::take(&mut queue.chunks), mem::take(&mut queue.shares)));
            queue.writing = false;
            queue.forks = forks;
        }
        Ok(queue)
    }

    /// Has `bytes` written after all that came before, whatever becomes of the handle; waits first where
    /// too much of this loop's is on its way already.
    fn poll_submit(
        &'static self,
        engine: &Engine,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<Receiver<io::Result<()>>>> {
        let home = &engine.home;
        // Cloned before the lock, and if it is not needed, dropped behind it.
        let mut waker = Some(cx.waker().clone());
        let (sender, receiver) = channel();
        let mut queue = self.queue()?;
        let share = queue.shares.entry(home.id).or_default();
        if share.size >= MOST_WAITING {
            let newcomer = waker.take_if(|waker| !share.waiters.knows(waker));
            let now = Some((engine.iteration(), home));
            let surplus = newcomer.map(|waker| share.waiters.push(waker, now));
            drop(queue);
            if let Some(surplus) = surplus {
                surplus.wake(Some(home));
            }
            return Poll::Pending;
        }
        let in_flight = InFlight::write(home);
        let chunk = Chunk { bytes: bytes.to_vec(), of: home.id, sender, in_flight };
        share.size += chunk.size();
        queue.chunks.push_back(chunk);
        let idle = !mem::replace(&mut queue.writing, true);
        drop(queue);
        if idle {
            if let Err((error, _job)) = blocking::submit(Box::new(|| self.write_all())) {
                self.refuse_all(&error);
            }
        }
        Poll::Ready(Ok(receiver))
    }

    /// The job: writes until nothing waits, in the order in which it came, whoever brought it.
    fn write_all(&self) {
        while let Some(chunk) = self.next() {
            let outcome = (self.write)(&chunk.bytes, &chunk.in_flight);
            chunk.settle(outcome);
        }
    }

    /// `None`: nothing waits, and whoever comes next begins a job.
    fn next(&self) -> Option<Chunk> {
        // Without asking about forks: whoever began the job had the lock, in this process.
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let next = queue.chunks.pop_front();
        queue.writing = next.is_some();
        let waiters = next.as_ref().map(|chunk| queue.take_from_share(chunk));
        drop(queue);
        // No loop runs here that could be told of a panic: the panic hook has spoken.
        if let Some(waiters) = waiters {
            waiters.wake(None);
        }
        next
    }

    /// No thread can be had for the job: whoever waits is told.
    fn refuse_all(&self, error: &io::Error) {
        while let Some(chunk) = self.next() {
            let message = format!("no thread can be had to write it: {error}");
            chunk.settle(Err(io::Error::new(error.kind(), message)));
        }
    }
}

impl Queue {
    /// The chunk has left the queue. Gives who is to be woken for the room there is, outside of the lock.
    fn take_from_share(&mut self, chunk: &Chunk) -> Wakers {
        let Some(share) = self.shares.get_mut(&chunk.of) else { return Wakers::None };
        share.size -= chunk.size();
        // At half, so that whoever wakes finds room for more than a word.
        let waiters = match share.size {
            ..=HALF => share.waiters.take(),
            _ => Wakers::None,
        };
        if share.size == 0 {
            self.shares.remove(&chunk.of);
        }
        waiters
    }
}

impl Chunk {
    fn size(&self) -> usize {
        self.bytes.len() + ASIDE
    }

    fn settle(self, outcome: io::Result<()>) {
        let Chunk { sender, in_flight, .. } = self;
        // Whoever waits is woken, which is code of others: the rest is written all the same.
        let _ = caught(move || drop(sender.settle(outcome)));
        // Told before it counts as over.
        drop(in_flight);
    }
}

/// A handle's last write, and the number of forks of the process it is of.
#[derive(Default)]
struct Written(Option<(u64, Receiver<io::Result<()>>)>);

impl Written {
    /// Ready once the last write is over.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((forks, receiver)) = &self.0 else { return Poll::Ready(Ok(())) };
        if *forks != sys::forks() {
            // The parent writes it, and tells nobody here.
            mem::forget(self.0.take());
            return Poll::Ready(Ok(()));
        }
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
        let bytes = &bytes[..bytes.len().min(CHUNK)];
        let submitted = Engine::with_running(|engine| {
            engine.home.check_fork()?;
            stream.poll_submit(engine, cx, bytes)
        });
        let receiver = ready!(submitted.ok_or(LoopError::NoRunningLoop)?)?;
        self.0 = Some((sys::forks(), receiver));
        Poll::Ready(Ok(bytes.len()))
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
    /// A write takes the bytes, and returns once those before are out; `flush` waits until all are,
    /// however long that takes. What was taken is written in order with what other handles and tasks
    /// write, whatever becomes of the handle. While a mebibyte of a loop's waits for the reader, the
    /// writes of its fresh handles wait, too; one that is given up took nothing. The end of [`run`](crate::run) waits for it as long as
    /// the reader reads: one who takes nothing for a second keeps no program from ending, and what
    /// was not flushed is lost then. An error is told by the next call. What `print!` has printed
    /// before is written before. Outside of runs a write is a [`LoopError::NoRunningLoop`].
    ///
    /// Once nobody reads it, a write is `BrokenPipe`; a program that has set `SIGPIPE` to its default
    /// is ended by it, as by `print!`.
    Stdout, OUT
}

writer! {
    /// Standard error: made by [`stderr`], and like [`Stdout`].
    Stderr, ERR
}
