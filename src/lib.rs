//! asyncio's event loop for Rust: a loop is a value you can look up, bind to a thread, run, post to from
//! other threads, turn from inside a foreign loop, and never run by accident inside another one.
//!
//! ```
//! use loopbind::{get_event_loop, loop_main, sleep, yield_now};
//! use std::time::Duration;
//!
//! #[loop_main]
//! async fn main() {
//!     // Inside a coroutine this is the loop that runs it.
//!     let event_loop = get_event_loop().unwrap();
//!     let dots = event_loop.create_task(async {
//!         loop {
//!             eprint!(".");
//!             sleep(Duration::from_millis(500)).await;
//!         }
//!     });
//!     yield_now().await;
//!     dots.cancel();
//!     assert!(dots.await.unwrap_err().is_cancelled());
//! }
//! ```
//!
//! # Which loop is it?
//!
//! [`get_event_loop()`] answers in this order:
//!
//! 1. the loop that is **running** on this thread: in coroutines, and in everything a loop calls;
//! 2. the loop that is **bound** to this thread: by an attribute, [`EventLoop::bind`] or
//!    [`set_event_loop`];
//! 3. on the process's main thread, a new loop, which is bound from then on;
//! 4. anywhere else, an error that names the thread:
//!    `There is no current event loop in thread 'Thread-385'.`
//!
//! Running and bound are two slots. Any loop may run on its thread whatever loop is bound there, and no
//! run touches the binding. Two loops can never run at once on one thread: the second is refused, with
//! `Cannot run the event loop while another loop is running`, and the refusal changes nothing at all.
//!
//! # Where things are
//!
//! | you want to | look at |
//! |---|---|
//! | start a program | [`loop_main`], [`run`], [`Runner`] |
//! | give a thread a loop | [`loop_thread`], [`thread::ThreadBuilder`] |
//! | start and await tasks | [`spawn`], [`EventLoop::create_task`], [`Task`] |
//! | run several that live and end together | [`task::group`], [`task::JoinSet`], [`task::scope`] |
//! | let a task clean up when it is cancelled | [`task::cancelled`] |
//! | let tasks wait for each other, and hand each other values | [`sync`], [`sync::Queue`], [`sync::mpsc`] |
//! | give a value to all that is started from here | [`task::ContextVar`] |
//! | wait for time to pass | [`sleep`], [`timeout`], [`time`] |
//! | post from another thread | [`EventLoop::handle`], [`LoopHandle`], [`main_loop`] |
//! | block without blocking the loop | [`spawn_blocking`] |
//! | talk over TCP, UDP and Unix sockets, and serve | [`net`], [`net::start_server`] |
//! | await a descriptor, or the standard streams | [`Async`], [`EventLoop::add_reader`], [`io`] |
//! | hear of signals | [`signal`], [`EventLoop::add_signal_handler`] |
//! | run other programs | [`process`] |
//! | drive a loop from a loop of your own | [`EventLoop::turn`], [`EventLoop::next_deadline`], [`EventLoop::drive_with`] |
//! | test, and explore schedules | [`loop_test`], [`Builder::virtual_time`], [`Builder::shuffle`] |
//!
//! Combinators are the [`futures`](https://docs.rs/futures) crate's: `join_all` for asyncio's `gather`,
//! `select_all` for `wait`, `FuturesUnordered` for `as_completed`. Its `select!` draws from a random
//! source of its own; `select_biased!` keeps a program's order the same each time.
//!
//! # What it is not for
//!
//! Everything here lives on one thread at a time: tasks need not be `Send`, and do not move. A web back
//! end that wants its work spread over all cores by itself is better served by tokio.
//!
//! # Features
//!
//! | feature | | what it brings |
//! |---|---|---|
//! | `macros` | default | the attributes |
//! | `polling` | | on Linux too, the `polling` crate instead of our own epoll driver: for comparing the two |

#![forbid(unsafe_code)]

#[cfg(feature = "macros")]
pub use loopbind_macros::{loop_main, loop_test, loop_thread};
pub use loopbind_runtime::{
    AbortHandle, AbortOnDrop, Async, BlockingTask, Bound, Builder, Drive, DriveWith, EventLoop,
    ExceptionContext, Handle, Host, Join, LoopError, LoopHandle, LoopId, Metrics, PanicPayload,
    RemoteTask, Runner, StuckTask, Task, TaskBuilder, TaskError, TaskId, TaskInfo, TaskState,
    TimerHandle, Turn, UnhandledPanic, Watch, get_bound_loop, get_event_loop, get_running_loop,
    main_loop, new_event_loop, run, set_event_loop, sleep, sleep_until, spawn, spawn_blocking,
    timeout, timeout_at, yield_now,
};
#[doc(inline)]
pub use loopbind_runtime::{io, net, process, signal, sync, thread, time};

/// Tasks, and several of them at once.
///
/// A task is started by [`spawn`] or [`EventLoop::create_task`]. Where several are to live and end
/// together there are task groups, sets of tasks, and scopes whose children borrow:
///
/// | | children | their failures |
/// |---|---|---|
/// | [`task::group`] | tasks of the loop | the first ends the group; all are given at its end |
/// | [`task::JoinSet`] | tasks of the loop | values, one by one, as the tasks end |
/// | [`task::scope`] | futures that borrow, polled by the scope's own task | values; a panic goes on from the scope |
pub mod task {
    #[doc(inline)]
    pub use loopbind_runtime::group::{
        ChildFailed, Details, GroupError, JoinSet, Scope, Scoped, TaskGroup, group, scope,
    };
    #[doc(inline)]
    pub use loopbind_runtime::task::*;
}

#[doc(hidden)]
pub use loopbind_runtime::__private;
