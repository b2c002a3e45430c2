//! One iteration of a loop. Start reading here.
//!
//! A loop is a queue of things that are ready and a rule for what joins it when:
//!
//! 1. **Mail.** What other threads posted is taken in: it happened before what comes next.
//! 2. **Look.** Time passes and the world outside is seen here only. With nothing ready, the loop
//!    sleeps until a post or a timer; with work ready it does not sleep, and most iterations skip
//!    the look altogether: it is due after `event_interval` entries. Nothing is paid for what cannot
//!    be seen: without timers no clock is read, without sources no system call made. What was seen of
//!    descriptors joins the queue.
//! 3. **Timers** that are due, by the last reading of the clock, join the queue.
//! 4. **Batch.** What is in the queue *now* runs, one entry after the other. What that adds waits
//!    for the next iteration, so that no task and no callback can starve the others, the timers or
//!    the outside. With a seed it runs in another order, and some of it later: see `exploration`.
//!
//! Wake → ready queue → turn → poll → outcome → waker of whoever awaits.

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Engine;
use super::exploration::{Exploration, Pace};
use super::host::Lodging;
use super::spin::{Found, Spin};
use crate::attention::Matter;
use crate::current;
use crate::ready::Node;
use crate::task::Local;

/// How long a loop sleeps at most for as long as nobody can ring for it.
const DEAF_SLEEP: Duration = Duration::from_millis(50);

/// How long an iteration may sleep when nothing is ready.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    Not,
    /// Not here, but in the host's loop, for as long as that likes: a virtual clock goes on meanwhile.
    Elsewhere,
    UpTo(Duration),
    /// The same for the end of a loop, whose limit is no timer that a virtual clock may jump to while
    /// somebody waits for a descriptor: what comes by one takes real time.
    Closing(Duration),
    Forever,
}

impl Engine {
    /// Runs one iteration, wherever the loop sleeps.
    pub(crate) fn turn_once(&self, patience: Patience) -> io::Result<usize> {
        match &self.lodging {
            Some(lodging) => self.turn_there(&**lodging, patience),
            None => self.turn(patience),
        }
    }

    /// Runs one iteration, and says how many entries it ran.
    #[inline(always)]
    pub(super) fn turn(&self, patience: Patience) -> io::Result<usize> {
        let local = self.home.local();

        // 1. Mail.
        self.home.take_in();

        // 2. Look.
        if local.ready.is_empty() && !self.alarms.is_due() || self.until_look.get() <= 0 {
            self.look(patience)?;
        }

        // 3. Timers.
        self.alarms.fire(&self.home);

        // 4. Batch.
        let ran = self.batch(local);
        // What a descriptor gave takes as long as an entry.
        let tries = local.tries.batch.take();
        self.until_look.set(self.until_look.get() - (ran + tries) as isize);
        self.meters.turns.set(self.meters.turns.get() + 1);
        Ok(ran)
    }

    /// Nothing to run: no entry, and no timer known to be due.
    pub(crate) fn is_idle(&self) -> bool {
        self.home.local().ready.is_empty() && !self.alarms.is_due()
    }

    /// A look would see nothing.
    pub(super) fn is_blind(&self) -> bool {
        self.alarms.is_empty() && !self.reactor.has_sources() && !self.home.local().hosted.get()
    }

    #[inline(never)]
    fn look(&self, patience: Patience) -> io::Result<()> {
        self.until_look.set(self.event_interval);
        let slept = self.is_idle() && self.sleep(patience)?;
        // A host sees the bell for as long as nobody looked.
        if !slept && (self.reactor.has_sources() || self.home.local().hosted.get()) {
            self.reactor.look(Some(Duration::ZERO))?;
        }
        self.home.take_in();
        self.reactor.deliver();
        // A sleep was timed, and has read the clock at its end.
        if !slept && !self.alarms.is_empty() {
            self.alarms.clock.read();
        }
        Ok(())
    }

