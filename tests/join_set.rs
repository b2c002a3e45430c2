//! Sets of tasks: outcomes as they come, no task forgotten, and nothing lost by giving up a wait.

mod support;

use std::cell::Cell;
use std::future::{pending, ready};
use std::rc::Rc;
use std::time::Duration;

use futures::stream::FusedStream;
use futures::{FutureExt, Stream, StreamExt, select_biased};
use loopbind::task::{self, AbortHandle, JoinSet};
use loopbind::{EventLoop, TaskError, sleep, timeout, yield_now};
use support::{Bomb, Trace, note_reports, on_drop, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

fn run<T>(future: impl Future<Output = T>) -> T {
    virtual_loop().run_until_complete(future).unwrap()
}

/// Starts a task that never ends, with a probe of that name in its future.
fn waiting<T: 'static>(set: &mut JoinSet<T>, trace: &Trace, name: &str) -> AbortHandle {
    let probe = trace.probe(name);
    set.spawn(async move {
        let _probe = probe;
        pending().await
    })
}

async fn after<T>(seconds: u64, value: T) -> T {
    sleep(Duration::from_secs(seconds)).await;
    value
}

// ─── outcomes ───────────────────────────────────────────────────────────────────────────────────

/// Outcomes come in the order in which the tasks end, whatever they are.
#[test]
fn values_panics_and_cancellations_in_order_of_their_ends() {
    let outcomes = run(async {
        let mut set = JoinSet::new();
        set.spawn(after(3, "last"));
        set.spawn(async {
            sleep(SECOND * 2).await;
            panic!("second")
        });
        set.spawn(pending()).cancel();
        set.spawn(after(1, "first"));
        assert_eq!(set.len(), 4);
        let mut seen = Vec::new();
        while let Some(outcome) = set.next().await {
            seen.push(outcome.map_err(|error| error.to_string()));
        }
        assert!(set.is_empty() && set.next().await.is_none());
        seen
    });
    let expected = [
        Err("the task was cancelled".to_owned()),
        Ok("first"),
        Err("the task panicked: second".to_owned()),
        Ok("last"),
    ];
    assert_eq!(outcomes, expected);
}

/// Giving up a wait loses nothing: what came meanwhile is there for the next one.
#[test]
fn a_wait_is_given_up_and_nothing_is_lost() {
    run(async {
        let mut set = JoinSet::new();
        for number in 0..20 {
            set.spawn(after(number, number));
        }
        let mut seen = Vec::new();
        let mut given_up = 0;
        while !set.is_empty() {
            match timeout(Duration::from_millis(700), set.next()).await {
                Ok(outcome) => seen.push(outcome.unwrap().unwrap()),
                Err(_) => given_up += 1,
            }
        }
        assert_eq!(seen, (0..20).collect::<Vec<_>>());
        assert_eq!(given_up, 19);
    });
}

/// Two ended before anybody waited: `try_next` gives them, and says when there is none.
#[test]
fn taken_without_waiting() {
    run(async {
        let mut set: JoinSet<u32> = [ready(1), ready(2)].into_iter().collect();
        assert!(set.try_next().is_none());
        yield_now().await;
        assert_eq!(set.try_next().unwrap().unwrap(), 1);
        assert_eq!(set.try_next().unwrap().unwrap(), 2);
        assert!(set.try_next().is_none() && set.is_empty());
    });
}

/// A set is a stream that is over while it is empty, and begins again: `select!` passes over it.
#[test]
fn selected_in_a_loop_beside_what_feeds_it() {
    let trace = Trace::new();
    run(async {
        let mut set = JoinSet::new();
        assert!(set.is_terminated());
        let mut feed = pin_feed(3);
        loop {
            select_biased! {
                outcome = set.select_next_some() => trace.note(format!("{} ends", outcome.unwrap())),
                number = feed.next() => match number {
                    Some(number) => {
                        trace.note(format!("{number} begins"));
                        set.spawn(after(10 - 4 * number, number));
                        assert_eq!(set.size_hint(), (set.len(), Some(set.len())));
                    }
                    None => break,
                },
            }
        }
        trace.note("fed");
        assert!(!set.is_terminated());
        while let Some(outcome) = set.next().await {
            trace.note(format!("{} ends", outcome.unwrap()));
        }
    });
    trace.assert(&["0 begins", "1 begins", "2 begins", "2 ends", "fed", "1 ends", "0 ends"]);
    fn pin_feed(count: u64) -> impl FusedStream<Item = u64> + Unpin {
        Box::pin(futures::stream::unfold(0, move |next| async move {
            if next < count {
                sleep(SECOND).await;
            } else {
                sleep(SECOND * 3).await;
            }
            (next < count).then_some((next, next + 1))
        }))
        .fuse()
    }
}

