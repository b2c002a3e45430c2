//! Libraries made for tokio, unmodified, in tasks that need not be `Send`: the loop as a guest of tokio's
//! runtime, on the same thread.
//!
//! A guest loop brings a tokio runtime of one thread along, and its runs block in there: tokio polls the loop,
//! waits for both, and runs its own tasks in between. So in the loop's tasks `tokio::net`, `tokio::time`,
//! `tokio::spawn`, `tokio::task::spawn_local` and `tokio::task::spawn_blocking` work, and so does whatever is built
//! on them. No thread is started, but those of tokio's blocking pool when they are asked for.
//!
//! ```
//! use loopbind::{loop_main, spawn};
//! use std::{rc::Rc, time::Duration};
//! use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
//!
//! #[loop_main(host = "tokio")]
//! async fn main() -> std::io::Result<()> {
//!     let greeting = Rc::new("not Send"); // the tasks are the loop's own
//!     let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         tokio::time::sleep(Duration::from_millis(1)).await;
//!         stream.write_all(greeting.as_bytes()).await
//!     });
//!     let mut client = tokio::net::TcpStream::connect(address).await?;
//!     let mut text = String::new();
//!     client.read_to_string(&mut text).await?;
//!     assert_eq!(text, "not Send");
//!     server.await.unwrap()
//! }
//! ```
//!
//! All that is promised of a loop holds for a guest: which loop is found, also in tokio's tasks and in what wakes
//! and drops there; the refusal of a run inside a run; order, cancellation, panics, the end. Each step of a task has
//! a cooperative budget of tokio's, as one of tokio's own tasks has: who awaits what is always ready gives way now and then, and
//! `now_or_never` may miss what is there. Neither side starves the other: tokio has its thread back behind
//! [`Builder::event_interval`] entries and one batch. Its timers are as late
//! as tokio's, up to a millisecond more than a loop's own. It does not spin ([`Builder::spin`]), its time
//! is real, and no other host can drive it ([`LoopError::HasHost`]).
//!
//! Our own sockets, pipes and standard streams have tokio's `AsyncRead` and `AsyncWrite` as well as those of `futures-io`, so that
//! codecs and TLS made for tokio work on them, under any executor. `shutdown` ends the writing of a TCP or Unix stream, and
//! closes the standard input of a child; what has no such end, a descriptor in [`Async`](crate::Async) or a standard stream, it flushes. Our streams have a
//! `shutdown` of their own that takes a direction: tokio's is `AsyncWriteExt::shutdown(&mut stream)` for them. Both
//! crates have an `AsyncReadExt`, with the same methods: import one of them in a file, because under both a
//! call is ambiguous.
//!
//! # The end
//!
//! At the end of [`run`], of a [`Runner`](crate::Runner) or of an attribute's function, the loop's tasks are asked
//! to end, and tokio's go on meanwhile. Then the loop is closed, with tokio's context entered, so that destructors
//! find the reactor and the timer they need; then the runtime is shut down: its tasks are dropped, and its
//! blocking work is waited for, as the loop's own is, for what is left of
//! [`Builder::shutdown_limit`]. A read of `tokio::io::stdin` is blocking work that may last; that of
//! [`loopbind::io::stdin`](crate::io::stdin) is none. [`EventLoop::close`](crate::EventLoop::close), and the drop of the
//! last handle, wait for nothing.
//!
//! # What cannot work
//!
//! `tokio::task::block_in_place` has no other thread to go on with, and panics, as on any runtime of one thread. A
//! `tokio::task::LocalSet` is not needed: `spawn_local` works without. `Runtime::block_on` and `Handle::block_on` inside a
//! task block the thread that would have to bring about what they wait for, and panic; so a library's
//! blocking interface (`reqwest::blocking`) belongs into `spawn_blocking`. Inside of what a tokio runtime polls, such as the body of
//! `#[tokio::main]`, a guest is refused ([`LoopError::InsideTokio`]); there, drive an ordinary loop with a [`Host`]. Where tokio
//! lets a thread block, in `spawn_blocking` and `block_in_place`, a guest runs.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::mem;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use ::tokio::io::Interest;
use ::tokio::io::unix::AsyncFd;
use ::tokio::runtime::{self, Handle, LocalRuntime};
use ::tokio::task::coop;
use ::tokio::time::Sleep;

use super::runner::Runner;
use super::{Builder, EventLoop};
use crate::engine::{self, Guest, Lodging, LodgingMaker, check_none_runs};
use crate::error::LoopError;
use crate::sys;

