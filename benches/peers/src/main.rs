//! loopbind beside its peers: the same workloads, in one process, round by round.
//!
//! `cargo run --release` prints one table: thread CPU time for each operation, least and median of
//! the rounds. Every round visits every runtime, so that what disturbs the machine for a while
//! disturbs all of them. `cargo run --release -- 40` takes 40 rounds.
//!
//! `cargo run --release -- once <runtime> <workload> <n>` does `n` operations and measures nothing:
//! for a profiler. The instructions of one operation are the difference between two such counts.

mod runtime;
mod table;
mod workload;

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use runtime::{
    AsyncExecutor, FuturesLocalPool, Loopbind, Runtime, TokioLocalRuntime, TokioLocalSet,
};
use workload::Workload;

const ROUNDS: usize = 25;

/// A runtime whose type is forgotten.
trait Contender {
    fn name(&self) -> &'static str;
    fn perform(&mut self, workload: Workload, n: usize);
}

impl<R: Runtime> Contender for R {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn perform(&mut self, workload: Workload, n: usize) {
        workload.perform(self, n);
    }
}

fn contenders() -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(Loopbind::new()),
        Box::new(TokioLocalRuntime::new()),
        Box::new(TokioLocalSet::new()),
        Box::new(AsyncExecutor::new()),
        Box::new(FuturesLocalPool::new()),
    ]
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => compare(ROUNDS),
        ["once", runtime, workload, n] => once(runtime, workload, n.parse().expect("a number")),
        [rounds] => compare(rounds.parse().expect("a number of rounds")),
        _ => panic!("usage: peers [rounds] | peers once <runtime> <workload> <n>"),
    }
}

fn once(runtime: &str, workload: &str, n: usize) {
    let workload = Workload::ALL
        .into_iter()
        .find(|known| format!("{known:?}").eq_ignore_ascii_case(workload))
        .unwrap_or_else(|| panic!("the workloads are {:?}", Workload::ALL));
    let mut contender = contenders()
        .into_iter()
        .find(|known| known.name() == runtime)
        .unwrap_or_else(|| panic!("no runtime is called {runtime:?}"));
    contender.perform(workload, n);
}

fn compare(rounds: usize) {
    let mut contenders = contenders();
    let names: Vec<_> = contenders.iter().map(|contender| contender.name()).collect();
    let mut results: Vec<Vec<Vec<f64>>> = vec![vec![Vec::new(); names.len()]; Workload::ALL.len()];
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        for (row, workload) in results.iter_mut().zip(Workload::ALL) {
            // Each round begins with another one: nobody always runs behind the same neighbour.
            for step in 0..names.len() {
                let which = (round + step) % names.len();
                if workload == Workload::Lookup && names[which] != Loopbind::NAME {
                    continue;
                }
                let n = workload.operations();
                let began = cpu_time();
                contenders[which].perform(workload, n);
                let took = cpu_time() - began;
                if round > 0 {
                    row[which].push(took.as_nanos() as f64 / n as f64);
                }
            }
        }
    }
    println!("ns of thread CPU time per operation, min / median of {rounds} interleaved rounds\n");
    table::print(&names, &Workload::ALL.map(Workload::name), &mut results);
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
