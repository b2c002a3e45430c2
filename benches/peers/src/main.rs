//! loopbind beside its peers: the same workloads, in one process, round by round.
//!
//! `cargo run --release` prints one table: the time of each operation, least and median of the rounds. Every round
//! visits every runtime, so that what disturbs the machine for a while disturbs all of them. It is thread CPU time,
//! but the clock on the wall where another thread has a part in it. `-- 40` takes 40 rounds; `-- 15 yield` only the
//! workloads with `yield` in their name.
//!
//! What passes between threads, once more on one processor: `taskset -c 0 cargo run --release -- 15 another`.
//!
//! `-- count [part of a name]` has callgrind count the instructions of one operation, for all.
//!
//! `-- once <runtime> <workload> <n>` does `n` operations and measures nothing: for a profiler.

use std::env;
use std::panic::catch_unwind;

use peers::contender::Performer;
use peers::{Contender, contenders, table};
use workloads::{Clock, Workload, callgrind};

const ROUNDS: usize = 15;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["once", runtime, workload, n] => once(runtime, workload, n.parse().expect("a number")),
        ["count"] => count(""),
        ["count", part] => count(part),
        [] => compare(ROUNDS, ""),
        [rounds] => compare(rounds.parse().expect("a number of rounds"), ""),
        [rounds, part] => compare(rounds.parse().expect("a number of rounds"), part),
        _ => panic!(
            "usage: peers [rounds [part of a name]] | count [part] | once <runtime> <workload> <n>"
        ),
    }
}

fn once(runtime: &str, workload: &str, n: usize) {
    let workload = Workload::by_name(workload)
        .unwrap_or_else(|| panic!("the workloads are {:?}", Workload::ALL));
    let contender = contenders().into_iter().find(|known| known.name == runtime);
    let contender = contender.unwrap_or_else(|| panic!("no runtime is called {runtime:?}"));
    (contender.make)().perform(workload, n);
}

fn wanted(workloads: &[Workload], part: &str) -> Vec<Workload> {
    workloads.iter().copied().filter(|workload| workload.name().contains(part)).collect()
}

fn show(contenders: &[Contender], workloads: &[Workload], mut results: Vec<Vec<Vec<f64>>>) {
    let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
    let titles: Vec<_> = workloads.iter().map(|workload| workload.name()).collect();
    table::print(&names, &titles, &mut results);
    println!();
    for contender in contenders {
        for workload in workloads {
            let is_asked = contender.is_asked(*workload);
            if let (true, Some(reason)) = (is_asked, contender.lacks_for(*workload)) {
                println!("{}, {}: {reason}", contender.name, workload.name());
            }
        }
    }
}

fn compare(rounds: usize, part: &str) {
    let workloads = wanted(&Workload::ALL, part);
    let mut here: Vec<(Contender, Box<dyn Performer>)> = Vec::new();
    for contender in contenders() {
        if !workloads.iter().any(|&workload| contender.is_asked(workload)) {
            continue;
        }
        match catch_unwind(contender.make) {
            Ok(made) => here.push((contender, made)),
            Err(_) => println!("{} cannot be made on this machine\n", contender.name),
        }
    }
    let mut results = vec![vec![Vec::new(); here.len()]; workloads.len()];
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        for (row, &workload) in results.iter_mut().zip(&workloads) {
            // Each round begins with another one: nobody always runs behind the same neighbour.
            for step in 0..here.len() {
                let which = (round + step) % here.len();
                let (contender, made) = &mut here[which];
                if !contender.is_asked(workload) || contender.lacks_for(workload).is_some() {
                    continue;
                }
                let n = workload.operations();
                let took = made.perform(workload, n);
                if round > 0 {
                    row[which].push(took.as_nanos() as f64 / n as f64);
                }
            }
        }
    }
    println!("ns per operation, min / median of {rounds} interleaved rounds\n");
    let (here, _): (Vec<_>, Vec<_>) = here.into_iter().unzip();
    show(&here, &workloads, results);
    for workload in workloads.iter().filter(|workload| workload.clock() == Clock::Wall) {
        println!("{}: by the clock on the wall", workload.name());
    }
}

fn count(part: &str) {
    let program = env::current_exe().expect("this program");
    let workloads = wanted(&Workload::COUNTED, part);
    let contenders: Vec<_> = contenders()
        .into_iter()
        .filter(|contender| workloads.iter().any(|&workload| contender.is_asked(workload)))
        .collect();
    let mut results = vec![vec![Vec::new(); contenders.len()]; workloads.len()];
    let mut failures = Vec::new();
    for (row, &workload) in results.iter_mut().zip(&workloads) {
        for (counts, contender) in row.iter_mut().zip(&contenders) {
            if contender.lacks_for(workload).is_some() {
                continue;
            }
            match callgrind::per_operation(&program, contender.name, workload) {
                Ok(count) => counts.push(count),
                Err(error) => failures.push((contender.name, workload.name(), error)),
            }
        }
    }
    println!("instructions per operation\n");
    show(&contenders, &workloads, results);
    for (contender, workload, error) in failures {
        let said = error.to_string();
        println!(
            "{contender}, {workload}: not counted: {}",
            said.lines().last().unwrap_or_default()
        );
    }
}
