//! How tasks and callbacks come into being: here, or in another thread's hands.

use std::any::Any;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Poll;

use super::Task;
use super::anchor::Anchor;
use super::context::{Context, copy_current};
use super::custody;
use super::error::TaskError;
use super::header::{Header, RemoteRef, TaskRef};
use super::home::{Home, LocalHome, Phase};
use super::life;
use super::memory;
use super::raw::{Stage, TaskCell};
use super::refs::Refs;
use super::span;
use super::state::{CALLBACK, COLD, CONTEXT, DONE, HANDLE, NEW, REMOTE, ROOT, SCHEDULED, State};
use crate::error::LoopError;
use crate::ids::TaskId;
use crate::panic::discard;
use crate::trace;

/// Who a task is to be.
pub(crate) struct Birth {
    pub(crate) name: Option<String>,
    pub(crate) place: &'static Location<'static>,
}

impl Birth {
    #[track_caller]
    pub(crate) fn here() -> Self {
        Birth { name: None, place: Location::caller() }
    }
}

/// The entry of the main future of the run that is on, in a cell for an `F`.
pub(crate) struct Root<F> {
    header: NonNull<Header>,
    _future: PhantomData<F>,
}

/// The entry of a main future whose run is over, with the reference that was the loop's.
pub(crate) struct SpareRoot<F> {
    header: NonNull<Header>,
    _future: PhantomData<(F, *const ())>,
}

impl<F> SpareRoot<F> {
    /// Whether its run left nothing behind.
    fn is_free(&self) -> bool {
        // SAFETY: alive by the reference.
        let head = unsafe { self.header.as_ref() };
        head.refs.is_unique() && !head.has(COLD)
    }

    /// Gives the reference away.
    fn into_header(self) -> NonNull<Header> {
        ManuallyDrop::new(self).header
    }
}

impl<F> Drop for SpareRoot<F> {
    fn drop(&mut self) {
        // SAFETY: made on the owner's thread, which it cannot leave; its task is over.
        unsafe { custody::settle(self.header) }
    }
}

/// A closure as a task sees it: it is taken out before it is called, so that it is gone, and may
/// take itself back, by the time it runs.
struct Call<C>(Option<C>);

// The closure is moved out, never pinned.
impl<C> Unpin for Call<C> {}

impl<C: FnOnce()> Future for Call<C> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, _cx: &mut std::task::Context<'_>) -> Poll<()> {
        if let Some(call) = self.0.take() {
            call();
        }
        Poll::Ready(())
    }
}

/// The header of a cell for an `F`, once it is told what is in the stage.
#[inline]
fn header<F: Future>(
    (home, keeps): (Anchor, State),
    id: TaskId,
    refs: Refs,
    state: State,
    birth: Birth,
) -> impl FnOnce(State) -> Header {
    move |holds| {
        let vtable = TaskCell::<F>::VTABLE;
        let header = Header::new(vtable, home, id, refs, state | keeps | holds, birth.place);
        if let Some(name) = birth.name {
            header.christen(name);
        }
        header
    }
}

/// CTX-01, CTX-03: a new task or callback gets a copy of the context that is current where it is
/// made, if there is anything in it.
#[inline(never)]
fn inherit(header: &Header) {
    let context = copy_current();
    if !context.is_empty() {
        header.adopt(Context::from(context));
    }
}

/// The same for a task, whose parent is its maker, unless that is a callback.
#[inline(never)]
fn descend(header: &mut Header, maker: Option<&Header>) {
    if let Some(maker) = maker.filter(|maker| !maker.has(CALLBACK)) {
        header.descend_from(maker.id);
    }
    inherit(header);
}

/// What becomes of something new.
enum Admission {
    Welcome,
    /// The loop is closing, or the thread unwinds: taken, and dropped.
    Late,
}

impl LocalHome {
    /// # Panics
    /// With the error's text on a closed or inherited loop, unless this thread is panicking.
    #[inline]
    #[track_caller]
    fn admit(&self) -> Admission {
        if self.local().phase.get() == Phase::Open && !self.is_inherited() {
            return Admission::Welcome;
        }
        self.admit_late()
    }

    #[cold]
    #[track_caller]
    fn admit_late(&self) -> Admission {
        let refusal = match self.local().phase.get() {
            _ if self.is_inherited() => LoopError::Forked,
            Phase::Open => return Admission::Welcome,
            Phase::Closing => return Admission::Late,
            Phase::Closed => LoopError::Closed,
        };
        if std::thread::panicking() {
            return Admission::Late;
        }
        refusal.raise()
    }

