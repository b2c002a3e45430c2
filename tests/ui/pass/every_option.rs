//! All options at once, each with an expression where a value is meant.
#![deny(
    warnings,
    missing_docs,
    clippy::all,
    clippy::pedantic,
    rust_2018_idioms,
    unused_qualifications,
    unreachable_pub
)]
#![forbid(unsafe_code)]

use loopbind::{EventLoop, loop_main, loop_thread};
use std::time::Duration;

const NAME: &str = "io";
const SPIN: Duration = Duration::from_micros(50);
#[cfg(test)]
const LIMIT: Duration = Duration::from_secs(5);
const CORE: usize = 0;
#[cfg(test)]
const RUNS: u64 = 4;

#[loop_main(builder = EventLoop::builder(), allow_nested_run, crate = ::loopbind, debug = cfg!(debug_assertions), ctrl_c = "cancel", spin = SPIN, name = NAME)]
async fn main() {
    std::future::ready(()).await;
    start(1).join().expect("it ends");
}

#[loop_thread(
    core = CORE,
    name = format!("{NAME}-{CORE}"),
    spawn,
    debug,
    stack_size = 2 * 1024 * 1024,
    spin = "20us",
    allow_nested_run,
    crate = loopbind,
    builder = EventLoop::builder(),
)]
async fn start(number: u32) {
    std::future::ready(number).await;
}

#[loopbind::loop_test(seeds = 0..RUNS, timeout = LIMIT, virtual_time, name = "t", debug, spin = SPIN * 2, allow_nested_run, crate = loopbind, builder = EventLoop::builder())]
async fn all() {
    std::future::ready(()).await;
}

#[loopbind::loop_test(timeout = "250ms", seed = RUNS + 1)]
fn plain() {}
