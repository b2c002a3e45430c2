//! Two faults in one run: the second strikes while the first is being cleaned up, or later.
//!
//! For each call of each scenario that may fail, and each call that comes behind the failure: what an error
//! leads to is code, too, and closes, reaps, tells and tries again by calls that may fail in their turn.

use std::io;

use loopbind::__private::faults::{Call, FaultPlan, Faults};

use crate::books::Books;
use crate::errno::EINTR;
use crate::every_call::{SECONDS, errnos, give, last_words};
use crate::scenarios::{ALL, Scenario};
use crate::support::in_child_with;

/// The one errno that stands for a call's: not that of an interruption, after which it is only made again.
fn errno(call: Call) -> i32 {
    *errnos(call).iter().find(|errno| **errno != EINTR).unwrap()
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
    let (mut runs, mut pairs) = (0, 0);
    for (first, _) in counts {
        for n in 1.. {
            let plan = || FaultPlan::new().nth(first, n, errno(first));
            let case = format!("{first:?} {n}: {}", io::Error::from_raw_os_error(errno(first)));
            let faults = play(scenario, &mut books, plan(), &case);
            if faults.used() == 0 {
                break;
            }
            let behind: Vec<_> = faults.later_counts().collect();
            drop(faults);
            for (second, count) in behind {
                for m in 1..=count {
                    let case = format!("{case}, then {second:?} {m}");
                    let plan = plan().then(second, m, errno(second));
                    pairs += u64::from(play(scenario, &mut books, plan, &case).used() == 2);
                    runs += 1;
                }
            }
        }
    }
    give(60);
    println!("{runs} runs, {pairs} pairs");
    assert!(pairs > 0, "of {runs} runs none had both faults");
}

/// Each scenario, in a process of its own: it ends, nothing is left, and no panic comes out.
#[test]
fn one_then_another_and_nothing_is_left() {
    for scenario in ALL {
        let test = "pairs::one_then_another_and_nothing_is_left";
        let output = in_child_with(test, Some(scenario.0), || under_every_pair(scenario));
        if let Some(output) = output {
            assert!(output.status.success(), "{}: {}", scenario.0, last_words(&output));
        }
    }
}
