//! Two faults in one run: the second strikes while the first is being cleaned up, or later.
//!
//! For each call of each scenario that may fail, and each call that comes behind the failure: what an error
//! leads to is code, too, and closes, reaps, tells and tries again by calls that may fail in their turn.

use std::io;

use loopbind::__private::faults::{Call, FaultPlan, Faults};

use crate::books::Books;
use crate::errno::EINTR;
use crate::every_call::{SECONDS, assert_went_well, errnos, give};
use crate::scenarios::{ALL, Scenario};
use crate::support::in_child_with;

/// With `all` each errno of each call is tried, which takes minutes.
const EXTENT: &str = "LOOPBIND_PAIRS";

/// The errnos that stand for a call's. Not that of an interruption, after which it is only made again.
fn some_of(call: Call) -> Vec<i32> {
    let all = errnos(call).iter().copied();
    match std::env::var(EXTENT).is_ok_and(|extent| extent == "all") {
        true => all.collect(),
        false => all.filter(|&errno| errno != EINTR).take(1).collect(),
    }
}

/// A watcher of driven loops rests for a second after a look that fails: each of those alone is enough.
fn takes_long(scenario: Scenario, call: Call) -> bool {
    scenario.0 == "a_driven_loop" && matches!(call, Call::EpollWait | Call::EpollPwait2)
}

fn named(call: Call, n: u64, errno: i32) -> String {
    format!("{call:?} {n}: {}", io::Error::from_raw_os_error(errno))
}

/// Runs `scenario` under `plan`, and closes the books behind it.
fn play(scenario: Scenario, books: &mut Books, plan: FaultPlan, case: &str) -> Faults {
    // On standard error, which shows the last one where the process is ended.
    eprintln!("{case}");
    give(SECONDS);
    let faults = plan.install_everywhere();
    let outcome = scenario.1();
    faults.lift();
    if let Err(error) = outcome {
        assert!(!error.to_string().is_empty(), "{case}");
    }
    books.close(case);
    faults
}

/// Runs `scenario` with this fault, and with each other one behind it; whether it struck at all.
fn under_pairs_of(scenario: Scenario, books: &mut Books, first: (Call, u64, i32)) -> bool {
    let plan = || FaultPlan::new().nth(first.0, first.1, first.2);
    let case = named(first.0, first.1, first.2);
    let faults = play(scenario, books, plan(), &case);
    let has_struck = faults.used() > 0;
    let behind: Vec<_> = faults.later_counts().collect();
    drop(faults);
    for (second, count) in behind.into_iter().filter(|(call, _)| !takes_long(scenario, *call)) {
        for errno in some_of(second) {
            for m in 1..=count {
                let case = format!("{case}, then {}", named(second, m, errno));
                let faults = play(scenario, books, plan().then(second, m, errno), &case);
                if faults.used() == 2 {
                    println!("a pair");
                }
            }
        }
    }
    has_struck
}

/// Runs `scenario` under every pair.
fn under_every_pair(scenario: Scenario) {
    // Warm: what is made once for the process is there.
    let plan = FaultPlan::new().install_everywhere();
    scenario.1().unwrap();
    plan.lift();
    let counts: Vec<_> = plan.counts().collect();
    drop(plan);
    let mut books = Books::open();
    books.close("warm");
    for (first, _) in counts.into_iter().filter(|(call, _)| !takes_long(scenario, *call)) {
        for errno in some_of(first) {
            for n in 1.. {
                if !under_pairs_of(scenario, &mut books, (first, n, errno)) {
                    break;
                }
            }
        }
    }
    give(60);
}

/// Each scenario, in a process of its own: it ends, nothing is left, and no panic comes out.
#[test]
fn one_then_another_and_nothing_is_left() {
    let mut pairs = 0;
    for &scenario in ALL {
        let test = "pairs::one_then_another_and_nothing_is_left";
        let output = in_child_with(test, Some(scenario.0), || under_every_pair(scenario));
        let Some(output) = output else { continue };
        assert_went_well(scenario.0, &output);
        let said = String::from_utf8_lossy(&output.stdout);
        pairs += said.lines().filter(|line| *line == "a pair").count();
    }
    // None in a child, which is here for one scenario.
    assert!(pairs > 1000 || pairs == 0, "{pairs} pairs");
    println!("{pairs} pairs");
}
