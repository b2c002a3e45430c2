//! What loops and threads do to each other.

use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use model_std::sync::Mutex;
use model_std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use model_std::sync::mpsc;
use model_std::thread::{self, JoinHandle, ThreadId};
use shuttle::rand::{Rng as _, thread_rng};

use super::runtime;
use crate::blocks::NAME;
use crate::ledger::{Tracked, check, is_there, operation};
use runtime::thread::{LoopThread, ThreadBuilder};
use runtime::{
    AbortHandle, EventLoop, LoopError, LoopHandle, RemoteTask, TaskError, get_running_loop, sleep,
    spawn, spawn_blocking, yield_now,
};

pub(crate) const ALL: [(&str, fn()); 7] = [
    ("much", much_at_once),
    ("close", closed_meanwhile),
    ("threads", threads_that_are_stopped),
    ("loops", loops_that_wait_for_each_other),
    ("blocking", blocking_jobs),
    ("virtual", virtual_time),
    ("turns", turned_by_hand),
];

const SECOND: Duration = Duration::from_secs(1);

fn new_loop() -> EventLoop {
    let made = EventLoop::builder().name("n".repeat(NAME)).build();
    made.expect("descriptors, in a process that has few")
}

/// A number below `end`, the scheduler's choice.
fn any(end: usize) -> usize {
    thread_rng().gen_range(0..end)
}

fn take_any<T>(from: &Mutex<Vec<T>>) -> Option<T> {
    let mut from = from.lock().expect("no panic");
    let count = from.len();
    (count > 0).then(|| from.swap_remove(any(count)))
}

fn put<T>(value: T, into: &Mutex<Vec<T>>) {
    into.lock().expect("no panic").push(value);
}

/// Passed by one task, once somebody has opened it: a wake that is lost is a task that never ends.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<Option<Waker>>)>);

impl Gate {
    fn open(&self) {
        operation();
        self.0.0.store(true, Ordering::Release);
        let waiting = self.0.1.lock().expect("no panic").take();
        if let Some(waker) = waiting {
            waker.wake();
        }
    }

    fn is_open(&self) -> bool {
        self.0.0.load(Ordering::Acquire)
    }
}

impl Future for Gate {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_open() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let stale = self.0.1.lock().expect("no panic").replace(waker);
        drop(stale);
        if self.is_open() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// What the threads that use a loop have in common.
struct Office {
    handle: LoopHandle,
    thread: ThreadId,
    wakers: Mutex<Vec<Waker>>,
    abortable: Mutex<Vec<AbortHandle>>,
    /// Posts that were taken, and those of them that ran.
    posted: AtomicUsize,
    ran: AtomicUsize,
    /// How many ordered posts there were. Held while one is made.
    ordered: Mutex<usize>,
    /// The last of them that ran.
    last: AtomicUsize,
    at_work: AtomicUsize,
    done: Gate,
}

impl Office {
    fn of(event_loop: &EventLoop, workers: usize) -> Arc<Self> {
        Arc::new(Office {
            handle: event_loop.handle(),
            thread: thread::current().id(),
            wakers: Mutex::default(),
            abortable: Mutex::default(),
            posted: AtomicUsize::new(0),
            ran: AtomicUsize::new(0),
            ordered: Mutex::default(),
            last: AtomicUsize::new(0),
            at_work: AtomicUsize::new(workers),
            done: Gate::default(),
        })
    }

    fn post(self: &Arc<Self>) {
        let (office, tracked) = (Arc::clone(self), Tracked::sent_to(self.thread));
        let posted = self.handle.call_soon_threadsafe(move || {
            let _tracked = &tracked;
            office.ran.fetch_add(1, Ordering::Relaxed);
        });
        self.count(posted.is_ok());
    }

    /// After all that were made before it, by whichever thread: that is when it runs.
    fn post_in_order(self: &Arc<Self>) {
        let (office, tracked) = (Arc::clone(self), Tracked::sent_to(self.thread));
        let mut ordered = self.ordered.lock().expect("no panic");
        let number = *ordered + 1;
        let posted = self.handle.call_soon_threadsafe(move || {
            let _tracked = &tracked;
            let before = office.last.swap(number, Ordering::Relaxed);
            check(before + 1 == number, "posts run in another order than they were made in");
            office.ran.fetch_add(1, Ordering::Relaxed);
        });
        if posted.is_ok() {
            *ordered = number;
        }
        drop(ordered);
        self.count(posted.is_ok());
    }

    fn count(&self, was_taken: bool) {
        if was_taken {
            self.posted.fetch_add(1, Ordering::Relaxed);
        } else {
            check(self.handle.is_closed(), "an open loop refuses");
        }
    }

