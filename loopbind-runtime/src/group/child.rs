//! The future of a group's child: the user's, and what its group is to hear of it.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::error::ChildFailed;
use super::members::{Failure, Place};
use crate::panic::{caught, discard};

pin_project! {
    /// The future is gone before the group hears that the child is, also where the child is dropped.
    pub(super) struct Child<F, E>
    where
        E: 'static,
    {
        #[pin]
        future: Option<F>,
        place: Place<E>,
    }

    impl<F, E> PinnedDrop for Child<F, E>
    where
        E: 'static,
    {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Err(payload) = caught(|| this.future.set(None)) {
                this.place.fail(Failure::Panic(payload));
            }
            this.place.leave();
        }
    }
}

impl<F, E> Child<F, E> {
    pub(super) fn new(future: F, place: Place<E>) -> Self {
        Child { future: Some(future), place }
    }
}

impl<F, T, E> Future for Child<F, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = Result<T, ChildFailed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if this.place.poll_begin(cx).is_pending() {
            return Poll::Pending;
        }
        let future = this.future.as_mut().as_pin_mut();
        let future = future.expect("a task is not polled after its end");
        let mut value = None;
        match caught(|| future.poll(cx)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(done))) => value = Some(done),
            Ok(Poll::Ready(Err(error))) => this.place.fail(Failure::Error(error)),
            Err(payload) => this.place.fail(Failure::Panic(payload)),
        }
        if let Err(payload) = caught(|| this.future.set(None)) {
            this.place.fail(Failure::Panic(payload));
            discard(value.take());
        }
        this.place.leave();
        Poll::Ready(value.ok_or(ChildFailed))
    }
}
