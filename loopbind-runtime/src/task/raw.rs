//! The one allocation of a task: its header, then its future, then, in the same place, its outcome.

use std::cell::UnsafeCell;
use std::mem::{self, ManuallyDrop};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::anchor;
use super::error::TaskError;
use super::header::Header;
use super::home::Home;
use super::memory;
use super::state::{COLD, FUTURE, KEEPS, OUTCOME, State};
use crate::current;
use crate::panic::PanicPayload;

#[repr(C)]
pub(super) struct TaskCell<F: Future> {
    pub(super) header: Header,
    pub(super) stage: UnsafeCell<Stage<F>>,
}

/// The future, then the outcome, or nothing: which of them is in the state, by `FUTURE` and `OUTCOME`, so
/// that no room goes into saying it here.
pub(super) union Stage<F: Future> {
    future: ManuallyDrop<F>,
    outcome: ManuallyDrop<Result<F::Output, TaskError>>,
    nothing: (),
}

impl<F: Future> Stage<F> {
    /// With the bit that says so.
    #[inline]
    pub(super) fn future(future: F) -> (Self, State) {
        (Stage { future: ManuallyDrop::new(future) }, FUTURE)
    }

    pub(super) fn error(error: TaskError) -> (Self, State) {
        (Stage { outcome: ManuallyDrop::new(Err(error)) }, OUTCOME)
    }

    pub(super) fn nothing() -> (Self, State) {
        (Stage { nothing: () }, 0)
    }
}

/// What depends on the type of the future. Every function wants the header of a cell of that type,
/// on the owner's thread (`free` excepted), while nobody else is inside the cell's stage.
pub(super) struct Vtable {
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Polled,
    /// Drops the future, which is there.
    pub(super) drop_future: unsafe fn(NonNull<Header>) -> Result<(), PanicPayload>,
    /// Stores an error; the stage is empty.
    pub(super) store_error: unsafe fn(NonNull<Header>, TaskError),
    /// Moves the outcome, whose bit is gone so that this happens once, to where the pointer points: to room
    /// for a `Result<F::Output, TaskError>`.
    pub(super) take_outcome: unsafe fn(NonNull<Header>, *mut ()),
    /// Empties the stage of an outcome nobody wants.
    pub(super) drop_outcome: unsafe fn(NonNull<Header>) -> Unread,
    /// Frees the memory. Any thread: the stage is empty, or holds what may be dropped anywhere.
    pub(super) free: unsafe fn(NonNull<Header>),
}

/// Small enough to come back in registers: this is every poll's answer.
pub(super) enum Polled {
    Pending,
    /// The outcome is in the stage, and the future gone; the bits that say so are the caller's to set, with
    /// whatever else has come to be.
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

    /// Makes a cell in a block of `memory`'s; `header` is told the bit of what is in the stage. The block
    /// is had before its contents are made, so that they are written in place, and not first elsewhere and
    /// then copied.
    #[inline]
    pub(super) fn fill(
        block: NonNull<Self>,
        header: impl FnOnce(State) -> Header,
        (stage, holds): (Stage<F>, State),
    ) -> NonNull<Header> {
        let place = block.as_ptr();
        // SAFETY: the block is valid for a cell, and has everything a cell has once both are written.
        // The pointer is that of the whole block, so that it may reach the stage later.
        unsafe {
            (&raw mut (*place).header).write(header(holds));
            (&raw mut (*place).stage).write(UnsafeCell::new(stage));
        }
        block.cast()
    }

    /// Makes another future the task's. What was in the stage is forgotten: nothing that would have to be
    /// dropped.
    ///
    /// # Safety
    /// `header` heads a `TaskCell<F>` that is the caller's alone.
    pub(super) unsafe fn refill(header: NonNull<Header>, future: F) {
        const { assert!(!mem::needs_drop::<F>() && !mem::needs_drop::<F::Output>()) };
        // SAFETY: by the contract.
        unsafe {
            let (stage, holds) = Stage::future(future);
            Self::stage(header).write(stage);
            header.as_ref().set(holds);
        }
    }

    unsafe fn stage(header: NonNull<Header>) -> *mut Stage<F> {
        // SAFETY: `header` heads a `TaskCell<F>`, by the vtable's contract.
        unsafe { UnsafeCell::raw_get(&raw const (*header.cast::<Self>().as_ptr()).stage) }
    }

    unsafe fn outcome(header: NonNull<Header>) -> *mut Result<F::Output, TaskError> {
        // SAFETY: as `stage`; all the fields of a union begin where it does.
        unsafe { Self::stage(header).cast() }
    }

    unsafe fn poll(header: NonNull<Header>, cx: &mut Context<'_>) -> Polled {
        // SAFETY: by the contract nobody else is inside the stage, and it stays where it is until
        // the cell is freed: the future is pinned.
        unsafe {
            let head = header.as_ref();
            debug_assert!(head.has(FUTURE), "a task is polled only while it has its future");
            let future = Self::stage(header).cast::<F>();
            match catch_unwind(AssertUnwindSafe(|| Pin::new_unchecked(&mut *future).poll(cx))) {
                Ok(Poll::Pending) => Polled::Pending,
                Ok(Poll::Ready(value)) => {
                    let spill = Self::leave_future(header).err();
                    Self::outcome(header).write(Ok(value));
                    Polled::Ready(spill)
                }
                Err(payload) => {
                    let payload = PanicPayload::new(payload);
                    let spill = Self::leave_future(header).err();
                    Self::outcome(header).write(Err(TaskError::Panicked(payload)));
                    Polled::Panicked(spill)
                }
            }
        }
    }

