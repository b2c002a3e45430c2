//! Everything loopbind does, again and again for a long time, on one loop that lives all the while: when all
//! is over, and after each round, nothing may be left.
//!
//! ```sh
//! cargo run --release          # half an hour
//! cargo run --release -- 60    # a minute
//! ```

mod books;
mod hour;
mod work;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::join;
use loopbind::net::start_server;
use loopbind::{EventLoop, UnhandledPanic, sleep};

use books::{ALL, Holdings, LOOPS, PANICS, ROUNDS};

const USUAL: u64 = 30 * 60;

/// What a process may have more of in the last quarter than in the second: a table that grew to its greatest
/// size late, and pages that the allocator holds for others to come.
const MORE_ALLOCATED: usize = 64 * 1024;
const MORE_RESIDENT: usize = 8 * 1024 * 1024;

/// Threads of the blocking pool go when they had nothing to do for a while.
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let seconds = match std::env::args().nth(1).map(|text| text.parse()) {
        None => USUAL,
        Some(Ok(seconds)) => seconds,
        Some(Err(error)) => {
            eprintln!("for how many seconds? {error}");
            return ExitCode::FAILURE;
        }
    };
    let limit = Duration::from_secs(seconds);
    // What a process makes once and keeps.
    soak(Duration::ZERO);
    // Threads that have nothing to do any more go by themselves.
    let before = Holdings { threads: 1, ..Holdings::now() };
    println!("  before: {before}");
    let began = Instant::now();
    hour::play();
    println!("an hour of virtual time in {:.1} s", began.elapsed().as_secs_f64());
    let mut wrong = soak(limit);
    let after = at_rest(before);
    println!("   after: {after}");
    for done in ALL {
        println!("{done}");
    }
    wrong.extend(differences(before, after));
    for line in &wrong {
        eprintln!("WRONG: {line}");
    }
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Rounds until `limit` is over, at least three. What was wrong.
fn soak(limit: Duration) -> Vec<String> {
    let event_loop =
        EventLoop::builder().on_unhandled_panic(UnhandledPanic::Report).build().unwrap();
    event_loop.set_exception_handler(Some(Box::new(|_, context| {
        assert!(context.panic.is_some(), "{context}");
        PANICS.add(1);
    })));
    let wrong = event_loop.run_until_complete(rounds(&event_loop, limit)).unwrap();
    assert_eq!(event_loop.metrics().tasks_alive, 0, "tasks");
    event_loop.close().unwrap();
    LOOPS.add(1);
    wrong
}

async fn rounds(event_loop: &EventLoop, limit: Duration) -> Vec<String> {
    let began = Instant::now();
    let server = start_server("127.0.0.1:0", work::echo).await.unwrap();
    let address = server.local_addrs()[0];
    let mut wrong = Vec::new();
    // The least there was after a round, in each quarter of the time.
    let mut least: [Option<Holdings>; 4] = [None; 4];
    let mut shown = 0;
    for round in 0_u64.. {
        let (.., connected, ended) = join!(
            work::tasks(),
            work::timers(),
            work::callbacks(),
            work::cancellations(),
            work::panics(),
            work::messages(),
            work::jobs(),
            work::threads(),
            work::connections(address),
            work::children(),
        );
        connected.unwrap();
        ended.unwrap();
        ROUNDS.add(1);
        let alive = || event_loop.metrics().tasks_alive;
        // This one, and the server's, which hears of who has left.
        let usual = 2;
        let waited = Instant::now();
        while alive() != usual && waited.elapsed() < PATIENCE {
            sleep(Duration::from_millis(1)).await;
        }
        if alive() != usual {
            wrong.push(format!("{} tasks after round {round}, and not {usual}", alive()));
            break;
        }
        let gone = began.elapsed();
        let now = Holdings::now();
        let quarter = (gone.as_secs_f64() / limit.as_secs_f64() * 4.0).min(3.0) as usize;
        let known = least[quarter].get_or_insert(now);
        known.bytes = known.bytes.min(now.bytes);
        known.resident = known.resident.min(now.resident);
        // Eight times in all.
        if !limit.is_zero() && gone.as_secs_f64() >= limit.as_secs_f64() * f64::from(shown) / 8.0 {
            shown += 1;
            println!("{:>6.0} s: {}, round {round}", gone.as_secs_f64(), now);
        }
        if gone >= limit && round >= 2 {
            break;
        }
    }
    server.close();
    server.wait_closed().await;
    if let [_, Some(early), _, Some(late)] = least {
        let grown = |what: &str, early: usize, late: usize, more: usize| {
            (late > early + more).then(|| {
                let (early, late) = (early / 1024, late / 1024);
                format!(
                    "{what} memory grows: {early} KiB in the second quarter, {late} in the last"
                )
            })
        };
        wrong.extend(grown("allocated", early.bytes, late.bytes, MORE_ALLOCATED));
        wrong.extend(grown("resident", early.resident, late.resident, MORE_RESIDENT));
    }
    wrong
}

/// What there is once what goes by itself is gone, or after a while.
fn at_rest(before: Holdings) -> Holdings {
    let began = Instant::now();
    loop {
        let now = Holdings::now();
        if differences(before, now).is_empty() || began.elapsed() > PATIENCE {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn differences(before: Holdings, after: Holdings) -> Vec<String> {
    let mut wrong = Vec::new();
    for (what, before, after) in [
        ("descriptors", before.descriptors, after.descriptors),
        ("threads", before.threads, after.threads),
        ("children", before.children, after.children),
    ] {
        if before != after {
            wrong.push(format!("{after} {what} at the end, and {before} before"));
        }
    }
    if after.bytes > before.bytes + MORE_ALLOCATED {
        wrong
            .push(format!("memory: {} bytes at the end, and {} before", after.bytes, before.bytes));
    }
    wrong
}
