//! What every task has, whatever its future: the head of its one allocation.

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::Waker;
use std::time::Duration;

use super::anchor::{self, Anchor};
use super::birth::post_callback;
use super::cold;
use super::context::Context;
use super::custody;
use super::error::ExceptionContext;
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
    // From here on the owner's thread alone, and whoever frees. The number of its polls is in `refs`, where
    // there is room: see `Refs::beside`.
    pub(super) state: Cell<State>,
    /// How far before its own number its maker's is; zero: it has none, or `Cold` knows.
    parent: i32,
    pub(super) previous: Cell<Option<NonNull<Header>>>,
    pub(super) next: Cell<Option<NonNull<Header>>>,
    /// Who awaits the outcome.
    pub(super) waiter: Cell<Option<Waker>>,
    pub(super) cold: cold::Slot,
    pub(super) id: TaskId,
    pub(super) spawned_at: &'static Location<'static>,
}

// 112: two lines of the cache with a future of sixteen bytes, or an outcome of that size. A checker's words in `Refs`
// are larger; those of std make it 16.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Header>() == 96 + size_of::<Refs>());

impl Header {
    /// Of a task of which there is nothing yet but what is said here.
    #[inline]
    pub(super) fn new(
        vtable: &'static Vtable,
        home: Anchor,
        id: TaskId,
        refs: Refs,
        state: State,
        place: &'static Location<'static>,
    ) -> Self {
        Header {
            node: Node::default(),
            vtable,
            refs,
            home,
            state: Cell::new(state),
            parent: 0,
            previous: Cell::new(None),
            next: Cell::new(None),
            waiter: Cell::new(None),
            cold: cold::Slot::default(),
            id,
            spawned_at: place,
        }
    }

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
        debug_assert!(self.previous.get().is_none() && self.next.get().is_none());
        self.id = id;
        self.parent = 0;
        self.spawned_at = place;
    }

    pub(super) fn christen(&self, name: String) {
        self.with_cold(|cold| cold.name = Some(name.into()));
    }

    /// Says whose child it is, before anybody asks.
    #[inline]
    pub(super) fn descend_from(&mut self, parent: TaskId) {
        match self.id.distance_from(parent) {
            Some(distance) => self.parent = distance,
            None => self.descend_from_afar(parent),
        }
    }

    #[cold]
    fn descend_from_afar(&mut self, parent: TaskId) {
        self.parent = 0;
        self.with_cold(|cold| cold.far_parent = Some(parent));
    }

    fn parent(&self) -> Option<TaskId> {
        match self.parent {
            0 => self.if_cold(|cold| cold.far_parent).flatten(),
            distance => self.id.before(distance),
        }
    }

    /// One more poll.
    #[inline]
    pub(super) fn count_poll(&self) {
        let polls = &self.refs.beside;
        polls.set(polls.get().wrapping_add(1));
        if polls.get() == 0 {
            self.carry_polls();
        }
    }

    #[cold]
    fn carry_polls(&self) {
        self.with_cold(|cold| cold.former_polls += 1 << u32::BITS);
    }

    fn polls(&self) -> u64 {
        u64::from(self.refs.beside.get()) + self.if_cold(|cold| cold.former_polls).unwrap_or(0)
    }

    /// Whether it is the task that is being polled.
    fn is_current(&self) -> bool {
        // SAFETY: who asks has read the state, which is the owner's thread's.
        let local = unsafe { self.home.local() };
        local.current.get() == Some(NonNull::from(self))
    }

    pub(super) fn info(&self) -> TaskInfo {
        let known = self.if_cold(|cold| (cold.name.as_deref().map(str::to_owned), cold.busy));
        let (name, busy) = known.unwrap_or_default();
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
            parent: self.parent(),
            spawned_at: self.spawned_at,
            state: doing,
            polls: self.polls(),
            busy,
        }
    }

    pub(super) fn context(&self) -> Option<Context> {
        self.if_cold(|cold| cold.context.clone()).flatten()
    }

    /// Has it run in `context` from its next step on.
    pub(super) fn adopt(&self, context: Context) {
        let former = self.with_cold(|cold| cold.context.replace(context));
        self.set(state::CONTEXT);
        drop(former);
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
        self.listeners() > 0
    }

    /// How many futures wait for it to be asked, each with a reference.
    pub(super) fn listeners(&self) -> usize {
        self.head().if_cold(|cold| cold.listeners.len()).unwrap_or(0)
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::time::Duration;

    use crate::EventLoop;
    use crate::ids::TaskId;

    #[test]
    fn polls_are_counted_beyond_what_has_room_in_a_header() {
        let event_loop = EventLoop::new().unwrap();
        let task = event_loop.create_task(pending::<()>());
        task.task_ref().head().refs.beside.set(u32::MAX - 1);
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(task.info().polls, u64::from(u32::MAX));
        let woken = event_loop.create_task(async {});
        woken.task_ref().head().refs.beside.set(u32::MAX);
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        assert_eq!(woken.info().polls, 1 << 32);
    }

    #[test]
    fn a_parent_may_be_any_number_away() {
        let event_loop = EventLoop::new().unwrap();
        let first = TaskId::next();
        let task = event_loop.create_task(pending::<()>());
        let near = [first, TaskId::next()];
        let far = [
            task.id().before(i32::MIN),
            task.id().before(i32::MIN).and_then(|id| id.before(-1)),
            task.id().before(i32::MIN).and_then(|id| id.before(i32::MIN)),
        ];
        for parent in near.into_iter().chain(far.into_iter().flatten()) {
            // SAFETY: alive by the handle, and nobody else looks at it meanwhile.
            unsafe { task.task_ref().header().as_mut().descend_from(parent) };
            assert_eq!(task.info().parent, Some(parent));
        }
    }
}
