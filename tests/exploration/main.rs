//! Schedule exploration finds mistakes that only some orders show: each program of `programs` is
//! wrong, and passes in the order of creation; a seed below a thousand shows it, is named, and shows it
//! again in the same way; and without its mistake the program passes them all.
//!
//! `cargo test --test exploration -- --nocapture` prints how many seeds each one took.

#[path = "../support/mod.rs"]
mod support;

mod programs;
mod tools;

use std::cell::RefCell;
use std::thread;

use loopbind::__private::{FirstFailure, Setup, first_failure};

use programs::{Form, PROGRAMS, Program};
use support::Trace;

const SEEDS: u64 = 1000;

/// What came of a program, and the trace of its last run.
fn explore(program: &Program, form: Form, setup: Setup) -> (Option<FirstFailure>, Vec<String>) {
    let last = RefCell::new(Trace::new());
    let make = || {
        let trace = Trace::new();
        *last.borrow_mut() = trace.clone();
        (program.run)(form, trace)
    };
    let found = first_failure(setup.virtual_time(), make, |()| false);
    (found, last.into_inner().take())
}

/// A message without the numbers of tasks, which are those of the process.
fn without_numbers(message: &str) -> String {
    let mut parts = message.split("Task-");
    let mut text = parts.next().unwrap().to_owned();
    for part in parts {
        text.push_str("Task-?");
        text.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    text
}

fn seeds(program: &Program) -> Setup {
    Setup::new(program.name).seeds(0..SEEDS)
}

/// The first seed of one strategy that fails.
fn first_of(program: &Program, mut seeds: impl Iterator<Item = u64>) -> Option<u64> {
    seeds.find(|&seed| {
        explore(program, Form::Buggy, Setup::new(program.name).seed(seed)).0.is_some()
    })
}

/// Finds one mistake, and gives its line of the table.
fn find(program: &Program) -> String {
    let name = program.name;
    let (found, trace) = explore(program, Form::Buggy, seeds(program));
    let found = found.unwrap_or_else(|| panic!("{name}: not found in {SEEDS} seeds"));
    assert!(found.message.contains(program.says), "{name}: {}", found.message);
    let seed = found.seed.unwrap();
    let said = found.said.unwrap();
    let first = format!(
        "{name} failed with seed {seed}; to run this order again: #[loop_test(virtual_time, seed = {seed})]"
    );
    let second = format!("or, with the test as it is: LOOPBIND_SEED={seed} cargo test {name}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[..2], [first, second]);
    assert!(lines[2].starts_with(&format!("{} seed", seed + 1)), "{said}");
    // The line to paste, and what the environment's variable does.
    for setup in [Setup::new(name).seed(seed), Setup::new(name).seeds(seed..seed + 1)] {
        let (again, same_trace) = explore(program, Form::Buggy, setup);
        let again = again.unwrap_or_else(|| panic!("{name}: seed {seed} passes now"));
        assert_eq!(without_numbers(&again.message), without_numbers(&found.message));
        assert_eq!(same_trace, trace, "{name}");
    }
    // What each strategy would have taken by itself.
    let alone = [0, 1].map(|strategy| match first_of(program, (strategy..SEEDS).step_by(2)) {
        Some(seed) => (seed / 2 + 1).to_string(),
        None => "none".to_owned(),
    });
    let [walks, priorities] = alone;
    format!("| `{name}` | {} | {} | {walks} | {priorities} |", program.says, seed + 1)
}

#[test]
fn each_mistake_is_found_named_and_replayed_exactly() {
    let table: Vec<_> = thread::scope(|scope| {
        let found: Vec<_> = PROGRAMS.iter().map(|program| scope.spawn(|| find(program))).collect();
        found.into_iter().map(|row| row.join().unwrap()).collect()
    });
    println!("| program | fails with | seeds | walks alone | priorities alone |");
    println!("|---|---|---|---|---|\n{}", table.join("\n"));
}

/// Or anybody would find the mistake.
#[test]
fn in_the_order_of_creation_no_mistake_shows() {
    for program in PROGRAMS {
        let (found, trace) = explore(program, Form::Buggy, Setup::new(program.name));
        assert!(found.is_none(), "{}: {found:#?}\n{trace:#?}", program.name);
    }
}

#[test]
fn without_its_mistake_each_program_passes_every_seed() {
    for program in PROGRAMS {
        let (found, trace) = explore(program, Form::Fixed, seeds(program));
        assert!(found.is_none(), "{}: {found:#?}\n{trace:#?}", program.name);
    }
}
