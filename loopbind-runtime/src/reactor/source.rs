//! A descriptor whose owner tries first, and waits only when told to.
//!
//! What was seen last is believed until the system says `WouldBlock`: no call is made to ask what
//! the next call will say. The registration is made when there is first something to wait for, on
//! the loop that polls, and edge-triggered: an edge that comes between a try and the registration is
//! reported by the registration itself.
//!
//! Tries that succeed do not wait, so that a peer who sends faster than a task reads would keep the task
//! in its loop, and the loop from all else. After so many of them in one poll, the task gives way for an
//! iteration.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::waiters::Waiters;
use super::{Key, Reactor, Tenant};
use crate::panic::caught;
use crate::sys::{Event, Interest};
use crate::task::{ExceptionContext, LocalHome, is_spent};

/// Tries that may succeed before it is asked whether they are all of one poll.
const PORTION: u32 = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Read,
    Write,
}

/// A descriptor's standing with the loop it is polled on.
#[derive(Default)]
pub(crate) struct Source {
    state: Rc<SourceState>,
}

#[derive(Default)]
pub(super) struct SourceState {
    read: Side,
    write: Side,
    /// The other side will write no more.
    last: Cell<bool>,
    /// Tries that succeeded since it was last asked which poll it is, and the answer.
    streak: Cell<u32>,
    poll: Cell<u64>,
    place: RefCell<Option<(Rc<Reactor>, Key)>>,
}

#[derive(Default)]
struct Side {
    /// The last try said `WouldBlock`, and nothing came since.
    exhausted: Cell<bool>,
    waiters: RefCell<Waiters>,
}

impl Side {
    #[inline]
    fn wake(&self, home: Option<&LocalHome>) {
        self.exhausted.set(false);
        // Out first: wakers are user code.
        match self.waiters.take() {
            Waiters::None => {}
            Waiters::One(waker) => wake(waker, home),
            Waiters::More(wakers) => wake_all(wakers, home),
        }
    }

    fn wait(&self, waker: &Waker) {
        if self.waiters.borrow().as_slice().iter().any(|known| known.will_wake(waker)) {
            return;
        }
        // Cloned before the borrow, and woken after it.
        let waker = waker.clone();
        let surplus = self.waiters.borrow_mut().push(waker);
        for waker in surplus {
            waker.wake();
        }
    }

    /// Whether somebody may still wait. A task that gave up waiting and lives on is not known from one
    /// that waits; one that is over waits for nothing.
    fn has_waiters(&self, home: &LocalHome) -> bool {
        self.waiters.borrow().as_slice().iter().any(|waker| !is_spent(waker, home))
    }
}

#[cold]
fn wake_all(wakers: Vec<Waker>, home: Option<&LocalHome>) {
    for waker in wakers {
        wake(waker, home);
    }
}

fn wake(waker: Waker, home: Option<&LocalHome>) {
    let woken = caught(move || waker.wake());
    if let (Err(payload), Some(home)) = (woken, home) {
        let context = ExceptionContext::panicked("exception in a waker", payload);
        home.local().report(context);
    }
}

impl SourceState {
    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Whether the poll that is on has had two portions; `poll` is its number, if a loop runs.
    #[cold]
    fn is_greedy(&self, poll: Option<u64>) -> bool {
        self.streak.set(0);
        poll.is_some_and(|poll| self.poll.replace(poll) == poll)
    }

    pub(super) fn deliver(&self, event: Event, home: &LocalHome) {
        if event.last {
            self.last.set(true);
        }
        if event.readable {
            self.read.wake(Some(home));
        }
        if event.writable {
            self.write.wake(Some(home));
        }
    }

    /// The loop is closed: who waited is woken, and finds out by its next try.
    pub(super) fn evict(&self) {
        let place = self.place.take();
        self.read.wake(None);
        self.write.wake(None);
        drop(place);
    }
}

impl Source {
    /// Tries `op`, and where it would block leaves `cx` to be woken when it may not; `settle` has it
    /// [settle on](Source::settle_on) the loop that runs, and `poll` is the number of that loop's poll.
    pub(crate) fn poll_io<R>(
        &self,
        settle: impl FnOnce() -> io::Result<()>,
        poll: impl FnOnce() -> Option<u64>,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let side = self.state.side(direction);
        if self.state.streak.get() >= PORTION && self.state.is_greedy(poll()) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        while !side.exhausted.get() {
            match op() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => side.exhausted.set(true),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => {
                    self.state.streak.set(self.state.streak.get() + 1);
                    return Poll::Ready(done);
                }
            }
        }
        match settle() {
            Ok(()) => {
                side.wait(cx.waker());
                Poll::Pending
            }
            Err(error) => {
                // Not registered: nothing would come. The next poll tries again.
                side.exhausted.set(false);
                Poll::Ready(Err(error))
            }
        }
    }

    /// A read that filled less than it could have has read everything, unless the end came too: the
    /// next one would block, and need not be tried.
    pub(crate) fn came_short(&self) {
        if !self.state.last.get() {
            self.state.read.exhausted.set(true);
        }
    }

    /// Registered on `reactor` from here on, and nowhere else.
    #[inline]
    pub(crate) fn settle_on(&self, reactor: &Rc<Reactor>, fd: BorrowedFd<'_>) -> io::Result<()> {
        match &*self.state.place.borrow() {
            Some((known, _)) if Rc::ptr_eq(known, reactor) => return Ok(()),
            _ => {}
        }
        self.move_to(reactor, fd)
    }

    #[cold]
    fn move_to(&self, reactor: &Rc<Reactor>, fd: BorrowedFd<'_>) -> io::Result<()> {
        let place = self.state.place.borrow().clone();
        if let Some((known, key)) = place {
            if known.is_inherited() {
                // Who waited is the parent's. Forgotten, not dropped.
                for side in [&self.state.read, &self.state.write] {
                    std::mem::forget(side.waiters.take());
                }
            }
            let home = &known.home;
            if self.state.read.has_waiters(home) || self.state.write.has_waiters(home) {
                return Err(io::Error::other(format!(
                    "somebody waits for this descriptor on event loop {}: await it there, or end that \
                     wait before it is used on event loop {}",
                    known.id().get(),
                    reactor.id().get(),
                )));
            }
            known.deregister(fd, key);
            self.state.place.take();
            for side in [&self.state.read, &self.state.write] {
                let spent = side.waiters.take();
                drop(spent);
            }
        }
        let tenant = Tenant::Source(Rc::clone(&self.state));
        let key = reactor.register(fd, tenant, Interest::Edges)?;
        self.state.place.replace(Some((Rc::clone(reactor), key)));
        Ok(())
    }

    /// To be called before the descriptor is closed, or given away.
    pub(crate) fn leave(&self, fd: BorrowedFd<'_>) {
        if let Some((reactor, key)) = self.state.place.take() {
            reactor.deregister(fd, key);
        }
        for side in [&self.state.read, &self.state.write] {
            let waiters = side.waiters.take();
            drop(waiters);
        }
    }
}
