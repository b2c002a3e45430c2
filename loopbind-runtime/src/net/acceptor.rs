//! A listening socket: what is accepted of it, and when.
//!
//! Two things that a loop of `accept` must not do are seen to here, for whoever writes one:
//!
//! * **Spin.** With no descriptors left, `accept` fails and the connection stays in the queue, so
//!   that the next call fails at once. It is told once; calls after that wait out a second, on the
//!   loop's clock, before they try again. SRV-06.
//! * **Starve.** A storm of connections is taken in portions, and the loop has its turn in between.
//!   SRV-07.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::engine::Engine;
use crate::error::LoopError;
use crate::io::Async;
use crate::reactor::Direction;
use crate::sys::{self, AcceptTrouble};
use crate::time::{self, Sleep, sleep_until};

/// Connections taken in a row, before the loop has its turn.
const PORTION: u32 = 64;

/// How long nothing is accepted after the system had no room for a connection.
const REST: Duration = Duration::from_secs(1);

/// A socket that listens.
pub(super) trait Listen: AsFd {
    type Stream;
    type Peer;

    /// The next connection, or `WouldBlock`.
    fn take(&self) -> io::Result<(Self::Stream, Self::Peer)>;
}

pub(super) struct Acceptor<L: Listen> {
    io: Async<L>,
    /// Until then nothing is accepted.
    resting: Cell<Option<Instant>>,
    /// Connections taken since the loop had its turn.
    streak: Cell<u32>,
}

/// One accepter's wait for the end of a rest.
pub(super) type Rest = Option<Sleep>;

impl<L: Listen> Acceptor<L> {
    pub(super) fn new(io: Async<L>) -> Self {
        Acceptor { io, resting: Cell::new(None), streak: Cell::new(0) }
    }

    pub(super) fn get_ref(&self) -> &L {
        self.io.get_ref()
    }

    pub(super) fn into_inner(self) -> io::Result<L> {
        self.io.into_inner()
    }

    pub(super) async fn accept(&self) -> io::Result<(L::Stream, L::Peer)> {
        let mut rest = None;
        poll_fn(|cx| self.poll_accept(cx, &mut rest)).await
    }

    pub(super) fn poll_accept(
        &self,
        cx: &mut Context<'_>,
        rest: &mut Rest,
    ) -> Poll<io::Result<(L::Stream, L::Peer)>> {
        ready!(self.poll_rested(cx, rest))?;
        if self.streak.get() >= PORTION {
            self.streak.set(0);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = self.io.poll_io(Direction::Read, cx, take);
        match &polled {
            Poll::Pending => self.streak.set(0),
            Poll::Ready(Ok(_)) => self.streak.set(self.streak.get() + 1),
            Poll::Ready(Err(error)) => {
                // The system's; ours, about the place of the call, are no trouble of the socket's.
                if error.raw_os_error().is_some() {
                    self.resting.set(time::now().checked_add(REST));
                }
            }
        }
        polled
    }

    fn poll_rested(&self, cx: &mut Context<'_>, rest: &mut Rest) -> Poll<io::Result<()>> {
        while let Some(until) = self.resting.get() {
            if time::now() >= until {
                self.resting.set(None);
                break;
            }
            if Engine::with_running(|_| ()).is_none() {
                return Poll::Ready(Err(LoopError::NoRunningLoop.into()));
            }
            let sleep = rest.get_or_insert_with(|| sleep_until(until));
            ready!(Pin::new(sleep).poll(cx));
            *rest = None;
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn incoming(&self) -> Incoming<'_, L> {
        Incoming { acceptor: self, rest: None }
    }
}

/// One connection. One that failed before it was taken is gone, and the next is tried.
fn take<L: Listen>(listener: &L) -> io::Result<(L::Stream, L::Peer)> {
    let mut tries = 0;
    loop {
        match listener.take() {
            Err(error)
                if tries < PORTION && sys::accept_trouble(&error) == AcceptTrouble::Connection =>
            {
                tries += 1;
            }
            taken => return taken,
        }
    }
}

impl<L: Listen + fmt::Debug> fmt::Debug for Acceptor<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get_ref().fmt(f)
    }
}

/// Connections as they come; never ends.
pub(super) struct Incoming<'a, L: Listen> {
    acceptor: &'a Acceptor<L>,
    rest: Rest,
}

impl<L: Listen> Stream for Incoming<'_, L> {
    type Item = io::Result<L::Stream>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let acceptor = self.acceptor;
        let accepted = ready!(acceptor.poll_accept(cx, &mut self.rest));
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}
