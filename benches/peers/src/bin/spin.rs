//! What spinning before a sleep is worth, and what it costs where it is worth nothing. Ours alone.
//!
//! `cargo run --release --bin spin` prints what a round trip between two loops takes, in nanoseconds, by the clock on the
//! wall and of all processors together, the least of the rounds: for loops that do not spin, and that spin for so long
//! before each sleep. Each round tries all of them, one after the other. There are three places to be:
//!
//! - two cores: a processor for each loop;
//! - one core: both on one, and they know it;
//! - one core, unknown: both on one, in a process that has more, so that only what came of its spins can tell a loop.
//!
//! `-- 40` takes 40 rounds. A round is a fifth of a second, with what a loop needs to learn in it.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::channel::mpsc;
use loopbind::EventLoop;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: usize = 15;
const LIMITS: [Duration; 4] = [
    Duration::ZERO,
    Duration::from_micros(20),
    Duration::from_micros(50),
    Duration::from_millis(10),
];

/// Long enough to be seen in the time of all processors, which the system counts by its ticks.
const LENGTH: Duration = Duration::from_millis(200);

/// Where the two loops are.
#[derive(Clone, Copy)]
struct Place {
    name: &'static str,
    processors: [usize; 2],
    /// Whether the process has no other.
    alone: bool,
}

fn main() {
    let rounds = env::args().nth(1).map_or(ROUNDS, |rounds| rounds.parse().expect("a number"));
    let all = sched_getaffinity(None).expect("some processors");
    let mut processors = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu));
    let one = processors.next().expect("a processor");
    let other = processors.next();
    let mut places = Vec::new();
    if let Some(other) = other {
        let both = [one, other];
        places.push(Place { name: "two cores", processors: both, alone: false });
    }
    let shared = Place { name: "one core", processors: [one; 2], alone: true };
    places.push(shared);
    if other.is_some() {
        places.push(Place { name: "one core, unknown", alone: false, ..shared });
    }

    println!("| | {} |", LIMITS.map(|limit| format!("{limit:?}")).join(" | "));
    println!("|---|{}", "---:|".repeat(LIMITS.len()));
    for place in places {
        // What a loop takes for the others' is what the main thread may have.
        sched_setaffinity(None, &if place.alone { only(one) } else { all }).expect("its own");
        let mut least = LIMITS.map(|_| [f64::INFINITY; 2]);
        for round in 0..rounds {
            for step in 0..LIMITS.len() {
                let which = (round + step) % LIMITS.len();
                let took = round_trip(place, LIMITS[which]);
                for (least, took) in least[which].iter_mut().zip(took) {
                    *least = least.min(took);
                }
            }
        }
        let cells = least.map(|[wall, cpu]| format!("{wall:.0} / {cpu:.0}"));
        println!("| {} | {} |", place.name, cells.join(" | "));
    }
}

fn only(processor: usize) -> CpuSet {
    let mut only = CpuSet::new();
    only.set(processor);
    only
}

/// What all threads of this process have had of a processor.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Nanoseconds for one, on the wall and of processors.
fn round_trip(place: Place, limit: Duration) -> [f64; 2] {
    let (there, mut at_echo) = mpsc::unbounded();
    let (back, mut here) = mpsc::unbounded();
    let on = move |processor| {
        sched_setaffinity(None, &only(processor)).expect("one that it may run on");
        EventLoop::builder().spin(limit).build().expect("a loop")
    };
    let [ours, theirs] = place.processors;
    thread::scope(|scope| {
        scope.spawn(move || {
            let echo = async move {
                while let Some(ball) = at_echo.next().await {
                    back.unbounded_send(ball).expect("somebody listens");
                }
            };
            on(theirs).run_until_complete(echo).expect("nothing stops it");
        });
        let player = scope.spawn(move || {
            let play = async move {
                let mut trip = async |ball| {
                    there.unbounded_send(ball).expect("somebody listens");
                    assert_eq!(here.next().await, Some(ball));
                };
                // The other one is there.
                trip(0).await;
                let (began, before) = (Instant::now(), processor_time());
                let mut trips = 0_u32;
                while began.elapsed() < LENGTH {
                    // The clock is read now and then only.
                    for _ in 0..16 {
                        trips += 1;
                        trip(trips).await;
                    }
                }
                [began.elapsed(), processor_time() - before].map(|took| took / trips)
            };
            on(ours).run_until_complete(play).expect("nothing stops it")
        });
        let took = player.join().expect("it ends well");
        took.map(|took| took.as_nanos() as f64)
    })
}
