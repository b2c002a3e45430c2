//! Queues that give out the last item first, or the least: queues all the same.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;

use super::Queue;
use super::heap::Heap;
use super::shelf::Shelf;

/// A [`Queue`] that gives out the item that was put last. asyncio's `LifoQueue`; a stack.
///
/// All methods are the queue's.
///
/// ```
/// use loopbind::sync::LifoQueue;
///
/// let stack = LifoQueue::unbounded();
/// stack.try_put(1).unwrap();
/// stack.try_put(2).unwrap();
/// assert_eq!(stack.try_get(), Some(2));
/// ```
pub struct LifoQueue<T>(Queue<T>);

impl<T> LifoQueue<T> {
    /// A stack that always has room.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::LifoQueue::<u32>::unbounded().capacity(), None);
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn unbounded() -> Self {
        LifoQueue::bounded(0)
    }

    /// A stack that holds this many items. None, as in asyncio, is no bound at all.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::LifoQueue::<u32>::bounded(3).capacity(), Some(3));
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn bounded(capacity: usize) -> Self {
        LifoQueue(Queue::new(Shelf::Lifo(RefCell::new(Vec::new())), capacity))
    }
}

/// A [`Queue`] that gives out the least item first, and of equal ones the first that was put. asyncio's
/// `PriorityQueue`, which leaves open what it does with equal ones.
///
/// All methods are the queue's. For the greatest first, wrap items in [`std::cmp::Reverse`]. Items are
/// compared when one is taken out; a comparison that panics loses none.
///
/// ```
/// use loopbind::sync::PriorityQueue;
///
/// let jobs = PriorityQueue::unbounded();
/// jobs.try_put((2, "tea")).unwrap();
/// jobs.try_put((1, "water")).unwrap();
/// assert_eq!(jobs.try_get(), Some((1, "water")));
/// ```
pub struct PriorityQueue<T>(Queue<T>);

impl<T: Ord> PriorityQueue<T> {
    /// A queue that always has room.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::PriorityQueue::<u32>::unbounded().capacity(), None);
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn unbounded() -> Self {
        PriorityQueue::bounded(0)
    }

    /// A queue that holds this many items. None, as in asyncio, is no bound at all.
    ///
    /// ```
    /// assert_eq!(loopbind::sync::PriorityQueue::<u32>::bounded(3).capacity(), Some(3));
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn bounded(capacity: usize) -> Self {
        PriorityQueue(Queue::new(Shelf::Least(Heap::new()), capacity))
    }
}

impl<T> Deref for LifoQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> Deref for PriorityQueue<T> {
    type Target = Queue<T>;

    fn deref(&self) -> &Queue<T> {
        &self.0
    }
}

impl<T> fmt::Debug for LifoQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LifoQueue").field(&self.0).finish()
    }
}

impl<T> fmt::Debug for PriorityQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PriorityQueue").field(&self.0).finish()
    }
}
