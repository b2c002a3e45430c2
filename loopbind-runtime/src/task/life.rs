//! What happens to a task, from the ready queue to its end. The arrows of `state` are the functions
//! here.
//!
//! Every function is `unsafe` for one reason: it must be called on the owner's thread, with a
//! header that is alive. The exceptions say so. No borrow of ours is held while code of the user's
//! runs: futures, outputs, wakers, and what their destructors call.

use std::ptr::NonNull;
use std::task::Waker;
use std::time::Instant;

use super::custody;
use super::error::{ExceptionContext, TaskError};
use super::grace;
use super::header::{Header, TaskRef};
use super::home::{Local, Step, increment};
use super::raw::{Polled, Spill};
use super::refs::Errand;
use super::remains::{discard_outcome, drop_context, within_its_own};
use super::span;
use super::state::{
    ABORT, CALLBACK, CALLED, CANCEL, COLD, CONTEXT, DONE, FAILED, FUTURE, HANDLE, NEW, OUTCOME,
    REMOTE, ROOT, SCHEDULED, State, TOLD, TRACED,
};
use super::waker;
use crate::attention::Matter;
use crate::panic::{PanicPayload, caught};

/// Puts the task at the end of the ready queue, unless it is there or over.
#[inline]
pub(super) unsafe fn schedule(header: NonNull<Header>, local: &Local) {
    const NO: u32 = DONE | SCHEDULED;
    // SAFETY: alive, and on the owner's thread.
    unsafe {
        let head = header.as_ref();
        if head.has(NO) {
            return;
        }
        if !head.home.is_quiet() {
            return schedule_after_mail(header, local);
        }
        head.set(SCHEDULED);
        local.ready.push(header.cast());
    }
}

/// What other threads posted before goes first, this very task perhaps.
#[cold]
#[inline(never)]
unsafe fn schedule_after_mail(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive, and on the owner's thread.
    unsafe {
        let head = header.as_ref();
        head.home.take_in();
        if !head.has(DONE | SCHEDULED) {
            head.set(SCHEDULED);
            local.ready.push(header.cast());
        }
    }
}

/// A post of another thread's is taken in; its reference is ours now.
pub(super) unsafe fn arrive(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive by the post's reference, and on the owner's thread.
    unsafe {
        let head = header.as_ref();
        let errand = head.refs.arrive();
        increment(&local.counts.remote_wakes);
        match errand {
            Errand::Wake => {}
            Errand::Cancel => head.set(CANCEL),
            Errand::Abort => head.set(CANCEL | ABORT),
        }
        if head.has(NEW) {
            // The post's reference becomes the loop's.
            head.clear(NEW);
            enlist(header, local);
            local.ready.push(header.cast());
            return;
        }
        if !head.has(DONE | SCHEDULED) {
            head.set(SCHEDULED);
            local.ready.push(header.cast());
        }
        custody::release_own(header);
    }
}

/// Born: the task is one of the loop's from here on. The caller queues it.
pub(super) unsafe fn enlist(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive, and on the owner's thread; so is the last of the list.
    unsafe {
        let head = header.as_ref();
        head.set(SCHEDULED);
        if !head.has(CALLBACK) {
            list(header, local);
        }
    }
}

/// The same of a task whose state says that it is queued.
#[inline]
pub(super) unsafe fn list(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive, and on the owner's thread; so is the last of the list.
    unsafe {
        let head = header.as_ref();
        let last = local.last.replace(Some(header));
        head.previous.set(last);
        match last {
            Some(last) => last.as_ref().next.set(Some(header)),
            None => local.first.set(Some(header)),
        }
        increment(&local.counts.spawned);
    }
}

unsafe fn delist(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive, and so are its neighbours: the loop holds what is in the list.
    unsafe {
        let head = header.as_ref();
        let (previous, next) = (head.previous.take(), head.next.take());
        match previous {
            Some(previous) => previous.as_ref().next.set(next),
            None => local.first.set(next),
        }
        match next {
            Some(next) => next.as_ref().previous.set(previous),
            None => local.last.set(previous),
        }
        increment(&local.counts.ended);
    }
}

