//! Where the attributes' expansions come in. Not for people: see `#[loop_main]` and its siblings.

#![allow(missing_docs)] // For expansions, not for people.

use std::ops::{Range, RangeInclusive};
use std::panic::Location;
use std::time::Duration;

use super::runner::Runner;
use super::thread::{LoopThread, ThreadBuilder};
use super::{Builder, interrupt, lookup};
use crate::engine::check_none_runs;
use crate::error::LoopError;
use crate::panic::caught;

/// In which order a test's loop runs what is ready.
#[derive(Clone, Debug)]
pub(super) enum Order {
    Queue,
    Seed(u64),
    /// One run for each, or for those that the environment says.
    Seeds(RangeInclusive<u64>),
}

/// What an attribute says of the loop to make.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(super) function: &'static str,
    pub(super) name: Option<String>,
    pub(super) debug: Option<bool>,
    spin: Option<Duration>,
    builder: Builder,
    ctrl_c_cancels: bool,
    #[cfg(feature = "tokio")]
    is_guest: bool,
    stack_size: Option<usize>,
    core: Option<usize>,
    pub(super) virtual_time: bool,
    pub(super) order: Order,
    pub(super) timeout: Option<Duration>,
}

impl Setup {
    pub fn new(function: &'static str) -> Self {
        Setup {
            function,
            name: None,
            debug: None,
            spin: None,
            builder: Builder::default(),
            ctrl_c_cancels: false,
            #[cfg(feature = "tokio")]
            is_guest: false,
            stack_size: None,
            core: None,
            virtual_time: false,
            order: Order::Queue,
            timeout: None,
        }
    }

    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    pub fn debug(mut self, enabled: bool) -> Self {
        self.debug = Some(enabled);
        self
    }

    pub fn spin(mut self, limit: Duration) -> Self {
        self.spin = Some(limit);
        self
    }

    pub fn builder(mut self, builder: Builder) -> Self {
        self.builder = builder;
        self
    }

    #[cfg(feature = "tokio")]
    pub fn host_tokio(mut self) -> Self {
        self.is_guest = true;
        self
    }

    pub fn ctrl_c_cancels(mut self) -> Self {
        self.ctrl_c_cancels = true;
        self
    }

    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    pub fn core(mut self, index: usize) -> Self {
        self.core = Some(index);
        self
    }

    pub fn virtual_time(mut self) -> Self {
        self.virtual_time = true;
        self
    }

    pub fn seed(mut self, seed: u64) -> Self {
        self.order = Order::Seed(seed);
        self
    }

    /// An empty range is told when the test runs.
    pub fn seeds(mut self, seeds: Range<u64>) -> Self {
        self.order = Order::Seeds(match seeds.end.checked_sub(1) {
            Some(last) => seeds.start..=last,
            #[allow(clippy::reversed_empty_ranges)] // There is no other way to say empty.
            None => 1..=0,
        });
        self
    }

    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// The builder with what the attribute says on top.
    pub(super) fn loop_builder(&self) -> Builder {
        let mut builder = self.builder.clone();
        if let Some(name) = &self.name {
            builder = builder.name(name.clone());
        }
        if let Some(enabled) = self.debug {
            builder = builder.debug(enabled);
        }
        if let Some(limit) = self.spin {
            builder = builder.spin(limit);
        }
        #[cfg(feature = "tokio")]
        if self.is_guest && !builder.has_host() {
            builder = builder.tokio();
        }
        if self.virtual_time {
            builder = builder.virtual_time(true);
        }
        builder
    }

    /// Checked before anything is made.
    fn runner(&self) -> Result<Runner, LoopError> {
        check_none_runs()?;
        Runner::with(self.loop_builder())
    }

    fn thread(self) -> ThreadBuilder {
        let mut thread = ThreadBuilder::new()
            .name(self.name.clone().unwrap_or_else(|| self.function.to_owned()))
            .event_loop(self.loop_builder());
        if let Some(bytes) = self.stack_size {
            thread = thread.stack_size(bytes);
        }
        if let Some(index) = self.core {
            thread = thread.core(index);
        }
        thread
    }
}

/// What a failure of the loop itself is to the caller of an annotated function.
#[track_caller]
pub(super) fn or_raise<T>(outcome: Result<T, LoopError>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => error.raise(),
    }
}

#[track_caller]
pub fn run_main<F: Future>(setup: Setup, make: impl FnOnce() -> F) -> F::Output {
    let runner = or_raise(setup.runner());
    lookup::announce_main(runner.event_loop().handle());
    let body = async { make().await };
    if setup.ctrl_c_cancels {
        return interrupt::run_and_close(runner, body);
    }
    or_raise(runner.run_and_close(body, Location::caller()))
}

#[track_caller]
pub fn run_thread<F: Future>(setup: Setup, make: impl FnOnce() -> F) -> F::Output {
    let runner = or_raise(setup.runner());
    or_raise(runner.run_and_close(async { make().await }, Location::caller()))
}

#[track_caller]
pub fn bind_main<T>(setup: Setup, body: impl FnOnce() -> T) -> T {
    let runner = or_raise(setup.runner());
    lookup::announce_main(runner.event_loop().handle());
    bind_and_close(runner, body)
}

#[track_caller]
pub fn bind_thread<T>(setup: Setup, body: impl FnOnce() -> T) -> T {
    bind_and_close(or_raise(setup.runner()), body)
}

/// A plain function inside the binding, then the end of the loop, also when the function panics.
#[track_caller]
fn bind_and_close<T>(runner: Runner, body: impl FnOnce() -> T) -> T {
    let outcome = {
        let _bound = runner.event_loop().bind();
        caught(body)
    };
    let (value, closed) = runner.close_behind(outcome);
    or_raise(closed);
    value
}

#[track_caller]
pub fn spawn_thread<F, Fut>(setup: Setup, make: F) -> LoopThread<Fut::Output>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future + 'static,
    Fut::Output: Send + 'static,
{
    or_raise(setup.thread().spawn(make))
}

#[track_caller]
pub fn spawn_plain_thread<T, F>(setup: Setup, body: F) -> LoopThread<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    or_raise(setup.thread().spawn_plain(body))
}
