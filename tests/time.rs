//! Waiting for time: `sleep`, `timeout`, `interval`, `advance`, on clocks that are turned by hand.

mod support;

use std::cell::Cell;
use std::future::{pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use futures::future::FusedFuture;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt};
use loopbind::net::UnixStream;
use loopbind::time::{self, Elapsed, MissedTick};
use loopbind::{
    EventLoop, LoopError, TaskError, sleep, sleep_until, spawn, task, timeout, timeout_at,
    yield_now,
};
use support::{Bomb, Trace, note_reports, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(future: impl Future<Output = T>) -> T {
    virtual_loop().run_until_complete(future).unwrap()
}

// ─── sleep ──────────────────────────────────────────────────────────────────────────────────────

/// CB-24: a sleep of zero, or until a past instant, suspends for exactly one iteration.
#[test]
fn zero_and_past_sleeps_suspend_for_exactly_one_iteration() {
    let event_loop = EventLoop::new().unwrap();
    let past = event_loop.time() - SECOND;
    let trace = Trace::new();
    for name in ["zero", "past"] {
        let log = trace.clone();
        event_loop
            .create_task(async move {
                log.note(format!("{name} begins"));
                if name == "zero" {
                    sleep(Duration::ZERO).await
                } else {
                    sleep_until(past).await
                }
                log.note(format!("{name} ends"));
            })
            .detach();
    }
    event_loop.call_soon(trace.noting("callback"));
    assert_eq!(turn(&event_loop), 3);
    trace.assert(&["zero begins", "past begins", "callback"]);
    assert_eq!(turn(&event_loop), 2);
    trace.assert(&["zero ends", "past ends"]);
    assert_eq!(event_loop.metrics().timers_fired, 0, "no timer is needed to give way");
}

/// CB-24: tasks that give way take turns.
#[test]
fn sleeping_for_zero_is_round_robin() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let tasks: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let log = log.clone();
                spawn(async move {
                    for round in 0..2 {
                        log.note(format!("{name}{round}"));
                        sleep(Duration::ZERO).await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    trace.assert(&["a0", "b0", "c0", "a1", "b1", "c1"]);
}

/// CB-25: a sleep takes its timer back when it is dropped, by cancellation or otherwise.
#[test]
fn a_sleeper_that_is_cancelled_leaves_no_timer() {
    let event_loop = virtual_loop();
    let task = event_loop.create_task(sleep(SECOND));
    turn(&event_loop);
    assert!(event_loop.next_deadline().is_some());
    task.cancel();
    turn(&event_loop);
    assert_eq!(event_loop.next_deadline(), None);
}

/// CB-10: sleeps that do not fit the clock never end, and disturb no other.
#[test]
fn a_sleep_of_any_length_is_harmless() {
    run(async {
        let began = time::now();
        let forever = spawn(sleep(Duration::MAX));
        let long = spawn(sleep(Duration::from_secs(1 << 40)));
        assert_eq!(timeout(SECOND, sleep(Duration::MAX)).await, Err(Elapsed));
        assert_eq!(time::now() - began, SECOND);
        assert!(!forever.is_finished() && !long.is_finished());
    });
}

/// Never early on the real clock, from a nanosecond up.
#[test]
fn sleeps_on_the_real_clock_are_never_early() {
    EventLoop::new()
        .unwrap()
        .run_until_complete(async {
            for micros in [0, 1, 999, 1_000, 3_001] {
                let (began, length) = (Instant::now(), Duration::from_micros(micros));
                sleep(length).await;
                assert!(began.elapsed() >= length);
            }
        })
        .unwrap();
}

/// Made inside a run a sleep counts from then; made outside, from its first poll.
#[test]
fn made_inside_counts_from_then_made_outside_from_the_first_poll() {
    let event_loop = virtual_loop();
    let outside = sleep(2 * SECOND);
    let began = event_loop.time();
    event_loop
        .run_until_complete(async move {
            let inside = sleep(2 * SECOND);
            time::advance(SECOND).await.unwrap();
            inside.await;
            assert_eq!(time::now() - began, 2 * SECOND);
            outside.await;
            assert_eq!(time::now() - began, 4 * SECOND);
        })
        .unwrap();
}

/// A deadline moves: later, earlier, to the past, after the end, before the first poll.
#[test]
fn reset_moves_the_deadline_wherever_the_sleep_stands() {
    run(async {
        let began = time::now();
        let mut nap = pin!(sleep(SECOND));
        nap.as_mut().reset(began + 3 * SECOND); // before the first poll
        assert_eq!(nap.deadline(), began + 3 * SECOND);
        assert!(nap.as_mut().now_or_never().is_none()); // polled: its timer stands
        nap.as_mut().reset(began + 2 * SECOND); // earlier
        nap.as_mut().await;
        assert_eq!(time::now() - began, 2 * SECOND);
        assert!(nap.is_elapsed());

        nap.as_mut().reset(began + 5 * SECOND); // after the end
        assert!(!nap.is_elapsed());
        nap.as_mut().await;
        assert_eq!(time::now() - began, 5 * SECOND);

        nap.as_mut().reset(began + 60 * SECOND);
        assert!(nap.as_mut().now_or_never().is_none());
        nap.as_mut().reset(began); // to the past, while it waits
        nap.as_mut().await;
        assert_eq!(time::now() - began, 5 * SECOND);
    });
}

/// A sleep that moves to another task wakes the one that polled it last.
#[test]
fn polled_by_one_task_and_then_another_wakes_the_other() {
    run(async {
        let mut nap = Box::pin(sleep(SECOND));
        assert!(nap.as_mut().now_or_never().is_none());
        let other = spawn(nap);
        other.await.unwrap();
    });
}

/// Two loops, one sleep: its timer moves to the loop that polls it.
#[test]
fn polled_on_one_loop_and_then_another_wakes_there() {
    let mut nap = pin!(sleep(SECOND));
    let (first, second) = (virtual_loop(), virtual_loop());
    first
        .run_until_complete(poll_fn(|cx| {
            assert!(nap.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        }))
        .unwrap();
    assert!(first.next_deadline().is_some());
    second.run_until_complete(nap.as_mut()).unwrap();
    assert_eq!(first.next_deadline(), None, "no timer is left behind");
}

/// Outside of every loop a sleep says what is missing instead of hanging.
#[test]
fn polled_outside_of_a_run_it_panics_with_the_reason() {
    let text = panic_of(|| sleep(SECOND).now_or_never());
    assert_eq!(text, "no running event loop");
    let text = panic_of(|| timeout(SECOND, pending::<()>()).now_or_never());
    assert_eq!(text, "no running event loop");
    assert_eq!(timeout(SECOND, ready(7)).now_or_never(), Some(Ok(7)), "nothing to wait for");
}

// ─── timeout ────────────────────────────────────────────────────────────────────────────────────

/// WFR-01: in time there is the value.
#[test]
fn value_then_deadline_gives_the_value() {
    run(async {
        let value = timeout(2 * SECOND, async {
            sleep(SECOND).await;
            7
        });
        assert_eq!(value.await, Ok(7));
    });
}

/// WFR-02: at the deadline the future is dropped first, and then the caller hears of it.
#[test]
fn deadline_then_value_drops_the_future_before_the_caller_hears() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let probe = log.probe("future");
        let outcome = timeout(SECOND, async move {
            let _probe = probe;
            sleep(2 * SECOND).await;
        });
        log.note(format!("{:?}", outcome.await));
    });
    trace.assert(&["future dropped", "Err(Elapsed)"]);
}

/// WFR-03, as decided with TMO-04: a limit of zero polls once before it looks at the deadline.
#[test]
fn at_zero_what_is_ready_wins_and_what_suspends_does_not() {
    run(async {
        assert_eq!(timeout(Duration::ZERO, ready(1)).await, Ok(1));
        assert_eq!(timeout_at(time::now() - SECOND, ready(1)).await, Ok(1));
        let done = spawn(ready(2));
        yield_now().await;
        assert_eq!(timeout(Duration::ZERO, done).await.unwrap().unwrap(), 2);
        let running = spawn(pending::<()>());
        let info = running.id();
        yield_now().await;
        assert_eq!(timeout(Duration::ZERO, running).await.unwrap_err(), Elapsed);
        yield_now().await;
        let alive = loopbind::get_running_loop().unwrap().all_tasks();
        assert!(alive.iter().all(|task| task.id != info), "a task that was awaited is cancelled");
    });
}

/// TMO-04: at zero, and past the deadline, a body that suspends once is cut off there.
#[test]
fn at_zero_and_in_the_past_a_body_is_cut_off_at_its_first_suspension() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        for deadline in [time::now(), time::now() - SECOND] {
            let log = log.clone();
            let body = async {
                log.note("begins");
                sleep(Duration::ZERO).await;
                log.note("never");
            };
            assert_eq!(timeout_at(deadline, body).await, Err(Elapsed));
        }
    });
    trace.assert(&["begins", "begins"]);
}

