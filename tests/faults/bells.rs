//! The write that wakes a sleeping loop, refused.

use std::sync::mpsc;
use std::time::Duration;

use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::{EventLoop, LoopHandle, run, sleep, spawn_blocking};

use crate::errno::{EAGAIN, EBADF, EINTR, EIO, ENOMEM, EPERM};
use crate::support::{in_child, in_good_child, said};

/// How often a ring is tried, in both ways.
pub(crate) const TRIES: u64 = 4;

/// Calls `post` on another thread once the loop sleeps, or is about to.
fn while_it_sleeps(event_loop: &EventLoop, post: impl FnOnce(LoopHandle) + Send + 'static) {
    let (asleep, awaited) = mpsc::channel();
    let handle = event_loop.handle();
    let poster = std::thread::spawn(move || {
        awaited.recv().unwrap();
        // The flag for "somebody must be woken" is up once a post is what rings.
        post(handle);
    });
    let stop = event_loop.clone();
    event_loop.call_soon(move || {
        let _keep = &stop;
        asleep.send(()).unwrap();
    });
    event_loop.run_forever().unwrap();
    poster.join().unwrap();
}

/// Posts until one of the posts rang, which the plan counts: the loop slept then.
fn post_until_rung(handle: &LoopHandle, faults: &loopbind::__private::faults::Faults, wanted: u64) {
    while faults.count(Call::Ring) < wanted {
        handle.call_soon_threadsafe(|| {}).unwrap();
        std::thread::yield_now();
    }
}

/// `EAGAIN` is a counter that is full: it rang, as far as the loop is concerned. Here it did not, so
/// what wakes the loop is the next one.
#[test]
fn refused_for_now_is_as_good_as_rung() {
    in_good_child("bells::refused_for_now_is_as_good_as_rung", || {
        let event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let stopped = std::thread::spawn(move || {
            let faults = FaultPlan::new().nth(Call::Ring, 1, EAGAIN).install();
            post_until_rung(&handle, &faults, 1);
            assert_eq!(faults.count(Call::EpollModify), 0, "nothing else was tried");
            faults.lift();
            handle
        });
        // The fault is a lie: the counter was not full, and nobody woke the loop.
        event_loop.call_later(Duration::from_millis(200), {
            let stop = event_loop.clone();
            move || stop.stop()
        });
        event_loop.run_forever().unwrap();
        drop(stopped.join().unwrap());
    });
}

/// Interrupted a hundred times: written in the end.
#[test]
fn interrupted_then_written_again() {
    in_good_child("bells::interrupted_then_written_again", || {
        let event_loop = EventLoop::new().unwrap();
        while_it_sleeps(&event_loop, |handle| {
            let faults = FaultPlan::new().span(Call::Ring, 1, 100, EINTR).install();
            post_until_rung(&handle, &faults, 1);
            assert_eq!((faults.used(), faults.count(Call::Ring)), (100, 101));
            assert_eq!(faults.count(Call::EpollModify), 0);
            handle.stop();
        });
    });
}

/// Refused altogether: there is another way to wake the loop.
#[test]
fn refused_then_woken_the_other_way() {
    in_good_child("bells::refused_then_woken_the_other_way", || {
        for errno in [EIO, EBADF, ENOMEM, EINTR] {
            let event_loop = EventLoop::new().unwrap();
            while_it_sleeps(&event_loop, move |handle| {
                let faults = FaultPlan::new().always(Call::Ring, errno).install();
                post_until_rung(&handle, &faults, 1);
                // Woken, so that there is an answer, and again for each of them.
                for _ in 0..3 {
                    assert_eq!(handle.spawn(|| async { 7 }).unwrap().join().unwrap(), 7);
                }
                assert!(faults.count(Call::EpollModify) > 0);
                handle.stop();
            });
        }
    });
}

