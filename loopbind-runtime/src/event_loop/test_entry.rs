//! Where `#[loop_test]` comes in: a run for each seed, and nothing swallowed.

#![allow(missing_docs)]

use std::fmt::Write as _;
use std::panic::Location;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::entry::{Order, Setup, or_raise};
use super::runner::Runner;
use super::seeds::{self, ONE};
use crate::engine::{Leftover, check_none_runs};
use crate::error::LoopError;
use crate::panic::{PanicPayload, caught, discard};

/// Whether a test's output is a failure, for outputs of any type: `(&Outcome(&output)).__loopbind_failed()` finds
/// a method of the type's own, or else the nearest of the two traits. Nobody else's trait has a method of that
/// name.
pub struct Outcome<'a, T>(pub &'a T);

/// A code fails by being another than that of success.
impl Outcome<'_, ExitCode> {
    pub fn __loopbind_failed(&self) -> bool {
        is_failure(self.0)
    }
}

impl<E> Outcome<'_, Result<ExitCode, E>> {
    pub fn __loopbind_failed(&self) -> bool {
        !self.0.as_ref().is_ok_and(|code| !is_failure(code))
    }
}

/// By what they show: not every compiler this builds with compares them.
fn is_failure(code: &ExitCode) -> bool {
    format!("{code:?}") != format!("{:?}", ExitCode::SUCCESS)
}

/// A `Result` fails by being an `Err`.
pub trait OutcomeOfResult {
    fn __loopbind_failed(&self) -> bool;
}

impl<T, E> OutcomeOfResult for Outcome<'_, Result<T, E>> {
    fn __loopbind_failed(&self) -> bool {
        self.0.is_err()
    }
}

/// Anything else fails by panicking.
pub trait OutcomeOfAny {
    fn __loopbind_failed(&self) -> bool;
}

impl<T> OutcomeOfAny for &Outcome<'_, T> {
    fn __loopbind_failed(&self) -> bool {
        false
    }
}

#[track_caller]
pub fn run_test<F: Future>(
    setup: Setup,
    make: impl FnMut() -> F,
    failed: impl Fn(&F::Output) -> bool,
) -> F::Output {
    let found = explore(&setup, &failed, each_run(make, Location::caller()));
    conclude(&setup, found)
}

#[track_caller]
pub fn run_plain_test<T>(
    setup: Setup,
    mut body: impl FnMut() -> T,
    failed: impl Fn(&T) -> bool,
) -> T {
    let found = explore(&setup, &failed, |runner| {
        let _bound = runner.event_loop().bind();
        Ok(body())
    });
    conclude(&setup, found)
}

/// What `run_test` would fail with, as a value and not as a panic: for tests of tests.
#[track_caller]
pub fn first_failure<F: Future>(
    setup: Setup,
    make: impl FnMut() -> F,
    failed: impl Fn(&F::Output) -> bool,
) -> Option<FirstFailure>
where
    F::Output: std::fmt::Debug,
{
    let outcome = explore(&setup, &failed, each_run(make, Location::caller()));
    let message = match outcome.ended {
        Ok(value) if !failed(&value) => return None,
        Ok(value) => format!("{value:?}"),
        Err(Failure::Told(text)) => text,
        Err(Failure::Thrown(payload)) => {
            payload.message().unwrap_or("(a payload that is not text)").to_owned()
        }
    };
    let said = outcome.found.map(|found| found.said(&setup));
    Some(FirstFailure { message, seed: outcome.found.map(|found| found.seed), said })
}

/// Which run failed, and how.
#[derive(Debug)]
pub struct FirstFailure {
    pub message: String,
    pub seed: Option<u64>,
    /// What is said of the seed, and of how to run it again.
    pub said: Option<String>,
}

fn each_run<F: Future>(
    mut make: impl FnMut() -> F,
    place: &'static Location<'static>,
) -> impl FnMut(&Runner) -> Result<F::Output, LoopError> {
    move |runner| runner.run_from(async { make().await }, place)
}

/// Whatever fails a test does so at its own place, and so is brought here as a value: what closures and
/// methods throw would be said to come from this file.
enum Failure {
    Told(String),
    Thrown(PanicPayload),
}

impl Failure {
    #[track_caller]
    fn raise(self) -> ! {
        match self {
            Failure::Told(text) => panic!("{text}"),
            Failure::Thrown(payload) => payload.resume(),
        }
    }
}

impl From<LoopError> for Failure {
    fn from(error: LoopError) -> Self {
        Failure::Told(error.to_string())
    }
}

/// How the runs of a test ended: with the last one's value, or with the first failure.
struct Ended<T> {
    ended: Result<T, Failure>,
    found: Option<Found>,
}

/// The first seed that failed.
#[derive(Clone, Copy)]
struct Found {
    seed: u64,
    tried: u64,
    took: Duration,
}

impl Found {
    /// The lines that run this seed again.
    fn said(&self, setup: &Setup) -> String {
        let mut options = String::new();
        if let Some(name) = &setup.name {
            let _ = write!(options, "name = {name:?}, ");
        }
        if setup.debug == Some(true) {
            options.push_str("debug, ");
        }
        if setup.virtual_time {
            options.push_str("virtual_time, ");
        }
        if let Some(limit) = setup.timeout {
            let _ = write!(options, "timeout = \"{}\", ", in_whole_units(limit));
        }
        let (function, Found { seed, tried, took }) = (setup.function, self);
        let mut said = format!(
            "{function} failed with seed {seed}; to run this order again: #[loop_test({options}seed = {seed})]"
        );
        if let Order::Seeds(_) = setup.order {
            let plural = if *tried == 1 { "" } else { "s" };
            let _ = write!(
                said,
                "\nor, with the test as it is: {ONE}={seed} cargo test {function}\n\
                 {tried} seed{plural} tried in {took:.1?}"
            );
        }
        said
    }
}