    /// What a task does that is started from elsewhere: now and then it lets others have its waker.
    async fn wait(self: Arc<Self>, mut gate: Gate) {
        poll_fn(|cx| {
            if any(2) == 0 {
                put(cx.waker().clone(), &self.wakers);
            }
            Pin::new(&mut gate).poll(cx)
        })
        .await;
    }

    fn leave(&self) {
        if self.at_work.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.open();
        }
    }
}

/// A future that has what it has until it is dropped, and gives its number.
struct Holding {
    future: Pin<Box<dyn Future<Output = ()>>>,
    tracked: Tracked,
}

impl Holding {
    fn new(future: impl Future<Output = ()> + 'static) -> Self {
        Holding { future: Box::pin(future), tracked: Tracked::new() }
    }
}

impl Future for Holding {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let number = self.tracked.number();
        self.future.as_mut().poll(cx).map(|()| number)
    }
}

/// A task on a loop, as another thread has it.
struct Sent {
    task: RemoteTask<usize>,
    gate: Gate,
}

impl Sent {
    fn new(office: &Arc<Office>) -> Option<Sent> {
        let gate = Gate::default();
        let (inside, of) = (gate.clone(), Arc::clone(office));
        let (kind, sent) = (any(4), Tracked::sent_to(office.thread));
        let task = office.handle.spawn(move || {
            drop(sent);
            Holding::new(async move {
                match kind {
                    0 => yield_now().await,
                    1 => {
                        let (child, of) = (Tracked::new(), Arc::clone(&of));
                        let inside = inside.clone();
                        let child = async move {
                            of.wait(inside).await;
                            drop(child);
                        };
                        // Cancelled: the loop closes.
                        let _ = spawn(child).await;
                    }
                    _ => of.wait(inside).await,
                }
            })
        });
        match task {
            Ok(task) => Some(Sent { task, gate }),
            Err(LoopError::Closed) => None,
            Err(error) => {
                check(false, &format!("an open loop refuses a task: {error}"));
                None
            }
        }
    }

    fn join(self, from: &str) {
        self.gate.open();
        match self.task.join() {
            Ok(number) => check(!is_there(number), "told of the end of a future that is there"),
            Err(TaskError::Cancelled) => {}
            Err(error) => check(false, &format!("{from}: {error}")),
        }
    }
}

/// So many things that a thread may do to a loop, one after the other, and then the end of what it began.
fn work(office: &Arc<Office>, count: usize) {
    let mut mine: Vec<Sent> = Vec::new();
    for _ in 0..count {
        operation();
        match any(16) {
            0 => office.post(),
            1 => office.post_in_order(),
            2..=4 => mine.extend(Sent::new(office)),
            5 => {
                if let Some(sent) = mine.get(any(mine.len() + 1)) {
                    sent.gate.open();
                }
            }
            6 => {
                if let Some(waker) = take_any(&office.wakers) {
                    waker.wake();
                }
            }
            7 => {
                if let Some(waker) = take_any(&office.wakers) {
                    waker.wake_by_ref();
                    put(waker, &office.wakers);
                }
            }
            8 => {
                if let Some(waker) = take_any(&office.wakers) {
                    put(waker.clone(), &office.wakers);
                    put(waker, &office.wakers);
                }
            }
            9 => drop(take_any(&office.wakers)),
            10 => {
                if let Some(sent) = mine.get(any(mine.len() + 1)) {
                    put(sent.task.abort_handle(), &office.abortable);
                }
            }
            11 => {
                if let Some(abortable) = take_any(&office.abortable) {
                    match any(3) {
                        0 => abortable.abort(),
                        1 => abortable.cancel(),
                        _ => abortable.is_finished(),
                    };
                }
            }
            12 if !mine.is_empty() => mine.swap_remove(any(mine.len())).join("joined"),
            13 if !mine.is_empty() => {
                let sent = mine.swap_remove(any(mine.len()));
                match sent.task.join_timeout(SECOND) {
                    Ok(_) => {}
                    Err(task) => mine.push(Sent { task, gate: sent.gate }),
                }
            }
            14 if !mine.is_empty() => {
                // Nobody waits for it any more, and it ends all the same.
                let sent = mine.swap_remove(any(mine.len()));
                if any(2) == 0 {
                    sent.task.cancel();
                }
                let gate = sent.gate.clone();
                drop(sent);
                gate.open();
            }
            _ => {
                let handle = office.handle.clone();
                handle.is_running();
                drop(handle);
            }
        }
    }
    for sent in mine {
        sent.join("joined at last");
    }
}

/// Threads that work for `office` while the caller's loop runs.
fn workers(office: &Arc<Office>, count: usize, operations: usize) -> Vec<JoinHandle<()>> {
    let work = |_| {
        let office = Arc::clone(office);
        thread::spawn(move || {
            work(&office, operations);
            office.leave();
        })
    };
    (0..count).map(work).collect()
}

