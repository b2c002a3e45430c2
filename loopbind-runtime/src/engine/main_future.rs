//! The future of `run_until_complete`: it stays on its caller's stack, and may borrow from there.
//!
//! Its entry among the loop's tasks is an allocation of its own, which wakers may keep for ever, and
//! which serves the next run where none does. What is in there is a signpost to the stack, which nobody
//! follows any more once the entry is over, and that it is before the frame is left.

use std::panic::Location;
use std::pin::{Pin, pin};
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::{Engine, Exit, Reason};
use crate::context::Place;
use crate::error::LoopError;
use crate::panic::{PanicPayload, caught};
use crate::task::{self, ExceptionContext};

/// The future on the stack, and what became of it.
struct Main<F: Future> {
    // Not moved once it was pinned with the whole; `None` when it was dropped.
    future: Option<F>,
    outcome: Option<Result<F::Output, PanicPayload>>,
}

impl<F: Future> Main<F> {
    /// # Safety
    /// `main` points to a pinned `Main<F>`, which nobody else uses meanwhile.
    unsafe fn poll(main: NonNull<()>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: by the contract; the future is pinned with its `Main`.
        let (future, outcome) = unsafe {
            let main = main.cast::<Main<F>>().as_mut();
            (main.future.as_mut().map(|future| Pin::new_unchecked(future)), &mut main.outcome)
        };
        let Some(future) = future else { return Poll::Pending };
        *outcome = Some(match caught(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => Ok(value),
            Err(payload) => Err(payload),
        });
        Poll::Ready(())
    }
}

/// What stands for the main future among the tasks: the way to it.
pub(super) struct Signpost {
    main: NonNull<()>,
    poll: unsafe fn(NonNull<()>, &mut Context<'_>) -> Poll<()>,
}

impl Future for Signpost {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: an entry is polled by a run, and this run has its main future where it was when the entry
        // was mounted: `Mounted` ends the entry before what it points to is touched or left, and what is over
        // is never polled.
        unsafe { (self.poll)(self.main, cx) }
    }
}

/// The context a main future runs in. What is left there goes with the run, and does not take its value along.
struct Apart<'a> {
    engine: &'a Engine,
    place: Place,
}

impl Drop for Apart<'_> {
    fn drop(&mut self) {
        if let Err(payload) = self.place.clear() {
            let message = "exception in the destructor of a context variable's value";
            self.engine.call_handler(&ExceptionContext::panicked(message, payload));
        }
    }
}

/// The main future is on the loop until this drops.
struct Mounted<'a> {
    engine: &'a Engine,
    root: Option<task::Root<Signpost>>,
}

impl Mounted<'_> {
    /// Takes it off the loop. `last` is the last thing in its span, and has the future to itself.
    #[inline(always)]
    fn retire(mut self, last: impl FnOnce()) {
        if let Some(root) = self.root.take() {
            // The next run's, if nobody keeps a waker of this one.
            self.engine.spare_root.set(self.engine.home.retire_root(root, last));
        }
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Some(root) = self.root.take() {
            self.engine.spare_root.set(self.engine.home.retire_root(root, || {}));
        }
    }
}

impl Engine {
    /// Runs until `future` is done. A refusal drops it unpolled, and changes nothing.
    ///
    /// CTX-06: it runs in a copy of the caller's context.
    pub(crate) fn complete<F: IntoFuture>(
        &self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        let apart = Apart { engine: self, place: task::copy_current() };
        task::within(&apart.place, || self.complete_here(future, place))
    }

    /// The same in the context that is current.
    pub(crate) fn complete_here<F: IntoFuture>(
        &self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        if self.has_host() {
            return self.complete_there(future, place);
        }
        self.complete_inside(future, place)
    }

    #[cold]
    #[inline(never)]
    fn complete_there<F: IntoFuture>(
        &self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        // A refusal enters nothing.
        self.check_can_run()?;
        self.within_host(|| self.complete_inside(future, place))
    }

