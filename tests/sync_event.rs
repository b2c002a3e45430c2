//! Events: everybody who waits goes when it is set, in the order of coming.

#![cfg(feature = "macros")]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, Waker};

use loopbind::sync::Event;
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use scripted::{Moment, noting, poll, scripted};
use support::{Trace, panic_of};

/// A task that notes when it came and when it goes on.
fn waiter(event: &Rc<Event>, trace: &Trace, name: &str) -> loopbind::Task<()> {
    let (event, trace, name) = (Rc::clone(event), trace.clone(), name.to_owned());
    spawn(async move {
        trace.note(format!("{name} waits"));
        event.wait().await;
        trace.note(format!("{name} goes on"));
    })
}

/// EVT-01: set, then everybody goes on in the order of coming; set already, nobody stops.
#[loop_test(virtual_time)]
async fn set_then_all_go_on_in_order_and_who_comes_later_does_not_wait() {
    let (event, trace) = (Rc::new(Event::new()), Trace::new());
    let tasks: Vec<_> = ["a", "b", "c"].map(|name| waiter(&event, &trace, name)).into();
    yield_now().await;
    event.set();
    trace.note("set");
    futures::future::join_all(tasks).await;
    trace.assert(&["a waits", "b waits", "c waits", "set", "a goes on", "b goes on", "c goes on"]);
    assert!(event.is_set());
    assert!(poll(&mut Box::pin(event.wait()), Waker::noop()).is_ready());
}

/// EVT-02: set and cleared at once, those who waited go on, and who comes later waits.
#[loop_test(virtual_time)]
async fn set_and_cleared_at_once_lets_go_who_waited() {
    let (event, trace) = (Rc::new(Event::new()), Trace::new());
    let early = [waiter(&event, &trace, "a"), waiter(&event, &trace, "b")];
    yield_now().await;
    event.set();
    event.clear();
    let late = waiter(&event, &trace, "late");
    futures::future::join_all(early).await;
    yield_now().await;
    trace.assert(&["a waits", "b waits", "a goes on", "b goes on", "late waits"]);
    assert!(!late.is_finished());
    event.set();
    late.await.unwrap();
}

/// Cancel safety: a wait that is dropped, told or not, takes nothing from the others.
#[test]
fn a_wait_that_is_dropped_takes_nothing_from_the_others() {
    let (event, trace) = (Event::new(), Trace::new());
    let wakers = ["a", "b", "c"].map(|name| noting(&trace, name));
    let mut waits = [0, 1, 2].map(|_| Box::pin(event.wait()));
    for (wait, waker) in waits.iter_mut().zip(&wakers) {
        assert!(poll(wait, waker).is_pending());
    }
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 3 }");
    let [a, b, mut c] = waits;
    drop(a);
    event.set();
    event.clear();
    trace.assert(&["b woken", "c woken"]);
    drop(b);
    assert!(poll(&mut c, &wakers[2]).is_ready());
    assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }");
}

/// It works before there is a loop, and under one that came later.
#[test]
fn made_before_its_loop_and_awaited_on_two() {
    let event = Event::new();
    for _ in 0..2 {
        let event_loop = EventLoop::new().unwrap();
        event_loop.call_soon(|| {});
        let both = async {
            let mut wait = Box::pin(event.wait());
            assert!(poll(&mut wait, Waker::noop()).is_pending());
            event.set();
            wait.await;
        };
        event_loop.run_until_complete(both).unwrap();
        event.clear();
    }
}

/// A waker whose clone sets the event: whoever was about to wait does not.
#[test]
fn set_by_the_clone_of_the_waker_nobody_waits() {
    let event = Rc::new(Event::new());
    let waker = scripted({
        let event = Rc::clone(&event);
        move |moment| {
            if moment == Moment::Clone {
                event.set();
            }
        }
    });
    assert_eq!(poll(&mut Box::pin(event.wait()), &waker), Poll::Ready(()));
}

/// By the time the first is woken it is set: whoever looks then sees it, and does not wait.
#[test]
fn set_before_anybody_is_woken() {
    let (event, trace) = (Rc::new(Event::new()), Trace::new());
    let looks = scripted({
        let (event, trace) = (Rc::clone(&event), trace.clone());
        move |moment| {
            if moment == Moment::Wake {
                let goes = poll(&mut Box::pin(event.wait()), Waker::noop()).is_ready();
                trace.note(format!("woken: set {}, goes {goes}", event.is_set()));
            }
        }
    });
    let mut wait = Box::pin(event.wait());
    assert!(poll(&mut wait, &looks).is_pending());
    event.set();
    trace.assert(&["woken: set true, goes true"]);
}

/// Woken, the first drops the second's wait, which was told as well: the third is woken, the second not.
#[test]
fn a_wait_dropped_between_being_told_and_woken_is_not_woken() {
    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    let (event, trace) = (Rc::new(Event::new()), Trace::new());
    let second: Rc<RefCell<Option<Wait>>> = Rc::default();
    let wait = || -> Wait {
        let event = Rc::clone(&event);
        Box::pin(async move { event.wait().await })
    };
    let drops = scripted({
        let (second, trace) = (Rc::clone(&second), trace.clone());
        move |moment| {
            if moment == Moment::Wake {
                trace.note("first woken");
                drop(second.take());
            }
        }
    });
    let (mut first, mut other, mut third) = (wait(), wait(), wait());
    assert!(poll(&mut first, &drops).is_pending());
    assert!(poll(&mut other, &noting(&trace, "second")).is_pending());
    assert!(poll(&mut third, &noting(&trace, "third")).is_pending());
    second.replace(Some(other));
    event.set();
    trace.assert(&["first woken", "third woken"]);
    assert!(
        poll(&mut first, Waker::noop()).is_ready() && poll(&mut third, Waker::noop()).is_ready()
    );
}

