//! Scopes: children that borrow, polled by the scope's own task, each only when it was woken, and gone
//! when the scope is.

mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::FutureExt;
use loopbind::task::{Scope, Scoped, scope};
use loopbind::{EventLoop, TaskError, sleep, task, timeout, yield_now};
use support::{Bomb, Trace, on_drop, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(future: impl Future<Output = T>) -> T {
    virtual_loop().run_until_complete(future).unwrap()
}

/// Counts how often it was woken.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Suspends once for each time it is polled, until told to end; leaves its waker.
fn until(
    end: &Cell<bool>,
    polls: &Cell<usize>,
    waker: &RefCell<Option<Waker>>,
) -> impl Future<Output = ()> {
    poll_fn(move |cx| {
        polls.set(polls.get() + 1);
        *waker.borrow_mut() = Some(cx.waker().clone());
        if end.get() { Poll::Ready(()) } else { Poll::Pending }
    })
}

// ─── borrowing ──────────────────────────────────────────────────────────────────────────────────

/// Every spelling that the documentation promises.
#[test]
fn children_borrow_from_around_the_scope_in_every_spelling() {
    let text = String::from("to be");
    let mut numbers = [1, 2, 3];
    let cell = Cell::new(0);
    let (shared, count) = (&text, &cell);
    run(async {
        scope(async |s| {
            s.spawn(async { count.set(text.len()) });
            for number in &mut numbers {
                s.spawn(async move { *number += 1 });
            }
        })
        .await;
        scope(|s| async move {
            s.spawn(async { count.set(count.get() + shared.len()) });
            let inner = s.clone();
            s.spawn(async move {
                inner.spawn(async move { count.set(count.get() + shared.len()) });
            });
        })
        .await;
        let value: Result<u8, ()> = scope(async |s: Scope<'_>| {
            s.spawn(async { text.len() }).await.map_err(drop)?;
            Err(())
        })
        .await;
        assert!(value.is_err());
    });
    assert_eq!((numbers, cell.get()), ([2, 3, 4], 15));
    drop(text);
}

/// A scope in the body of a scope, and one in a child of it, share what the outer one borrows, and borrow what
/// their bodies have.
#[test]
fn scopes_within_scopes_borrow_from_both() {
    let text = String::from("to be");
    let total = Cell::new(0);
    let add = |words: &[&str]| total.set(total.get() + words.concat().len());
    run(scope(async |outer| {
        outer.spawn(async {
            let words = [text.as_str(), " or not"];
            scope(async |inner| {
                for part in words.chunks(1) {
                    inner.spawn(async { add(part) });
                }
                yield_now().await;
                inner.spawn(async { add(&words) });
            })
            .await;
        });
        let own = text.len();
        let sum = scope(async |inner| {
            let child = inner.spawn(async { own + text.len() });
            inner.spawn(async { add(&[&text]) });
            child.await.unwrap()
        });
        assert_eq!(sum.await, 10);
    }));
    assert_eq!(total.get(), 5 + 7 + 12 + 5);
}

/// A function may hand a borrow of its own caller's to children.
#[test]
fn a_slice_is_worked_on_in_parts() {
    async fn double(numbers: &mut [u32]) {
        scope(async move |s| {
            for part in numbers.chunks_mut(2) {
                s.spawn(async move {
                    yield_now().await;
                    part.iter_mut().for_each(|number| *number *= 2);
                });
            }
        })
        .await;
    }
    let mut numbers = [1, 2, 3, 4, 5];
    run(double(&mut numbers));
    assert_eq!(numbers, [2, 4, 6, 8, 10]);
}

// ─── the order of things ────────────────────────────────────────────────────────────────────────

/// The value comes once every child ended; a child's first step is behind the body's, in order.
#[test]
fn body_then_children_in_order_then_the_value() {
    let trace = Trace::new();
    let value = run(async {
        let value = scope(async |s| {
            for name in ["one", "two"] {
                let trace = &trace;
                s.spawn(async move {
                    trace.note(format!("{name} begins"));
                    sleep(SECOND).await;
                    trace.note(format!("{name} ends"));
                });
            }
            trace.note("body");
            7
        })
        .await;
        trace.note("over");
        value
    });
    assert_eq!(value, 7);
    trace.assert(&["body", "one begins", "two begins", "one ends", "two ends", "over"]);
}