/// TMO-02: of nested limits the one that expired reports.
#[test]
fn of_nested_limits_the_one_that_expired_reports() {
    run(async {
        let inner = timeout(2 * SECOND, timeout(SECOND, pending::<()>())).await;
        assert_eq!(inner, Ok(Err(Elapsed)));
        let outer = timeout(SECOND, timeout(2 * SECOND, pending::<()>())).await;
        assert_eq!(outer, Err(Elapsed));
    });
}

/// TMO-02, as decided: of two that are due together the inner reports, in both orders of making.
#[test]
fn of_two_limits_due_together_the_inner_reports() {
    run(async {
        let at = time::now() + SECOND;
        assert_eq!(timeout_at(at, timeout_at(at, pending::<()>())).await, Ok(Err(Elapsed)));
        let inner = timeout(SECOND, pending::<()>());
        let outer = timeout(SECOND, inner);
        assert_eq!(outer.await, Ok(Err(Elapsed)));
    });
}

/// TMO-06: a cancellation from outside, before the expiry or in the same iteration, wins: nobody
/// inside hears of the deadline.
#[test]
fn cancelled_before_or_together_with_the_expiry_is_cancelled() {
    for cancel_after in [SECOND, 2 * SECOND] {
        let trace = Trace::new();
        let log = trace.clone();
        let event_loop = virtual_loop();
        let outcome = event_loop
            .run_until_complete(async move {
                let victim = Rc::new(spawn(async move {
                    let outcome = timeout(2 * SECOND, pending::<()>()).await;
                    log.note(format!("heard {outcome:?}"));
                }));
                // Its timer is made before the victim's own, so that it is first of two due together.
                let at = time::now() + cancel_after;
                let shared = Rc::clone(&victim);
                loopbind::get_running_loop().unwrap().call_at(at, move || {
                    shared.cancel();
                });
                sleep(3 * SECOND).await;
                Rc::try_unwrap(victim).unwrap().await
            })
            .unwrap();
        assert!(outcome.unwrap_err().is_cancelled());
        trace.assert(&[]);
    }
}

