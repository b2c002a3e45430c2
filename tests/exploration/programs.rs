//! Programs with one mistake each, of the kinds that only some orders show, and the same programs
//! without it.
//!
//! None of them is wrong by itself: run in the order of creation each passes, as `main` checks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::{mpsc, oneshot};
use futures::lock::Mutex;
use futures::{FutureExt, StreamExt, select_biased};
use loopbind::{Task, sleep, spawn, timeout, yield_now};

use crate::support::Trace;
use crate::tools::{Bell, Permits, steps};

/// With its mistake, or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Buggy,
    Fixed,
}

use Form::{Buggy, Fixed};

pub(crate) type Running = Pin<Box<dyn Future<Output = ()>>>;

pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// What its failure says.
    pub(crate) says: &'static str,
    pub(crate) run: fn(Form, Trace) -> Running,
}

macro_rules! programs {
    ($($name:ident: $says:literal,)*) => {
        pub(crate) const PROGRAMS: &[Program] = &[$(Program {
            name: stringify!($name),
            says: $says,
            run: |form, trace| Box::pin($name(form, trace)),
        }),*];
    };
}

programs! {
    lost_update: "an update is lost",
    stale_snapshot: "overdrawn",
    check_then_act: "made twice",
    index_after_await: "index out of bounds",
    borrow_across_await: "already borrowed",
    order_of_tasks: "not set up",
    missed_notification: "Deadlock",
    stolen_notification: "nothing there",
    missed_shutdown: "Deadlock",
    late_subscriber: "Deadlock",
    lock_order: "Deadlock",
    dining_philosophers: "Deadlock",
    leaked_permit: "Deadlock",
    barrier_off_by_one: "a part is missing",
    cancelled_read: "a record is torn",
    cancelled_consumer: "an item is lost",
    timeout_race: "paid twice",
    starved_heartbeat: "declared dead",
}

async fn all(tasks: impl IntoIterator<Item = Task<()>>) {
    for task in tasks {
        if let Err(error) = task.await {
            // What the task threw, as if it had been awaited where it was thrown.
            match error.into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(_) => panic!("a task was cancelled"),
            }
        }
    }
}

/// Read, await, write: what was written meanwhile is overwritten.
async fn lost_update(form: Form, trace: Trace) {
    let count = Rc::new(Cell::new(0));
    let tasks: Vec<_> = ["one", "other"]
        .into_iter()
        .enumerate()
        .map(|(position, name)| {
            let (count, trace) = (Rc::clone(&count), trace.clone());
            spawn(async move {
                // The other has come to its end by then, in the order of creation.
                steps(3 * position).await;
                let before = count.get();
                trace.note(format!("{name} reads {before}"));
                yield_now().await;
                match form {
                    Buggy => count.set(before + 1),
                    Fixed => count.set(count.get() + 1),
                }
                trace.note(format!("{name} writes {}", count.get()));
            })
        })
        .collect();
    all(tasks).await;
    assert_eq!(count.get(), 2, "an update is lost");
}

/// What was decided by the balance of before is done to that of after.
async fn stale_snapshot(form: Form, trace: Trace) {
    let balance = Rc::new(Cell::new(100));
    let withdraw = |amount: i32, delay: usize| {
        let (balance, trace) = (Rc::clone(&balance), trace.clone());
        spawn(async move {
            steps(delay).await;
            let snapshot = balance.get();
            steps(2).await; // asks the bank's other department
            let seen = if form == Fixed { balance.get() } else { snapshot };
            if seen >= amount {
                balance.set(balance.get() - amount);
                trace.note(format!("{amount} withdrawn"));
            }
        })
    };
    all([withdraw(70, 0), withdraw(60, 4)]).await;
    assert!(balance.get() >= 0, "overdrawn: {}", balance.get());
}

/// Not there, so it is made: but by the time it is made, it may be there.
async fn check_then_act(form: Form, trace: Trace) {
    let connection: Rc<Mutex<Option<u32>>> = Rc::default();
    let made = Rc::new(Cell::new(0));
    let user = |delay: usize| {
        let (connection, made, trace) = (Rc::clone(&connection), Rc::clone(&made), trace.clone());
        spawn(async move {
            steps(delay).await;
            let mut locked = connection.lock().await;
            if locked.is_some() {
                return;
            }
            if form == Buggy {
                // So that others need not wait for the connecting.
                drop(locked);
                steps(2).await;
                locked = connection.lock().await;
            } else {
                steps(2).await;
            }
            made.set(made.get() + 1);
            trace.note("connected");
            *locked = Some(made.get());
        })
    };
    all([user(0), user(4)]).await;
    assert_eq!(made.get(), 1, "made twice");
}