    /// Drops the future, and leaves it to the caller to say so before anybody looks.
    #[inline(always)]
    unsafe fn leave_future(header: NonNull<Header>) -> Result<(), PanicPayload> {
        if !mem::needs_drop::<F>() {
            return Ok(());
        }
        // SAFETY: by the contract. In place, since it is pinned; once, since what follows is that its bit goes.
        unsafe {
            let future = Self::stage(header).cast::<F>();
            catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(future))).map_err(PanicPayload::new)
        }
    }

    unsafe fn drop_future(header: NonNull<Header>) -> Result<(), PanicPayload> {
        // SAFETY: by the contract. Dropped once, since the bit is gone before, also when the drop panics,
        // and in place, since it is pinned.
        unsafe {
            let head = header.as_ref();
            debug_assert!(head.has(FUTURE), "there is a future to drop");
            head.clear(FUTURE);
            Self::leave_future(header)
        }
    }

    unsafe fn store_error(header: NonNull<Header>, error: TaskError) {
        // SAFETY: the stage is empty, by the contract: nothing is overwritten undropped.
        unsafe {
            let head = header.as_ref();
            debug_assert!(!head.has(FUTURE | OUTCOME), "the stage is empty");
            Self::outcome(header).write(Err(error));
            head.set(OUTCOME);
        }
    }

    unsafe fn take_outcome(header: NonNull<Header>, to: *mut ()) {
        // SAFETY: by the contract; `to` points to a place of this type.
        unsafe { move_in_words(Self::outcome(header), to.cast()) }
    }

    unsafe fn drop_outcome(header: NonNull<Header>) -> Unread {
        // SAFETY: by the contract. Once, as above, and in place.
        unsafe {
            let head = header.as_ref();
            if !head.has(OUTCOME) {
                return Unread::Quiet;
            }
            head.clear(OUTCOME);
            let outcome = Self::outcome(header);
            if (*outcome).is_err() {
                return match outcome.read() {
                    Err(TaskError::Panicked(payload)) => Unread::Panic(payload),
                    _ => Unread::Quiet,
                };
            }
            match catch_unwind(AssertUnwindSafe(|| ptr::drop_in_place(outcome))) {
                Ok(()) => Unread::Quiet,
                Err(payload) => Unread::Spill(PanicPayload::new(payload)),
            }
        }
    }

    unsafe fn free(header: NonNull<Header>) {
        // SAFETY: the last reference was given up, so the cell is ours; its block came from `take` or
        // `allocate` for this type. What its header had of the home is given up with it.
        unsafe {
            let head = header.as_ref();
            let (home, state) = (head.home.as_ptr(), head.state.get());
            let block = Block { cell: header.cast::<Self>(), home, state };
            if state & (FUTURE | OUTCOME | COLD | KEEPS) != 0 || !current::is_running(home) {
                return Self::empty(block);
            }
            block.give_back_at_home();
        }
    }

    /// Of a cell that is freed elsewhere, or is not empty: holds what never came home, or the little that a
    /// task keeps for its handle.
    #[cold]
    #[inline(never)]
    unsafe fn empty(block: Block<F>) {
        let header = block.cell.cast::<Header>();
        // SAFETY: ours alone, by the contract. Each is there, as its bit says, and dropped once; the block goes
        // back after that.
        unsafe {
            let state = block.state;
            let _block = block;
            let _header = Drops(header.as_ptr());
            if state & FUTURE != 0 {
                ptr::drop_in_place(Self::stage(header).cast::<F>());
            } else if state & OUTCOME != 0 {
                ptr::drop_in_place(Self::outcome(header));
            }
        }
    }
}

/// What has been stored a moment ago, word by word, is loaded in words as well if it is small: a wider load
/// has to wait until the last of them has left the processor's store buffer.
///
/// # Safety
/// As for `to.write(from.read())`.
#[inline(always)]
unsafe fn move_in_words<T>(from: *mut T, to: *mut T) {
    type Word = mem::MaybeUninit<usize>;
    // SAFETY: by the contract, in pieces that both are made of; what is in them goes along, whatever it is.
    unsafe {
        if size_of::<T>() != 2 * size_of::<Word>() || align_of::<T>() < align_of::<Word>() {
            return to.write(from.read());
        }
        for word in 0..2 {
            to.cast::<Word>().add(word).write(from.cast::<Word>().add(word).read_volatile());
        }
    }
}

/// What is dropped in place where this goes.
struct Drops<T>(*mut T);

impl<T> Drop for Drops<T> {
    fn drop(&mut self) {
        // SAFETY: `TaskCell::empty` made it of what is its own, and uses that no more.
        unsafe { ptr::drop_in_place(self.0) }
    }
}

/// The block of a cell that is emptied. It goes back also where what is in it panics: in the hands of who
/// posted it, and was refused, that is the user's.
struct Block<F: Future> {
    cell: NonNull<TaskCell<F>>,
    home: *const Home,
    state: State,
}

impl<F: Future> Block<F> {
    /// Most end like this: at home, counted, and empty.
    ///
    /// # Safety
    /// As `free`; its home is the running one, and it does not `KEEP` it.
    #[inline]
    unsafe fn give_back_at_home(self) {
        let block = ManuallyDrop::new(self);
        // SAFETY: by the contract. A home that is at home is the running loop's, which keeps it.
        unsafe {
            let local = (*block.home).local();
            local.spares.give(block.cell);
            anchor::let_go_at_home(local);
        }
    }
}

impl<F: Future> Drop for Block<F> {
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
