//! Timers: when they fire, in which order, and what becomes of those that are cancelled, never come,
//! or were due before they were made.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use loopbind::time::{self, Sleep};
use loopbind::{EventLoop, Task, TimerHandle, sleep_until, spawn, yield_now};
use support::{Trace, in_good_child, note_reports, turn, virtual_loop};

/// Counts what is alive. Read in child processes only, where one test runs alone.
struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);

// SAFETY: everything is handed on to the system's allocator; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SECOND: Duration = Duration::from_secs(1);

/// Turns a virtual loop until nothing more is to come, and gives how many entries ran.
fn run_out(event_loop: &EventLoop) -> usize {
    let mut ran = 0;
    while event_loop.next_deadline().is_some() {
        ran += event_loop.turn(None).unwrap().polled;
    }
    ran
}

/// CB-05: timers fire by deadline, also when all are overdue.
#[test]
fn made_in_any_order_fires_by_deadline_also_when_overdue() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let now = event_loop.time();
    event_loop.call_at(now - SECOND, trace.noting("1 s ago"));
    event_loop.call_at(now - 2 * SECOND, trace.noting("2 s ago"));
    event_loop.call_at(now, trace.noting("now"));
    event_loop.call_later(3 * SECOND, trace.noting("in 3 s"));
    event_loop.call_later(SECOND, trace.noting("in 1 s"));
    event_loop.call_later(2 * SECOND, trace.noting("in 2 s"));
    run_out(&event_loop);
    trace.assert(&["2 s ago", "1 s ago", "now", "in 1 s", "in 2 s", "in 3 s"]);
}

/// CB-05: an instant long before the loop was made is a deadline like any other.
#[test]
fn a_deadline_before_the_loop_was_made_is_due_at_once() {
    let before = Instant::now();
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let old = before.checked_sub(SECOND).unwrap_or(before);
    let timer = event_loop.call_at(old, trace.noting("old"));
    assert_eq!(timer.when(), old);
    assert_eq!(turn(&event_loop), 1);
    trace.assert(&["old"]);
}

/// CB-06: ties fire in order of creation, also after half of them were cancelled.
#[test]
fn ties_fire_in_order_of_creation_also_around_cancelled_ones() {
    let event_loop = virtual_loop();
    let fired: Rc<RefCell<Vec<u32>>> = Rc::default();
    let when = event_loop.time() + SECOND;
    let timers: Vec<TimerHandle> = (0..20_000)
        .map(|i| {
            let fired = Rc::clone(&fired);
            event_loop.call_at(when, move || fired.borrow_mut().push(i))
        })
        .collect();
    // A fixed generator: the same half each time.
    let mut state = 7_u32;
    let mut kept = Vec::new();
    for (i, timer) in (0..).zip(&timers) {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { timer.cancel() } else { kept.push(i) }
    }
    run_out(&event_loop);
    assert_eq!(*fired.borrow(), kept);
}

/// CB-04: a timer that becomes due while a batch runs waits for the next iteration.
#[test]
fn due_during_a_batch_fires_in_the_next_iteration() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (same, log) = (event_loop.clone(), trace.clone());
    event_loop.call_soon(move || {
        log.note("callback");
        same.call_later(Duration::ZERO, log.noting("timer"));
    });
    event_loop.call_soon(trace.noting("sibling"));
    assert_eq!(turn(&event_loop), 2);
    trace.assert(&["callback", "sibling"]);
    assert_eq!(turn(&event_loop), 1);
    trace.assert(&["timer"]);
}

/// CB-04: a timer that sets itself again with no delay fires once in each iteration: nothing else
/// waits longer for it.
#[test]
fn a_timer_that_rearms_itself_with_no_delay_fires_once_per_iteration() {
    fn again(event_loop: EventLoop, count: Rc<Cell<u32>>) {
        count.set(count.get() + 1);
        event_loop.clone().call_later(Duration::ZERO, move || again(event_loop, count));
    }
    let (event_loop, count) = (virtual_loop(), Rc::new(Cell::new(0)));
    again(event_loop.clone(), Rc::clone(&count));
    for turns in 1..=100 {
        assert_eq!(turn(&event_loop), 1);
        assert_eq!(count.get(), turns + 1);
    }
    event_loop.close().unwrap();
}