/// WFR-07: a value and a cancellation in one iteration: the cancellation wins over the wait, in
/// both orders, and the value is lost to the task that waited.
#[test]
fn value_and_cancellation_in_one_iteration_is_cancelled_in_both_orders() {
    for value_first in [true, false] {
        let event_loop = virtual_loop();
        let (sender, receiver) = oneshot::channel();
        let mut task = event_loop.create_task(timeout(SECOND, receiver));
        turn(&event_loop);
        if value_first {
            sender.send(7).unwrap();
            task.cancel();
        } else {
            task.cancel();
            sender.send(7).unwrap();
        }
        turn(&event_loop);
        assert!(task.try_result().unwrap().unwrap_err().is_cancelled());
        assert_eq!(event_loop.next_deadline(), None, "and the limit's timer is gone");
    }
}

/// WFR-06: cancelling who waits with a limit cancels the task it waited for.
#[test]
fn cancelling_the_waiter_cancels_what_it_waited_for() {
    let event_loop = virtual_loop();
    let inner = event_loop.create_task(pending::<()>());
    let id = inner.id();
    let outer = event_loop.create_task(timeout(SECOND, inner));
    turn(&event_loop);
    outer.cancel();
    turn(&event_loop);
    assert_eq!(event_loop.all_tasks().iter().filter(|task| task.id == id).count(), 1);
    turn(&event_loop);
    assert!(event_loop.all_tasks().is_empty(), "one task per iteration");
}