/// An index from before the await, into what it is after.
async fn index_after_await(form: Form, trace: Trace) {
    let items = Rc::new(RefCell::new(vec!["a", "b", "c"]));
    let reader = {
        let (items, trace) = (Rc::clone(&items), trace.clone());
        spawn(async move {
            let last = items.borrow().len() - 1;
            steps(2).await;
            let items = items.borrow();
            let item = match form {
                Buggy => Some(items[last]),
                Fixed => items.get(last).copied(),
            };
            trace.note(format!("{item:?}"));
        })
    };
    let remover = spawn(async move {
        steps(4).await;
        items.borrow_mut().pop();
        trace.note("removed");
    });
    all([reader, remover]).await;
}

/// A `RefCell` that is borrowed while others run.
#[allow(clippy::await_holding_refcell_ref)] // That is the mistake.
async fn borrow_across_await(form: Form, trace: Trace) {
    let log = Rc::new(RefCell::new(String::new()));
    let writer = |word: &'static str, delay: usize| {
        let (log, trace) = (Rc::clone(&log), trace.clone());
        spawn(async move {
            steps(delay).await;
            if form == Buggy {
                let mut log = log.borrow_mut();
                yield_now().await;
                log.push_str(word);
            } else {
                yield_now().await;
                log.borrow_mut().push_str(word);
            }
            trace.note(word);
        })
    };
    all([writer("a", 0), writer("b", 3)]).await;
}

/// The first to be started is taken for the first to run.
async fn order_of_tasks(form: Form, trace: Trace) {
    let table: Rc<RefCell<Option<u32>>> = Rc::default();
    let (ready, is_ready) = oneshot::channel();
    let setup = {
        let (table, trace) = (Rc::clone(&table), trace.clone());
        spawn(async move {
            *table.borrow_mut() = Some(42);
            trace.note("set up");
            let _ = ready.send(());
        })
    };
    let user = spawn(async move {
        if form == Fixed {
            is_ready.await.unwrap();
        }
        let value = *table.borrow();
        trace.note(format!("{value:?}"));
        assert!(value.is_some(), "not set up");
    });
    all([setup, user]).await;
}

/// Between the look at the flag and the wait somebody rings.
async fn missed_notification(form: Form, trace: Trace) {
    let (flag, bell) = (Rc::new(Cell::new(false)), Bell::default());
    let setter = {
        let (flag, bell, trace) = (Rc::clone(&flag), bell.clone(), trace.clone());
        spawn(async move {
            steps(3).await;
            flag.set(true);
            bell.ring();
            trace.note("rung");
        })
    };
    let waiter = spawn(async move {
        match form {
            Buggy => {
                if !flag.get() {
                    trace.note("about to wait");
                    yield_now().await; // writes a line to the log, say
                    bell.heard().await;
                }
            }
            Fixed => {
                yield_now().await;
                while !flag.get() {
                    bell.heard().await;
                }
            }
        }
        trace.note("goes on");
    });
    all([setter, waiter]).await;
}

/// One is woken for an item, and another who was not even waiting takes it.
async fn stolen_notification(form: Form, trace: Trace) {
    let (items, bell) = (Rc::new(RefCell::new(VecDeque::new())), Bell::default());
    let taker = |name: &'static str, delay: usize| {
        let (items, bell, trace) = (Rc::clone(&items), bell.clone(), trace.clone());
        spawn(async move {
            steps(delay).await;
            if items.borrow().is_empty() {
                bell.heard().await;
            }
            while form == Fixed && items.borrow().is_empty() {
                bell.heard().await;
            }
            let item: Option<u32> = items.borrow_mut().pop_front();
            trace.note(format!("{name} takes {item:?}"));
            assert!(item.is_some(), "{name} was woken, and there is nothing there");
        })
    };
    let takers = [taker("first", 0), taker("latecomer", 5)];
    let giver = spawn(async move {
        steps(2).await;
        for item in 0..2 {
            items.borrow_mut().push_back(item);
            bell.ring_one();
            steps(4).await;
        }
        // Whoever began to wait for one that was taken before its eyes.
        bell.ring();
    });
    all(takers).await;
    all([giver]).await;
}

/// A worker that looks for the end only where it waits, and is not there when it is told.
async fn missed_shutdown(form: Form, trace: Trace) {
    let (jobs, stop, bell) = (Rc::new(Cell::new(2)), Rc::new(Cell::new(false)), Bell::default());
    let worker = {
        let (jobs, stop, bell, trace) =
            (Rc::clone(&jobs), Rc::clone(&stop), bell.clone(), trace.clone());
        spawn(async move {
            loop {
                while jobs.get() > 0 {
                    jobs.set(jobs.get() - 1);
                    yield_now().await;
                    trace.note("a job");
                }
                if form == Fixed && stop.get() {
                    break;
                }
                bell.heard().await;
                if stop.get() {
                    break;
                }
            }
            trace.note("worker ends");
        })
    };
    let stopper = spawn(async move {
        steps(6).await;
        stop.set(true);
        bell.ring();
        trace.note("told to end");
    });
    all([worker, stopper]).await;
}

