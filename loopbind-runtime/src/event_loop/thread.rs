//! Threads with a loop of their own.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread::{JoinHandle, Thread};

use super::runner::Runner;
pub use super::group::{LoopGroup, per_core};
use super::{Builder, EventLoop, LoopHandle};
use crate::binding;
use crate::error::LoopError;
use crate::panic::{PanicPayload, caught};
use crate::sync::{Sender, channel};
use crate::sys;
use crate::task::{Birth, RemoteRef, TaskError};

/// A thread with a loop of its own, bound before `spawn` returns. Dropping it detaches the thread.
///
/// ```
/// use loopbind::thread::ThreadBuilder;
///
/// let thread = ThreadBuilder::new().name("io").spawn(|| async { "done" })?;
/// assert_eq!(thread.thread().name(), Some("io"));
/// assert_eq!(thread.join().unwrap(), "done");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct LoopThread<T = ()> {
    handle: LoopHandle,
    thread: JoinHandle<T>,
    /// The body, where it is a task.
    body: Option<Arc<RemoteRef>>,
}

impl<T> LoopThread<T> {
    /// The thread's loop, from here.
    pub fn handle(&self) -> &LoopHandle {
        &self.handle
    }

    /// The thread.
    pub fn thread(&self) -> &Thread {
        self.thread.thread()
    }

    /// Asks the body to end, as `Task::cancel` would: `task::cancelled()` hears it. A body that does
    /// not listen is dropped, and `join` gives `Err` with [`LoopError::StoppedBeforeComplete`] as
    /// payload. A body that is a plain function has its loop stopped.
    pub fn stop(&self) {
        match &self.body {
            Some(body) => body.cancel(),
            None => self.handle.stop(),
        }
    }

    /// Waits for the thread.
    ///
    /// # Errors
    /// The payload of the panic that ended the body, as `std::thread::JoinHandle::join` has it; after
    /// `stop`, see there.
    pub fn join(self) -> std::thread::Result<T> {
        self.thread.join()
    }

    /// Whether the thread is over.
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
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the thread, and the loop where its builder does not.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The size of the thread's stack, in bytes; std's default unless set.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Lets the thread run on the processor numbered `index`, from zero, and on no other.
    pub fn core(mut self, index: usize) -> Self {
        self.core = Some(index);
        self
    }

    /// What the loop is to be like.
    pub fn event_loop(mut self, builder: Builder) -> Self {
        self.event_loop = builder;
        self
    }

    /// Starts the thread; returns once its loop is made and bound. `main` is called there, inside the
    /// run, and its future is the body: a task like any other.
    ///
    /// # Errors
    /// [`LoopError::Io`] where the system refuses a thread, the loop's descriptors, or the core.
    pub fn spawn<F, Fut>(self, main: F) -> Result<LoopThread<Fut::Output>, LoopError>
    where
        F: FnOnce() -> Fut + Send + 'static,
        Fut: Future + 'static,
        Fut::Output: Send + 'static,
    {
        let place = Birth::here().place;
        self.start(move |runner, started| {
            let home = &runner.event_loop().hold().home;
            let birth = Birth { name: None, place };
            let body = home.spawn(async move { main().await }, birth);
            started.announce(runner.event_loop(), Some(Arc::new(body.remote())));
            match runner.run_and_close(body) {
                Ok(Ok(value)) => value,
                Ok(Err(TaskError::Panicked(payload))) => payload.resume(),
                Ok(Err(_)) => {
                    PanicPayload::new(Box::new(LoopError::StoppedBeforeComplete)).resume()
                }
                Err(error) => PanicPayload::new(Box::new(error)).resume(),
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
            let closed = caught(|| runner.close());
            match (outcome, closed) {
                (Ok(value), Ok(_)) => value,
                (Err(payload), _) | (Ok(_), Err(payload)) => payload.resume(),
            }
        })
    }

    fn start<T: Send + 'static>(
        self,
        body: impl FnOnce(Runner, Started) -> T + Send + 'static,
    ) -> Result<LoopThread<T>, LoopError> {
        let (sender, receiver) = channel();
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
        let thread = thread.spawn(move || {
            match prepare(self.name, self.core, self.event_loop) {
                Ok(runner) => body(runner, Started { sender: Some(sender) }),
                Err(error) => {
                    let _ = sender.settle(Err(error));
                    // Nobody joins a thread that did not start.
                    PanicPayload::new(Box::new(())).resume()
                }
            }
        })?;
        match receiver.wait() {
            Some(Ok((handle, body))) => Ok(LoopThread { handle, thread, body }),
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

type News = Result<(LoopHandle, Option<Arc<RemoteRef>>), LoopError>;

/// Tells the thread that started this one that its loop is bound.
struct Started {
    sender: Option<Sender<News>>,
}

impl Started {
    fn announce(mut self, event_loop: &EventLoop, body: Option<Arc<RemoteRef>>) {
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