    /// With nothing to run, waits for something, and looks while it does, also at the clock. False: it
    /// did not.
    fn sleep(&self, patience: Patience) -> io::Result<bool> {
        let clock = &self.alarms.clock;
        let elsewhere = matches!(patience, Patience::Elsewhere);
        let may_spin = matches!(patience, Patience::UpTo(_) | Patience::Forever);
        let (patience, jumps) = match patience {
            Patience::Not => return Ok(false),
            Patience::Elsewhere if !clock.is_virtual() => return Ok(false),
            Patience::UpTo(limit) => (Some(limit), true),
            Patience::Closing(limit) => (Some(limit), !self.reactor.is_awaited()),
            Patience::Elsewhere | Patience::Forever => (None, true),
        };
        let (began, limit) = if clock.is_virtual() {
            // What blocking jobs and children deliver counts as work to come: time stands still for
            // them. Asked in this order, because a job delivers before it says that it is over.
            let quiet = self.home.local().children.get() == 0
                && self.home.blocking_jobs() == 0
                && !self.home.has_mail();
            let until = patience.filter(|_| jumps).map(|limit| clock.ahead(limit));
            let next = self.alarms.next();
            if let (true, Some(at)) = (quiet, next.into_iter().chain(until).min()) {
                // What is there to be seen comes first: time stands still for it.
                let looks = self.reactor.has_sources();
                if looks {
                    self.reactor.look(Some(Duration::ZERO))?;
                }
                if !self.reactor.has_seen() {
                    clock.move_to(at);
                }
                return Ok(looks);
            }
            if elsewhere {
                return Ok(false);
            }
            if quiet && patience.is_none() && self.is_abandoned() {
                return self.wait_once_more();
            }
            (Instant::now(), patience)
        } else {
            let began = Instant::now();
            clock.note(began);
            let next = self.alarms.wake_at();
            let left = next.map(|at| at.saturating_sub(clock.last()));
            match left {
                Some(..=0) => return Ok(false),
                left => match (left.map(|ticks| Duration::from_nanos(ticks as u64)), patience) {
                    (Some(left), Some(limit)) => (began, Some(left.min(limit))),
                    (left, limit) => (began, left.or(limit)),
                },
            }
        };
        match &self.spin {
            Some(spin) if may_spin => self.spin(spin, began, limit),
            _ => self.park(began, limit),
        }
    }

    /// Looks for work for a moment, and sleeps if there is none. Awake until then: a post that comes
    /// meanwhile has nobody to ring for.
    fn spin(&self, spin: &Spin, began: Instant, limit: Option<Duration>) -> io::Result<bool> {
        if self.home.local().hosted.get() || !spin.is_due(began) {
            return self.park(began, limit);
        }
        let has_sources = self.reactor.has_sources();
        let look = || {
            if has_sources {
                self.reactor.look(Some(Duration::ZERO))?;
            }
            Ok::<_, io::Error>(self.reactor.has_seen())
        };
        let most = self.cut_short(began, limit);
        let (found, ended) = spin.watch(began, most, || self.home.has_mail(), look)?;
        match found {
            Found::Nothing => {
                let spun = ended.saturating_duration_since(began);
                self.park(ended, limit.map(|limit| limit.saturating_sub(spun)))
            }
            Found::Post => Ok(false),
            Found::Readiness => {
                self.alarms.clock.note(ended);
                Ok(true)
            }
        }
    }

    /// No longer than the run may go on.
    fn cut_short(&self, began: Instant, limit: Option<Duration>) -> Option<Duration> {
        let left = self.watchdog.get().map(|at| at.saturating_duration_since(began));
        limit.into_iter().chain(left).min()
    }

    /// Nothing is known that could end a sleep. Waits for as long as something unknown may take, and
    /// where nothing came the run is over: see `dead_end`.
    fn wait_once_more(&self) -> io::Result<bool> {
        let (began, grace) = (Instant::now(), self.grace());
        let looked = self.park(began, Some(grace))?;
        if looked && began.elapsed() >= grace {
            self.home.local().attention.call_for(Matter::DeadEnd);
        }
        Ok(looked)
    }

