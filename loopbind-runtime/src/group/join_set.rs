//! A set of tasks whose outcomes are taken as they come.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::desk::{Desk, Member};
use crate::error::LoopError;
use crate::ids::TaskId;
use crate::task::{AbortHandle, Birth, LocalHome, Task, TaskError};

/// Tasks whose outcomes are taken one by one, in the order in which they end.
///
/// A failure is a value like any other: what becomes of the rest is the owner's business. Where the
/// first failure is to end them all, use a [`group`](super::group()).
///
/// Dropping the set asks every task in it to end: each is dropped in its own next turn, or cleans up
/// first where it listens ([`cancelled()`](crate::task::cancelled())). One that was asked before and is
/// cleaning up, by [`shutdown`](JoinSet::shutdown) say, is dropped: so `timeout(limit, set.shutdown())`, and then the end
/// of the set, bounds the cleanup.
///
/// It is a `Stream` of outcomes, too: for `select!`, `set.select_next_some()` passes over an empty set.
///
/// ```
/// use loopbind::{EventLoop, sleep, task::JoinSet};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let order = event_loop.run_until_complete(async {
///     let mut set = JoinSet::new();
///     for seconds in [3, 1, 2] {
///         set.spawn(async move { sleep(Duration::from_secs(seconds)).await; seconds });
///     }
///     let mut order = Vec::new();
///     while let Some(outcome) = set.next().await {
///         order.push(outcome.unwrap());
///     }
///     order
/// })?;
/// assert_eq!(order, [1, 2, 3]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// Happy eyeballs: the next address is tried when the one before has had its time, or has failed; the
/// first answer wins, and the other attempts are given up.
///
/// ```
/// use loopbind::{EventLoop, sleep, task::JoinSet, timeout};
/// use std::time::Duration;
///
/// async fn connect(address: &'static str) -> Result<&'static str, String> {
///     match address {
///         "dead" => sleep(Duration::from_secs(60)).await, // nobody answers
///         _ => sleep(Duration::from_millis(30)).await,
///     }
///     Ok(address)
/// }
///
/// async fn race(addresses: [&'static str; 2]) -> Option<&'static str> {
///     let mut attempts = JoinSet::new();
///     let mut addresses = addresses.into_iter();
///     loop {
///         let next = addresses.next();
///         if let Some(address) = next {
///             attempts.spawn(connect(address));
///         }
///         let patience = if next.is_some() { Duration::from_millis(250) } else { Duration::MAX };
///         match timeout(patience, attempts.next()).await {
///             Ok(Some(Ok(Ok(winner)))) => return Some(winner), // the set drops, and the losers with it
///             Ok(None) if next.is_none() => return None,
///             _ => {} // failed, or slow: the next one
///         }
///     }
/// }
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let began = event_loop.time();
/// assert_eq!(event_loop.run_until_complete(race(["dead", "alive"]))?, Some("alive"));
/// assert_eq!(event_loop.time() - began, Duration::from_millis(280));
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("FuturesUnordered", "as_completed", "TaskTracker", "gather", "wait"))]
#[must_use = "dropping the set cancels its tasks"]
pub struct JoinSet<T> {
    desk: Rc<Desk>,
    /// Those whose outcomes were not taken, in order of creation.
    tasks: BTreeMap<u64, Task<T>>,
}

impl<T> JoinSet<T> {
    /// A set without tasks.
    ///
    /// ```
    /// use loopbind::task::JoinSet;
    ///
    /// let set: JoinSet<u32> = JoinSet::new();
    /// assert!(set.is_empty());
    /// ```
    pub fn new() -> Self {
        JoinSet { desk: Rc::default(), tasks: BTreeMap::new() }
    }

    /// How many outcomes have not been taken, of tasks that run and of those that are over.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async {});
    ///     set.spawn(async {});
    ///     set.next().await;
    ///     assert_eq!(set.len(), 1);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether every outcome was taken.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async {});
    ///     assert!(!set.is_empty());
    ///     set.next().await;
    ///     assert!(set.is_empty());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Bounds how many tasks of the set run at once; the others wait, unpolled, for their turn, in the
    /// order in which they were started. See [`TaskGroup::limit`](super::TaskGroup::limit).
    ///
    /// # Panics
    /// Where the bound is zero.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, task::JoinSet};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let began = event_loop.time();
    /// event_loop.run_until_complete(async {
    ///     let mut set = JoinSet::new();
    ///     set.limit(2);
    ///     set.extend((0..3).map(|_| async { sleep(Duration::from_secs(1)).await }));
    ///     set.join_all().await
    /// })?;
    /// assert_eq!(event_loop.time() - began, Duration::from_secs(2));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("CapacityLimiter", "Semaphore"))]
    #[track_caller]
    pub fn limit(&self, tasks: usize) {
        self.desk.gate.set_limit(tasks);
    }

