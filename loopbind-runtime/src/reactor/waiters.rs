//! The wakers of those who wait for one thing: nearly always one, which needs no room of its own.
//!
//! A waker says nothing when its owner gives up. Those of tasks that are over are told from the rest;
//! all others are asked, by waking them: who still waits comes again.

use std::task::Waker;
use std::{mem, slice};

use crate::panic::caught;
use crate::task::{ExceptionContext, LocalHome, is_spent};

/// Wakers kept, to begin with.
const MOST: usize = 32;

/// Asked again after so few iterations, those who came are not such as gave up: there is to be room
/// for them.
const SOON: u64 = 4;

pub(crate) struct Waiters {
    wakers: Wakers,
    /// How many are kept before they are asked. It grows, so that asking those who do wait comes to
    /// an end.
    limit: usize,
    /// The iteration in which they were asked last.
    asked: Option<u64>,
}

#[derive(Default)]
pub(crate) enum Wakers {
    #[default]
    None,
    One(Waker),
    More(Vec<Waker>),
}

impl Wakers {
    fn as_slice(&self) -> &[Waker] {
        match self {
            Wakers::None => &[],
            Wakers::One(waker) => slice::from_ref(waker),
            Wakers::More(wakers) => wakers,
        }
    }

    /// Wakes all, in their order. Wakers are user code: what one throws is reported, and takes nothing
    /// from those behind it.
    #[inline]
    pub(crate) fn wake(self, home: Option<&LocalHome>) {
        match self {
            Wakers::None => {}
            Wakers::One(waker) => wake(waker, home),
            Wakers::More(wakers) => wake_all(wakers, home),
        }
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
        home.local().report(ExceptionContext::panicked("exception in a waker", payload));
    }
}

impl Waiters {
    pub(crate) const fn new() -> Self {
        Waiters { wakers: Wakers::None, limit: MOST, asked: None }
    }

    /// All of them, out of here.
    #[inline]
    pub(crate) fn take(&mut self) -> Wakers {
        mem::take(&mut self.wakers)
    }

    pub(crate) fn knows(&self, waker: &Waker) -> bool {
        self.wakers.as_slice().iter().any(|known| known.will_wake(waker))
    }

    /// Whether somebody may still wait. A task that gave up waiting and lives on is not known from one
    /// that waits; one that is over waits for nothing.
    pub(super) fn may_wait(&self, home: &LocalHome) -> bool {
        self.wakers.as_slice().iter().any(|waker| !is_spent(waker, home))
    }

    /// Adds one, in this iteration of the loop `home`, if one runs. Those that come out are to be
    /// woken, outside of every borrow.
    #[inline]
    pub(crate) fn push(&mut self, waker: Waker, now: Option<(u64, &LocalHome)>) -> Wakers {
        if let Wakers::None = self.wakers {
            self.wakers = Wakers::One(waker);
            return Wakers::None;
        }
        self.push_behind(waker, now)
    }

    #[cold]
    fn push_behind(&mut self, waker: Waker, now: Option<(u64, &LocalHome)>) -> Wakers {
        let mut wakers = match self.take() {
            Wakers::None => Vec::new(),
            Wakers::One(first) => vec![first],
            Wakers::More(wakers) => wakers,
        };
        let mut out = Wakers::None;
        if wakers.len() >= self.limit {
            let (spent, rest) = match now {
                Some((_, home)) => wakers.into_iter().partition(|waker| is_spent(waker, home)),
                None => (Vec::new(), wakers),
            };
            // With a quarter of the room free it is long until the next time.
            if rest.len() <= self.limit / 4 * 3 {
                // Waking them comes to nothing.
                (out, wakers) = (Wakers::More(spent), rest);
            } else {
                self.ask(now.map(|(iteration, _)| iteration));
                wakers = Vec::new();
                out = Wakers::More(rest.into_iter().chain(spent).collect());
            }
        }
        wakers.push(waker);
        self.wakers = Wakers::More(wakers);
        out
    }

    fn ask(&mut self, iteration: Option<u64>) {
        let soon = match (self.asked, iteration) {
            (Some(before), Some(iteration)) => iteration.wrapping_sub(before) < SOON,
            _ => true,
        };
        if soon {
            self.limit *= 2;
        }
        self.asked = iteration;
    }
}

impl Default for Waiters {
    fn default() -> Self {
        Waiters::new()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    struct Plain;
    impl Wake for Plain {
        fn wake(self: Arc<Self>) {}
    }

    fn push(waiters: &mut Waiters, waker: &Waker, iteration: u64) -> usize {
        let home = crate::EventLoop::new().unwrap();
        home.run_until_complete(async {
            LocalHome::with_running(|home| {
                waiters.push(waker.clone(), Some((iteration, home))).as_slice().len()
            })
        })
        .unwrap()
        .unwrap()
    }

    #[test]
    fn who_waits_is_asked_less_and_less() {
        let waker = Waker::from(Arc::new(Plain));
        let mut waiters = Waiters::new();
        let asked: Vec<_> = (0..100).map(|_| push(&mut waiters, &waker, 0)).collect();
        let times: Vec<_> = (0..100).filter(|&at| asked[at] > 0).collect();
        assert_eq!(times, [32, 96], "behind 32 of them, then behind twice as many");
        assert_eq!(waiters.wakers.as_slice().len(), 4);
    }

    #[test]
    fn who_gave_up_makes_no_room_for_more() {
        let waker = Waker::from(Arc::new(Plain));
        let mut waiters = Waiters::new();
        for iteration in 0..1000 {
            push(&mut waiters, &waker, iteration);
        }
        assert!(waiters.limit <= 2 * MOST, "{}", waiters.limit);
    }
}