    /// What came too late is dropped after whoever is being dropped now, not inside of it: a
    /// destructor that starts a task whose destructor starts a task needs no stack that way.
    fn drop_late<V: 'static>(&self, value: V) {
        if self.local().phase.get() == Phase::Closing {
            self.local().late.borrow_mut().push(Box::new(value) as Box<dyn Any>);
        } else {
            discard(value);
        }
    }

    #[track_caller]
    pub(crate) fn spawn<F>(&self, future: F, birth: Birth) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if let Admission::Late = self.admit() {
            let task = self.stillborn::<F>(TaskError::LoopClosed, birth);
            self.drop_late(future);
            return task;
        }
        self.take_in();
        // One reference is the loop's, one the handle's.
        let id = self.local().ids.next();
        let header = header::<F>(self.anchor_open(), id, Refs::new(2), HANDLE | SCHEDULED, birth);
        let mut header = TaskCell::fill(self.local().spares.take(), header, Stage::future(future));
        // SAFETY: new, so in no list, and seen by nobody else; on the owner's thread.
        unsafe {
            match self.maker() {
                // Most are this: tasks, with nothing to inherit from.
                Some(maker) if !maker.has(CALLBACK | CONTEXT) => {
                    header.as_mut().descend_from(maker.id);
                }
                maker => descend(header.as_mut(), maker),
            }
            life::list(header, self.local());
            self.local().ready.push(header.cast());
            let task = TaskRef::own(header);
            if trace::wants_tasks() {
                span::begin(&task);
            }
            Task::new(task)
        }
    }

    /// The task or callback of this loop that is being polled: whatever is made now is its.
    #[inline]
    fn maker(&self) -> Option<&Header> {
        // SAFETY: what is current is alive while it is, see `Local::current`, and its own code is what runs.
        self.local().current.get().map(|maker| unsafe { maker.as_ref() })
    }

    /// A task that never was: over from the start, with this error. What becomes of its future is the
    /// caller's business.
    pub(crate) fn stillborn<F>(&self, error: TaskError, birth: Birth) -> Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let id = self.local().ids.next();
        let header = header::<F>(self.anchor(), id, Refs::new(1), DONE | HANDLE, birth);
        let stage = Stage::<F>::error(error);
        // SAFETY: new, with one reference, the handle's.
        Task::new(unsafe { TaskRef::own(TaskCell::fill(memory::allocate(), header, stage)) })
    }

    /// A callback that is in no queue yet.
    #[track_caller]
    pub(crate) fn callback(&self, callback: impl FnOnce() + 'static) -> TaskRef {
        let birth = Birth::here();
        if let Admission::Late = self.admit() {
            let callback_ref = self.new_callback(callback, birth, DONE | CALLBACK);
            return callback_ref;
        }
        self.new_callback(callback, birth, CALLBACK)
    }

    fn new_callback<C: FnOnce() + 'static>(&self, call: C, birth: Birth, state: State) -> TaskRef {
        let id = self.local().ids.next();
        let header = header::<Call<C>>(self.anchor(), id, Refs::new(1), state, birth);
        let stage = if state & DONE == 0 {
            Stage::future(Call(Some(call)))
        } else {
            self.drop_late(call);
            Stage::nothing()
        };
        let block = self.local().spares.take();
        // SAFETY: new, with one reference.
        let callback = unsafe { TaskRef::own(TaskCell::fill(block, header, stage)) };
        if state & DONE == 0 && self.maker().is_none_or(|maker| maker.has(CONTEXT)) {
            inherit(callback.head());
        }
        callback
    }

    /// Queues a callback behind what is ready.
    pub(crate) fn queue(&self, callback: TaskRef) {
        // SAFETY: on the owner's thread.
        unsafe { life::queue_callback(callback, self.local()) }
    }

    /// Mounts the entry of a run's main future, which stays where its caller has it: `main` finds it.
    ///
    /// `spare` is the entry of a run that is over. Where nobody else has kept it, it serves again.
    pub(crate) fn mount_root<F: Future + Unpin + 'static>(
        &self,
        main: F,
        place: &'static Location<'static>,
        spare: Option<SpareRoot<F>>,
    ) -> Root<F> {
        self.take_in();
        let id = self.local().ids.next();
        // The loop's. The run has it when it is over.
        let refs = Refs::new(1);
        let state = ROOT | SCHEDULED | if self.is_outside_empty() { 0 } else { CONTEXT };
        let header = match spare.filter(SpareRoot::is_free) {
            // SAFETY: the only reference to a cell for such a future, so that nobody else sees it
            // change. Its task is over, and nothing in the stage is pinned.
            Some(spare) => unsafe {
                let mut header = spare.into_header();
                header.as_mut().renew(id, refs, state, place);
                TaskCell::refill(header, main);
                header
            },
            None => {
                let birth = Birth { name: None, place };
                let header = header::<F>(self.anchor(), id, refs, state, birth);
                TaskCell::fill(self.local().spares.take(), header, Stage::future(main))
            }
        };
        // SAFETY: as good as new, on the owner's thread.
        unsafe {
            life::list(header, self.local());
            self.local().ready.push(header.cast());
            self.local().root.set(Some(header));
            if trace::wants_tasks() {
                span::begin(&TaskRef::share(header));
            }
        }
        Root { header, _future: PhantomData }
    }

    /// Whether nothing is ready but the main future of a run, which is done, and nothing came in. It is
    /// ready where it woke itself and was done all the same; then it is taken out.
    pub(crate) fn has_only_root(&self) -> bool {
        let ready = &self.local().ready;
        if !self.is_quiet() {
            return false;
        }
        if ready.is_empty() {
            return true;
        }
        let Some(root) = self.local().root.get() else { return false };
        if !ready.holds_only(root.cast()) {
            return false;
        }
        ready.pop();
        // SAFETY: alive by the loop's reference, which waits for the run.
        unsafe { root.as_ref() }.clear(SCHEDULED);
        true
    }

    /// Nobody has a way to the main future any more, whether it was done or not. `last` drops it, in its span.
    pub(crate) fn retire_root<F>(
        &self,
        root: Root<F>,
        last: impl FnOnce(),
    ) -> Option<SpareRoot<F>> {
        let (header, local) = (root.header, self.local());
        // SAFETY: on the owner's thread; the loop keeps a root until it is retired, which is once.
        let head = unsafe {
            life::retire_root(header, local);
            header.as_ref()
        };
        span::within(head, local, last);
        span::end(head, local);
        // The loop's reference is ours now, unless the entry still is in the ready queue.
        (!head.has(SCHEDULED)).then(|| SpareRoot { header, _future: PhantomData })
    }

    /// Ends the oldest task of a closing loop. False: there is none.
    pub(crate) fn drop_oldest(&self) -> bool {
        let Some(task) = self.first_live() else { return false };
        // SAFETY: on the owner's thread, not in a poll: a running loop does not close.
        unsafe { life::drop_with_loop(task.header(), self.local()) };
        true
    }

    /// Takes an entry out of the ready queue of a closing loop, unrun. False: there is none.
    pub(crate) fn drop_next(&self) -> bool {
        let Some(node) = self.local().ready.pop() else { return false };
        // SAFETY: what is in the ready queue is a header the loop holds. A callback's reference is
        // given up with it; a task's stays until the task is ended, and until then it counts as
        // queued nowhere.
        unsafe {
            let header = node.cast::<Header>();
            let head = header.as_ref();
            head.clear(SCHEDULED);
            if head.has(DONE) {
                custody::settle(header);
            } else if head.has(CALLBACK) {
                life::retract(header);
                custody::settle(header);
            }
        }
        true
    }
}

