//! An hour of a program that is all timers, on a virtual clock: how many fire is known beforehand.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use loopbind::time::interval;
use loopbind::{EventLoop, sleep, spawn, timeout, yield_now};

use crate::books::{LOOPS, TAKEN_BACK, TIMERS};

const HOUR: Duration = Duration::from_secs(3600);

/// Tasks that tick every so many milliseconds.
const PERIODS: [u64; 12] = [10, 20, 25, 40, 50, 100, 125, 200, 250, 500, 1_000, 60_000];

pub(crate) fn play() {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let ticked = Rc::new(Cell::new(0_u64));
    let count = Rc::clone(&ticked);
    let began = event_loop.time();
    let taken_back = event_loop.run_until_complete(async move {
        let ticking = PERIODS.map(|period| {
            let count = Rc::clone(&count);
            spawn(async move {
                let mut ticks = interval(Duration::from_millis(period));
                loop {
                    ticks.tick().await;
                    count.set(count.get() + 1);
                }
            })
        });
        let mut taken_back = 0;
        // Once a second, time-outs that are not needed, and what was to be done tomorrow.
        for _ in 0..3599 {
            sleep(Duration::from_secs(1)).await;
            for _ in 0..10 {
                timeout(HOUR * 24, yield_now()).await.unwrap();
            }
            taken_back += 10;
        }
        // Half a second after the last tick but one of the slow ones, and before the hour strikes.
        sleep(Duration::from_millis(500)).await;
        for task in &ticking {
            task.abort();
        }
        taken_back
    });
    let lived = HOUR - Duration::from_millis(500);
    assert_eq!(event_loop.time() - began, lived);
    // The first tick is at once, and the one that is due as the hour ends may be seen or not.
    let expected = |period: u64| lived.as_millis() as u64 / period + 1;
    let all: u64 = PERIODS.into_iter().map(expected).sum();
    let missing = all - ticked.get();
    assert!(missing <= PERIODS.len() as u64, "{missing} ticks of {all} are missing");
    assert_eq!(event_loop.metrics().tasks_alive, 0, "tasks");
    TIMERS.add(ticked.get());
    TAKEN_BACK.add(taken_back.unwrap());
    LOOPS.add(1);
}