/// CB-07: on the real clock no timer fires before its deadline.
#[test]
fn a_timer_on_the_real_clock_is_never_early() {
    let event_loop = EventLoop::new().unwrap();
    let late: Rc<RefCell<Vec<bool>>> = Rc::default();
    for micros in [1, 100, 999, 1_000, 1_001, 2_500, 3_000] {
        let (late, deadline) = (Rc::clone(&late), Instant::now() + Duration::from_micros(micros));
        event_loop.call_at(deadline, move || late.borrow_mut().push(Instant::now() >= deadline));
    }
    while event_loop.next_deadline().is_some() {
        event_loop.turn(None).unwrap();
    }
    assert_eq!(*late.borrow(), [true; 7]);
}

/// CB-08: `call_later(d)` is `call_at(time() + d)`, and `when` is that deadline, also after the
/// timer fired, was cancelled, or its loop closed.
#[test]
fn when_is_the_deadline_before_and_after_the_end() {
    let event_loop = virtual_loop();
    let expected = event_loop.time() + SECOND;
    let fired = event_loop.call_later(SECOND, || {});
    let cancelled = event_loop.call_at(expected, || {});
    let closed = event_loop.call_later(2 * SECOND, || {});
    cancelled.cancel();
    event_loop.turn(None).unwrap();
    assert_eq!(event_loop.time(), expected);
    event_loop.close().unwrap();
    assert_eq!((fired.when(), cancelled.when()), (expected, expected));
    assert_eq!(closed.when(), expected + SECOND);
    assert_eq!(
        (fired.is_cancelled(), cancelled.is_cancelled(), closed.is_cancelled()),
        (false, true, false)
    );
}

/// CB-10: a delay that does not fit the clock never comes, and harms no other timer.
#[test]
fn a_delay_of_any_size_is_harmless_and_those_that_fit_fire() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let never =
        [Duration::MAX, Duration::MAX - Duration::from_nanos(1), Duration::from_secs(1 << 40)];
    let handles: Vec<_> =
        never.iter().map(|&delay| event_loop.call_later(delay, trace.noting("never"))).collect();
    for (delay, name) in [
        (Duration::from_secs(1 << 32), "136 years"),
        (Duration::from_millis((1 << 31) + 1), "2^31 + 1 ms"),
        (Duration::from_millis((1 << 31) - 1), "2^31 - 1 ms"),
        (Duration::from_nanos(1), "1 ns"),
        (Duration::ZERO, "zero"),
    ] {
        event_loop.call_later(delay, trace.noting(name));
    }
    for _ in 0..5 {
        assert_eq!(event_loop.turn(None).unwrap().polled, 1);
    }
    trace.assert(&["zero", "1 ns", "2^31 - 1 ms", "2^31 + 1 ms", "136 years"]);
    for handle in &handles {
        handle.cancel();
    }
    assert_eq!(event_loop.next_deadline(), None, "nothing is left");
}

/// CB-10: what never comes never comes on another loop either, the end of whose time is another.
#[test]
fn a_sleep_that_never_ends_moves_to_a_younger_loop_and_never_ends() {
    let (older, younger) = (virtual_loop(), virtual_loop());
    let made = async {
        let nap = time::sleep(Duration::MAX);
        Some(nap)
    };
    let nap = older.run_until_complete(made).unwrap().unwrap();
    let task = younger.create_task(nap);
    turn(&younger);
    assert_eq!((younger.next_deadline(), task.is_finished()), (None, false));
}

/// CB-10: on the real clock, a timer that never comes shortens no sleep and overflows none.
#[test]
fn a_timer_that_never_comes_lets_a_real_loop_sleep_until_the_next() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    event_loop.call_later(Duration::MAX, trace.noting("never"));
    event_loop.call_later(Duration::from_secs(1 << 33), trace.noting("never"));
    event_loop.call_later(Duration::from_millis(2), trace.noting("soon"));
    while event_loop.turn(None).unwrap().polled == 0 {}
    trace.assert(&["soon"]);
}

/// CB-13: cancelling drops the capture at once, whatever the timer was doing; again is harmless.
#[test]
fn cancel_drops_the_capture_at_once_waiting_due_or_fired() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let probe = trace.probe("waiting");
    let waiting = event_loop.call_later(SECOND, move || drop(probe));
    waiting.cancel();
    waiting.cancel();
    trace.assert(&["waiting dropped"]);
    assert_eq!(event_loop.next_deadline(), None);

    let fired = event_loop.call_later(SECOND, trace.noting("fired"));
    run_out(&event_loop);
    fired.cancel();
    trace.assert(&["fired"]);
    assert!(fired.is_cancelled());
}

