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

/// What runs in one poll of a loop with a virtual clock.
const VIRTUAL_PORTION: usize = 64;

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

    /// Entries that run before a host has its thread back: what it looks at waits no longer than what the
    /// loop looks at by itself.
    pub(crate) fn portion(&self) -> usize {
        match self.event_interval {
            // A virtual clock has an interval of its own.
            0 => VIRTUAL_PORTION,
            interval => interval.unsigned_abs(),
        }
    }

    /// The host has polled: whoever posts from here on need not call it.
    fn wake_up(&self) {
        self.home.unpark();
        if let Some(since) = self.meters.asleep_since.take() {
            self.meters.parked.set(self.meters.parked.get() + since.elapsed());
        }
    }

    /// Turns until stopped, in polls of the host's.
    pub(super) fn run_there(&self, lodging: &dyn Lodging) -> Result<(), Exit> {
        let mut ended = Ok(());
        let _checked = Checked(self);
        lodging.stay(&mut |cx, host| {
            self.wake_up();
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
        let mut left = self.portion();
        while left > 0 {
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
            left = left.saturating_sub(ran.max(1));
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
            self.wake_up();
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
                    // Said once. The next turn looks, also if there is something to do by then.
                    self.until_look.set(0);
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
        if !self.home.park() {
            return Ok(Rest::Awake);
        }
        self.meters.asleep_since.set(Some(Instant::now()));
        Ok(Rest::Asleep)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::fd::BorrowedFd;
    use std::os::unix::net::UnixStream;
    use std::rc::Rc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::EventLoop;
    use crate::engine::{Guest, LodgingMaker};
    use crate::io::Async;

    thread_local! {
        /// What the porter does as it is about to say that the descriptor is readable.
        static BEFORE: Cell<Option<Box<dyn FnOnce()>>> = const { Cell::new(None) };
    }

    /// A host that polls its guest when it is woken, and tells each edge once.
    struct Porter;

    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    impl Host for Porter {
        fn poll_readable(
            &mut self,
            _: BorrowedFd<'_>,
            _: &mut Context<'_>,
        ) -> Poll<io::Result<()>> {
            match BEFORE.take() {
                Some(before) => {
                    before();
                    Poll::Ready(Ok(()))
                }
                None => Poll::Pending,
            }
        }

        fn poll_deadline(&mut self, _: Instant, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }

    impl Lodging for Porter {
        fn check(&self) -> Result<(), LoopError> {
            Ok(())
        }

        fn stay(&self, guest: &mut Guest<'_>) {
            let woken = Arc::new(Woken(AtomicBool::new(true)));
            let waker = Waker::from(Arc::clone(&woken));
            while woken.0.swap(false, Ordering::Relaxed) {
                if guest(&mut Context::from_waker(&waker), &mut Porter).is_ready() {
                    return;
                }
            }
            panic!("it sleeps, and nobody will wake it");
        }

        fn steps(&self, step: &mut dyn FnMut() -> bool) {
            while step() {}
        }

        fn within(&self, f: &mut dyn FnMut()) {
            f();
        }

        fn leave(&self, _: Duration) -> bool {
            true
        }
    }

    /// A post of another thread's that comes with it is work to do, and for work that is there looks are
    /// skipped; not for this one, of which no host speaks again.
    #[test]
    fn readiness_that_was_told_is_looked_at_whatever_else_has_come() {
        let maker = LodgingMaker::new(|| Ok(Box::new(Porter)));
        let event_loop = EventLoop::builder().lodge(maker).build().unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (handle, posted) = (event_loop.handle(), Rc::new(Cell::new(false)));
        let flag = Rc::clone(&posted);
        BEFORE.set(Some(Box::new(move || {
            std::io::Write::write_all(&mut &theirs, b"x").unwrap();
            let post = move || handle.call_soon_threadsafe(|| {}).map(drop);
            std::thread::spawn(post).join().unwrap().unwrap();
            flag.set(true);
        })));
        let ours = Async::new(ours).unwrap();
        let read = event_loop.run_until_complete(async {
            ours.readable().await.unwrap();
            std::io::Read::read(&mut ours.get_ref(), &mut [0; 2]).unwrap()
        });
        assert_eq!((read.unwrap(), posted.get()), (1, true));
    }
}
