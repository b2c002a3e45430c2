//! Where `#[loop_test]` comes in: a run for each seed, and nothing swallowed.

#![allow(missing_docs)]

use std::fmt::Write as _;
use std::panic::Location;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::entry::{Setup, or_raise};
use super::runner::Runner;
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
    mut make: impl FnMut() -> F,
    failed: impl Fn(&F::Output) -> bool,
) -> F::Output {
    let place = Location::caller();
    each_seed(&setup, &failed, |runner| runner.run_from(async { make().await }, place))
}

#[track_caller]
pub fn run_plain_test<T>(
    setup: Setup,
    mut body: impl FnMut() -> T,
    failed: impl Fn(&T) -> bool,
) -> T {
    each_seed(&setup, &failed, |runner| {
        let _bound = runner.event_loop().bind();
        Ok(body())
    })
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

#[track_caller]
fn each_seed<T>(
    setup: &Setup,
    failed: &impl Fn(&T) -> bool,
    mut run: impl FnMut(&Runner) -> Result<T, LoopError>,
) -> T {
    or_raise(check_none_runs());
    let mut once = |seed| {
        let trial = Trial::new(setup, seed)?;
        let outcome = caught(|| run(&trial.runner));
        trial.judge(outcome, failed)
    };
    let Some(seeds) = setup.seeds.clone() else {
        match once(None) {
            Ok(value) => return value,
            Err(failure) => failure.raise(),
        }
    };
    assert!(!seeds.is_empty(), "#[loop_test]: the range of seeds is empty: nothing would run");
    let mut last = None;
    for seed in seeds {
        // Before anything can unwind: a value whose destructor panics then is the process's end.
        drop(last.take());
        match once(Some(seed)) {
            Ok(value) if failed(&value) => {
                announce(setup, seed);
                return value;
            }
            Ok(value) => last = Some(value),
            Err(failure) => {
                announce(setup, seed);
                failure.raise();
            }
        }
    }
    last.unwrap_or_else(|| unreachable!("the range is not empty"))
}

/// The line that runs this seed again. To the captured output, which a failing test shows.
fn announce(setup: &Setup, seed: u64) {
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
    eprintln!(
        "{} failed with seed {seed}; to run this order again: #[loop_test({options}seed = {seed})]",
        setup.function
    );
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
        let value = outcome.map_err(Failure::Thrown)??;
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
