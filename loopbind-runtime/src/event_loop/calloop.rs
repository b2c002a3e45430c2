//! A loop inside of a calloop event loop, on the same thread: Wayland programs, compositors, whatever is built
//! on calloop. On Linux, where those are.
//!
//! A [`LoopSource`] is inserted like any other event source. calloop watches, and turns the loop when something
//! came or a timer is due: no thread, and no turn for nothing. What calloop's callbacks start on the loop, and what
//! other threads post to it, is heard as well.
//!
//! ```
//! use calloop::PostAction;
//! use loopbind::calloop::{LoopEvent, LoopSource};
//! use loopbind::{EventLoop, sleep};
//! use std::time::Duration;
//!
//! struct App { done: bool }
//!
//! let guest = EventLoop::new()?;
//! let stop = guest.clone();
//! guest.create_task(async move {
//!     sleep(Duration::from_millis(1)).await;
//!     stop.stop();
//! }).detach();
//!
//! let mut host = calloop::EventLoop::<App>::try_new()?;
//! host.handle().insert_source(LoopSource::new(&guest)?, |event, (), app: &mut App| {
//!     // After each turn; here the host's state meets what the loop's tasks have done.
//!     app.done = event == LoopEvent::Stopped;
//!     PostAction::Continue
//! })?;
//! let mut app = App { done: false };
//! while !app.done {
//!     host.dispatch(None, &mut app)?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A turn is what was ready as it began, and a loop that is busy has one for each dispatch: the host's other sources have
//! theirs in between. Inside of a turn all is as in a run: lookup finds the loop, and another cannot run there.
//!
//! # The end
//!
//! Disabled, or removed from the host, the loop is as any other: it may be run, turned, or inserted again, there
//! or elsewhere. Keep an [`EventLoop`] for that: where the source has the last one, the loop is closed as the source
//! is dropped, and destructors of its tasks that use the host find calloop in the middle of a removal, which is a panic of
//! calloop's. A loop that is stopped, or closed, leaves its host by itself, and the callback is told ([`LoopEvent`]).
//!
//! # Errors
//!
//! A turn that is refused is an error of the host's `dispatch`: [`LoopError::AlreadyRunning`] and
//! [`LoopError::AnotherLoopRunning`], where a task of a running loop dispatches a host; [`LoopError::Forked`] in a
//! forked child. It comes as [`calloop::Error::OtherError`](::calloop::Error::OtherError), from which it is downcast.
//! The source stays, and goes on with the next dispatch. Panics that leave a turn
//! ([`UnhandledPanic::Resume`](crate::UnhandledPanic::Resume)) go through `dispatch`, and leave the source whole as well.

use std::fmt;
use std::io;
use std::mem;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::calloop::generic::Generic;
use ::calloop::{EventSource, Interest, Mode, Poll, PostAction, Readiness, Token, TokenFactory};

use super::EventLoop;
use super::run::Turn;
use crate::engine::Patience;
use crate::error::LoopError;
use crate::panic::caught;
use crate::sys::{self, TimerDescriptor};

/// What became of a loop that is inserted into a calloop event loop: the event of a [`LoopSource`].
///
/// ```
/// use calloop::PostAction;
/// use loopbind::calloop::{LoopEvent, LoopSource};
/// use loopbind::EventLoop;
///
/// let guest = EventLoop::new()?;
/// let mut host = calloop::EventLoop::<Vec<LoopEvent>>::try_new()?;
/// host.handle().insert_source(LoopSource::new(&guest)?, |event, (), seen: &mut Vec<LoopEvent>| {
///     seen.push(event);
///     PostAction::Continue
/// })?;
/// let mut seen = Vec::new();
/// host.dispatch(None, &mut seen)?;
/// guest.close()?;
/// host.dispatch(None, &mut seen)?;
/// assert!(matches!(seen[..], [LoopEvent::Turned(_), LoopEvent::Closed]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoopEvent {
    /// It made a turn. What the callback returns is done.
    Turned(Turn),
    /// [`EventLoop::stop`] was called, and this turn was the last: the source is removed, whatever the callback
    /// returns. Insert another to go on.
    Stopped,
    /// It was closed: the source is removed.
    Closed,
}

/// A loop as an event source of calloop's: see [`loopbind::calloop`](crate::calloop).
///
/// It holds on to the loop, which is not closed while it is inserted.
///
/// ```
/// use calloop::PostAction;
/// use loopbind::calloop::LoopSource;
/// use loopbind::EventLoop;
///
/// let guest = EventLoop::new()?;
/// let mut host = calloop::EventLoop::<()>::try_new()?;
/// let source = LoopSource::new(&guest)?;
/// let token = host.handle().insert_source(source, |_, (), ()| PostAction::Continue)?;
///
/// let task = guest.create_task(async { 6 * 7 });
/// while !task.is_finished() {
///     host.dispatch(None, &mut ())?;
/// }
///
/// host.handle().remove(token);
/// assert_eq!(guest.run_until_complete(task)?.unwrap(), 42); // a loop as any other
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a source does nothing until it is inserted"]
pub struct LoopSource {
    event_loop: EventLoop,
    watched: Generic<EventLoop>,
    /// Of our own, and not calloop's: an event of calloop's timers is lost where another source of the same dispatch
    /// fails, or panics; and to move one, a source has to return what calloop then does instead of
    /// what its callback asked for.
    timer: Generic<Rc<TimerDescriptor>>,
    set: Set,
    /// The last turn was one that the timer called for.
    timer_went_before: bool,
}

fn watching<F: AsFd>(descriptor: F) -> Generic<F> {
    Generic::new(descriptor, Interest::READ, Mode::Level)
}

