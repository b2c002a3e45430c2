//! A place where a number of tasks wait for each other.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::task::{Poll, ready};

use super::waiters::{KeptWaker, Key, Waiters};

/// A place where a number of tasks wait for each other. asyncio's `Barrier`.
///
/// When the last of them comes all go on, the last one first, the others in the order in which they came; the
/// barrier is there for the next round at once. Each is given its number in the order of coming, unlike any
/// other's of its round, so that one may be chosen for what has to be done once. BAR-01.
///
/// ```
/// use futures::future::join_all;
/// use loopbind::{run, sync::Barrier};
///
/// let barrier = Barrier::new(3);
/// let numbers = run(join_all((0..3).map(|_| barrier.wait())))?;
/// let numbers: Vec<_> = numbers.into_iter().map(Result::unwrap).collect();
/// assert_eq!(numbers, [0, 1, 2]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct Barrier {
    parties: usize,
    broken: Cell<bool>,
    /// With what each is told.
    waiters: Waiters<Option<Result<usize, BrokenBarrier>>>,
}

/// The barrier was aborted, or reset while somebody waited.
///
/// ```
/// use loopbind::{run, sync::{Barrier, BrokenBarrier}};
///
/// let barrier = Barrier::new(2);
/// barrier.abort();
/// assert_eq!(run(barrier.wait())?, Err(BrokenBarrier));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("barrier is broken")]
#[doc(alias = "BrokenBarrierError")]
pub struct BrokenBarrier;

impl Barrier {
    /// A barrier that so many have to come to.
    ///
    /// # Panics
    /// Where the number is zero, with `parties must be > 0`.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Barrier::new(3).parties(), 3);
    /// ```
    #[track_caller]
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "parties must be > 0");
        Barrier { parties, broken: Cell::new(false), waiters: Waiters::new() }
    }

    /// Waits until all have come; gives the caller's number among them, from 0.
    ///
    /// # Errors
    /// [`BrokenBarrier`] if it is broken, or breaks while this waits. BAR-02.
    ///
    /// # Cancel safety
    /// Dropped before all have come, the future has not come: somebody else has to. Afterwards it has, and
    /// the others go on without it.
    ///
    /// ```
    /// use futures::future::join;
    /// use loopbind::{run, sync::Barrier};
    ///
    /// let barrier = Barrier::new(2);
    /// assert_eq!(run(join(barrier.wait(), barrier.wait()))?, (Ok(0), Ok(1)));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn wait(&self) -> Result<usize, BrokenBarrier> {
        let mut place = Place { of: self, key: None };
        poll_fn(|cx| {
            if let Some(key) = &place.key {
                ready!(self.waiters.poll(key, cx));
                return Poll::Ready(place.leave().unwrap_or(Err(BrokenBarrier)));
            }
            if let Some(now) = self.come() {
                return Poll::Ready(now);
            }
            let waker = KeptWaker::of(cx);
            // What the waker's clone did, nobody knows: this is looked at again.
            if let Some(now) = self.come() {
                return Poll::Ready(now);
            }
            place.key = Some(self.waiters.join(waker, None));
            Poll::Pending
        })
        .await
    }

    /// Breaks it, for those who wait and for whoever comes, until it is [`reset`](Barrier::reset).
    ///
    /// ```
    /// let barrier = loopbind::sync::Barrier::new(2);
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// ```
    pub fn abort(&self) {
        self.broken.set(true);
        self.turn_away();
    }

    /// Makes it as new: those who wait are told that it broke, those who come later wait.
    ///
    /// # Cancel safety
    /// It never waits: what it does it has done at its first poll.
    ///
    /// ```
    /// use loopbind::{run, sync::Barrier};
    ///
    /// let barrier = Barrier::new(2);
    /// barrier.abort();
    /// run(barrier.reset())?;
    /// assert!(!barrier.is_broken());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn reset(&self) {
        self.broken.set(false);
        self.turn_away();
    }

    /// How many have to come.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Barrier::new(3).parties(), 3);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many have come and wait for the rest.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::Barrier::new(3).n_waiting(), 0);
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn n_waiting(&self) -> usize {
        self.waiters.waiting()
    }

    /// Whether it is broken.
    ///
    /// ```
    /// assert!(!loopbind::sync::Barrier::new(3).is_broken());
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "broken")]
    pub fn is_broken(&self) -> bool {
        self.broken.get()
    }

    /// Comes, if that is all there is to do: the barrier is broken, or this one is the last.
    fn come(&self) -> Option<Result<usize, BrokenBarrier>> {
        if self.broken.get() {
            return Some(Err(BrokenBarrier));
        }
        let last = self.parties - 1;
        if self.waiters.waiting() < last {
            return None;
        }
        let mut number = 0;
        self.waiters.tell_while(|told| {
            *told = Some(Ok(number));
            number += 1;
            true
        });
        Some(Ok(last))
    }

    fn turn_away(&self) {
        self.waiters.tell_while(|told| {
            *told = Some(Err(BrokenBarrier));
            true
        });
    }
}

/// Somebody's place at the barrier, which is left when this drops.
struct Place<'a> {
    of: &'a Barrier,
    key: Option<Key>,
}

impl Place<'_> {
    fn leave(&mut self) -> Option<Result<usize, BrokenBarrier>> {
        self.key.take().and_then(|key| self.of.waiters.leave(key).what)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Barrier")
            .field("parties", &self.parties)
            .field("waiters", &self.waiters.waiting())
            .field("broken", &self.broken.get())
            .finish()
    }
}
