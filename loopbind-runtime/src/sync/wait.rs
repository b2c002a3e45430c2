//! One who waits in line for something to be had: the future behind the primitives' own.

use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::waiters::{KeptWaker, Key, Waiters};

/// Something that is to be had, and a line of those who want it.
pub(super) trait Awaited {
    /// How much of it, or in which way.
    type Wish: Copy;

    fn waiters(&self) -> &Waiters<Self::Wish>;

    /// Takes it at once, if it is to be had and nobody in line comes first.
    fn take(&self, wish: Self::Wish) -> bool;

    /// Takes back what somebody had been given, who will not use it.
    fn give_back(&self, wish: Self::Wish);

    /// Somebody in line gave up before anything was given: what stood behind them may be served now.
    fn line_moved(&self) {}
}

/// Ready when the wish is granted. Dropped before, it leaves the line; what it was granted and did not
/// take home goes back.
#[must_use = "futures do nothing unless awaited"]
pub(super) struct Wait<'a, A: Awaited + ?Sized> {
    of: &'a A,
    wish: A::Wish,
    progress: Progress,
}

enum Progress {
    New,
    InLine(Key),
    /// Granted, and not taken home yet.
    Granted,
    Over,
}

impl<'a, A: Awaited + ?Sized> Wait<'a, A> {
    /// To be asked for where it is not to be had at once.
    #[inline]
    pub(super) fn new(of: &'a A, wish: A::Wish) -> Self {
        Wait { of, wish, progress: Progress::New }
    }
}

impl<A: Awaited + ?Sized> Future for Wait<'_, A>
where
    A::Wish: Unpin,
{
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let (of, wish) = (this.of, this.wish);
        match mem::replace(&mut this.progress, Progress::Over) {
            Progress::New => {
                let waker = KeptWaker::of(cx);
                // What the waker's clone did, nobody knows: this is looked at now, and not before.
                if !of.take(wish) {
                    this.progress = Progress::InLine(of.waiters().join(waker, wish));
                    return Poll::Pending;
                }
                // User code, dropped while the grant can still go back.
                this.progress = Progress::Granted;
                drop(waker);
                this.progress = Progress::Over;
            }
            Progress::InLine(key) => {
                if let Err(key) = of.waiters().leave_woken(key) {
                    this.progress = Progress::InLine(key);
                    ready!(this.poll_in_line(cx));
                }
            }
            // Its waker threw while it was dropped, and whoever caught that polls again.
            Progress::Granted => {}
            Progress::Over => panic!("a wait was polled after it was over"),
        }
        Poll::Ready(())
    }
}

impl<A: Awaited + ?Sized> Wait<'_, A> {
    /// Waits on; or was told and is about to be woken, with a waker that is still there.
    #[cold]
    #[inline(never)]
    fn poll_in_line(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let waiters = self.of.waiters();
        if let Progress::InLine(key) = &self.progress {
            ready!(waiters.poll(key, cx));
        }
        if let Progress::InLine(key) = mem::replace(&mut self.progress, Progress::Granted) {
            drop(waiters.leave(key));
        }
        self.progress = Progress::Over;
        Poll::Ready(())
    }
}

impl<A: Awaited + ?Sized> Wait<'_, A> {
    #[cold]
    #[inline(never)]
    fn give_up(&mut self) {
        match mem::replace(&mut self.progress, Progress::Over) {
            Progress::InLine(key) => {
                let left = self.of.waiters().leave(key);
                if left.told {
                    self.of.give_back(left.what);
                } else {
                    self.of.line_moved();
                }
            }
            Progress::Granted => self.of.give_back(self.wish),
            Progress::New | Progress::Over => {}
        }
    }
}

impl<A: Awaited + ?Sized> Drop for Wait<'_, A> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.progress, Progress::Over) {
            self.give_up();
        }
    }
}
