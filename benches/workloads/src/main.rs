//! Counts what loopbind's operations take, in instructions, and holds it to what is pinned.
//!
//! `cargo run --release` compares with `benches/instructions.txt`, and fails where one is more than 3 % off, also
//! where it is less: what was won is to be kept. `cargo run --release -- pin` writes the file anew.
//! Counting is valgrind's; where there is none it says so, and that is all.
//!
//! `cargo run --release -- scale` prints what a task takes of the CPU's time among a million that wait, and among a
//! thousand. That the instructions are the same, the pins say; what comes on top is memory that is in no cache.
//!
//! Instructions depend on the compiler, and a little on the C library: the file says whose it was written with.

mod pins;

use std::env;
use std::process::{Command, ExitCode};

use workloads::tasks::{self, Waited};
use workloads::{Loopbind, Runtime as _, Workload, callgrind};

use pins::Pins;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["once", <Loopbind>::NAME, workload, n] => {
            let workload = Workload::by_name(workload).expect("a workload");
            workload.perform(&mut <Loopbind>::new(), n.parse().expect("a number"));
            ExitCode::SUCCESS
        }
        [] | ["pin"] if !callgrind::is_here() => {
            println!("no valgrind here: no instructions were counted");
            ExitCode::SUCCESS
        }
        ["scale"] => {
            scale();
            ExitCode::SUCCESS
        }
        ["pin"] => {
            Pins::write(&compiler(), &counts());
            ExitCode::SUCCESS
        }
        [] => compare(),
        _ => panic!("usage: count | count pin | count scale | count once loopbind <workload> <n>"),
    }
}

fn counts() -> Vec<(Workload, f64)> {
    let program = env::current_exe().expect("this program");
    let count = |workload| {
        let count = callgrind::per_operation(&program, <Loopbind>::NAME, workload);
        (workload, count.expect("valgrind counts"))
    };
    Workload::COUNTED.into_iter().map(count).collect()
}

fn compare() -> ExitCode {
    let pins = Pins::read();
    let mut is_kept = true;
    println!(
        "instructions per operation\n\n| workload | pinned | counted | |\n|---|---:|---:|---:|"
    );
    for (workload, count) in counts() {
        let name = workload.name();
        let Some(pinned) = pins.of(workload) else {
            println!("| {name} | - | {count:.1} | not pinned |");
            is_kept = false;
            continue;
        };
        let change = (count / pinned - 1.0) * 100.0;
        let verdict = if change.abs() <= pins::TOLERANCE { "" } else { " OUTSIDE" };
        println!("| {name} | {pinned:.1} | {count:.1} | {change:+.1} %{verdict} |");
        is_kept &= verdict.is_empty();
    }
    if is_kept {
        return ExitCode::SUCCESS;
    }
    println!(
        "\nMore: what was it spent on? Less, or right to spend: cd benches/workloads && cargo run --release -- pin"
    );
    let compiler = compiler();
    if compiler != pins.compiler {
        println!("Pinned with {}; this is {compiler}.", pins.compiler);
    }
    ExitCode::FAILURE
}

/// The least of some rounds each.
fn scale() {
    const ROUNDS: usize = 7;
    const MILLION: usize = 1_000_000;
    let mut runtime = <Loopbind>::new();
    let mut least = [[f64::INFINITY; 3]; 2];
    for _ in 0..ROUNDS {
        for (least, batch) in least.iter_mut().zip([1_000, MILLION]) {
            let Waited { born, woken, joined } = tasks::waiting(&mut runtime, batch, MILLION);
            for (least, took) in least.iter_mut().zip([born, woken, joined]) {
                *least = least.min(took.as_nanos() as f64 / MILLION as f64);
            }
        }
    }
    println!(
        "ns per task, least of {ROUNDS} rounds\n\n| | of 1,000 | of 1,000,000 | times |\n|---|---:|---:|---:|"
    );
    let line = |what: &str, few: f64, many: f64| {
        println!("| {what} | {few:.1} | {many:.1} | {:.2} |", many / few);
    };
    let [few, many] = least;
    for (phase, what) in ["spawn", "wake", "join"].into_iter().enumerate() {
        line(what, few[phase], many[phase]);
    }
    line("all", few.iter().sum(), many.iter().sum());
}

fn compiler() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let said = Command::new(rustc).arg("--version").output().expect("a compiler").stdout;
    format!("{}, {}", String::from_utf8_lossy(&said).trim(), env::consts::ARCH)
}
