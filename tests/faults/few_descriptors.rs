//! Each scenario with no descriptor left, with one, with two, and so on, until it has enough.
//!
//! By the system's own limit, and not by a fault: here it also refuses what goes past the hook, and what the
//! standard library opens, and goes on refusing for as long as the scenario lasts.

use crate::books::Books;
use crate::every_call::{SECONDS, assert_went_well, give};
use crate::scenarios::{ALL, Scenario};
use crate::support::{in_child_with, take_descriptors_but};

/// More than any of them needs.
const ENOUGH: usize = 40;

fn with_each_number(scenario: Scenario) {
    // Warm: what is made once for the process is there.
    scenario.1().unwrap();
    let mut books = Books::open();
    books.close("warm");
    let mut refusals = 0;
    for left in 0..=ENOUGH {
        let case = format!("{left} descriptors left");
        // On standard error, which shows the last one where the process is ended.
        eprintln!("{case}");
        give(SECONDS);
        let taken = take_descriptors_but(left);
        let outcome = scenario.1();
        drop(taken);
        match outcome {
            Ok(()) => {}
            Err(error) => {
                assert!(left < ENOUGH, "{case}: {error}");
                assert!(!error.to_string().is_empty(), "{case}");
                refusals += 1;
            }
        }
        books.close(&case);
    }
    assert!(refusals > 0, "it needs none");
    give(60);
    println!("{refusals} refusals");
}

/// Each scenario, in a process of its own: an error that says something, or another way; nobody waits for
/// ever, and nothing is left.
#[test]
fn none_then_one_then_more_until_they_are_enough() {
    for &scenario in ALL {
        let test = "few_descriptors::none_then_one_then_more_until_they_are_enough";
        let output = in_child_with(test, Some(scenario.0), || with_each_number(scenario));
        if let Some(output) = output {
            assert_went_well(scenario.0, &output);
        }
    }
}

/// The first time in the life of a process, when it makes what it makes once: then too, and the next time,
/// with enough of them, all is well.
#[test]
fn the_first_time_with_none_or_some_then_with_enough() {
    for &scenario in ALL {
        for left in 0..12 {
            let test = "few_descriptors::the_first_time_with_none_or_some_then_with_enough";
            let part = format!("{}, {left} left", scenario.0);
            let output = in_child_with(test, Some(&part), || {
                let taken = take_descriptors_but(left);
                let first = scenario.1();
                drop(taken);
                first.unwrap_or_else(|error| assert!(!error.to_string().is_empty()));
                scenario.1().unwrap();
            });
            if let Some(output) = output {
                assert_went_well(&part, &output);
            }
        }
    }
}
