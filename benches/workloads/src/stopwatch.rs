//! What a workload took: of this thread's CPU, or by the clock on the wall.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// What others do on the same core in the meantime is not in it, and waiting is not either.
    Thread,
    /// Where another thread has a part in it.
    Wall,
}

pub struct Stopwatch(Began);

enum Began {
    // Both by way of the C library: what reads the clock without it does not get far under valgrind.
    Thread(ThreadTime),
    Wall(Instant),
}

impl Stopwatch {
    pub fn start(clock: Clock) -> Self {
        Stopwatch(match clock {
            Clock::Thread => Began::Thread(ThreadTime::now()),
            Clock::Wall => Began::Wall(Instant::now()),
        })
    }

    pub fn elapsed(&self) -> Duration {
        match &self.0 {
            Began::Thread(began) => began.elapsed(),
            Began::Wall(began) => began.elapsed(),
        }
    }
}
