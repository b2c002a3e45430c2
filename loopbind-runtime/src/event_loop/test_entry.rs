//! Where `#[loop_test]` comes in: a run for each seed, and nothing swallowed.

#![allow(missing_docs)]

use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::entry::{Setup, or_raise};
use super::runner::Runner;
use crate::engine::check_none_runs;
use crate::error::LoopError;
use crate::panic::caught;

/// Whether a test's output is a failure, for outputs of any type: `(&Outcome(&output)).__loopbind_failed()` finds
/// the nearest of the two traits. Nobody else's trait has a method of that name.
pub struct Outcome<'a, T>(pub &'a T);

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
    each_seed(&setup, &failed, |trial| {
        let outcome = caught(|| trial.runner.run_from(async { make().await }, place));
        trial.judge(outcome, &failed)
    })
}

#[track_caller]
pub fn run_plain_test<T>(
    setup: Setup,
    mut body: impl FnMut() -> T,
    failed: impl Fn(&T) -> bool,
) -> T {
    each_seed(&setup, &failed, |trial| {
        let outcome = caught(|| {
            let _bound = trial.runner.event_loop().bind();
            Ok(body())
        });
        trial.judge(outcome, &failed)
    })
}

#[track_caller]
fn each_seed<T>(
    setup: &Setup,
    failed: &impl Fn(&T) -> bool,
    mut run: impl FnMut(Trial<'_>) -> T,
) -> T {
    or_raise(check_none_runs());
    let Some(seeds) = setup.seeds.clone() else { return run(Trial::new(setup, None)) };
    assert!(!seeds.is_empty(), "#[loop_test]: the range of seeds is empty: nothing would run");
    let mut last = None;
    for seed in seeds {
        match caught(|| run(Trial::new(setup, Some(seed)))) {
            Ok(value) if failed(&value) => {
                announce(setup, seed);
                return value;
            }
            Ok(value) => last = Some(value),
            Err(payload) => {
                announce(setup, seed);
                payload.resume();
            }
        }
    }
    last.unwrap_or_else(|| unreachable!("the range is not empty"))
}

/// The line that runs this seed again. To the captured output, which a failing test shows.
fn announce(setup: &Setup, seed: u64) {
    let time = if setup.virtual_time { "virtual_time, " } else { "" };
    eprintln!(
        "{} failed with seed {seed}; to run this order again: #[loop_test({time}seed = {seed})]",
        setup.function
    );
}

/// One run of a test.
struct Trial<'a> {
    setup: &'a Setup,
    runner: Runner,
    /// What went to the exception handler with a panic in it.
    unseen: Rc<RefCell<Vec<String>>>,
    deadline: Option<(Duration, Instant)>,
}

impl<'a> Trial<'a> {
    #[track_caller]
    fn new(setup: &'a Setup, seed: Option<u64>) -> Self {
        let mut builder = setup.loop_builder();
        if let Some(seed) = seed {
            builder = builder.shuffle(seed);
        }
        let runner = or_raise(Runner::with(builder));
        let unseen = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&unseen);
        runner.event_loop().set_exception_handler(Some(Box::new(move |event_loop, context| {
            if context.panic.is_some() {
                heard.borrow_mut().push(context.to_string());
            }
            event_loop.default_exception_handler(context);
        })));
        let deadline =
            setup.timeout.and_then(|limit| Some((limit, Instant::now().checked_add(limit)?)));
        runner.event_loop().hold().watch(deadline.map(|(_, at)| at));
        Trial { setup, runner, unseen, deadline }
    }

    /// Ends the loop, and says what is wrong with the test, worst first.
    #[track_caller]
    fn judge<T>(
        self,
        outcome: Result<Result<T, LoopError>, crate::PanicPayload>,
        failed: &impl Fn(&T) -> bool,
    ) -> T {
        let home = &self.runner.event_loop().hold().home;
        let left: Vec<String> = home
            .live_tasks()
            .iter()
            .filter(|task| !task.is_detached())
            .map(|task| format!("\n  {}", task.info()))
            .collect();
        let late = self.deadline.filter(|(_, at)| Instant::now() >= *at);
        self.runner.event_loop().hold().watch(None);
        let closed = caught(|| self.runner.close());
        let value = match outcome {
            Err(payload) => payload.resume(),
            Ok(Err(LoopError::StoppedBeforeComplete)) if late.is_some() => {
                let limit = late.map(|(limit, _)| limit).unwrap_or_default();
                panic!("{} timed out after {limit:?}{}", self.setup.function, unfinished(&left));
            }
            Ok(outcome) => or_raise(outcome),
        };
        if let Err(payload) = closed {
            payload.resume();
        }
        if failed(&value) {
            return value;
        }
        assert!(
            left.is_empty(),
            "{} left tasks running{}\nawait, cancel or `detach()` them",
            self.setup.function,
            unfinished(&left)
        );
        let unseen = self.unseen.borrow();
        assert!(
            unseen.is_empty(),
            "{}: panics that nobody saw:\n{}",
            self.setup.function,
            unseen.join("\n")
        );
        drop(unseen);
        value
    }
}

fn unfinished(left: &[String]) -> String {
    if left.is_empty() { String::new() } else { format!("; unfinished tasks:{}", left.concat()) }
}