fn join_all(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("no panic");
    }
}

/// Tasks of the loop's own, which wake each other meanwhile.
async fn ping_pong(rounds: usize) {
    let tracked = Tracked::new();
    let gates: Arc<Vec<Gate>> = Arc::new((0..rounds).map(|_| Gate::default()).collect());
    let mine = Arc::clone(&gates);
    let other = spawn(async move {
        for gate in mine.iter() {
            gate.clone().await;
        }
    });
    for gate in gates.iter() {
        gate.open();
        yield_now().await;
    }
    other.await.expect("neither panics nor is cancelled");
    drop(tracked);
}

/// Everything at once, and nothing is lost.
fn much_at_once() {
    let event_loop = new_loop();
    let office = Office::of(&event_loop, 3);
    let threads = workers(&office, 3, 400);
    let (body, tracked) = (Arc::clone(&office), Tracked::new());
    let ended = event_loop.run_until_complete(async move {
        ping_pong(20).await;
        body.done.clone().await;
        drop(tracked);
    });
    check(ended.is_ok(), "the run was refused");
    // What was posted before the last thread left is before what that brought about.
    let (posted, ran) = (&office.posted, &office.ran);
    check(posted.load(Ordering::Relaxed) == ran.load(Ordering::Relaxed), "posts were lost");
    drop(event_loop);
    join_all(threads);
}

/// The loop goes while others use it; what they have of it outlives it.
fn closed_meanwhile() {
    let (sender, receiver) = mpsc::channel();
    let when = any(40);
    let owner = thread::spawn(move || {
        let event_loop = new_loop();
        let office = Office::of(&event_loop, usize::MAX);
        sender.send(Arc::clone(&office)).expect("awaited");
        let tracked = Tracked::new();
        let pending = event_loop.create_task(async move {
            let _tracked = tracked;
            pending::<()>().await;
        });
        let ended = event_loop.run_until_complete(async {
            for _ in 0..when {
                yield_now().await;
            }
        });
        check(ended.is_ok(), "the run was refused");
        if any(2) == 0 {
            check(event_loop.close().is_ok(), "it runs no more, and does not close");
        }
        drop((event_loop, pending, office));
    });
    let office = receiver.recv().expect("sent");
    let threads = workers(&office, 3, 100);
    join_all(threads);
    owner.join().expect("no panic");
    check(office.handle.is_closed(), "a loop that is gone is open");
    while let Some(waker) = take_any(&office.wakers) {
        waker.wake();
    }
    while let Some(abortable) = take_any(&office.abortable) {
        check(abortable.is_finished(), "a task outlives its loop");
        check(!abortable.cancel(), "a task that is over is asked to end");
    }
}

/// Threads with a loop, stopped by several at once, with others' tasks on them.
fn threads_that_are_stopped() {
    let started = |_| {
        let loops = EventLoop::builder().name("n".repeat(NAME));
        let thread = ThreadBuilder::new().event_loop(loops).spawn(|| async {
            let _tracked = Tracked::new();
            // It ends with what others have just sent: nothing to write of.
            let here = get_running_loop().expect("in a task");
            here.set_exception_handler(Some(Box::new(|_, _| {})));
            drop(here);
            pending::<()>().await;
        });
        Arc::new(thread.expect("threads are not refused here"))
    };
    let loops: Vec<Arc<LoopThread<()>>> = (0..2).map(started).collect();
    let user = |_| {
        let loops = loops.clone();
        thread::spawn(move || {
            for _ in 0..10 {
                operation();
                let one = &loops[any(2)];
                let sent = one.handle().spawn(|| async {
                    let _tracked = Tracked::new();
                    yield_now().await;
                });
                if let Ok(task) = sent {
                    match any(3) {
                        0 => drop(task),
                        1 => drop(task.cancel()),
                        _ => check(
                            matches!(task.join(), Ok(()) | Err(TaskError::Cancelled)),
                            "neither done nor cancelled",
                        ),
                    }
                }
                if any(8) == 0 {
                    if any(2) == 0 { one.stop() } else { one.stop_within(SECOND) }
                }
            }
            for one in &loops {
                one.stop();
            }
        })
    };
    let users: Vec<_> = (0..3).map(user).collect();
    join_all(users);
    for one in loops {
        let one = Arc::into_inner(one).expect("its users are gone");
        check(one.join().is_err(), "a thread that was stopped has a value");
    }
}

