//! The attributes of [loopbind](https://docs.rs/loopbind): `#[loop_main]`, `#[loop_thread]` and `#[loop_test]`.
//!
//! Use them through the crate `loopbind`, which re-exports them; their expansions call into it.
//!
//! The way of an input through this crate: `parse` (a function) and `options` with `values` (what is in the parentheses), `model` (both,
//! checked against each other, with `nested` for runs inside runs), `expand` with `arguments`, `body` and `lints` (the function that replaces it). Mistakes
//! gather in `errors`, and are told all at once.
#![forbid(unsafe_code)]

mod arguments;
mod body;
mod errors;
mod expand;
mod lints;
mod model;
#[cfg(test)]
mod mutants;
mod nested;
mod options;
mod parse;
#[cfg(test)]
mod snapshots;
#[cfg(test)]
mod soup;
mod values;

use model::Attribute;
use proc_macro::TokenStream;

/// Turns a function into one that makes an event loop, runs, and ends the loop again: for `main`.
///
/// ```
/// use std::time::Duration;
///
/// #[loopbind::loop_main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     loopbind::sleep(Duration::from_millis(5)).await;
///     Ok(())
/// }
/// ```
///
/// The function makes a loop, binds it to the calling thread, and makes it the one that
/// `loopbind::main_loop` gives to every thread. An `async fn` then runs on the loop. A plain `fn` is
/// called with the loop bound and not running: it may run it, as often as it likes, with
/// `get_event_loop()?.run_until_complete(..)`. When the function returns or panics, the tasks that are
/// left are cancelled, in order of creation, with time to clean up; the loop is closed; and what was
/// bound before is bound again.
///
/// It need not be called `main`. Any function without a receiver will do: with arguments, patterns,
/// generics, lifetimes, `where` clauses, `impl Trait`, `unsafe`, `extern "C"`, `-> !`. Arguments and
/// output may borrow from the caller and need not be `Send`. What the function returns is what the
/// user's function returns, and what rustc says of its body is what it says of the same function
/// without the attribute. All other attributes stay, above or below this one.
///
/// # Options
///
/// In any order; wherever a value is meant, any expression will do. It is evaluated at each call,
/// before the loop is made, and does not see the arguments.
///
/// | option | means |
/// |---|---|
/// | `name = "ui"` | the name of the loop, for messages: anything `Into<String>` |
/// | `debug`, `debug = bool` | debug mode on, or as the value says |
/// | `spin = "50us"` | how long the loop looks for work before it sleeps, at most: a whole number with `ns`, `us`, `ms` or `s`, or an expression of type `Duration`; see `loopbind::Builder::spin` |
/// | `ctrl_c = "cancel"` | the first Ctrl-C cancels the body of an `async fn`, the second ends the process: see below |
/// | `host = "tokio"` | the loop is a guest of tokio's runtime, on the same thread, and libraries made for tokio work in its tasks: see `loopbind::tokio`; by the feature `tokio` |
/// | `builder = expression` | the `loopbind::Builder` to make the loop with; the other options stand above what it says |
/// | `allow_nested_run` | see below |
/// | `crate = path` | where the crate `loopbind` is, if it was renamed or re-exported: `crate = my_framework::loopbind` |
///
/// # Ctrl-C
///
/// Without the option nothing is done about Ctrl-C: it kills the process, and no destructor runs. With
/// `ctrl_c = "cancel"` the first one (or whatever else sends `SIGINT`) cancels the body, as
/// `Task::cancel` would: a body that holds a polled `loopbind::task::cancelled()` is told, and cleans up
/// with `await`; any other is dropped where it stands. The tasks that are left are then cancelled, with
/// time to clean up, as at the end of every run, and the process ends with status 130, which is how a
/// shell knows one that Ctrl-C ended. Only if the body was told and returns a value is that the
/// function's value, as ever. A panic, also of a destructor, passes through as ever.
///
/// The second Ctrl-C while that is going on, and any that comes when the body is already over, ends the
/// process at once, with status 130, whatever the program is doing.
///
/// ```no_run
/// use loopbind::{loop_main, sleep, spawn, task};
/// use std::time::Duration;
///
/// #[loop_main(ctrl_c = "cancel")]
/// async fn main() {
///     spawn(async {
///         task::cancelled().await;
///         sleep(Duration::from_millis(10)).await; // says good bye to a server, perhaps
///         println!("cleaned up");
///     });
///     sleep(Duration::from_secs(3600)).await;
/// }
/// ```
///
/// Where something else is already arranged for `SIGINT` when the function is called, by a handler of
/// somebody else's or by whoever started the program and had it ignored (`nohup`, a script's `&`), that
/// stays, and the option does nothing. Others may listen as well, with `loopbind::signal`, and hear what
/// the option hears.
///
/// # Errors at compile time
///
/// Unknown, doubled and misplaced options and values of the wrong type are told at their own tokens,
/// all at once. So are a `const fn` (there is no loop at compile time), a function without a body, C's
/// variadic arguments, more than four arguments with a `#[cfg]`, and `ctrl_c` on a plain `fn`. A
/// method gets `#[loop_thread]` instead.
///
/// An `async fn` that calls `.run_until_complete(..)` or `.run_forever()` directly in its own braces
/// would run a loop inside a running one, which is refused at run time: that is an error already
/// here, which says what to write instead. If the method only has the same name, the option
/// `allow_nested_run` permits it. In nested blocks, closures and macros nothing is looked for.
///
/// # Panics
///
/// With the text of the `LoopError` if the loop itself fails: another loop runs on this thread
/// (`Cannot run the event loop while another loop is running`; checked before anything is made), the
/// system has no descriptors left to make one or to hear of Ctrl-C, or somebody stopped it before the function was done.
/// The place of the panic is the attribute. A function that calls itself is a run inside a run, too.
///
/// A panic of the function itself passes through, after everything was ended and restored.
///
/// # Functions in an `impl`
///
/// An associated function that names `Self` in its signature or its body becomes a closure instead of
/// an inner function, because only that can see `Self`; there, rustc's messages may differ. In an
/// `impl` with type parameters, a function that uses one of them has to name `Self` somewhere for it.
#[doc(alias = "main")]
#[proc_macro_attribute]
pub fn loop_main(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Main, options.into(), item.into()).into()
}