/// Of a thousand children, one is woken: exactly one poll, of that one, and none of the body.
#[test]
fn one_of_a_thousand_is_woken_and_one_is_polled() {
    const MANY: usize = 1000;
    let (end, polls) = (Cell::new(false), Cell::new(0));
    let wakers: Vec<RefCell<Option<Waker>>> = (0..MANY).map(|_| RefCell::default()).collect();
    let bodies = Cell::new(0);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut cx = Context::from_waker(&waker);
    let mut scope = pin!(scope(async |s| {
        for waker in &wakers {
            s.spawn(until(&end, &polls, waker));
        }
        poll_fn(|_| {
            bodies.set(bodies.get() + 1);
            if end.get() { Poll::Ready(()) } else { Poll::<()>::Pending }
        })
        .now_or_never();
    }));
    assert!(scope.as_mut().poll(&mut cx).is_pending());
    assert_eq!((polls.take(), bodies.get(), count.take()), (0, 1, 1), "woken once for all of them");
    assert!(scope.as_mut().poll(&mut cx).is_pending());
    assert_eq!((polls.take(), count.take()), (MANY, 0));

    let woken = wakers[500].borrow().clone().unwrap();
    woken.wake_by_ref();
    woken.wake_by_ref();
    woken.wake();
    assert_eq!(count.take(), 1);
    assert!(scope.as_mut().poll(&mut cx).is_pending());
    assert_eq!((polls.take(), bodies.get(), count.take()), (1, 1, 0));
    // Polled for some other reason of its owner's: nobody.
    assert!(scope.as_mut().poll(&mut cx).is_pending());
    assert_eq!((polls.take(), count.take()), (0, 0));

    end.set(true);
    for waker in &wakers {
        waker.borrow().as_ref().unwrap().wake_by_ref();
    }
    assert_eq!(count.take(), 1);
    assert!(scope.as_mut().poll(&mut cx).is_ready());
    assert_eq!(polls.take(), MANY);
    // Wakers that are late are sound, and wake nobody.
    wakers.iter().for_each(|waker| waker.borrow_mut().take().unwrap().wake());
    assert_eq!(count.take(), 0);
}

/// Those that were woken are polled in the order in which they were, each once.
#[test]
fn woken_in_any_order_then_polled_in_that_order() {
    let trace = Trace::new();
    let wakers: RefCell<Vec<Waker>> = RefCell::default();
    let mut scope = pin!(scope(async |s| {
        for number in 0..4 {
            let (trace, wakers) = (&trace, &wakers);
            s.spawn(poll_fn(move |cx| {
                wakers.borrow_mut().push(cx.waker().clone());
                trace.note(format!("{number}"));
                Poll::<()>::Pending
            }));
        }
    }));
    for _ in 0..2 {
        assert!(scope.as_mut().now_or_never().is_none());
    }
    trace.assert(&["0", "1", "2", "3"]);
    for number in [2, 0, 2, 3, 0] {
        let waker = wakers.borrow()[number].clone();
        waker.wake();
    }
    assert!(scope.as_mut().now_or_never().is_none());
    trace.assert(&["2", "0", "3"]);
}

/// A child that wakes itself, or a sibling, is polled in the next round: its task's other business comes
/// between.
#[test]
fn a_child_that_wakes_itself_starves_nobody() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let task = event_loop.create_task(async move {
        scope(async |s| {
            s.spawn(async {
                for _ in 0..2 {
                    log.note("spins");
                    yield_now().await;
                }
            });
        })
        .await;
    });
    for _ in 0..2 {
        turn(&event_loop);
        event_loop.call_soon(trace.noting("callback"));
        turn(&event_loop);
    }
    trace.assert(&["spins", "callback", "spins", "callback"]);
    assert!(task.is_finished());
}

