//! The event loop behind loopbind. Depend on `loopbind`, which re-exports what is public here and
//! brings the attributes.
//!
//! The house has floors, and a module imports from lower ones only; `ARCHITECTURE.md` in the
//! repository is the map.

#![cfg_attr(docsrs, feature(doc_cfg))]

// 0: knows no loop.
mod atomic;
mod blocking;
mod clock;
mod context;
mod current;
mod error;
mod ids;
mod panic;
pub mod sync;
mod sys;
mod trace;
// 1: what is due.
mod attention;
mod inbox;
mod ready;
mod timers;
// 2: who is waiting.
mod reactor;
pub mod task;
// 3: one loop.
mod engine;
// 4: this thread.
mod binding;
// 5: the public loop.
mod event_loop;
// 6: things to await.
pub mod group;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod io;
#[doc(alias("socket", "BaseTransport", "ReadTransport", "WriteTransport", "Transport"))]
pub mod net;
#[doc(alias("subprocess", "SubprocessTransport"))]
pub mod process;
pub mod signal;
pub mod time;

pub use binding::Bound;
pub use engine::{Metrics, UnhandledPanic};
pub use error::{LoopError, StuckTask};
#[cfg(all(feature = "calloop", target_os = "linux"))]
pub use event_loop::calloop;
#[cfg(feature = "tokio")]
pub use event_loop::tokio;
pub use event_loop::{
    Abandoned, BlockingInfo, BlockingTask, Builder, Drive, DriveWith, EventLoop, Handle, Host,
    LoopHandle, RemoteTask, Runner, TimerHandle, Turn, get_bound_loop, get_event_loop,
    get_running_loop, main_loop, new_event_loop, run, set_event_loop, spawn_blocking, thread,
};
pub use ids::{LoopId, TaskId};
pub use io::Async;
pub use panic::PanicPayload;
pub use reactor::Watch;
pub use task::{
    AbortHandle, AbortOnDrop, ExceptionContext, Join, Task, TaskBuilder, TaskError, TaskInfo,
    TaskState, spawn, yield_now,
};
pub use time::{sleep, sleep_until, timeout, timeout_at};

/// What the attributes' expansions use. Not for people: it may change in any release.
#[doc(hidden)]
#[allow(missing_docs)] // Not in the documentation.
pub mod __private {
    pub use ::core;
    pub use ::std;

    pub use crate::event_loop::Builder;
    pub use crate::event_loop::entry::{
        Setup, bind_main, bind_thread, run_main, run_thread, spawn_plain_thread, spawn_thread,
    };
    pub use crate::event_loop::test_entry::{
        FirstFailure, Outcome, OutcomeOfAny, OutcomeOfResult, first_failure, run_plain_test,
        run_test,
    };
    pub use crate::event_loop::thread::LoopThread;

    /// Calls to the system that fail, for loopbind's own tests.
    #[cfg(feature = "faults")]
    pub mod faults {
        pub use crate::sys::fault::{Call, FaultPlan, Faults};
    }
}