/// Woken, the first polls the second's wait, which was told as well: it is over, is not woken any more, and
/// waits anew for the next time, while the third is woken.
#[test]
fn a_wait_polled_between_being_told_and_woken_is_over_and_not_woken() {
    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    let (event, trace) = (Rc::new(Event::new()), Trace::new());
    let second: Rc<RefCell<Option<Wait>>> = Rc::default();
    let wait = || -> Wait {
        let event = Rc::clone(&event);
        Box::pin(async move { event.wait().await })
    };
    let again = RefCell::new(Some(wait()));
    let polls = scripted({
        let (event, second, trace) = (Rc::clone(&event), Rc::clone(&second), trace.clone());
        move |moment| {
            if moment == Moment::Wake {
                let mut again = again.take().unwrap();
                trace.note("first woken");
                assert!(poll(second.borrow_mut().as_mut().unwrap(), Waker::noop()).is_ready());
                event.clear();
                assert!(poll(&mut again, &noting(&trace, "again")).is_pending());
                second.replace(Some(again));
            }
        }
    });
    let (mut first, mut other, mut third) = (wait(), wait(), wait());
    assert!(poll(&mut first, &polls).is_pending());
    assert!(poll(&mut other, &noting(&trace, "second")).is_pending());
    assert!(poll(&mut third, &noting(&trace, "third")).is_pending());
    second.replace(Some(other));
    event.set();
    trace.assert(&["first woken", "third woken"]);
    event.set();
    trace.assert(&["again woken"]);
    let mut again = second.take().unwrap();
    let waits = [&mut first, &mut third, &mut again];
    assert!(waits.into_iter().all(|wait| poll(wait, Waker::noop()).is_ready()));
}

/// Wakers that set, clear, wait and drop waits themselves, at each of their moments: all that waited by
/// then are told, and the line is whole.
#[test]
fn wakers_that_call_back_into_the_event_are_harmless() {
    type Wait = Pin<Box<dyn Future<Output = ()>>>;
    fn wait(event: &Rc<Event>) -> Wait {
        let event = Rc::clone(event);
        Box::pin(async move { event.wait().await })
    }
    for wanted in [Moment::Clone, Moment::Wake, Moment::Drop] {
        let (event, calls) = (Rc::new(Event::new()), Rc::new(Cell::new(0)));
        let kept: Rc<RefCell<Option<Wait>>> = Rc::default();
        let waker = scripted({
            let (event, calls, kept) = (Rc::clone(&event), Rc::clone(&calls), Rc::clone(&kept));
            move |moment| {
                if moment == wanted {
                    calls.set(calls.get() + 1);
                    event.set();
                    event.clear();
                    let mut another = wait(&event);
                    assert!(poll(&mut another, Waker::noop()).is_pending());
                    drop(kept.replace(Some(another)));
                }
            }
        });
        let (mut first, mut second) = (wait(&event), wait(&event));
        assert!(poll(&mut first, &waker).is_pending());
        assert!(poll(&mut second, &waker).is_pending());
        // Now the waker of `first` is another, and its clone of the first one dropped.
        let first_is_told = poll(&mut first, Waker::noop()).is_ready();
        assert_eq!(first_is_told, wanted == Moment::Clone, "{wanted:?}: by the second clone");
        event.set();
        event.clear();
        assert!(first_is_told || poll(&mut first, Waker::noop()).is_ready());
        assert!(poll(&mut second, &waker).is_ready());
        assert_eq!(calls.get(), if wanted == Moment::Clone { 2 } else { 1 }, "{wanted:?}");
        assert!(format!("{event:?}").contains("waiters: "));
        drop(kept.take());
        assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }", "{wanted:?}");
    }
}

/// A waker that panics at each of its moments: the panic reaches the caller, and who is behind is served.
#[test]
fn wakers_that_panic_leave_the_event_whole_and_the_others_are_served() {
    for wanted in [Moment::Clone, Moment::Wake, Moment::Drop] {
        let (event, trace) = (Event::new(), Trace::new());
        let rude = scripted(move |moment| assert_ne!(moment, wanted, "rude"));
        let noting = noting(&trace, "good");
        let (mut bad, mut good) = (Box::pin(event.wait()), Box::pin(event.wait()));
        if wanted == Moment::Clone {
            assert!(panic_of(|| poll(&mut bad, &rude)).contains("rude"));
            assert_eq!(format!("{event:?}"), "Event { set: false, waiters: 0 }");
        } else {
            assert!(poll(&mut bad, &rude).is_pending());
        }
        assert!(poll(&mut good, &noting).is_pending());
        match wanted {
            Moment::Clone => event.set(),
            Moment::Wake => assert!(panic_of(|| event.set()).contains("rude")),
            Moment::Drop => {
                // Another waker comes in its place.
                assert!(panic_of(|| poll(&mut bad, Waker::noop())).contains("rude"));
                event.set();
            }
        }
        trace.assert(&["good woken"]);
        assert!(poll(&mut good, &noting).is_ready());
        std::mem::forget(rude);
    }
}