/// WFR-08: the future runs in the caller's task, and not in one of its own.
#[test]
fn the_body_of_a_timeout_is_polled_by_the_caller() {
    run(async {
        let caller = task::current().unwrap().id;
        let inside = timeout(SECOND, async { task::current().unwrap().id }).await;
        assert_eq!(inside, Ok(caller));
    });
}

/// WFR-09: a limit on a shielded task leaves the task.
#[test]
fn a_limit_on_a_shielded_task_leaves_the_task() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let task = spawn(async move {
            sleep(2 * SECOND).await;
            log.note("inner ended");
        });
        assert_eq!(timeout(SECOND, task::shield(task)).await.unwrap_err(), Elapsed);
        sleep(2 * SECOND).await;
    });
    trace.assert(&["inner ended"]);
}

/// WFR-10: a value that is there when the deadline comes, in the same iteration, is given.
#[test]
fn value_and_deadline_in_one_iteration_gives_the_value() {
    run(async {
        let at = time::now() + SECOND;
        let body = async {
            sleep_until(at).await;
            7
        };
        assert_eq!(timeout_at(at, body).await, Ok(7));
    });
}

/// TMO-09, TMO-12: another error of the body passes through, and after a deadline was handled the
/// task goes on as if nothing had been.
#[test]
fn the_bodys_own_error_passes_and_after_the_expiry_life_goes_on() {
    run(async {
        let failed: Result<Result<(), &str>, _> = timeout(SECOND, async { Err("mine") }).await;
        assert_eq!(failed, Ok(Err("mine")));
        for _ in 0..3 {
            assert_eq!(timeout(SECOND, pending::<()>()).await, Err(Elapsed));
        }
        assert_eq!(timeout(SECOND, ready(1)).await, Ok(1));
    });
}

/// TMO-03: a limit that does not fit the clock never fires.
#[test]
fn a_limit_without_end_never_fires() {
    run(async {
        assert_eq!(timeout(Duration::MAX, sleep(1_000_000 * SECOND)).await, Ok(()));
    });
}

/// TMO-05: the deadline can be read and moved while it waits, later and sooner, to the past and to never,
/// before the first poll and after it had come.
#[test]
fn a_deadline_is_read_and_moved_wherever_the_wait_stands() {
    run(async {
        let began = time::now();
        let at = |seconds: u32| began + seconds * SECOND;
        // Before it was polled, sooner and later.
        let mut waiting = pin!(timeout(9 * SECOND, pending::<()>()));
        assert_eq!((waiting.deadline(), waiting.remaining()), (at(9), 9 * SECOND));
        waiting.as_mut().reset(at(1));
        assert_eq!(waiting.deadline(), at(1));
        // While it waits, later.
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        waiting.as_mut().reset(at(4));
        sleep(2 * SECOND).await;
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        assert_eq!((waiting.remaining(), waiting.is_elapsed()), (2 * SECOND, false));
        // Sooner, by another task, while this one waits.
        waiting.as_mut().reset(at(3));
        assert_eq!(waiting.as_mut().await, Err(Elapsed));
        assert_eq!((time::now(), waiting.is_elapsed()), (at(3), true));
        // It is over: nothing comes of it.
        waiting.as_mut().reset(at(60));
        assert!(waiting.is_terminated() && waiting.is_elapsed());
        // One that had come, and was not looked at, is moved away again.
        let mut waiting = pin!(timeout(SECOND, sleep(4 * SECOND)));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        sleep(2 * SECOND).await;
        assert!(waiting.remaining().is_zero() && !waiting.is_elapsed());
        waiting.as_mut().reset(at(60));
        assert_eq!(waiting.as_mut().await, Ok(()));
        assert!(!waiting.is_elapsed() && time::now() == at(7));
        // To never, and to the past: polled once more, as ever.
        let mut waiting = pin!(timeout(SECOND, sleep(5 * SECOND)));
        waiting.as_mut().reset(began + Duration::from_secs(1 << 33));
        assert_eq!(waiting.as_mut().await, Ok(()));
        let mut waiting = pin!(timeout(SECOND, pending::<()>()));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        waiting.as_mut().reset(began);
        assert_eq!((waiting.as_mut().await, time::now()), (Err(Elapsed), at(12)));
        let mut waiting = pin!(timeout(SECOND, ready(7)));
        waiting.as_mut().reset(began);
        assert_eq!(waiting.as_mut().await, Ok(7), "what is ready wins");
    });
}