/// What is published before somebody subscribes is published to nobody.
async fn late_subscriber(form: Form, trace: Trace) {
    let subscribers: Rc<RefCell<Vec<mpsc::UnboundedSender<&str>>>> = Rc::default();
    let subscribe = {
        let subscribers = Rc::clone(&subscribers);
        move || {
            let (sender, receiver) = mpsc::unbounded();
            subscribers.borrow_mut().push(sender);
            receiver
        }
    };
    let early = (form == Fixed).then(&subscribe);
    let reader = {
        let trace = trace.clone();
        spawn(async move {
            let mut news = early.unwrap_or_else(&subscribe);
            trace.note("subscribed");
            trace.note(news.next().await.unwrap());
        })
    };
    let publisher = spawn(async move {
        for subscriber in &*subscribers.borrow() {
            subscriber.unbounded_send("news").unwrap();
        }
        trace.note("published");
        // They stay subscribed.
        let _keep = subscribers;
        reader.await.unwrap();
    });
    all([publisher]).await;
}

async fn lock_both(first: &Mutex<()>, second: &Mutex<()>, name: &str, trace: &Trace) {
    let _first = first.lock().await;
    trace.note(format!("{name} has one"));
    yield_now().await;
    let _second = second.lock().await;
    trace.note(format!("{name} has both"));
}

/// Two locks, taken in one order here and in the other there.
async fn lock_order(form: Form, trace: Trace) {
    let locks: Rc<[Mutex<()>; 2]> = Rc::default();
    let (one, other) = (Rc::clone(&locks), locks);
    let log = trace.clone();
    let one = spawn(async move { lock_both(&one[0], &one[1], "one", &log).await });
    let other = spawn(async move {
        steps(4).await;
        match form {
            Buggy => lock_both(&other[1], &other[0], "other", &trace).await,
            Fixed => lock_both(&other[0], &other[1], "other", &trace).await,
        }
    });
    all([one, other]).await;
}

/// Each takes the fork to the left, and waits for the one to the right.
async fn dining_philosophers(form: Form, trace: Trace) {
    const SEATS: usize = 3;
    let forks: Rc<[Mutex<()>; SEATS]> = Rc::default();
    let philosophers = (0..SEATS).map(|seat| {
        let (forks, trace) = (Rc::clone(&forks), trace.clone());
        spawn(async move {
            steps(4 * seat).await;
            let (mut first, mut second) = (seat, (seat + 1) % SEATS);
            if form == Fixed {
                (first, second) = (first.min(second), first.max(second));
            }
            lock_both(&forks[first], &forks[second], &format!("{seat}"), &trace).await;
        })
    });
    let philosophers: Vec<_> = philosophers.collect();
    all(philosophers).await;
}

/// A permit is not given back where the work ends early.
async fn leaked_permit(form: Form, trace: Trace) {
    let (permits, is_configured) = (Permits::new(1), Rc::new(Cell::new(false)));
    let setup = {
        let is_configured = Rc::clone(&is_configured);
        spawn(async move { is_configured.set(true) })
    };
    let workers = (0..2).map(|number| {
        let (permits, is_configured, trace) =
            (permits.clone(), Rc::clone(&is_configured), trace.clone());
        spawn(async move {
            permits.take().await;
            trace.note(format!("{number} works"));
            if !is_configured.get() {
                trace.note(format!("{number} fails"));
                if form == Fixed {
                    permits.give_back();
                }
                return;
            }
            yield_now().await;
            permits.give_back();
        })
    });
    let tasks: Vec<_> = [setup].into_iter().chain(workers).collect();
    all(tasks).await;
}

/// A barrier that opens one too early.
async fn barrier_off_by_one(form: Form, trace: Trace) {
    const PARTIES: usize = 3;
    let (arrived, bell) = (Rc::new(Cell::new(0)), Bell::default());
    let parts: Rc<RefCell<Vec<usize>>> = Rc::default();
    let parties = (0..PARTIES).map(|number| {
        let (arrived, bell) = (Rc::clone(&arrived), bell.clone());
        let (parts, trace) = (Rc::clone(&parts), trace.clone());
        spawn(async move {
            parts.borrow_mut().push(number);
            trace.note(format!("{number} arrives"));
            arrived.set(arrived.get() + 1);
            let enough = if form == Buggy { PARTIES - 1 } else { PARTIES };
            if arrived.get() >= enough {
                bell.ring();
            } else {
                bell.heard().await;
            }
            yield_now().await;
            trace.note(format!("{number} goes on"));
            assert_eq!(parts.borrow().len(), PARTIES, "a part is missing");
        })
    });
    let parties: Vec<_> = parties.collect();
    all(parties).await;
}