/// Neither way works, once, or twice: whoever posts tries again, and the loop wakes, without another word.
#[test]
fn refused_both_ways_then_tried_again() {
    if let Some(output) = in_child("bells::refused_both_ways_then_tried_again", || {
        for times in 1..=3 {
            let event_loop = EventLoop::new().unwrap();
            while_it_sleeps(&event_loop, move |handle| {
                let plan = FaultPlan::new().span(Call::Ring, 1, times, EIO);
                let faults = plan.span(Call::EpollModify, 1, times, ENOMEM).install();
                post_until_rung(&handle, &faults, 1);
                assert_eq!((faults.used(), faults.count(Call::Ring)), (2 * times, times + 1));
                handle.stop();
            });
        }
    }) {
        assert!(output.status.success(), "{}", said(&output));
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("cannot wake"), "{err}");
    }
}

/// Neither way works, however often it is tried: it is said, and the next post rings again, though the loop
/// counts as woken.
#[test]
fn refused_both_ways_then_the_next_post_rings() {
    if let Some(output) = in_child("bells::refused_both_ways_then_the_next_post_rings", || {
        let event_loop = EventLoop::new().unwrap();
        while_it_sleeps(&event_loop, |handle| {
            let plan = FaultPlan::new().span(Call::Ring, 1, TRIES, EIO);
            let faults = plan.span(Call::EpollModify, 1, TRIES, EIO).install();
            post_until_rung(&handle, &faults, 1);
            assert_eq!(faults.used(), 2 * TRIES);
            // It sleeps on, with a post in its inbox. This one rings.
            handle.call_soon_threadsafe(|| {}).unwrap();
            assert_eq!(faults.count(Call::Ring), TRIES + 1);
            handle.stop();
        });
    }) {
        assert!(output.status.success(), "{}", said(&output));
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(err.matches("cannot wake the event loop").count(), 1, "{err}");
    }
}

/// Neither way ever works: what is posted runs all the same, because a loop that nobody can wake does
/// not sleep for long.
#[test]
fn refused_for_ever_and_the_loop_sleeps_lightly() {
    if let Some(output) = in_child("bells::refused_for_ever_and_the_loop_sleeps_lightly", || {
        let faults = FaultPlan::new()
            .always(Call::Ring, EIO)
            .always(Call::EpollModify, EIO)
            .install_everywhere();
        run(async {
            // The first one sleeps: a job on the pool ends while it does, and a timer ends that sleep.
            let first = spawn_blocking(|| std::thread::sleep(Duration::from_millis(20)));
            loopbind::sleep(Duration::from_millis(100)).await;
            first.await.unwrap();
            assert!(faults.used() > 0);
            // From here on nothing but its own unrest does.
            for _ in 0..3 {
                let work = spawn_blocking(|| std::thread::sleep(Duration::from_millis(1)));
                work.await.unwrap();
            }
        })
        .unwrap();
    }) {
        assert!(output.status.success(), "{}", said(&output));
        let err = String::from_utf8_lossy(&output.stderr);
        assert_eq!(err.matches("cannot wake the event loop").count(), 1, "said once\n{err}");
    }
}

/// A loop that looks for posts is awake: nobody has to ring. With this limit it never sleeps, but where there is one
/// processor.
#[test]
fn posted_while_it_spins_then_nobody_rings() {
    let event_loop = EventLoop::builder().spin(Duration::from_secs(3600)).build().unwrap();
    let (idle, begins) = mpsc::channel();
    event_loop.call_soon(move || idle.send(()).unwrap());
    let handle = event_loop.handle();
    let poster = std::thread::spawn(move || {
        let faults = FaultPlan::new().install();
        begins.recv().unwrap();
        handle.stop();
        faults.count(Call::Ring)
    });
    event_loop.run_forever().unwrap();
    let rings = poster.join().unwrap();
    if std::thread::available_parallelism().unwrap().get() > 1 {
        assert_eq!(rings, 0);
    }
}

/// Which processors there are is not told: a count of them will do.
#[test]
fn the_processors_are_not_told_then_spun_all_the_same() {
    let event_loop = EventLoop::builder().spin(Duration::from_secs(3600)).build().unwrap();
    let faults = FaultPlan::new().always(Call::Affinity, EPERM).install();
    let spun = || {
        event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
        !event_loop.metrics().spun.is_zero()
    };
    // A wait is none where the machine was busy until its end, so there are some.
    let has_spun = (0..200).any(|_| spun());
    assert_eq!(has_spun, std::thread::available_parallelism().unwrap().get() > 1);
    assert_eq!(faults.count(Call::Affinity), 1, "asked once");
}