/// Children start children, and so on; the scope waits for all.
#[test]
fn children_start_children_through_a_clone() {
    fn grow<'env>(s: &Scope<'env>, count: &'env Cell<usize>, depth: usize) {
        if depth == 0 {
            return;
        }
        for _ in 0..2 {
            let inner = s.clone();
            s.spawn(async move {
                count.set(count.get() + 1);
                yield_now().await;
                grow(&inner, count, depth - 1);
            });
        }
    }
    let count = Cell::new(0);
    run(scope(async |s| grow(&s, &count, 6)));
    assert_eq!(count.get(), 2 + 4 + 8 + 16 + 32 + 64);
}

// ─── outcomes ───────────────────────────────────────────────────────────────────────────────────

/// The handle gives the value, awaited or not; dropped, the child goes on.
#[test]
fn handles_are_awaited_asked_kept_and_dropped() {
    let trace = Trace::new();
    let (mut kept,) = run(scope(async |s| {
        let (log, other) = (&trace, trace.clone());
        let mut waiting = s.spawn(async { 1 });
        assert!(waiting.try_result().is_none() && !waiting.is_finished());
        assert_eq!((&mut waiting).await.unwrap(), 1);
        assert!(waiting.is_finished() && waiting.try_result().is_none());
        drop(s.spawn(async move {
            yield_now().await;
            log.note("dropped handle, child goes on");
        }));
        assert_eq!(format!("{s:?}"), "Scope { children: 1, over: false, .. }");
        (s.spawn(async move { other }),)
    }));
    trace.assert(&["dropped handle, child goes on"]);
    assert_eq!(format!("{kept:?}"), "Scoped { finished: true, .. }");
    assert!(kept.try_result().unwrap().is_ok());
    assert!(panic_of(|| kept.now_or_never()).contains("polled after it gave its outcome"));
}