/// Turns a function into one with an event loop of its own: for threads other than the main one.
///
/// ```
/// #[loopbind::loop_thread]
/// async fn worker() -> Result<usize, loopbind::LoopError> {
///     loopbind::yield_now().await;
///     Ok(loopbind::get_event_loop()?.all_tasks().len())
/// }
///
/// let thread = std::thread::spawn(worker);
/// assert_eq!(thread.join().unwrap()?, 1);
/// # Ok::<(), loopbind::LoopError>(())
/// ```
///
/// The function works as one under `#[loop_main]` does, on the thread that calls it, except that its
/// loop is not the one `main_loop` gives, and that methods can have it too: with `self`, `&self`,
/// `&mut self` or `self: Rc<Self>`, in an `impl` or with a body in a trait. (What has a receiver or
/// names `Self` becomes a closure; rustc's messages about its body may differ from those about the
/// same method without the attribute.)
///
/// # A thread of its own: `spawn`
///
/// ```
/// #[loopbind::loop_thread(spawn)]
/// async fn count_words(text: String) -> usize {
///     text.split_whitespace().count()
/// }
///
/// let counting = count_words(String::from("one two")); // a `LoopThread<usize>`
/// assert_eq!(counting.join().unwrap(), 2);
/// ```
///
/// With `spawn` the function starts a thread, named after itself, and returns a
/// `loopbind::thread::LoopThread` of its output, as soon as the thread's loop is made and bound:
/// `handle()` gives it work from then on, `stop()` asks it to end, `join()` waits for it. Arguments and
/// output move between threads: they are `Send + 'static`, and each that is not is told at its own
/// type. What the function makes inside need not be. A reference among the arguments has to be
/// `&'static`, and a receiver has to be a value, such as `self` or `self: Arc<Self>`.
///
/// # Options
///
/// In any order; wherever a value is meant, any expression will do. It is evaluated at each call, on
/// the thread that calls, and does not see the arguments.
///
/// | option | means |
/// |---|---|
/// | `spawn` | on a thread of its own |
/// | `name = "io"` | the name of the loop; with `spawn`, of the thread as well |
/// | `stack_size = 1 << 20` | with `spawn`: the bytes of the thread's stack, a `usize` |
/// | `core = 0` | with `spawn`: the index of the processor core the thread stays on, a `usize` |
/// | `debug`, `debug = bool` | debug mode on, or as the value says |
/// | `spin = "50us"` | how long the loop looks for work before it sleeps, at most: a whole number with `ns`, `us`, `ms` or `s`, or an expression of type `Duration`; see `loopbind::Builder::spin` |
/// | `host = "tokio"` | the loop is a guest of tokio's runtime, on the same thread, and libraries made for tokio work in its tasks: see `loopbind::tokio`; by the feature `tokio` |
/// | `builder = expression` | the `loopbind::Builder` to make the loop with; the other options stand above what it says |
/// | `allow_nested_run` | permits a call that looks like a run inside the run |
/// | `crate = path` | where the crate `loopbind` is, if it was renamed or re-exported |
///
/// # Errors at compile time
///
/// As under `#[loop_main]`; also `stack_size` and `core` without `spawn`, and with `spawn` an argument
/// or a receiver that is a reference.
///
/// # Panics
///
/// As under `#[loop_main]`. With `spawn`, the function panics with the text of the `LoopError` if the
/// thread or its loop cannot start (`loopbind::thread::ThreadBuilder::spawn` returns the error
/// instead), but not because a loop runs where it is called. A panic of the body comes back from
/// `join`.
#[proc_macro_attribute]
pub fn loop_thread(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Thread, options.into(), item.into()).into()
}

