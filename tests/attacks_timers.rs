//! Timers of a loop that has been up for long: no age of a clock, and no distance to a deadline, is a boundary.

mod support;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use loopbind::{EventLoop, sleep, time, timeout};
use support::virtual_loop;

/// What makes a deadline, and what fired, each with the time it was then.
type Log = Rc<RefCell<Vec<(Instant, Instant)>>>;

fn set(event_loop: &EventLoop, delay: Duration, log: &Log) -> Instant {
    let (own, log) = (event_loop.clone(), Rc::clone(log));
    let deadline = event_loop.time() + delay;
    event_loop.call_later(delay, move || log.borrow_mut().push((deadline, own.time())));
    deadline
}

/// Distances about which something may go wrong: nothing, a little, about each power of two, and about what
/// fits into 31 and 32 bits of milliseconds.
fn distances() -> Vec<Duration> {
    let powers = (0..62).flat_map(|power| {
        let tick = 1_u64 << power;
        [tick - 1, tick, tick + 1]
    });
    let milliseconds = [i32::MAX as u64, u64::from(u32::MAX)]
        .into_iter()
        .flat_map(|most| [most - 1, most, most + 1].map(|number| number * 1_000_000));
    powers.chain(milliseconds).map(Duration::from_nanos).collect()
}

/// A clock that is about to pass a power of two, or 12 days, 24.8 days (31 bits of milliseconds), 49.7 days (32
/// bits) and so on, with timers at every distance: each fires at its deadline to the tick, in order, and those
/// that are set behind the boundary by one that fires there, too.
#[test]
fn however_long_a_loop_has_been_up_each_timer_fires_at_its_tick() {
    let day = 86_400_000_000_000_u64;
    let ages = (0..62).map(|power| 1_u64 << power);
    let ages = ages.chain([day / 24, 12 * day, 24 * day + 20 * day / 24, 49 * day + 17 * day / 24]);
    let ages = ages.chain([i32::MAX as u64, u64::from(u32::MAX)].map(|number| number * 1_000_000));
    for age in ages {
        let (event_loop, log) = (virtual_loop(), Log::default());
        let began = event_loop.time();
        event_loop
            .run_until_complete(async {
                // Two ticks before.
                time::advance(Duration::from_nanos(age.saturating_sub(2))).await.unwrap();
                assert_eq!(event_loop.time() - began, Duration::from_nanos(age.saturating_sub(2)));
                let near: Vec<_> =
                    distances().into_iter().filter(|at| at.as_nanos() < 1 << 61).collect();
                let mut expected: Vec<_> =
                    near.iter().map(|&distance| set(&event_loop, distance, &log)).collect();
                // And by one that fires behind the boundary.
                let (own, later) = (event_loop.clone(), Rc::clone(&log));
                event_loop.call_later(Duration::from_nanos(3), move || {
                    set(&own, Duration::from_nanos(5), &later);
                });
                expected.push(event_loop.time() + Duration::from_nanos(8));
                expected.sort();
                sleep(Duration::from_nanos(1 << 61)).await;
                let fired = log.take();
                let due: Vec<_> = fired.iter().map(|(deadline, _)| *deadline).collect();
                assert_eq!(due, expected, "up for {age} ns");
                let late = fired.iter().find(|(deadline, at)| deadline != at);
                assert_eq!(late, None, "up for {age} ns");
            })
            .unwrap();
        assert_eq!(event_loop.next_deadline(), None);
    }
}

/// The same distances, and those that do not fit the clock, as limits: what is ready in time has its value, and
/// what never comes is cut off at the tick, or never where the limit does not fit.
#[test]
fn limits_of_any_size_on_a_loop_that_has_been_up_for_long() {
    let event_loop = virtual_loop();
    event_loop
        .run_until_complete(async {
            time::advance(Duration::from_secs(50 * 86_400)).await.unwrap();
            for limit in distances().into_iter().filter(|limit| limit.as_nanos() < 1 << 55) {
                let began = time::now();
                let never = std::future::pending::<()>();
                timeout(limit, never).await.unwrap_err();
                assert_eq!(time::now() - began, limit);
            }
            for limit in
                [Duration::from_nanos(u64::MAX), Duration::from_millis(u64::MAX), Duration::MAX]
            {
                timeout(limit, sleep(Duration::from_secs(1))).await.unwrap();
            }
        })
        .unwrap();
    assert_eq!(event_loop.next_deadline(), None);
}

/// On a real clock, timers that were set and cancelled, polled and dropped, wake nobody: a loop sleeps until
/// what is left is due, in one go.
#[test]
fn what_was_cancelled_or_dropped_wakes_nobody() {
    let event_loop = EventLoop::new().unwrap();
    event_loop.call_later(Duration::from_secs(3600), || unreachable!("in an hour"));
    let turns = event_loop.run_until_complete(async {
        for number in 0..1_000 {
            let soon = Duration::from_micros(1_000 + 20 * number);
            event_loop.call_later(soon, || unreachable!("cancelled")).cancel();
            let mut nap = Box::pin(sleep(soon));
            assert!(futures::poll!(nap.as_mut()).is_pending());
            timeout(soon, std::future::ready(())).await.unwrap();
        }
        let before = event_loop.metrics().turns;
        sleep(Duration::from_millis(40)).await;
        event_loop.metrics().turns - before
    });
    // To sleep, and awake for what is due: an interrupted wait may be one more.
    let turns = turns.unwrap();
    assert!((1..=3).contains(&turns), "{turns}");
}
