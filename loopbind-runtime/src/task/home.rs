//! Where tasks live: the part of a loop that its tasks, and other threads, hold on to.
//!
//! # Whose is what
//!
//! A `Home` is shared among threads, and has two halves. The outer fields are atomics, a lock, or
//! never change: any thread may use them. [`Local`] belongs to the thread that made the loop, the
//! *owner's thread*, and to nobody else. Two things prove that a piece of code is on it:
//!
//! * it holds a [`LocalHome`], which is made there and cannot leave;
//! * the home is the running one, because a loop runs only where it was made.
//!
//! Whoever lets go of a home last frees it, on any thread. Nothing of the user's is in it by then:
//! closing a loop empties its half, on the owner's thread.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Waker;
use std::thread::ThreadId;
use std::time::Duration;

use super::TaskInfo;
use super::anchor::Pins;
use super::error::ExceptionContext;
use super::header::{Header, TaskRef};
use super::life;
use super::memory::Spares;
use super::state::{self, CALLBACK};
use super::summons::Summons;
use crate::attention::Attention;
use crate::blocking::Places;
use crate::clock::{ClockKind, Tick};
use crate::context::Place;
use crate::current;
use crate::error::LoopError;
use crate::ids::{LoopId, TaskId, TaskIds};
use crate::inbox::{Inbox, Refused};
use crate::ready::{Node, Ready};
use crate::sys::{self, Bell};
use crate::timers::TimerKey;

pub(crate) struct Home {
    pub(crate) id: LoopId,
    pub(crate) name: Option<Box<str>>,
    /// The number of forks when the loop was made: see `sys::forks`.
    forks: u64,
    pub(crate) owner: ThreadId,
    pub(super) clock: ClockKind,
    inbox: Inbox,
    summons: Summons,
    running: AtomicBool,
    /// Jobs on the blocking pool that are not over.
    blocking: AtomicUsize,
    /// Where they come from, writes excepted.
    pub(crate) jobs: Places,
    /// Those of them that write to a reader who may never read.
    writes: AtomicUsize,
    /// How often such a reader has read.
    reads: AtomicUsize,
    /// Handles of this loop, and waits of its tasks for other loops: see [`Tie`].
    pub(super) ties: AtomicUsize,
    local: Local,
}

// SAFETY: `local` is reached on the owner's thread only ("Whose is what", above); the rest is
// `Send` and `Sync` by itself.
unsafe impl Send for Home {}
// SAFETY: as for `Send`.
unsafe impl Sync for Home {}

/// The owner's half.
pub(crate) struct Local {
    pub(crate) ready: Ready,
    /// Tasks that are not done, in order of creation, linked through their headers.
    pub(crate) first: Cell<Option<NonNull<Header>>>,
    pub(crate) last: Cell<Option<NonNull<Header>>>,
    /// The task or callback that is being polled, or dropped; during a batch, until the next entry takes
    /// its place, also the one that was. It is alive: the loop has a reference until it is over, and what
    /// is over is not current any more (`life::settle`, `life::is_to_be_polled`).
    pub(crate) current: Cell<Option<NonNull<Header>>>,
    /// The context that was current as the run began: that of its main future, and of what the loop
    /// calls outside of steps. Null: none, or no run is on.
    pub(crate) outside: Cell<*const Place>,
    pub(crate) phase: Cell<Phase>,
    /// The main future of the run that is on.
    pub(crate) root: Cell<Option<NonNull<Header>>>,
    /// What the run that is on must see to.
    pub(crate) attention: Attention,
    pub(crate) debug: Cell<bool>,
    /// Child processes that run.
    pub(crate) children: Cell<usize>,
    /// Something was waited for that no count covers, and that another thread brings.
    pub(crate) waits_outside: Cell<bool>,
    /// A host sleeps for this loop between its turns, and is to be woken as the loop would be.
    pub(crate) hosted: Cell<bool>,
    /// Futures that came too late, to be dropped by whoever is closing, one after the other and
    /// not one inside the other.
    pub(crate) late: RefCell<Vec<Box<dyn Any>>>,
    pub(crate) counts: Counts,
    pub(crate) tries: Tries,
    pub(crate) ids: TaskIds,
    pub(super) spares: Spares,
    pub(super) pins: Pins,
    keeper: Cell<Option<NonNull<dyn Keeper>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    Closing,
    Closed,
}

