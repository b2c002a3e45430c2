//! Standard input, awaited.
//!
//! It may be a terminal or a pipe that other processes have open too: making it non-blocking would
//! make it so for them. So a thread reads, one for the process, and only when somebody asks; it may
//! be left waiting for input that never comes, which keeps no program from ending, because nobody
//! waits for the thread.

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::AsyncRead;

use crate::engine::Engine;
use crate::reactor::Waiters;
use crate::sys;

/// Read at once.
const CHUNK: usize = 8 * 1024;

/// How long the thread stays when nobody asks.
const PATIENCE: Duration = Duration::from_millis(500);

/// A handle of the process's standard input. All of them, and std's, read from one stream.
///
/// ```no_run
/// use futures::io::{AsyncBufReadExt, BufReader};
/// use futures::stream::StreamExt;
/// use loopbind::{io, run};
///
/// run(async {
///     let mut lines = BufReader::new(io::stdin()).lines();
///     while let Some(line) = lines.next().await {
///         println!("you said: {}", line?);
///     }
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Somebody who says nothing keeps nobody waiting longer than they like:
///
/// ```
/// use futures::AsyncReadExt;
/// use loopbind::{io, run, timeout};
/// use std::time::Duration;
///
/// let mut byte = [0];
/// let read = async { io::stdin().read(&mut byte).await };
/// let read = run(async { timeout(Duration::from_millis(5), read).await })?;
/// assert!(read.is_err() || read.unwrap()? <= 1);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> Stdin {
    Stdin { inner: io::stdin() }
}

/// Standard input: made by [`stdin`].
///
/// A thread reads when somebody asks, and never keeps the program from ending. Input that was asked
/// for goes to whoever asks next, where the one who asked does so no more: no read loses any.
///
/// ```
/// use std::io::IsTerminal;
/// use std::os::fd::{AsFd, AsRawFd};
///
/// let stdin = loopbind::io::stdin();
/// assert_eq!(stdin.as_fd().as_raw_fd(), 0); // whom to ask what it is
/// if stdin.as_fd().is_terminal() {
///     println!("Your name?");
/// }
/// ```
#[derive(Debug)]
pub struct Stdin {
    inner: io::Stdin,
}

static DESK: Desk = Desk {
    state: Mutex::new(State {
        input: Vec::new(),
        taken: 0,
        end: None,
        wanted: false,
        waiters: Waiters::new(),
        reader: Reader::Gone,
        forks: 0,
        lock: StdLock::Ours,
    }),
    asked: Condvar::new(),
};

/// Where those who ask and the thread that reads meet.
struct Desk {
    state: Mutex<State>,
    asked: Condvar,
}

struct State {
    input: Vec<u8>,
    taken: usize,
    /// The end, or an error: told once, behind the input. At a terminal more may follow an end.
    end: Option<io::Result<usize>>,
    wanted: bool,
    waiters: Waiters,
    reader: Reader,
    /// The number of forks of the process whose waiters and thread these are.
    forks: u64,
    lock: StdLock,
}

/// The thread.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reader {
    There,
    Gone,
}

/// Who may have std's lock on the stream.
#[derive(Clone, Copy)]
enum StdLock {
    Ours,
    /// A thread of the parent's, which read when this process was forked: for ever.
    Lost,
}

impl StdLock {
    fn read(self, chunk: &mut [u8]) -> io::Result<usize> {
        match self {
            StdLock::Ours => sys::read(io::stdin(), chunk),
            // Around std's buffer, which was empty: that thread waited for more.
            StdLock::Lost => sys::read(File::from(sys::duplicate(io::stdin().as_fd())?), chunk),
        }
    }
}

impl Desk {
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        let unreachable = "standard input cannot be reached in this forked process";
        let state = sys::lock_after_fork(&self.state);
        let mut state = state.ok_or_else(|| io::Error::other(unreachable))?;
        state.leave_to_the_parent();
        Ok(state)
    }

    /// For the thread, which whoever asked started in this process.
    fn own_state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Engine::with_running(|engine| self.poll_on(Some(engine), cx, buffer))
            .unwrap_or_else(|| self.poll_on(None, cx, buffer))
    }

    fn poll_on(
        &self,
        engine: Option<&Engine>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        // Cloned before the lock, and if it is here already, dropped behind it.
        let mut waker = Some(cx.waker().clone());
        let mut state = self.state()?;
        if let Some(done) = state.take(buffer) {
            return Poll::Ready(done);
        }
        let newcomer = waker.take_if(|waker| !state.waiters.knows(waker));
        let now = engine.map(|engine| (engine.iteration(), &engine.home));
        let surplus = newcomer.map(|waker| state.waiters.push(waker, now));
        state.wanted = true;
        let outcome = state.see_to_reader();
        drop(state);
        if let Some(engine) = engine {
            engine.home.local().waits_outside.set(true);
        }
        self.asked.notify_all();
        if let Some(surplus) = surplus {
            surplus.wake(engine.map(|engine| &engine.home));
        }
        match outcome {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn read_on_demand(&self) {
        let mut chunk = vec![0; CHUNK];
        while let Some(lock) = self.is_asked() {
            let outcome = lock.read(&mut chunk);
            if matches!(&outcome, Err(error) if error.kind() == io::ErrorKind::Interrupted) {
                continue;
            }
            let waiters = {
                let mut state = self.own_state();
                state.wanted = false;
                match outcome {
                    Ok(read @ 1..) => {
                        state.input = chunk[..read].to_vec();
                        state.taken = 0;
                    }
                    end => state.end = Some(end),
                }
                state.waiters.take()
            };
            // No loop runs here that could be told of a panic: the panic hook has spoken.
            waiters.wake(None);
        }
    }

    /// Waits until somebody asks; `None`, and the thread is gone, where nobody does for a while.
    fn is_asked(&self) -> Option<StdLock> {
        let idle = |state: &mut State| !state.wanted;
        let waited = self.asked.wait_timeout_while(self.own_state(), PATIENCE, idle);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if !state.wanted {
            state.reader = Reader::Gone;
            return None;
        }
        Some(state.lock)
    }
}

impl State {
    /// In a forked process, the first time: what belongs to the parent's tasks and thread is forgotten.
    fn leave_to_the_parent(&mut self) {
        let forks = sys::forks();
        if self.forks != forks {
            mem::forget(self.waiters.take());
            if self.reader == Reader::There && self.wanted {
                self.lock = StdLock::Lost;
            }
            (self.reader, self.wanted, self.forks) = (Reader::Gone, false, forks);
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let input = &self.input[self.taken..];
        if input.is_empty() {
            return self.end.take();
        }
        let count = input.len().min(buffer.len());
        buffer[..count].copy_from_slice(&input[..count]);
        self.taken += count;
        Some(Ok(count))
    }

    fn see_to_reader(&mut self) -> io::Result<()> {
        if self.reader == Reader::Gone {
            let thread = std::thread::Builder::new().name("loopbind-stdin".into());
            sys::start_thread(thread, || DESK.read_on_demand())?;
            self.reader = Reader::There;
        }
        Ok(())
    }
}

impl AsyncRead for Stdin {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        DESK.poll_read(cx, buffer)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}