/// Two loops whose tasks await each other's.
fn loops_that_wait_for_each_other() {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..2).map(|_| mpsc::channel()).unzip();
    let start = |(mine, other): (mpsc::Sender<LoopHandle>, mpsc::Receiver<LoopHandle>)| {
        thread::spawn(move || {
            let event_loop = new_loop();
            let _ = mine.send(event_loop.handle());
            let other = other.recv().expect("sent");
            let mut tasks = Vec::new();
            for number in 0..8 {
                let other = other.clone();
                tasks.push(event_loop.create_task(async move {
                    let _tracked = Tracked::new();
                    for _ in 0..4 {
                        operation();
                        let task = other.spawn(move || async move {
                            let _tracked = Tracked::new();
                            for _ in 0..number % 3 {
                                yield_now().await;
                            }
                            number
                        });
                        match task {
                            // Both are there until the other has gone: `ended`, below.
                            Ok(task) if number % 4 == 3 => drop(task),
                            Ok(task) => match task.await {
                                Ok(value) => check(value == number, "somebody else's value"),
                                Err(TaskError::Cancelled) => {}
                                Err(error) => check(false, &format!("awaited: {error}")),
                            },
                            Err(error) => check(
                                matches!(error, LoopError::Closed),
                                "an open loop refuses a task",
                            ),
                        }
                    }
                }));
            }
            drop(other);
            let aborted = tasks.swap_remove(any(8));
            let ended = event_loop.run_until_complete(async move {
                yield_now().await;
                aborted.abort_handle().abort();
                for task in tasks {
                    check(task.await.is_ok(), "a task was cancelled by nobody");
                }
            });
            check(ended.is_ok(), "the run was refused");
        })
    };
    let threads = senders.into_iter().zip(receivers.into_iter().rev()).map(start).collect();
    join_all(threads);
}

/// Jobs on the pool, awaited, and not, and the end of a loop that waits for them.
fn blocking_jobs() {
    let owner = thread::spawn(|| {
        let event_loop = new_loop();
        let here = thread::current().id();
        let ended = event_loop.run_until_complete(async move {
            let mut jobs = Vec::new();
            for number in 0..6 {
                operation();
                let gate = Gate::default();
                let opener = gate.clone();
                let job = spawn_blocking(move || {
                    opener.open();
                    thread::yield_now();
                    check(thread::current().id() != here, "a job ran on the loop's thread");
                    number
                });
                gate.await;
                if number % 3 != 2 {
                    jobs.push(job);
                }
            }
            for (number, job) in jobs.into_iter().enumerate() {
                let is_right =
                    matches!(job.await, Ok(value) if value == number / 2 * 3 + number % 2);
                check(is_right, "another job's value");
            }
        });
        check(ended.is_ok(), "the run was refused");
    });
    owner.join().expect("no panic");
}

/// A loop in virtual time is not given up for dead while somebody can still wake it, and is once nobody can.
fn virtual_time() {
    let event_loop = EventLoop::builder().virtual_time(true).name("n".repeat(NAME)).build();
    let event_loop = event_loop.expect("descriptors, in a process that has few");
    for posts in [true, false] {
        let gate = Gate::default();
        let (handle, opener) = (event_loop.handle(), gate.clone());
        let other = thread::spawn(move || {
            for _ in 0..any(20) {
                operation();
                thread::yield_now();
            }
            if posts {
                check(handle.call_soon_threadsafe(move || opener.open()).is_ok(), "refused");
            }
            drop(handle);
        });
        let ended = event_loop.run_until_complete(async {
            let _tracked = Tracked::new();
            sleep(3600 * SECOND).await;
            let other = spawn(async {
                sleep(SECOND).await;
                yield_now().await;
            });
            other.await.expect("neither panics nor is cancelled");
            gate.await;
        });
        match ended {
            Ok(()) => check(posts, "nobody opened the gate"),
            Err(LoopError::Deadlock { .. }) => check(!posts, "given up, with a post on its way"),
            Err(error) => check(false, &format!("the run: {error}")),
        }
        other.join().expect("no panic");
    }
}

/// A loop that its thread turns by hand, with timers of real time.
fn turned_by_hand() {
    let event_loop = new_loop();
    let office = Office::of(&event_loop, 2);
    let threads = workers(&office, 2, 40);
    let fired = std::rc::Rc::new(std::cell::Cell::new(0));
    for delay in 1..4 {
        let fired = fired.clone();
        let tracked = Tracked::new();
        event_loop.call_later(delay * SECOND, move || {
            let _tracked = &tracked;
            fired.set(fired.get() + 1);
        });
    }
    let done = event_loop.create_task(office.done.clone());
    while !done.is_finished() || fired.get() < 3 {
        operation();
        let timeout = [Some(Duration::ZERO), Some(SECOND), None][any(3)];
        check(event_loop.turn(timeout).is_ok(), "the turn was refused");
    }
    check(
        office.posted.load(Ordering::Relaxed) == office.ran.load(Ordering::Relaxed),
        "posts were lost",
    );
    drop((done, event_loop));
    join_all(threads);
}
