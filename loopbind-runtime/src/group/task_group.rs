//! A task group: children that live no longer than it, and whose failures are its own.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::child::Child;
use super::error::{ChildFailed, GroupError};
use super::members::{Failure, Members, Phase};
use crate::error::LoopError;
use crate::panic::caught;
use crate::task::{Birth, ExceptionContext, LocalHome, Task};

/// Runs `body` with a group, and returns when it and every child it started have ended: the body's
/// value, or every error, first failure first.
///
/// The first failure, an error or a panic of a child or of the body, asks all the other children to end,
/// in order of creation, and drops the body where it stands; all are waited for, and what else fails
/// meanwhile is added. A child that was cancelled by itself is no failure. Children that are started
/// while the group waits for the last ones are waited for, too. TGR-01 to TGR-04, TGR-13, TGR-14.
///
/// The body is no task: the task that awaits the group polls it, so that it may borrow. Children are
/// tasks of the running loop.
///
/// # Errors
/// [`GroupError`] with all that failed; an empty one where [`TaskGroup::cancel`] ended the group.
///
/// # Panics
/// Never by itself. The body's panic, `no running event loop` of a [`spawn`](TaskGroup::spawn) outside of a run
/// included, is one of the group's.
///
/// # Cancel safety
/// Dropping it drops the body and asks every child to end: each is dropped in its own next turn, or cleans
/// up first where it listens ([`cancelled()`](crate::task::cancelled())); where the group was ending already
/// this is the second time of asking, and ends a cleanup that is going on. What had failed by then, or
/// fails after it, goes to the loop's exception handler. A [`timeout`](crate::timeout) around a group
/// thus ends all its children.
///
/// # Examples
/// Three at once; one that fails ends the others:
///
/// ```
/// use loopbind::{EventLoop, sleep, task};
/// use std::time::Duration;
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let sum = event_loop.run_until_complete(task::group(async |group| {
///     let parts = [1, 2, 3].map(|n| {
///         group.spawn(async move {
///             sleep(Duration::from_secs(n)).await;
///             if n > 3 { Err("too much") } else { Ok(n) }
///         })
///     });
///     let mut sum = 0;
///     for part in parts {
///         // A child that failed ends this body, so that only who is cancelled is an error here.
///         sum += part.await.unwrap().unwrap();
///     }
///     Ok(sum)
/// }))?;
/// assert_eq!(sum.unwrap(), 6);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// A crawler: pages find pages, never more than two are fetched at once, and the first broken one
/// ends them all.
///
/// ```
/// use loopbind::{EventLoop, sleep, task::{self, TaskGroup}};
/// use std::{cell::RefCell, collections::BTreeSet, rc::Rc, time::Duration};
///
/// type Seen = Rc<RefCell<BTreeSet<u32>>>;
///
/// async fn fetch(page: u32) -> Result<Vec<u32>, String> {
///     sleep(Duration::from_secs(1)).await;
///     Ok([page * 2, page * 2 + 1].into_iter().filter(|&link| link < 8).collect())
/// }
///
/// fn visit(group: &TaskGroup<String>, seen: &Seen, page: u32) {
///     if !seen.borrow_mut().insert(page) {
///         return;
///     }
///     let (inner, seen) = (group.clone(), seen.clone());
///     group.spawn(async move {
///         for link in fetch(page).await? {
///             visit(&inner, &seen, link);
///         }
///         Ok(())
///     });
/// }
///
/// let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// let (seen, began) = (Seen::default(), event_loop.time());
/// event_loop.run_until_complete(task::group(async |group| {
///     group.limit(2);
///     visit(group, &seen, 1);
///     Ok(())
/// }))?.unwrap();
/// assert_eq!(seen.borrow().len(), 7);
/// assert_eq!(event_loop.time() - began, Duration::from_secs(4)); // 1, then 2 3, 4 5, 6 7
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias(
    "TaskGroup",
    "join",
    "try_join",
    "try_join_all",
    "nursery",
    "create_task_group",
    "open_nursery",
    "TaskTracker",
    "FIRST_EXCEPTION"
))]
pub async fn group<E: 'static, T>(
    body: impl AsyncFnOnce(&TaskGroup<E>) -> Result<T, E>,
) -> Result<T, GroupError<E>> {
    let group = TaskGroup { members: Members::new() };
    let members = &*group.members;
    let _leave = Leave { members };
    let mut value = None;
    {
        // In a block of its own, so that what it throws before its first await is caught as well.
        let mut body = pin!(Some(async { body(&group).await }));
        poll_fn(|cx| {
            members.watch(cx);
            if let Some(running) = body.as_mut().as_pin_mut() {
                if members.phase() == Phase::Open {
                    match caught(|| running.poll(cx)) {
                        Ok(Poll::Pending) => return Poll::Pending,
                        Ok(Poll::Ready(Ok(done))) => value = Some(done),
                        Ok(Poll::Ready(Err(error))) => members.body_failed(Failure::Error(error)),
                        Err(payload) => members.body_failed(Failure::Panic(payload)),
                    }
                }
                if let Err(payload) = caught(|| body.set(None)) {
                    members.body_failed(Failure::Panic(payload));
                }
                members.body_is_over();
            }
            match members.alive() {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            }
        })
        .await;
    }
    members.finish(value)
}

