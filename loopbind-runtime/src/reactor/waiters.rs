//! The wakers of those who wait for one thing: nearly always one, which needs no room of its own.

use std::task::Waker;

/// Wakers kept. More than that are tasks that wait no longer: all are woken, and who still waits comes
/// again.
const MOST: usize = 32;

#[derive(Default)]
pub(super) struct Waiters {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl Waiters {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Waker> {
        self.first.iter().chain(&self.others)
    }

    /// Adds one. Those that come out are to be woken.
    pub(super) fn push(&mut self, waker: Waker) -> Option<Waiters> {
        if self.first.is_none() {
            self.first = Some(waker);
            return None;
        }
        let surplus = (self.others.len() + 1 >= MOST).then(|| std::mem::take(self));
        match &surplus {
            Some(_) => self.first = Some(waker),
            None => self.others.push(waker),
        }
        surplus
    }

    /// Hands each out, in the order in which they came.
    pub(super) fn drain(self, mut to: impl FnMut(Waker)) {
        if let Some(first) = self.first {
            to(first);
        }
        self.others.into_iter().for_each(to);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order_and_not_without_end() {
        let mut waiters = Waiters::default();
        for _ in 0..MOST {
            assert!(waiters.push(Waker::noop().clone()).is_none());
        }
        let surplus = waiters.push(Waker::noop().clone()).expect("too many");
        assert_eq!((surplus.iter().count(), waiters.iter().count()), (MOST, 1));
        let mut out = 0;
        surplus.drain(|_| out += 1);
        assert_eq!(out, MOST);
    }
}
