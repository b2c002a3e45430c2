//! A loop as a guest of calloop's, the loop of Wayland programs: as an event source, and by its descriptor and
//! deadline alone.

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use calloop::generic::Generic;
use calloop::timer::{TimeoutAction, Timer};
use calloop::{Interest, Mode, PostAction, RegistrationToken};
use loopbind::calloop::{LoopEvent, LoopSource};
use loopbind::{EventLoop, LoopError, get_running_loop, sleep, yield_now};

mod support;
use support::{Trace, note_reports, panic_of, virtual_loop};

/// The events of all loops that are inserted, by their names.
type Seen = Vec<(&'static str, LoopEvent)>;
type Host = calloop::EventLoop<'static, Seen>;

fn host() -> Host {
    calloop::EventLoop::try_new().unwrap()
}

fn insert(host: &Host, name: &'static str, guest: &EventLoop) -> RegistrationToken {
    let tell = move |event, (): &mut (), seen: &mut Seen| {
        seen.push((name, event));
        PostAction::Continue
    };
    host.handle().insert_source(LoopSource::new(guest).unwrap(), tell).unwrap()
}

/// Dispatches without waiting, and gives the number of turns.
#[track_caller]
fn dispatch(host: &mut Host) -> usize {
    let mut seen = Vec::new();
    host.dispatch(Some(Duration::ZERO), &mut seen).unwrap();
    seen.len()
}

fn error_of(outcome: calloop::Result<()>) -> LoopError {
    match outcome.unwrap_err() {
        calloop::Error::OtherError(error) => *error.downcast().unwrap(),
        other => panic!("{other}"),
    }
}

/// calloop sleeps without a limit: it is the loop's own timers that wake it, and each costs one turn.
#[test]
fn inserted_then_each_timer_is_one_turn_then_stopped() {
    let (trace, guest) = (Trace::new(), EventLoop::new().unwrap());
    let (log, stop) = (trace.clone(), guest.clone());
    guest
        .create_task(async move {
            assert_eq!(get_running_loop().unwrap(), stop);
            log.note("started");
            for _ in 0..5 {
                let due = Instant::now() + Duration::from_millis(2);
                sleep(Duration::from_millis(2)).await;
                assert!(Instant::now() >= due);
                log.note("slept");
            }
            stop.stop();
        })
        .detach();
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    while !matches!(seen.last(), Some((_, LoopEvent::Stopped))) {
        host.dispatch(None, &mut seen).unwrap();
    }
    trace.assert(&["started", "slept", "slept", "slept", "slept", "slept"]);
    assert_eq!((seen.len(), guest.metrics().turns), (6, 6));
    assert!(seen[..5].iter().all(|(_, event)| matches!(event, LoopEvent::Turned(_))));
    // It has left its host: whatever comes, nobody turns it.
    guest.call_soon(|| panic!("nobody turns it"));
    assert_eq!(dispatch(&mut host), 0);
}

/// A host that is busy with its own things makes no turn of a loop that sleeps.
#[test]
fn the_host_wakes_for_itself_and_the_loop_is_left_asleep() {
    let guest = EventLoop::new().unwrap();
    let task = guest.create_task(async {
        sleep(Duration::from_secs(3600)).await;
    });
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    host.dispatch(None, &mut seen).unwrap();
    let frames = Rc::new(Cell::new(0));
    let count = Rc::clone(&frames);
    let frame = Timer::immediate();
    let on_frame = move |_, (): &mut (), _: &mut Seen| {
        count.set(count.get() + 1);
        TimeoutAction::ToDuration(Duration::from_micros(100))
    };
    host.handle().insert_source(frame, on_frame).unwrap();
    while frames.get() < 50 {
        host.dispatch(None, &mut seen).unwrap();
    }
    assert_eq!((seen.len(), guest.metrics().turns), (1, 1));
    assert!(!task.is_finished());
}

/// THR-01: the descriptor wakes the host.
#[test]
fn asleep_then_posted_to_from_another_thread_then_turned() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    host.dispatch(None, &mut seen).unwrap();
    assert_eq!(dispatch(&mut host), 0, "asleep");
    let (handle, log) = (guest.handle(), trace.clone());
    let (posted, wait) = mpsc::channel();
    let other = std::thread::spawn(move || {
        let task = handle.spawn(move || async move { log.note("ran at home") }).unwrap();
        posted.send(()).unwrap();
        task.join().unwrap();
    });
    while !other.is_finished() && guest.metrics().turns < 2 {
        host.dispatch(None, &mut seen).unwrap();
    }
    wait.recv().unwrap();
    other.join().unwrap();
    trace.assert(&["ran at home"]);
    assert_eq!(guest.metrics().turns, 2);
}