/// TMO-05: who waits in another task is woken by the new deadline, and not by the old one.
#[test]
fn moved_while_another_task_waits_wakes_it_at_the_new_one() {
    for (moved_to, polls) in [(SECOND, 2), (3 * SECOND, 2)] {
        let (event_loop, trace) = (virtual_loop(), Trace::new());
        let began = event_loop.time();
        let waiting = Rc::new(std::cell::RefCell::new(Box::pin(timeout_at(
            began + 2 * SECOND,
            pending::<()>(),
        ))));
        let (shared, log) = (Rc::clone(&waiting), trace.clone());
        let task = event_loop.create_task(async move {
            let outcome = poll_fn(|cx| {
                log.note("polled");
                shared.borrow_mut().as_mut().poll(cx)
            });
            log.note(format!("{:?} after {:?}", outcome.await, time::now() - began));
        });
        turn(&event_loop);
        waiting.borrow_mut().as_mut().reset(began + moved_to);
        event_loop.run_until_complete(task).unwrap().unwrap();
        let mut expected = vec!["polled".to_owned(); polls];
        expected.push(format!("Err(Elapsed) after {moved_to:?}"));
        assert_eq!(trace.take(), expected);
        assert_eq!(event_loop.next_deadline(), None);
    }
}

/// The future can be looked at, changed and taken back; once it is over it is gone, whatever the outcome,
/// and so is the timer.
#[test]
fn the_future_is_there_until_it_is_over() {
    let event_loop = virtual_loop();
    let same = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            let trace = Trace::new();
            let probe = trace.probe("future");
            let body = async move {
                let _probe = probe;
                pending::<()>().await;
            };
            let mut waiting = Box::pin(timeout(SECOND, body));
            assert!(futures::poll!(waiting.as_mut()).is_pending());
            assert!(waiting.get_ref().is_some() && waiting.as_mut().get_pin_mut().is_some());
            assert_eq!(waiting.as_mut().await, Err(Elapsed));
            trace.assert(&["future dropped"]);
            assert!(waiting.get_ref().is_none() && waiting.as_mut().get_pin_mut().is_none());

            let mut waiting = timeout(SECOND, sleep(SECOND / 2));
            assert!(futures::poll!(&mut waiting).is_pending());
            let nap = waiting.into_inner().unwrap();
            assert!(!nap.is_elapsed());
            nap.await;
            assert_eq!(same.next_deadline(), None, "the limit's timer is gone");
            let mut waiting = timeout(SECOND, sleep(SECOND / 2));
            assert_eq!((&mut waiting).await, Ok(()));
            assert_eq!(same.next_deadline(), None, "done, and kept: it leaves no timer");
            assert!(waiting.into_inner().is_none());
        })
        .unwrap();
}

/// A task inside is asked to end, and `Elapsed` does not wait for it: what does not listen is dropped in
/// its own next turn, and what listens cleans up while life goes on. Joined, it is not even asked.
#[test]
fn a_task_inside_is_asked_and_the_deadline_does_not_wait_for_it() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let probe = log.probe("deaf");
        let deaf = spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        });
        let inner = log.clone();
        let listening = spawn(async move {
            task::cancelled().await;
            inner.note("told");
            sleep(SECOND).await;
            inner.note("cleaned up");
        });
        let (first, second) = futures::join!(timeout(SECOND, deaf), timeout(SECOND, listening));
        log.note(format!("{} {}", first.unwrap_err(), second.unwrap_err()));
        sleep(2 * SECOND).await;
        let mut joined = spawn(sleep(2 * SECOND));
        assert!(timeout(SECOND, joined.join()).await.is_err());
        joined.await.unwrap();
    });
    trace.assert(&[
        "deadline has elapsed deadline has elapsed",
        "deaf dropped",
        "told",
        "cleaned up",
    ]);
}