/// CB-13: a timer that cancels itself while it runs goes on to its end.
#[test]
fn cancelled_from_its_own_callback_runs_on() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let own: Rc<RefCell<Option<TimerHandle>>> = Rc::default();
    let (shared, log) = (Rc::clone(&own), trace.clone());
    *own.borrow_mut() = Some(event_loop.call_later(SECOND, move || {
        shared.borrow().as_ref().unwrap().cancel();
        log.note("end");
    }));
    run_out(&event_loop);
    trace.assert(&["end"]);
}

/// CB-14: dropping the handle leaves the timer, on the very tick it fires as before.
#[test]
fn handle_dropped_by_a_sibling_on_the_same_tick_leaves_the_timer() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let sibling: Rc<RefCell<Option<TimerHandle>>> = Rc::default();
    let (shared, log) = (Rc::clone(&sibling), trace.clone());
    event_loop.call_later(SECOND, move || {
        drop(shared.borrow_mut().take());
        log.note("dropped the handle");
    });
    *sibling.borrow_mut() = Some(event_loop.call_later(SECOND, trace.noting("sibling")));
    run_out(&event_loop);
    trace.assert(&["dropped the handle", "sibling"]);
}

/// CB-15: timers that were made and cancelled leave nothing behind, however many.
#[test]
fn made_and_cancelled_a_million_times_keeps_memory_flat() {
    in_good_child("made_and_cancelled_a_million_times_keeps_memory_flat", || {
        let event_loop = EventLoop::new().unwrap();
        let hour = Duration::from_secs(3600);
        let kept = event_loop.call_later(hour, || {});
        let round = |count: usize| {
            for _ in 0..count {
                event_loop.call_later(hour, || {}).cancel();
            }
            turn(&event_loop);
            LIVE.load(Ordering::Relaxed)
        };
        let before = round(1_000);
        let after = round(1_000_000);
        assert!(after - before < 1_000, "{} bytes more", after - before);

        // Also where they are alive together before they are cancelled.
        let many: Vec<_> = (0..1_000_000).map(|_| event_loop.call_later(hour, || {})).collect();
        for timer in many {
            timer.cancel();
        }
        kept.cancel();
        turn(&event_loop);
        let left = LIVE.load(Ordering::Relaxed);
        assert!(left - before < 1_000, "{} bytes more", left - before);
    });
}

/// CB-16: a cancelled timer does not determine how long the loop sleeps.
#[test]
fn a_cancelled_head_is_not_waited_for() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let began = event_loop.time();
    let head = event_loop.call_later(SECOND, trace.noting("head"));
    event_loop.call_later(5 * SECOND, trace.noting("next"));
    assert_eq!(event_loop.next_deadline(), Some(began + SECOND));
    head.cancel();
    assert_eq!(event_loop.next_deadline(), Some(began + 5 * SECOND));
    assert_eq!(event_loop.turn(None).unwrap().polled, 1, "one sleep, one timer");
    trace.assert(&["next"]);
    assert_eq!(event_loop.time() - began, 5 * SECOND);
}

/// CB-17: a timer that panics is reported, and those due with it fire.
#[test]
fn a_panic_in_a_timer_is_reported_and_its_siblings_fire() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    event_loop.call_later(SECOND, trace.noting("before"));
    event_loop.call_later(SECOND, || panic!("late"));
    event_loop.call_later(SECOND, trace.noting("after"));
    run_out(&event_loop);
    let events = trace.take();
    assert_eq!((events.len(), &*events[0], &*events[2]), (3, "before", "after"));
    assert!(events[1].starts_with("Exception in callback at tests/timers.rs"), "{}", events[1]);
    assert!(events[1].ends_with(": late"));
}

/// The next deadline is what a host sleeps by: now where work is ready, the earliest timer, nothing.
#[test]
fn next_deadline_is_now_then_the_earliest_timer_then_nothing() {
    let event_loop = virtual_loop();
    let began = event_loop.time();
    assert_eq!(event_loop.next_deadline(), None);
    let later = event_loop.call_later(2 * SECOND, || {});
    let sooner = event_loop.call_later(SECOND, || {});
    assert_eq!(event_loop.next_deadline(), Some(sooner.when()));
    event_loop.call_soon(|| {});
    assert_eq!(event_loop.next_deadline(), Some(began), "work is ready");
    turn(&event_loop);
    assert_eq!(event_loop.next_deadline(), Some(sooner.when()));
    sooner.cancel();
    assert_eq!(event_loop.next_deadline(), Some(later.when()));
    later.cancel();
    assert_eq!(event_loop.next_deadline(), None);
}

