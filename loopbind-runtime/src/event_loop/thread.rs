//! Threads with a loop of their own.

use std::fmt;
use std::io;
use std::panic::Location;
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

pub use super::group::{LoopGroup, per_core};
use super::runner::Runner;
use super::{Builder, EventLoop, LoopHandle};
use crate::binding;
use crate::error::LoopError;
use crate::panic::{PanicPayload, caught, discard};
use crate::sync::reply::{Receiver, Sender, channel};
use crate::sys;
use crate::task::{Birth, ExceptionContext, RemoteRef, TaskError, report_to_stderr};

/// A thread with a loop of its own, bound before `spawn` returns. Dropping it detaches the thread: its
/// panic, if that is how it ends, goes to standard error.
///
/// ```
/// use loopbind::thread::ThreadBuilder;
///
/// let thread = ThreadBuilder::new().name("io").spawn(|| async { "done" })?;
/// assert_eq!(thread.thread().name(), Some("io"));
/// assert_eq!(thread.join().unwrap(), "done");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Arbiter")]
pub struct LoopThread<T = ()> {
    handle: LoopHandle,
    thread: JoinHandle<()>,
    outcome: Unread<T>,
    /// The body, where it is a task.
    body: Option<RemoteRef>,
}

impl<T> LoopThread<T> {
    /// The handle of the thread's loop.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().name("io").spawn(cancelled)?;
    /// let task = thread.handle().spawn(|| async { std::thread::current().name().map(String::from) })?;
    /// assert_eq!(task.join().unwrap().as_deref(), Some("io"));
    /// thread.stop();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn handle(&self) -> &LoopHandle {
        &self.handle
    }

    /// The thread itself, as std has it: its name, its id.
    ///
    /// ```
    /// use loopbind::thread::ThreadBuilder;
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async { std::thread::current().id() })?;
    /// let id = thread.thread().id();
    /// assert_eq!(thread.join().unwrap(), id);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    /// Asks the body to end, as `Task::cancel` would: `task::cancelled()` hears it. A body that does
    /// not listen, or that has not begun, is dropped, and `join` gives `Err` with
    /// [`LoopError::StoppedBeforeComplete`] as payload. A body that is a plain function has its loop
    /// stopped. On a thread that is over it does nothing.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async {
    ///     cancelled().await;
    ///     "cleaned up"
    /// })?;
    /// thread.handle().spawn(|| async {})?.join().unwrap(); // the body began before this
    /// thread.stop();
    /// assert_eq!(thread.join().unwrap(), "cleaned up");
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn stop(&self) {
        match &self.body {
            Some(body) => {
                body.cancel();
            }
            None => self.handle.stop(),
        }
    }

    /// Asks the body to end, as [`stop`](LoopThread::stop) does, and drops one that listened and has
    /// not ended when `grace` is over, on the loop's clock: see `Task::cancel_within`. `join` then
    /// gives `Err` with [`LoopError::StoppedBeforeComplete`] as payload.
    ///
    /// ```
    /// use loopbind::{LoopError, task::cancelled, thread::ThreadBuilder};
    /// use std::{future::pending, time::Duration};
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async {
    ///     cancelled().await;
    ///     pending::<()>().await // a cleanup without end
    /// })?;
    /// thread.handle().spawn(|| async {})?.join().unwrap(); // the body began before this
    /// thread.stop_within(Duration::from_millis(1));
    /// let error = thread.join().unwrap_err();
    /// assert!(matches!(error.downcast_ref(), Some(LoopError::StoppedBeforeComplete)));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn stop_within(&self, grace: Duration) {
        match &self.body {
            Some(body) => {
                body.cancel_within(grace);
            }
            None => self.handle.stop(),
        }
    }

    /// Blocks until the thread is over, and gives what its body returned.
    ///
    /// # Errors
    /// The payload of the panic that ended the body, as `std::thread::JoinHandle::join` has it; after
    /// [`stop`](LoopThread::stop), see there. In a forked child, where the thread is not,
    /// [`LoopError::Forked`].
    ///
    /// # Panics
    /// As `std::thread::JoinHandle::join`: it may, where a thread joins itself.
    ///
    /// ```
    /// use loopbind::{sleep, thread::ThreadBuilder};
    /// use std::time::Duration;
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async {
    ///     sleep(Duration::from_millis(1)).await;
    ///     42
    /// })?;
    /// assert_eq!(thread.join().unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn join(self) -> std::thread::Result<T> {
        if self.handle.is_inherited() {
            return Err(Box::new(LoopError::Forked));
        }
        self.thread.join()?;
        match self.outcome.receiver.wait() {
            Some(Ok(value)) => Ok(value),
            Some(Err(Ended::Panicked(payload))) => Err(payload.into_inner()),
            Some(Err(Ended::Failed(error))) => Err(Box::new(error)),
            None => unreachable!("a thread's outcome is there before its end, and is taken here"),
        }
    }

    /// Whether the thread is over.
    ///
    /// ```
    /// use loopbind::{task::cancelled, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(cancelled)?;
    /// assert!(!thread.is_finished());
    /// thread.stop();
    /// while !thread.is_finished() {
    ///     std::thread::sleep(std::time::Duration::from_millis(1));
    /// }
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}