/// [`loopbind::run`](crate::run) for a loop that is tokio's guest: makes both, runs `future`, and ends both.
///
/// # Errors
/// As [`loopbind::run`](crate::run); [`LoopError::InsideTokio`] inside of what a tokio runtime polls.
///
/// # Panics
/// With the future's own panic, once everything is cleaned up.
///
/// ```
/// use std::{rc::Rc, time::Duration};
///
/// let answer = loopbind::tokio::run(async {
///     let six = Rc::new(6);
///     let seven = tokio::spawn(async { tokio::time::sleep(Duration::from_millis(1)).await; 7 });
///     *six * seven.await.unwrap()
/// })?;
/// assert_eq!(answer, 42);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "block_on")]
#[track_caller]
pub fn run<F: IntoFuture>(future: F) -> Result<F::Output, LoopError> {
    check_none_runs()?;
    let runner = Runner::with(EventLoop::builder().tokio())?;
    runner.run_and_close(future, Location::caller())
}

impl Builder {
    /// Makes the loop a guest of tokio's: it brings a runtime of one thread along, with all drivers enabled,
    /// and libraries made for tokio work in its tasks. See [`loopbind::tokio`](crate::tokio).
    ///
    /// ```
    /// use loopbind::{EventLoop, Runner};
    /// use std::time::Duration;
    ///
    /// let runner = Runner::with(EventLoop::builder().name("guest").tokio())?;
    /// runner.run(async { tokio::time::sleep(Duration::from_millis(1)).await })?;
    /// let value = runner.run(async { tokio::task::spawn_blocking(|| 42).await })?;
    /// runner.close()?;
    /// assert_eq!(value.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn tokio(self) -> Self {
        self.tokio_with(|| {
            runtime::Builder::new_current_thread().enable_all().build_local(Default::default())
        })
    }

    /// [`tokio`](Builder::tokio) with a runtime that `make` makes, on the loop's thread: with a bound on blocking
    /// threads, say, or with less often a look. Its timer has to be enabled, and its I/O driver: the first sleep that
    /// lacks one panics, in tokio's words. Its clock has to be the real one, not one that `start_paused` stopped, by which
    /// the loop would look at the real one all the time.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let builder = EventLoop::builder().tokio_with(|| {
    ///     let mut runtime = tokio::runtime::Builder::new_current_thread();
    ///     runtime.enable_all().max_blocking_threads(2).build_local(Default::default())
    /// });
    /// let event_loop = builder.build()?;
    /// let value = event_loop.run_until_complete(async { tokio::spawn(async { 42 }).await })?;
    /// assert_eq!(value.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn tokio_with(
        self,
        make: impl Fn() -> io::Result<LocalRuntime> + Send + Sync + 'static,
    ) -> Self {
        self.lodge(LodgingMaker::new(move || Ok(Box::new(Inn::new(make()?)))))
    }
}

/// What tokio lends a loop that is driven as a future on a runtime of tokio's: its reactor's eyes, and its timer.
///
/// For a program that has a runtime; a loop that is to bring one along is made by [`Builder::tokio`]. While it is
/// driven, tokio's things can be awaited in its tasks. Made anywhere, and polled on tokio's thread, with its
/// timer and I/O driver enabled.
///
/// To tokio all of the loop's tasks are one, with one cooperative budget for each poll. Where many of them await what is
/// tokio's, drive them in `tokio::task::unconstrained`: those that find the budget used up are polled in vain otherwise. What
/// is always ready has to be left by a `yield_now` then. A loop that brings its runtime along gives each step a
/// budget of its own.
///
/// ```
/// use loopbind::EventLoop;
/// use std::time::Duration;
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// let event_loop = EventLoop::new()?;
/// let guest = event_loop.clone();
/// event_loop.create_task(async move {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     guest.stop();
/// }).detach();
/// runtime.block_on(event_loop.drive_with(loopbind::tokio::Host::new()))?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Default)]
pub struct Host {
    seen: Option<AsyncFd<OwnedFd>>,
    sleep: Option<Pin<Box<Sleep>>>,
    /// The loop has stopped, and tokio has one more round.
    ends: bool,
}

impl Host {
    /// One that has not seen a loop yet.
    ///
    /// ```
    /// let host = loopbind::tokio::Host::new();
    /// assert_eq!(format!("{host:?}"), "Host { .. }");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").finish_non_exhaustive()
    }
}