/// A deadline and something else, in either order, whether another deadline is left or not: one turn sees to both.
#[test]
fn due_and_posted_to_together_is_one_turn() {
    for posted_first in [true, false] {
        for then in [None, Some(Duration::from_secs(3600))] {
            let mut delay = Duration::from_millis(1);
            let turns = loop {
                delay *= 2;
                if let Some(turns) = turns_for_both(posted_first, delay, then) {
                    break turns;
                }
            };
            assert_eq!(turns, [1, 0], "posted first: {posted_first}, then {then:?}");
        }
    }
}

/// The turns of two dispatches; `None` where the deadline had come before all was made ready for it.
fn turns_for_both(
    posted_first: bool,
    delay: Duration,
    then: Option<Duration>,
) -> Option<[usize; 2]> {
    let guest = EventLoop::new().unwrap();
    guest
        .create_task(async move {
            sleep(delay).await;
            if let Some(then) = then {
                sleep(then).await;
            }
        })
        .detach();
    let mut host = host();
    insert(&host, "guest", &guest);
    dispatch(&mut host);
    // For the system, which forgets only when it is asked next what it has told already.
    dispatch(&mut host);
    let due = guest.next_deadline().filter(|due| *due > Instant::now())?;
    if posted_first {
        guest.call_soon(|| {});
    }
    // Asleep it would be told of each by itself.
    while Instant::now() < due + Duration::from_micros(200) {}
    if !posted_first {
        guest.call_soon(|| {});
    }
    Some([dispatch(&mut host), dispatch(&mut host)])
}

/// What the host's callbacks start on the loop makes the host turn it.
#[test]
fn started_by_a_callback_of_the_host_then_turned() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    host.dispatch(None, &mut seen).unwrap();
    let (same, log) = (guest.clone(), trace.clone());
    let timer = move |_, (): &mut (), _: &mut Seen| {
        log.note("host");
        let log = log.clone();
        same.create_task(async move {
            log.note("task");
            sleep(Duration::from_millis(1)).await;
            log.note("slept");
        })
        .detach();
        TimeoutAction::Drop
    };
    host.handle().insert_source(Timer::immediate(), timer).unwrap();
    while guest.metrics().tasks_alive > 0 || guest.metrics().tasks_spawned == 0 {
        host.dispatch(None, &mut seen).unwrap();
    }
    trace.assert(&["host", "task", "slept"]);
    assert_eq!(guest.metrics().turns, 3);
}

/// However busy a loop is, it makes one turn for each dispatch, and so does the other; the host has its own
/// turn in between.
#[test]
fn two_busy_loops_have_a_turn_each_and_the_host_has_its_own() {
    let guests = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
    let (mut host, mut seen) = (host(), Seen::new());
    for (name, guest) in ["left", "right"].into_iter().zip(&guests) {
        let busy = async {
            loop {
                yield_now().await;
            }
        };
        guest.create_task(busy).detach();
        insert(&host, name, guest);
    }
    for round in 1..=20 {
        host.dispatch(Some(Duration::from_secs(60)), &mut seen).unwrap();
        // What is set for this very moment is seen by the next dispatch at the latest.
        let turns = guests.each_ref().map(|guest| guest.metrics().turns);
        assert!(turns.iter().all(|turns| *turns <= round), "{turns:?} in {round}");
    }
    let turns = |name| seen.iter().filter(|(of, _)| *of == name).count() as u64;
    assert_eq!([turns("left"), turns("right")], guests.each_ref().map(|it| it.metrics().turns));
    assert!(turns("left") >= 10 && turns("right") >= 10, "{seen:?}");
}

