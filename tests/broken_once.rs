//! What was broken once, each by a program that found it.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures::FutureExt as _;
use loopbind::task::ContextVar;
use loopbind::{
    EventLoop, RemoteTask, Task, TaskError, UnhandledPanic, get_running_loop, run, sleep, spawn,
    spawn_blocking, task, time, yield_now,
};

thread_local! {
    static LOOP: RefCell<Option<EventLoop>> = const { RefCell::new(None) };
}

/// Starts a task on the loop of `LOOP` that keeps `value` to its end.
fn keep(value: impl Sized + 'static) {
    let event_loop = LOOP.with(|cell| cell.borrow().clone()).expect("set by the test");
    event_loop
        .create_task(async move {
            let _value = value;
            pending::<()>().await;
        })
        .detach();
}

/// Destructors that start tasks while their loop closes, more of them than closing puts up with: what
/// is left over is not dropped on the thread that lets go of the loop's handle last.
#[test]
fn what_comes_too_late_in_excess_is_dropped_on_no_other_thread() {
    thread_local!(static SHARED: Rc<Cell<u64>> = Rc::default());
    struct Last(#[allow(dead_code)] Rc<Cell<u64>>);
    struct Second;
    impl Drop for Second {
        fn drop(&mut self) {
            keep(Last(SHARED.with(Rc::clone)));
        }
    }
    struct Middle;
    impl Drop for Middle {
        fn drop(&mut self) {
            for _ in 0..1_000_001 {
                keep(Second);
            }
        }
    }
    struct First;
    impl Drop for First {
        fn drop(&mut self) {
            keep(Middle);
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    LOOP.with(|cell| cell.replace(Some(event_loop.clone())));
    keep(First);
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    event_loop.close().unwrap();
    drop(event_loop);
    drop(LOOP.take());
    let held = SHARED.with(Rc::strong_count);
    std::thread::spawn(move || drop(handle)).join().unwrap();
    assert_eq!(SHARED.with(Rc::strong_count), held, "the other thread dropped some");
}

/// The last job ends between the loop's look at their number and its going to sleep.
#[test]
fn the_end_of_a_blocking_job_is_not_missed_by_a_loop_on_its_way_to_sleep() {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    for _ in 0..5_000 {
        event_loop
            .run_until_complete(async {
                spawn_blocking(|| ()).await.unwrap();
                // Comes only once no job is in flight.
                sleep(Duration::from_secs(1)).await;
            })
            .unwrap();
    }
}

/// A task that was told, and whose awaiter is dropped by the same shutdown, goes on cleaning up.
#[test]
fn told_then_its_awaiter_dropped_it_cleans_up_to_the_end() {
    let steps = Rc::new(Cell::new(0));
    let count = Rc::clone(&steps);
    run(async move {
        let child = spawn(async move {
            task::cancelled().await;
            count.set(1);
            yield_now().await;
            yield_now().await;
            count.set(2);
        });
        spawn(async move { drop(child.await) }).detach();
        for _ in 0..4 {
            yield_now().await;
        }
    })
    .unwrap();
    assert_eq!(steps.get(), 2);
}

/// What a waker asks for.
type Request = fn(&Task<()>) -> bool;

/// A waker that asks again, or aborts, while its listener is being told.
fn asked_again_while_told(again: Request) -> Result<(), TaskError> {
    thread_local!(static TASK: RefCell<Option<Task<()>>> = const { RefCell::new(None) });
    thread_local!(static AGAIN: Cell<Option<Request>> = const { Cell::new(None) });
    struct Again;
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let again = AGAIN.get().unwrap();
            TASK.with(|task| again(task.borrow().as_ref().unwrap()));
        }
    }
    AGAIN.set(Some(again));
    run(async {
        let listens = spawn(async {
            let mut told = Box::pin(task::cancelled());
            let own = Waker::from(Arc::new(Again));
            let mut turns = 0;
            poll_fn(|cx| {
                turns += 1;
                if turns > 3 {
                    return Poll::Ready(());
                }
                if turns > 1 {
                    cx.waker().wake_by_ref();
                }
                told.as_mut().poll(&mut Context::from_waker(&own)).map(|()| ())
            })
            .await
        });
        yield_now().await;
        TASK.with(|task| task.replace(Some(listens)));
        TASK.with(|task| task.borrow().as_ref().unwrap().cancel());
        for _ in 0..10 {
            yield_now().await;
        }
        let mut listens = TASK.with(RefCell::take).unwrap();
        assert!(listens.is_finished(), "the request was lost: {listens:?}");
        listens.try_result().unwrap()
    })
    .unwrap()
}

#[test]
fn told_and_aborted_meanwhile_it_is_dropped() {
    assert!(asked_again_while_told(Task::abort).unwrap_err().is_cancelled());
}

#[test]
fn told_and_asked_again_meanwhile_it_was_told_once() {
    asked_again_while_told(Task::cancel).unwrap();
}

/// A panic that leaves the run meets the main future's value, whose destructor panics as well.
#[test]
fn a_value_whose_drop_panics_behind_another_panic_ends_no_process() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("bomb");
        }
    }
    let policy = EventLoop::builder().on_unhandled_panic(UnhandledPanic::Resume);
    let event_loop = policy.build().unwrap();
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let ended = event_loop.run_until_complete(async {
            drop(spawn(async { panic!("background") }));
            Bomb
        });
        std::mem::forget(ended);
    }));
    assert_eq!(caught.unwrap_err().downcast_ref(), Some(&"background"));
}