/// TMO-02: of limits that were moved to the same moment, the inner one reports, too.
#[test]
fn of_limits_moved_to_one_moment_the_inner_reports() {
    run(async {
        let at = time::now() + 2 * SECOND;
        let mut both = pin!(timeout(SECOND, Box::pin(timeout(3 * SECOND, pending::<()>()))));
        assert!(futures::poll!(both.as_mut()).is_pending());
        both.as_mut().reset(at);
        both.as_mut().get_pin_mut().unwrap().get_mut().as_mut().reset(at);
        assert_eq!(both.await, Ok(Err(Elapsed)));
        assert_eq!(time::now(), at);
    });
}

/// A destructor that panics as the deadline cuts its future off panics in the task that waited, as
/// it would for any value that the task drops.
#[test]
fn a_destructor_that_panics_at_the_deadline_is_the_waiters_panic() {
    let outcome = run(async {
        spawn(async {
            let bomb = Bomb("cut off");
            let _ = timeout(SECOND, async move {
                let _bomb = bomb;
                pending::<()>().await;
            })
            .await;
        })
        .await
    });
    let Err(TaskError::Panicked(payload)) = outcome else { panic!("{outcome:?}") };
    assert_eq!(payload.message(), Some("cut off"));
}

// ─── interval ───────────────────────────────────────────────────────────────────────────────────

/// The first tick comes at once, the others a period apart, counted from the first.
#[test]
fn ticks_are_counted_from_the_first_and_do_not_drift() {
    run(async {
        let began = time::now();
        let mut ticks = time::interval(10 * SECOND);
        for expected in 0..4 {
            let due = ticks.tick().await;
            assert_eq!(due - began, expected * 10 * SECOND);
            sleep(3 * SECOND).await; // work shorter than the period
        }
        let as_stream: Vec<Instant> = ticks.take(2).collect().await;
        assert_eq!(as_stream, [began + 40 * SECOND, began + 50 * SECOND]);
    });
}

/// Missed ticks come in a burst, are put off, or are left out.
#[test]
fn missed_ticks_burst_delay_or_skip() {
    let seconds = |policy| {
        run(async move {
            let began = time::now();
            let mut ticks = time::interval(10 * SECOND).missed(policy);
            let mut due = Vec::new();
            ticks.tick().await;
            sleep(35 * SECOND).await; // 10, 20 and 30 are missed
            for _ in 0..4 {
                due.push(((ticks.tick().await - began).as_secs(), (time::now() - began).as_secs()));
            }
            due
        })
    };
    assert_eq!(seconds(MissedTick::Burst), [(10, 35), (20, 35), (30, 35), (40, 40)]);
    assert_eq!(seconds(MissedTick::Delay), [(10, 35), (45, 45), (55, 55), (65, 65)]);
    assert_eq!(seconds(MissedTick::Skip), [(10, 35), (40, 40), (50, 50), (60, 60)]);
}

/// A tick that is given up while waited for comes all the same.
#[test]
fn a_tick_given_up_is_not_lost() {
    run(async {
        let mut ticks = time::interval(10 * SECOND);
        let first = ticks.tick().await;
        assert_eq!(timeout(3 * SECOND, ticks.tick()).await, Err(Elapsed));
        assert_eq!(ticks.tick().await - first, 10 * SECOND);
    });
}

/// A period of zero ticks once per iteration and starves nobody; one without end ticks once.
#[test]
fn periods_of_zero_and_without_end() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let other = log.clone();
        let task = spawn(async move {
            for _ in 0..2 {
                other.note("other");
                yield_now().await;
            }
        });
        let mut ticks = time::interval(Duration::ZERO);
        for _ in 0..3 {
            ticks.tick().await;
            log.note("tick");
        }
        task.await.unwrap();
        let mut once = time::interval(Duration::MAX);
        once.tick().await;
        assert_eq!(timeout(1_000 * SECOND, once.tick()).await, Err(Elapsed));
    });
    trace.assert(&["tick", "other", "tick", "other", "tick"]);
}