#[test]
fn two_loops_in_one_host_wake_each_other() {
    let [left, right] = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
    let (to_right, mut from_left) = futures::channel::mpsc::unbounded::<u32>();
    let (to_left, mut from_right) = futures::channel::mpsc::unbounded::<u32>();
    use futures::StreamExt as _;
    right
        .create_task(async move {
            while let Some(number) = from_left.next().await {
                to_left.unbounded_send(number + 1).unwrap();
            }
        })
        .detach();
    let task = left.create_task(async move {
        let mut number = 0;
        for _ in 0..100 {
            to_right.unbounded_send(number).unwrap();
            number = from_right.next().await.unwrap();
        }
        number
    });
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "left", &left);
    insert(&host, "right", &right);
    while !task.is_finished() {
        host.dispatch(None, &mut seen).unwrap();
    }
    assert_eq!(left.run_until_complete(task).unwrap().unwrap(), 100);
}

#[test]
fn removed_then_run_by_itself_then_inserted_elsewhere() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (tell, go) = futures::channel::oneshot::channel();
    let log = trace.clone();
    let task = guest.create_task(async move {
        log.note("first");
        sleep(Duration::from_millis(1)).await;
        log.note("second");
        go.await.unwrap();
        sleep(Duration::from_millis(1)).await;
        log.note("third");
    });
    let mut first = host();
    let token = insert(&first, "guest", &guest);
    assert_eq!(dispatch(&mut first), 1);
    first.handle().remove(token);
    trace.assert(&["first"]);
    guest.run_until_complete(sleep(Duration::from_millis(2))).unwrap();
    trace.assert(&["second"]);
    assert_eq!(dispatch(&mut first), 0);
    let (mut second, mut seen) = (host(), Seen::new());
    insert(&second, "guest", &guest);
    drop(first);
    tell.send(()).unwrap();
    while !task.is_finished() {
        second.dispatch(None, &mut seen).unwrap();
    }
    trace.assert(&["third"]);
}

/// calloop lets a callback disable and remove its own source, and remembers it until the callback is over, unless the
/// source asks for something itself.
#[test]
fn disabled_by_its_own_task_then_enabled_then_removed_by_its_own_task() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    let (mut host, place) = (host(), Rc::new(Cell::new(None)));
    let (log, handle, token) = (trace.clone(), host.handle(), Rc::clone(&place));
    guest
        .create_task(async move {
            log.note("disables");
            handle.disable(&token.get().unwrap()).unwrap();
            yield_now().await;
            log.note("enabled");
            sleep(Duration::from_millis(1)).await;
            log.note("removes");
            handle.remove(token.get().unwrap());
            yield_now().await;
            log.note("run");
        })
        .detach();
    let token = insert(&host, "guest", &guest);
    place.set(Some(token));
    assert_eq!((dispatch(&mut host), dispatch(&mut host)), (1, 0));
    trace.assert(&["disables"]);
    host.handle().enable(&token).unwrap();
    while guest.metrics().turns < 3 {
        host.dispatch(None, &mut Seen::new()).unwrap();
    }
    trace.assert(&["enabled", "removes"]);
    assert_eq!((dispatch(&mut host), dispatch(&mut host)), (0, 0));
    guest.run_until_complete(yield_now()).unwrap();
    trace.assert(&["run"]);
}

