//! A loop that is a guest: its turns are made in polls by its host, which waits for it in between, and
//! sees to its own things.
//!
//! Between two polls it is the running loop still: what the host calls finds it, and no other can run. It
//! sleeps then as it does by itself, with its inbox parked, so that whoever posts, wakes or schedules, on
//! whatever thread, calls its host.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::host::{Host, Lodging};
use super::{Engine, Exit, Patience};
use crate::attention::Matter;
use crate::current;
use crate::error::LoopError;

/// Turns made in one poll before the host gets its thread back.
const TURNS_PER_POLL: usize = 8;

/// What is left to do behind a turn.
#[derive(PartialEq, Eq)]
enum Rest {
    Awake,
    /// The host has been told when to poll again.
    Asleep,
}

/// What the host is to do.
enum Next {
    Poll,
    Stop,
}

/// The host is called for whoever wakes the loop, until this drops.
struct Checked<'a>(&'a Engine);

impl Drop for Checked<'_> {
    fn drop(&mut self) {
        // In a forked child somebody may hold a lock who is not there.
        if !self.0.home.is_inherited() {
            self.0.home.unpark();
            self.0.home.sleep_at(None);
        }
    }
}

impl Engine {
    /// Calls `f` where the things of this loop's host, if it has one, find it.
    pub(crate) fn within_host<R>(&self, f: impl FnOnce() -> R) -> R {
        let Some(lodging) = &self.lodging else { return f() };
        let (mut f, mut result) = (Some(f), None);
        lodging.within(&mut || result = f.take().map(|f| f()));
        match result {
            Some(result) => result,
            None => unreachable!("called once, or unwound"),
        }
    }

    /// Turns until stopped, in polls of the host's.
    pub(super) fn run_there(&self, lodging: &dyn Lodging) -> Result<(), Exit> {
        let mut ended = Ok(());
        let _checked = Checked(self);
        lodging.stay(&mut |cx, host| {
            self.home.unpark();
            match self.some_turns(cx, host) {
                Ok(Next::Poll) => Poll::Pending,
                Ok(Next::Stop) => Poll::Ready(()),
                Err(exit) => {
                    ended = Err(exit);
                    Poll::Ready(())
                }
            }
        });
        ended
    }

    /// Turns until the host is to have its thread back.
    fn some_turns(&self, cx: &mut Context<'_>, host: &mut dyn Host) -> Result<Next, Exit> {
        let (home, attention) = (Arc::as_ptr(&self.home), &self.home.local().attention);
        for _ in 0..TURNS_PER_POLL {
            let ran = self.turn(Patience::Elsewhere).map_err(LoopError::Io)?;
            let wanted = !current::is_running(home) || attention.is_wanted();
            if wanted && self.is_over(ran)? {
                return Ok(Next::Stop);
            }
            // One that is to stop does not sleep before.
            let stops = attention.is_wanted_for(Matter::Stop);
            if !stops && self.rest(cx, host, None).map_err(LoopError::Io)? == Rest::Asleep {
                return Ok(Next::Poll);
            }
        }
        // There is more to do; so has the host.
        cx.waker().wake_by_ref();
        Ok(Next::Poll)
    }

    /// One iteration, as [`turn`](Engine::turn) makes it, behind a round of the host's own things.
    pub(super) fn turn_there(
        &self,
        lodging: &dyn Lodging,
        patience: Patience,
    ) -> io::Result<usize> {
        let until = match patience {
            Patience::Not | Patience::Elsewhere => Some(Duration::ZERO),
            Patience::UpTo(limit) | Patience::Closing(limit) => Some(limit),
            Patience::Forever => None,
        };
        // A time that no clock shows is no limit.
        let until = until.and_then(|limit| Instant::now().checked_add(limit));
        let mut rounds = 0_u32;
        let mut ended = Ok(0);
        let _checked = Checked(self);
        lodging.stay(&mut |cx, host| {
            self.home.unpark();
            rounds += 1;
            if rounds == 1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let is_late = until.is_some_and(|until| until <= Instant::now());
            let rest = match is_late || !self.is_idle() || self.home.has_mail() {
                true => Ok(Rest::Awake),
                false => self.rest(cx, host, until),
            };
            match rest {
                Ok(Rest::Asleep) => Poll::Pending,
                Ok(Rest::Awake) => {
                    ended = self.turn(Patience::Elsewhere);
                    Poll::Ready(())
                }
                Err(error) => {
                    ended = Err(error);
                    Poll::Ready(())
                }
            }
        });
        ended
    }

    /// Whether there is more to do at once; if not, the host knows what to wait for, until then at most.
    fn rest(
        &self,
        cx: &mut Context<'_>,
        host: &mut dyn Host,
        until: Option<Instant>,
    ) -> io::Result<Rest> {
        if !self.is_idle() || self.home.has_mail() || self.reactor.has_more() {
            return Ok(Rest::Awake);
        }
        if self.reactor.has_sources() {
            if let Some(lent) = self.reactor.lend() {
                if let Poll::Ready(seen) = host.poll_readable(lent.as_fd(), cx) {
                    return seen.map(|()| Rest::Awake);
                }
            }
        }
        let clock = &self.alarms.clock;
        let alarm = self.alarms.next().map(|at| clock.instant(at));
        let deadline = alarm.into_iter().chain(until).chain(self.watchdog.get()).min();
        if deadline.is_some_and(|at| host.poll_deadline(at, cx).is_ready()) {
            return Ok(Rest::Awake);
        }
        self.home.trim();
        // The waker first: who finds the loop asleep calls it.
        self.home.sleep_at(Some(cx.waker()));
        Ok(if self.home.park() { Rest::Asleep } else { Rest::Awake })
    }
}
