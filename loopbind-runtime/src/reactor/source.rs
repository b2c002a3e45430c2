//! A descriptor whose owner tries first, and waits only when told to.
//!
//! What was seen last is believed until the system says `WouldBlock`: no call is made to ask what
//! the next call will say. The registration is made when there is first something to wait for, on
//! the loop that polls, and edge-triggered: an edge that comes between a try and the registration is
//! reported by the registration itself.
//!
//! Tries that succeed do not wait, so that a peer who sends faster than a task reads would keep the task
//! in its loop, and the loop from all else. After so many of them in one poll, on whatever descriptors,
//! the task gives way for an iteration.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::waiters::{Waiters, Wakers};
use super::{Key, Reactor, Tenant};
use crate::sys::{Event, Interest};
use crate::task::LocalHome;

/// Tries that may succeed in one poll of a task.
const PORTION: u32 = 64;

/// Tries that each descriptor has behind that, so that the first does not keep the others of its task
/// from their turns.
const SHARE: u32 = 8;

/// Refusals after which whoever asks is not the loop's, and would ask for ever.
const PATIENCE: u32 = 64;

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
    /// Which step of the loop had its portion when this was asked for last, and how often it was.
    step: Cell<u64>,
    asked: Cell<u32>,
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
        self.take_waiters().wake(home);
    }

    #[inline]
    fn take_waiters(&self) -> Wakers {
        self.waiters.borrow_mut().take()
    }

    fn wait(&self, waker: &Waker, iteration: u64) {
        if self.waiters.borrow().knows(waker) {
            return;
        }
        // Cloned before the borrow, and woken after it.
        let waker = waker.clone();
        LocalHome::with_running(|home| {
            let surplus = self.waiters.borrow_mut().push(waker, Some((iteration, home)));
            surplus.wake(Some(home));
        });
    }
}

impl SourceState {
    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    /// Whether whoever polls is to give way.
    #[inline]
    fn is_greedy(&self) -> bool {
        LocalHome::with_running(|home| {
            home.local().tries.step.get() >= PORTION && self.had_its_share(home)
        })
        .unwrap_or(false)
    }

    #[cold]
    fn had_its_share(&self, home: &LocalHome) -> bool {
        let local = home.local();
        let step = local.counts.polls.get() + local.counts.callbacks.get();
        if self.step.replace(step) != step {
            self.asked.set(0);
        }
        let asked = self.asked.get() + 1;
        self.asked.set(asked);
        // A guest's host polls tasks of its own, whose steps nobody here sees the end of: each portion
        // ends one.
        let patience = if local.current.get().is_some() { PATIENCE } else { 1 };
        if asked > SHARE + patience {
            // An executor inside of a task, which does not give way when it is asked to.
            self.asked.set(0);
            local.tries.step.set(0);
            return false;
        }
        asked > SHARE
    }

    pub(super) fn is_awaited(&self, home: &LocalHome) -> bool {
        [&self.read, &self.write].iter().any(|side| side.waiters.borrow().may_wait(home))
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

#[inline]
fn count_try() {
    LocalHome::with_running(|home| {
        let tries = &home.local().tries;
        tries.step.set(tries.step.get() + 1);
        tries.batch.set(tries.batch.get() + 1);
    });
}

impl Source {
    /// Tries `op`, and where it would block leaves `cx` to be woken when it may not; `settle` has it
    /// [settle on](Source::settle_on) the loop that runs, and says which iteration of it this is.
    pub(crate) fn poll_io<R>(
        &self,
        mut settle: impl FnMut() -> io::Result<u64>,
        direction: Direction,
        cx: &mut Context<'_>,
        mut op: impl FnMut() -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let side = self.state.side(direction);
        if !side.exhausted.get() && self.state.is_greedy() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut interrupted = 0;
        loop {
            let believed = side.exhausted.get();
            while !side.exhausted.get() {
                match op() {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        side.exhausted.set(true);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                        interrupted += 1;
                        if interrupted >= PORTION {
                            // By a storm of them. The others have their turn, and then it is tried
                            // again.
                            count_try();
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                    }
                    done => {
                        count_try();
                        return Poll::Ready(done);
                    }
                }
            }
            match settle() {
                Ok(iteration) => {
                    side.wait(cx.waker(), iteration);
                    return Poll::Pending;
                }
                Err(error) => {
                    // Nothing would come. The next poll tries again; and what was believed, and
                    // nobody corrects, is tried now.
                    side.exhausted.set(false);
                    if !believed {
                        return Poll::Ready(Err(error));
                    }
                }
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
                    std::mem::forget(side.take_waiters());
                }
            }
            let home = &known.home;
            let may_wait = |side: &Side| side.waiters.borrow().may_wait(home);
            if may_wait(&self.state.read) || may_wait(&self.state.write) {
                return Err(io::Error::other(format!(
                    "somebody waits for this descriptor on event loop {}: await it there, or end that \
                     wait before it is used on event loop {}",
                    known.id().get(),
                    reactor.id().get(),
                )));
            }
            known.deregister(key);
            self.state.place.take();
            for side in [&self.state.read, &self.state.write] {
                let spent = side.take_waiters();
                drop(spent);
            }
        }
        let tenant = Tenant::Source(Rc::clone(&self.state));
        let key = reactor.register(fd, tenant, Interest::Edges)?;
        self.state.place.replace(Some((Rc::clone(reactor), key)));
        Ok(())
    }

    /// To be called before the descriptor is closed, or given away.
    pub(crate) fn leave(&self) {
        if let Some((reactor, key)) = self.state.place.take() {
            reactor.deregister(key);
        }
        for side in [&self.state.read, &self.state.write] {
            let waiters = side.take_waiters();
            drop(waiters);
        }
    }
}