#[test]
fn what_the_callback_returns_is_done() {
    let guest = EventLoop::new().unwrap();
    let mut host = calloop::EventLoop::<Vec<LoopEvent>>::try_new().unwrap();
    let source = LoopSource::new(&guest).unwrap();
    let once = |event, (): &mut (), seen: &mut Vec<LoopEvent>| {
        seen.push(event);
        PostAction::Remove
    };
    host.handle().insert_source(source, once).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 {
        guest.call_soon(|| {});
        host.dispatch(Some(Duration::ZERO), &mut seen).unwrap();
    }
    assert!(matches!(seen[..], [LoopEvent::Turned(turn)] if turn.polled == 1));
}

/// The source has the loop's last value: the loop is closed inside of the removal, where calloop cannot be used. What a
/// destructor tries there is a panic like any other, and ends nothing.
#[test]
fn removed_with_the_last_value_of_its_loop_then_closed_and_the_host_goes_on() {
    let (guest, trace) = (EventLoop::new().unwrap(), Trace::new());
    note_reports(&guest, &trace);
    let mut host = host();
    let token = insert(&host, "guest", &guest);
    let (handle, probe) = (host.handle(), trace.probe("task"));
    guest
        .create_task(async move {
            let _probe = probe;
            let _meddles = support::on_drop(move || handle.remove(token));
            pending::<()>().await
        })
        .detach();
    drop(guest);
    assert_eq!(dispatch(&mut host), 1);
    trace.assert(&[]);
    host.handle().remove(token);
    let told = trace.take();
    assert!(told.contains(&"task dropped".to_owned()) && told.len() == 2, "{told:?}");
    assert!(told[1].contains("borrowed"), "{told:?}");
    let other = EventLoop::new().unwrap();
    insert(&host, "other", &other);
    assert_eq!(dispatch(&mut host), 1);
}

#[test]
fn closed_while_inserted_then_told_once_and_removed() {
    let guest = EventLoop::new().unwrap();
    guest.create_task(pending::<()>()).detach();
    let (mut host, mut seen) = (host(), Seen::new());
    let token = insert(&host, "guest", &guest);
    host.dispatch(None, &mut seen).unwrap();
    guest.close().unwrap();
    host.dispatch(None, &mut seen).unwrap();
    assert!(matches!(seen[..], [(_, LoopEvent::Turned(_)), (_, LoopEvent::Closed)]), "{seen:?}");
    assert_eq!(dispatch(&mut host), 0);
    assert!(host.handle().enable(&token).is_err(), "it is gone");
    assert!(matches!(LoopSource::new(&guest), Err(LoopError::Closed)));
}

/// A dispatch inside of the loop's own run is an error of that dispatch, and nothing is lost.
#[test]
fn dispatched_by_its_own_task_is_refused_then_goes_on() {
    let guest = EventLoop::new().unwrap();
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    let refused = guest.run_until_complete(async { host.dispatch(None, &mut seen) }).unwrap();
    assert!(matches!(error_of(refused), LoopError::AlreadyRunning));
    let task = guest.create_task(sleep(Duration::from_millis(1)));
    while !task.is_finished() {
        host.dispatch(None, &mut seen).unwrap();
    }
    assert!(seen.iter().all(|(_, event)| matches!(event, LoopEvent::Turned(_))));
}

/// A task that a host turns dispatches another host, with another loop.
#[test]
fn dispatched_inside_of_a_turn_another_loop_is_refused_then_goes_on() {
    let [outer, inner] = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
    let (mut host_of_outer, mut host_of_inner) = (host(), host());
    insert(&host_of_outer, "outer", &outer);
    insert(&host_of_inner, "inner", &inner);
    let done = inner.create_task(sleep(Duration::from_millis(1)));
    let task = outer.create_task(async move {
        let refused = host_of_inner.dispatch(None, &mut Seen::new());
        (error_of(refused), host_of_inner)
    });
    assert_eq!(dispatch(&mut host_of_outer), 1);
    let (refused, mut host_of_inner) = outer.run_until_complete(task).unwrap().unwrap();
    assert!(matches!(refused, LoopError::AnotherLoopRunning { running } if running == outer.id()));
    while !done.is_finished() {
        host_of_inner.dispatch(None, &mut Seen::new()).unwrap();
    }
}

