//! The one allocation of a task: its header, then its future, then, in the same place, its outcome.

use std::any::Any;
use std::cell::UnsafeCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::anchor;
use super::error::TaskError;
use super::header::Header;
use super::home::Home;
use super::memory;
use super::state::State;
use crate::current;
use crate::panic::PanicPayload;

#[repr(C)]
pub(super) struct TaskCell<F: Future> {
    pub(super) header: Header,
    pub(super) stage: UnsafeCell<Stage<F>>,
}

pub(super) enum Stage<F: Future> {
    Future(F),
    Outcome(Result<F::Output, TaskError>),
    Empty,
}

/// What depends on the type of the future. Every function wants the header of a cell of that type,
/// on the owner's thread (`free` excepted), while nobody else is inside the cell's stage.
pub(super) struct Vtable {
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    /// Drops the future, which is there.
    pub(super) drop_future: unsafe fn(NonNull<Header>) -> Result<(), PanicPayload>,
    /// Stores an error; the stage is empty.
    pub(super) store_error: unsafe fn(NonNull<Header>, TaskError),
    /// Moves the outcome out to where the pointer points, an `Option<Result<F::Output, TaskError>>`.
    pub(super) take_outcome: unsafe fn(NonNull<Header>, *mut ()),
    /// Empties the stage of an outcome nobody wants.
    pub(super) drop_outcome: unsafe fn(NonNull<Header>) -> Unread,
    /// Frees the memory. Any thread: the stage is empty, or holds what may be dropped anywhere.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// Small enough to come back in registers: this is every poll's answer.
pub(super) enum Polled {
    Pending,
    /// The outcome is stored, and the future gone.
    Ready(Spill),
    Panicked(Spill),
}

/// What the destructor of a future threw, if it did.
pub(super) type Spill = Option<PanicPayload>;

/// What was found in an outcome nobody took.
pub(super) enum Unread {
    Quiet,
    /// The task panicked, and nobody was told.
    Panic(PanicPayload),
    /// The value's own destructor panicked.
    Spill(PanicPayload),
}

impl<F: Future> TaskCell<F> {
    pub(super) const VTABLE: &'static Vtable = &Vtable {
        poll: Self::poll,
        drop_future: Self::drop_future,
        store_error: Self::store_error,
        take_outcome: Self::take_outcome,
        drop_outcome: Self::drop_outcome,
        free: Self::free,
    };

    /// Makes a cell in a block of `memory`'s. The block is had before its contents are made, so that
    /// they are written in place, and not first elsewhere and then copied.
    #[inline]
    pub(super) fn fill(
        block: NonNull<Self>,
        header: impl FnOnce() -> Header,
        stage: Stage<F>,
    ) -> NonNull<Header> {
        let place = block.as_ptr();
        // SAFETY: the block is valid for a cell, and has everything a cell has once both are written.
        // The pointer is that of the whole block, so that it may reach the stage later.
        unsafe {
            (&raw mut (*place).header).write(header());
            (&raw mut (*place).stage).write(UnsafeCell::new(stage));
        }
        block.cast()
    }

    pub(super) unsafe fn stage(header: NonNull<Header>) -> *mut Stage<F> {
        // SAFETY: `header` heads a `TaskCell<F>`, by the vtable's contract.
        unsafe { UnsafeCell::raw_get(&raw const (*header.cast::<Self>().as_ptr()).stage) }
    }

    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
        // SAFETY: by the contract nobody else is inside the stage, and it stays where it is until
        // the cell is freed: the future is pinned.
        unsafe {
            let stage = Self::stage(header);
            let polled = catch_unwind(AssertUnwindSafe(|| match &mut *stage {
                Stage::Future(future) => Pin::new_unchecked(future).poll(cx),
                _ => unreachable!("a task is polled only while it has its future"),
            }));
            match polled {
                Ok(Poll::Pending) => Polled::Pending,
                Ok(Poll::Ready(value)) => {
                    // A future without a destructor is written over.
                    let spill =
                        if mem::needs_drop::<F>() { Self::drop_future(header).err() } else { None };
                    stage.write(Stage::Outcome(Ok(value)));
                    Polled::Ready(spill)
                }
                Err(payload) => {
                    let payload = PanicPayload::new(payload);
                    let spill = Self::drop_future(header).err();
                    stage.write(Stage::Outcome(Err(TaskError::Panicked(payload))));
                    Polled::Panicked(spill)
                }
            }
        }
    }

    unsafe fn drop_future(header: NonNull<Header>) -> Result<(), PanicPayload> {
        // SAFETY: by the contract.
        unsafe { Self::vacate(Self::stage(header)) }.map_err(PanicPayload::new)
    }

    /// Drops in place what is in the stage, and leaves it empty, also when the drop panics.
    unsafe fn vacate(stage: *mut Stage<F>) -> Result<(), Box<dyn Any + Send>> {
        // SAFETY: valid by the caller's promise; dropped once, since it is overwritten without
        // another drop, and in place, since it may be pinned.
        unsafe {
            let dropped = catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(stage)));
            stage.write(Stage::Empty);
            dropped
        }
    }

    unsafe fn store_error(header: NonNull<Header>, error: TaskError) {
        // SAFETY: the stage is empty, by the contract: nothing is overwritten undropped.
        unsafe { Self::stage(header).write(Stage::Outcome(Err(error))) }
    }

    unsafe fn take_outcome(header: NonNull<Header>, to: *mut ()) {
        // SAFETY: by the contract; `to` points to a place of this type.
        unsafe {
            if let Stage::Outcome(outcome) = Self::stage(header).replace(Stage::Empty) {
                *to.cast::<Option<Result<F::Output, TaskError>>>() = Some(outcome);
            }
        }
    }

    unsafe fn drop_outcome(header: NonNull<Header>) -> Unread {
        // SAFETY: by the contract.
        unsafe {
            let stage = Self::stage(header);
            if matches!(*stage, Stage::Outcome(Err(_))) {
                let Stage::Outcome(Err(error)) = stage.replace(Stage::Empty) else {
                    unreachable!("it was one a line ago")
                };
                return match error {
                    TaskError::Panicked(payload) => Unread::Panic(payload),
                    _ => Unread::Quiet,
                };
            }
            match Self::vacate(stage) {
                Ok(()) => Unread::Quiet,
                Err(payload) => Unread::Spill(PanicPayload::new(payload)),
            }
        }
    }

    unsafe fn free(header: NonNull<Header>) {
        let cell = header.cast::<Self>();
        // SAFETY: the last reference was given up, so the cell is ours; its block came from `take` or
        // `allocate` for this type. What its header had of the home is given up with it.
        unsafe {
            let (home, state) = (header.as_ref().home.as_ptr(), header.as_ref().state.get());
            let _emptied = Emptied { cell, home, state };
            ptr::drop_in_place(cell.as_ptr());
        }
    }
}

/// The block of a cell that is dropped. It goes back also where what is in it panics: in the hands of who
/// posted it, and was refused, that is the user's.
struct Emptied<F: Future> {
    cell: NonNull<TaskCell<F>>,
    home: *const Home,
    state: State,
}

impl<F: Future> Drop for Emptied<F> {
    fn drop(&mut self) {
        // SAFETY: as `free`, which made this. A home that is at home is the running loop's, which keeps it.
        unsafe {
            if current::is_running(self.home) {
                (*self.home).local().spares.give(self.cell);
            } else {
                memory::free(self.cell);
            }
            anchor::let_go(self.home, self.state);
        }
    }
}