/// One step of what was popped from the ready queue.
#[inline]
pub(super) unsafe fn run(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive by the loop's reference, and on the owner's thread.
    unsafe {
        let state = header.as_ref().state.get();
        if state & (DONE | CANCEL | CALLBACK | TRACED) != 0 || local.debug.get() {
            return run_with_care(header, local);
        }
        begin_poll(header, local, state);
        // Nothing of the user's runs between a pending poll and the next entry, which is the current
        // one then.
        match poll_on(header) {
            Polled::Pending => {}
            polled => settle(header, local, polled),
        }
    }
}

/// The same for whatever is more than a poll: callbacks, ends, spans, and debug mode.
#[inline(never)]
unsafe fn run_with_care(header: NonNull<Header>, local: &Local) {
    // SAFETY: as `run`.
    unsafe {
        let head = header.as_ref();
        if head.has(DONE | CANCEL) && !is_to_be_polled(header, local) {
            return;
        }
        let began = local.debug.get().then(Instant::now);
        let polled = match head.has(CALLBACK) {
            true => call(header, local),
            false => poll_within_span(header, local),
        };
        if let Some(began) = began {
            clock_step(head, local, began);
        }
        match polled {
            Polled::Pending => {}
            polled => settle(header, local, polled),
        }
    }
}

/// `state` is the task's, which whoever runs it has just looked at.
#[inline(always)]
unsafe fn begin_poll(header: NonNull<Header>, local: &Local, state: State) {
    // SAFETY: as `run`.
    let head = unsafe { header.as_ref() };
    // Cleared before the poll, so that a wake during it schedules again.
    head.state.set(state & !SCHEDULED);
    local.tries.step.set(0);
    increment(&local.counts.polls);
    head.count_poll();
    local.current.set(Some(header));
}

#[inline(always)]
unsafe fn poll_on(header: NonNull<Header>) -> Polled {
    // SAFETY: as `run`.
    unsafe {
        let waker = waker::borrowed(&header);
        (header.as_ref().vtable.poll)(header, &mut std::task::Context::from_waker(&waker))
    }
}

/// The same within the task's span, if it has one. What the subscriber asks for as it is told is asked for during the
/// poll: it has begun by then, and is not over.
unsafe fn poll_within_span(header: NonNull<Header>, local: &Local) -> Polled {
    // SAFETY: as `run`.
    unsafe {
        begin_poll(header, local, header.as_ref().state.get());
        span::within(header.as_ref(), local, || poll_on(header))
    }
}

unsafe fn call(header: NonNull<Header>, local: &Local) -> Polled {
    // SAFETY: as `run`.
    unsafe {
        let head = header.as_ref();
        local.tries.step.set(0);
        head.clear(SCHEDULED);
        head.set(CALLED);
        increment(&local.counts.callbacks);
        local.current.set(Some(header));
        poll_on(header)
    }
}

/// The future is gone, and its outcome stored.
///
/// Most tasks end like this: with a value that somebody may want, and nothing about them that asks for more.
#[inline(never)]
unsafe fn settle(header: NonNull<Header>, local: &Local, polled: Polled) {
    const MORE: State = CANCEL | CALLBACK | COLD | CONTEXT | REMOTE | SCHEDULED;
    local.current.set(None);
    // SAFETY: as `run`. What the waiter's waker calls cannot ask for more either: the task is done.
    unsafe {
        let head = header.as_ref();
        // All that has come to be, in one step: a chain of small ones is what the end of a task would wait for.
        let state = head.state.get() & !FUTURE | OUTCOME;
        if state & MORE != 0 || !matches!(polled, Polled::Ready(None)) {
            head.state.set(state);
            return settle_with_care(header, local, polled);
        }
        head.state.set(state | DONE);
        delist(header, local);
        if let Some(waiter) = head.waiter.take() {
            wake(waiter, local);
        }
        if !head.has(HANDLE) {
            if head.has(ROOT) {
                return local.attention.call_for(Matter::Done);
            }
            discard_outcome(header, local);
        }
        custody::settle(header);
    }
}

#[cold]
#[inline(never)]
unsafe fn settle_with_care(header: NonNull<Header>, local: &Local, polled: Polled) {
    // SAFETY: as `settle`.
    unsafe {
        let head = header.as_ref();
        let spill = match polled {
            Polled::Pending => None,
            Polled::Panicked(spill) => {
                head.set(FAILED);
                spill
            }
            Polled::Ready(spill) => {
                if head.has(CANCEL) {
                    // CAN-08: asked to end and not told, so the value is not wanted.
                    discard_outcome(header, local);
                    (head.vtable.store_error)(header, TaskError::Cancelled);
                }
                spill
            }
        };
        finish(header, local, spill);
    }
}