impl<T> fmt::Debug for LoopThread<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopThread")
            .field("thread", &self.thread().name())
            .field("handle", &self.handle)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// What a thread and its loop are to be like.
///
/// ```
/// use loopbind::{EventLoop, thread::ThreadBuilder};
///
/// let builder = ThreadBuilder::new().name("io").event_loop(EventLoop::builder().event_interval(16));
/// let threads = [builder.clone().spawn(|| async { 1 })?, builder.spawn(|| async { 2 })?];
/// assert_eq!(threads.map(|thread| thread.join().unwrap()), [1, 2]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "start_blocking_portal")]
#[derive(Clone, Debug, Default)]
#[must_use = "a builder starts nothing until `spawn`"]
pub struct ThreadBuilder {
    name: Option<String>,
    stack_size: Option<usize>,
    core: Option<usize>,
    event_loop: Builder,
}

impl ThreadBuilder {
    /// A thread with the defaults.
    ///
    /// ```
    /// use loopbind::thread::ThreadBuilder;
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async { 6 * 7 })?;
    /// assert_eq!(thread.join().unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread, and the loop where its builder does not.
    ///
    /// ```
    /// use loopbind::thread::ThreadBuilder;
    ///
    /// let thread = ThreadBuilder::new().name("io").spawn(|| async {})?;
    /// assert_eq!(thread.thread().name(), Some("io"));
    /// assert_eq!(thread.handle().name(), Some("io"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The size of the thread's stack, in bytes; std's default unless set.
    ///
    /// ```
    /// use loopbind::thread::ThreadBuilder;
    ///
    /// let thread = ThreadBuilder::new().stack_size(8 << 20).spawn(|| async {
    ///     let large = [1_u8; 4 << 20];
    ///     std::hint::black_box(&large).len()
    /// })?;
    /// assert_eq!(thread.join().unwrap(), 4 << 20);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "thread_stack_size")]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Lets the thread run on the processor numbered `index`, from zero, and on no other; where that
    /// cannot be, `spawn` fails.
    ///
    /// ```
    /// use loopbind::{LoopError, thread::ThreadBuilder};
    ///
    /// match ThreadBuilder::new().core(0).spawn(|| async { "on core 0" }) {
    ///     Ok(thread) => assert_eq!(thread.join().unwrap(), "on core 0"),
    ///     // Where this process may not use it, or the system cannot pin a thread.
    ///     Err(error) => assert!(matches!(error, LoopError::Io(_))),
    /// }
    /// ```
    #[doc(alias = "affinity")]
    pub fn core(mut self, index: usize) -> Self {
        self.core = Some(index);
        self
    }

    /// Sets what the loop is to be like: it is built from `builder`, on the new thread.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, thread::ThreadBuilder};
    /// use std::time::Duration;
    ///
    /// let virtual_time = EventLoop::builder().virtual_time(true);
    /// let hour = Duration::from_secs(3600);
    /// let thread = ThreadBuilder::new().event_loop(virtual_time).spawn(move || sleep(hour))?;
    /// thread.join().unwrap(); // at once
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn event_loop(mut self, builder: Builder) -> Self {
        self.event_loop = builder;
        self
    }

    /// Starts the thread; returns once its loop is made and bound. `main` is called there, inside the
    /// run, and its future is the body: a task like any other.
    ///
    /// # Errors
    /// [`LoopError::Io`] where the system refuses a thread, the loop's descriptors, or the core, and,
    /// as `InvalidInput`, for a name with a NUL byte in it.
    ///
    /// ```
    /// use loopbind::{get_event_loop, thread::ThreadBuilder};
    ///
    /// let thread = ThreadBuilder::new().spawn(|| async { get_event_loop().unwrap().id() })?;
    /// let id = thread.handle().id();
    /// assert_eq!(thread.join().unwrap(), id);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, Fut>(self, main: F) -> Result<LoopThread<Fut::Output>, LoopError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        let place = Location::caller();
        self.start(move |runner, started| {
            let event_loop = runner.event_loop().clone();
            let home = event_loop.hold().home.clone();
            // Announced from the body's first step: by the time anybody can ask it to end it has
            // begun, and heard of it if it listens.
            let body = async move {
                let myself = event_loop.hold().home.current_task();
                started.announce(&event_loop, myself.as_ref().map(|task| task.remote()));
                drop((event_loop, myself));
                main().await
            };
            let body = home.spawn(body, Birth { name: None, place });
            match runner.run_and_close(body, place) {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(TaskError::Panicked(payload))) => Err(Ended::Panicked(payload)),
                Ok(Err(_)) => Err(Ended::Failed(LoopError::StoppedBeforeComplete)),
                Err(error) => Err(Ended::Failed(error)),
            }
        })
    }

    /// The same for a body that is a plain function, called with the loop bound and not running.
    pub(crate) fn spawn_plain<T, F>(self, main: F) -> Result<LoopThread<T>, LoopError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.start(move |runner, started| {
            started.announce(runner.event_loop(), None);
            let outcome = {
                let _bound = runner.event_loop().bind();
                caught(main)
            };
            // Nobody is there to take an error of the closing.
            Ok(runner.close_behind(outcome).0)
        })
    }

    /// One of several, on this core where that can be.
    pub(super) fn on_core(mut self, core: usize) -> Self {
        let name = self.name.as_deref().unwrap_or("core");
        self.name = Some(format!("{name}-{core}"));
        self.core = sys::CAN_PIN.then_some(core);
        self
    }

    fn start<T: Send + 'static>(
        self,
        body: impl FnOnce(Runner, Started) -> Result<T, Ended> + Send + 'static,
    ) -> Result<LoopThread<T>, LoopError> {
        let (sender, receiver) = channel();
        let (outcome, awaited) = channel();
        let mut thread = std::thread::Builder::new();
        if let Some(name) = &self.name {
            if name.contains('\0') {
                let message = format!("a thread's name cannot contain a NUL byte: {name:?}");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, message).into());
            }
            thread = thread.name(name.clone());
        }
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        let life = move || {
            match prepare(self.name, self.core, self.event_loop) {
                Ok(runner) => {
                    let started = Started { sender: Some(sender) };
                    let ended = caught(|| body(runner, started))
                        .unwrap_or_else(|payload| Err(Ended::Panicked(payload)));
                    if let Err(unwanted) = outcome.settle(ended) {
                        dismiss(unwanted);
                    }
                }
                Err(error) => {
                    let _ = sender.settle(Err(error));
                    // The user's, and not told of a thread that did not start.
                    discard(body);
                }
            }
        };
        let thread = sys::start_thread(thread, sys::fault::carry(life))?;
        match receiver.wait() {
            Some(Ok((handle, body))) => {
                let outcome = Unread { receiver: awaited, handle: handle.clone() };
                Ok(LoopThread { handle, thread, outcome, body })
            }
            Some(Err(error)) => {
                let _ = thread.join();
                Err(error)
            }
            None => unreachable!("`Started` answers, or the error above does"),
        }
    }
}