    #[inline(always)]
    fn complete_inside<F: IntoFuture>(
        &self,
        future: F,
        place: &'static Location<'static>,
    ) -> Result<F::Output, LoopError> {
        let running = self.enter()?;
        let (ended, outcome) = {
            let mut main = pin!(Main { future: Some(future.into_future()), outcome: None });
            // SAFETY: the pointer is used to reach the pinned value in place, never to move it.
            let pointer = NonNull::from(unsafe { main.as_mut().get_unchecked_mut() });
            let signpost = Signpost { main: pointer.cast(), poll: Main::<F::IntoFuture>::poll };
            let root = self.home.mount_root(signpost, place, self.spare_root.take());
            let mounted = Mounted { engine: self, root: Some(root) };
            let ended = self.run_on();
            // SAFETY: the run is over, and its entry with it: nobody else goes that way any more. The future is dropped
            // where it stands, while its loop still is the running one.
            let main = unsafe { pointer.as_ptr().as_mut() };
            let Some(main) = main else { unreachable!("made from a reference") };
            mounted.retire(|| {
                if let Err(payload) = caught(|| main.future = None) {
                    let message = "exception in the destructor of a main future";
                    self.home.local().report(ExceptionContext::panicked(message, payload));
                }
            });
            (ended, main.outcome.take())
        };
        drop(running);
        match (ended, outcome) {
            (Ok(()), Some(Ok(value))) => Ok(value),
            (ended, outcome) => self.leave(ended, outcome),
        }
    }

    /// The end of a run that has more to say than a value.
    #[cold]
    #[inline(never)]
    fn leave<T>(
        &self,
        ended: Result<(), Exit>,
        outcome: Option<Result<T, PanicPayload>>,
    ) -> Result<T, LoopError> {
        match (ended.map_err(|exit| *exit), outcome) {
            (Err(Reason::Thrown(unheard)), Some(Err(payload))) => {
                // Two at once, and one way out: main's own leaves this run, the other the next.
                self.throw_next(unheard);
                payload.resume()
            }
            (Err(Reason::Thrown(payload)), value) => {
                // Not while the panic unwinds: a value whose destructor panics then is the process's
                // end.
                if let Err(spill) = caught(|| drop(value)) {
                    let message = "exception in the destructor of a main future's value";
                    self.call_handler(&ExceptionContext::panicked(message, spill));
                }
                payload.resume()
            }
            (_, Some(Err(payload))) => payload.resume(),
            (Err(Reason::Refused(LoopError::Forked)), _) => Err(LoopError::Forked),
            (_, Some(Ok(value))) => Ok(value),
            (Err(Reason::Refused(error)), None) => Err(error),
            (Ok(()), None) => Err(LoopError::StoppedBeforeComplete),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    use crate::{EventLoop, LoopError};

    /// Two polls, and the waker they saw; `late` is woken between them.
    fn run(event_loop: &EventLoop, late: Option<&Waker>) -> Waker {
        let mut polls = 0;
        let main = poll_fn(|cx| {
            polls += 1;
            if let Some(late) = late {
                late.wake_by_ref();
            }
            if polls == 2 {
                return Poll::Ready(cx.waker().clone());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        event_loop.run_until_complete(main).unwrap()
    }

    #[test]
    fn the_entry_serves_again_unless_somebody_kept_it() {
        let event_loop = EventLoop::new().unwrap();
        let first = run(&event_loop, None);
        let second = run(&event_loop, Some(&first));
        assert!(!second.will_wake(&first), "a late wake would reach a later tenant");
        let known = second.data();
        drop(second);
        assert_eq!(run(&event_loop, Some(&first)).data(), known, "it was free");
    }

    /// A main future that is done has its value, whatever went wrong behind it.
    #[test]
    fn a_value_that_is_there_is_not_lost_to_an_error_of_the_run() {
        let event_loop = EventLoop::new().unwrap();
        let failed = || Err(LoopError::Io(std::io::ErrorKind::Other.into()).into());
        assert_eq!(event_loop.hold().leave(failed(), Some(Ok(7))).unwrap(), 7);
        assert!(matches!(event_loop.hold().leave::<()>(failed(), None), Err(LoopError::Io(_))));
    }

    /// A main future for which more was kept than an entry has room for leaves none of that to the next.
    #[test]
    fn the_next_main_future_begins_with_nothing_of_the_last() {
        let event_loop = EventLoop::builder().debug(true).build().unwrap();
        let spent = || {
            event_loop.run_until_complete(async {
                let before = crate::task::current().unwrap().busy;
                crate::yield_now().await;
                (before, crate::task::current().unwrap().busy)
            })
        };
        for _ in 0..2 {
            let (before, after) = spent().unwrap();
            assert!(before.is_zero() && !after.is_zero());
        }
    }
}
