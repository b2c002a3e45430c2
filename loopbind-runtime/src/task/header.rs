//! What every task has, whatever its future: the head of its one allocation.

use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Duration;

use super::anchor::{self, Anchor};
use super::birth::post_callback;
use super::cancelled::Listeners;
use super::context::Context;
use super::custody;
use super::error::ExceptionContext;
use super::grace::Grace;
use super::home::Local;
use super::info::{TaskInfo, TaskState};
use super::life;
use super::raw::Vtable;
use super::refs::{Errand, Refs};
use super::state::{self, State};
use crate::ids::TaskId;
use crate::ready::Node;

#[repr(C)]
pub(crate) struct Header {
    /// First, so that a node of the ready list or the inbox is its task. One of its links is the owner's,
    /// the other whose post it is.
    pub(super) node: Node,
    pub(super) vtable: &'static Vtable,
    /// Its shared part is anybody's, its own the owner's.
    pub(super) refs: Refs,
    pub(super) home: Anchor,
    // From here on the owner's thread alone, and whoever frees.
    pub(super) state: Cell<State>,
    /// Its wakers, and other references, that are kept by what cannot leave this thread: see `sync::Tally`.
    pub(super) kept: Cell<u32>,
    pub(super) polls: Cell<u64>,
    pub(super) previous: Cell<Option<NonNull<Header>>>,
    pub(super) next: Cell<Option<NonNull<Header>>>,
    /// Who awaits the outcome.
    pub(super) waiter: Cell<Option<Waker>>,
    pub(super) cold: RefCell<Option<Box<Cold>>>,
    pub(super) id: TaskId,
    pub(super) parent: Option<TaskId>,
    pub(super) spawned_at: &'static Location<'static>,
}

/// What few tasks have.
#[derive(Default)]
pub(super) struct Cold {
    pub(super) name: Option<Box<str>>,
    pub(super) callbacks: Vec<TaskRef>,
    /// How many callbacks were there before the waiter came: CB-27 wakes in order of registration.
    pub(super) before_waiter: usize,
    pub(super) listeners: Listeners,
    /// Listeners that were told and have not said so to the task yet.
    pub(super) unheard: usize,
    pub(super) grace: Grace,
    pub(super) busy: Duration,
    /// Its own, once it has inherited or set anything. A root has none: see `Local::outside`.
    pub(super) context: Option<Context>,
}

impl Header {
    pub(super) fn has(&self, bits: State) -> bool {
        self.state.get() & bits != 0
    }

    pub(super) fn set(&self, bits: State) {
        self.state.set(self.state.get() | bits);
    }

    pub(super) fn clear(&self, bits: State) {
        self.state.set(self.state.get() & !bits);
    }

    /// Makes the header that of another task of the same home. The one it had is over, and nobody
    /// has it, waits for it or knows it by name: the links and the rest are as new.
    pub(super) fn renew(
        &mut self,
        id: TaskId,
        refs: Refs,
        state: State,
        place: &'static Location<'static>,
    ) {
        self.refs = refs;
        self.state.set(state | self.state.get() & state::KEEPS);
        self.polls.set(0);
        self.id = id;
        self.parent = None;
        self.spawned_at = place;
    }

    /// Whether it is the task that is being polled.
    fn is_current(&self) -> bool {
        // SAFETY: who asks has read the state, which is the owner's thread's.
        let local = unsafe { self.home.local() };
        local.current.get() == Some(NonNull::from(self))
    }

    pub(super) fn info(&self) -> TaskInfo {
        let (name, busy) = match &*self.cold.borrow() {
            Some(cold) => (cold.name.as_deref().map(str::to_owned), cold.busy),
            None => (None, Duration::ZERO),
        };
        let state = self.state.get();
        let doing = if state & state::DONE != 0 {
            TaskState::Finished
        } else if state & state::CANCEL == 0 && self.is_current() {
            TaskState::Running
        } else if state & (state::CANCEL | state::TOLD) != 0 {
            TaskState::Cancelling
        } else if state & state::SCHEDULED != 0 {
            TaskState::Ready
        } else {
            TaskState::Waiting
        };
        TaskInfo {
            id: self.id,
            name,
            parent: self.parent,
            spawned_at: self.spawned_at,
            state: doing,
            polls: self.polls.get(),
            busy,
        }
    }

    pub(super) fn context(&self) -> Option<Context> {
        self.cold.borrow().as_ref()?.context.clone()
    }

    /// Has it run in `context` from its next step on.
    pub(super) fn adopt(&self, context: Context) {
        let former = self.with_cold(|cold| cold.context.replace(context));
        self.set(state::CONTEXT);
        drop(former);
    }

