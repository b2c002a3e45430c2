//! Wakers made by hand, which call the test when they are cloned, woken and dropped, and futures polled
//! by hand with them.

#![allow(dead_code)] // Each file uses its share of this.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};

use crate::support::Trace;

/// What is done to a waker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    Clone,
    Wake,
    Drop,
}

struct Script {
    call: Box<dyn Fn(Moment)>,
}

/// A waker that calls `call` each time, for use on this thread only. A clone that throws makes none.
pub(crate) fn scripted(call: impl Fn(Moment) + 'static) -> Waker {
    static TABLE: RawWakerVTable = RawWakerVTable::new(
        |data| {
            // SAFETY: as below; the waker that is cloned has a share of its own.
            let script = unsafe { &*data.cast::<Script>() };
            (script.call)(Moment::Clone);
            // SAFETY: the data of each waker is a share in a script, from `Rc::into_raw`.
            unsafe { Rc::increment_strong_count(data.cast::<Script>()) };
            RawWaker::new(data, &TABLE)
        },
        |data| {
            // SAFETY: as above; woken by value, its share ends here.
            let script = unsafe { Rc::from_raw(data.cast::<Script>()) };
            (script.call)(Moment::Wake);
        },
        |data| {
            // SAFETY: as above.
            let script = unsafe { &*data.cast::<Script>() };
            (script.call)(Moment::Wake);
        },
        |data| {
            // SAFETY: as above; dropped, its share ends here.
            let script = unsafe { Rc::from_raw(data.cast::<Script>()) };
            (script.call)(Moment::Drop);
        },
    );
    let script = Rc::into_raw(Rc::new(Script { call: Box::new(call) }));
    // SAFETY: the table keeps the contract of wakers but for threads: the tests leave it on its own.
    unsafe { Waker::new(script.cast(), &TABLE) }
}

/// A waker that notes `"<name> woken"`.
pub(crate) fn noting(trace: &Trace, name: &str) -> Waker {
    let (trace, event) = (trace.clone(), format!("{name} woken"));
    scripted(move |moment| {
        if moment == Moment::Wake {
            trace.note(event.clone());
        }
    })
}

/// Polls once with `waker`.
pub(crate) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>, waker: &Waker) -> Poll<F::Output> {
    future.as_mut().poll(&mut Context::from_waker(waker))
}
