//! hyper's timer: sleeps that may go anywhere, because they have nothing of the loop's in them.
//!
//! hyper wants its sleeps `Send` and `Sync`; ours have a share in their loop's timers, and are neither. So this one names
//! its timer, by its loop's home and a key that is never used again, and asks the running loop for it. The waker is
//! in the loop's keeping all the time. Wherever else it is dropped, the loop is told to take the timer back.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ::hyper::rt::{Sleep, Timer};

use crate::clock::{Clock, NEVER, Tick};
use crate::engine::{Alarms, Due, Engine};
use crate::error::LoopError;
use crate::task::{Home, post_callback};
use crate::time;
use crate::timers::TimerKey;

/// hyper's timer on the running loop's clock: for the time-outs of hyper's builders, virtual where the loop's clock is.
///
/// Its sleeps count from their making inside of a run, outside from their first poll. They are `Send` and `Sync`, as
/// hyper wants it, and one that is polled by another loop waits for that one's clock.
///
/// # Panics
/// Its sleeps, when polled outside of a run, with `no running event loop`.
///
/// # Cancel safety
/// Dropping a sleep takes its timer back, on another thread or outside of its loop's runs as soon as its loop runs.
///
/// ```
/// use hyper::rt::Timer;
/// use loopbind::{EventLoop, hyper::LoopTimer, time};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// event_loop.run_until_complete(async {
///     let (began, minute) = (time::now(), Duration::from_secs(60));
///     LoopTimer.sleep(minute).await;
///     assert_eq!(LoopTimer.now(), began + minute);
/// })?;
///
/// let patience = Duration::from_secs(10);
/// let mut http = hyper::server::conn::http1::Builder::new();
/// http.timer(LoopTimer).header_read_timeout(patience);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "TokioTimer")]
#[derive(Clone, Copy, Debug, Default)]
pub struct LoopTimer;

impl Timer for LoopTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        let when = Engine::with_running(|engine| {
            let clock = &engine.alarms.clock;
            When::on(clock, clock.after(duration))
        });
        Box::pin(LoopSleep { when: when.unwrap_or(When::After(duration)), timer: None })
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(LoopSleep { when: When::At(deadline), timer: None })
    }

    fn now(&self) -> Instant {
        time::now()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        match sleep.as_mut().downcast_mut_pin::<LoopSleep>() {
            Some(ours) => ours.get_mut().reset(deadline),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

struct LoopSleep {
    when: When,
    timer: Option<Named>,
}

enum When {
    /// Made outside of runs: counts from the first poll.
    After(Duration),
    At(Instant),
}

impl When {
    fn on(clock: &Clock, at: Tick) -> Self {
        match at {
            // Clocks end at different instants: what is behind the end of one is behind that of any.
            NEVER => When::After(Duration::MAX),
            at => When::At(clock.instant(at)),
        }
    }
}

/// Which timer it is, for whoever may get at it.
struct Named {
    home: Arc<Home>,
    key: TimerKey,
}

impl Named {
    fn is_of(&self, engine: &Engine) -> bool {
        Arc::ptr_eq(&self.home, &engine.home)
    }

    /// Takes the timer back, here if its loop runs here, and does `then` with what was waiting.
    fn take_back(self, then: fn(Due)) {
        let Named { home, key } = self;
        // What comes out is a waker, the user's: dropped or woken with nothing borrowed.
        let unset = move |engine: &Engine| {
            if let Some(due) = engine.alarms.unset(key) {
                then(due);
            }
        };
        let here = Engine::with_running(|engine| {
            Arc::ptr_eq(&home, &engine.home).then(|| unset(engine)).is_some()
        });
        if here != Some(true) && home.check_fork().is_ok() {
            // Refused: the loop is closed, and has dropped its timers.
            let _ = post_callback(&home, move || {
                Engine::with_running(unset);
            });
        }
    }
}

fn wake(due: Due) {
    if let Due::Wake(waker) = due {
        waker.wake();
    }
}

impl LoopSleep {
    fn poll_on(&mut self, engine: &Engine, cx: &mut Context<'_>) -> Poll<()> {
        let alarms = &engine.alarms;
        if let Some(timer) = &self.timer {
            if timer.is_of(engine) && alarms.renew(timer.key, cx.waker()) {
                return Poll::Pending;
            }
        }
        self.disarm(drop);
        let at = self.resolve(alarms);
        if at <= alarms.clock.last() {
            return Poll::Ready(());
        }
        let key = alarms.set_waker(at, cx.waker());
        self.timer = Some(Named { home: Arc::clone(&engine.home), key });
        Poll::Pending
    }

    fn resolve(&mut self, alarms: &Alarms) -> Tick {
        let clock = &alarms.clock;
        match self.when {
            When::At(deadline) => clock.tick(deadline),
            When::After(delay) => {
                let at = clock.after(delay);
                self.when = When::on(clock, at);
                at
            }
        }
    }

    /// Who was waiting goes on waiting, for the new deadline.
    fn reset(&mut self, deadline: Instant) {
        self.when = When::At(deadline);
        let Some(timer) = &mut self.timer else { return };
        let moved = Engine::with_running(|engine| {
            let at = engine.alarms.clock.tick(deadline);
            timer.key =
                timer.is_of(engine).then(|| engine.alarms.reset(timer.key, at)).flatten()?;
            Some(())
        });
        if moved.flatten().is_none() {
            // Over, or of a loop that does not run here: whose task asks again, and waits from there on.
            self.disarm(wake);
        }
    }

    fn disarm(&mut self, then: fn(Due)) {
        if let Some(timer) = self.timer.take() {
            timer.take_back(then);
        }
    }
}

impl Future for LoopSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.get_mut();
        match Engine::with_running(|engine| sleep.poll_on(engine, cx)) {
            Some(polled) => polled,
            None => LoopError::NoRunningLoop.raise(),
        }
    }
}

impl Sleep for LoopSleep {}

impl Drop for LoopSleep {
    fn drop(&mut self) {
        self.disarm(drop);
    }
}
