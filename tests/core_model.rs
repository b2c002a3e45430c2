//! Random programs beside a model of a few lines, which says which task's turn it is at every step: tasks
//! that start, wake, await, cancel and abort each other, from their own polls and destructors, from outside
//! of runs, from inside another loop's run, and from other threads, over turns, runs that are stopped, and
//! the close.
//!
//! The model moves with the loop: each poll and each drop of a future asks it whether that is what comes
//! next. What does not come is found at the end of the turn. An allocator that knows what it gave away
//! counts what is left of a program, and finds blocks that come back otherwise than they went.
//!
//! The programs are drawn from seeds; `LOOPBIND_PROGRAMS=0..100000` plays more. One that fails says its own, is
//! made short, and says what it does, a line each. `LOOPBIND_SHRINK=7` does that to program 7, where it does
//! not only fail, but ends the process.

#![allow(clippy::waker_clone_wake)] // A wake by value is another way than one by reference.

#[path = "support/shrink.rs"]
mod shrink;
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io::Write;
use std::iter;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::ptr;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;
use std::vec;

use loopbind::task::{ContextVar, cancelled};
use loopbind::{AbortHandle, EventLoop, Handle, Task, TaskError};
use shrink::{CALM, SAYS, Script as Drawn};
use support::programs;

// ─── the allocator ──────────────────────────────────────────────────────────────────────────────

/// Keeps, in front of each block, how it was asked for, and whether it counts.
struct Recording;

/// Blocks that the tests' threads took, and that nobody gave back.
static BLOCKS: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Clone, Copy)]
#[repr(C, align(16))]
struct Label {
    size: usize,
    align: usize,
    counts: bool,
    /// Tells a block that is in use from one that is not.
    mark: u64,
}

const IN_USE: u64 = 0x5ead_ed0f_b10c_c5ed;
const FREED: u64 = 0xdead_b10c_dead_b10c;

fn with_label(layout: Layout) -> (Layout, usize) {
    let before = size_of::<Label>().max(layout.align());
    let whole = Layout::from_size_align(layout.size() + before, layout.align().max(16));
    (whole.expect("a little more than what was asked for"), before)
}

// SAFETY: each block is one of the system's, behind a label that is part of it; aligned, because the label
// takes as much room as the alignment asks for.
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (whole, before) = with_label(layout);
        // SAFETY: the label has a size. Label and block lie within what was allocated.
        unsafe {
            let start = System.alloc(whole);
            if start.is_null() {
                return start;
            }
            let block = start.add(before);
            let counts = COUNTS.get();
            let label = Label { size: layout.size(), align: layout.align(), counts, mark: IN_USE };
            block.cast::<Label>().sub(1).write(label);
            if counts {
                BLOCKS.fetch_add(1, Ordering::Relaxed);
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (whole, before) = with_label(layout);
        // SAFETY: the block came from `alloc`, so its label is in front of it, where no alignment moves it.
        unsafe {
            let label = block.cast::<Label>().sub(1);
            let known = *label;
            if (known.mark, known.size, known.align) != (IN_USE, layout.size(), layout.align()) {
                // Nothing is safe to do any more. This goes past the capture of output, and allocates nothing.
                let seed = PLAYED.load(Ordering::Relaxed);
                let _ = std::io::stderr().write_fmt(format_args!(
                    "a block came back otherwise than it went, or twice\n\
                     program {seed}: LOOPBIND_SHRINK={seed} cargo test --test core_model makes it short\n"
                ));
                std::process::abort();
            }
            (*label).mark = FREED;
            // What is read after this is seen to be wrong.
            block.write_bytes(0xdb, layout.size().min(4096));
            if known.counts {
                BLOCKS.fetch_sub(1, Ordering::Relaxed);
            }
            System.dealloc(block.sub(before), whole);
        }
    }
}

#[global_allocator]
static ALLOCATOR: Recording = Recording;

/// The seed of the program that is on.
static PLAYED: AtomicU64 = AtomicU64::new(0);

/// One test at a time counts.
static TURN: Mutex<()> = Mutex::new(());

// ─── other threads ──────────────────────────────────────────────────────────────────────────────

type Job = Box<dyn FnOnce() + Send>;

/// A thread that does one thing when it is told to, while its maker waits.
struct Elsewhere {
    place: Arc<(Mutex<Desk>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Desk {
    job: Option<Job>,
    leaves: bool,
}

impl Elsewhere {
    fn new() -> Self {
        let place = Arc::new((Mutex::new(Desk::default()), Condvar::new()));
        let theirs = Arc::clone(&place);
        let thread = thread::spawn(move || {
            COUNTS.set(true);
            let (desk, change) = &*theirs;
            loop {
                let mut guard = desk.lock().unwrap();
                while guard.job.is_none() && !guard.leaves {
                    guard = change.wait(guard).unwrap();
                }
                let Some(job) = guard.job.take() else { return };
                // Under the lock: who waits for the desk waits for the end.
                job();
                change.notify_all();
            }
        });
        Elsewhere { place, thread: Some(thread) }
    }

    /// Does it, and comes back when it is done.
    fn run(&self, job: impl FnOnce() + Send) {
        let job: Box<dyn FnOnce() + Send + '_> = Box::new(job);
        // SAFETY: the job is over before this returns, and with it all that it borrows.
        let job: Job = unsafe { std::mem::transmute::<Box<dyn FnOnce() + Send + '_>, Job>(job) };
        let (desk, change) = &*self.place;
        desk.lock().unwrap().job = Some(job);
        change.notify_all();
        let mut guard = desk.lock().unwrap();
        while guard.job.is_some() {
            guard = change.wait(guard).unwrap();
        }
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        let (desk, change) = &*self.place;
        desk.lock().unwrap_or_else(PoisonError::into_inner).leaves = true;
        change.notify_all();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a job panicked");
        }
    }
}

// ─── the model ──────────────────────────────────────────────────────────────────────────────────

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Task,
    Callback,
    Main,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Value,
    Panic,
    Cancelled,
}

/// What the model knows of a task.
struct Known {
    kind: Kind,
    queued: bool,
    /// In the inbox; and what for.
    posted: bool,
    asked: bool,
    cancel: bool,
    end: Option<End>,
    /// Who awaits it.
    waiter: Option<usize>,
    awaited: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// A turn or a run is on.
    On,
    Closing,
    Closed,
}

#[derive(Default)]
struct Model {
    /// It overlooks wakes of other threads: see the test of how programs are made short.
    is_planted: bool,
    known: Vec<Known>,
    queue: VecDeque<usize>,
    inbox: Vec<usize>,
    /// How many of the queue are to run in this iteration.
    left: usize,
    /// The last iteration has begun.
    stops: bool,
    /// Of the run that is on.
    main: Option<usize>,
    phase: Option<Phase>,
}

impl Model {
    fn phase(&self) -> Phase {
        self.phase.unwrap_or(Phase::Idle)
    }

