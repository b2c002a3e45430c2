//! A kernel that has no descriptors of processes and no `epoll_pwait2`: children are spawned, waited for,
//! killed and reaped all the same, and timers keep their time.
//!
//! The kernel is this one, told to say so: a filter of system calls answers ENOSYS. Each case has a
//! process of its own for it.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::poll;
use loopbind::process::{Child, Command, ProcessError, Stdio};
use loopbind::signal::SignalKind;
use loopbind::{EventLoop, run, sleep, spawn, spawn_blocking, timeout, yield_now};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, getpid, pidfd_open, waitid};

use support::{in_child_under, in_good_child, open_descriptors, refuse, turn};

mod support;

/// From here on this thread, and those that it starts, are on a kernel of 2019.
fn grow_old() {
    let missing = [libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal, libc::SYS_epoll_pwait2];
    refuse(&missing, libc::ENOSYS);
    assert_eq!(pidfd_open(getpid(), PidfdFlags::empty()).unwrap_err(), Errno::NOSYS);
}

#[track_caller]
fn on_an_old_kernel(test: &str, body: impl FnOnce()) {
    in_good_child(test, || {
        grow_old();
        body();
        assert_nobody_is_left();
    });
}

/// Whether there is no such child, also no zombie.
fn is_gone(child: WaitId<'_>) -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(child, options), Err(Errno::CHILD))
}

/// No child is left, and no thread waits for one.
#[track_caller]
fn assert_nobody_is_left() {
    assert!(is_gone(WaitId::All), "{:?}", fs::read_to_string("/proc/thread-self/children"));
    // A thread is told of the end a moment after the system's table shows it.
    let began = Instant::now();
    while waiting_threads() > 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "{} wait", waiting_threads());
        thread::yield_now();
    }
}

/// How many threads wait for children.
fn waiting_threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let name = |task: fs::DirEntry| fs::read_to_string(task.path().join("comm"));
    let names = tasks.filter_map(|task| name(task.unwrap()).ok());
    names.filter(|name| name == "loopbind-child\n").count()
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that lives until it is killed, and keeps nobody's output open.
fn sleeper() -> Child {
    let mut command = Command::new("sleep");
    command.arg("1000").stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).spawn().unwrap()
}

/// Turns until the process is in no table.
#[track_caller]
fn turn_until_gone(event_loop: &EventLoop, child: u32) {
    let child = Pid::from_raw(child as i32).unwrap();
    let began = Instant::now();
    while !is_gone(WaitId::Pid(child)) {
        assert!(began.elapsed() < Duration::from_secs(20), "{child:?} is still there");
        event_loop.turn(Some(Duration::from_millis(1))).unwrap();
    }
}

#[test]
fn spawned_fed_read_and_waited_for() {
    on_an_old_kernel("spawned_fed_read_and_waited_for", || {
        let before = open_descriptors();
        run(async {
            let status = sh("exit 3").status().await.unwrap();
            assert_eq!(status.code(), Some(3));
            let output = sh("echo out; echo err >&2").output().await.unwrap();
            assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"out\n"[..], &b"err\n"[..]));
            let mut cat = Command::new("cat");
            let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let much = vec![b'x'; 1 << 20];
            assert!(cat.communicate(&much).await.unwrap().stdout == much);
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            assert_eq!(child.try_wait().unwrap(), None);
            let status = child.wait().await.unwrap();
            assert_eq!(child.try_wait().unwrap(), Some(status));
            // The answer is there again, and again.
            assert_eq!(child.wait().await.unwrap(), status);
        })
        .unwrap();
        assert_eq!(open_descriptors(), before);
    });
}

/// SUB-02: what has ended and was waited for is not hit, whoever has its number.
#[test]
fn killed_then_waited_for_then_killed_is_an_error() {
    on_an_old_kernel("killed_then_waited_for_then_killed_is_an_error", || {
        run(async {
            let mut child = sleeper();
            child.send_signal(SignalKind::terminate()).unwrap();
            assert_eq!(child.wait().await.unwrap().signal(), Some(15));
            let refused = child.kill().unwrap_err();
            let inner = refused.get_ref().and_then(|inner| inner.downcast_ref());
            assert!(matches!(inner, Some(ProcessError::Ended { .. })), "{refused}");
            // Killed under somebody who waits.
            let mut child = sleeper();
            assert!(poll!(Box::pin(child.wait())).is_pending());
            child.kill().unwrap();
            assert_eq!(child.wait().await.unwrap().signal(), Some(9));
        })
        .unwrap();
    });
}