#[track_caller]
fn explore<T>(
    setup: &Setup,
    failed: &impl Fn(&T) -> bool,
    mut run: impl FnMut(&Runner) -> Result<T, LoopError>,
) -> Ended<T> {
    or_raise(check_none_runs());
    let mut once = |seed| {
        let trial = Trial::new(setup, seed)?;
        let outcome = caught(|| run(&trial.runner));
        trial.judge(outcome, failed)
    };
    let seeds = match &setup.order {
        Order::Queue => return Ended { ended: once(None), found: None },
        Order::Seed(seed) => *seed..=*seed,
        Order::Seeds(written) => match seeds::of_environment() {
            Ok(asked) => asked.unwrap_or_else(|| written.clone()),
            Err(text) => return Ended { ended: Err(Failure::Told(text)), found: None },
        },
    };
    assert!(!seeds.is_empty(), "#[loop_test]: the range of seeds is empty: nothing would run");
    let (began, mut tried) = (Instant::now(), 0);
    let mut last = None;
    for seed in seeds {
        // Before anything can unwind: a value whose destructor panics then is the process's end.
        drop(last.take());
        tried += 1;
        match once(Some(seed)) {
            Ok(value) if !failed(&value) => last = Some(value),
            ended => {
                let found = Some(Found { seed, tried, took: began.elapsed() });
                return Ended { ended, found };
            }
        }
    }
    let value = last.unwrap_or_else(|| unreachable!("the range is not empty"));
    Ended { ended: Ok(value), found: None }
}

/// The end of the test itself.
#[track_caller]
fn conclude<T>(setup: &Setup, outcome: Ended<T>) -> T {
    if let Some(found) = outcome.found {
        // To the captured output, which a failing test shows.
        eprintln!("{}", found.said(setup));
    }
    match outcome.ended {
        Ok(value) => value,
        Err(failure) => failure.raise(),
    }
}

/// A time as the attribute reads it.
fn in_whole_units(time: Duration) -> String {
    let nanoseconds = time.as_nanos();
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    let whole = units.into_iter().find(|(unit, _)| nanoseconds % unit == 0);
    let (unit, name) = whole.unwrap_or((1, "ns"));
    format!("{}{name}", nanoseconds / unit)
}

/// One run of a test.
struct Trial<'a> {
    setup: &'a Setup,
    runner: Runner,
}

impl<'a> Trial<'a> {
    fn new(setup: &'a Setup, seed: Option<u64>) -> Result<Self, LoopError> {
        let mut builder = setup.loop_builder();
        if let Some(seed) = seed {
            builder = builder.shuffle(seed);
        }
        let runner = Runner::with(builder)?;
        let engine = runner.event_loop().hold();
        engine.call_witness();
        engine.watch(setup.timeout.and_then(|limit| Instant::now().checked_add(limit)));
        Ok(Trial { setup, runner })
    }

    /// Ends the loop, within the test's limit, and says what is wrong with the test, worst first.
    fn judge<T>(
        self,
        outcome: Result<Result<T, LoopError>, PanicPayload>,
        failed: &impl Fn(&T) -> bool,
    ) -> Result<T, Failure> {
        let Trial { setup: Setup { function, timeout, .. }, runner } = self;
        let event_loop = runner.event_loop().clone();
        let engine = event_loop.hold();
        let (left, was_late) = (engine.leftovers(), engine.is_overdue());
        let closed = caught(|| runner.close());
        let cut_off = engine.leftovers();
        let (unseen, is_late) = (engine.take_unseen(), was_late || engine.is_overdue());

        if let (Some(limit), true) = (timeout, is_late) {
            let panicked = match &outcome {
                Err(payload) => format!(
                    "; it panicked: {}",
                    payload.message().unwrap_or("(a payload that is not text)")
                ),
                Ok(_) => String::new(),
            };
            let unfinished = list(if was_late { &left } else { &cut_off });
            let unfinished = if unfinished.is_empty() {
                unfinished
            } else {
                format!("; unfinished tasks:{unfinished}")
            };
            discard((outcome, closed));
            return Err(Failure::Told(format!(
                "{function} timed out after {limit:?}{panicked}{unfinished}"
            )));
        }
        let value = outcome.map_err(Failure::Thrown)?.map_err(|error| match error {
            LoopError::Deadlock { .. } => Failure::Told(format!("{function}: {error}")),
            error => error.into(),
        })?;
        if failed(&value) {
            discard(closed);
            return Ok(value);
        }
        let leaked: Vec<_> = left.into_iter().filter(|task| !task.is_detached).collect();
        let failure = match closed {
            Err(payload) => Failure::Thrown(payload),
            Ok(Err(error)) => error.into(),
            Ok(Ok(())) if !leaked.is_empty() => Failure::Told(format!(
                "{function} left tasks running{}\nawait, cancel or `detach()` them",
                list(&leaked)
            )),
            Ok(Ok(())) if !unseen.is_empty() => {
                Failure::Told(format!("{function}: panics that nobody saw:\n{}", unseen.join("\n")))
            }
            Ok(Ok(())) => return Ok(value),
        };
        // Before anything unwinds: see above.
        discard(value);
        Err(failure)
    }
}

fn list(tasks: &[Leftover]) -> String {
    tasks.iter().map(|task| format!("\n  {}", task.info)).collect()
}
