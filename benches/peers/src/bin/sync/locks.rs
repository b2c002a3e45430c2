//! Locks and their like: alone, two tasks by turns, and a hundred in line.

use std::cell::Cell;
use std::rc::Rc;
use std::task::{Context, Waker};

use loopbind::sync::{Barrier, Condition, Event, Lock, OnceCell, RwLock, Semaphore};
use loopbind::{spawn, yield_now};

use crate::row::Row;
use crate::row::Whose::{AsyncLock, LocalSync, Loopbind, Tokio, Unsync};

const ALONE: usize = 200_000;
const TOGETHER: usize = 40_000;
const CROWD: usize = 100;

pub fn rows() -> Vec<Row> {
    let mut rows = vec![alone(), together("lock, 2 tasks by turns", 2)];
    rows.push(together("lock, 100 tasks in line", CROWD));
    rows.extend([read(), write(), readers_and_writers()]);
    rows.extend([semaphore(), permits("semaphore, 2 tasks, 1 permit", 2, 1)]);
    rows.push(permits("semaphore, 100 tasks, 10 permits", CROWD, 10));
    rows.extend([event(), events(), polled_by_hand(), condition(), barrier(), once_cell()]);
    rows
}

fn alone() -> Row {
    Row::new("lock, alone", ALONE)
        .alone(Loopbind, Lock::new(0), async |lock| *lock.lock().await += 1)
        .alone(Tokio, tokio::sync::Mutex::new(0), async |lock| *lock.lock().await += 1)
        .alone(AsyncLock, async_lock::Mutex::new(0), async |lock| *lock.lock().await += 1)
}

fn together(name: &'static str, tasks: usize) -> Row {
    Row::new(name, TOGETHER)
        .crowd(Loopbind, tasks, Lock::new(0), async |lock| {
            let mut value = lock.lock().await;
            yield_now().await;
            *value += 1;
        })
        .crowd(Tokio, tasks, tokio::sync::Mutex::new(0), async |lock| {
            let mut value = lock.lock().await;
            yield_now().await;
            *value += 1;
        })
        .crowd(AsyncLock, tasks, async_lock::Mutex::new(0), async |lock| {
            let mut value = lock.lock().await;
            yield_now().await;
            *value += 1;
        })
}

fn read() -> Row {
    Row::new("read lock, alone", ALONE)
        .alone(Loopbind, RwLock::new(Cell::new(0)), async |lock| drop(lock.read().await))
        .alone(Tokio, tokio::sync::RwLock::new(Cell::new(0)), async |lock| drop(lock.read().await))
        .alone(AsyncLock, async_lock::RwLock::new(0), async |lock| drop(lock.read().await))
}

fn write() -> Row {
    Row::new("write lock, alone", ALONE)
        .alone(Loopbind, RwLock::new(0), async |lock| *lock.write().await += 1)
        .alone(Tokio, tokio::sync::RwLock::new(0), async |lock| *lock.write().await += 1)
        .alone(AsyncLock, async_lock::RwLock::new(0), async |lock| *lock.write().await += 1)
}

/// Each task reads twice, then writes.
fn readers_and_writers() -> Row {
    Row::new("read-write lock, 100 tasks in line", TOGETHER)
        .crowd(Loopbind, CROWD, (RwLock::new(0), Cell::new(0)), async |(lock, turn)| {
            turn.set(turn.get() + 1);
            if turn.get() % 3 == 0 {
                let mut value = lock.write().await;
                yield_now().await;
                *value += 1;
            } else {
                let _value = lock.read().await;
                yield_now().await;
            }
        })
        .crowd(Tokio, CROWD, (tokio::sync::RwLock::new(0), Cell::new(0)), async |(lock, turn)| {
            turn.set(turn.get() + 1);
            if turn.get() % 3 == 0 {
                let mut value = lock.write().await;
                yield_now().await;
                *value += 1;
            } else {
                let _value = lock.read().await;
                yield_now().await;
            }
        })
        .crowd(
            AsyncLock,
            CROWD,
            (async_lock::RwLock::new(0), Cell::new(0)),
            async |(lock, turn)| {
                turn.set(turn.get() + 1);
                if turn.get() % 3 == 0 {
                    let mut value = lock.write().await;
                    yield_now().await;
                    *value += 1;
                } else {
                    let _value = lock.read().await;
                    yield_now().await;
                }
            },
        )
}

fn semaphore() -> Row {
    Row::new("semaphore, alone", ALONE)
        .alone(Loopbind, Semaphore::new(1), async |semaphore| drop(semaphore.acquire().await))
        .alone(Tokio, tokio::sync::Semaphore::new(1), async |semaphore| {
            drop(semaphore.acquire().await)
        })
        .alone(AsyncLock, async_lock::Semaphore::new(1), async |semaphore| {
            drop(semaphore.acquire().await)
        })
        .alone(LocalSync, local_sync::semaphore::Semaphore::new(1), async |semaphore| {
            drop(semaphore.acquire().await)
        })
        .alone(Unsync, unsync::semaphore::Semaphore::new(1), async |semaphore| {
            drop(semaphore.acquire(1).await)
        })
}