    /// Sleeps, from `began` on, until somebody posts, something is seen, or `limit` is over.
    fn park(&self, began: Instant, limit: Option<Duration>) -> io::Result<bool> {
        // Awake still: a post that comes meanwhile has nobody to ring for.
        self.home.trim();
        if !self.home.park() {
            return Ok(false);
        }
        let deaf = self.home.is_deaf().then_some(DEAF_SLEEP);
        let limit = self.cut_short(began, limit).into_iter().chain(deaf).min();
        let looked = self.reactor.look(limit);
        self.home.unpark();
        let ended = Instant::now();
        self.alarms.clock.note(ended);
        self.meters.parked.set(self.meters.parked.get() + ended.saturating_duration_since(began));
        looked.map(|()| true)
    }

    #[inline]
    fn batch(&self, local: &Local) -> usize {
        if !self.is_plain {
            return self.batch_apart(local);
        }
        let Some(last) = local.ready.last() else { return 0 };
        let ran = self.run_to(last, local);
        local.leave_task();
        ran
    }

    /// Runs entries up to and with `last`.
    #[inline]
    fn run_to(&self, last: NonNull<Node>, local: &Local) -> usize {
        let home = Arc::as_ptr(&self.home);
        let mut ran = 0;
        // A fork inside an entry leaves no loop running in the child, and a panic that is on its
        // way out goes at once: what is behind it stays queued.
        while current::is_running(home) && !local.attention.is_wanted_for(Matter::Escape) {
            let Some(node) = local.run_next() else { break };
            ran += 1;
            if node == last {
                break;
            }
        }
        ran
    }

    /// A batch of a loop that has its own way with them.
    #[inline(never)]
    fn batch_apart(&self, local: &Local) -> usize {
        if let Some(exploration) = &self.exploration {
            return self.explore(exploration);
        }
        let Some(last) = local.ready.last() else { return 0 };
        let ran = self.run_at_home_to(last, local);
        local.leave_task();
        ran
    }

    /// As [`run_to`](Engine::run_to), each entry with what its loop's host has for it.
    fn run_at_home_to(&self, last: NonNull<Node>, local: &Local) -> usize {
        match &self.lodging {
            Some(lodging) => self.run_there_to(&**lodging, last, local),
            None => self.run_to(last, local),
        }
    }

    /// Runs entries up to and with `last`, as steps that the host of a guest knows of.
    fn run_there_to(&self, lodging: &dyn Lodging, last: NonNull<Node>, local: &Local) -> usize {
        let home = Arc::as_ptr(&self.home);
        let mut ran = 0;
        lodging.steps(&mut || {
            // As where no host is.
            if !current::is_running(home) || local.attention.is_wanted_for(Matter::Escape) {
                return false;
            }
            let Some(node) = local.run_next() else { return false };
            ran += 1;
            node != last
        });
        ran
    }

    /// A batch in another order, and perhaps a part of it.
    #[cold]
    #[inline(never)]
    fn explore(&self, exploration: &Exploration) -> usize {
        let local = self.home.local();
        if local.ready.is_empty() {
            return 0;
        }
        let pace = if self.home.awaits_main() { Pace::Apart } else { Pace::Whole };
        let arranged = self.home.rearrange(|entries| exploration.arrange(entries, pace));
        let mut ran = self.run_at_home_to(arranged.until, local);
        if arranged.until != arranged.last && local.attention.is_wanted_for(Matter::Stop) {
            // RUN-17: of a batch in which the run is stopped, all runs, also what was put off.
            ran += self.run_at_home_to(arranged.last, local);
        }
        if ran != arranged.count {
            exploration.forget();
        }
        local.leave_task();
        ran
    }
}