    pub(super) fn with_cold<R>(&self, f: impl FnOnce(&mut Cold) -> R) -> R {
        f(self.cold.borrow_mut().get_or_insert_default())
    }
}

/// A reference to a task, on its loop's thread.
pub(crate) struct TaskRef {
    header: NonNull<Header>,
}

impl TaskRef {
    /// # Safety
    /// On the owner's thread; the reference is the caller's to give.
    pub(super) unsafe fn own(header: NonNull<Header>) -> Self {
        TaskRef { header }
    }

    /// # Safety
    /// On the owner's thread; `header` is alive.
    pub(super) unsafe fn share(header: NonNull<Header>) -> Self {
        // SAFETY: alive.
        unsafe { header.as_ref().refs.add_own() };
        TaskRef { header }
    }

    pub(super) fn header(&self) -> NonNull<Header> {
        self.header
    }

    /// Gives the reference away.
    pub(super) fn into_header(self) -> NonNull<Header> {
        ManuallyDrop::new(self).header
    }

    pub(super) fn head(&self) -> &Header {
        // SAFETY: alive while a reference is held.
        unsafe { self.header.as_ref() }
    }

    pub(super) fn local(&self) -> &Local {
        // SAFETY: a `TaskRef` is on the owner's thread.
        unsafe { self.head().home.local() }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.head().id
    }

    pub(crate) fn info(&self) -> TaskInfo {
        self.head().info()
    }

    pub(crate) fn is_done(&self) -> bool {
        self.head().has(state::DONE)
    }

    /// Whether it was meant to run on after whoever started it.
    pub(crate) fn is_detached(&self) -> bool {
        self.head().has(state::DETACHED)
    }

    /// Whether a request to end would be told to it.
    pub(crate) fn is_listening(&self) -> bool {
        self.head().cold.borrow().as_ref().is_some_and(|cold| !cold.listeners.is_empty())
    }

    /// How many futures wait for it to be asked, each with a reference.
    pub(super) fn listeners(&self) -> usize {
        self.head().cold.borrow().as_ref().map_or(0, |cold| cold.listeners.len())
    }

    /// Whether it was told that it is to end.
    pub(crate) fn was_told(&self) -> bool {
        self.head().has(state::TOLD)
    }

    pub(super) fn next_live(&self) -> Option<NonNull<Header>> {
        self.head().next.get()
    }

    /// Asks the task to end; true if it was not done. In a forked child it is the parent's: left alone.
    pub(crate) fn cancel(&self) -> bool {
        self.end(state::CANCEL)
    }

    /// Asks the task to end, unless it was told and is cleaning up: it is left to that. One that listens
    /// again is through with it, and is asked. True: it has heard of this, or will.
    pub(crate) fn cancel_once(&self) -> bool {
        let head = self.head();
        if head.has(state::CANCEL) {
            return true;
        }
        (!head.has(state::TOLD) || self.is_listening()) && self.cancel()
    }

    /// The same, without a say.
    pub(crate) fn abort(&self) -> bool {
        self.end(state::CANCEL | state::ABORT)
    }

    fn end(&self, bits: State) -> bool {
        let head = self.head();
        if head.has(state::DONE) || head.home.is_inherited() {
            return false;
        }
        head.set(bits);
        // SAFETY: a `TaskRef` is on the owner's thread, and so is its home's half.
        unsafe { life::schedule(self.header, head.home.local()) };
        true
    }

    /// Tells its loop's exception handler of something that went wrong in it.
    pub(crate) fn report(&self, context: ExceptionContext) {
        self.local().report(context.of(self.info()));
    }

    /// A callback's closure is dropped now, unrun.
    pub(crate) fn retract(&self) {
        // SAFETY: on the owner's thread, with a reference in hand.
        unsafe { life::retract(self.header) };
    }

    /// A reference other threads may have.
    pub(crate) fn remote(&self) -> RemoteRef {
        let head = self.head();
        head.set(state::REMOTE);
        if head.has(state::DONE) {
            head.refs.end();
            // Before the merge, after which anybody may free.
            // SAFETY: a `TaskRef` is on the owner's thread.
            unsafe { anchor::keep(head) };
            head.refs.merge();
        }
        head.refs.add();
        RemoteRef { header: self.header, id: head.id }
    }
}

impl Clone for TaskRef {
    fn clone(&self) -> Self {
        // SAFETY: on the owner's thread, and alive.
        unsafe { TaskRef::share(self.header) }
    }
}

