//! Those who wait for a thing of which there may be several, first come, first served.
//!
//! Who comes when nothing is free joins the line. Whoever frees something has the line *served*: the first
//! is called, and from then on it is promised to that one. Nobody who comes later takes it, until the
//! called one comes for it, or leaves, and the next is called. Whoever has news for all *dismisses* them:
//! nothing is promised, they look for themselves.

use std::cell::Cell;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::{KeptWaker, Key, Waiters};

pub(super) struct Line {
    waiters: Waiters<Served>,
    called: Cell<usize>,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Served {
    /// One of what was waited for is there to be taken, if that is done at once.
    Yes,
    /// There is news, and there may be nothing.
    Dismissed,
}

impl Line {
    pub(super) const fn new() -> Self {
        Line { waiters: Waiters::new(), called: Cell::new(0) }
    }

    /// How many things are promised.
    #[inline]
    pub(super) fn called(&self) -> usize {
        self.called.get()
    }

    /// How many wait, and were not called.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.waiters.waiting()
    }

    /// Calls those at the head for as long as `is_free` says that there is something that nobody was
    /// promised. To be asked whenever something was freed. `is_free` is no user code.
    #[inline]
    pub(super) fn serve(&self, is_free: impl Fn() -> bool) {
        if self.waiting() > 0 && is_free() {
            self.call(is_free);
        }
    }

    fn call(&self, is_free: impl Fn() -> bool) {
        self.waiters.tell_while(|served| {
            let is_free = is_free();
            if is_free {
                *served = Served::Yes;
                self.called.set(self.called.get() + 1);
            }
            is_free
        });
    }

    /// Tells all who wait that there is news, in their order.
    #[inline]
    pub(super) fn dismiss(&self) {
        if self.waiting() > 0 {
            self.waiters.tell_all();
        }
    }

    /// Joins the line, to be called or dismissed; unless it `is_worth_a_look` at the last moment. To be
    /// asked for only where nothing is free.
    #[inline]
    pub(super) fn turn<F: Fn() -> bool + Unpin>(&self, is_worth_a_look: F) -> Turn<'_, F> {
        Turn { line: self, is_worth_a_look, key: None }
    }

    /// Stands in line at `key`, for news, until the next dismissal; unless it `is_worth_a_look` at the last
    /// moment. For lines in which nobody is called.
    #[inline]
    pub(super) fn poll_news(
        &self,
        key: &mut Option<Key>,
        cx: &mut Context<'_>,
        is_worth_a_look: impl Fn() -> bool,
    ) -> Poll<()> {
        if let Some(joined) = key {
            ready!(self.waiters.poll(joined, cx));
            drop(key.take().map(|key| self.leave(key)));
            return Poll::Ready(());
        }
        // Cloned before the look, because it is user code, and may do anything.
        let waker = KeptWaker::of(cx);
        if is_worth_a_look() {
            return Poll::Ready(());
        }
        *key = Some(self.waiters.join(waker, Served::Dismissed));
        Poll::Pending
    }

    /// Leaves a line in which nobody is called. The waker is in what comes out, and user code.
    pub(super) fn leave(&self, key: Key) -> impl Sized + use<> {
        self.waiters.leave(key)
    }

    /// Waits, through dismissals, until `is_so`.
    pub(super) async fn until(&self, is_so: impl Fn() -> bool + Unpin) {
        while !is_so() {
            self.turn(&is_so).await;
        }
    }
}

/// One who waits in line. Dropped after it was called, it hands on.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Turn<'a, F: Fn() -> bool + Unpin> {
    line: &'a Line,
    is_worth_a_look: F,
    key: Option<Key>,
}

impl<F: Fn() -> bool + Unpin> Future for Turn<'_, F> {
    type Output = Served;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Served> {
        let line = self.line;
        let Some(key) = self.key.take() else {
            // Cloned before the look, because it is user code, and may do anything.
            let waker = KeptWaker::of(cx);
            if (self.is_worth_a_look)() {
                return Poll::Ready(Served::Dismissed);
            }
            self.key = Some(line.waiters.join(waker, Served::Dismissed));
            return Poll::Pending;
        };
        match line.waiters.leave_woken(key) {
            Ok(served) => {
                if served == Served::Yes {
                    line.called.set(line.called.get() - 1);
                }
                Poll::Ready(served)
            }
            Err(key) => {
                // Waits on; or was told and is about to be woken, with a waker that is still there.
                ready!(line.waiters.poll(self.key.insert(key), cx));
                let key = self.key.take();
                Poll::Ready(key.map_or(Served::Dismissed, |key| self.leave(key)))
            }
        }
    }
}

impl<F: Fn() -> bool + Unpin> Turn<'_, F> {
    fn leave(&self, key: Key) -> Served {
        let left = self.line.waiters.leave(key);
        let promise = Promise::of(self, left.what);
        let served = left.what;
        // Where one comes between being told and being woken, a waker drops here, which is user code:
        // the promise is kept meanwhile, and handed on if that throws.
        drop(left);
        if let Some(promise) = promise {
            promise.keep();
        }
        served
    }
}

impl<F: Fn() -> bool + Unpin> Drop for Turn<'_, F> {
    #[inline]
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            // Drops last, after the promise has gone to the next.
            let left = self.line.waiters.leave(key);
            drop(Promise::of(self, left.what));
        }
    }
}

/// What somebody was called for, and has not taken yet. Dropped, it goes to the next in line.
struct Promise<'a, F: Fn() -> bool> {
    line: &'a Line,
    is_free: &'a F,
}

impl<'a, F: Fn() -> bool + Unpin> Promise<'a, F> {
    fn of(turn: &'a Turn<'_, F>, served: Served) -> Option<Self> {
        (served == Served::Yes).then(|| Promise { line: turn.line, is_free: &turn.is_worth_a_look })
    }
}

impl<F: Fn() -> bool> Promise<'_, F> {
    fn keep(self) {
        self.line.called.set(self.line.called.get() - 1);
        mem::forget(self);
    }
}

impl<F: Fn() -> bool> Drop for Promise<'_, F> {
    fn drop(&mut self) {
        self.line.called.set(self.line.called.get() - 1);
        self.line.serve(self.is_free);
    }
}