/// Tries of descriptors that succeeded: a step takes as long as there are many of them.
#[derive(Default)]
pub(crate) struct Tries {
    /// In the step that runs.
    pub(crate) step: Cell<u32>,
    /// In the batch that runs.
    pub(crate) batch: Cell<usize>,
}

#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) polls: Cell<u64>,
    pub(crate) callbacks: Cell<u64>,
    /// Tasks that were dropped in their own turn, because they were asked to end.
    pub(crate) dropped: Cell<u64>,
    pub(crate) remote_wakes: Cell<u64>,
    /// Tasks of this loop that began, and that are over.
    pub(crate) spawned: Cell<u64>,
    pub(crate) ended: Cell<u64>,
    pub(crate) busy: Cell<Duration>,
    pub(crate) slowest: Cell<Duration>,
}

impl Counts {
    /// How many tasks are not over.
    pub(crate) fn alive(&self) -> usize {
        (self.spawned.get() - self.ended.get()) as usize
    }
}

pub(crate) fn increment(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}

/// What tasks need an engine for, one floor up: somebody who hears of what goes wrong in a task that
/// nobody awaits, and who has timers.
pub(crate) trait Keeper {
    /// A share in the keeper, so that what it calls cannot take it away under its own feet.
    fn share(&self) -> Option<Box<dyn Keeper>>;
    fn report(&self, context: ExceptionContext);
    /// Debug mode: a step that took `took`.
    fn stepped(&self, step: Step, took: Duration);
    /// The time, on the loop's clock.
    fn now(&self) -> Tick;
    /// Has the task aborted at `at`.
    fn abort_at(&self, at: Tick, task: TaskRef) -> TimerKey;
    /// Takes that back.
    fn call_off(&self, timer: TimerKey);
}

/// One entry of the ready queue, for who puts them into another order.
pub(crate) struct Entry {
    node: NonNull<Node>,
    pub(crate) id: TaskId,
    /// For how many batches it was put off.
    pub(crate) put_off: u32,
}

/// What is ready, in another order.
pub(crate) struct Arranged {
    /// How many are to run, and the last of those: not to be followed.
    pub(crate) count: usize,
    pub(crate) until: NonNull<Node>,
    /// The last of all.
    pub(crate) last: NonNull<Node>,
}

/// One entry of the ready queue that ran.
pub(crate) enum Step {
    Task(TaskInfo),
    Callback(&'static std::panic::Location<'static>),
}

impl Home {
    /// The error of using a loop that another process made, if it is one.
    pub(crate) fn check_fork(&self) -> Result<(), LoopError> {
        if self.is_inherited() { Err(LoopError::Forked) } else { Ok(()) }
    }