    /// Asks every task in the set to end, in order of creation. Their outcomes are still to be taken.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(std::future::pending::<()>());
    ///     set.cancel_all();
    ///     assert!(set.next().await.unwrap().unwrap_err().is_cancelled());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel_all(&self) {
        for task in self.tasks.values() {
            task.cancel();
        }
    }

    /// As [`cancel_all`](JoinSet::cancel_all), but those that listen have no say.
    ///
    /// ```
    /// use loopbind::{run, task::{JoinSet, cancelled}, yield_now};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(cancelled());
    ///     yield_now().await;
    ///     set.abort_all(); // it listens, and is not told
    ///     assert!(set.next().await.unwrap().unwrap_err().is_cancelled());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn abort_all(&self) {
        for task in self.tasks.values() {
            task.abort();
        }
    }

    /// Empties the set: its tasks run on by themselves.
    ///
    /// ```
    /// use loopbind::{EventLoop, task::JoinSet, yield_now};
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.run_until_complete(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(std::future::pending::<()>());
    ///     set.detach_all();
    ///     assert!(set.is_empty());
    ///     drop(set);
    ///     yield_now().await;
    /// })?;
    /// assert_eq!(event_loop.all_tasks().len(), 1);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn detach_all(&mut self) {
        for task in std::mem::take(&mut self.tasks).into_values() {
            task.detach();
        }
    }

    /// Waits for the next task that ends, and gives its outcome; `None` where the set is empty.
    ///
    /// Awaited where the tasks' loop is not being turned, it gives [`TaskError::ForeignLoop`], and the
    /// task leaves the set, cancelled.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing: an outcome is taken in the moment it is given.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { 42 });
    ///     assert_eq!(set.next().await.unwrap().unwrap(), 42);
    ///     assert!(set.next().await.is_none());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("FIRST_COMPLETED", "join_next", "select", "select_all"))]
    pub async fn next(&mut self) -> Option<Result<T, TaskError>> {
        Some(self.next_with_id().await?.1)
    }

    /// As [`next`](JoinSet::next), with the number of the task that ended.
    ///
    /// # Cancel safety
    /// As [`next`](JoinSet::next).
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     let id = set.spawn(async { 42 }).id();
    ///     let (ended, outcome) = set.next_with_id().await.unwrap();
    ///     assert_eq!((ended, outcome.unwrap()), (id, 42));
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("join_next_with_id", "JoinMap"))]
    pub async fn next_with_id(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        poll_fn(|cx| self.poll_taken(cx)).await
    }

    /// The outcome of a task that is over, without waiting; `None` where there is none.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet, yield_now};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { 42 });
    ///     assert!(set.try_next().is_none());
    ///     yield_now().await;
    ///     assert_eq!(set.try_next().unwrap().unwrap(), 42);
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "try_join_next")]
    pub fn try_next(&mut self) -> Option<Result<T, TaskError>> {
        Some(self.take()?.1)
    }

    /// Waits for all, and gives their outcomes in the order in which they ended.
    ///
    /// # Cancel safety
    /// Dropping it drops the set: its tasks are asked to end.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet, yield_now};
    ///
    /// let outcomes = run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(async { yield_now().await; "slow" });
    ///     set.spawn(async { "quick" });
    ///     set.join_all().await
    /// })?;
    /// let values: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap()).collect();
    /// assert_eq!(values, ["quick", "slow"]);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "ALL_COMPLETED")]
    pub async fn join_all(mut self) -> Vec<Result<T, TaskError>> {
        let mut outcomes = Vec::with_capacity(self.len());
        while let Some(outcome) = self.next().await {
            outcomes.push(outcome);
        }
        outcomes
    }

    /// Asks every task to end, and waits until all have; their outcomes are dropped, and panics among
    /// them go to the loop's exception handler.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting; the tasks were asked to end all the same.
    ///
    /// ```
    /// use loopbind::{EventLoop, task::JoinSet};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let others = event_loop.clone();
    /// event_loop.run_until_complete(async move {
    ///     let mut set = JoinSet::new();
    ///     set.spawn(std::future::pending::<()>());
    ///     set.shutdown().await;
    ///     assert!(set.is_empty() && others.all_tasks().len() == 1); // this one
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub async fn shutdown(&mut self) {
        self.cancel_all();
        poll_fn(|cx| {
            loop {
                if let Some(number) = self.first_over() {
                    // Unread: a panic in it is reported as the handle drops.
                    self.tasks.remove(&number);
                } else if self.tasks.is_empty() {
                    return Poll::Ready(());
                } else if self.stray().is_none() {
                    self.desk.watch(cx);
                    return Poll::Pending;
                }
            }
        })
        .await;
    }

    fn poll_taken(&mut self, cx: &mut Context<'_>) -> Poll<Option<(TaskId, Result<T, TaskError>)>> {
        if let Some(taken) = self.take() {
            return Poll::Ready(Some(taken));
        }
        if self.tasks.is_empty() {
            return Poll::Ready(None);
        }
        if let Some((task, error)) = self.stray() {
            return Poll::Ready(Some((task.id(), Err(error))));
        }
        self.desk.watch(cx);
        Poll::Pending
    }

    fn take(&mut self) -> Option<(TaskId, Result<T, TaskError>)> {
        let number = self.first_over()?;
        let mut task = self.tasks.remove(&number)?;
        let outcome = task.try_result()?;
        Some((task.id(), outcome))
    }

    /// The first of those that are over, and are still here.
    fn first_over(&mut self) -> Option<u64> {
        loop {
            let number = *self.desk.over.borrow().front()?;
            match self.tasks.get(&number) {
                // It has said so, and is about to be.
                Some(task) if !task.is_finished() => return None,
                Some(_) => {
                    self.desk.over.borrow_mut().pop_front();
                    return Some(number);
                }
                None => {
                    self.desk.over.borrow_mut().pop_front();
                }
            }
        }
    }

    /// The oldest task, where waiting for it here would never end: it leaves the set, cancelled.
    fn stray(&mut self) -> Option<(Task<T>, TaskError)> {
        let oldest = self.tasks.first_entry()?;
        let error = oldest.get().obstacle()?;
        let task = oldest.remove();
        task.cancel();
        Some((task, error))
    }
}

