//! loopbind's engine as a whole, under a scheduler that picks who goes on: programs of some threads and loops,
//! each run many times over, and what must hold in whatever order things happen.
//!
//! The runtime is compiled as it stands, all of it, over a std whose threads are
//! [shuttle](https://docs.rs/shuttle)'s. A run that fails says how to have it again, and ends the program.
//!
//! ```sh
//! cargo run --release                    # every program, in some hundred orders, and the mistakes
//! cargo run --release -- 100000          # in so many
//! cargo run --release -- close pct 17    # batch 17 of one program
//! ```

mod blocks;
mod ledger;
#[path = "."]
mod sound {
    pub(crate) use model_runtime as runtime;
    #[path = "programs.rs"]
    pub(crate) mod programs;
}
#[path = "."]
mod unsound {
    pub(crate) use model_mistaken as runtime;
    #[path = "programs.rs"]
    pub(crate) mod programs;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use model_mistaken::MISTAKES;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, FailurePersistence, MaxSteps, Runner};

#[global_allocator]
static BLOCKS: blocks::Blocks = blocks::Blocks;

/// Orders of one program by one scheduler, unless it is said how many.
const ORDERS: usize = 400;

/// Orders that one seed makes.
const BATCH: usize = 50;

/// The steps of one run, by far.
const MOST_STEPS: usize = 1_000_000;

/// Points at which the second scheduler has another thread go first.
const CHANGES: usize = 4;

type Program = (&'static str, fn());

/// How the next thread is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pick {
    /// Each that can go on is as likely as any other.
    Random,
    /// By priorities, which change a few times.
    Pct,
}

impl Pick {
    const BOTH: [Pick; 2] = [Pick::Random, Pick::Pct];

    fn name(self) -> &'static str {
        match self {
            Pick::Random => "random",
            Pick::Pct => "pct",
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let orders = match words[..] {
        [] => ORDERS,
        ["mistake", name] => return mistake(name),
        [orders] => match orders.parse() {
            Ok(orders) => orders,
            Err(_) => return usage(),
        },
        [name, pick, seed] => return one_batch(name, pick, seed),
        _ => return usage(),
    };
    let (began, mut all) = (Instant::now(), 0);
    for program in sound::programs::ALL {
        for pick in Pick::BOTH {
            let (began, before) = (Instant::now(), ledger::operations());
            for seed in 0..orders.div_ceil(BATCH) as u64 {
                if !batch(program, pick, seed) {
                    return ExitCode::FAILURE;
                }
                all += BATCH;
            }
            let operations = ledger::operations() - before;
            let (name, took) = (program.0, began.elapsed().as_secs_f64());
            println!("{:>9} operations {took:>7.2} s  {name}, {}", operations, pick.name());
        }
    }
    for (name, _) in MISTAKES {
        // By itself: what is wrong may end the process.
        let program = std::env::current_exe().expect("this program");
        let ended = Command::new(program).args(["mistake", name]).output();
        let ended = ended.expect("this program, once more");
        assert!(!ended.status.success(), "not found: {name}");
        println!("    found                         {name}");
    }
    let (operations, took) = (ledger::operations(), began.elapsed().as_secs_f64());
    println!("{all} orders of events, {operations} operations, {took:.1} s");
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("orders of each program, or: program, `random` or `pct`, seed");
    ExitCode::FAILURE
}

fn one_batch(name: &str, pick: &str, seed: &str) -> ExitCode {
    let program = sound::programs::ALL.into_iter().find(|(known, _)| *known == name);
    let pick = Pick::BOTH.into_iter().find(|known| known.name() == pick);
    let (Some(program), Some(pick), Ok(seed)) = (program, pick, seed.parse()) else {
        return usage();
    };
    if batch(program, pick, seed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Until it is found, in which case the process fails, or ends otherwise.
fn mistake(name: &str) -> ExitCode {
    let Some((name, _)) = MISTAKES.iter().find(|(known, _)| *known == name) else {
        return usage();
    };
    model_mistaken::make(name);
    for seed in 0..(ORDERS / BATCH) as u64 {
        for program in unsound::programs::ALL {
            for pick in Pick::BOTH {
                if !batch(program, pick, seed) {
                    return ExitCode::FAILURE;
                }
            }
        }
    }
    ExitCode::SUCCESS
}

/// False: something is wrong, and was said.
fn batch((name, program): Program, pick: Pick, seed: u64) -> bool {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    RUNS.store(0, Ordering::Relaxed);
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    config.failure_persistence = FailurePersistence::None;
    config.max_steps = MaxSteps::FailAfter(MOST_STEPS);
    config.silence_warnings = true;
    let run = move || {
        RUNS.fetch_add(1, Ordering::Relaxed);
        program();
    };
    let check = move || match pick {
        Pick::Random => {
            Runner::new(ledger::Closing(RandomScheduler::new_from_seed(seed, BATCH)), config)
                .run(run)
        }
        Pick::Pct => {
            Runner::new(ledger::Closing(PctScheduler::new_from_seed(seed, CHANGES, BATCH)), config)
                .run(run)
        }
    };
    let held = catch_unwind(AssertUnwindSafe(check)).is_ok();
    if !held {
        let run = RUNS.load(Ordering::Relaxed);
        println!("{name}, {}, seed {seed}, in run {run}; again by:", pick.name());
        println!("    cargo run --release -- {name} {} {seed}", pick.name());
    }
    held
}
