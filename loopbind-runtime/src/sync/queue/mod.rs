//! asyncio's `Queue`, and its relatives that give out the last, or the least, item first.
//!
//! Two lines: who waits for an item, who waits for a place. An item that somebody was called for stays in
//! the queue until that one comes, so that nothing has to be put back where it is given up. Two things hold
//! whenever user code runs: somebody waits for an item only where each item there is has been promised
//! ([`Queue::has_item`]); and for a place likewise ([`Queue::has_place`]).

mod error;
mod heap;
mod relatives;
mod shelf;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::mem;

use super::line::{Line, Served};
use shelf::Shelf;

pub use error::{QueueShutDown, TryPut};
pub use relatives::{LifoQueue, PriorityQueue};

/// Items from tasks to tasks of one thread, first in, first out. asyncio's `Queue`.
///
/// With a capacity, who puts waits for a place; who gets waits for an item. Both are served in the order in
/// which they came: an item or a place is promised to the first who waits, and nobody takes it from them.
/// [`join`](Queue::join) waits until everything that was put has been [`task_done`](Queue::task_done);
/// [`shutdown`](Queue::shutdown) ends it all. Share it by reference, or in an `Rc`; it has its items inside.
///
/// It belongs to no loop, only to its thread. For a queue whose two ends know of each other, and notice when
/// the other is gone, see [`mpsc`](crate::sync::mpsc).
///
/// ```
/// use loopbind::spawn;
/// use loopbind::sync::Queue;
/// use std::rc::Rc;
///
/// loopbind::run(async {
///     let jobs = Rc::new(Queue::bounded(2));
///     let queue = Rc::clone(&jobs);
///     let worker = spawn(async move {
///         let mut sum = 0;
///         while let Some(job) = queue.get().await {
///             sum += job;
///             queue.task_done();
///         }
///         sum
///     });
///     for job in 1..=10 {
///         jobs.put(job).await.unwrap();
///     }
///     jobs.join().await;
///     jobs.shutdown(false);
///     assert_eq!(worker.await.unwrap(), 55);
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct Queue<T> {
    shelf: Shelf<T>,
    /// `usize::MAX` where there is no bound.
    capacity: usize,
    len: Cell<usize>,
    /// Put, and not done yet.
    unfinished: Cell<usize>,
    life: Cell<Life>,
    getters: Line,
    putters: Line,
    joiners: Line,
    /// Of one thread.
    _here: PhantomData<*const ()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Life {
    Open,
    /// Takes nothing more, and gives what it has.
    Draining,
    /// Shut down with everything that was in it.
    Emptied,
}

impl<T> Queue<T> {
    /// A queue that always has room.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::unbounded();
    /// queue.try_put("tea").unwrap();
    /// assert_eq!((queue.len(), queue.capacity()), (1, None));
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn unbounded() -> Self {
        Queue::new(Shelf::Fifo(RefCell::new(VecDeque::new())), 0)
    }

    /// A queue that holds this many items. None, as in asyncio, is no bound at all.
    ///
    /// ```
    /// use loopbind::sync::{Queue, TryPut};
    ///
    /// let queue = Queue::bounded(1);
    /// queue.try_put("tea").unwrap();
    /// assert_eq!(queue.try_put("milk"), Err(TryPut::Full("milk")));
    /// ```
    #[must_use = "a queue is there to be used"]
    pub const fn bounded(capacity: usize) -> Self {
        Queue::new(Shelf::Fifo(RefCell::new(VecDeque::new())), capacity)
    }

    const fn new(shelf: Shelf<T>, capacity: usize) -> Self {
        let capacity = if capacity == 0 { usize::MAX } else { capacity };
        Queue {
            shelf,
            capacity,
            len: Cell::new(0),
            unfinished: Cell::new(0),
            life: Cell::new(Life::Open),
            getters: Line::new(),
            putters: Line::new(),
            joiners: Line::new(),
            _here: PhantomData,
        }
    }

    /// Puts an item, as soon as there is a place for it.
    ///
    /// # Errors
    /// The item comes back where the queue is shut down, or is before a place is free.
    ///
    /// # Cancel safety
    /// An item whose `put` is dropped is dropped with it, and was not put; the place it was promised goes to
    /// the next in line.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::Queue;
    /// use std::rc::Rc;
    ///
    /// loopbind::run(async {
    ///     let queue = Rc::new(Queue::bounded(1));
    ///     queue.put(1).await.unwrap();
    ///     let other = Rc::clone(&queue);
    ///     let waits = spawn(async move { other.put(2).await });
    ///     assert_eq!(queue.get().await, Some(1));
    ///     waits.await.unwrap().unwrap();
    ///     assert_eq!(queue.get().await, Some(2));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn put(&self, item: T) -> Result<(), QueueShutDown<T>> {
        loop {
            if self.is_shut_down() {
                return Err(QueueShutDown(item));
            }
            if self.has_place() {
                break;
            }
            let served = self.putters.turn(|| self.has_place() || self.is_shut_down()).await;
            if served == Served::Yes && !self.is_shut_down() {
                break;
            }
        }
        self.accept(item);
        Ok(())
    }

    /// Puts an item, if there is a place that nobody waits for. asyncio's `put_nowait`.
    ///
    /// # Errors
    /// The item comes back where the queue is full, or is shut down.
    ///
    /// ```
    /// use loopbind::sync::{Queue, TryPut};
    ///
    /// let queue = Queue::bounded(1);
    /// assert_eq!(queue.try_put(1), Ok(()));
    /// assert_eq!(queue.try_put(2), Err(TryPut::Full(2)));
    /// queue.shutdown(true);
    /// assert_eq!(queue.try_put(3), Err(TryPut::ShutDown(3)));
    /// ```
    #[doc(alias = "put_nowait")]
    #[inline]
    pub fn try_put(&self, item: T) -> Result<(), TryPut<T>> {
        if self.is_shut_down() {
            return Err(TryPut::ShutDown(item));
        }
        if !self.has_place() {
            return Err(TryPut::Full(item));
        }
        self.accept(item);
        Ok(())
    }

    /// Takes an item out, as soon as there is one. `None`: the queue is shut down, and nothing is left.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: an item that it was promised stays in its place, and goes to the next in
    /// line.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::Queue;
    /// use std::rc::Rc;
    ///
    /// loopbind::run(async {
    ///     let queue = Rc::new(Queue::unbounded());
    ///     let other = Rc::clone(&queue);
    ///     spawn(async move { other.put("tea").await });
    ///     assert_eq!(queue.get().await, Some("tea"));
    ///     queue.shutdown(false);
    ///     assert_eq!(queue.get().await, None);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn get(&self) -> Option<T> {
        loop {
            if self.has_item() {
                if let Some(item) = self.pop() {
                    return Some(item);
                }
            } else if self.has_ended() {
                return None;
            }
            if self.getters.turn(|| self.has_item() || self.has_ended()).await == Served::Yes {
                if let Some(item) = self.pop() {
                    return Some(item);
                }
            }
        }
    }

    /// An item, if there is one that nobody waits for. `None` where there is none yet, and where none will come any
    /// more, which [`is_shut_down`](Queue::is_shut_down) tells apart. asyncio's `get_nowait`.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::unbounded();
    /// assert_eq!(queue.try_get(), None);
    /// queue.try_put("tea").unwrap();
    /// assert_eq!(queue.try_get(), Some("tea"));
    /// ```
    #[doc(alias("get_nowait", "QueueEmpty"))]
    #[inline]
    pub fn try_get(&self) -> Option<T> {
        if self.has_item() { self.pop() } else { None }
    }

    /// Says that an item which was taken out is dealt with. Once that was said of every item that was put,
    /// those who [`join`](Queue::join) go on.
    ///
    /// # Panics
    /// Called more often than items were put: a mistake of the program's. Nothing is changed then. asyncio
    /// raises `ValueError`.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::unbounded();
    /// queue.try_put("tea").unwrap();
    /// queue.try_get();
    /// queue.task_done();
    /// loopbind::run(queue.join())?; // at once
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn task_done(&self) {
        match self.unfinished.get().checked_sub(1) {
            Some(left) => self.set_unfinished(left),
            None => panic!("task_done() called too many times: more often than items were put"),
        }
    }

    /// Waits until everything that was put is [`task_done`](Queue::task_done), or was thrown away by a
    /// shutdown. What is put when that has come does not hold up who waited until then.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    ///
    /// ```
    /// use loopbind::spawn;
    /// use loopbind::sync::Queue;
    /// use std::rc::Rc;
    ///
    /// loopbind::run(async {
    ///     let queue = Rc::new(Queue::unbounded());
    ///     queue.try_put("tea").unwrap();
    ///     let other = Rc::clone(&queue);
    ///     spawn(async move {
    ///         other.get().await;
    ///         other.task_done();
    ///     });
    ///     queue.join().await;
    ///     assert!(queue.is_empty());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn join(&self) {
        if self.unfinished.get() > 0 {
            self.joiners.turn(|| self.unfinished.get() == 0).await;
        }
    }

    /// Shuts the queue down, for good: putting fails from now on, also for those who wait for a place.
    /// What is in it can still be taken out; once it is empty, getting gives `None`. Who waits for an item
    /// while others were promised those that are left hears of the end when they have taken them, or has what
    /// one of them gives up.
    ///
    /// `immediate` throws away what is in it and counts that as done: those who wait for items are told at
    /// once, and those who [`join`](Queue::join) wait only for what was taken out before. A queue that was
    /// shut down can be shut down once more, immediately.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::unbounded();
    /// queue.try_put(1).unwrap();
    /// queue.shutdown(false);
    /// assert!(queue.try_put(2).is_err());
    /// assert_eq!(loopbind::run(queue.get())?, Some(1));
    /// assert_eq!(loopbind::run(queue.get())?, None);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn shutdown(&self, immediate: bool) {
        // The user's: dropped last, whatever wakers do.
        let _thrown_away = if immediate {
            self.life.set(Life::Emptied);
            self.empty()
        } else {
            if self.life.get() == Life::Open {
                self.life.set(Life::Draining);
            }
            Vec::new()
        };
        // In asyncio's order, and each whatever the wakers before it throw.
        let _putters = Dismissal(&self.putters);
        let _getters = self.has_ended().then(|| Dismissal(&self.getters));
        let _joiners = (self.unfinished.get() == 0).then(|| Dismissal(&self.joiners));
    }

    /// Whether [`shutdown`](Queue::shutdown) was called.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::<u32>::unbounded();
    /// queue.shutdown(false);
    /// assert!(queue.is_shut_down());
    /// ```
    #[must_use = "looking changes nothing"]
    #[inline]
    pub fn is_shut_down(&self) -> bool {
        self.life.get() != Life::Open
    }

    /// How many items are in it, those included that are promised to somebody who waited for one.
    /// asyncio's `qsize`.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::unbounded();
    /// queue.try_put("tea").unwrap();
    /// assert_eq!(queue.len(), 1);
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "qsize")]
    #[inline]
    pub fn len(&self) -> usize {
        self.len.get()
    }

    /// Whether nothing is in it.
    ///
    /// ```
    /// assert!(loopbind::sync::Queue::<u32>::unbounded().is_empty());
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "empty")]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether who puts has to wait: every place is taken, or promised to somebody who waited for one.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// let queue = Queue::bounded(1);
    /// assert!(!queue.is_full());
    /// queue.try_put("tea").unwrap();
    /// assert!(queue.is_full());
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "full")]
    pub fn is_full(&self) -> bool {
        !self.has_place()
    }

    /// How many items have room in it; `None` where there is no bound. asyncio's `maxsize`.
    ///
    /// ```
    /// use loopbind::sync::Queue;
    ///
    /// assert_eq!(Queue::<u32>::bounded(5).capacity(), Some(5));
    /// assert_eq!(Queue::<u32>::unbounded().capacity(), None);
    /// ```
    #[must_use = "looking changes nothing"]
    #[doc(alias = "maxsize")]
    pub fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    /// Whether there is an item that nobody was promised.
    #[inline]
    fn has_item(&self) -> bool {
        self.len.get() > self.getters.called() && !self.shelf.is_comparing()
    }

    /// Whether there is a place that nobody was promised.
    #[inline]
    fn has_place(&self) -> bool {
        self.len.get() + self.putters.called() < self.capacity
    }

    /// Whether no item will come out again, not even one that was promised and is given up.
    #[inline]
    fn has_ended(&self) -> bool {
        self.len.get() == 0 && self.is_shut_down()
    }

    #[inline]
    fn accept(&self, item: T) {
        self.shelf.push(item);
        self.len.set(self.len.get() + 1);
        self.unfinished.set(self.unfinished.get() + 1);
        self.serve_getters();
    }

    #[inline]
    fn serve_getters(&self) {
        self.getters.serve(|| self.has_item());
    }

    /// An item that is free, or was promised to who calls this; `None` only while items are compared, or
    /// where they were thrown away.
    #[inline]
    fn pop(&self) -> Option<T> {
        let item = match &self.shelf {
            Shelf::Least(_) => self.pop_least()?,
            _ => self.take_off()?,
        };
        if self.putters.waiting() > 0 && self.has_place() {
            return Some(self.holding(item, || self.putters.serve(|| self.has_place())));
        }
        if self.getters.waiting() > 0 && self.has_ended() {
            // They waited for what might have been given up.
            return Some(self.holding(item, || self.getters.dismiss()));
        }
        Some(item)
    }

    #[inline]
    fn take_off(&self) -> Option<T> {
        let item = self.shelf.pop()?;
        self.len.set(self.len.get() - 1);
        Some(item)
    }

    /// To compare items is user code. Meanwhile nobody gets any; and it may panic, then the one that was to
    /// be taken is still there.
    fn pop_least(&self) -> Option<T> {
        struct Unwinding<'a, T>(&'a Queue<T>);
        impl<T> Drop for Unwinding<'_, T> {
            fn drop(&mut self) {
                self.0.compared();
            }
        }
        if self.shelf.is_comparing() {
            return None;
        }
        let unwinding = Unwinding(self);
        let item = self.take_off();
        mem::forget(unwinding);
        match item {
            Some(item) => Some(self.holding(item, || self.compared())),
            None => {
                self.compared();
                None
            }
        }
    }

    /// The items are back on their shelf.
    fn compared(&self) {
        if self.life.get() == Life::Emptied && !self.is_empty() {
            // It was shut down by a comparison, while the items were out.
            self.shutdown(true);
        }
        self.serve_getters();
    }

    /// An item is out, and others are told of what follows from that. If a waker throws, the item goes back.
    fn holding(&self, item: T, tell: impl FnOnce()) -> T {
        struct Back<'a, T>(&'a Queue<T>, Option<T>);
        impl<T> Drop for Back<'_, T> {
            fn drop(&mut self) {
                if let Some(item) = self.1.take() {
                    self.0.shelf.put_back(item);
                    self.0.len.set(self.0.len.get() + 1);
                    self.0.serve_getters();
                }
            }
        }
        let mut back = Back(self, Some(item));
        tell();
        match back.1.take() {
            Some(item) => item,
            None => unreachable!("only an unwinding `Back` gives its item back"),
        }
    }

    /// Takes everything out, to be dropped where all is in order, and counts it as done.
    fn empty(&self) -> Vec<T> {
        let thrown_away = self.shelf.take();
        self.len.set(self.len.get() - thrown_away.len());
        let unfinished = self.unfinished.get();
        self.unfinished.set(unfinished.saturating_sub(thrown_away.len()));
        thrown_away
    }

    fn set_unfinished(&self, unfinished: usize) {
        self.unfinished.set(unfinished);
        if unfinished == 0 {
            self.joiners.dismiss();
        }
    }
}

/// Dismisses those in line when dropped, also while the thread unwinds.
struct Dismissal<'a>(&'a Line);

impl Drop for Dismissal<'_> {
    fn drop(&mut self) {
        self.0.dismiss();
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .field("unfinished", &self.unfinished.get())
            .field("getters", &self.getters.waiting())
            .field("putters", &self.putters.waiting())
            .field("is_shut_down", &self.is_shut_down())
            .finish()
    }
}