/// Turns a function into a `#[test]` with an event loop, in which nothing goes unnoticed.
///
/// ```
/// # use std::time::Duration;
/// #[loopbind::loop_test(virtual_time, seeds = 0..64, timeout = "5s")]
/// async fn the_slow_one_is_cut_off() {
///     let slow = loopbind::sleep(Duration::from_secs(3600));
///     assert!(loopbind::timeout(Duration::from_secs(60), slow).await.is_err());
/// }
/// ```
///
/// An `async fn` runs on the loop; a plain `fn` is called with the loop bound, and runs it as it
/// likes. The test fails if the function panics or returns an `Err`, and also
///
/// - if tasks are left when it ends, which the failure names, with the places where they were
///   spawned: await them, cancel them, or say with `detach()` that they may go on;
/// - if a task or a callback panicked and nobody saw it;
/// - if it takes longer than its `timeout`, and the failure lists the tasks that were not at their end;
/// - under `virtual_time`, if nothing is left that could wake it: at once, with the list of its tasks,
///   where each was spawned and which awaits which.
///
/// `#[should_panic]`, `#[ignore]` and other attributes work, above or below. Where another attribute
/// (one that makes several tests of one function, say) has put a `#[test]` below this one, none is
/// added. Arguments that such an attribute passes are handed on; with `seeds` they are cloned for each
/// run.
///
/// # Options
///
/// In any order; wherever a value is meant, any expression will do.
///
/// | option | means |
/// |---|---|
/// | `virtual_time` | the loop's clock stands still while there is work, and jumps to the next timer when there is none |
/// | `seed = 7` | what is ready runs in an order drawn from this seed, a `u64`, instead of first come, first served: to find code that leans on the order |
/// | `seeds = 0..64` | runs the test once for each seed of the range, to the first that fails: see below |
/// | `timeout = "5s"` | the longest it may take, in real time, also under `virtual_time`: a whole number with `ns`, `us`, `ms`, `s`, `m` or `h`, or an expression of type `Duration` |
/// | `name = "…"` | the name of the loop |
/// | `debug`, `debug = bool` | debug mode on, or as the value says |
/// | `spin = "50us"` | how long the loop looks for work before it sleeps, at most: a whole number with `ns`, `us`, `ms` or `s`, or an expression of type `Duration`; see `loopbind::Builder::spin` |
/// | `host = "tokio"` | the loop is a guest of tokio's runtime, on the same thread, and libraries made for tokio work in its tasks: see `loopbind::tokio`; by the feature `tokio` |
/// | `builder = expression` | the `loopbind::Builder` to make the loop with; the other options stand above what it says |
/// | `allow_nested_run` | permits a call that looks like a run inside the run |
/// | `crate = path` | where the crate `loopbind` is, if it was renamed or re-exported |
///
/// # Seeds
///
/// A seed stands for one schedule: which of the tasks and callbacks that are ready runs next, and which
/// of them are put off for a while. `loopbind::Builder::shuffle` says what that changes and what it leaves
/// alone. With `seeds` a test explores many of them, in a loop that is new each time, and whatever fails it
/// names the seed, be it a panic, an `Err`, a task that is left, a time-out or a deadlock:
///
/// ```text
/// withdraws_twice failed with seed 17; to run this order again: #[loop_test(virtual_time, seed = 17)]
/// or, with the test as it is: LOOPBIND_SEED=17 cargo test withdraws_twice
/// 18 seeds tried in 4.1ms
/// ```
///
/// Two variables of the environment take the place of the range: `LOOPBIND_SEED=17` tries that one, and
/// `LOOPBIND_SEEDS=0..10000` (or `0..=9999`) these. Tests with `seed`, or with neither, are not concerned: they
/// were written for one order.
///
/// The same seed is the same run, step for step, under `virtual_time` and as long as nothing comes from
/// other threads and other programs; `futures::select!` draws from a random source of its own, so use
/// `select_biased!`.
///
/// ```
/// # use std::{cell::Cell, rc::Rc};
/// use loopbind::{spawn, yield_now};
///
/// #[loopbind::loop_test(virtual_time, seeds = 0..100)]
/// async fn both_withdraw() {
///     let balance = Rc::new(Cell::new(100));
///     let withdraw = |amount| {
///         let balance = balance.clone();
///         spawn(async move {
///             yield_now().await; // before the look at the balance, and not behind it
///             if balance.get() >= amount {
///                 balance.set(balance.get() - amount);
///             }
///         })
///     };
///     for task in [withdraw(70), withdraw(60)] {
///         task.await.unwrap();
///     }
///     assert!(balance.get() >= 0);
/// }
/// ```
///
/// # Virtual time
///
/// The clock stands still while there is work, and jumps to the next timer when there is none, unless
/// blocking work or a child process is on its way. A test that waits for what cannot come fails with a
/// deadlock. That is never said while somebody has a `LoopHandle` of the loop, or while a task waits for a
/// descriptor, a signal, or another loop; where a waker may be in another thread's hands it is said after
/// two seconds, and at once where all wait for each other, or at what cannot leave the thread.
/// `loopbind::Builder::virtual_time` says more.
///
/// A `timeout` is looked at between iterations of the loop: it ends a test that waits for what never
/// comes, or that is woken for ever; it cannot interrupt code that does not return to the loop.
///
/// # Errors at compile time
///
/// As under `#[loop_main]`; also `host` together with `virtual_time`, `seed` together with `seeds`, an empty range of seeds, and a
/// `timeout` without a unit.
#[doc(alias("IsolatedAsyncioTestCase", "start_paused", "test"))]
#[proc_macro_attribute]
pub fn loop_test(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(Attribute::Test, options.into(), item.into()).into()
}
