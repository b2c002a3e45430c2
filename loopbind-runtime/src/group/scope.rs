//! Children that borrow, polled by the task that awaits them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::task::{Context, Poll, Waker};

use super::bells::{Bell, Bells};
use super::refused::Refused;
use super::scoped::{Given, Scoped};
use crate::panic::discard;
use crate::task::TaskError;

/// Runs `body` with a scope, and returns its value when it and every child it started have ended.
///
/// Children may borrow from whatever lives around the scope, as those of [`std::thread::scope`] may:
/// they are no tasks of the loop, but are polled by the task that awaits the scope, and are gone when it
/// is. Each has a waker of its own: only those that were woken are polled, in the order in which they
/// were woken, and each at most once in a poll of the scope.
///
/// The body is given the scope by value: `async |scope| { .. }` and `|scope| async move { .. }` both
/// work. A child starts others through a clone of it. What a child borrows must live outside of the body;
/// the body's own values are moved into it:
///
/// ```compile_fail,E0373
/// use loopbind::{run, task};
///
/// run(task::scope(async |scope| {
///     let text = String::from("to be"); // dropped with the body, which ends before its children
///     scope.spawn(async { text.len() }); // `async move` is meant
/// }))?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// It runs on any executor.
///
/// # Panics
/// Where the body or a child panics: all the others are dropped, then the panic goes on from here.
///
/// # Cancel safety
/// Dropping it drops the body and every child.
///
/// ```
/// use loopbind::{run, sleep, task};
/// use std::time::Duration;
///
/// let words = ["to", "be", "or", "not"];
/// let mut lengths = [0; 4];
/// run(task::scope(async |scope| {
///     for (word, length) in words.iter().zip(&mut lengths) {
///         scope.spawn(async move {
///             sleep(Duration::from_millis(1)).await;
///             *length = word.len();
///         });
///     }
/// }))?;
/// assert_eq!(lengths, [2, 2, 2, 3]);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("moro", "async_scoped", "nursery", "open_nursery"))]
pub async fn scope<'env, T, F>(body: impl FnOnce(Scope<'env>) -> F) -> T
where
    F: Future<Output = T>,
{
    let (bells, calls) = Bells::new();
    let inner = Rc::new(Inner {
        bells,
        children: RefCell::default(),
        born: Cell::new(BODY + 1),
        is_over: Cell::new(false),
        refused: Refused::default(),
    });
    let bell = inner.bells.hang(BODY);
    bell.ring();
    let _end = End { inner: &inner };
    let scope = Scope { inner: Rc::clone(&inner) };
    let mut value = None;
    // In a block of its own, so that what it throws before its first await is caught as well.
    let mut body = pin!(Some(async { body(scope).await }));
    let mut round = Vec::new();
    poll_fn(|cx| {
        inner.bells.listen(cx);
        take_calls(&calls, &mut round);
        for number in round.drain(..) {
            let step = if number == BODY {
                catch_unwind(AssertUnwindSafe(|| {
                    let Some(running) = body.as_mut().as_pin_mut() else { return };
                    if let Poll::Ready(done) = step(&bell, running) {
                        value = Some(done);
                        body.set(None);
                    }
                }))
            } else {
                inner.step(number)
            };
            if let Err(payload) = step {
                // The others are gone before anybody hears of it: the body here, the children as this
                // unwinds. Of several panics the first goes on.
                if let Err(another) = catch_unwind(AssertUnwindSafe(|| body.set(None))) {
                    discard(another);
                }
                discard(value.take());
                resume_unwind(payload);
            }
        }
        if body.is_none() && inner.children.borrow().is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    value.expect("a body that is gone without a panic has its value")
}

/// The body's number among the bells.
const BODY: u64 = 0;

/// Those that were rung until now. Each is in the list once: it has an end.
fn take_calls(calls: &Receiver<u64>, round: &mut Vec<u64>) {
    round.extend(calls.try_iter());
}

fn step<F: Future + ?Sized>(bell: &Arc<Bell>, future: Pin<&mut F>) -> Poll<F::Output> {
    bell.answer();
    let waker = Waker::from(Arc::clone(bell));
    future.poll(&mut Context::from_waker(&waker))
}

/// The scope that a [`scope()`](scope()) runs: starts children that borrow.
///
/// Clones name the same scope: a child may take one along, and start more.
///
/// ```
/// use loopbind::{run, task};
/// use std::cell::Cell;
///
/// let count = Cell::new(0);
/// let shared = &count;
/// run(task::scope(|scope| async move {
///     let inner = scope.clone();
///     scope.spawn(async move {
///         shared.set(shared.get() + 1);
///         inner.spawn(async move { shared.set(shared.get() + 1) });
///     });
/// }))?;
/// assert_eq!(count.get(), 2);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub struct Scope<'env> {
    inner: Rc<Inner<'env>>,
}

type Boxed<'env> = Pin<Box<dyn Future<Output = ()> + 'env>>;

/// Invariant in `'env`, by the cell: a scope cannot be passed off as one for shorter borrows, through which a
/// child could have what is gone before it.
///
/// ```compile_fail
/// use loopbind::task::Scope;
///
/// fn shorter<'long: 'short, 'short>(scope: Scope<'long>) -> Scope<'short> {
///     scope
/// }
/// ```
///
/// ```compile_fail
/// use loopbind::task::Scope;
///
/// fn longer<'long: 'short, 'short>(scope: Scope<'short>) -> Scope<'long> {
///     scope
/// }
/// ```
///
/// ```compile_fail,E0597
/// use loopbind::task::Scope;
///
/// fn of_a_function<'env>(scope: &Scope<'env>) {
///     let text = String::from("to be");
///     let borrowed = &text;
///     scope.spawn(async move { borrowed.len() });
/// }
/// ```
///
/// ```compile_fail,E0597
/// use loopbind::{run, task};
///
/// let mut kept = None; // would have what the child had
/// {
///     let text = String::from("to be");
///     let kept = &mut kept;
///     run(task::scope(async |scope| *kept = Some(scope.spawn(async { text.len() })))).unwrap();
/// }
/// assert!(kept.is_some());
/// ```
///
/// ```compile_fail,E0499
/// use loopbind::{run, task};
///
/// let mut sum = 0;
/// let shared = &mut sum;
/// run(task::scope(async |scope| {
///     scope.spawn(async { *shared += 1 });
///     scope.spawn(async { *shared += 1 });
/// }))
/// .unwrap();
/// ```
pub(super) struct Inner<'env> {
    bells: Arc<Bells>,
    /// Those that are not over, in order of creation.
    children: RefCell<BTreeMap<u64, Child<'env>>>,
    born: Cell<u64>,
    is_over: Cell<bool>,
    refused: Refused<'env>,
}