/// `cancel` is a request: the child is dropped in the scope's next poll, begun or not, and its handle says
/// so; a child may cancel itself.
#[test]
fn cancelled_then_dropped_in_the_next_poll() {
    let trace = Trace::new();
    run(scope(async |s| {
        let (own, log): (RefCell<Option<Scoped<'_, ()>>>, _) = (RefCell::default(), &trace);
        let own = Rc::new(own);
        let child = s.spawn(async move {
            let _probe = log.probe("child");
            pending::<()>().await
        });
        let unbegun = s.spawn(async move { log.note("never") });
        assert!(unbegun.cancel() && unbegun.cancel());
        yield_now().await;
        assert!(unbegun.is_finished() && !unbegun.cancel());
        assert!(child.cancel() && !child.is_finished());
        log.note("asked");
        assert!(child.await.unwrap_err().is_cancelled());
        assert!(matches!(unbegun.await, Err(TaskError::Cancelled)));
        let shared = Rc::clone(&own);
        let itself = s.spawn(async move {
            let _probe = log.probe("itself");
            assert!(shared.borrow().as_ref().unwrap().cancel());
            log.note("asked itself");
            pending::<()>().await
        });
        *own.borrow_mut() = Some(itself);
        poll_fn(|cx| own.borrow_mut().as_mut().unwrap().poll_unpin(cx)).await.unwrap_err();
        own.take();
    }));
    trace.assert(&["asked", "child dropped", "asked itself", "itself dropped"]);
}

/// A scope that ended takes no more: the future is dropped, and the handle says why.
#[test]
fn spawned_after_the_end_is_an_error_at_once() {
    let trace = Trace::new();
    let over = run(scope(async |s| s.clone()));
    let probe = trace.probe("late");
    let late = over.spawn(async move { drop(probe) });
    trace.assert(&["late dropped"]);
    assert!(matches!(late.now_or_never(), Some(Err(TaskError::GroupEnded))));
    assert!(over.is_empty());
}

// ─── panics ─────────────────────────────────────────────────────────────────────────────────────

/// A panic of a child, of the body, of a destructor: the others are dropped first, then it goes on.
#[test]
fn a_panic_goes_on_once_all_are_gone() {
    let trace = Trace::new();
    async fn guarded(trace: &Trace, name: &str, end: impl Future<Output = ()>) {
        let _probe = trace.probe(name);
        end.await;
    }
    let said = panic_of(|| {
        run(scope(async |s| {
            s.spawn(guarded(&trace, "one", pending()));
            s.spawn(async {
                let _probe = trace.probe("culprit");
                yield_now().await;
                panic!("a child")
            });
            s.spawn(guarded(&trace, "two", pending()));
            guarded(&trace, "body", pending()).await
        }))
    });
    trace.note(said);
    trace.assert(&["culprit dropped", "body dropped", "one dropped", "two dropped", "a child"]);
    let said = panic_of(|| {
        run(scope(async |s| {
            s.spawn(guarded(&trace, "child", pending()));
            yield_now().await;
            panic!("the body");
        }))
    });
    trace.note(said);
    trace.assert(&["child dropped", "the body"]);
    let said = panic_of(|| {
        run(scope(async |s| {
            let child = s.spawn(async {
                let _bomb = Bomb("a destructor");
                pending::<()>().await
            });
            s.spawn(guarded(&trace, "child", pending()));
            yield_now().await;
            child.cancel();
        }))
    });
    trace.note(said);
    trace.assert(&["child dropped", "a destructor"]);
}

/// Of many panics one goes on, and none aborts: destructors that panic while others do are quiet.
#[test]
fn destructors_that_panic_on_the_way_out_hurt_nobody() {
    let trace = Trace::new();
    // Panics whatever the thread is doing already.
    let bomb = |text: &'static str| on_drop(move || panic!("{text}"));
    let said = panic_of(|| {
        run(scope(async |s| {
            for _ in 0..3 {
                let bomb = bomb("a destructor");
                s.spawn(async move {
                    let _bomb = bomb;
                    pending::<()>().await
                });
            }
            s.spawn(async {
                let _probe = trace.probe("last");
                pending::<()>().await
            });
            s.spawn(async { panic!("the first") });
            let _bomb = bomb("the body's");
            pending::<()>().await
        }))
    });
    assert_eq!(said, "the first");
    trace.assert(&["last dropped"]);
    // The same where the scope is given up.
    let mut given_up = Box::pin(scope(async |s| {
        for _ in 0..3 {
            let bomb = bomb("given up");
            s.spawn(async move {
                let _bomb = bomb;
                pending::<()>().await
            });
        }
        pending::<()>().await
    }));
    assert!(given_up.as_mut().now_or_never().is_none());
    assert_eq!(panic_of(|| drop(given_up)), "given up");
}

// ─── given up ───────────────────────────────────────────────────────────────────────────────────

/// A scope that is dropped drops its body, then its children, in order of creation, at once; their handles
/// say that they were cancelled.
#[test]
fn given_up_by_a_time_out_then_all_are_gone_before_it_is_heard() {
    let trace = Trace::new();
    let kept: RefCell<Option<Scoped<'_, ()>>> = RefCell::default();
    run(async {
        let waiting = scope(async |s| {
            for name in ["one", "two"] {
                let probe = trace.probe(name);
                let child = s.spawn(async move {
                    let _probe = probe;
                    pending::<()>().await
                });
                *kept.borrow_mut() = Some(child);
            }
            let _probe = trace.probe("body");
            pending::<()>().await
        });
        assert!(timeout(SECOND, waiting).await.is_err());
        trace.note("elapsed");
        let mut last = kept.borrow_mut().take().unwrap();
        assert!(last.try_result().unwrap().unwrap_err().is_cancelled() && !last.cancel());
    });
    trace.assert(&["body dropped", "one dropped", "two dropped", "elapsed"]);
}

/// A destructor that starts a child in a scope that is being dropped is told that it has ended.
#[test]
fn destructors_that_spawn_while_the_scope_goes_are_refused() {
    let trace = Trace::new();
    run(async {
        let waiting = scope(async |s| {
            let (inner, log) = (s.clone(), trace.clone());
            let late = on_drop(move || {
                let probe = log.probe("late");
                let outcome = inner.spawn(async move { drop(probe) }).now_or_never();
                assert!(matches!(outcome, Some(Err(TaskError::GroupEnded))));
            });
            s.spawn(async move {
                let _late = late;
                pending::<()>().await
            });
            pending::<()>().await
        });
        assert!(timeout(SECOND, waiting).await.is_err());
    });
    trace.assert(&["late dropped"]);
}

/// Each destructor starts the next in a scope that is over: they are dropped one after the other, and an end
/// is made of it.
#[test]
fn destructors_that_spawn_without_end_end() {
    fn again(scope: Scope<'static>, count: Rc<Cell<usize>>) {
        count.set(count.get() + 1);
        let child = scope.clone();
        let guard = on_drop(move || again(scope, count));
        drop(child.spawn(async move {
            let _guard = guard;
            pending::<()>().await
        }));
    }
    let count = Rc::new(Cell::new(0));
    let counted = Rc::clone(&count);
    run(async move {
        let waiting = scope(|s: Scope<'static>| async move {
            again(s, counted);
            pending::<()>().await
        });
        assert!(timeout(SECOND, waiting).await.is_err());
    });
    assert!(count.get() > 100_000, "{}", count.get());
}