/// The future of the group is over, or given up.
struct Leave<'a, E: 'static> {
    members: &'a Members<E>,
}

impl<E: 'static> Drop for Leave<'_, E> {
    fn drop(&mut self) {
        self.members.abandon();
    }
}

/// The group that a [`group()`](group()) runs: starts its children.
///
/// Clones name the same group: a child may take one along, and start more.
///
/// ```
/// use loopbind::{run, task};
/// # use std::{cell::Cell, rc::Rc};
///
/// let grandchildren = Rc::new(Cell::new(0));
/// let count = grandchildren.clone();
/// run(task::group::<(), _>(async |group| {
///     let inner = group.clone();
///     group.spawn(async move {
///         inner.spawn(async move {
///             count.set(count.get() + 1);
///             Ok(())
///         });
///         Ok(())
///     });
///     Ok(())
/// }))?.unwrap();
/// assert_eq!(grandchildren.get(), 1);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct TaskGroup<E> {
    members: Rc<Members<E>>,
}

impl<E: 'static> TaskGroup<E> {
    /// Starts a child: a task of the running loop. Its first step comes after the current one, behind
    /// everything that is ready, and in its turn where the group has a [`limit`](TaskGroup::limit).
    ///
    /// What the `Task` gives: `Ok(Ok(value))`; `Ok(Err(ChildFailed))` where the child failed, whose error
    /// or panic the group has; `Err(TaskError::Cancelled)` where it was cancelled, or where the group was
    /// ending already. Started in a group that has ended, it is `Err(TaskError::GroupEnded)`. Refused in these ways the
    /// task is over at once, and its future dropped unpolled. TGR-08.
    ///
    /// Dropping the `Task` leaves the child to the group. As with any task, one that somebody was
    /// awaiting takes the child along.
    ///
    /// # Panics
    /// With `no running event loop` outside of a run.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let outcome = run(task::group::<String, _>(async |group| {
    ///     let child = group.spawn(async { Ok(6 * 7) });
    ///     Ok(child.await.unwrap().unwrap())
    /// }))?;
    /// assert_eq!(outcome.unwrap(), 42);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("create_task", "start_soon"))]
    #[track_caller]
    pub fn spawn<T: 'static>(
        &self,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> Task<Result<T, ChildFailed>> {
        self.start(future, Birth::here())
    }

    /// As [`spawn`](TaskGroup::spawn), with a name for the child's task. TGR-15.
    ///
    /// # Panics
    /// As `spawn`.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// run(task::group::<(), _>(async |group| {
    ///     let child = group.spawn_named("fetch", async { Ok(()) });
    ///     assert_eq!(child.name().as_deref(), Some("fetch"));
    ///     Ok(())
    /// }))?.unwrap();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[track_caller]
    pub fn spawn_named<T: 'static>(
        &self,
        name: impl Into<String>,
        future: impl Future<Output = Result<T, E>> + 'static,
    ) -> Task<Result<T, ChildFailed>> {
        self.start(future, Birth { name: Some(name.into()), ..Birth::here() })
    }

    #[track_caller]
    fn start<F, T>(&self, future: F, birth: Birth) -> Task<Result<T, ChildFailed>>
    where
        F: Future<Output = Result<T, E>> + 'static,
        T: 'static,
    {
        let Some(home) = LocalHome::running() else { LoopError::NoRunningLoop.raise() };
        if let Some(error) = self.members.refusal() {
            let task = home.stillborn::<Child<F, E>>(error, birth);
            if let Err(payload) = self.members.refused.drop(future) {
                let message = "exception in the destructor of a future";
                task.task_ref().report(ExceptionContext::panicked(message, payload));
            }
            return task;
        }
        let place = self.members.place();
        let number = place.number();
        let task = home.spawn(Child::new(future, place), birth);
        if !task.is_finished() {
            self.members.enlist(number, task.task_ref());
        }
        task
    }

    /// Bounds how many children run at once; the others wait, unpolled, for their turn, in the order in
    /// which they were started.
    ///
    /// A higher bound lets in who waits; a lower one sends nobody out. Who waits counts as a child all
    /// the same, and is cancelled with the others. A child that awaits another one of its group keeps
    /// its own place meanwhile: with all places taken by such children nothing moves.
    ///
    /// # Panics
    /// Where the bound is zero.
    ///
    /// ```
    /// use loopbind::{EventLoop, sleep, task};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let began = event_loop.time();
    /// event_loop.run_until_complete(task::group::<(), _>(async |group| {
    ///     group.limit(10);
    ///     for _ in 0..100 {
    ///         group.spawn(async {
    ///             sleep(Duration::from_secs(1)).await;
    ///             Ok(())
    ///         });
    ///     }
    ///     Ok(())
    /// }))?.unwrap();
    /// assert_eq!(event_loop.time() - began, Duration::from_secs(10));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias("CapacityLimiter", "Semaphore"))]
    #[track_caller]
    pub fn limit(&self, children: usize) {
        self.members.gate.set_limit(children);
    }

    /// Ends the group early: the body and every child are asked to end, and the group gives an empty
    /// [`GroupError`], whatever value the body may have had. What fails on the way out is in it. Again,
    /// and after the end, it does nothing. TGR-16.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let outcome = run(task::group::<(), ()>(async |group| {
    ///     let inner = group.clone();
    ///     group.spawn(async move {
    ///         inner.cancel();
    ///         Ok(())
    ///     });
    ///     std::future::pending().await
    /// }))?;
    /// assert!(outcome.unwrap_err().is_cancelled());
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn cancel(&self) {
        self.members.end();
    }

    /// Asks every child there is to end, in order of creation, and leaves the group as it is: its body
    /// goes on, and may start others.
    ///
    /// For a race, whose first result is all that is wanted:
    ///
    /// ```
    /// use futures::{StreamExt, channel::mpsc};
    /// use loopbind::{EventLoop, sleep, task};
    /// use std::time::Duration;
    ///
    /// let event_loop = EventLoop::builder().virtual_time(true).build()?;
    /// let first = event_loop.run_until_complete(task::group::<(), _>(async |group| {
    ///     let (winner, mut winners) = mpsc::unbounded();
    ///     for (name, seconds) in [("tortoise", 60), ("hare", 1)] {
    ///         let winner = winner.clone();
    ///         group.spawn(async move {
    ///             sleep(Duration::from_secs(seconds)).await;
    ///             let _ = winner.unbounded_send(name);
    ///             Ok(())
    ///         });
    ///     }
    ///     let first = winners.next().await;
    ///     group.cancel_children();
    ///     Ok(first)
    /// }))?;
    /// assert_eq!(first.unwrap(), Some("hare"));
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[doc(alias = "abort_all")]
    pub fn cancel_children(&self) {
        self.members.cancel_children();
    }

    /// How many children have not ended, those that wait for their turn included.
    ///
    /// ```
    /// use loopbind::{run, task, yield_now};
    ///
    /// run(task::group::<(), _>(async |group| {
    ///     group.spawn(async { Ok(()) });
    ///     assert_eq!(group.len(), 1);
    ///     yield_now().await;
    ///     assert_eq!(group.len(), 0);
    ///     Ok(())
    /// }))?.unwrap();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.members.alive()
    }

    /// Whether all children have ended.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// run(task::group::<(), _>(async |group| {
    ///     assert!(group.is_empty());
    ///     group.spawn(async { Ok(()) });
    ///     assert!(!group.is_empty());
    ///     Ok(())
    /// }))?.unwrap();
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> Self {
        TaskGroup { members: Rc::clone(&self.members) }
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskGroup")
            .field("children", &self.members.alive())
            .field("phase", &self.members.phase())
            .finish_non_exhaustive()
    }
}
