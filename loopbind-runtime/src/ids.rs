//! Names of loops and tasks: numbers that are never given out twice in a process.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one loop: process-wide, never used again.
///
/// ```
/// use loopbind::EventLoop;
///
/// let (first, second) = (EventLoop::new()?, EventLoop::new()?);
/// assert!(first.id() < second.id()); // they count up
/// assert_eq!(first.id().to_string(), first.id().get().to_string());
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LoopId(NonZeroU64);

/// Names one task: process-wide, never used again.
///
/// ```
/// use loopbind::EventLoop;
///
/// let event_loop = EventLoop::new()?;
/// let (first, second) = (event_loop.create_task(async {}), event_loop.create_task(async {}));
/// assert!(first.id() < second.id()); // they count up
/// assert_eq!(first.id().to_string(), format!("Task-{}", first.id().get()));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias = "Id")]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TaskId(NonZeroU64);

impl LoopId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LoopId(name(draw(&NEXT, 1)))
    }

    /// The number itself, for logs.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let line = format!("loop {} starts", event_loop.id().get());
    /// assert!(line.starts_with("loop ") && line.ends_with(" starts"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn get(self) -> NonZeroU64 {
        self.0
    }
}

impl fmt::Display for LoopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

static NEXT_TASK: AtomicU64 = AtomicU64::new(1);

impl TaskId {
    pub(crate) fn next() -> Self {
        TaskId(name(draw(&NEXT_TASK, 1)))
    }

    /// How far before this one `earlier` is, or behind it where that is below zero; `None`, if that is too
    /// far for a small number.
    #[inline]
    pub(crate) fn distance_from(self, earlier: TaskId) -> Option<i32> {
        i32::try_from(self.0.get().wrapping_sub(earlier.0.get()) as i64).ok()
    }

    /// The one that is so far before this one.
    pub(crate) fn before(self, distance: i32) -> Option<TaskId> {
        NonZeroU64::new(self.0.get().wrapping_sub(i64::from(distance) as u64)).map(TaskId)
    }

    /// The number itself, for logs.
    ///
    /// ```
    /// use loopbind::EventLoop;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let task = event_loop.create_task(async {});
    /// assert!(task.info().to_string().starts_with(&format!("Task-{}", task.id().get())));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn get(self) -> NonZeroU64 {
        self.0
    }
}

/// As reports name a task that has no name of its own: `Task-7`.
impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task-{}", self.0)
    }
}

/// What one loop calls its tasks, in the order in which it makes them. Numbers are drawn in blocks,
/// so that threads which spawn at the same time do not hand one cache line to and fro.
#[derive(Debug, Default)]
pub(crate) struct TaskIds {
    next: Cell<u64>,
    end: Cell<u64>,
}

impl TaskIds {
    const BLOCK: u64 = 256;

    #[inline]
    pub(crate) fn next(&self) -> TaskId {
        if self.next.get() == self.end.get() {
            self.refill();
        }
        let number = self.next.get();
        self.next.set(number + 1);
        TaskId(name(number))
    }

    #[cold]
    fn refill(&self) {
        let first = draw(&NEXT_TASK, Self::BLOCK);
        self.next.set(first);
        self.end.set(first + Self::BLOCK);
    }
}

/// The first of `count` numbers that nobody else gets.
fn draw(next: &AtomicU64, count: u64) -> u64 {
    next.fetch_add(count, Ordering::Relaxed)
}

#[inline]
fn name(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("2^64 names are not used up in the life of a process")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_of_ids_do_not_overlap_and_rise() {
        let (one, other) = (TaskIds::default(), TaskIds::default());
        let mut seen = std::collections::BTreeSet::new();
        let mut last = None;
        for _ in 0..3 * TaskIds::BLOCK {
            let id = one.next();
            assert!(last < Some(id));
            last = Some(id);
            assert!(seen.insert(id) && seen.insert(other.next()) && seen.insert(TaskId::next()));
        }
    }

    #[test]
    fn distances_are_small_or_none() {
        let id = |number| TaskId(name(number));
        for (later, earlier) in [(2, 1), (1, 2), (1 << 40, (1 << 40) - 5), (u64::MAX, u64::MAX - 1)]
        {
            let distance = id(later).distance_from(id(earlier)).unwrap();
            assert_eq!(id(later).before(distance), Some(id(earlier)), "{later} {earlier}");
        }
        let far = 1 << 31;
        assert_eq!(id(far + 1).distance_from(id(1)), None);
        assert_eq!(id(1).distance_from(id(far + 1)), Some(i32::MIN));
        assert_eq!(id(1).distance_from(id(far + 2)), None);
    }
}