/// The parent's cancellation is heard by a child that listens: it is the parent's task that is polled.
#[test]
fn a_child_that_listens_hears_of_its_tasks_end() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let parent = event_loop.create_task(async move {
        scope(async |s| {
            let body = s.spawn(pending::<()>());
            s.spawn(async move {
                task::cancelled().await;
                log.note("told");
                body.cancel();
            });
        })
        .await;
        "ended by itself"
    });
    turn(&event_loop);
    turn(&event_loop);
    parent.cancel();
    assert_eq!(event_loop.run_until_complete(parent).unwrap().unwrap(), "ended by itself");
    trace.assert(&["told"]);
}

/// No cycle keeps a scope's children: not their own clones of it, not handles they have of each other.
#[test]
fn nothing_keeps_what_children_held() {
    let kept = Rc::new(());
    let weak = Rc::downgrade(&kept);
    run(async {
        let waiting = scope(async move |s| {
            let (inner, mine) = (s.clone(), Rc::clone(&kept));
            let first = s.spawn(async move {
                let _held = (inner, mine);
                pending::<()>().await
            });
            s.spawn(first);
            let _body = kept;
            pending::<()>().await
        });
        assert!(timeout(SECOND, waiting).await.is_err());
    });
    assert_eq!(weak.strong_count(), 0);
}

// ─── threads ────────────────────────────────────────────────────────────────────────────────────

/// Wakers of children may be woken, cloned and dropped on any thread: no wake is lost.
#[test]
fn woken_from_other_threads_and_none_is_lost() {
    const ROUNDS: usize = 200;
    type Post = Arc<Mutex<(usize, Option<Waker>)>>;
    let posts: Vec<Post> = (0..4).map(|_| Post::default()).collect();
    thread::scope(|threads| {
        for post in &posts {
            threads.spawn(move || {
                for _ in 0..ROUNDS {
                    let waker = loop {
                        let mut post = post.lock().unwrap();
                        if let Some(waker) = post.1.take() {
                            post.0 += 1;
                            break waker;
                        }
                        drop(post);
                        thread::yield_now();
                    };
                    waker.wake();
                }
            });
        }
        let event_loop = EventLoop::new().unwrap();
        event_loop
            .run_until_complete(scope(async |s| {
                for post in &posts {
                    let mut seen = 0;
                    s.spawn(poll_fn(move |cx| {
                        let mut post = post.lock().unwrap();
                        assert!(post.0 <= seen + 1);
                        seen = post.0;
                        if seen == ROUNDS {
                            return Poll::Ready(());
                        }
                        post.1 = Some(cx.waker().clone());
                        Poll::Pending
                    }));
                }
            }))
            .unwrap();
    });
}

/// It runs where no loop does.
#[test]
fn it_runs_on_any_executor() {
    let text = String::from("to be");
    let length = futures::executor::block_on(scope(async |s| {
        let child = s.spawn(async { text.len() });
        child.await.unwrap()
    }));
    assert_eq!(length, 5);
}

/// Forgotten, it leaks, and nothing more: a late wake touches nothing that is gone.
#[test]
fn forgotten_then_woken() {
    let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
    let kept = Rc::clone(&waker);
    let mut forgotten: Pin<Box<_>> = Box::pin(scope(async move |s| {
        s.spawn(poll_fn(move |cx| {
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
    }));
    for _ in 0..2 {
        assert!(forgotten.as_mut().now_or_never().is_none());
    }
    std::mem::forget(forgotten);
    waker.borrow_mut().take().unwrap().wake();
}