/// Makes a task in this thread's hands and posts it to its loop. The future must be one that may
/// travel as it is now, whatever it becomes once it was polled.
pub(crate) fn post_task<F>(
    home: &Arc<Home>,
    future: F,
    birth: Birth,
) -> Result<RemoteRef, LoopError>
where
    F: Future<Output = ()> + 'static,
{
    let refs = Refs::posted(2);
    let id = TaskId::next();
    let header = header::<F>(Anchor::with_share(home), id, refs, NEW | REMOTE, birth);
    let header = TaskCell::fill(memory::allocate(), header, Stage::future(future));
    // SAFETY: new; one reference is the inbox's, one the caller's. Refused, both are ours, and the
    // cell is dropped with what is in it, on the thread it came from.
    unsafe {
        if trace::wants_tasks() {
            span::begin_elsewhere(header.as_ref(), home.id);
        }
        match Home::post(Arc::as_ptr(home), header.cast()) {
            Ok(()) => Ok(RemoteRef::own(header, id)),
            Err(_) => {
                span::end_elsewhere(header.as_ref());
                (header.as_ref().vtable.free)(header);
                Err(LoopError::Closed)
            }
        }
    }
}

/// Posts a callback from any thread.
#[track_caller]
pub(crate) fn post_callback<C>(home: &Arc<Home>, call: C) -> Result<(), LoopError>
where
    C: FnOnce() + Send + 'static,
{
    let birth = Birth::here();
    let refs = Refs::posted(1);
    let state = NEW | CALLBACK;
    let header = header::<Call<C>>(Anchor::with_share(home), TaskId::next(), refs, state, birth);
    let header = TaskCell::fill(memory::allocate(), header, Stage::future(Call(Some(call))));
    // SAFETY: as `post_task`, with the inbox's reference alone.
    unsafe {
        Home::post(Arc::as_ptr(home), header.cast()).map_err(|_| {
            (header.as_ref().vtable.free)(header);
            LoopError::Closed
        })
    }
}