    fn take_in(&mut self) {
        for task in std::mem::take(&mut self.inbox) {
            let known = &mut self.known[task];
            known.posted = false;
            known.cancel |= std::mem::take(&mut known.asked);
            self.push(task);
        }
    }

    fn push(&mut self, task: usize) {
        let known = &mut self.known[task];
        if known.end.is_none() && !known.queued {
            known.queued = true;
            self.queue.push_back(task);
        }
    }

    fn born(&mut self, kind: Kind) -> usize {
        self.take_in();
        let task = self.known.len();
        self.known.push(Known {
            kind,
            queued: false,
            posted: false,
            asked: false,
            cancel: false,
            end: None,
            waiter: None,
            awaited: false,
        });
        self.push(task);
        task
    }

    fn schedule(&mut self, task: usize) {
        let known = &self.known[task];
        if known.end.is_none() && !known.queued {
            self.take_in();
            self.push(task);
        }
    }

    fn post(&mut self, task: usize, asks: bool) {
        if matches!(self.phase(), Phase::Closing | Phase::Closed) {
            return;
        }
        let known = &mut self.known[task];
        known.asked |= asks;
        if !std::mem::replace(&mut known.posted, true) {
            self.inbox.push(task);
        }
    }

    fn wake(&mut self, task: usize, place: Place) {
        match place {
            Place::Step => self.schedule(task),
            Place::Thread if self.is_planted => {}
            Place::Outside | Place::OtherLoop | Place::Thread => self.post(task, false),
        }
    }

    /// Whether it was not over.
    fn cancel(&mut self, task: usize) -> bool {
        if self.known[task].end.is_some() {
            return false;
        }
        self.known[task].cancel = true;
        self.schedule(task);
        true
    }

    /// The loop comes to the next entry that is not over, if the iteration has one, or the next has.
    fn next(&mut self) -> Option<usize> {
        loop {
            if self.left == 0 {
                if self.stops || self.phase() != Phase::On {
                    return None;
                }
                self.take_in();
                self.left = self.queue.len();
                if self.left == 0 {
                    return None;
                }
            }
            self.left -= 1;
            let task = self.queue.pop_front()?;
            self.known[task].queued = false;
            if self.known[task].end.is_none() {
                return Some(task);
            }
            // The second coming of the main future of this run.
            self.stops |= self.main == Some(task);
        }
    }

    fn finish(&mut self, task: usize, end: End) {
        let known = &mut self.known[task];
        assert!(known.end.replace(end).is_none(), "task {task} ended twice");
        let (waiter, kind) = (known.waiter.take(), known.kind);
        if kind == Kind::Main && !known.queued {
            known.queued = true;
            self.queue.push_back(task);
        }
        match waiter {
            Some(waiter) if self.phase() == Phase::On => self.schedule(waiter),
            _ => {}
        }
    }
}

// ─── the programs ───────────────────────────────────────────────────────────────────────────────

/// From where something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a step of the loop, or in a destructor that it calls while it runs.
    Step,
    /// On its thread, while it does not run.
    Outside,
    OtherLoop,
    Thread,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Step => "in a step",
            Place::Outside => "outside of runs",
            Place::OtherLoop => "inside another loop's run",
            Place::Thread => "on another thread",
        })
    }
}

/// Where a program has its numbers from.
enum Draws {
    Seed(Cell<u64>),
    /// From a list, and calm when that is over. It says what it does.
    List(RefCell<vec::IntoIter<u64>>),
}

impl Draws {
    /// What a seed gives, one after the other.
    fn of_seed(seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        iter::repeat_with(move || {
            state = next_state(state);
            state >> 16
        })
    }
}

fn next_state(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ state << 17
}

/// A value that must be dropped once, on its own thread.
struct Entry {
    world: Rc<World>,
    home: ThreadId,
    open: Cell<bool>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        assert!(self.open.replace(false), "dropped twice");
        assert_eq!(thread::current().id(), self.home, "dropped away from home");
        self.world.alive.set(self.world.alive.get() - 1);
    }
}

struct World {
    event_loop: EventLoop,
    other: EventLoop,
    threads: Vec<Elsewhere>,
    model: RefCell<Model>,
    draws: Draws,
    /// Of futures, callbacks and values.
    alive: Cell<isize>,
    tasks: RefCell<Vec<(usize, Task<Entry>)>>,
    callbacks: RefCell<Vec<(usize, Handle)>>,
    wakers: RefCell<Vec<(usize, Waker)>>,
    aborts: RefCell<Vec<(usize, AbortHandle)>>,
}

/// What is thrown.
struct Thrown;

impl World {
    fn draw(&self, below: usize) -> usize {
        let drawn = match &self.draws {
            Draws::Seed(state) => {
                state.set(next_state(state.get()));
                state.get() >> 16
            }
            Draws::List(list) => list.borrow_mut().next().unwrap_or(CALM),
        };
        match drawn {
            CALM => below - 1,
            drawn => drawn as usize % below,
        }
    }

    /// A line of what the program does, where somebody wants to know.
    fn say(&self, line: impl FnOnce() -> String) {
        if let Draws::List(_) = self.draws {
            eprintln!("{SAYS}{}", line());
        }
    }

    fn entry(self: &Rc<Self>) -> Entry {
        self.alive.set(self.alive.get() + 1);
        Entry { world: Rc::clone(self), home: thread::current().id(), open: Cell::new(true) }
    }

    fn pick<T>(&self, pile: &RefCell<Vec<T>>) -> Option<T> {
        let len = pile.borrow().len();
        (len > 0).then(|| self.draw(len)).map(|place| pile.borrow_mut().swap_remove(place))
    }

    /// The place of code that runs here, where the caller knows of nothing nearer.
    fn place(&self) -> Place {
        match self.model.borrow().phase() {
            _ if self.other.is_running() => Place::OtherLoop,
            Phase::On => Place::Step,
            _ => Place::Outside,
        }
    }

    fn spawn(self: &Rc<Self>) {
        if self.model.borrow().phase() == Phase::Closing || self.model.borrow().known.len() > 60 {
            return;
        }
        let task = self.model.borrow_mut().born(Kind::Task);
        self.say(|| format!("task {task} is started"));
        let script = Script {
            world: Rc::clone(self),
            task,
            entry: self.entry(),
            inner: None,
            returned: None,
        };
        let handle = match self.draw(12) {
            0 => self.spawn_padded::<[u64; 0]>(script),
            1 => self.spawn_padded::<[u64; 60]>(script),
            2 => self.spawn_padded::<[u64; 78]>(script),
            3 => self.spawn_padded::<[u64; 86]>(script),
            4 => self.spawn_padded::<[u64; 88]>(script),
            5 => self.spawn_padded::<[u64; 90]>(script),
            6 => self.spawn_padded::<[u64; 92]>(script),
            7 => self.spawn_padded::<[u64; 4000]>(script),
            8 => self.spawn_padded::<Aligned32>(script),
            9 => self.spawn_padded::<Aligned64>(script),
            10 if self.draw(8) == 0 => self.spawn_padded::<Aligned4096>(script),
            _ => self.event_loop.create_task(script),
        };
        self.tasks.borrow_mut().push((task, handle));
    }