#[test]
fn polled_before_it_was_shielded_it_is_shielded() {
    let done = Rc::new(Cell::new(false));
    let flag = Rc::clone(&done);
    run(async move {
        let mut work = spawn(async move {
            yield_now().await;
            flag.set(true);
        });
        assert!((&mut work).now_or_never().is_none());
        drop(task::shield(work));
        yield_now().await;
        yield_now().await;
    })
    .unwrap();
    assert!(done.get());
}

#[test]
fn a_remote_task_that_awaits_itself_is_told() {
    thread_local!(static MYSELF: RefCell<Option<RemoteTask<()>>> = const { RefCell::new(None) });
    let told = run(async {
        let (sender, receiver) = futures::channel::oneshot::channel();
        let handle = get_running_loop().unwrap().handle();
        let myself = handle
            .spawn(move || async move {
                let myself = MYSELF.with(RefCell::take).unwrap();
                sender.send(myself.await.unwrap_err()).unwrap();
            })
            .unwrap();
        MYSELF.with(|cell| cell.replace(Some(myself)));
        receiver.await.unwrap()
    });
    assert!(matches!(told.unwrap(), TaskError::SelfAwait));
}

/// CB-10: what does not fit the clock never comes, however far a virtual one is moved.
#[test]
fn never_is_not_reached_by_moving_the_clock_as_far_as_it_goes() {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let never = event_loop.create_task(sleep(Duration::MAX));
    let ran = Rc::new(Cell::new(false));
    let flag = Rc::clone(&ran);
    event_loop.call_later(Duration::MAX, move || flag.set(true));
    event_loop.run_until_complete(time::advance(Duration::MAX)).unwrap().unwrap();
    event_loop.turn(Some(Duration::MAX)).unwrap();
    assert!(!never.is_finished() && !ran.get());
}

/// A destructor that starts a task whose destructor starts a task, without end, left at the end of a
/// run: the run ends all the same.
#[test]
fn a_hydra_left_at_the_end_of_a_run_does_not_keep_it() {
    struct Hydra;
    impl Drop for Hydra {
        fn drop(&mut self) {
            if let Ok(event_loop) = get_running_loop() {
                let head = Hydra;
                event_loop
                    .create_task(async move {
                        let _head = head;
                        pending::<()>().await;
                    })
                    .detach();
            }
        }
    }
    run(async {
        let head = Hydra;
        spawn(async move {
            let _head = head;
            pending::<()>().await;
        })
        .detach();
    })
    .unwrap();
}

/// A task that panicked, whose future's destructor panics too; whoever hears of that drops the task's
/// handle, so that its context goes with the report, and the destructor of a value in it panics as well.
#[test]
fn a_context_that_goes_with_a_report_throws_nothing_through_the_loop() {
    static BOMB: ContextVar<Rc<Bomb>> = ContextVar::new("bomb");
    struct Bomb(&'static str);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("{}", self.0);
        }
    }
    let event_loop = EventLoop::new().unwrap();
    let (heard, handle) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(None::<Task<()>>)));
    let (hears, dropped) = (Rc::clone(&heard), Rc::clone(&handle));
    event_loop.set_exception_handler(Some(Box::new(move |_, context| {
        let panic = context.panic.as_ref().and_then(|panic| panic.message());
        hears.borrow_mut().push(panic.unwrap_or_default().to_owned());
        drop(dropped.take());
    })));
    // Owned by the future, and no local of its: it outlives the panic of the poll.
    let bomb = Bomb("of the future");
    handle.set(Some(event_loop.create_task(poll_fn(move |_| {
        let _ = &bomb;
        BOMB.set(Rc::new(Bomb("of the context")));
        resume_unwind(Box::new("of the task"))
    }))));
    let next = Rc::new(Cell::new(false));
    let flag = Rc::clone(&next);
    event_loop.call_soon(move || flag.set(true));
    event_loop.turn(Some(Duration::ZERO)).unwrap();
    assert_eq!(*heard.borrow(), ["of the future", "of the task", "of the context"]);
    assert!(next.get() && event_loop.all_tasks().is_empty());
}