// ─── the virtual clock ──────────────────────────────────────────────────────────────────────────

/// A virtual clock stands still while anything is ready, however long that takes.
#[test]
fn time_stands_still_while_work_is_ready() {
    run(async {
        let (began, nap) = (time::now(), spawn(sleep(SECOND)));
        for _ in 0..1_000 {
            yield_now().await;
        }
        assert_eq!(time::now(), began);
        assert!(!nap.is_finished());
        nap.await.unwrap();
        assert_eq!(time::now() - began, SECOND);
    });
}

/// What is there to be read was not waited for: time stands still for it, whatever timer is next.
#[test]
fn time_stands_still_while_there_is_something_to_read() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let began = event_loop.time();
    event_loop
        .run_until_complete(async {
            let ticks = spawn({
                let trace = trace.clone();
                async move {
                    loop {
                        sleep(SECOND).await;
                        trace.note("tick");
                    }
                }
            });
            let (mut ours, mut theirs) = UnixStream::pair().unwrap();
            let echo = spawn(async move {
                let mut byte = [0];
                while theirs.read_exact(&mut byte).await.is_ok() {
                    theirs.write_all(&byte).await.unwrap();
                }
            });
            for _ in 0..10 {
                ours.write_all(b"x").await.unwrap();
                ours.read_exact(&mut [0]).await.unwrap();
            }
            trace.note("read");
            drop(ours);
            echo.await.unwrap();
            sleep(SECOND).await;
            ticks.cancel();
        })
        .unwrap();
    trace.assert(&["read", "tick"]);
    assert_eq!(event_loop.time() - began, SECOND);
}

/// Blocking work and other threads count as work to come: the clock does not run away from them.
#[test]
fn time_stands_still_while_blocking_work_is_in_flight() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let began = event_loop.time();
    let (release, gate) = mpsc::channel::<()>();
    let log = trace.clone();
    event_loop
        .create_task(async move {
            sleep(SECOND).await;
            log.note("slept");
        })
        .detach();
    let (same, log) = (event_loop.clone(), trace.clone());
    let handle = event_loop.handle();
    let outside = std::thread::spawn(move || {
        handle.call_soon_threadsafe(move || release.send(()).unwrap()).unwrap();
    });
    event_loop
        .run_until_complete(async move {
            same.run_in_executor(move || gate.recv().unwrap()).await.unwrap();
            log.note(format!("job after {:?}", time::now() - began));
            sleep(2 * SECOND).await;
        })
        .unwrap();
    outside.join().unwrap();
    trace.assert(&["job after 0ns", "slept"]);
}

/// `advance` goes from timer to timer: each fires at its own time, and what it wakes runs before the
/// clock moves on, timers that it sets on the way included.
#[test]
fn advance_stops_at_each_timer_on_the_way() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let began = time::now();
        let stamp = move |log: &Trace, name| log.note(format!("{name} {:?}", time::now() - began));
        for seconds in [3, 1, 2] {
            let log = log.clone();
            spawn(async move {
                sleep(seconds * SECOND).await;
                stamp(&log, format!("slept {seconds}"));
                sleep(SECOND / 2).await;
                stamp(&log, "and".into());
            })
            .detach();
        }
        time::advance(Duration::from_millis(2_500)).await.unwrap();
        stamp(&log, "advanced".into());
        time::advance(Duration::ZERO).await.unwrap();
        time::advance(SECOND).await.unwrap();
        stamp(&log, "advanced".into());
    });
    trace.assert(&[
        "slept 1 1s",
        "and 1.5s",
        "slept 2 2s",
        "and 2.5s",
        "advanced 2.5s",
        "slept 3 3s",
        "and 3.5s",
        "advanced 3.5s",
    ]);
}