struct Child<'env> {
    bell: Arc<Bell>,
    /// `None` while it is being polled.
    future: Option<Boxed<'env>>,
    is_cancelled: bool,
}

impl<'env> Scope<'env> {
    /// Starts a child: it is polled first in the next poll of the scope, behind those that were woken
    /// before.
    ///
    /// Dropping what is returned leaves the child to the scope. In a scope that has ended the future is
    /// dropped unpolled, and the outcome is [`TaskError::GroupEnded`].
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// let text = String::from("to be");
    /// let length = run(task::scope(async |scope| {
    ///     let child = scope.spawn(async { text.len() });
    ///     child.await.unwrap()
    /// }))?;
    /// assert_eq!(length, 5);
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    pub fn spawn<R: 'env>(&self, future: impl Future<Output = R> + 'env) -> Scoped<'env, R> {
        let number = self.inner.born.get();
        let (given, scoped) = Given::new(number, Rc::clone(&self.inner));
        if self.inner.is_over.get() {
            given.give(Err(TaskError::GroupEnded));
            if let Err(payload) = self.inner.refused.drop(future) {
                payload.resume();
            }
            return scoped;
        }
        self.inner.born.set(number + 1);
        let bell = self.inner.bells.hang(number);
        let future: Boxed<'env> = Box::pin(async move {
            // Gone, in this order, where the child is dropped: the future, then who tells of it.
            let value = future.await;
            given.give(Ok(value));
        });
        let child = Child { bell: Arc::clone(&bell), future: Some(future), is_cancelled: false };
        self.inner.children.borrow_mut().insert(number, child);
        bell.ring();
        scoped
    }

    /// How many children have not ended.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// run(task::scope(async |scope| {
    ///     let child = scope.spawn(async {});
    ///     assert_eq!(scope.len(), 1);
    ///     child.await.unwrap();
    ///     assert_eq!(scope.len(), 0);
    /// }))?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn len(&self) -> usize {
        self.inner.children.borrow().len()
    }

    /// Whether all children have ended.
    ///
    /// ```
    /// use loopbind::{run, task};
    ///
    /// run(task::scope(async |scope| {
    ///     assert!(scope.is_empty());
    ///     scope.spawn(async {});
    ///     assert!(!scope.is_empty());
    /// }))?;
    /// # Ok::<(), loopbind::LoopError>(())
    /// ```
    #[must_use = "looking changes nothing"]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'env> Inner<'env> {
    /// One step of a child that was woken. What it throws comes back; the child is over then.
    fn step(&self, number: u64) -> Result<(), Box<dyn Any + Send>> {
        let Some((bell, mut future, is_cancelled)) = self.take(number) else { return Ok(()) };
        let over = catch_unwind(AssertUnwindSafe(|| {
            is_cancelled || step(&bell, future.as_mut()).is_ready()
        }));
        if let Ok(false) = over {
            if let Some(child) = self.children.borrow_mut().get_mut(&number) {
                child.future = Some(future);
            }
            return Ok(());
        }
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(future)));
        self.children.borrow_mut().remove(&number);
        match (over, dropped) {
            (Ok(_), dropped) => dropped,
            (Err(payload), Ok(())) => Err(payload),
            (Err(payload), Err(another)) => {
                discard(another);
                Err(payload)
            }
        }
    }

    fn take(&self, number: u64) -> Option<(Arc<Bell>, Boxed<'env>, bool)> {
        let mut children = self.children.borrow_mut();
        let child = children.get_mut(&number)?;
        let future = child.future.take()?;
        Some((Arc::clone(&child.bell), future, child.is_cancelled))
    }

    /// A child is to be dropped in the next poll of the scope. False: it is over.
    pub(super) fn cancel(&self, number: u64) -> bool {
        let bell = match self.children.borrow_mut().get_mut(&number) {
            Some(child) => {
                child.is_cancelled = true;
                Arc::clone(&child.bell)
            }
            None => return false,
        };
        bell.ring();
        true
    }

    /// No child is taken from here on, and those that are left are dropped, in order of creation. What
    /// they throw comes back.
    fn end(&self) -> Vec<Box<dyn Any + Send>> {
        self.is_over.set(true);
        discard(self.bells.take_sleeper());
        let mut thrown = Vec::new();
        for child in self.children.take().into_values() {
            thrown.extend(catch_unwind(AssertUnwindSafe(|| drop(child.future))).err());
        }
        thrown
    }
}

/// The future of the scope is over, or given up.
struct End<'a, 'env> {
    inner: &'a Inner<'env>,
}

impl Drop for End<'_, '_> {
    fn drop(&mut self) {
        let mut thrown = self.inner.end().into_iter();
        if !std::thread::panicking() {
            if let Some(payload) = thrown.next() {
                thrown.for_each(discard);
                resume_unwind(payload);
            }
        }
        thrown.for_each(discard);
    }
}

impl Clone for Scope<'_> {
    fn clone(&self) -> Self {
        Scope { inner: Rc::clone(&self.inner) }
    }
}

impl fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("children", &self.len())
            .field("over", &self.inner.is_over.get())
            .finish_non_exhaustive()
    }
}
