//! loopbind's primitives beside those of other crates: the same steps, round by round, in one process.
//!
//! `cargo run --release --bin sync` prints one table: thread CPU time for each operation, the least of the
//! rounds, and how many times as fast as `tokio::sync` ours is. `-- 40` takes 40 rounds; `-- 25 lock` only
//! rows with `lock` in their name.
//!
//! All of them run on a loop of loopbind, so that what a task, a wake and a turn cost is the same for each; where
//! tasks wait, that is a good part of it.

mod channels;
mod locks;
mod row;

use std::time::Duration;

use loopbind::EventLoop;
use rustix::time::{ClockId, clock_gettime};

use row::{Row, Whose};

const ROUNDS: usize = 25;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(ROUNDS, |rounds| rounds.parse().expect("rounds"));
    let wanted = arguments.next().unwrap_or_default();
    let event_loop = EventLoop::new().expect("a loop");
    let mut rows = locks::rows();
    rows.extend(channels::rows());
    rows.retain(|row| row.name.contains(&wanted));
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        for row in &mut rows {
            perform(row, round, &event_loop);
        }
    }
    println!("ns of thread CPU time per operation, least of {rounds} interleaved rounds\n");
    println!("| | {} | against tokio |", Whose::ALL.map(Whose::name).join(" | "));
    println!("|---|{}", "---:|".repeat(Whose::ALL.len() + 1));
    for row in &rows {
        println!("{}", line(row));
    }
}

/// Each round begins with another one: nobody always runs behind the same neighbour.
fn perform(row: &mut Row, round: usize, event_loop: &EventLoop) {
    let many = row.contenders.len();
    for step in 0..many {
        let contender = &mut row.contenders[(round + step) % many];
        let began = cpu_time();
        (contender.perform)(event_loop, row.operations);
        let took = (cpu_time() - began).as_nanos() as f64 / row.operations as f64;
        if round > 0 {
            contender.least = contender.least.min(took);
        }
    }
}

fn line(row: &Row) -> String {
    let least = |whose| row.contenders.iter().find(|one| one.whose == whose).map(|one| one.least);
    let cell = |least: Option<f64>| least.map_or(String::new(), |least| format!("{least:.1}"));
    let cells = Whose::ALL.map(|whose| cell(least(whose)));
    let ratio = least(Whose::Loopbind).zip(least(Whose::Tokio));
    let ratio = ratio.map_or(String::new(), |(ours, theirs)| format!("{:.1} times", theirs / ours));
    format!("| {} | {} | {ratio} |", row.name, cells.join(" | "))
}

fn cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