/// CB-10: moved as far as it goes, by `advance` or by a turn, the clock is not at the end of time: what is
/// set then comes.
#[test]
fn moved_as_far_as_it_goes_there_is_time_left() {
    let event_loop = virtual_loop();
    for by_hand in [true, false, true] {
        if by_hand {
            event_loop.turn(Some(Duration::MAX)).unwrap();
        } else {
            event_loop.run_until_complete(time::advance(Duration::MAX)).unwrap().unwrap();
        }
        let before = event_loop.time();
        event_loop
            .run_until_complete(async {
                sleep(Duration::from_millis(1)).await;
                assert_eq!(timeout(SECOND, pending::<()>()).await, Err(Elapsed));
                time::advance(SECOND).await.unwrap();
            })
            .unwrap();
        assert_eq!(event_loop.time() - before, Duration::from_millis(2001));
    }
}

/// `advance` is for virtual clocks, inside runs: anything else is an error that says so.
#[test]
fn advance_is_refused_on_a_real_clock_and_outside_of_runs() {
    let real = EventLoop::new().unwrap();
    let refused = real.run_until_complete(time::advance(SECOND)).unwrap().unwrap_err();
    assert!(matches!(refused, LoopError::RealClock));
    assert_eq!(refused.to_string(), "the clock of this event loop is real: it cannot be advanced");
    let outside = time::advance(SECOND).now_or_never().unwrap().unwrap_err();
    assert!(matches!(outside, LoopError::NoRunningLoop));
}

/// Given up on the way, `advance` leaves the clock where it had got to.
#[test]
fn advance_dropped_on_the_way_leaves_the_clock_there() {
    run(async {
        let began = time::now();
        let mut advance = Box::pin(time::advance(10 * SECOND));
        spawn(sleep(4 * SECOND)).detach();
        yield_now().await;
        for _ in 0..2 {
            assert!(advance.as_mut().now_or_never().is_none());
            yield_now().await;
        }
        drop(advance);
        assert_eq!(time::now() - began, 4 * SECOND);
    });
}

/// `now` is the running loop's, and the monotonic clock's outside of runs.
#[test]
fn now_is_the_running_loops_and_outside_the_systems() {
    let event_loop = virtual_loop();
    let virtual_now = event_loop.time();
    let before = Instant::now();
    let outside = time::now();
    assert!(before <= outside && outside <= Instant::now());
    assert_eq!(event_loop.run_until_complete(async { time::now() }).unwrap(), virtual_now);
}

/// Same program, same order, same clock: a run with timers gives the same trace each time.
#[test]
fn a_program_of_timers_gives_the_same_trace_each_time() {
    let once = || {
        let trace = Trace::new();
        let log = trace.clone();
        run(async move {
            let began = time::now();
            let mut tasks = Vec::new();
            for i in 0..20_u32 {
                let log = log.clone();
                tasks.push(spawn(async move {
                    for step in 0..5_u32 {
                        sleep(Duration::from_millis(u64::from((i * 7 + step * 3) % 11))).await;
                        log.note(format!("{i}.{step} {:?}", time::now() - began));
                    }
                }));
            }
            for task in tasks {
                task.await.unwrap();
            }
        });
        trace.take()
    };
    let first = once();
    assert_eq!(first.len(), 100);
    for _ in 0..5 {
        assert_eq!(once(), first);
    }
}

/// A panic in the waker that a timer wakes is reported, and the timers behind it fire.
#[test]
fn a_waker_that_panics_as_its_timer_fires_is_reported() {
    struct Rude;
    impl std::task::Wake for Rude {
        fn wake(self: std::sync::Arc<Self>) {
            panic!("rude");
        }
    }
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let mut nap: Pin<Box<time::Sleep>> = Box::pin(sleep(SECOND));
    let fired = Rc::new(Cell::new(false));
    event_loop
        .run_until_complete(async {
            let waker = std::task::Waker::from(std::sync::Arc::new(Rude));
            assert!(nap.as_mut().poll(&mut std::task::Context::from_waker(&waker)).is_pending());
            sleep(SECOND).await;
            fired.set(true);
        })
        .unwrap();
    assert!(fired.get());
    trace.assert(&["exception in a waker: rude"]);
}