/// A turn that does not wait moves no clock, and one that waits moves a virtual one to the timer.
#[test]
fn a_turn_that_does_not_wait_leaves_a_virtual_clock_alone() {
    let event_loop = virtual_loop();
    let began = event_loop.time();
    event_loop.call_later(SECOND, || {});
    assert_eq!(turn(&event_loop), 0);
    assert_eq!(event_loop.time(), began);
    assert_eq!(event_loop.turn(None).unwrap().polled, 1);
    assert_eq!(event_loop.time(), began + SECOND);
}

/// Ten thousand timers that a jump of thirty days makes due fire once each, by deadline, and what
/// was ready runs before them.
#[test]
fn a_jump_over_many_deadlines_fires_each_once_in_order() {
    let event_loop = virtual_loop();
    let fired: Rc<RefCell<Vec<u64>>> = Rc::default();
    let began = event_loop.time();
    // Deadlines in an order that is none: a walk by a number without common factor.
    for i in 0..10_000_u64 {
        let minute = i * 7_919 % 10_000;
        let fired = Rc::clone(&fired);
        let at = began + Duration::from_secs(60 * minute);
        event_loop.call_at(at, move || fired.borrow_mut().push(minute));
    }
    event_loop
        .run_until_complete(async {
            loopbind::time::sleep_until(began + Duration::from_secs(30 * 86_400)).await;
        })
        .unwrap();
    assert_eq!(*fired.borrow(), (0..10_000).collect::<Vec<_>>());
}

/// Deadlines at, before and after every power of two of nanoseconds come in order: no size of delay
/// is a boundary.
#[test]
fn powers_of_two_and_their_neighbours_fire_in_order() {
    let event_loop = virtual_loop();
    let fired: Rc<RefCell<Vec<u64>>> = Rc::default();
    let mut expected = Vec::new();
    for power in (2..62).rev() {
        for nanos in [(1_u64 << power) + 1, 1 << power, (1 << power) - 1] {
            let fired = Rc::clone(&fired);
            let delay = Duration::from_nanos(nanos);
            event_loop.call_later(delay, move || fired.borrow_mut().push(nanos));
            expected.push(nanos);
        }
    }
    expected.sort_unstable();
    run_out(&event_loop);
    assert_eq!(*fired.borrow(), expected);
}

// ─── moved ──────────────────────────────────────────────────────────────────────────────────────

/// A task of its own for each: notes its name once its deadline has come.
fn sleeper(trace: &Trace, name: &'static str, nap: &Rc<RefCell<Pin<Box<Sleep>>>>) -> Task<()> {
    let (trace, nap) = (trace.clone(), Rc::clone(nap));
    spawn(async move {
        poll_fn(|cx| nap.borrow_mut().as_mut().poll(cx)).await;
        trace.note(name);
    })
}

fn nap_until(deadline: Instant) -> Rc<RefCell<Pin<Box<Sleep>>>> {
    Rc::new(RefCell::new(Box::pin(sleep_until(deadline))))
}

fn reset(nap: &Rc<RefCell<Pin<Box<Sleep>>>>, deadline: Instant) {
    nap.borrow_mut().as_mut().reset(deadline);
}

/// CB-06: what is moved is as if it were set there and then: of equal deadlines it is the last, wherever it
/// came from, and also where it stood there before.
#[test]
fn moved_to_a_tie_from_before_from_behind_or_from_there_fires_last() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let began = event_loop.time();
    event_loop
        .run_until_complete(async {
            let naps = [SECOND, 2 * SECOND, 2 * SECOND, 2 * SECOND, 3 * SECOND]
                .map(|after| nap_until(began + after));
            let names = ["from before", "from there", "stays", "stays too", "from behind"];
            let tasks: Vec<_> =
                names.iter().zip(&naps).map(|(name, nap)| sleeper(&trace, name, nap)).collect();
            yield_now().await;
            reset(&naps[4], began + 2 * SECOND);
            reset(&naps[1], began + 2 * SECOND);
            reset(&naps[0], began + 2 * SECOND);
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(time::now() - began, 2 * SECOND);
        })
        .unwrap();
    trace.assert(&["stays", "stays too", "from behind", "from there", "from before"]);
}