/// What an entry comes to that is over, or was asked to end: true, where it is to be polled all the
/// same.
#[cold]
#[inline(never)]
unsafe fn is_to_be_polled(header: NonNull<Header>, local: &Local) -> bool {
    // SAFETY: as `run`.
    unsafe {
        let head = header.as_ref();
        local.current.set(None);
        if head.has(DONE) {
            bury(header, local);
            return false;
        }
        // While the listeners are told, code of the user's runs. A request it makes is this one,
        // heard already; but an abort is more, and a listener that was dropped before it heard
        // has given its say back.
        let told = !head.has(ABORT) && tell(header, local);
        if !told || head.has(ABORT) || (head.has(CANCEL) && !head.has(TOLD)) {
            head.clear(SCHEDULED);
            drop_cancelled(header, local);
            return false;
        }
        head.clear(CANCEL);
        true
    }
}

/// A queue entry of a task that is over: nothing is left to do.
#[cold]
unsafe fn bury(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive by the loop's reference, which is given up here.
    unsafe {
        let head = header.as_ref();
        head.clear(SCHEDULED);
        if head.has(ROOT) && local.root.get() == Some(header) {
            // The reference waits for the run, which takes it as it ends: `retire_root`.
            return;
        }
        custody::settle(header);
    }
}

#[cold]
unsafe fn clock_step(head: &Header, local: &Local, began: Instant) {
    let took = began.elapsed();
    let counts = &local.counts;
    counts.busy.set(counts.busy.get() + took);
    counts.slowest.set(counts.slowest.get().max(took));
    if head.has(CALLBACK) {
        return local.stepped(Step::Callback(head.spawned_at), took);
    }
    head.with_cold(|cold| cold.busy += took);
    local.stepped(Step::Task(head.info()), took);
}

/// Tells the task's listeners that it was asked to end. False: there is none.
#[cold]
unsafe fn tell(header: NonNull<Header>, local: &Local) -> bool {
    // SAFETY: alive by the loop's reference, and on the owner's thread.
    let (head, task) = unsafe { (header.as_ref(), TaskRef::share(header)) };
    let listeners = head.if_cold(|cold| {
        cold.unheard = cold.listeners.len();
        std::mem::take(&mut cold.listeners)
    });
    let Some(listeners) = listeners else { return false };
    if listeners.is_empty() {
        return false;
    }
    head.clear(CANCEL);
    head.set(TOLD);
    task.begin_grace();
    for waker in listeners.tell() {
        wake(waker, local);
    }
    true
}

/// The end that was asked for: the future is dropped where it stands.
#[cold]
pub(super) unsafe fn drop_cancelled(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive by the loop's reference, on the owner's thread, and not in its poll.
    unsafe {
        let head = header.as_ref();
        increment(&local.counts.dropped);
        head.set(CANCEL);
        // The destructors see the task whose they are, and its context: also where another loop
        // runs, or none.
        let before = local.current.replace(Some(header));
        let dropped = within_its_own(head, local, || {
            span::within(head, local, || (head.vtable.drop_future)(header))
        });
        local.current.set(before);
        let error = match dropped {
            Ok(()) => TaskError::Cancelled,
            Err(payload) => {
                head.set(FAILED);
                TaskError::Panicked(payload)
            }
        };
        (head.vtable.store_error)(header, error);
        finish(header, local, None);
    }
}

/// Ends a task that a closing loop finds unfinished, queued or not.
pub(super) unsafe fn drop_with_loop(header: NonNull<Header>, local: &Local) {
    // SAFETY: as `drop_cancelled`.
    unsafe { drop_cancelled(header, local) }
}