    fn spawn_padded<P: Unpin + 'static>(&self, script: Script) -> Task<Entry> {
        self.event_loop.create_task(Padded::<P> {
            script,
            place: ptr::null(),
            padding: MaybeUninit::uninit(),
        })
    }

    /// A destructor or a waker does something, and throws now and then.
    fn interfere(self: &Rc<Self>) {
        if self.model.borrow().phase() == Phase::Closed || thread::panicking() {
            return;
        }
        if self.draw(2) == 0 {
            self.say(|| "a waker or a value, as it is used or dropped:".into());
            self.act(self.place());
        }
        if self.draw(4) == 0 {
            self.say(|| "and that panics".into());
            resume_unwind(Box::new(Thrown));
        }
    }

    /// Polls a handle in the step of `task`, sometimes with a waker that is not a task's.
    fn wait_for(
        self: &Rc<Self>,
        known: usize,
        handle: &mut Task<Entry>,
        task: usize,
        cx: &Context<'_>,
    ) -> Poll<Result<Entry, TaskError>> {
        let is_foreign = self.draw(4) == 0;
        self.say(|| {
            let whose =
                if is_foreign { "with a waker of another kind" } else { "with its own waker" };
            format!("task {task} polls the handle of task {known}, {whose}")
        });
        let waker = if is_foreign { Waker::from(Arc::new(Foreign)) } else { cx.waker().clone() };
        // The waker that was there before may throw as it goes.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            Pin::new(handle).poll(&mut Context::from_waker(&waker))
        }));
        let _ = catch_unwind(AssertUnwindSafe(|| drop(waker)));
        if let Ok(Poll::Ready(outcome)) = polled {
            return Poll::Ready(outcome);
        }
        let known = &mut self.model.borrow_mut().known[known];
        assert_eq!(known.end, None);
        known.waiter = (!is_foreign).then_some(task);
        known.awaited |= polled.is_ok();
        Poll::Pending
    }

    /// What anybody can do anywhere on the loop's thread.
    fn act(self: &Rc<Self>, place: Place) {
        let draw = self.draw(13);
        match draw {
            0 | 1 => self.spawn(),
            2 => {
                if let Some((task, handle)) = self.pick(&self.tasks) {
                    let expected = self.model.borrow_mut().cancel(task);
                    self.say(|| format!("task {task} is asked to end by its handle, {place}"));
                    let asked = if self.draw(2) == 0 { handle.cancel() } else { handle.abort() };
                    assert_eq!(asked, expected, "cancelling task {task}");
                    self.tasks.borrow_mut().push((task, handle));
                }
            }
            3 => {
                if let Some((task, handle)) = self.pick(&self.tasks) {
                    self.give_up(task, handle);
                }
            }
            4 => {
                if let Some((task, mut handle)) = self.pick(&self.tasks) {
                    let end = self.model.borrow().known[task].end;
                    self.say(|| format!("the result of task {task} is asked for, {place}"));
                    assert_eq!(handle.is_finished(), end.is_some());
                    match handle.try_result() {
                        Some(outcome) => self.check_outcome(task, &outcome),
                        None => {
                            assert_eq!(end, None);
                            self.tasks.borrow_mut().push((task, handle));
                        }
                    }
                }
            }
            5 => {
                if let Some((task, handle)) = self.pick(&self.tasks) {
                    self.say(|| format!("an abort handle of task {task} is made"));
                    self.aborts.borrow_mut().push((task, handle.abort_handle()));
                    self.tasks.borrow_mut().push((task, handle));
                }
            }
            6 => {
                if let Some((task, handle)) = self.pick(&self.aborts) {
                    self.abort(task, handle, place);
                }
            }
            7 | 8 => {
                if let Some((task, waker)) = self.pick(&self.wakers) {
                    self.use_waker(task, waker, place);
                }
            }
            9 => {
                if self.model.borrow().phase() == Phase::Closing {
                    return;
                }
                let callback = self.model.borrow_mut().born(Kind::Callback);
                self.say(|| format!("callback {callback} is queued, {place}"));
                let (world, entry) = (Rc::clone(self), self.entry());
                let handle = self.event_loop.call_soon(move || {
                    world.comes(callback);
                    world.model.borrow_mut().finish(callback, End::Value);
                    let _entry = entry;
                    world.act(Place::Step);
                });
                if self.draw(2) == 0 {
                    self.callbacks.borrow_mut().push((callback, handle));
                }
            }
            10 => {
                if let Some((callback, handle)) = self.pick(&self.callbacks) {
                    if self.draw(2) == 0 {
                        self.say(|| format!("callback {callback} is taken back, {place}"));
                        handle.cancel();
                        let known = &mut self.model.borrow_mut().known[callback];
                        known.end = known.end.or(Some(End::Cancelled));
                    }
                }
            }
            11 if place == Place::Outside && self.model.borrow().phase() == Phase::Idle => {
                let world = Rc::clone(self);
                let (left, stops) = (1 + self.draw(3), self.draw(8) == 0);
                self.say(|| "another loop turns:".into());
                self.other.call_soon(move || {
                    for _ in 0..left {
                        world.act(Place::OtherLoop);
                    }
                });
                if stops {
                    self.other.stop();
                }
                self.other.turn(Some(Duration::ZERO)).unwrap();
            }
            _ => {}
        }
    }

    /// The handle goes.
    fn give_up(self: &Rc<Self>, task: usize, handle: Task<Entry>) {
        if self.draw(4) == 0 {
            self.say(|| format!("the handle of task {task} is detached"));
            return handle.detach();
        }
        self.say(|| format!("the handle of task {task} is dropped"));
        self.model.borrow_mut().known[task].waiter = None;
        // First the waker of who waited, which may interfere.
        drop(handle);
        let mut model = self.model.borrow_mut();
        let known = &model.known[task];
        if known.end.is_none() && known.awaited && !known.cancel {
            model.cancel(task);
        }
    }

    fn abort(&self, task: usize, handle: AbortHandle, place: Place) {
        let elsewhere = self.draw(2) == 0;
        let place = if elsewhere { Place::Thread } else { place };
        let aborts = self.draw(2) == 0;
        self.say(|| {
            let way = if aborts { "aborted" } else { "cancelled" };
            format!("task {task} is {way} by an abort handle, {place}")
        });
        let is_over = self.model.borrow().known[task].end.is_some();
        match place {
            Place::Step => {
                self.model.borrow_mut().cancel(task);
            }
            _ if is_over => {}
            _ => self.model.borrow_mut().post(task, true),
        }
        let keeps = self.draw(3) > 0;
        let ask = move || {
            let asked = if aborts { handle.abort() } else { handle.cancel() };
            assert_eq!(asked, !is_over, "asking task {task} from {place:?}");
            assert_eq!(handle.is_finished(), is_over);
            keeps.then(|| handle.clone())
        };
        let mut kept = None;
        if elsewhere {
            self.threads[self.draw(self.threads.len())].run(|| kept = ask());
        } else {
            kept = ask();
        }
        self.aborts.borrow_mut().extend(kept.map(|handle| (task, handle)));
    }

    fn use_waker(&self, task: usize, waker: Waker, place: Place) {
        let elsewhere = self.draw(2) == 0;
        let place = if elsewhere { Place::Thread } else { place };
        let way = self.draw(5);
        self.say(|| {
            let what = match way {
                0 => "woken and gone",
                1 => "woken, and kept",
                2 => "woken by a clone, and kept",
                3 => "cloned, and the clone kept",
                _ => "dropped",
            };
            format!("a waker of task {task} is {what}, {place}")
        });
        if way < 3 {
            self.model.borrow_mut().wake(task, place);
        }
        let used = move || match way {
            0 => {
                waker.wake();
                None
            }
            1 => {
                waker.wake_by_ref();
                Some(waker)
            }
            2 => {
                waker.clone().wake();
                Some(waker)
            }
            3 => Some(waker.clone()),
            _ => {
                drop(waker);
                None
            }
        };
        let mut kept = None;
        if elsewhere {
            self.threads[self.draw(self.threads.len())].run(|| kept = used());
        } else {
            kept = used();
        }
        self.wakers.borrow_mut().extend(kept.map(|waker| (task, waker)));
    }

    fn check_outcome(&self, task: usize, outcome: &Result<Entry, TaskError>) {
        let end = self.model.borrow().known[task].end;
        let found = match outcome {
            Ok(_) => End::Value,
            Err(error) if error.is_cancelled() => End::Cancelled,
            Err(TaskError::Panicked(_)) => End::Panic,
            Err(error) => panic!("task {task}: {error}"),
        };
        assert_eq!(end, Some(found), "task {task}");
    }

    /// The loop comes to `task`: so does the model.
    fn comes(&self, task: usize) {
        self.say(|| format!("the loop comes to {task}"));
        let next = self.model.borrow_mut().next();
        assert_eq!(next, Some(task), "whose turn it is");
    }

    fn turn(&self) {
        self.say(|| "the loop turns".into());
        self.model.borrow_mut().phase = Some(Phase::On);
        {
            let mut model = self.model.borrow_mut();
            model.take_in();
            model.left = model.queue.len();
            model.stops = true;
        }
        self.event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(self.model.borrow_mut().next(), None, "a turn left somebody out");
        let mut model = self.model.borrow_mut();
        (model.phase, model.stops) = (Some(Phase::Idle), false);
    }

    /// A main future of a few polls, which is stopped, or throws, or comes to its end.
    fn run(self: &Rc<Self>) {
        let main = self.model.borrow_mut().born(Kind::Main);
        {
            let mut model = self.model.borrow_mut();
            (model.phase, model.main) = (Some(Phase::On), Some(main));
        }
        let (world, entry, mut polls) = (Rc::clone(self), self.entry(), self.draw(6));
        let fate = self.draw(4);
        self.say(|| {
            let end = match fate {
                0 => "stops the loop",
                1 => "panics",
                _ => "is done",
            };
            format!("the loop runs main future {main}, which {end} after {polls} polls")
        });
        let future = poll_fn(move |cx| {
            let _ = &entry;
            world.comes(main);
            if world.draw(2) == 0 {
                world.wakers.borrow_mut().push((main, cx.waker().clone()));
            }
            world.act(Place::Step);
            if polls == 0 {
                match fate {
                    0 => {
                        world.event_loop.stop();
                        let mut model = world.model.borrow_mut();
                        model.take_in();
                        model.stops = true;
                        return Poll::Pending;
                    }
                    1 => {
                        world.model.borrow_mut().finish(main, End::Panic);
                        resume_unwind(Box::new(Thrown));
                    }
                    _ => {
                        world.model.borrow_mut().finish(main, End::Value);
                        return Poll::Ready(world.entry());
                    }
                }
            }
            polls -= 1;
            world.model.borrow_mut().schedule(main);
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        let ended = catch_unwind(AssertUnwindSafe(|| self.event_loop.run_until_complete(future)));
        assert_eq!(self.model.borrow_mut().next(), None, "a run left somebody out");
        match (fate, ended) {
            (0, Ok(Err(_))) | (1, Err(_)) | (2 | 3, Ok(Ok(_))) => {}
            (_, Err(payload)) => resume_unwind(payload),
            (fate, _) => panic!("fate {fate}"),
        }
        let mut model = self.model.borrow_mut();
        // It may be in the queue still; nobody comes back to it.
        model.known[main].end = model.known[main].end.or(Some(End::Cancelled));
        model.main = None;
        (model.phase, model.stops) = (Some(Phase::Idle), false);
    }

    fn close(&self) {
        self.say(|| "the loop closes".into());
        {
            let mut model = self.model.borrow_mut();
            model.take_in();
            model.phase = Some(Phase::Closing);
        }
        self.event_loop.close().unwrap();
        let mut model = self.model.borrow_mut();
        model.phase = Some(Phase::Closed);
        for (task, known) in model.known.iter_mut().enumerate() {
            let is_over = known.end.is_some() || known.kind == Kind::Callback;
            assert!(is_over, "task {task} outlives close");
        }
    }
}

/// A future that does something else at every poll, and in its destructor.
struct Script {
    world: Rc<World>,
    task: usize,
    entry: Entry,
    /// Whom it awaits.
    inner: Option<(usize, Task<Entry>)>,
    /// How its last poll ended.
    returned: Option<End>,
}

impl Future for Script {
    type Output = Entry;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Entry> {
        let (world, task) = (Rc::clone(&self.world), self.task);
        world.comes(task);
        assert!(!world.model.borrow().known[task].cancel, "task {task} was asked to end");
        assert!(loopbind::task::current().is_some(), "a task is current in its poll");
        if let Some((known, mut handle)) = self.inner.take() {
            match world.wait_for(known, &mut handle, task, cx) {
                Poll::Ready(outcome) => world.check_outcome(known, &outcome),
                Poll::Pending => self.inner = Some((known, handle)),
            }
        }
        if world.draw(2) == 0 {
            world.say(|| format!("a waker of task {task} is kept"));
            world.wakers.borrow_mut().push((task, cx.waker().clone()));
        }
        world.act(Place::Step);
        if world.draw(6) == 0 {
            world.say(|| format!("task {task} sets a context variable"));
            world.alive.set(world.alive.get() + 1);
            let whim = Rc::new(Whim(Rc::clone(&world)));
            let _ = catch_unwind(AssertUnwindSafe(|| drop(WHIM.set(whim))));
        }
        match world.draw(9) {
            0 | 1 => {
                world.say(|| format!("task {task} is done"));
                self.returned = Some(End::Value);
                return Poll::Ready(world.entry());
            }
            2 => {
                world.say(|| format!("task {task} panics"));
                self.returned = Some(End::Panic);
                // Thrown without the hook, which would fill the test's output.
                resume_unwind(Box::new(Thrown));
            }
            3 | 4 => {
                world.say(|| format!("task {task} wakes itself"));
                world.model.borrow_mut().schedule(task);
                cx.waker().wake_by_ref();
            }
            5 if self.inner.is_none() => {
                if let Some((known, mut handle)) = world.pick(&world.tasks) {
                    match world.wait_for(known, &mut handle, task, cx) {
                        Poll::Pending => self.inner = Some((known, handle)),
                        Poll::Ready(Err(TaskError::SelfAwait)) => {
                            assert_eq!(known, task);
                            world.tasks.borrow_mut().push((known, handle));
                        }
                        Poll::Ready(outcome) => world.check_outcome(known, &outcome),
                    }
                }
            }
            _ => world.act(Place::Step),
        }
        Poll::Pending
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let (world, task) = (Rc::clone(&self.world), self.task);
        if thread::panicking() {
            // The test has failed.
            return;
        }
        let _ = &self.entry;
        if self.returned.is_none() {
            match world.model.borrow().phase() {
                Phase::Closing => {
                    let model = world.model.borrow();
                    let oldest = model
                        .known
                        .iter()
                        .position(|known| known.end.is_none() && known.kind == Kind::Task);
                    assert_eq!(oldest, Some(task), "closed in order of creation");
                }
                phase => {
                    assert_eq!(phase, Phase::On, "task {task} is dropped in no turn");
                }
            }
            if world.model.borrow().phase() == Phase::On {
                world.comes(task);
                assert!(world.model.borrow().known[task].cancel, "nobody asked task {task} to end");
            }
            world.model.borrow_mut().known[task].cancel = true;
        }
        world.say(|| format!("the future of task {task} is dropped"));
        if let Some((known, handle)) = self.inner.take() {
            world.give_up(known, handle);
        }
        world.act(world.place());
        let mut model = world.model.borrow_mut();
        let end = match self.returned {
            Some(End::Panic) => End::Panic,
            Some(_) if !model.known[task].cancel => End::Value,
            _ => End::Cancelled,
        };
        model.finish(task, end);
    }
}

/// A value of a context, which interferes as it goes.
struct Whim(Rc<World>);

static WHIM: ContextVar<Rc<Whim>> = ContextVar::new("whim");

impl Drop for Whim {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get() - 1);
        self.0.interfere();
    }
}