/// A read of two halves that is given up between them: the first half is gone with it.
async fn cancelled_read(form: Form, trace: Trace) {
    let (bytes, mut source) = mpsc::unbounded();
    let (mut tick, mut ticks) = mpsc::channel(8);
    let writer = spawn(async move {
        for record in 0..3_u8 {
            bytes.unbounded_send(record).unwrap();
            bytes.unbounded_send(record).unwrap();
            yield_now().await;
        }
    });
    let ticker = spawn(async move {
        steps(9).await;
        // In the order of creation everything was read by then.
        let _ = tick.try_send(());
        std::future::pending::<()>().await;
    });
    let (mut half, mut records) = (None, 0);
    while records < 3 {
        if form == Buggy {
            half = None;
        }
        // Takes one byte at a step, and gives way in between.
        let read = async {
            if half.is_none() {
                half = source.next().await;
                yield_now().await;
            }
            (half.take(), source.next().await)
        };
        select_biased! {
            (first, second) = read.fuse() => {
                trace.note(format!("{first:?} {second:?}"));
                assert_eq!(first, second, "a record is torn");
                records += 1;
            }
            _ = ticks.next() => trace.note("tick"),
        }
    }
    ticker.cancel();
    let _ = ticker.await;
    all([writer]).await;
}

/// An item is out of the queue and not yet done when the consumer is cancelled.
async fn cancelled_consumer(form: Form, trace: Trace) {
    let queue: Rc<RefCell<VecDeque<u32>>> = Rc::new(RefCell::new((0..4).collect()));
    let done: Rc<RefCell<Vec<u32>>> = Rc::default();
    let consume = || {
        let (queue, done, trace) = (Rc::clone(&queue), Rc::clone(&done), trace.clone());
        spawn(async move {
            loop {
                let next = match form {
                    Buggy => queue.borrow_mut().pop_front(),
                    Fixed => queue.borrow().front().copied(),
                };
                let Some(item) = next else { return };
                yield_now().await;
                if form == Fixed {
                    queue.borrow_mut().pop_front();
                }
                done.borrow_mut().push(item);
                trace.note(format!("{item} done"));
            }
        })
    };
    let first = consume();
    steps(8).await;
    first.cancel();
    if first.await.is_err() {
        trace.note("cancelled");
    }
    // Another takes over.
    all([consume()]).await;
    assert_eq!(*done.borrow(), [0, 1, 2, 3], "an item is lost");
}

/// What is done at the last moment is done, and is given up as too late.
async fn timeout_race(form: Form, trace: Trace) {
    let payments = Rc::new(Cell::new(0));
    let limit = Duration::from_secs(5);
    let pay = || {
        let (payments, trace) = (Rc::clone(&payments), trace.clone());
        spawn(async move {
            sleep(limit).await;
            if payments.get() > 0 && form == Fixed {
                // Each payment has a number of its own; a second one changes nothing.
                return trace.note("paid already");
            }
            payments.set(payments.get() + 1);
            trace.note("paid");
        })
    };
    let mut first = pay();
    yield_now().await;
    let late = timeout(limit, first.join()).await;
    if late.is_err() {
        trace.note("again");
        all([pay(), first]).await;
    }
    assert_eq!(payments.get(), 1, "paid twice");
}

/// One that watches counts its own steps, and takes them for time.
async fn starved_heartbeat(form: Form, trace: Trace) {
    const PATIENCE: usize = 20;
    let beats = Rc::new(Cell::new(0));
    let heart = {
        let beats = Rc::clone(&beats);
        spawn(async move {
            for _ in 0..PATIENCE {
                beats.set(beats.get() + 1);
                yield_now().await;
            }
        })
    };
    let watcher = spawn(async move {
        let (mut silent, mut seen) = (0, 0);
        for _ in 0..2 * PATIENCE {
            match form {
                Buggy => yield_now().await,
                // In virtual time nobody is starved while a clock moves.
                Fixed => sleep(Duration::from_secs(1)).await,
            }
            silent = if beats.get() == seen { silent + 1 } else { 0 };
            seen = beats.get();
            if seen == PATIENCE {
                break;
            }
            assert!(silent < PATIENCE, "declared dead after {seen} beats");
        }
        trace.note(format!("{seen} beats seen"));
    });
    all([heart, watcher]).await;
}
