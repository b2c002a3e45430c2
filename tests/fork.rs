//! Forked children: the child's slots are as never set, a loop it inherited says so at every use, and
//! the parent's loop does not notice.
//!
//! Without libtest's harness: a fork is of one thread, and should be of a process that has few. Each
//! case is a process of its own, which forks from where the case says.

#[cfg(not(unix))]
fn main() {}

#[cfg(unix)]
mod support;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    support::run_cases(cases::CASES)
}

#[cfg(unix)]
mod cases {
    use std::cell::{Cell, RefCell};
    use std::ffi::c_int;
    use std::future::pending;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};
    use std::thread;
    use std::time::{Duration, Instant};

    use loopbind::thread::ThreadBuilder;
    use loopbind::{
        EventLoop, LoopError, Runner, TaskError, get_bound_loop, get_event_loop, get_running_loop,
        main_loop, run, set_event_loop, sleep, spawn, spawn_blocking, yield_now,
    };

    use super::support::{self, Trace, panic_of};

    pub(super) const CASES: &[support::Case] = support::cases![
        forked_with_a_loop_bound_and_the_child_makes_its_own,
        forked_after_none_and_the_child_may_make_a_loop_again,
        forked_inside_a_coroutine_and_the_child_runs_its_own,
        forked_inside_a_callback_and_the_child_returns_from_the_run,
        forked_inside_a_task_and_the_child_returns_from_the_run,
        forked_inside_a_turn_and_the_child_returns_from_it,
        forked_inside_a_run_and_the_child_panics_out_of_it,
        every_use_of_an_inherited_loop_says_so,
        every_use_of_an_inherited_handle_says_so,
        what_hangs_on_an_inherited_loop_is_used_and_dropped_in_the_child,
        an_inherited_guard_drops_in_the_child_and_takes_nothing_with_it,
        an_inherited_runner_is_closed_or_dropped_in_the_child,
        forked_from_another_thread_which_is_the_childs_main_one,
        forked_while_other_threads_have_loops,
        forked_with_a_loop_that_spins_and_the_child_has_its_own,
        forked_after_blocking_work_and_the_child_does_its_own,
        forked_twice_and_each_generation_has_its_own,
        the_child_wakes_and_posts_and_the_parent_sleeps_on,
        the_child_drops_the_loop_and_the_parent_is_still_woken,
        many_children_come_and_go_while_the_parent_runs,
        the_child_ends_with_an_inherited_loop_bound,
        the_childs_own_thread_ends_with_an_inherited_loop_about,
        the_child_gives_the_inherited_descriptors_back,
    ];

    unsafe extern "C" {
        #[link_name = "fork"]
        fn c_fork() -> c_int;
        fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        fn _exit(code: c_int) -> !;
    }

    enum Forked {
        Child,
        Parent(c_int),
    }

    fn fork() -> Forked {
        // SAFETY: the cases' processes have no locks that other threads may hold at this point and
        // that the child wants.
        match unsafe { c_fork() } {
            -1 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
            0 => {
                support::limit_lifetime();
                Forked::Child
            }
            child => Forked::Parent(child),
        }
    }

    /// Waits for the child, which is to end with `code`.
    #[track_caller]
    fn reap(child: c_int, code: c_int) {
        let mut status = 0;
        // SAFETY: `status` is ours; the child is ours and was not waited for yet.
        assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
        let (exited, with) = (status & 0x7f == 0, (status >> 8) & 0xff);
        assert!(exited && with == code, "the child ended with status {status:#x}, not {code}");
    }

    /// Ends the child, without destructors.
    fn exit(code: c_int) -> ! {
        // SAFETY: no preconditions.
        unsafe { _exit(code) }
    }

    /// Runs `body` in a child, which is to get to its end.
    #[track_caller]
    fn in_fork(body: impl FnOnce()) {
        match fork() {
            Forked::Child => {
                let ended = catch_unwind(AssertUnwindSafe(body));
                exit(if ended.is_ok() { 0 } else { 1 })
            }
            Forked::Parent(child) => reap(child, 0),
        }
    }

    const FORKED: &str = "the event loop belongs to the process that forked this one";

    fn is_forked<T: std::fmt::Debug>(outcome: Result<T, LoopError>) -> bool {
        matches!(outcome, Err(LoopError::Forked))
    }

    /// PRC-01: neither slot is inherited: the child's main thread makes a loop of its own at the first
    /// lookup; the parent's is bound and runs as before.
    fn forked_with_a_loop_bound_and_the_child_makes_its_own() {
        let parents = get_event_loop().unwrap();
        in_fork(|| {
            assert_eq!(get_bound_loop(), None);
            assert!(main_loop().is_none());
            let own = get_event_loop().unwrap();
            assert_ne!(own, parents);
            assert_eq!(get_event_loop().unwrap(), own);
            assert_eq!(main_loop(), Some(own.handle()));
            assert_eq!(
                own.run_until_complete(async { spawn(async { 1 }).await.unwrap() }).unwrap(),
                1
            );
        });
        assert_eq!(get_event_loop().unwrap(), parents);
        assert_eq!(main_loop(), Some(parents.handle()));
        assert_eq!(parents.run_until_complete(async { 2 }).unwrap(), 2);
    }

    /// PRC-01: "never set" is what the child starts with, also where the parent said `None`.
    fn forked_after_none_and_the_child_may_make_a_loop_again() {
        // Forks are counted from the first loop on.
        drop(EventLoop::new().unwrap());
        set_event_loop(None);
        in_fork(|| drop(get_event_loop().unwrap()));
        assert!(get_event_loop().is_err());
    }

    /// PRC-01, PRC-02, PRC-03, GEL-32: nothing runs in the child although the fork was inside a
    /// coroutine; it runs loops of its own there and then, and `run` too.
    fn forked_inside_a_coroutine_and_the_child_runs_its_own() {
        let parents = get_event_loop().unwrap();
        let inherited = parents.clone();
        let after = parents.run_until_complete(async {
            let forks = spawn(async move {
                let parents = inherited;
                in_fork(|| {
                    let refused = get_running_loop().unwrap_err();
                    assert_eq!(refused.to_string(), "no running event loop");
                    assert!(!parents.is_running() && !parents.handle().is_running());
                    assert!(loopbind::task::current().is_none());
                    assert_eq!(panic_of(|| spawn(async {})), "no running event loop");
                    let value = run(async {
                        sleep(Duration::from_millis(1)).await;
                        spawn(async { get_running_loop().unwrap() }).await.unwrap()
                    });
                    assert_ne!(value.unwrap(), parents);
                    assert_ne!(get_event_loop().unwrap(), parents);
                });
            });
            forks.await.unwrap();
            assert_eq!(get_running_loop().unwrap(), parents);
            assert!(parents.is_running());
            spawn(async { "whole" }).await.unwrap()
        });
        assert_eq!(after.unwrap(), "whole");
    }

    /// The child comes back from a callback: its run ends with an error, nothing else of the batch runs
    /// there, and everything of it runs in the parent.
    fn forked_inside_a_callback_and_the_child_returns_from_the_run() {
        let (parents, trace) = (EventLoop::new().unwrap(), Trace::new());
        let child = Rc::new(Cell::new(None));
        let forks = Rc::clone(&child);
        parents.call_soon(move || match fork() {
            Forked::Child => {}
            Forked::Parent(child) => forks.set(Some(child)),
        });
        parents.call_soon(trace.noting("behind the fork"));
        let stopping = parents.clone();
        parents.call_soon(move || stopping.stop());
        let ended = parents.run_forever();
        let Some(child) = child.get() else {
            let as_told =
                is_forked(ended) && trace.take().is_empty() && get_running_loop().is_err();
            exit(if as_told { 7 } else { 1 })
        };
        ended.unwrap();
        trace.assert(&["behind the fork"]);
        reap(child, 7);
    }

    /// The same for a task, awaited by the main future, which is dropped in the child unfinished.
    fn forked_inside_a_task_and_the_child_returns_from_the_run() {
        let parents = EventLoop::new().unwrap();
        let child = Cell::new(None);
        let ended = parents.run_until_complete(async {
            let forked = spawn(async {
                match fork() {
                    Forked::Child => None,
                    Forked::Parent(child) => Some(child),
                }
            });
            child.set(forked.await.unwrap());
            child.get().expect("the child does not get here")
        });
        match child.get() {
            None => exit(if is_forked(ended) { 7 } else { 1 }),
            Some(child) => {
                assert_eq!(ended.unwrap(), child);
                reap(child, 7);
            }
        }
    }

    /// The same where the loop is turned by hand.
    fn forked_inside_a_turn_and_the_child_returns_from_it() {
        let parents = EventLoop::new().unwrap();
        let forked = Rc::new(Cell::new(None));
        let forks = Rc::clone(&forked);
        parents.call_soon(move || {
            if let Forked::Parent(child) = fork() {
                forks.set(Some(child));
            }
        });
        let turned = parents.turn(Some(Duration::ZERO));
        match forked.get() {
            None => exit(if is_forked(turned) { 7 } else { 1 }),
            Some(child) => {
                assert_eq!(turned.unwrap().polled, 1);
                reap(child, 7);
            }
        }
    }

    /// A panic in the child passes through the parent's run, which is the child's no longer.
    fn forked_inside_a_run_and_the_child_panics_out_of_it() {
        let parents = EventLoop::new().unwrap();
        let mut forked = None;
        let ran = catch_unwind(AssertUnwindSafe(|| {
            parents.run_until_complete(async {
                match fork() {
                    Forked::Child => std::panic::resume_unwind(Box::new("out")),
                    Forked::Parent(child) => forked = Some(child),
                }
            })
        }));
        match (forked, ran) {
            (None, Err(payload)) => {
                let out = support::text_of(&*payload) == "out" && get_running_loop().is_err();
                exit(if out && run(async { 1 }).unwrap() == 1 { 7 } else { 1 })
            }
            (Some(child), ran) => {
                ran.unwrap().unwrap();
                reap(child, 7);
            }
            (None, Ok(_)) => exit(1),
        }
    }

    /// An inherited loop says so: an error where there is a `Result`, a panic with its text where there
    /// is none; what it was given is dropped. Binding it is allowed, looking it up too.
    fn every_use_of_an_inherited_loop_says_so() {
        let parents = EventLoop::builder().name("parent").build().unwrap();
        in_fork(|| {
            let trace = Trace::new();
            let given = || {
                let probe = trace.probe("given");
                move || drop(probe)
            };
            assert!(is_forked(parents.run_forever()));
            let given_to_run = given();
            assert!(is_forked(parents.run_until_complete(async { given_to_run() })));
            assert!(is_forked(parents.turn(None)));
            assert!(is_forked(parents.close()));
            let (soon, later, now, held) = (given(), given(), parents.time(), given());
            let panics = [
                panic_of(|| parents.call_soon(soon)),
                panic_of(|| parents.call_later(Duration::ZERO, later)),
                panic_of(|| parents.call_at(now, || ())),
                panic_of(|| parents.create_task(async { held() })),
                panic_of(|| parents.task_builder().spawn(async {})),
                panic_of(|| parents.run_in_executor(|| ())),
            ];
            assert_eq!(panics, [FORKED; 6]);
            trace.assert(&["given dropped"; 4]);
            assert_eq!(panic_of(|| parents.bind()), FORKED);
            parents.stop();
            assert_eq!(parents.next_deadline(), None, "stopping it is nothing");
            assert!(!parents.is_running());
            assert_eq!(parents.name(), Some("parent"));
            assert!(format!("{parents:?}").contains("running: false"));

            set_event_loop(Some(&parents));
            assert_eq!(get_event_loop().unwrap(), parents);
            assert!(is_forked(get_event_loop().unwrap().run_forever()));
            set_event_loop(None);
            assert_eq!(get_bound_loop(), None);
        });
        assert_eq!(parents.run_until_complete(async { 1 }).unwrap(), 1);
    }

    /// So does a handle of it, in the child's threads too; and waiting for what nobody will bring is an
    /// error and not a hang.
    fn every_use_of_an_inherited_handle_says_so() {
        let parents = EventLoop::new().unwrap();
        let handle = parents.handle();
        let remote = || handle.spawn(pending::<()>).unwrap();
        let (joined, timed, awaited, cancelled) = (remote(), remote(), remote(), remote());
        let (go, wait) = mpsc::channel::<()>();
        let mut work = Some(parents.run_in_executor(move || {
            wait.recv().unwrap();
            8
        }));
        parents.run_until_complete(yield_now()).unwrap();
        in_fork(|| {
            thread::scope(|scope| {
                scope.spawn(|| {
                    assert!(is_forked(handle.call_soon_threadsafe(|| ())));
                    assert!(is_forked(handle.spawn(|| async {})));
                    assert!(is_forked(handle.run_coroutine_threadsafe(async {})));
                    handle.stop();
                    assert!(!handle.is_running());
                });
            });
            let elsewhere = thread::spawn(move || {
                let joined = joined.join().unwrap_err();
                let timed = timed.join_timeout(Duration::from_secs(3600)).unwrap().unwrap_err();
                (joined, timed)
            });
            let (joined, timed) = elsewhere.join().unwrap();
            assert!(matches!(joined, TaskError::Forked), "{joined:?}");
            assert!(matches!(timed, TaskError::Forked), "{timed:?}");
            let awaited = run(awaited).unwrap().unwrap_err();
            assert!(matches!(awaited, TaskError::Forked), "{awaited:?}");
            assert!(!cancelled.cancel() && !cancelled.cancel_within(Duration::from_secs(1)));
            drop(cancelled);
            let work = work.take().unwrap();
            let unbrought = run(work).unwrap().unwrap_err();
            assert!(matches!(unbrought, TaskError::Forked), "{unbrought:?}");
        });
        go.send(()).unwrap();
        let brought = EventLoop::new().unwrap().run_until_complete(work.unwrap());
        assert_eq!(brought.unwrap().unwrap(), 8);
        assert_eq!(parents.all_tasks().len(), 4, "the parent's are what they were");
    }

    /// Tasks, callbacks, timers and wakers of the inherited loop: used and dropped in the child they do
    /// no harm, and what they stand for is the parent's: nothing of it happens in the child.
    fn what_hangs_on_an_inherited_loop_is_used_and_dropped_in_the_child() {
        let (parents, trace) = (EventLoop::new().unwrap(), Trace::new());
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let (kept, probe) = (Rc::clone(&waker), trace.probe("task"));
        let task = parents.create_task(std::future::poll_fn(move |cx| {
            let _probe = &probe;
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        parents.run_until_complete(yield_now()).unwrap();
        let soon = parents.call_soon(|| ());
        let timer = parents.call_later(Duration::from_secs(3600), || ());
        let mut tools = Some((task, soon, timer, waker.take().unwrap()));
        let mut last = Some(parents);
        in_fork(|| {
            let (mut task, soon, timer, waker) = tools.take().unwrap();
            waker.wake_by_ref();
            thread::scope(|scope| {
                scope.spawn(|| waker.wake_by_ref());
            });
            drop(waker);
            assert!(!task.is_finished() && task.try_result().is_none());
            assert!(!task.cancel() && !task.abort());
            assert_eq!(task.info().state, loopbind::TaskState::Waiting, "it is left alone");
            let awaited = run(async { (&mut task).await }).unwrap();
            assert!(matches!(awaited, Err(TaskError::Forked)), "{awaited:?}");
            let by_hand = pin!(&mut task).poll(&mut Context::from_waker(Waker::noop()));
            assert!(matches!(by_hand, Poll::Ready(Err(TaskError::Forked))));
            drop((task, soon, timer));
            drop(last.take());
            trace.assert(&[]);
        });
        let parents = last.unwrap();
        let (task, ..) = tools.unwrap();
        assert!(!task.is_finished());
        parents.close().unwrap();
        trace.assert(&["task dropped"]);
    }

    /// A guard from before the fork is not one of the child's frames.
    fn an_inherited_guard_drops_in_the_child_and_takes_nothing_with_it() {
        let parents = EventLoop::new().unwrap();
        let mut guards = Some((parents.bind(), parents.bind()));
        in_fork(|| {
            let (first, second) = guards.take().unwrap();
            drop(first);
            assert_eq!(get_bound_loop(), None);
            let own = EventLoop::new().unwrap();
            let guard = own.bind();
            drop(second);
            assert_eq!(get_event_loop().unwrap(), own);
            drop(guard);
            assert_eq!(get_bound_loop(), None);
        });
        assert_eq!(get_event_loop().unwrap(), parents);
        drop(guards);
        assert_eq!(get_bound_loop(), None);
    }

    /// A runner from before the fork: its close says so, its drop does nothing, and no task of the
    /// parent's is ended.
    fn an_inherited_runner_is_closed_or_dropped_in_the_child() {
        let trace = Trace::new();
        let probe = trace.probe("task");
        let mut runner = Some(Runner::new().unwrap());
        let started = runner.as_ref().unwrap().run(async move {
            spawn(async move {
                let _probe = probe;
                pending::<()>().await;
            })
            .detach();
            yield_now().await;
        });
        started.unwrap();
        in_fork(|| {
            let runner = runner.take().unwrap();
            assert!(is_forked(runner.run(async {})));
            assert!(is_forked(runner.close()));
        });
        in_fork(|| drop(runner.take()));
        trace.assert(&[]);
        runner.unwrap().close().unwrap();
        trace.assert(&["task dropped"]);
    }

    /// PRC-11: the thread that forked is the child's main thread, and may make a loop by looking.
    fn forked_from_another_thread_which_is_the_childs_main_one() {
        thread::spawn(|| {
            drop(EventLoop::new().unwrap());
            assert!(get_event_loop().is_err());
            in_fork(|| {
                let own = get_event_loop().unwrap();
                assert_eq!(main_loop(), Some(own.handle()));
                own.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
            });
            assert!(get_event_loop().is_err());
        })
        .join()
        .unwrap();
    }

    /// Loops of threads that are not there in the child: their handles say so, and the threads that the
    /// child starts have loops of their own.
    fn forked_while_other_threads_have_loops() {
        let (sender, receiver) = mpsc::channel();
        let worker = ThreadBuilder::new()
            .name("worker")
            .spawn(move || async move {
                sender.send(()).unwrap();
                pending::<()>().await;
            })
            .unwrap();
        receiver.recv().unwrap();
        let mut joined = Some(ThreadBuilder::new().spawn(pending::<()>).unwrap());
        in_fork(|| {
            let payload = joined.take().unwrap().join().unwrap_err();
            assert!(matches!(*payload.downcast::<LoopError>().unwrap(), LoopError::Forked));
            assert!(is_forked(worker.handle().call_soon_threadsafe(|| ())));
            worker.stop();
            let own = ThreadBuilder::new().spawn(|| async { 5 }).unwrap();
            assert_eq!(own.join().unwrap(), 5);
        });
        joined.unwrap().stop();
        let there = worker.handle().spawn(|| async { get_running_loop().unwrap().id() });
        assert_eq!(there.unwrap().join().unwrap(), worker.handle().id());
        worker.stop();
        assert!(worker.join().is_err());
    }

    /// PRC-01: what the parent's loop found out about its processors stays there.
    fn forked_with_a_loop_that_spins_and_the_child_has_its_own() {
        let spinning = || EventLoop::builder().spin(Duration::from_secs(3600)).build().unwrap();
        let hear = |event_loop: &EventLoop| {
            event_loop
                .run_until_complete(async { spawn_blocking(|| "heard").await })
                .unwrap()
                .unwrap()
        };
        let parents = spinning();
        assert_eq!(hear(&parents), "heard");
        let before = parents.metrics();
        in_fork(|| {
            assert!(is_forked(parents.run_until_complete(async {})));
            assert_eq!(parents.metrics().spun, before.spun);
            assert_eq!(hear(&spinning()), "heard");
        });
        assert_eq!(hear(&parents), "heard");
    }

    /// The pool's threads stay with the parent, idle or busy; blocking work in the child is done all the
    /// same, several at a time, and waited for; in the parent it goes on as before.
    fn forked_after_blocking_work_and_the_child_does_its_own() {
        let pooled = || run(async { loopbind::spawn_blocking(|| 1).await.unwrap() }).unwrap();
        assert_eq!(pooled(), 1);
        let (go, wait) = mpsc::channel::<()>();
        let busy = EventLoop::new().unwrap();
        let work = busy.run_in_executor(move || wait.recv().unwrap());
        in_fork(|| {
            assert_eq!(pooled(), 1);
            let both = run(async {
                let meet = std::sync::Arc::new(std::sync::Barrier::new(2));
                let there = std::sync::Arc::clone(&meet);
                let first = loopbind::spawn_blocking(move || _ = there.wait());
                let second = loopbind::spawn_blocking(move || _ = meet.wait());
                (first.await, second.await)
            });
            assert!(matches!(both, Ok((Ok(()), Ok(())))));
            let panicked = run(async {
                loopbind::spawn_blocking(|| std::panic::resume_unwind(Box::new("work"))).await
            });
            let payload = panicked.unwrap().unwrap_err().into_panic().unwrap();
            assert_eq!(support::text_of(&*payload), "work");
        });
        go.send(()).unwrap();
        busy.run_until_complete(work).unwrap().unwrap();
        assert_eq!(pooled(), 1);
    }

    /// A child forks in turn: each generation's loop is inherited by the next.
    fn forked_twice_and_each_generation_has_its_own() {
        let first = get_event_loop().unwrap();
        in_fork(|| {
            let second = get_event_loop().unwrap();
            second
                .run_until_complete(async {
                    in_fork(|| {
                        assert!(get_running_loop().is_err());
                        assert!(is_forked(first.run_forever()) && is_forked(second.run_forever()));
                        let third = get_event_loop().unwrap();
                        assert!(third != first && third != second);
                        third.run_until_complete(async {}).unwrap();
                    });
                    assert_eq!(get_running_loop().unwrap(), second);
                })
                .unwrap();
        });
        first.run_until_complete(async {}).unwrap();
    }

    /// What the child does with the inherited loop's wakers and handles does not reach the parent: it
    /// sleeps as long as it meant to, and finds nothing.
    fn the_child_wakes_and_posts_and_the_parent_sleeps_on() {
        let parents = EventLoop::new().unwrap();
        let waker = Rc::new(RefCell::new(None::<Waker>));
        let kept = Rc::clone(&waker);
        let polls = Rc::new(Cell::new(0));
        let counts = Rc::clone(&polls);
        let task = parents.create_task(std::future::poll_fn(move |cx| {
            counts.set(counts.get() + 1);
            *kept.borrow_mut() = Some(cx.waker().clone());
            Poll::<()>::Pending
        }));
        // Forked from a thread, while the loop sleeps.
        let (handle, waker_there) = (parents.handle(), {
            parents.run_until_complete(yield_now()).unwrap();
            waker.take().unwrap()
        });
        let nap = Duration::from_millis(300);
        let (turning, turns) = mpsc::channel();
        let forks = thread::spawn(move || {
            turns.recv().unwrap();
            while !main_thread_sleeps() {
                thread::yield_now();
            }
            in_fork(|| {
                for _ in 0..100 {
                    waker_there.wake_by_ref();
                    handle.stop();
                    let _ = handle.call_soon_threadsafe(|| ());
                }
            });
        });
        let (began, remote) = (Instant::now(), parents.metrics().remote_wakes);
        turning.send(()).unwrap();
        let turned = parents.turn(Some(nap)).unwrap();
        assert!(began.elapsed() >= nap, "woken early");
        forks.join().unwrap();
        assert_eq!(turned.polled, 0);
        assert_eq!(parents.turn(Some(Duration::ZERO)).unwrap().polled, 0);
        assert_eq!((polls.get(), parents.metrics().remote_wakes), (1, remote));
        assert!(!task.is_finished());
    }

    /// Whether the process's main thread waits for something, as the system has it.
    fn main_thread_sleeps() -> bool {
        let id = std::process::id();
        std::fs::read_to_string(format!("/proc/self/task/{id}/stat")).map_or(true, |all| {
            // The state comes behind the name, which is in parentheses.
            all.rsplit(')').next().unwrap().trim_start().starts_with('S')
        })
    }

    /// The child drops the inherited loop, and its own: the parent's still hears other threads, since
    /// nothing was removed from what the two processes share.
    fn the_child_drops_the_loop_and_the_parent_is_still_woken() {
        let mut parents = Some(EventLoop::new().unwrap());
        for _ in 0..3 {
            in_fork(|| {
                let own = EventLoop::new().unwrap();
                drop(parents.take());
                own.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
                drop(own);
            });
            let parents = parents.as_ref().unwrap();
            let (handle, (sender, ran)) = (parents.handle(), mpsc::channel());
            let posts = thread::spawn(move || {
                handle.call_soon_threadsafe(move || sender.send(()).unwrap()).unwrap();
                handle.stop();
            });
            // Without a timer: were the wake lost, this would not return.
            parents.run_forever().unwrap();
            ran.try_recv().unwrap();
            posts.join().unwrap();
        }
    }

    /// A hundred forks inside a running parent, whose children end in all manners, lose no post.
    fn many_children_come_and_go_while_the_parent_runs() {
        let parents = get_event_loop().unwrap();
        let (handle, (sender, got)) = (parents.handle(), mpsc::channel());
        let (next, turns) = mpsc::channel::<usize>();
        let posts = thread::spawn(move || {
            for number in turns {
                let sender = sender.clone();
                handle.call_soon_threadsafe(move || sender.send(number).unwrap()).unwrap();
                handle.stop();
            }
        });
        for number in 0..100 {
            let task = parents.create_task(async move {
                in_fork(|| match number % 4 {
                    0 => {}
                    1 => run(async {}).unwrap(),
                    2 => drop(get_event_loop().unwrap()),
                    _ => assert!(get_running_loop().is_err()),
                });
            });
            next.send(number).unwrap();
            parents.run_forever().unwrap();
            assert_eq!(got.recv().unwrap(), number);
            drop(task);
        }
        drop(next);
        posts.join().unwrap();
    }

    /// The child ends by `exit`, which calls the destructors of its thread, with the parent's loop bound
    /// and full of work: its own code counts, and nothing of the parent's is dropped in it.
    fn the_child_ends_with_an_inherited_loop_bound() {
        struct Loud;
        impl Drop for Loud {
            fn drop(&mut self) {
                // Nobody would hear of a panic here.
                exit(99);
            }
        }
        let parents = get_event_loop().unwrap();
        let loud = Loud;
        let task = parents.create_task(async move {
            let _loud = loud;
            pending::<()>().await;
        });
        parents.run_until_complete(yield_now()).unwrap();
        for looks in [false, true] {
            match fork() {
                Forked::Child => {
                    if looks {
                        get_event_loop().unwrap();
                    }
                    std::process::exit(7)
                }
                Forked::Parent(child) => reap(child, 7),
            }
        }
        // And the parent leaves it to the end of its own process, too.
        std::mem::forget((task, parents));
        exit(0);
    }

    /// A thread of the parent's that forks and ends in the child: its destructors find nothing of the
    /// child's to close.
    fn the_childs_own_thread_ends_with_an_inherited_loop_about() {
        let (parents, trace) = (EventLoop::new().unwrap(), Trace::new());
        parents
            .create_task({
                let probe = trace.probe("task");
                async move {
                    let _probe = probe;
                    pending::<()>().await;
                }
            })
            .detach();
        in_fork(|| {
            let ended = thread::spawn(|| {
                let own = EventLoop::new().unwrap();
                set_event_loop(Some(&own));
                own.handle()
            });
            assert!(ended.join().unwrap().is_closed());
            trace.assert(&[]);
        });
        drop(parents);
        trace.assert(&["task dropped"]);
    }

    /// The descriptors of inherited loops are closed, by number, when the child first looks: bound ones,
    /// open ones that nothing binds, and those that were dropped.
    fn the_child_gives_the_inherited_descriptors_back() {
        if cfg!(feature = "polling") {
            // A poller of that crate is forgotten instead, with its descriptors: see its room.
            return;
        }
        let bound = get_event_loop().unwrap();
        let (open, dropped) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        assert_eq!(descriptors(), 6);
        let mut dropped = Some(dropped);
        in_fork(|| {
            drop(dropped.take());
            assert_eq!(get_bound_loop(), None);
            assert_eq!(descriptors(), 0);
            drop((EventLoop::new().unwrap(), EventLoop::new().unwrap()));
            assert_eq!(descriptors(), 0);
            assert!(is_forked(bound.run_forever()) && is_forked(open.run_forever()));
        });
        assert_eq!(descriptors(), 6);
        for event_loop in [bound, open] {
            event_loop.run_until_complete(sleep(Duration::from_millis(1))).unwrap();
        }
    }

    /// How many descriptors of this process are of the kinds that loops are made of.
    fn descriptors() -> usize {
        let open = std::fs::read_dir("/proc/self/fd").unwrap();
        open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
            .filter(|target| {
                let target = target.to_string_lossy();
                target.contains("[eventpoll]") || target.contains("[eventfd]")
            })
            .count()
    }
}
