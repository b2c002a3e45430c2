//! What a loop's end gives back: every byte, whatever held on to what.
//!
//! Each case is lived through twice: the second life costs nothing.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use loopbind::sync::oneshot;
use loopbind::{EventLoop, LoopHandle, Task, sleep};
use support::turn;

/// Counts what is alive of a thread's: the harness has its own threads, with their own business.
struct Counting;

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

fn live() -> isize {
    LIVE.get()
}

// SAFETY: everything is handed on to the system's allocator; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(live() + layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.set(live() - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `life` leaves behind the second time, in bytes: what is made once for the thread is there then.
fn left_by(mut life: impl FnMut()) -> isize {
    life();
    let before = live();
    life();
    live() - before
}

type Slot<T> = Rc<RefCell<Option<T>>>;

/// A task whose future holds its own handle, its own waker, its own loop, or all of them.
#[test]
fn a_task_that_holds_itself_and_its_loop() {
    let lives: [fn(&EventLoop); 4] = [
        |event_loop| {
            let own: Slot<Task<()>> = Rc::default();
            let inside = Rc::clone(&own);
            let task = event_loop.create_task(async move {
                let _own = inside;
                pending().await
            });
            *own.borrow_mut() = Some(task);
        },
        |event_loop| {
            let mut own = None::<Waker>;
            let waiting = poll_fn(move |cx| {
                own.replace(cx.waker().clone());
                Poll::<()>::Pending
            });
            event_loop.create_task(waiting).detach();
        },
        |event_loop| {
            let own = event_loop.clone();
            let waiting = async move {
                let _own = own;
                sleep(Duration::MAX).await;
            };
            event_loop.create_task(waiting).detach();
        },
        |event_loop| {
            let own = event_loop.clone();
            let timer = event_loop.call_later(Duration::from_secs(3600), move || drop(own));
            let (own, handle) = (event_loop.clone(), event_loop.handle());
            event_loop.call_soon(move || drop((own, handle, timer)));
        },
    ];
    for (number, prepare) in lives.into_iter().enumerate() {
        for turns in 0..3 {
            let left = left_by(|| {
                let event_loop = EventLoop::new().unwrap();
                prepare(&event_loop);
                for _ in 0..turns {
                    turn(&event_loop);
                }
                event_loop.close().unwrap();
            });
            assert_eq!(left, 0, "the {number}. life, after {turns} turns");
        }
    }
}

/// A task that waits for a value whose sender hangs on a callback that hangs on the task: closing cuts it.
#[test]
fn a_circle_through_a_channel_a_callback_and_a_handle() {
    let left = left_by(|| {
        let event_loop = EventLoop::new().unwrap();
        let (sender, receiver) = oneshot::channel::<Rc<Task<()>>>();
        let task = Rc::new(event_loop.create_task(async move {
            _ = receiver.await;
        }));
        let same = Rc::clone(&task);
        task.add_done_callback(move || {
            _ = sender.send(same);
        });
        drop(task);
        turn(&event_loop);
        assert_eq!(event_loop.all_tasks().len(), 1, "it waits for itself");
        event_loop.close().unwrap();
    });
    assert_eq!(left, 0);
}

/// A hundred thousand callbacks for the end of one task: they run once each, or are dropped with the loop.
#[test]
fn a_hundred_thousand_done_callbacks_of_one_task() {
    const MANY: usize = 100_000;
    for ends in [true, false] {
        let left = left_by(|| {
            let event_loop = EventLoop::new().unwrap();
            let task = event_loop.create_task(pending::<()>());
            let called = Rc::new(());
            for _ in 0..MANY {
                let called = Rc::clone(&called);
                task.add_done_callback(move || drop(called));
            }
            assert_eq!(Rc::strong_count(&called), MANY + 1);
            turn(&event_loop);
            if ends {
                task.abort();
                turn(&event_loop);
                turn(&event_loop);
                assert_eq!(Rc::strong_count(&called), 1);
            }
            event_loop.close().unwrap();
            assert_eq!(Rc::strong_count(&called), 1);
        });
        assert_eq!(left, 0);
    }
}

/// A handle and a waker that are kept while ten thousand other loops come and go: those leave nothing.
#[test]
fn a_handle_that_outlives_ten_thousand_loops() {
    let life = || -> LoopHandle {
        let event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        handle.call_soon_threadsafe(|| {}).unwrap();
        event_loop.run_until_complete(sleep(Duration::ZERO)).unwrap();
        event_loop.close().unwrap();
        handle
    };
    let kept = life();
    drop(life());
    let before = live();
    for _ in 0..10_000 {
        let handle = life();
        assert!(handle.call_soon_threadsafe(|| {}).is_err());
    }
    assert_eq!(live(), before);
    assert!(kept.call_soon_threadsafe(|| {}).is_err());
}