thread_local! {
    static WORLD: RefCell<Option<Rc<World>>> = const { RefCell::new(None) };
}

/// A waker that interferes as it is woken, and as it goes.
struct Foreign;

impl Foreign {
    fn interfere(&self) {
        let world = WORLD.with_borrow(Clone::clone);
        if let Some(world) = world {
            world.interfere();
        }
    }
}

impl Wake for Foreign {
    fn wake(self: Arc<Self>) {
        self.interfere();
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.interfere();
    }
}

/// The same in a block of another size or alignment, where it must stay from the first poll on.
struct Padded<P> {
    script: Script,
    place: *const Self,
    padding: MaybeUninit<P>,
}

#[repr(align(32))]
struct Aligned32;
#[repr(align(64))]
struct Aligned64(#[expect(dead_code)] [u8; 1000]);
#[repr(align(4096))]
struct Aligned4096;

impl<P: Unpin> Future for Padded<P> {
    type Output = Entry;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Entry> {
        let this = self.get_mut();
        let place = &raw const *this;
        assert!(this.place.is_null() || this.place == place, "moved");
        this.place = place;
        assert!((&raw const this.padding).is_aligned());
        this.padding = MaybeUninit::uninit();
        Pin::new(&mut this.script).poll(cx)
    }
}

/// The program of a seed.
fn play(seed: u64) {
    let state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    PLAYED.store(seed, Ordering::Relaxed);
    play_drawn(seed, false, Draws::Seed(Cell::new(state)));
}

fn play_drawn(seed: u64, is_planted: bool, draws: Draws) {
    let event_loop = EventLoop::builder().event_interval(1 + seed as usize % 7).build().unwrap();
    event_loop.set_exception_handler(Some(Box::new(|_, context| {
        let panic = context.panic.as_ref();
        let message = panic.and_then(|payload| payload.message());
        assert!(panic.is_some() && message.is_none(), "{}: {message:?}", context.message);
    })));
    let world = Rc::new(World {
        event_loop,
        other: EventLoop::new().unwrap(),
        threads: (0..1 + seed as usize % 3).map(|_| Elsewhere::new()).collect(),
        model: RefCell::new(Model { is_planted, ..Model::default() }),
        draws,
        alive: Cell::new(0),
        tasks: RefCell::default(),
        callbacks: RefCell::default(),
        wakers: RefCell::default(),
        aborts: RefCell::default(),
    });
    WORLD.set(Some(Rc::clone(&world)));
    // Steps take another way there.
    world.event_loop.set_debug(seed % 5 == 3);
    for _ in 0..40 {
        match world.draw(8) {
            0 | 1 => world.turn(),
            2 => world.run(),
            _ => world.act(Place::Outside),
        }
    }
    world.event_loop.set_debug(false);
    world.close();
    world.other.close().unwrap();
    // All that hangs on a closed loop, used and dropped.
    for _ in 0..20 {
        match world.draw(2) {
            0 => {
                if let Some((task, waker)) = world.pick(&world.wakers) {
                    world.use_waker(task, waker, Place::Outside);
                }
            }
            _ => {
                if let Some((task, handle)) = world.pick(&world.aborts) {
                    world.abort(task, handle, Place::Outside);
                }
            }
        }
    }
    for (task, mut handle) in world.tasks.take() {
        let outcome = handle.try_result().expect("nothing is taken twice");
        world.check_outcome(task, &outcome);
    }
    world.callbacks.take();
    WORLD.take();
    let (wakers, aborts) = (world.wakers.take(), world.aborts.take());
    assert_eq!(world.alive.get(), 0, "not dropped");
    assert_eq!(Rc::strong_count(&world), 1, "somebody holds the world");
    if seed % 2 == 0 {
        drop(world);
        thread::spawn(move || drop((wakers, aborts))).join().unwrap();
    } else {
        drop((wakers, aborts));
    }
}

const THE_TEST: &str = "random_programs_take_the_steps_the_model_takes_and_leave_no_block_behind";

/// Plays a program that was made short, or is on the way there.
fn play_alone(Drawn { seed, is_planted, draws }: Drawn) {
    // One that hangs has failed.
    // SAFETY: no preconditions; without a handler the signal ends the process.
    unsafe { libc::alarm(10) };
    let before = BLOCKS.load(Ordering::Relaxed);
    PLAYED.store(seed, Ordering::Relaxed);
    play_drawn(seed, is_planted, Draws::List(RefCell::new(draws.into_iter())));
    assert_eq!(BLOCKS.load(Ordering::Relaxed), before, "blocks are left behind");
}

/// What to say of a program that failed.
fn shortened(seed: u64) -> String {
    match shrink::shrink(THE_TEST, seed, false, Draws::of_seed(seed)) {
        Some((script, failure)) => shrink::report("--test core_model", &script, &failure),
        None => format!("program {seed} does not fail by itself"),
    }
}

/// Order of polls, ends, drops and blocks, as the model has them. Invariants 2, 3, 7 and 8 of the design.
#[test]
fn random_programs_take_the_steps_the_model_takes_and_leave_no_block_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(seed) = std::env::var("LOOPBIND_SHRINK") {
        if Drawn::of_environment().is_none() {
            panic!("{}", shortened(seed.parse().expect("LOOPBIND_SHRINK: a program's number")));
        }
    }
    // What a thread and a process keep from their first use on goes when the thread does, into whoever counts then.
    play(0);
    COUNTS.set(true);
    if let Some(script) = Drawn::of_environment() {
        return play_alone(script);
    }
    for seed in programs(0..2_000) {
        let before = BLOCKS.load(Ordering::Relaxed);
        let played = catch_unwind(|| play(seed));
        let left = BLOCKS.load(Ordering::Relaxed) - before;
        if played.is_err() || left != 0 {
            // What is in it would fail once more.
            std::mem::forget(WORLD.take());
            COUNTS.set(false);
            eprintln!("program {seed}: LOOPBIND_PROGRAMS={seed}..{} plays it alone", seed + 1);
            eprintln!("{}", shortened(seed));
            match played {
                Err(payload) => resume_unwind(payload),
                Ok(()) => panic!("program {seed} left {left} blocks behind"),
            }
        }
    }
    COUNTS.set(false);
}

