//! The wakers of those who wait for one thing: nearly always one, which needs no room of its own.

use std::task::Waker;
use std::{mem, slice};

/// Wakers kept. More than that are tasks that wait no longer: all are woken, and who still waits comes
/// again.
const MOST: usize = 32;

#[derive(Default)]
pub(super) enum Waiters {
    #[default]
    None,
    One(Waker),
    More(Vec<Waker>),
}

impl Waiters {
    pub(super) fn as_slice(&self) -> &[Waker] {
        match self {
            Waiters::None => &[],
            Waiters::One(waker) => slice::from_ref(waker),
            Waiters::More(wakers) => wakers,
        }
    }

    /// Adds one. Those that come out are to be woken, in their order.
    #[inline]
    pub(super) fn push(&mut self, waker: Waker) -> Vec<Waker> {
        if let Waiters::None = self {
            *self = Waiters::One(waker);
            return Vec::new();
        }
        self.push_behind(waker)
    }

    #[cold]
    fn push_behind(&mut self, waker: Waker) -> Vec<Waker> {
        let mut wakers = match mem::take(self) {
            Waiters::None => Vec::new(),
            Waiters::One(first) => vec![first],
            Waiters::More(wakers) => wakers,
        };
        if wakers.len() >= MOST {
            *self = Waiters::One(waker);
            return wakers;
        }
        wakers.push(waker);
        *self = Waiters::More(wakers);
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_then_more_and_not_without_end() {
        let mut waiters = Waiters::default();
        for _ in 0..MOST {
            assert!(waiters.push(Waker::noop().clone()).is_empty());
        }
        let surplus = waiters.push(Waker::noop().clone());
        assert_eq!((surplus.len(), waiters.as_slice().len()), (MOST, 1));
    }
}