#[test]
fn a_panic_is_reported_or_leaves_the_dispatch_and_the_loop_goes_on() {
    use loopbind::UnhandledPanic;
    let trace = Trace::new();
    for policy in [UnhandledPanic::Report, UnhandledPanic::Resume] {
        let guest = EventLoop::builder().on_unhandled_panic(policy).build().unwrap();
        note_reports(&guest, &trace);
        let mut host = host();
        insert(&host, "guest", &guest);
        assert_eq!((dispatch(&mut host), dispatch(&mut host)), (1, 0), "asleep");
        let log = trace.clone();
        guest.create_task(async { panic!("out of tea") }).detach();
        let task = guest.create_task(async move {
            sleep(Duration::from_millis(1)).await;
            log.note("slept");
        });
        if policy == UnhandledPanic::Resume {
            trace.note(panic_of(|| dispatch(&mut host)));
        }
        while !task.is_finished() {
            host.dispatch(None, &mut Seen::new()).unwrap();
        }
    }
    trace.assert(&[
        "Task exception was never retrieved: out of tea",
        "slept",
        "out of tea",
        "slept",
    ]);
}

/// calloop gives a dispatch up where one source fails, and with it what it has seen of others.
#[test]
fn another_source_fails_and_the_deadline_is_not_lost() {
    let guest = EventLoop::new().unwrap();
    let (mut host, mut seen) = (host(), Seen::new());
    let (reader, mut writer) = UnixStream::pair().unwrap();
    let fails = |_: calloop::Readiness,
                 reader: &mut calloop::generic::NoIoDrop<UnixStream>,
                 _: &mut Seen| {
        reader.as_ref().read_exact(&mut [0]).unwrap();
        Err(std::io::Error::other("out of tea"))
    };
    let source = Generic::new(reader, Interest::READ, Mode::Level);
    host.handle().insert_source(source, fails).unwrap();
    insert(&host, "guest", &guest);
    let mut failed = 0;
    for round in 1..=20 {
        let task = guest.create_task(sleep(Duration::from_millis(1)));
        while guest.next_deadline().is_some_and(|at| at <= Instant::now()) {
            host.dispatch(None, &mut seen).unwrap();
        }
        // The two come together, as far as the system will have it, and the one that fails is seen first.
        writer.write_all(&[7]).unwrap();
        while guest.next_deadline().is_some_and(|at| at > Instant::now()) {}
        while !task.is_finished() || failed < round {
            failed += usize::from(host.dispatch(None, &mut seen).is_err());
        }
    }
}