/// With a model that overlooks wakes of other threads: what is left of a long program is the one task it takes
/// to see that, started, polled, woken, and polled again.
#[test]
fn a_program_that_fails_is_made_short() {
    let seed = 3;
    let (script, failure) = shrink::shrink(THE_TEST, seed, true, Draws::of_seed(seed)).unwrap();
    let report = shrink::report("--test core_model", &script, &failure);
    let said = |line: &str| failure.lines.iter().any(|told| told.starts_with(line));
    assert!(failure.lines.len() <= 12, "{report}");
    assert!(said("task 0 is started") && said("a waker of task 0 is kept"), "{report}");
    assert!(failure.lines.iter().any(|line| line.ends_with("on another thread")), "{report}");
    assert!(failure.lines.last().is_some_and(|line| line.starts_with("the loop comes to")));
    assert!(report.contains("LOOPBIND_PROGRAM='3! "), "{report}");
}

// ─── at the same time ───────────────────────────────────────────────────────────────────────────

/// What other threads have of a task, and how often they, or the loop's own, have used it.
#[derive(Clone, Default)]
struct Uses {
    wakes: Arc<AtomicUsize>,
    asked: Arc<AtomicBool>,
}

enum Hand {
    Waker(Waker, Uses),
    Abort(AbortHandle, Uses),
}