/// SUB-04, SUB-05: a wait that is given up, at each of its polls, leaves the child to the next.
#[test]
fn given_up_again_and_again_then_waited_for_on_another_loop() {
    on_an_old_kernel("given_up_again_and_again_then_waited_for_on_another_loop", || {
        let loops = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        for event_loop in loops.iter().cycle().take(6) {
            event_loop
                .run_until_complete(async {
                    for _ in 0..3 {
                        assert!(poll!(Box::pin(child.wait())).is_pending());
                        yield_now().await;
                    }
                })
                .unwrap();
        }
        // It names itself once it runs.
        while waiting_threads() == 0 {
            thread::yield_now();
        }
        assert_eq!(waiting_threads(), 1);
        drop(stdin);
        let status = loops[1].run_until_complete(child.wait()).unwrap().unwrap();
        assert!(status.success());
    });
}

/// SUB-08: dropped while it runs, asked about or not, or when it has ended: it becomes no zombie.
#[test]
fn dropped_in_every_state_it_becomes_no_zombie() {
    on_an_old_kernel("dropped_in_every_state_it_becomes_no_zombie", || {
        let event_loop = EventLoop::new().unwrap();
        for asked in [true, false] {
            for killed in [true, false] {
                let mut command = Command::new("cat");
                command.stdin(Stdio::piped()).kill_on_drop(killed);
                let (number, stdin) = event_loop
                    .run_until_complete(async {
                        let mut child = command.spawn().unwrap();
                        let stdin = child.stdin.take();
                        if asked {
                            assert!(poll!(Box::pin(child.wait())).is_pending());
                        }
                        (child.id(), stdin)
                    })
                    .unwrap();
                let stdin = stdin.filter(|_| killed);
                turn_until_gone(&event_loop, number);
                drop(stdin);
            }
        }
        let child = Command::new("true").spawn().unwrap();
        let number = Pid::from_raw(child.id() as i32).unwrap();
        waitid(WaitId::Pid(number), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).unwrap();
        drop(child);
    });
}