impl Drop for TaskRef {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and is not used again; a `TaskRef` is on the owner's thread.
        unsafe { custody::release_own(self.header) };
    }
}

/// A reference that is kept for as long as its task lives, and is counted: see `Header::kept`.
pub(crate) struct KeptTask(TaskRef);

impl KeptTask {
    pub(crate) fn new(task: TaskRef) -> Self {
        let kept = &task.head().kept;
        kept.set(kept.get().wrapping_add(1));
        KeptTask(task)
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.0.clone()
    }
}

impl Drop for KeptTask {
    fn drop(&mut self) {
        let kept = &self.0.head().kept;
        kept.set(kept.get().wrapping_sub(1));
    }
}

impl PartialEq for TaskRef {
    fn eq(&self, other: &Self) -> bool {
        self.header == other.header
    }
}

/// A reference to a task, on any thread: good for asking it to end, and whether it did.
pub(crate) struct RemoteRef {
    header: NonNull<Header>,
    id: TaskId,
}

// SAFETY: elsewhere it touches of a header the shared part of `refs`, which is atomic, and `home`, which
// never changes and is there as long as the header is (`anchor`). What is the owner's, its part of `refs`
// among it, it touches where the home's loop runs, which is on the owner's thread (`at_home`). It is given up
// in the shared part, and who gives up the last there has acquired what all others did, and finds nothing of
// the user's: the end of a task, before which none is the last, has emptied it at home.
unsafe impl Send for RemoteRef {}
// SAFETY: as for `Send`.
unsafe impl Sync for RemoteRef {}

impl RemoteRef {
    /// # Safety
    /// The reference is the caller's to give; the task is `REMOTE`, and `id` its number.
    pub(super) unsafe fn own(header: NonNull<Header>, id: TaskId) -> Self {
        RemoteRef { header, id }
    }

    pub(crate) fn id(&self) -> TaskId {
        self.id
    }

    fn home(&self) -> &Anchor {
        // SAFETY: alive while a reference is held; the home never changes.
        unsafe { &self.header.as_ref().home }
    }

    /// Whether it is the task that is being polled here.
    pub(crate) fn is_current(&self) -> bool {
        self.home().at_home().is_some_and(|local| local.current.get() == Some(self.header))
    }

    pub(crate) fn is_over(&self) -> bool {
        // SAFETY: alive while a reference is held.
        unsafe { self.header.as_ref().refs.is_over() }
    }

    /// The task as its own thread has it, where its loop runs here.
    fn at_home(&self) -> Option<TaskRef> {
        self.home().at_home()?;
        // SAFETY: alive while a reference is held; a loop runs on its owner's thread.
        Some(unsafe { TaskRef::share(self.header) })
    }

    /// Asks the task to end; true if it was not over. In a forked child it is the parent's: left alone.
    pub(crate) fn cancel(&self) -> bool {
        self.ask(Errand::Cancel)
    }

    /// The same, without a say.
    pub(crate) fn abort(&self) -> bool {
        self.ask(Errand::Abort)
    }

    fn ask(&self, errand: Errand) -> bool {
        if self.is_over() || self.home().is_inherited() {
            return false;
        }
        match (self.at_home(), errand) {
            (Some(task), Errand::Abort) => task.abort(),
            (Some(task), _) => task.cancel(),
            (None, errand) => {
                // SAFETY: alive while a reference is held.
                unsafe { custody::post_shared(self.header, errand) };
                true
            }
        }
    }

    /// As `TaskRef::cancel_within`; from elsewhere the time counts from when the loop hears of it.
    #[track_caller]
    pub(crate) fn cancel_within(&self, grace: Duration) -> bool {
        if self.is_over() || self.home().is_inherited() {
            return false;
        }
        if let Some(task) = self.at_home() {
            return task.cancel_within(grace);
        }
        let task = self.clone();
        // Refused: the loop is closed, and the task is over, or about to be.
        let _ = post_callback(&self.home().share(), move || {
            if let Some(task) = task.at_home() {
                task.cancel_within(grace);
            }
        });
        true
    }
}

impl Clone for RemoteRef {
    fn clone(&self) -> Self {
        // SAFETY: alive while a reference is held.
        unsafe { self.header.as_ref().refs.add() };
        RemoteRef { header: self.header, id: self.id }
    }
}

impl PartialEq for RemoteRef {
    fn eq(&self, other: &Self) -> bool {
        // An address means one task for as long as anybody refers to it.
        self.header == other.header
    }
}

impl Drop for RemoteRef {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and is not used again.
        unsafe { custody::release(self.header) };
    }
}