impl Clone for Hand {
    fn clone(&self) -> Self {
        match self {
            Hand::Waker(waker, uses) => Hand::Waker(waker.clone(), uses.clone()),
            Hand::Abort(handle, uses) => Hand::Abort(handle.clone(), uses.clone()),
        }
    }
}

/// What lies about for anybody to take.
#[derive(Clone, Default)]
struct Pile(Arc<Mutex<Vec<Hand>>>);

impl Pile {
    fn put(&self, hand: Hand) {
        self.0.lock().unwrap().push(hand);
    }

    fn take(&self, draw: u64) -> Option<Hand> {
        let mut hands = self.0.lock().unwrap();
        let len = hands.len();
        (len > 0).then(|| hands.swap_remove(draw as usize % len))
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Does something with something.
    fn use_one(&self, dice: &mut Dice) {
        let Some(hand) = self.take(dice.draw()) else { return };
        // At most so many: most are dropped as they are used.
        if dice.draw() % 3 == 0 && self.len() < 60 {
            self.put(hand.clone());
        }
        let by_value = dice.draw() % 2 == 0;
        match hand {
            _ if dice.draw() % 4 == 0 => {}
            Hand::Waker(waker, uses) => {
                uses.wakes.fetch_add(1, Ordering::Relaxed);
                if by_value {
                    waker.wake();
                } else {
                    waker.wake_by_ref();
                }
            }
            Hand::Abort(handle, uses) => {
                if !handle.is_finished() {
                    uses.asked.store(true, Ordering::Relaxed);
                    // An errand is a wake as well.
                    uses.wakes.fetch_add(1, Ordering::Relaxed);
                    let _ = if by_value { handle.abort() } else { handle.cancel() };
                }
            }
        }
    }
}

struct Dice(u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

/// A task that lives for a few polls, in a block that it shares with those before and after it.
struct Tenant {
    pile: Pile,
    uses: Uses,
    dice: Dice,
    polls: usize,
    is_done: bool,
    alive: Rc<Cell<isize>>,
    closing: Rc<Cell<bool>>,
    home: ThreadId,
}

impl Future for Tenant {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Each poll but the first is due to a wake of its own.
        assert!(self.polls <= self.uses.wakes.load(Ordering::Relaxed), "a wake of somebody else's");
        self.polls += 1;
        let pile = self.pile.clone();
        match self.dice.draw() % 4 {
            0 => {
                self.is_done = true;
                return Poll::Ready(());
            }
            1 => {
                self.uses.wakes.fetch_add(1, Ordering::Relaxed);
                cx.waker().wake_by_ref();
            }
            2 => pile.use_one(&mut self.dice),
            _ => {}
        }
        if pile.len() < 60 {
            pile.put(Hand::Waker(cx.waker().clone(), self.uses.clone()));
        }
        Poll::Pending
    }
}

impl Drop for Tenant {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        assert_eq!(thread::current().id(), self.home, "dropped away from home");
        let was_asked = self.uses.asked.load(Ordering::Relaxed);
        assert!(self.is_done || was_asked || self.closing.get(), "nobody asked it to end");
        self.alive.set(self.alive.get() - 1);
        self.pile.clone().use_one(&mut self.dice);
    }
}