/// The outcome is stored: tells whoever waits, and lets go.
unsafe fn finish(header: NonNull<Header>, local: &Local, spill: Spill) {
    // SAFETY: alive by the loop's reference, which is given up at the end.
    unsafe {
        let head = header.as_ref();
        head.set(DONE);
        if !head.has(CALLBACK) {
            delist(header, local);
        }
        if head.has(REMOTE) {
            head.refs.end();
        }
        if let Some(payload) = spill {
            let message = "exception in the destructor of a future";
            let spilled = ExceptionContext::panicked(message, payload).of(head.info());
            within_its_own(head, local, || local.report(spilled));
        }
        span::end(head, local);
        notify(head, local);
        if head.has(ROOT) {
            // Its reference waits for the run, and its outcome is worth nothing, not even the dropping.
            return local.attention.call_for(Matter::Done);
        }
        if !head.has(HANDLE) {
            discard_outcome(header, local);
        }
        if head.has(CONTEXT | SCHEDULED) {
            return linger(header, local);
        }
        custody::settle(header);
    }
}

/// Something is left to do before the task can be let go of.
#[cold]
unsafe fn linger(header: NonNull<Header>, local: &Local) {
    // SAFETY: as `finish`.
    unsafe {
        let head = header.as_ref();
        // EXH-08: a panic that somebody may leave unread is reported in its context.
        if head.has(CONTEXT) && !(head.has(HANDLE) && head.has(FAILED)) {
            drop_context(head, local);
        }
        if !head.has(SCHEDULED) {
            custody::settle(header);
        }
    }
}

/// Tells whoever waits for the task.
#[inline]
unsafe fn notify(head: &Header, local: &Local) {
    let waiter = head.waiter.take();
    if head.has(COLD) {
        grace::end(head, local);
        // SAFETY: on the owner's thread.
        unsafe { notify_in_order(head, waiter, local) }
    } else if let Some(waiter) = waiter {
        wake(waiter, local);
    }
}

/// CB-27: the waiter and the done-callbacks, in the order in which they came.
#[cold]
unsafe fn notify_in_order(head: &Header, mut waiter: Option<Waker>, local: &Local) {
    let cold = head.if_cold(|cold| (std::mem::take(&mut cold.callbacks), cold.before_waiter));
    let (callbacks, before_waiter) = cold.unwrap_or_default();
    for (position, callback) in callbacks.into_iter().enumerate() {
        if position == before_waiter {
            if let Some(waiter) = waiter.take() {
                wake(waiter, local);
            }
        }
        // SAFETY: on the owner's thread; the reference becomes the loop's.
        unsafe { queue_callback(callback, local) };
    }
    if let Some(waiter) = waiter {
        wake(waiter, local);
    }
}

/// Queues a callback; its reference becomes the loop's.
pub(super) unsafe fn queue_callback(callback: TaskRef, local: &Local) {
    if callback.head().has(DONE) {
        return;
    }
    let header = callback.into_header();
    // SAFETY: alive by the reference that was just given up, on the owner's thread.
    unsafe { schedule(header, local) }
}

/// A waker is the user's code: what it throws is reported.
#[inline]
fn wake(waker: Waker, local: &Local) {
    if let Some(waker) = waker::wake_if_ours(waker) {
        wake_another(waker, local);
    }
}

#[inline(never)]
fn wake_another(waker: Waker, local: &Local) {
    if let Err(payload) = caught(move || waker.wake()) {
        report_waker(payload, local);
    }
}

#[cold]
fn report_waker(payload: PanicPayload, local: &Local) {
    local.report(ExceptionContext::panicked("exception in a waker", payload));
}

/// Takes a callback back: its closure is dropped here and now, unless it runs or ran.
pub(super) unsafe fn retract(header: NonNull<Header>) {
    // SAFETY: alive by the caller's reference, on the owner's thread.
    unsafe {
        let head = header.as_ref();
        if head.has(DONE | CALLED) {
            return;
        }
        // Before the drop: its destructors may come here again.
        head.set(DONE);
        if let Err(payload) = (head.vtable.drop_future)(header) {
            let message =
                format!("exception in the destructor of a callback made at {}", head.spawned_at);
            let context = ExceptionContext::panicked(message, payload);
            let local = head.home.local();
            within_its_own(head, local, || local.report(context));
        }
        if head.has(CONTEXT) {
            drop_context(head, head.home.local());
        }
    }
}

/// The main future of a run goes, perhaps before it was done: so does its entry among the tasks.
pub(super) unsafe fn retire_root(header: NonNull<Header>, local: &Local) {
    // SAFETY: alive by the loop's reference, on the owner's thread.
    unsafe {
        let head = header.as_ref();
        if !head.has(DONE) {
            head.set(DONE);
            delist(header, local);
        }
        local.root.set(None);
    }
}
