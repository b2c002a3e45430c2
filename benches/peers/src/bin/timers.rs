//! Timers that fire: 100,000 and 10,000 within 100 ms, each awaited by a task, and one alone.
//!
//! `cargo run --release --bin timers` prints a table for each number: thread CPU time per timer, from its making to its
//! end, least of the rounds; how late the tasks ran, least, median and most of all rounds; how many ran too early,
//! and how many after one with a later deadline. Deadlines are 1 us apart where there are 100,000, so that some of those are the
//! making thread's, which was stopped between our look at the clock and the runtime's. The last table is ours alone:
//! what timers that do not fire cost among 1,000,000 others, to what they cost among 1,000. `-- 9` takes 9 rounds.

use std::cell::RefCell;
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::{Duration, Instant};

use peers::runtime::{
    Compio, Glommio, MonoioEpoll, MonoioUring, Smol, TokioLocalRuntime, TokioLocalSet,
};
use workloads::{Clock, Loopbind, Runtime, Spawner, Stopwatch, Workload};

const ROUNDS: usize = 5;
/// From the beginning to the first deadline: time enough to make them all, also on a busy machine.
const MAKING: Duration = Duration::from_millis(300);
const WITHIN: Duration = Duration::from_millis(100);

#[derive(Default)]
struct Outcome {
    cpu_each: Vec<f64>,
    /// Seconds from the deadline to the task's run.
    late: Vec<f64>,
    early: usize,
    out_of_order: usize,
}

fn fire<R: Runtime>(runtime: &mut R, many: usize, outcome: &mut Outcome) {
    // What ran: its deadline, and when that was.
    let ran = Rc::new(RefCell::new(Vec::<(Instant, Instant)>::with_capacity(many)));
    let spawner = runtime.spawner();
    let log = Rc::clone(&ran);
    let watch = Stopwatch::start(Clock::Thread);
    runtime.block_on(async move {
        let first = Instant::now() + MAKING;
        let mut handles = Vec::with_capacity(many);
        let mut place = 0;
        for _ in 0..many {
            // Every place once, in an order that jumps about.
            place = (place + 61_803) % many;
            let deadline = first + WITHIN.mul_f64(place as f64 / many as f64);
            let log = Rc::clone(&log);
            handles.push(spawner.spawn(async move {
                R::sleep(deadline.saturating_duration_since(Instant::now())).await;
                log.borrow_mut().push((deadline, Instant::now()));
            }));
        }
        for handle in handles {
            handle.await;
        }
    });
    outcome.cpu_each.push(watch.elapsed().as_nanos() as f64 / many as f64);
    let ran = ran.borrow();
    for (deadline, at) in ran.iter() {
        match at.checked_duration_since(*deadline) {
            Some(late) => outcome.late.push(late.as_secs_f64()),
            None => outcome.early += 1,
        }
    }
    outcome.out_of_order += ran.windows(2).filter(|pair| pair[1].0 < pair[0].0).count();
}

type Fire = Box<dyn FnMut(usize, &mut Outcome)>;

struct Contender {
    name: &'static str,
    fire: Fire,
}

impl Contender {
    fn of<R: Runtime>() -> Option<Self> {
        let Ok(mut runtime) = catch_unwind(R::new) else {
            println!("{} cannot be made on this machine", R::NAME);
            return None;
        };
        Some(Contender {
            name: R::NAME,
            fire: Box::new(move |many, outcome| fire(&mut runtime, many, outcome)),
        })
    }
}

fn main() {
    let rounds = std::env::args().nth(1).map_or(ROUNDS, |rounds| rounds.parse().expect("rounds"));
    let contenders = [
        Contender::of::<Loopbind>(),
        Contender::of::<TokioLocalRuntime>(),
        Contender::of::<TokioLocalSet>(),
        Contender::of::<Smol>(),
        Contender::of::<MonoioEpoll>(),
        Contender::of::<MonoioUring>(),
        Contender::of::<Compio>(),
        Contender::of::<Glommio>(),
    ];
    let mut contenders: Vec<_> = contenders.into_iter().flatten().collect();
    for many in [100_000, 10_000, 1] {
        // One alone is over soon.
        let rounds = if many == 1 { rounds * 10 } else { rounds };
        let mut outcomes: Vec<_> = contenders.iter().map(|_| Outcome::default()).collect();
        for round in 0..rounds {
            for step in 0..contenders.len() {
                let which = (round + step) % contenders.len();
                (contenders[which].fire)(many, &mut outcomes[which]);
            }
        }
        println!("\n{many} in 100 ms, {rounds} rounds\n");
        println!("| | CPU ns each | late, us: min | median | max | early | out of order |");
        println!("|---|---:|---:|---:|---:|---:|---:|");
        for (contender, outcome) in contenders.iter().zip(&mut outcomes) {
            println!("{}", line(contender.name, outcome));
        }
    }
    scale(rounds);
}

/// Nanoseconds per operation, least of the rounds.
fn scale(rounds: usize) {
    println!("\nloopbind, among others that wait, {rounds} rounds\n");
    println!("| ns each | among 1,000 | among 1,000,000 | ratio |\n|---|---:|---:|---:|");
    let pairs = [
        ("made, polled, dropped", [Workload::SleepThousand, Workload::SleepMillion]),
        ("made, polled", [Workload::SetThousand, Workload::SetMillion]),
        ("reset, polled", [Workload::ResetThousand, Workload::ResetMillion]),
    ];
    for (name, pair) in pairs {
        let mut least = [f64::INFINITY; 2];
        for _ in 0..rounds {
            for (workload, least) in pair.iter().zip(&mut least) {
                let n = workload.operations();
                let took = workload.perform(&mut <Loopbind>::new(), n);
                *least = least.min(took.as_nanos() as f64 / n as f64);
            }
        }
        let [few, many] = least;
        println!("| {name} | {few:.1} | {many:.1} | {:.2} |", many / few);
    }
}

fn line(name: &str, outcome: &mut Outcome) -> String {
    let least = outcome.cpu_each.iter().copied().fold(f64::INFINITY, f64::min);
    let late = &mut outcome.late;
    late.sort_by(f64::total_cmp);
    let at = |place: usize| late.get(place).map_or(f64::NAN, |late| late * 1e6);
    let (min, median, max) = (at(0), at(late.len() / 2), at(late.len().saturating_sub(1)));
    let (early, out_of_order) = (outcome.early, outcome.out_of_order);
    format!(
        "| {name} | {least:.0} | {min:.0} | {median:.0} | {max:.0} | {early} | {out_of_order} |"
    )
}