fn rush(seed: u64) {
    let mut builder = EventLoop::builder();
    if seed % 4 == 1 {
        builder = builder.shuffle(seed);
    }
    let event_loop = builder.build().unwrap();
    event_loop.set_exception_handler(Some(Box::new(|_, context| panic!("{context}"))));
    let (pile, over) = (Pile::default(), Arc::new(AtomicBool::new(false)));
    let others: Vec<_> = (1..=1 + seed % 3)
        .map(|number| {
            let (pile, over) = (pile.clone(), Arc::clone(&over));
            let mut dice = Dice((seed + number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            thread::spawn(move || {
                COUNTS.set(true);
                while !over.load(Ordering::Relaxed) {
                    pile.use_one(&mut dice);
                }
            })
        })
        .collect();
    let (alive, closing) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(false)));
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let failed = RefCell::new(None);
    let mut kept = Vec::new();
    for _ in 0..200 {
        if dice.draw() % 2 == 0 && alive.get() < 20 {
            alive.set(alive.get() + 1);
            let uses = Uses::default();
            let task = event_loop.create_task(Tenant {
                pile: pile.clone(),
                uses: uses.clone(),
                dice: Dice(dice.draw() | 1),
                polls: 0,
                is_done: false,
                alive: Rc::clone(&alive),
                closing: Rc::clone(&closing),
                home: thread::current().id(),
            });
            match dice.draw() % 4 {
                0 => pile.put(Hand::Abort(task.abort_handle(), uses)),
                1 => kept.push(task),
                2 => task.detach(),
                _ => {}
            }
        }
        if dice.draw() % 8 == 0 {
            kept.clear();
        }
        if dice.draw() % 4 == 0 {
            pile.use_one(&mut dice);
        }
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        for task in &mut kept {
            if let Some(Err(TaskError::Panicked(payload))) = task.try_result() {
                failed.replace(Some(payload));
            }
        }
        kept.retain(|task| !task.is_finished());
    }
    // The others go on meanwhile, and for a while beyond.
    closing.set(true);
    drop(event_loop);
    let late = pile.len();
    for _ in 0..late {
        pile.use_one(&mut dice);
    }
    over.store(true, Ordering::Relaxed);
    for other in others {
        other.join().unwrap();
    }
    pile.0.lock().unwrap().clear();
    if let Some(payload) = failed.take() {
        payload.resume();
    }
    assert_eq!(alive.get(), 0, "not dropped");
}

/// Wakes, clones, drops and aborts of other threads while tasks end, blocks find their next tenants, and the
/// loop closes: no wake reaches a later tenant, and no block is left. Invariants 7 and 8 of the design.
#[test]
fn hands_on_tasks_that_end_meanwhile_reach_nobody_else_and_leave_no_block_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    rush(0);
    COUNTS.set(true);
    for seed in programs(0..100) {
        let before = BLOCKS.load(Ordering::Relaxed);
        if let Err(payload) = catch_unwind(|| rush(seed)) {
            eprintln!("program {seed}");
            resume_unwind(payload);
        }
        assert_eq!(BLOCKS.load(Ordering::Relaxed), before, "program {seed} left blocks behind");
    }
    COUNTS.set(false);
}