impl<T: 'static> JoinSet<T> {
    /// Starts a task on the running loop, as [`spawn`](crate::spawn()) does, and gives a handle for
    /// ending it; its outcome is the set's.
    ///
    /// # Panics
    /// With `no running event loop` outside of a run.
    ///
    /// ```
    /// use loopbind::{run, task::JoinSet};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     let endless = set.spawn(async { std::future::pending().await });
    ///     set.spawn(async { 42 });
    ///     assert_eq!(set.next().await.unwrap().unwrap(), 42);
    ///     endless.cancel();
    ///     assert!(set.next().await.unwrap().unwrap_err().is_cancelled());
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "spawn_local")]
    #[track_caller]
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'static) -> AbortHandle {
        self.start(future, Birth::here())
    }

    /// As [`spawn`](JoinSet::spawn), with a name for the task.
    ///
    /// # Panics
    /// As `spawn`.
    ///
    /// ```
    /// use loopbind::{run, task::{self, JoinSet}};
    ///
    /// run(async {
    ///     let mut set = JoinSet::new();
    ///     set.spawn_named("fetch", async {
    ///         assert_eq!(task::current().unwrap().name.as_deref(), Some("fetch"));
    ///     });
    ///     set.next().await.unwrap().unwrap();
    /// })?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "build_task")]
    #[track_caller]
    pub fn spawn_named(
        &mut self,
        name: impl Into<String>,
        future: impl Future<Output = T> + 'static,
    ) -> AbortHandle {
        self.start(future, Birth { name: Some(name.into()), ..Birth::here() })
    }

    #[track_caller]
    fn start(&mut self, future: impl Future<Output = T> + 'static, birth: Birth) -> AbortHandle {
        let Some(home) = LocalHome::running() else { LoopError::NoRunningLoop.raise() };
        let (number, seat) = self.desk.seat();
        let task = home.spawn(Member::new(future, seat), birth);
        let handle = task.abort_handle();
        self.tasks.insert(number, task);
        handle
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.desk.forget();
        self.cancel_all();
    }
}

impl<T> Stream for JoinSet<T> {
    type Item = Result<T, TaskError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_taken(cx).map(|taken| Some(taken?.1))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

/// An empty set counts as over, until something is started in it.
impl<T> FusedStream for JoinSet<T> {
    fn is_terminated(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        JoinSet::new()
    }
}

/// Starts each on the running loop; panics with `no running event loop` where none runs.
impl<T: 'static, F: Future<Output = T> + 'static> Extend<F> for JoinSet<T> {
    #[track_caller]
    fn extend<I: IntoIterator<Item = F>>(&mut self, futures: I) {
        for future in futures {
            self.spawn(future);
        }
    }
}

/// Starts each on the running loop; panics with `no running event loop` where none runs.
impl<T: 'static, F: Future<Output = T> + 'static> FromIterator<F> for JoinSet<T> {
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = JoinSet::new();
        set.extend(futures);
        set
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("tasks", &self.len()).finish_non_exhaustive()
    }
}