fn prepare(
    name: Option<String>,
    core: Option<usize>,
    mut event_loop: Builder,
) -> Result<Runner, LoopError> {
    if let Some(core) = core {
        sys::pin_to_core(core)?;
    }
    if let (Some(name), false) = (name, event_loop.is_named()) {
        event_loop = event_loop.name(name);
    }
    let runner = Runner::with(event_loop)?;
    // Bound for the thread's whole life, under whatever frames its runs put on top.
    binding::bind(binding::Slot::Bound(runner.event_loop().hold().clone()))?;
    Ok(runner)
}

/// Why a body has no value.
enum Ended {
    Panicked(PanicPayload),
    /// It was stopped, for one.
    Failed(LoopError),
}

/// What a body came to, until somebody reads it. Not in std's own slot: that one ends the process
/// where an outcome that nobody reads panics as it is dropped.
struct Unread<T> {
    receiver: Receiver<Result<T, Ended>>,
    handle: LoopHandle,
}

impl<T> Drop for Unread<T> {
    fn drop(&mut self) {
        // In a forked child the outcome is the parent's.
        if self.handle.is_inherited() {
            return;
        }
        if let Some(unread) = self.receiver.abandon() {
            dismiss(unread);
        }
    }
}

/// Drops an outcome that nobody reads, and says what somebody should have heard of.
fn dismiss<T>(outcome: Result<T, Ended>) {
    let (message, payload) = match outcome {
        Err(Ended::Panicked(payload)) => ("Thread exception was never retrieved", payload),
        other => match caught(move || drop(other)) {
            Ok(()) => return,
            Err(payload) => ("exception in the destructor of a thread's output", payload),
        },
    };
    report_to_stderr(&ExceptionContext::panicked(message, payload));
}

type News = Result<(LoopHandle, Option<RemoteRef>), LoopError>;

/// Tells the thread that started this one that its loop is bound.
struct Started {
    sender: Option<Sender<News>>,
}

impl Started {
    fn announce(mut self, event_loop: &EventLoop, body: Option<RemoteRef>) {
        self.settle(Ok((event_loop.handle(), body)));
    }

    fn settle(&mut self, news: News) {
        if let Some(sender) = self.sender.take() {
            let _ = sender.settle(news);
        }
    }
}

impl Drop for Started {
    /// A body that unwinds before it announced anything must not leave its starter waiting.
    fn drop(&mut self) {
        self.settle(Err(LoopError::StoppedBeforeComplete));
    }
}