    #[inline]
    pub(crate) fn is_inherited(&self) -> bool {
        self.forks != sys::forks()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    /// PRC-03: a child does not believe that its parent's loop runs here.
    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) && !self.is_inherited()
    }

    pub(crate) fn run_begins(&self) {
        self.running.store(true, Ordering::Release);
    }

    pub(crate) fn run_ends(&self) {
        self.running.store(false, Ordering::Release);
    }

    /// The owner's half, where this is the running loop.
    #[inline]
    pub(crate) fn at_home(&self) -> Option<&Local> {
        current::is_running(self).then_some(&self.local)
    }

    pub(crate) fn has_mail(&self) -> bool {
        self.inbox.has_mail()
    }

    /// # Safety
    /// On the owner's thread.
    #[inline]
    pub(crate) unsafe fn local(&self) -> &Local {
        &self.local
    }

    /// Takes in what other threads have posted, so that it runs before what comes next. A host that
    /// waits for this loop is woken: there is something for its next turn.
    ///
    /// # Safety
    /// On the owner's thread.
    #[inline]
    pub(crate) unsafe fn take_in(&self) {
        if !self.is_quiet() {
            // SAFETY: on the owner's thread.
            unsafe { self.sort_mail() }
        }
    }

    /// Nothing to take in, and no host that sleeps for this loop.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.inbox.is_quiet()
    }

    #[cold]
    unsafe fn sort_mail(&self) {
        // The owner is here and awake: parked means that its host is asleep.
        if self.inbox.unpark() {
            self.ring();
        }
        for node in self.inbox.take() {
            // SAFETY: what was posted is a header with a reference of the inbox's; on the owner's
            // thread.
            unsafe { life::arrive(node.cast(), &self.local) }
        }
    }

    /// Posts a task from wherever this is.
    ///
    /// A pointer, not a reference: once the node is in the inbox, the owner may run the task to
    /// its end and free everything the poster saw, this home included.
    ///
    /// # Safety
    /// `home` is the node's, and so is there as long as that is (`anchor`); `node` carries a reference
    /// for the inbox, and the right to post (`Refs::send`, or birth).
    pub(crate) unsafe fn post(home: *const Home, node: NonNull<Node>) -> Result<(), Refused> {
        // SAFETY: there, since the node's reference is ours still when this is called.
        let hold = || unsafe {
            Arc::increment_strong_count(home);
            Arc::from_raw(home)
        };
        // A ring that failed left the sleeper asleep, and an inbox that looks as if it were awake.
        // SAFETY: there, as above.
        let unheard = unsafe { (*home).is_deaf() }.then(hold);
        // SAFETY: there until the post, and `push` touches nothing after it. The node's promises
        // are the caller's.
        if let Some(home) = unsafe { (*home).inbox.push(node, hold) }?.or(unheard) {
            home.ring();
        }
        Ok(())
    }

    pub(super) fn ring(&self) {
        // The parent's loop must not notice what its child does.
        if self.is_inherited() {
            return;
        }
        if let Err(error) = self.summons.call() {
            // Never silent: a wake that is lost is a loop that hangs.
            report_to_stderr(&ExceptionContext::new(format!(
                "cannot wake the event loop {}, and try again with the next wake: {error}",
                self.id.get()
            )));
        }
    }

    /// Whether the last ring failed: sleeps are short then.
    pub(crate) fn is_deaf(&self) -> bool {
        self.summons.went_unheard()
    }

    /// Whether another thread has a way here.
    pub(crate) fn is_tied(&self) -> bool {
        self.ties.load(Ordering::Acquire) > 0
    }

    pub(crate) fn blocking_jobs(&self) -> usize {
        self.blocking.load(Ordering::Acquire)
    }

    /// How many writes are not over, and a number that changes while they go on.
    pub(crate) fn writes(&self) -> (usize, usize) {
        (self.writes.load(Ordering::Acquire), self.reads.load(Ordering::Relaxed))
    }

    pub(crate) fn write_began(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn write_progressed(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    /// It still counts as a job until `blocking_ended`.
    pub(crate) fn write_ended(&self) {
        self.writes.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn blocking_began(&self) {
        self.blocking.fetch_add(1, Ordering::Relaxed);
    }

    /// The job is over, and has delivered what it had. True: it was the last.
    pub(crate) fn blocking_ended(&self) -> bool {
        self.blocking.fetch_sub(1, Ordering::AcqRel) == 1
    }
}

/// A home as its own thread has it.
#[derive(Clone)]
pub(crate) struct LocalHome {
    home: Arc<Home>,
    _unsend: PhantomData<*const ()>,
}

impl Deref for LocalHome {
    type Target = Arc<Home>;

    fn deref(&self) -> &Arc<Home> {
        &self.home
    }
}

impl LocalHome {
    pub(crate) fn new(name: Option<String>, owner: ThreadId, clock: ClockKind, bell: Bell) -> Self {
        let local = Local {
            ready: Ready::default(),
            first: Cell::new(None),
            last: Cell::new(None),
            current: Cell::new(None),
            outside: Cell::new(std::ptr::null()),
            phase: Cell::new(Phase::Open),
            root: Cell::new(None),
            attention: Attention::default(),
            debug: Cell::new(false),
            children: Cell::new(0),
            waits_outside: Cell::new(false),
            hosted: Cell::new(false),
            late: RefCell::new(Vec::new()),
            counts: Counts::default(),
            tries: Tries::default(),
            ids: TaskIds::default(),
            spares: Spares::default(),
            pins: Pins::default(),
            keeper: Cell::new(None),
        };
        let home = Arc::new(Home {
            id: LoopId::next(),
            name: name.map(String::into_boxed_str),
            forks: sys::forks(),
            owner,
            clock,
            inbox: Inbox::default(),
            summons: Summons::by(bell),
            running: AtomicBool::new(false),
            blocking: AtomicUsize::new(0),
            jobs: Places::default(),
            writes: AtomicUsize::new(0),
            reads: AtomicUsize::new(0),
            ties: AtomicUsize::new(0),
            local,
        });
        LocalHome { home, _unsend: PhantomData }
    }

    /// # Safety
    /// On the owner's thread.
    pub(crate) unsafe fn assume(home: Arc<Home>) -> Self {
        LocalHome { home, _unsend: PhantomData }
    }

    /// The running loop's, if one runs here.
    pub(crate) fn running() -> Option<Self> {
        LocalHome::with_running(LocalHome::clone)
    }

    /// Calls `f` with the running loop's, if one runs here, without counting a reference.
    #[inline]
    pub(crate) fn with_running<R>(f: impl FnOnce(&LocalHome) -> R) -> Option<R> {
        let home = current::running().cast::<Home>();
        if home.is_null() {
            return None;
        }
        // SAFETY: a running loop's home is an `Arc`'s, on its own thread. Its run keeps it alive, and
        // does not end while `f` runs: the reference that is borrowed here, and never dropped, is
        // the run's.
        let home = ManuallyDrop::new(unsafe { LocalHome::assume(Arc::from_raw(home)) });
        Some(f(&home))
    }

    #[inline]
    pub(crate) fn local(&self) -> &Local {
        &self.home.local
    }

    pub(crate) fn take_in(&self) {
        // SAFETY: a `LocalHome` is on the owner's thread.
        unsafe { self.home.take_in() }
    }

    /// Puts what is ready into the order that `arrange` finds for it; what that returns is how many of
    /// the first are to run. Something is ready.
    pub(crate) fn rearrange(&self, arrange: impl FnOnce(&mut [Entry]) -> usize) -> Arranged {
        let ready = &self.local().ready;
        let nodes = std::iter::from_fn(|| ready.pop());
        // SAFETY: what is in the ready queue is a header the loop holds; on the owner's thread.
        let id = |node: NonNull<Node>| unsafe { node.cast::<Header>().as_ref().id };
        let mut entries: Vec<_> =
            nodes.map(|node| Entry { node, id: id(node), put_off: 0 }).collect();
        let count = arrange(&mut entries);
        let (until, last) = (entries[count - 1].node, entries[entries.len() - 1].node);
        for entry in entries {
            // SAFETY: popped above, so in no list; valid, by the promise of the first push, because
            // nobody was told of the pop. An entry cannot be made or copied elsewhere.
            unsafe { ready.push(entry.node) };
        }
        Arranged { count, until, last }
    }

    /// Whether the main future of a run is on this loop, and not done.
    pub(crate) fn awaits_main(&self) -> bool {
        // SAFETY: a root is alive while it is one: the loop holds it.
        self.local().root.get().is_some_and(|root| unsafe { !root.as_ref().has(state::DONE) })
    }

    pub(crate) fn park(&self) -> bool {
        self.home.inbox.park()
    }

    /// The loop is about to rest: memory that it has no use for goes back.
    pub(crate) fn trim(&self) {
        self.local().spares.trim();
    }

    /// The loop is closed: all memory that waits for tasks goes back.
    pub(crate) fn clear_spares(&self) {
        self.local().spares.clear();
    }

    pub(crate) fn unpark(&self) {
        if !self.home.is_quiet() {
            self.home.inbox.unpark();
        }
    }

    /// The current task, if it is one to the eyes of users.
    pub(crate) fn current_task(&self) -> Option<TaskRef> {
        let header = self.local().current.get()?;
        // SAFETY: what is current is alive while it is, see `Local::current`.
        let is_task = unsafe { !header.as_ref().has(CALLBACK) };
        // SAFETY: as above.
        is_task.then(|| unsafe { TaskRef::share(header) })
    }

    /// The tasks that are not done, in order of creation.
    pub(crate) fn live_tasks(&self) -> Vec<TaskRef> {
        self.take_in();
        let mut tasks = Vec::with_capacity(self.local().counts.alive());
        let mut next = self.local().first.get();
        while let Some(header) = next {
            // SAFETY: what is in the list is alive: the loop holds it.
            let task = unsafe { TaskRef::share(header) };
            next = task.next_live();
            tasks.push(task);
        }
        tasks
    }

    pub(crate) fn first_live(&self) -> Option<TaskRef> {
        // SAFETY: what is in the list is alive: the loop holds it.
        self.local().first.get().map(|header| unsafe { TaskRef::share(header) })
    }

    /// From here on nothing is taken from other threads; what they had posted is taken in.
    pub(crate) fn close_inbox(&self) {
        for node in self.home.inbox.close() {
            // SAFETY: as in `sort_mail`.
            unsafe { life::arrive(node.cast(), self.local()) }
        }
    }

    pub(crate) fn remove_bell(&self) -> Option<Bell> {
        self.home.summons.remove_bell()
    }

    /// In a forked child, where the thread that held the lock may not be: the bell is left open then.
    pub(crate) fn remove_inherited_bell(&self) {
        self.home.summons.remove_inherited_bell();
    }

    /// Whom to wake from now on for a loop that sleeps: its host, or with `None` the loop itself.
    pub(crate) fn sleep_at(&self, host: Option<&Waker>) {
        self.home.summons.sleep_at(host);
    }

    /// Names who hears of errors; `None` as the engine goes.
    ///
    /// # Safety
    /// `keeper` stays valid until another is set.
    pub(crate) unsafe fn set_keeper(&self, keeper: Option<NonNull<dyn Keeper>>) {
        self.local().keeper.set(keeper);
    }
}

impl Local {
    /// Runs the first entry of the ready queue, and says which that was: not to be followed.
    #[inline]
    pub(crate) fn run_next(&self) -> Option<NonNull<Node>> {
        let node = self.ready.pop()?;
        // SAFETY: what is in the ready queue is a header the loop holds; a `Local` is reached on the
        // owner's thread only.
        unsafe { life::run(node.cast(), self) };
        Some(node)
    }

    /// No task is being polled any more.
    #[inline]
    pub(crate) fn leave_task(&self) {
        self.current.set(None);
    }

    pub(crate) fn debug(&self) -> bool {
        self.debug.get()
    }

    pub(crate) fn keeper(&self) -> Option<NonNull<dyn Keeper>> {
        self.keeper.get()
    }

    pub(crate) fn report(&self, context: ExceptionContext) {
        // SAFETY: valid until another is set, by `set_keeper`'s promise.
        let keeper = self.keeper.get().and_then(|keeper| unsafe { keeper.as_ref().share() });
        match keeper {
            Some(keeper) => keeper.report(context),
            None => report_to_stderr(&context),
        }
    }

    pub(crate) fn stepped(&self, step: Step, took: Duration) {
        self.with_keeper(|keeper| keeper.stepped(step, took));
    }

    /// For what runs no code of the user's.
    pub(super) fn with_keeper<R>(&self, f: impl FnOnce(&dyn Keeper) -> R) -> Option<R> {
        // SAFETY: as above; what runs no code of the user's does not take its keeper away.
        self.keeper.get().map(|keeper| f(unsafe { keeper.as_ref() }))
    }
}

/// The last resort: a line on standard error, and no panic where that is closed. In one piece, so that
/// what several processes have to say does not mix.
pub(crate) fn report_to_stderr(context: &dyn std::fmt::Display) {
    use io::Write as _;
    let line = format!("loopbind: {context}\n");
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
