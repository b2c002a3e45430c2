//! A waker that is kept beyond its task's end, and used then.
//!
//! AddressSanitizer must find: a waker that is cloned and not counted, whose task is freed under it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use loopbind::EventLoop;

fn main() {
    let event_loop = EventLoop::new().unwrap();
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let place = Rc::clone(&kept);
    let task = event_loop.create_task(poll_fn(move |cx| {
        place.replace(Some(cx.waker().clone()));
        Poll::Ready(())
    }));
    task.detach();
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    let waker = kept.take().unwrap();
    waker.wake();
}
