//! Calls that come late: another order of events between threads, the system and a scenario, and the same end.

use std::time::Duration;

use loopbind::__private::faults::{Call, FaultPlan};

use crate::books::Books;
use crate::every_call::{SECONDS, assert_went_well, give};
use crate::scenarios::{ALL, Scenario};
use crate::support::in_child_with;

const LATE: Duration = Duration::from_millis(1);

fn with_each_call_late(scenario: Scenario) {
    // Warm: what is made once for the process is there.
    let plan = FaultPlan::new().install_everywhere();
    scenario.1().unwrap();
    plan.lift();
    let made: Vec<_> = plan.counts().map(|(call, _)| call).collect();
    drop(plan);
    let mut books = Books::open();
    books.close("warm");
    let mut play = |case: &str, plan: FaultPlan| {
        // On standard error, which shows the last one where the process is ended.
        eprintln!("{case}");
        give(SECONDS);
        let faults = plan.install_everywhere();
        scenario.1().unwrap_or_else(|error| panic!("{case}: {error}"));
        faults.lift();
        books.close(case);
    };
    for &call in &made {
        play(&format!("{call:?} late"), FaultPlan::new().slow(call, LATE));
    }
    let all = made.iter().fold(FaultPlan::new(), |plan, &call| plan.slow(call, LATE));
    play("all late", all);
    // What wakes comes late, and what waits does not; and the other way around.
    let looks = |call: Call| matches!(call, Call::EpollWait | Call::EpollPwait2);
    for late in [true, false] {
        let some = made.iter().filter(|call| looks(**call) == late);
        let plan = some.fold(FaultPlan::new(), |plan, &call| plan.slow(call, LATE));
        play("looks late, or all but looks", plan);
    }
    give(60);
}

/// Each scenario, in a process of its own, ends well.
#[test]
fn late_and_all_ends_well() {
    for &scenario in ALL {
        let test = "slow_calls::late_and_all_ends_well";
        let output = in_child_with(test, Some(scenario.0), || with_each_call_late(scenario));
        if let Some(output) = output {
            assert_went_well(scenario.0, &output);
        }
    }
}