/// What the timer is set for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Never,
    Now,
    At(Instant),
}

impl LoopSource {
    /// A source that turns `event_loop`, from the first dispatch on behind its insertion.
    ///
    /// # Errors
    /// [`LoopError::Closed`] and [`LoopError::Forked`]; [`LoopError::HasHost`] where the loop was built with a host of
    /// its own; [`LoopError::Io`] where the system refuses a descriptor for the deadline.
    ///
    /// ```
    /// use loopbind::calloop::LoopSource;
    /// use loopbind::{EventLoop, LoopError};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let source = LoopSource::new(&event_loop)?;
    /// event_loop.close()?;
    /// assert!(matches!(LoopSource::new(&event_loop), Err(LoopError::Closed)));
    /// # Ok::<(), LoopError>(())
    /// ```
    pub fn new(event_loop: &EventLoop) -> Result<Self, LoopError> {
        let hold = event_loop.hold();
        hold.home.check_fork()?;
        if event_loop.is_closed() {
            return Err(LoopError::Closed);
        }
        if hold.has_host() {
            return Err(LoopError::HasHost);
        }
        // Lent here, where a refusal is an error.
        hold.lend()?;
        let timer = Rc::new(TimerDescriptor::new()?);
        Ok(LoopSource {
            event_loop: event_loop.clone(),
            watched: watching(event_loop.clone()),
            timer: watching(timer),
            set: Set::Never,
            timer_went_before: false,
        })
    }

    /// Whether a turn of the same dispatch has seen to what this event tells: the two descriptors are ready together
    /// where a deadline comes with something else.
    fn is_stale(&mut self, readiness: Readiness, token: Token) -> io::Result<bool> {
        let mut is_timer = false;
        self.timer.process_events(readiness, token, |_, _| {
            is_timer = true;
            Ok(PostAction::Continue)
        })?;
        if !is_timer {
            // Asked of the system where a turn went before that the timer called for.
            return Ok(mem::take(&mut self.timer_went_before)
                && matches!(sys::check_readable(self.watched.get_ref().as_fd()),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock));
        }
        let is_stale = match self.set {
            Set::Never => true,
            Set::Now => false,
            Set::At(at) => at > Instant::now(),
        };
        self.timer_went_before |= !is_stale;
        Ok(is_stale)
    }

    /// One turn, and the timer is set for the next.
    fn turn(&mut self) -> Result<Turn, LoopError> {
        match caught(|| self.event_loop.turn_once(Patience::Elsewhere)) {
            Ok(turned) => {
                let turn = turned?;
                let next = if self.event_loop.has_to_go_on(turn) {
                    Set::Now
                } else {
                    self.event_loop.wakes_host_at().map_or(Set::Never, Set::At)
                };
                self.set_for(next)?;
                Ok(turn)
            }
            Err(payload) => {
                // Whatever the turn left undone is seen to by the next.
                let _ = self.set_for(Set::Now);
                payload.resume()
            }
        }
    }

    fn set_for(&mut self, next: Set) -> io::Result<()> {
        if self.set != next {
            let left = match next {
                Set::Never => None,
                Set::Now => Some(Duration::ZERO),
                Set::At(at) => Some(at.saturating_duration_since(Instant::now())),
            };
            self.timer.get_ref().set(left)?;
            self.set = next;
        }
        Ok(())
    }
}

impl EventSource for LoopSource {
    type Event = LoopEvent;
    type Metadata = ();
    type Ret = PostAction;
    type Error = LoopError;

    fn process_events<F>(
        &mut self,
        readiness: Readiness,
        token: Token,
        mut callback: F,
    ) -> Result<PostAction, LoopError>
    where
        F: FnMut(LoopEvent, &mut ()) -> PostAction,
    {
        if self.is_stale(readiness, token)? {
            return Ok(PostAction::Continue);
        }
        let last = match self.turn() {
            Ok(turn) if turn.stopped => LoopEvent::Stopped,
            Ok(turn) => return Ok(callback(LoopEvent::Turned(turn), &mut ())),
            Err(LoopError::Closed) => LoopEvent::Closed,
            Err(error) => return Err(error),
        };
        callback(last, &mut ());
        Ok(PostAction::Remove)
    }

    fn register(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> ::calloop::Result<()> {
        // What it has to do since before anybody watched rang for nobody.
        self.set_for(Set::Now)?;
        self.watched.register(poll, tokens)?;
        self.timer.register(poll, tokens).inspect_err(|_| {
            // Refused as a whole.
            let _ = self.watched.unregister(poll);
        })
    }

    fn reregister(&mut self, poll: &mut Poll, tokens: &mut TokenFactory) -> ::calloop::Result<()> {
        self.watched.reregister(poll, tokens)?;
        self.timer.reregister(poll, tokens)
    }

    fn unregister(&mut self, poll: &mut Poll) -> ::calloop::Result<()> {
        if self.event_loop.hold().home.is_inherited() {
            // What is taken out of calloop's poller is taken out of the parent's, too.
            return Ok(());
        }
        let (watched, timer) = (self.watched.unregister(poll), self.timer.unregister(poll));
        watched.and(timer)
    }
}

impl Drop for LoopSource {
    fn drop(&mut self) {
        if self.event_loop.hold().home.is_inherited() {
            // As above: dropped they would take themselves out.
            let timer = watching(Rc::clone(self.timer.get_ref()));
            mem::forget(mem::replace(&mut self.timer, timer));
            mem::forget(mem::replace(&mut self.watched, watching(self.event_loop.clone())));
        }
    }
}

impl fmt::Debug for LoopSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopSource").field("event_loop", &self.event_loop).finish_non_exhaustive()
    }
}