/// `mem::forget` of everything that can be had of a task or a callback: its memory stays, and what is in the
/// future is dropped at home all the same, by the close of a loop that is forgotten as well.
#[test]
fn hands_that_are_forgotten_cost_their_memory_and_no_destructor() {
    fn forget(value: impl Sized) {
        std::mem::forget(value);
    }
    let alive = Arc::new(AtomicIsize::new(0));
    let theirs = Arc::clone(&alive);
    thread::spawn(move || {
        struct Inside(Arc<AtomicIsize>, ThreadId);
        impl Drop for Inside {
            fn drop(&mut self) {
                assert_eq!(thread::current().id(), self.1, "dropped away from home");
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        let inside = move || {
            theirs.fetch_add(1, Ordering::Relaxed);
            Inside(Arc::clone(&theirs), thread::current().id())
        };
        let event_loop = EventLoop::new().unwrap();
        event_loop.set_exception_handler(Some(Box::new(|_, _| ())));
        let task = |end: Option<End>| {
            let inside = inside();
            event_loop.create_task(poll_fn(move |cx| {
                let _inside = &inside;
                forget(cx.waker().clone());
                match end {
                    Some(End::Value) => Poll::Ready(()),
                    Some(End::Panic) => resume_unwind(Box::new(Thrown)),
                    _ => {
                        let mut listener = Box::pin(cancelled());
                        assert!(listener.as_mut().poll(cx).is_pending());
                        forget(listener);
                        Poll::Pending
                    }
                }
            }))
        };
        for end in [None, Some(End::Value), Some(End::Panic), Some(End::Cancelled)] {
            forget(task(end));
            forget(task(end).abort_handle());
            forget(task(end).abort_on_drop());
            let mut joined = task(end);
            let awaiting = event_loop.create_task({
                let inside = inside();
                async move {
                    let _inside = inside;
                    let mut join = Box::pin(joined.join());
                    poll_fn(|cx| join.as_mut().poll(cx).map(drop)).await;
                    forget(join);
                }
            });
            forget(awaiting);
            let last = task(end);
            if end == Some(End::Cancelled) {
                last.cancel_within(Duration::from_secs(1));
            }
            forget(last);
        }
        let (soon, later) = (inside(), inside());
        forget(event_loop.call_soon(move || drop(soon)));
        forget(event_loop.call_later(Duration::from_secs(3600), move || drop(later)));
        forget(event_loop.handle().spawn(|| async { pending::<()>().await }).unwrap());
        for _ in 0..3 {
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        let queued = inside();
        forget(event_loop.call_soon(move || drop(queued)));
        // The thread's end closes it.
        forget(event_loop.handle());
        forget(event_loop);
    })
    .join()
    .unwrap();
    assert_eq!(alive.load(Ordering::Relaxed), 0, "not dropped");
}

/// A handle that outlives its loop, and a callback asked for while the thread unwinds: taken and dropped, with
/// nothing left of either.
#[test]
fn a_callback_for_a_task_whose_loop_is_gone_is_dropped_and_leaves_no_block_behind() {
    struct Asks(Task<Rc<()>>, Rc<()>);
    impl Drop for Asks {
        fn drop(&mut self) {
            let inside = Rc::clone(&self.1);
            self.0.add_done_callback(move || drop(inside));
        }
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let play = || {
        let (event_loop, inside) = (EventLoop::new().unwrap(), Rc::new(()));
        let ended = event_loop.create_task(std::future::ready(Rc::clone(&inside)));
        let dropped = event_loop.create_task(pending());
        let aborts = [ended.abort_handle(), dropped.abort_handle()];
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        drop(event_loop);
        for task in [ended, dropped] {
            let asks = Asks(task, Rc::clone(&inside));
            let unwound = catch_unwind(AssertUnwindSafe(move || {
                let _asks = asks;
                resume_unwind(Box::new(Thrown));
            }));
            assert!(unwound.unwrap_err().is::<Thrown>());
        }
        assert_eq!(Rc::strong_count(&inside), 1, "not dropped");
        thread::spawn(move || assert!(!aborts.iter().any(AbortHandle::abort))).join().unwrap();
    };
    play();
    COUNTS.set(true);
    let before = BLOCKS.load(Ordering::Relaxed);
    play();
    assert_eq!(BLOCKS.load(Ordering::Relaxed), before);
    COUNTS.set(false);
}

/// Handles that outlive their loop, of tasks that nobody else ever had, read or not: with the last of them all
/// that they kept goes, also inside of another loop's run.
#[test]
fn handles_that_outlive_their_loop_leave_no_block_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let play = || {
        let inside = Rc::new(());
        let event_loop = EventLoop::new().unwrap();
        let start = |ends: bool| {
            let value = Rc::clone(&inside);
            event_loop.create_task(async move {
                if !ends {
                    pending::<()>().await;
                }
                value
            })
        };
        let tasks: Vec<_> = [true, true, true, false, false].map(start).into();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        drop(event_loop);
        let mut tasks = tasks.into_iter();
        let mut read = tasks.next().unwrap();
        assert!(read.try_result().unwrap().is_ok());
        drop((read, tasks.next()));
        let another = EventLoop::new().unwrap();
        another.run_until_complete(async move { drop(tasks) }).unwrap();
        assert_eq!(Rc::strong_count(&inside), 1, "not dropped");
    };
    play();
    COUNTS.set(true);
    let before = BLOCKS.load(Ordering::Relaxed);
    play();
    assert_eq!(BLOCKS.load(Ordering::Relaxed), before);
    COUNTS.set(false);
}

/// The handle of a task goes, and the waker of who waited turns the loop as it goes with it: the task comes to
/// its end in the middle of that, and its outcome is dropped, or reported, once.
#[test]
fn a_waker_that_turns_the_loop_as_its_handle_goes_finds_the_outcome_dropped_once() {
    struct Turns;
    impl Wake for Turns {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Turns {
        fn drop(&mut self) {
            // Refused inside of a run.
            let _ = loopbind::get_event_loop().unwrap().turn(Some(Duration::ZERO));
        }
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let play = |end: End| {
        let event_loop = EventLoop::new().unwrap();
        let _bound = event_loop.bind();
        let (inside, reports) = (Rc::new(()), Rc::new(Cell::new(0)));
        let heard = Rc::clone(&reports);
        event_loop.set_exception_handler(Some(Box::new(move |_, _| heard.set(heard.get() + 1))));
        let (value, mut polls) = (Rc::clone(&inside), 0);
        let mut task = event_loop.create_task(poll_fn(move |cx| {
            polls += 1;
            // By the third it is alone.
            if polls < 3 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match end {
                End::Panic => resume_unwind(Box::new(Thrown)),
                _ => Poll::Ready(Rc::clone(&value)),
            }
        }));
        let awaited = event_loop.run_until_complete(poll_fn(|_| {
            let waker = Waker::from(Arc::new(Turns));
            Poll::Ready(Pin::new(&mut task).poll(&mut Context::from_waker(&waker)).is_pending())
        }));
        assert!(awaited.unwrap() && !task.is_finished());
        while task.info().polls < 2 {
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        drop(task);
        assert!(event_loop.all_tasks().is_empty(), "it did not end meanwhile");
        assert_eq!(reports.get(), if end == End::Panic { 1 } else { 0 });
        drop(event_loop);
        assert_eq!(Rc::strong_count(&inside), 1, "dropped once");
    };
    play(End::Value);
    COUNTS.set(true);
    for end in [End::Value, End::Panic] {
        let before = BLOCKS.load(Ordering::Relaxed);
        play(end);
        assert_eq!(BLOCKS.load(Ordering::Relaxed), before);
    }
    COUNTS.set(false);
}

/// A handle was read, and goes while its task's entry is queued still; of the references that other threads
/// counted as many went at home as hide that one is left. Its block goes with that one, elsewhere.
#[test]
fn a_handle_that_was_read_goes_before_the_loop_lets_go_and_leaves_no_block_behind() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let play = || {
        let event_loop = EventLoop::new().unwrap();
        let kept = Rc::new(Cell::new(None));
        let keeps = Rc::clone(&kept);
        let mut task = event_loop.create_task(poll_fn(move |cx| {
            let waker = cx.waker().clone();
            let theirs = || [waker.clone(), waker.clone()];
            let [goes, stays] = thread::scope(|scope| scope.spawn(theirs).join().unwrap());
            drop((waker, goes));
            keeps.set(Some(stays));
            cx.waker().wake_by_ref();
            Poll::Ready(())
        }));
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        task.try_result().unwrap().unwrap();
        drop(task);
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        let last = kept.take();
        thread::spawn(move || drop(last)).join().unwrap();
    };
    play();
    COUNTS.set(true);
    let before = BLOCKS.load(Ordering::Relaxed);
    play();
    assert_eq!(BLOCKS.load(Ordering::Relaxed), before);
    COUNTS.set(false);
}

/// What is posted to a closed loop is dropped by the poster, and its block goes back, also where that
/// destructor panics.
#[test]
fn a_refused_post_whose_drop_panics_leaves_no_block_behind() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            resume_unwind(Box::new(Thrown));
        }
    }
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    event_loop.close().unwrap();
    COUNTS.set(true);
    let before = BLOCKS.load(Ordering::Relaxed);
    for _ in 0..10 {
        let bomb = Bomb;
        let posted = catch_unwind(AssertUnwindSafe(|| {
            handle.call_soon_threadsafe(move || {
                let _bomb = bomb;
            })
        }));
        assert!(posted.unwrap_err().is::<Thrown>());
    }
    assert_eq!(BLOCKS.load(Ordering::Relaxed), before);
    COUNTS.set(false);
}