/// A virtual clock jumps over the deadline that was moved away: no turn, no look at it, no wake.
#[test]
fn moved_on_then_waited_for_is_one_jump_to_the_new_deadline() {
    let event_loop = virtual_loop();
    let (began, nap) = (event_loop.time(), nap_until(event_loop.time() + SECOND));
    let waiting = Rc::clone(&nap);
    let task = event_loop.create_task(async move {
        poll_fn(|cx| waiting.borrow_mut().as_mut().poll(cx)).await;
    });
    event_loop.call_later(60 * SECOND, || {});
    turn(&event_loop);
    reset(&nap, began + 5 * SECOND);
    reset(&nap, began + 9 * SECOND);
    let before = event_loop.metrics();
    assert_eq!(event_loop.turn(None).unwrap().polled, 1);
    assert_eq!(event_loop.time() - began, 9 * SECOND);
    assert!(task.is_finished());
    let after = event_loop.metrics();
    assert_eq!((after.turns - before.turns, after.polls - before.polls), (1, 1));
    assert_eq!(after.timers_fired - before.timers_fired, 1);
}

/// The next deadline is true after each move, also where the one in front moved away, and many behind it.
#[test]
fn next_deadline_is_true_after_each_move() {
    let event_loop = virtual_loop();
    let began = event_loop.time();
    event_loop
        .run_until_complete(async {
            let next = || loopbind::get_running_loop().unwrap().next_deadline().unwrap() - began;
            let mut naps: Vec<_> =
                (1..=9).map(|second| Box::pin(sleep_until(began + second * SECOND))).collect();
            for nap in &mut naps {
                assert!(nap.as_mut().now_or_never().is_none());
            }
            assert_eq!(next(), SECOND);
            naps[0].as_mut().reset(began + 20 * SECOND); // the front, later
            assert_eq!(next(), 2 * SECOND);
            naps[5].as_mut().reset(began + 30 * SECOND); // another, later
            assert_eq!(next(), 2 * SECOND);
            naps[5].as_mut().reset(began + SECOND); // and before all
            assert_eq!(next(), SECOND);
            naps[5].as_mut().reset(began + 10 * SECOND); // and back
            assert_eq!(next(), 2 * SECOND);
            for nap in &mut naps[1..] {
                nap.as_mut().reset(began + 40 * SECOND); // nearly all
            }
            assert_eq!(next(), 20 * SECOND);
            drop(naps.remove(0));
            assert_eq!(next(), 40 * SECOND);
            naps[3].as_mut().reset(began + 40 * SECOND); // to where it was
            assert_eq!(next(), 40 * SECOND);
            naps.clear();
        })
        .unwrap();
    assert_eq!(event_loop.next_deadline(), None);
}

// ─── many at a time ─────────────────────────────────────────────────────────────────────────────

/// On the real clock timers that are close together fire together: after the first a loop wakes once in
/// 0.4 ms at most, and each fires once, in order, and not early.
#[test]
fn many_within_a_moment_fire_together_in_order_and_never_early() {
    const MANY: u32 = 2_000;
    let event_loop = EventLoop::new().unwrap();
    let fired: Rc<RefCell<Vec<u32>>> = Rc::default();
    let early = Rc::new(Cell::new(0));
    let first = event_loop.time() + Duration::from_millis(20);
    for i in 0..MANY {
        let place = i * 7 % MANY; // 7 divides it not: each place once, in another order
        let (fired, early, at) =
            (Rc::clone(&fired), Rc::clone(&early), first + place * Duration::from_micros(10));
        event_loop.call_at(at, move || {
            fired.borrow_mut().push(place);
            early.set(early.get() + u32::from(Instant::now() < at));
        });
    }
    let mut turns = 0;
    while event_loop.next_deadline().is_some() {
        turns += u128::from(event_loop.turn(None).unwrap().polled > 0);
    }
    let lasted = event_loop.time() - first;
    assert_eq!((early.get(), fired.borrow().len()), (0, MANY as usize));
    assert_eq!(*fired.borrow(), (0..MANY).collect::<Vec<_>>());
    // Besides those: the first, and the last few, which are no crowd.
    let most = lasted.as_micros() / 400 + 12;
    assert!(turns <= most, "{turns} turns that fired, in {lasted:?}");
}

/// A virtual clock stops at each of them.
#[test]
fn many_within_a_moment_of_virtual_time_fire_each_at_its_own() {
    let (event_loop, late) = (virtual_loop(), Rc::new(Cell::new(Duration::ZERO)));
    for i in 0..1_000 {
        let at = event_loop.time() + i * Duration::from_micros(1);
        let (same, late) = (event_loop.clone(), Rc::clone(&late));
        event_loop.call_at(at, move || late.set(late.get() + (same.time() - at)));
    }
    assert_eq!(run_out(&event_loop), 1_000);
    assert_eq!(late.get(), Duration::ZERO);
    event_loop.close().unwrap();
}