#[test]
fn inserted_twice_into_one_host_is_an_error_and_once_into_each_of_two_is_none() {
    let guest = EventLoop::new().unwrap();
    let (mut first, mut second) = (host(), host());
    insert(&first, "guest", &guest);
    let again = LoopSource::new(&guest).unwrap();
    let refused = first.handle().insert_source(again, |_, (), _| PostAction::Continue).unwrap_err();
    let calloop::Error::IoError(error) = refused.error else { panic!("{refused:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    // It comes back whole.
    let name = |event, (): &mut (), seen: &mut Seen| {
        seen.push(("again", event));
        PostAction::Continue
    };
    second.handle().insert_source(refused.inserted, name).unwrap();
    assert_eq!((dispatch(&mut first), dispatch(&mut second)), (1, 1));
}

/// As in a run: it jumps when nothing else can happen.
#[test]
fn a_virtual_clock_jumps_under_calloop() {
    let guest = virtual_loop();
    let began = guest.time();
    let task = guest.create_task(async {
        for _ in 0..20 {
            sleep(Duration::from_secs(180)).await;
        }
    });
    let (mut host, mut seen) = (host(), Seen::new());
    insert(&host, "guest", &guest);
    while !task.is_finished() {
        host.dispatch(None, &mut seen).unwrap();
    }
    assert_eq!(guest.time() - began, Duration::from_secs(3600));
    while dispatch(&mut host) > 0 {}
    assert_eq!(dispatch(&mut host), 0, "and rests");
}

/// A forked process that is told so, and takes its loop out of the host it inherited, leaves the parent's host watching.
#[test]
fn removed_in_a_forked_child_then_the_parent_goes_on() {
    support::in_good_child("removed_in_a_forked_child_then_the_parent_goes_on", || {
        let guest = EventLoop::new().unwrap();
        let (mut host, mut seen) = (host(), Seen::new());
        let token = insert(&host, "guest", &guest);
        host.dispatch(None, &mut seen).unwrap();
        guest.call_soon(|| {});
        // SAFETY: the child does what is said, and leaves by `_exit`.
        unsafe {
            match libc::fork() {
                0 => {
                    support::limit_lifetime();
                    let told = host.dispatch(None, &mut seen);
                    let told = matches!(error_of(told), LoopError::Forked);
                    host.handle().remove(token);
                    libc::_exit(if told { 0 } else { 1 })
                }
                child => {
                    let mut status = -1;
                    assert_eq!(libc::waitpid(child, &mut status, 0), child);
                    assert_eq!(status, 0);
                }
            }
        }
        // Both are watched still: what is ready, and what is due.
        let before = guest.metrics().turns;
        host.dispatch(Some(Duration::from_secs(10)), &mut seen).unwrap();
        assert_eq!(guest.metrics().turns, before + 1);
        let task = guest.create_task(sleep(Duration::from_millis(5)));
        let began = Instant::now();
        while !task.is_finished() {
            host.dispatch(Some(Duration::from_secs(10)), &mut seen).unwrap();
        }
        assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    });
}

/// What the source does is no more than what anybody can do with the descriptor and the deadline.
#[test]
fn without_the_source_calloop_watches_the_descriptor_and_its_deadline() {
    struct App {
        guest: EventLoop,
        turns: usize,
    }
    impl App {
        fn turn(&mut self) {
            self.guest.turn(Some(Duration::ZERO)).unwrap();
            self.turns += 1;
        }
    }
    let guest = EventLoop::new().unwrap();
    let trace = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&trace);
    let task = guest.create_task(async move {
        log.borrow_mut().push("started");
        sleep(Duration::from_millis(5)).await;
        log.borrow_mut().push("slept");
    });

    let mut host = calloop::EventLoop::<App>::try_new().unwrap();
    let watched =
        Generic::new(guest.as_fd().try_clone_to_owned().unwrap(), Interest::READ, Mode::Level);
    let turn = |_, _: &mut _, app: &mut App| {
        app.turn();
        Ok(PostAction::Continue)
    };
    host.handle().insert_source(watched, turn).unwrap();
    let mut app = App { guest: guest.clone(), turns: 0 };

    // A post of another thread, while the host sleeps.
    let handle = guest.handle();
    let other = std::thread::spawn(move || handle.spawn(|| async { 7 }).unwrap().join().unwrap());

    while !(task.is_finished() && guest.all_tasks().is_empty() && other.is_finished()) {
        let timeout = match guest.next_deadline() {
            Some(at) => at.saturating_duration_since(Instant::now()),
            // The other thread ends without a word to anybody.
            None => Duration::from_millis(5),
        };
        host.dispatch(Some(timeout), &mut app).unwrap();
        // The deadline may be what ended the sleep.
        app.turn();
    }
    assert_eq!(other.join().unwrap(), 7);
    assert_eq!(*trace.borrow(), ["started", "slept"]);
    assert!(app.turns > 0);
}
