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
//! | end tasks: cancelling, cleanup, grace, deadlines, shutdown | [`task`](task#cancellation) |
//! | let a task clean up when it is cancelled | [`task::cancelled`] |
//! | let tasks wait for each other, and hand each other values | [`sync`], [`sync::Queue`], [`sync::mpsc`] |
//! | give a value to all that is started from here | [`task::ContextVar`] |
//! | wait for time to pass | [`sleep`], [`timeout`], [`time`] |
//! | post from another thread | [`EventLoop::handle`], [`LoopHandle`], [`main_loop`] |
//! | block without blocking the loop | [`spawn_blocking`] |
//! | talk over TCP, UDP and Unix sockets, and serve | [`net`], [`net::start_server`] |
//! | await a descriptor, or the standard streams | [`Async`], [`EventLoop::add_reader`], [`io`] |
//! | speak HTTP | `hyper` (a feature) |
//! | hear of signals | [`signal`], [`EventLoop::add_signal_handler`] |
//! | run other programs | [`process`] |
//! | drive a loop from a loop of your own | [`EventLoop::turn`], [`EventLoop::next_deadline`], [`EventLoop::drive_with`] |
//! | drive a loop from a calloop event loop | the module `calloop`, by the feature of that name |
//! | use libraries made for tokio | the module `tokio`, by the feature of that name |
//! | test, and explore schedules | [`loop_test`], [`Builder::virtual_time`], [`Builder::shuffle`] |
//! | see what goes on | [`EventLoop::all_tasks`], [`EventLoop::metrics`], [`Builder::debug`] |
//! | read on, page by page | the [`book`] |
//! | find what you know by another name | coming from [asyncio], [tokio], [trio or anyio] |
//!
//! [asyncio]: coming_from_asyncio
//! [tokio]: coming_from_tokio
//! [trio or anyio]: coming_from_trio
//!
//! Combinators are the [`futures`](https://docs.rs/futures) crate's: `join_all` for asyncio's `gather`,
//! `select_all` for `wait`, `FuturesUnordered` for `as_completed`. Its `select!` draws from a random
//! source of its own; `select_biased!` keeps a program's order the same each time.
//!
//! Numbers such as `CAN-02` are rules of asyncio's event loop. The repository's `tests/README.md` lists them, with
//! the tests that pin each.
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
//! | `macros` | default | the attributes [`loop_main`], [`loop_thread`], [`loop_test`] |
//! | `hyper` | | the module `hyper`: what hyper 1 asks of a runtime, and nothing of it `Send` |
//! | `tokio` | | libraries made for tokio in our tasks: the module `tokio`, `host = "tokio"` for the attributes, tokio's traits for our streams |
//! | `calloop` | | a loop inside a calloop event loop, on Linux: the module `calloop` |
//! | `plain-allocation` | | every task allocated by itself, for tools that watch the allocator |
//! | `tracing` | | for subscribers of the [`tracing`](https://docs.rs/tracing) crate's: a span for each task, events for runs, slow steps and what nobody handled, see [Tracing](#tracing) |
//! | `polling` | | on Linux too, the `polling` crate instead of our own epoll driver: for comparing the two |
//!
//! # Tracing
//!
//! With the feature `tracing` a subscriber hears, under the target `loopbind`:
//!
//! | | level | fields |
//! |---|---|---|
//! | the span `task`, made as a task is started, entered at each poll and as its future is dropped, closed before whoever awaits it hears of its end; main futures have one, too | debug | `event_loop`, `task.id`, `task.name`, `task.parent`, `loc.file`, `loc.line`, `loc.col` |
//! | `event loop runs`, `event loop stopped` (not for single turns), `event loop closes` | debug | `event_loop`, `pending` |
//! | `slow poll`, `slow callback`: debug mode's reports | warn | `event_loop`, `seconds`, and what is known of the task or the place |
//! | what reaches the default exception handler, whose line on standard error stays | error | the message, `event_loop`, `panic`, `error`, and what is known of the task |
//!
//! A task's span is a root that follows from the span that was current where the task was started: a task may outlive
//! that one. To have a task's events within a span of yours, instrument its future. A task from another thread has the span
//! of that thread's subscriber. Tasks that are started while nobody wants their spans have none, and cost what they cost without the
//! feature.
//!
//! A subscriber may look up the loop, start, wake and cancel tasks, as a destructor may; what it does to loops meanwhile is not
//! told to it. One that panics is reported to the loop's exception handler, and the task goes on.

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "macros")]
pub use loopbind_macros::{loop_main, loop_test, loop_thread};
#[cfg(all(feature = "calloop", target_os = "linux"))]
#[doc(inline)]
pub use loopbind_runtime::calloop;
#[cfg(feature = "hyper")]
#[doc(inline)]
pub use loopbind_runtime::hyper;
#[cfg(feature = "tokio")]
#[doc(inline)]
pub use loopbind_runtime::tokio;
pub use loopbind_runtime::{
    Abandoned, AbortHandle, AbortOnDrop, Async, BlockingInfo, BlockingTask, Bound, Builder, Drive,
    DriveWith, EventLoop, ExceptionContext, Handle, Host, Join, LoopError, LoopHandle, LoopId,
    Metrics, PanicPayload, RemoteTask, Runner, StuckTask, Task, TaskBuilder, TaskError, TaskId,
    TaskInfo, TaskState, TimerHandle, Turn, UnhandledPanic, Watch, get_bound_loop, get_event_loop,
    get_running_loop, main_loop, new_event_loop, run, set_event_loop, sleep, sleep_until, spawn,
    spawn_blocking, timeout, timeout_at, yield_now,
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
///
/// # Cancellation
///
/// **A request, in the task's own turn.** [`Task::cancel`] asks, and returns; nobody's destructor runs inside
/// it. In its own next turn the task's future is dropped where it stands, and then whoever awaits hears
/// [`TaskError::Cancelled`]: by then everything of the future is gone. A task that has not begun never begins,
/// and one that is over is left alone.
///
/// ```
/// # use loopbind::{run, spawn, yield_now};
/// run(async {
///     let task = spawn(std::future::pending::<()>());
///     yield_now().await;
///     assert!(task.cancel() && !task.is_finished());
///     assert!(task.await.unwrap_err().is_cancelled());
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// **Cleanup that awaits.** A destructor cannot await. A task that holds a polled [`task::cancelled()`] is told
/// instead of dropped, and ends by itself, with the value it returns.
///
/// ```
/// # use futures::{FutureExt, select_biased};
/// # use loopbind::{run, sleep, spawn, task, yield_now};
/// # use std::time::Duration;
/// # async fn serve() { std::future::pending().await }
/// let last_words = run(async {
///     let task = spawn(async {
///         select_biased! {
///             () = task::cancelled().fuse() => {}
///             () = serve().fuse() => return "served",
///         }
///         sleep(Duration::from_millis(1)).await; // say good bye, flush, hang up
///         "cleaned up"
///     });
///     yield_now().await;
///     task.cancel();
///     task.await.unwrap()
/// })?;
/// assert_eq!(last_words, "cleaned up");
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// **Grace, and none.** [`Task::cancel_within`] tells first, and drops what has not ended when the grace is
/// over, on the loop's clock. [`Task::abort`] drops in the next turn, whoever listens. A second `cancel`
/// while nobody listens does so, too. An [`AbortHandle`] asks from any thread.
///
/// ```
/// # use loopbind::{EventLoop, spawn, task::cancelled, time, yield_now};
/// # use std::{future::pending, time::Duration};
/// # let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// # event_loop.run_until_complete(async {
/// let stubborn = || spawn(async {
///     cancelled().await;
///     pending::<()>().await // a cleanup without end
/// });
/// let (patiently, at_once) = (stubborn(), stubborn());
/// yield_now().await;
/// let before = time::now();
/// at_once.abort();
/// assert!(at_once.await.unwrap_err().is_cancelled());
/// patiently.cancel_within(Duration::from_secs(5));
/// assert!(patiently.await.unwrap_err().is_cancelled());
/// assert_eq!(time::now() - before, Duration::from_secs(5));
/// # })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// **Along awaits.** A [`Task`] that somebody was awaiting, and that is dropped unfinished, takes its task
/// along, one task per iteration. One that was never awaited detaches. [`Task::join`] waits without that tie,
/// [`task::shield()`] gives it up, and [`Task::abort_on_drop`] makes it a matter of the handle alone.
///
/// ```
/// # use loopbind::{EventLoop, sleep, spawn, task, timeout, yield_now};
/// # use std::time::Duration;
/// # let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// # event_loop.run_until_complete(async {
/// let second = Duration::from_secs(1);
/// let (along, shielded) = (spawn(sleep(5 * second)), spawn(sleep(5 * second)));
/// let (first, second_task) = (along.abort_handle(), shielded.abort_handle());
/// let waiters = [
///     spawn(async move { drop(along.await) }),
///     spawn(async move { drop(task::shield(shielded).await) }),
/// ];
/// yield_now().await;
/// waiters.iter().for_each(|waiter| drop(waiter.cancel()));
/// sleep(second).await;
/// assert!(first.is_finished() && !second_task.is_finished());
///
/// let mut joined = spawn(sleep(5 * second));
/// assert!(timeout(second, joined.join()).await.is_err()); // given up, and the task goes on
/// assert!(joined.await.is_ok());
/// # })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// **Deadlines.** [`timeout`] drops its future when the time is over, before it says
/// [`Elapsed`](crate::time::Elapsed); of nested ones the one that expired says so. Nothing but the handle
/// in it ties it to a task, which is asked to end by that and not waited for.
///
/// ```
/// # use loopbind::{EventLoop, time::Elapsed, timeout};
/// # use std::{future::pending, time::Duration};
/// # let event_loop = EventLoop::builder().virtual_time(true).build()?;
/// # event_loop.run_until_complete(async {
/// let second = Duration::from_secs(1);
/// let nested = timeout(9 * second, timeout(second, pending::<()>()));
/// assert_eq!(nested.await, Ok(Err(Elapsed))); // the inner one
/// # })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// **Shutdown.** Where [`run`], a [`Runner`], an attribute or a thread of ours ends
/// its loop, main is dropped first; what was ready by then runs; every task that is left is asked to end, in
/// order of creation, and so is what they start; the loop runs until they have, and until blocking work is
/// over; then it is closed, and the former binding is back. All that has a bound,
/// [`Builder::shutdown_limit`], and what it cuts off is named.
/// [`EventLoop::close`] alone tells nobody and waits for nothing.
///
/// ```
/// # use loopbind::{Runner, sleep, spawn, task::cancelled, yield_now};
/// # use std::time::Duration;
/// let runner = Runner::new()?;
/// runner.run(async {
///     spawn(async { cancelled().await; sleep(Duration::from_millis(1)).await });
///     spawn(async { cancelled().await; sleep(Duration::from_secs(3600)).await });
///     yield_now().await;
/// })?;
/// let abandoned = runner.shutdown_timeout(Duration::from_millis(20))?;
/// assert_eq!(abandoned.tasks.len(), 1); // by name, and by the line that started it
/// # Ok::<(), loopbind::LoopError>(())
/// ```
pub mod task {
    #[doc(inline)]
    pub use loopbind_runtime::group::{
        ChildFailed, Details, GroupError, JoinSet, Scope, Scoped, TaskGroup, group, scope,
    };
    #[doc(inline)]
    pub use loopbind_runtime::task::*;
}

// Pages of the documentation, and their programs as tests. Names in them are found from here.
#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/coming-from-asyncio.md")]
pub mod coming_from_asyncio {}
#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/coming-from-tokio.md")]
pub mod coming_from_tokio {}
#[cfg(any(doc, doctest))]
#[doc = include_str!("../docs/coming-from-trio.md")]
pub mod coming_from_trio {}

/// The book: short pages, each with programs that run.
///
/// | | |
/// |---|---|
/// | [Why a bound loop?](book::why) | two slots, and what follows from them |
/// | [Getting started](book::getting_started) | a program, a group, a server |
/// | [Cancellation](book::cancellation) | asking, cleaning up, with a bound, along awaits |
/// | [Threads](book::threads) | what crosses, and how |
/// | [Embedding in your host](book::embedding) | three questions; calloop, glib, winit, asyncio |
/// | [Testing](book::testing) | virtual time, seeds, dead ends |
/// | [What costs what](book::performance) | the shape of it, and the figures |
/// | [Pitfalls](book::pitfalls) | and the way around each |
/// | [Questions](book::questions) | short answers |
/// | [Others](book::others) | and where they are the better choice |
#[cfg(any(doc, doctest))]
pub mod book {
    // What the pages name is found from here.
    #[allow(unused_imports, clippy::wildcard_imports)]
    use crate::*;

    #[doc = include_str!("../docs/why.md")]
    pub mod why {}
    #[doc = include_str!("../docs/getting-started.md")]
    pub mod getting_started {}
    #[doc = include_str!("../docs/cancellation.md")]
    pub mod cancellation {}
    #[doc = include_str!("../docs/threads.md")]
    pub mod threads {}
    #[doc = include_str!("../docs/embedding.md")]
    pub mod embedding {}
    #[doc = include_str!("../docs/testing.md")]
    pub mod testing {}
    #[doc = include_str!("../docs/performance.md")]
    pub mod performance {}
    #[doc = include_str!("../docs/pitfalls.md")]
    pub mod pitfalls {}
    #[doc = include_str!("../docs/questions.md")]
    pub mod questions {}
    #[doc = include_str!("../docs/others.md")]
    pub mod others {}
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[doc(hidden)]
pub use loopbind_runtime::__private;
