//! Hearing that one was asked to end.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use super::header::TaskRef;
use super::home::LocalHome;
use super::state::{ABORT, CANCEL, DONE, TOLD};
use crate::sync::KeptWaker;

/// Resolves when the task that polls it is asked to end.
///
/// While one that was polled is alive, [`Task::cancel`](super::Task::cancel) tells the task instead of
/// dropping it: the task cleans up, with `await` where it needs to, and ends by itself. A task that was told and
/// returns a value has that value. Dropping the future gives that up: a request that it had not
/// been told of yet drops the task after all.
///
/// Each request is told once. A second `cancel` while nobody listens drops the task where it
/// stands, and so does `abort` at any time.
///
/// Polled outside of a task it never resolves: there is nobody to ask.
///
/// # Cancel safety
/// Dropping it loses nothing but the say in how the task ends.
///
/// ```
/// use futures::{FutureExt, select_biased};
/// use loopbind::{run, spawn, task, yield_now};
///
/// let last_words = run(async {
///     let task = spawn(async {
///         select_biased! {
///             () = task::cancelled().fuse() => {}
///             () = std::future::pending::<()>().fuse() => {}
///         }
///         yield_now().await; // cleaning up takes as long as it takes
///         "good bye"
///     });
///     yield_now().await;
///     task.cancel();
///     task.await.unwrap()
/// })?;
/// assert_eq!(last_words, "good bye");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[doc(alias("CancelledError", "CancellationToken"))]
pub fn cancelled() -> impl Future<Output = ()> {
    Cancelled { registered: None }
}

/// One `cancelled()` that was polled: known to its task and to its future.
#[derive(Default)]
pub(super) struct Listener {
    told: Cell<bool>,
    waker: Cell<Option<KeptWaker>>,
}

impl Listener {
    /// The caller wakes what comes out.
    fn tell(&self) -> Option<Waker> {
        self.told.set(true);
        self.waker.take()?.let_go()
    }
}

/// The listeners of one task that were not told yet, by the order in which they came: any of them
/// leaves without a look at the others.
#[derive(Default)]
pub(super) struct Listeners {
    waiting: BTreeMap<u64, Rc<Listener>>,
    next: u64,
}

impl Listeners {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn add(&mut self, listener: Rc<Listener>) -> u64 {
        let place = self.next;
        self.next += 1;
        self.waiting.insert(place, listener);
        place
    }

    fn remove(&mut self, place: u64) -> Option<Rc<Listener>> {
        self.waiting.remove(&place)
    }

    /// Tells them all before anybody is woken: what a wake drops was told. The caller wakes what
    /// comes out, in order.
    pub(super) fn tell(self) -> Vec<Waker> {
        self.waiting.into_values().filter_map(|listener| listener.tell()).collect()
    }
}

struct Cancelled {
    registered: Option<Registered>,
}

struct Registered {
    task: TaskRef,
    listener: Rc<Listener>,
    place: u64,
}

impl Future for Cancelled {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(task) = LocalHome::running().and_then(|home| home.current_task()) else {
            return Poll::Pending;
        };
        let waker = KeptWaker::of(cx);
        if let Some(Registered { task: known, listener, .. }) = &self.registered {
            if *known == task {
                if !listener.told.get() {
                    drop(listener.waker.replace(Some(waker)));
                    return Poll::Pending;
                }
                task.head().with_cold(|cold| cold.unheard = 0);
                self.registered = None;
                return Poll::Ready(());
            }
            // Polled by another task now.
            self.give_up();
        }
        let head = task.head();
        if head.has(CANCEL) && !head.has(ABORT) {
            // Asked before it listened, in this very poll.
            head.clear(CANCEL);
            head.set(TOLD);
            task.begin_grace();
            return Poll::Ready(());
        }
        let listener = Rc::new(Listener { told: Cell::new(false), waker: Cell::new(Some(waker)) });
        let place = head.with_cold(|cold| cold.listeners.add(Rc::clone(&listener)));
        self.registered = Some(Registered { task, listener, place });
        Poll::Pending
    }
}

impl Cancelled {
    fn give_up(&mut self) {
        let Some(Registered { task, listener, place }) = self.registered.take() else { return };
        let head = task.head();
        if !listener.told.get() {
            let ours = head.with_cold(|cold| cold.listeners.remove(place));
            // Its waker is user code, and goes with nothing borrowed.
            drop((ours, listener));
            return;
        }
        // Told, and gone before it could say so. When it was the last one, and none before it did,
        // the request stands as if nobody had listened.
        let unheard = head.with_cold(|cold| {
            let before = cold.unheard;
            cold.unheard = before.saturating_sub(1);
            before == 1
        });
        if unheard && !head.has(DONE) {
            head.clear(TOLD);
            task.cancel();
        }
    }
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        self.give_up();
    }
}