/// SUB-06: a hundred children each on two loops at once; each gets its own status.
#[test]
fn a_hundred_on_each_of_two_loops_at_once() {
    on_an_old_kernel("a_hundred_on_each_of_two_loops_at_once", || {
        let before = open_descriptors();
        let both = Arc::new(Barrier::new(2));
        let threads = [0, 100].map(|offset| {
            let both = Arc::clone(&both);
            thread::spawn(move || {
                run(async {
                    let mut children: Vec<_> = (offset..offset + 100)
                        .map(|code| {
                            let mut child = sh(&format!("read _; exit {code}"));
                            child.stdin(Stdio::piped()).spawn().unwrap()
                        })
                        .collect();
                    // All are there, on both loops, and are waited for, before the first one ends.
                    let inputs: Vec<_> =
                        children.iter_mut().map(|child| child.stdin.take()).collect();
                    for child in &mut children {
                        assert!(poll!(Box::pin(child.wait())).is_pending());
                    }
                    both.wait();
                    drop(inputs);
                    let waits = children.iter_mut().map(Child::wait);
                    let codes = join_all(waits).await.into_iter().map(|end| end.unwrap().code());
                    let expected: Vec<_> = (offset..offset + 100).map(Some).collect();
                    assert_eq!(codes.collect::<Vec<_>>(), expected);
                })
                .unwrap();
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(open_descriptors(), before);
    });
}

/// One who waits for a child, however long, keeps nobody from waiting for another, nor other blocking work
/// from its thread: there may be only one for that.
#[test]
fn waited_for_without_end_and_others_end_meanwhile() {
    let test = "waited_for_without_end_and_others_end_meanwhile";
    let output = in_child_under(test, &[("LOOPBIND_MAX_BLOCKING_THREADS", "1")], || {
        grow_old();
        run(async {
            let mut first = sleeper();
            assert!(poll!(Box::pin(first.wait())).is_pending());
            let second = async { sh("exit 5").status().await.unwrap().code() };
            assert_eq!(timeout(Duration::from_secs(20), second).await.unwrap(), Some(5));
            let work = timeout(Duration::from_secs(20), spawn_blocking(|| 7)).await;
            assert_eq!(work.unwrap().unwrap(), 7);
            first.kill().unwrap();
            first.wait().await.unwrap();
        })
        .unwrap();
        assert_nobody_is_left();
    });
    let Some(output) = output else { return };
    assert!(output.status.success(), "{}", support::said(&output));
}

/// A loop that is closed with a child, and one whose clock is virtual.
#[test]
fn closed_with_a_child_then_a_virtual_clock_waits_for_one() {
    on_an_old_kernel("closed_with_a_child_then_a_virtual_clock_waits_for_one", || {
        let event_loop = EventLoop::new().unwrap();
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = event_loop.run_until_complete(async { command.spawn() }).unwrap().unwrap();
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take().unwrap());
        let waiting = event_loop.create_task(async move { child.wait().await });
        turn(&event_loop);
        event_loop.close().unwrap();
        assert!(waiting.is_finished());
        let mut stdout = stdout.into_std().unwrap();
        drop(stdin);
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0);

        let virtual_loop = support::virtual_loop();
        let ended: Rc<std::cell::Cell<Option<ExitStatus>>> = Rc::default();
        let told = Rc::clone(&ended);
        virtual_loop
            .run_until_complete(async move {
                let task =
                    spawn(async move { told.set(Some(sh("exit 7").status().await.unwrap())) });
                sleep(Duration::from_secs(3600)).await;
                assert!(task.is_finished(), "an hour is not over before the child is");
                task.await.unwrap();
            })
            .unwrap();
        assert_eq!(ended.get().and_then(|status| status.code()), Some(7));
        // Whoever has to do with children sees to the first one.
        let event_loop = EventLoop::new().unwrap();
        let began = Instant::now();
        while !is_gone(WaitId::All) {
            assert!(began.elapsed() < Duration::from_secs(20));
            event_loop.run_until_complete(async { sh("true").status().await }).unwrap().unwrap();
        }
    });
}

/// RUN-36: whole milliseconds only, and never early.
#[test]
fn timers_are_not_early() {
    on_an_old_kernel("timers_are_not_early", || {
        keep_time();
        // One that has nothing to wait for but another thread.
        let event_loop = EventLoop::new().unwrap();
        let handle = event_loop.handle();
        let elsewhere = thread::spawn(move || {
            thread::yield_now();
            handle.stop();
        });
        event_loop.run_forever().unwrap();
        elsewhere.join().unwrap();
    });
}

/// Sandboxes that do not know a call may say that it is not permitted, instead of that there is none.
#[test]
fn timers_in_an_old_sandbox_are_not_early() {
    in_good_child("timers_in_an_old_sandbox_are_not_early", || {
        refuse(&[libc::SYS_epoll_pwait2], libc::EPERM);
        keep_time();
    });
}

fn keep_time() {
    run(async {
        for micros in [100, 900, 1000, 1300, 2001] {
            let (limit, began) = (Duration::from_micros(micros), Instant::now());
            sleep(limit).await;
            assert!(began.elapsed() >= limit, "{micros} us");
            assert!(began.elapsed() < limit + Duration::from_secs(5), "{micros} us");
        }
    })
    .unwrap();
    let quickest = quickest_sleep();
    assert!(quickest >= Duration::from_millis(1), "{quickest:?}: no fallback, then");
}

/// How long `sleep(100 us)` takes when nothing comes between.
fn quickest_sleep() -> Duration {
    run(async {
        let mut quickest = Duration::MAX;
        for _ in 0..200 {
            let began = Instant::now();
            sleep(Duration::from_micros(100)).await;
            quickest = quickest.min(began.elapsed());
        }
        quickest
    })
    .unwrap()
}

/// RUN-36: on a new kernel, fractions of a millisecond, and never early.
#[test]
#[cfg(not(feature = "polling"))]
fn a_tenth_of_a_millisecond_on_a_new_kernel() {
    let quickest = quickest_sleep();
    assert!(quickest >= Duration::from_micros(100), "{quickest:?}");
    assert!(quickest < Duration::from_millis(1), "{quickest:?}");
}

/// Which call it is: one of them is refused in a way that nobody expects, and the other would not have
/// told. A wait of a whole millisecond is asked for a fraction less.
#[test]
#[cfg(not(feature = "polling"))]
fn a_wait_asks_for_the_new_call_and_a_look_does_not() {
    in_good_child("a_wait_asks_for_the_new_call_and_a_look_does_not", || {
        refuse(&[libc::SYS_epoll_pwait2], libc::EXDEV);
        let event_loop = EventLoop::new().unwrap();
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        for limit in [Duration::from_millis(1), Duration::from_micros(100)] {
            match event_loop.turn(Some(limit)).unwrap_err() {
                loopbind::LoopError::Io(error) => {
                    assert_eq!(error.raw_os_error(), Some(libc::EXDEV))
                }
                other => panic!("{other}"),
            }
        }
    });
}
