//! Signals, awaited: on any loop, on any thread, by as many as like.
//!
//! Everybody who listens hears: two loops on two threads, two [`Signal`]s in one task, the callbacks
//! of [`EventLoop::add_signal_handler`](crate::EventLoop::add_signal_handler), and handlers that
//! others installed. SIG-02, SIG-03.
//!
//! A signal is news, not an amount: while a loop is blocked a hundred signals of one kind may come to
//! be one, as they may in the system itself. None of a kind is lost altogether. SIG-08.
//!
//! While anybody listens to a kind, it does not do what it does by default: Ctrl-C does not end the
//! program. When the last listener goes, what was there before is there again. SIG-05.
//!
//! A process that was forked hears its own signals only, with listeners of its own. SIG-10. One
//! descriptor is made for the process at the first use and kept.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::engine::Engine;
use crate::error::LoopError;
use crate::reactor::{Listener, Reactor};
use crate::sys::Listening;
pub use crate::sys::{SignalError, SignalKind};

/// Listens to a kind of signal: what comes from now on, whether a loop runs or not.
///
/// # Errors
/// A [`SignalError`] for what is no signal, or cannot be caught (SIG-04); the system's, where it has
/// no descriptor left.
///
/// ```
/// use loopbind::run;
/// use loopbind::signal::{SignalKind, signal};
///
/// run(async {
///     let mut hangups = signal(SignalKind::hangup())?;
///     std::process::Command::new("sh").args(["-c", "kill -HUP $PPID"]).status()?;
///     hangups.recv().await; // read the configuration again
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "open_signal_receiver")]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let listener = Listener::waiter(Listening::begin(kind)?);
    let mut signal = Signal { listener, place: None };
    // Inside a run, what the system refuses is said here.
    if let Some(reactor) = running_reactor() {
        signal.settle_on(reactor)?;
    }
    Ok(signal)
}

/// Waits for Ctrl-C, or whoever else sends `SIGINT`.
///
/// It listens from its first poll until it is over or dropped, and only so long: a program that
/// wants to hear of Ctrl-C all the time keeps a [`Signal`].
///
/// # Errors
/// The system's, where it has no descriptor left.
///
/// # Panics
/// As [`Signal::recv`].
///
/// # Cancel safety
/// Dropping it stops the listening. Where nobody else listens, the next Ctrl-C ends the program
/// again.
///
/// ```
/// use loopbind::process::Command;
/// use loopbind::signal::ctrl_c;
///
/// let mut kill = Command::new("sh");
/// kill.args(["-c", "kill -INT $PPID"]); // as Ctrl-C does
/// let (heard, _) = loopbind::run(async { futures::join!(ctrl_c(), kill.status()) })?;
/// assert!(heard.is_ok());
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn ctrl_c() -> io::Result<()> {
    signal(SignalKind::interrupt())?.recv().await;
    Ok(())
}

/// Listens to one kind of signal until it drops: made by [`signal`]. Also a [`Stream`].
///
/// Like all that is awaited here it belongs to the loop that polls it, and moves when another loop
/// of the thread does.
///
/// ```
/// use futures::StreamExt;
/// use loopbind::signal::{SignalKind, signal};
///
/// loopbind::run(async {
///     let mut resizes = signal(SignalKind::window_change())?;
///     std::process::Command::new("sh").args(["-c", "kill -WINCH $PPID"]).status()?;
///     assert_eq!(resizes.next().await, Some(()));
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "dropping it stops the listening"]
pub struct Signal {
    listener: Rc<Listener>,
    /// Where it would be told.
    place: Option<Rc<Reactor>>,
}

impl Signal {
    /// The kind it listens to.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// let resizes = signal(SignalKind::window_change())?;
    /// assert_eq!(resizes.kind(), SignalKind::window_change());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kind(&self) -> SignalKind {
        self.listener.kind()
    }

    /// Waits for a signal; what came since the last time, or since it was made, is one. `None`: the
    /// loop could not watch for it, as the system refused; awaited again, it tries again.
    ///
    /// # Panics
    /// With `no running event loop` outside of a run: nothing would ever wake it.
    ///
    /// # Cancel safety
    /// No signal is lost: what came is there for the next call.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// let mut resizes = signal(SignalKind::window_change())?;
    /// std::process::Command::new("sh").args(["-c", "kill -WINCH $PPID"]).status()?;
    /// // It came before anybody waited, and is there all the same.
    /// let heard = loopbind::run(async { resizes.recv().await })?;
    /// assert_eq!(heard, Some(()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn recv(&mut self) -> Option<()> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// [`recv`](Signal::recv) for futures written by hand.
    ///
    /// # Panics
    /// As [`recv`](Signal::recv).
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    /// use std::future::poll_fn;
    ///
    /// let mut resizes = signal(SignalKind::window_change())?;
    /// std::process::Command::new("sh").args(["-c", "kill -WINCH $PPID"]).status()?;
    /// let heard = loopbind::run(async { poll_fn(|cx| resizes.poll_recv(cx)).await })?;
    /// assert_eq!(heard, Some(()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        if self.listener.take() {
            return Poll::Ready(Some(()));
        }
        let Some(reactor) = running_reactor() else { LoopError::NoRunningLoop.raise() };
        if self.settle_on(reactor).is_err() {
            return Poll::Ready(None);
        }
        self.listener.wait(cx.waker());
        // One that came before the waker was in its place.
        if self.listener.take() { Poll::Ready(Some(())) } else { Poll::Pending }
    }

    fn settle_on(&mut self, reactor: Rc<Reactor>) -> io::Result<()> {
        if let Some(known) = &self.place {
            if !Rc::ptr_eq(known, &reactor) {
                known.ignore(&self.listener);
                self.place = None;
            }
        }
        reactor.hear(&self.listener)?;
        self.place = Some(reactor);
        Ok(())
    }
}

fn running_reactor() -> Option<Rc<Reactor>> {
    Engine::with_running(|engine| Rc::clone(&engine.reactor))
}

impl Stream for Signal {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<()>> {
        Poll::Ready(ready!(self.poll_recv(cx)))
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        if let Some(reactor) = self.place.take() {
            reactor.ignore(&self.listener);
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("kind", &self.kind()).finish_non_exhaustive()
    }
}