impl engine::Host for Host {
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            // A descriptor of our own for the same thing: tokio keeps it as long as it likes.
            place => {
                let fd = fd.try_clone_to_owned()?;
                // What replaces it is `unsafe` for the sake of types that may change their descriptor; an
                // `OwnedFd` does not, and tokio 1.51 has this one only.
                #[allow(deprecated)]
                let watched = AsyncFd::with_interest(fd, Interest::READABLE)?;
                place.insert(watched)
            }
        };
        ready!(seen.poll_read_ready(cx))?.clear_ready();
        Poll::Ready(Ok(()))
    }

    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = at.into();
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                if sleep.deadline() != at {
                    sleep.as_mut().reset(at);
                }
                sleep
            }
            None => self.sleep.insert(Box::pin(::tokio::time::sleep_until(at))),
        };
        sleep.as_mut().poll(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Who yielded to tokio in this poll is woken at the end of its round, or never, where none comes.
        if mem::take(&mut self.ends) {
            return Poll::Ready(());
        }
        self.ends = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// No budget of tokio's is larger: it counts in a byte.
const MOST_BUDGET: usize = 256;

/// A runtime of tokio's that a loop brought along.
struct Inn {
    /// Gone once the loop is closed.
    runtime: RefCell<Option<LocalRuntime>>,
    handle: Handle,
    /// What it lends its guest, while no stay is on.
    host: RefCell<Host>,
    /// The number of forks when it was made.
    forks: u64,
}

impl Inn {
    fn new(runtime: LocalRuntime) -> Self {
        let handle = runtime.handle().clone();
        Inn {
            runtime: RefCell::new(Some(runtime)),
            handle,
            host: RefCell::default(),
            forks: sys::forks(),
        }
    }
}

/// Whether tokio polls something on this thread, so that nothing may block it. It does not say so, but what it
/// polls has a budget, and what may block has none: a thread of its pool, `block_in_place`, a thread that has merely
/// entered a runtime. For a task that is `unconstrained` this says no, and tokio panics.
fn is_polled_by_tokio() -> bool {
    if Handle::try_current().is_err() {
        return false;
    }
    let mut cx = Context::from_waker(Waker::noop());
    // It goes back to whom it was taken from, as this drops.
    let Poll::Ready(_budget) = coop::poll_proceed(&mut cx) else { return true };
    (0..MOST_BUDGET).any(|_| match coop::poll_proceed(&mut cx) {
        Poll::Ready(more) => {
            more.made_progress();
            false
        }
        Poll::Pending => true,
    })
}

impl Lodging for Inn {
    fn check(&self) -> Result<(), LoopError> {
        if is_polled_by_tokio() { Err(LoopError::InsideTokio) } else { Ok(()) }
    }

    fn stay(&self, guest: &mut Guest<'_>) {
        // Taken out: what is polled in there may be anything.
        let Some(runtime) = self.runtime.take() else { return };
        let mut home = PutBack { inn: self, runtime: Some(runtime), host: self.host.take() };
        let (runtime, host) = (&home.runtime, &mut home.host);
        let Some(runtime) = runtime else { return };
        runtime.block_on(async {
            std::future::poll_fn(|cx| guest(cx, host)).await;
            // Who yielded to tokio in the last poll is woken at the end of its round, or never. In a forked child
            // tokio would look at what is the parent's.
            if self.forks == sys::forks() {
                ::tokio::task::yield_now().await;
            }
        });
    }

    fn steps(&self, step: &mut dyn FnMut() -> bool) {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            // tokio's budget is meant for a task. That of the poll is given to each anew: as this drops, it is what it
            // was.
            let _whole = coop::poll_proceed(&mut cx);
            if !step() {
                return;
            }
        }
    }

    fn within(&self, f: &mut dyn FnMut()) {
        // In the last destructors of a thread there is nothing to enter any more.
        match Handle::try_current() {
            Err(error) if error.is_thread_local_destroyed() => f(),
            _ => {
                let _entered = self.handle.enter();
                f();
            }
        }
    }

    fn leave(&self, limit: Duration) -> bool {
        drop(self.host.take());
        let Some(runtime) = self.runtime.take() else { return true };
        if limit.is_zero() || is_polled_by_tokio() {
            runtime.shutdown_background();
            return true;
        }
        let began = Instant::now();
        runtime.shutdown_timeout(limit);
        began.elapsed() < limit
    }
}

impl Drop for Inn {
    fn drop(&mut self) {
        if self.forks != sys::forks() {
            // The parent's: what it would take out of the reactor is taken out of the parent's, too.
            mem::forget((self.runtime.take(), self.host.take()));
        } else if let Some(runtime) = self.runtime.take() {
            drop(self.host.take());
            runtime.shutdown_background();
        }
    }
}

/// A runtime that a guest stays in, on its way back.
struct PutBack<'a> {
    inn: &'a Inn,
    runtime: Option<LocalRuntime>,
    host: Host,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        self.inn.runtime.replace(self.runtime.take());
        self.inn.host.replace(mem::take(&mut self.host));
    }
}