/// `join_all` gives all, in the order in which they ended; given up, it ends what it waited for.
#[test]
fn all_are_joined_or_given_up() {
    let trace = Trace::new();
    run(async {
        let mut set = JoinSet::new();
        set.extend([3, 1, 2].map(|seconds| after(seconds, seconds)));
        let outcomes = set.join_all().await;
        assert_eq!(outcomes.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
        let mut set = JoinSet::<()>::new();
        waiting(&mut set, &trace, "task");
        assert!(timeout(SECOND, set.join_all()).await.is_err());
        trace.note("given up");
        yield_now().await;
    });
    trace.assert(&["given up", "task dropped"]);
}

/// Names, numbers and places are those of any task.
#[test]
fn tasks_of_a_set_are_known_by_name_number_and_place() {
    run(async {
        let mut set = JoinSet::new();
        let line = line!() + 1;
        let named = set.spawn_named("fetch", async { task::current().unwrap() });
        assert_eq!(format!("{set:?}"), "JoinSet { tasks: 1, .. }");
        let (id, outcome) = set.next_with_id().await.unwrap();
        let info = outcome.unwrap();
        assert_eq!((info.id, id), (id, named.id()));
        assert_eq!(info.name.as_deref(), Some("fetch"));
        assert_eq!((info.spawned_at.file(), info.spawned_at.line()), (file!(), line));
        assert!(named.is_finished() && !named.cancel() && !named.abort());
    });
    let said = panic_of(|| JoinSet::new().spawn(ready(())));
    assert_eq!(said, "no running event loop");
}

// ─── ends ───────────────────────────────────────────────────────────────────────────────────────

/// A set that is dropped ends its tasks, in order of creation, each in its own next turn.
#[test]
fn dropped_then_each_ends_in_its_own_turn() {
    let trace = Trace::new();
    run(async {
        let mut set = JoinSet::<()>::new();
        waiting(&mut set, &trace, "one");
        waiting(&mut set, &trace, "two");
        let log = trace.clone();
        set.spawn(async move {
            task::cancelled().await;
            log.note("told");
            yield_now().await;
            log.note("cleaned up");
        });
        yield_now().await;
        drop(set);
        trace.note("set dropped");
        yield_now().await;
        yield_now().await;
    });
    trace.assert(&["set dropped", "one dropped", "two dropped", "told", "cleaned up"]);
}

/// A limit on the shutdown, and then the end of the set, bounds a cleanup: what was told and is not over is dropped
/// in its own next turn.
#[test]
fn a_shutdown_that_is_given_up_and_the_sets_end_bound_a_cleanup() {
    let trace = Trace::new();
    run(async {
        let mut set = JoinSet::new();
        let log = trace.clone();
        set.spawn(async move {
            let _probe = log.probe("slow");
            task::cancelled().await;
            log.note("told");
            after(60, ()).await;
        });
        yield_now().await;
        assert!(timeout(SECOND, set.shutdown()).await.is_err());
        trace.note("given up");
        drop(set);
        trace.note("set dropped");
        yield_now().await;
        trace.note("over");
    });
    trace.assert(&["told", "given up", "set dropped", "slow dropped", "over"]);
}

/// `cancel_all`, `abort_all` and `shutdown`: all are asked; their outcomes are there, or waited for.
#[test]
fn all_are_asked_to_end_and_waited_for() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let log = trace.clone();
    let all = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            let mut set = JoinSet::<()>::new();
            waiting(&mut set, &log, "cancelled");
            set.cancel_all();
            assert!(set.next().await.unwrap().unwrap_err().is_cancelled());
            set.spawn(task::cancelled());
            yield_now().await;
            set.abort_all();
            assert!(set.next().await.unwrap().unwrap_err().is_cancelled());
            waiting(&mut set, &log, "shut down");
            set.spawn(async {
                let _bomb = Bomb("a destructor");
                pending().await
            });
            yield_now().await;
            set.shutdown().await;
            log.note("over");
            assert!(set.is_empty() && all.all_tasks().len() == 1);
            set.spawn(ready(()));
            assert!(set.next().await.unwrap().is_ok(), "it serves again");
        })
        .unwrap();
    trace.assert(&[
        "cancelled dropped",
        "shut down dropped",
        "Task exception was never retrieved: a destructor",
        "over",
    ]);
}

