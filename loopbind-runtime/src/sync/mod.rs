//! What the tasks of one thread wait for together: locks, events, semaphores and the like, without atomics.
//!
//! They belong to a thread and not to a loop: a primitive may be made before its loop, used by tasks of
//! several loops in turn, and awaited under any executor of the thread. All of them are fair: who waits
//! is served in the order of coming, and nobody who comes later, [`try_acquire`](Semaphore::try_acquire)
//! and its like included, takes what somebody in line was given already. A wait that is dropped passes on
//! what it was given.
//!
//! | you want | use |
//! |---|---|
//! | one task at a time, across an `await` | [`Lock`]; without one, a `Cell` or a `RefCell` will do |
//! | many that look, or one that changes | [`RwLock`] |
//! | so many at once | [`Semaphore`] |
//! | to wait until something has happened | [`Event`] |
//! | to wait until what a lock guards is as you want it | [`Condition`] |
//! | to wait for each other | [`Barrier`] |
//! | a value that is made when it is first needed | [`OnceCell`] |
//! | work that is handed out, and waited for | [`Queue`], [`PriorityQueue`], [`LifoQueue`] |
//! | one value, once | [`oneshot`] |
//! | many values, to one who takes them all | [`mpsc`] |
//! | each value to everybody | [`broadcast`] |
//! | the latest value to everybody | [`watch`] |
//!
//! Values go from task to task by [`Queue`], with asyncio's methods; or by channels, whose ends notice when
//! the other is gone: [`oneshot`] for one value, [`mpsc`] for many from many to one, [`broadcast`] to many, and
//! [`watch`] for one that changes. None of them captures a loop, and none can leave its thread: another
//! thread's values come by [`LoopHandle`](crate::LoopHandle).
//!
//! ```
//! use loopbind::sync::Event;
//! use loopbind::{run, spawn};
//! use std::rc::Rc;
//!
//! run(async {
//!     let opened = Rc::new(Event::new());
//!     let guest = spawn({
//!         let opened = Rc::clone(&opened);
//!         async move { opened.wait().await }
//!     });
//!     opened.set();
//!     guest.await.unwrap();
//! })?;
//! # Ok::<(), loopbind::LoopError>(())
//! ```

mod barrier;
pub mod broadcast;
mod closed;
mod condition;
mod event;
mod line;
mod lock;
pub mod mpsc;
mod once_cell;
pub mod oneshot;
mod place;
mod queue;
pub(crate) mod reply;
mod rw_lock;
mod semaphore;
mod tally;
mod wait;
mod waiters;
mod waker_slot;
pub mod watch;

pub use barrier::{Barrier, BrokenBarrier};
pub use condition::Condition;
pub use event::Event;
pub use lock::{Lock, LockGuard, OwnedLockGuard};
pub use once_cell::OnceCell;
pub use queue::{LifoQueue, PriorityQueue, Queue, QueueShutDown, TryPut};
pub use rw_lock::{
    OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
pub use semaphore::{OwnedPermit, Permit, Semaphore};
pub(crate) use tally::{Tally, count_by, is_counting};
pub(crate) use waiters::KeptWaker;