fn permits(name: &'static str, tasks: usize, permits: usize) -> Row {
    Row::new(name, TOGETHER)
        .crowd(Loopbind, tasks, Semaphore::new(permits), async |semaphore| {
            let _permit = semaphore.acquire().await;
            yield_now().await;
        })
        .crowd(Tokio, tasks, tokio::sync::Semaphore::new(permits), async |semaphore| {
            let _permit = semaphore.acquire().await;
            yield_now().await;
        })
        .crowd(AsyncLock, tasks, async_lock::Semaphore::new(permits), async |semaphore| {
            let _permit = semaphore.acquire().await;
            yield_now().await;
        })
        .crowd(
            LocalSync,
            tasks,
            local_sync::semaphore::Semaphore::new(permits),
            async |semaphore| {
                let _permit = semaphore.acquire().await;
                yield_now().await;
            },
        )
        .crowd(Unsync, tasks, unsync::semaphore::Semaphore::new(permits), async |semaphore| {
            let _permit = semaphore.acquire(1).await;
            yield_now().await;
        })
}

/// tokio has no event; its `Notify` is the nearest.
fn event() -> Row {
    Row::new("event, set then awaited", ALONE)
        .alone(Loopbind, Event::new(), async |event| {
            event.set();
            event.wait().await;
            event.clear();
        })
        .alone(Tokio, tokio::sync::Notify::new(), async |notify| {
            notify.notify_one();
            notify.notified().await;
        })
}

fn events() -> Row {
    Row::new("event, 100 tasks woken", TOGETHER)
        .by(Loopbind, |event_loop, n| {
            let event = Rc::new(Event::new());
            let all = async {
                for _ in 0..CROWD {
                    let event = Rc::clone(&event);
                    spawn(async move {
                        for _ in 0..n / CROWD {
                            event.wait().await;
                        }
                    })
                    .detach();
                }
                for _ in 0..=n / CROWD {
                    yield_now().await;
                    event.set();
                    event.clear();
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
        .by(Tokio, |event_loop, n| {
            let notify = Rc::new(tokio::sync::Notify::new());
            let all = async {
                for _ in 0..CROWD {
                    let notify = Rc::clone(&notify);
                    spawn(async move {
                        for _ in 0..n / CROWD {
                            notify.notified().await;
                        }
                    })
                    .detach();
                }
                for _ in 0..=n / CROWD {
                    yield_now().await;
                    notify.notify_waiters();
                }
            };
            event_loop.run_until_complete(all).expect("nothing stops it");
        })
}

/// As `events`, without tasks, whose wakes are most of it.
fn polled_by_hand() -> Row {
    fn rounds<F: Future<Output = ()>>(n: usize, wait: impl Fn() -> F, wake: impl Fn()) {
        let mut cx = Context::from_waker(Waker::noop());
        let mut waits: Vec<_> = (0..CROWD).map(|_| Box::pin(wait())).collect();
        for _ in 0..n / CROWD {
            waits.iter_mut().for_each(|one| assert!(one.as_mut().poll(&mut cx).is_pending()));
            wake();
            for one in &mut waits {
                assert!(one.as_mut().poll(&mut cx).is_ready());
                one.set(wait());
            }
        }
    }
    let (event, notify) = (Event::new(), tokio::sync::Notify::new());
    Row::new("event, 100 waits polled by hand", TOGETHER)
        .by(Loopbind, move |_, n| {
            let set = || {
                event.set();
                event.clear();
            };
            rounds(n, || event.wait(), set);
        })
        .by(Tokio, move |_, n| rounds(n, || notify.notified(), || notify.notify_waiters()))
}

/// Two tasks, each of which waits for the other's turn to be over. The peers have none.
fn condition() -> Row {
    let shared = Rc::new((Lock::new(0), Condition::new()));
    Row::new("condition, 2 tasks by turns", TOGETHER).by(Loopbind, move |event_loop, n| {
        let turns = |me: usize| {
            let shared = Rc::clone(&shared);
            async move {
                let (lock, condition) = &*shared;
                for _ in 0..n / 2 {
                    let guard = lock.lock().await;
                    let mut guard = condition.wait_for(guard, |turn| *turn == me).await;
                    *guard = 1 - me;
                    condition.notify(1);
                }
            }
        };
        let both = async {
            let other = spawn(turns(1));
            turns(0).await;
            other.await.expect("no task of a workload fails");
        };
        event_loop.run_until_complete(both).expect("nothing stops it");
    })
}

fn barrier() -> Row {
    Row::new("barrier, 100 tasks", TOGETHER)
        .crowd(Loopbind, CROWD, Barrier::new(CROWD), async |barrier| {
            barrier.wait().await.expect("nobody breaks it");
        })
        .crowd(Tokio, CROWD, tokio::sync::Barrier::new(CROWD), async |barrier| {
            barrier.wait().await;
        })
        .crowd(AsyncLock, CROWD, async_lock::Barrier::new(CROWD), async |barrier| {
            barrier.wait().await;
        })
}

fn once_cell() -> Row {
    Row::new("once cell, there already", ALONE)
        .alone(Loopbind, OnceCell::new(), async |cell| {
            std::hint::black_box(cell.get_or_init(async || 5).await);
        })
        .alone(Tokio, tokio::sync::OnceCell::new(), async |cell| {
            std::hint::black_box(cell.get_or_init(async || 5).await);
        })
        .alone(AsyncLock, async_lock::OnceCell::new(), async |cell| {
            std::hint::black_box(cell.get_or_init(async || 5).await);
        })
        .alone(LocalSync, local_sync::OnceCell::new(), async |cell| {
            std::hint::black_box(cell.get_or_init(async || 5).await);
        })
        .alone(Unsync, unsync::once_cell::OnceCell::new(), async |cell| {
            std::hint::black_box(cell.get_or_init(async || 5).await);
        })
}