/// A panic that nobody took is reported as the set drops, and afterwards.
#[test]
fn panics_that_nobody_took_are_reported() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    event_loop
        .run_until_complete(async {
            let mut set = JoinSet::<()>::new();
            set.spawn(async { panic!("before") });
            set.spawn(async {
                task::cancelled().await;
                panic!("after")
            });
            yield_now().await;
            drop(set);
            yield_now().await;
        })
        .unwrap();
    trace.assert(&[
        "Task exception was never retrieved: before",
        "Task exception was never retrieved: after",
    ]);
}

/// The loop closes with a set alive, in one of its tasks and outside: each task ends once.
#[test]
fn the_loop_closes_with_sets_alive() {
    let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
    let log = trace.clone();
    let (kept, sender) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(None)));
    let out = Rc::clone(&sender);
    event_loop.create_task(async move {
        let mut outside = JoinSet::<()>::new();
        waiting(&mut outside, &log, "outside");
        out.set(Some(outside));
        let mut set = JoinSet::<()>::new();
        waiting(&mut set, &log, "inside");
        let late = log.clone();
        let _late = on_drop(move || late.note("owner dropped"));
        set.next().await;
    });
    turn(&event_loop);
    turn(&event_loop);
    kept.set(sender.take());
    event_loop.close().unwrap();
    trace.assert(&["owner dropped", "outside dropped", "inside dropped"]);
    let mut outside = kept.take().unwrap();
    assert!(outside.try_next().unwrap().unwrap_err().is_cancelled());
}

/// FUT-16: a set that is awaited where its tasks' loop is not turned says so, instead of hanging.
#[test]
fn awaited_on_another_loop_is_an_error_not_a_hang() {
    let home = EventLoop::new().unwrap();
    let mut set = home.run_until_complete(async {
        let mut set = JoinSet::<()>::new();
        set.spawn(pending());
        set
    });
    let set = set.as_mut().unwrap();
    let outcome = run(set.next());
    assert!(matches!(outcome, Some(Err(TaskError::ForeignLoop))));
    turn(&home);
    assert!(home.all_tasks().is_empty(), "it left the set, cancelled");
    home.run_until_complete(async { set.spawn(pending()) }).unwrap();
    run(set.shutdown());
    turn(&home);
    assert!(set.is_empty() && home.all_tasks().is_empty());
}

// ─── at most so many at once ────────────────────────────────────────────────────────────────────

/// At most so many run, in the order in which they came; who is cancelled while waiting never begins.
#[test]
fn bounded_then_begun_in_order() {
    let trace = Trace::new();
    run(async {
        let mut set = JoinSet::new();
        set.limit(2);
        for number in 0..5 {
            let log = trace.clone();
            let handle = set.spawn(async move {
                log.note(format!("{number} begins"));
                after(1, number).await
            });
            if number == 3 {
                handle.cancel();
            }
        }
        let outcomes = set.join_all().await;
        let values: Vec<_> = outcomes.into_iter().filter_map(Result::ok).collect();
        assert_eq!(values, [0, 1, 2, 4]);
    });
    trace.assert(&["0 begins", "1 begins", "2 begins", "4 begins"]);
}

/// A hundred thousand tasks: every outcome is given once.
#[test]
fn a_hundred_thousand_outcomes() {
    const MANY: usize = 100_000;
    let sum: usize = run(async {
        let mut set = JoinSet::new();
        set.limit(1000);
        set.extend((0..MANY).map(|number| async move {
            yield_now().await;
            number
        }));
        let mut sum = 0;
        while let Some(outcome) = set.next().await {
            sum += outcome.unwrap();
        }
        assert!(set.next().now_or_never().unwrap().is_none());
        sum
    });
    assert_eq!(sum, MANY * (MANY - 1) / 2);
}
