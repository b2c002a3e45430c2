//! Loops that cannot be made: at each call of each way to make one.

use std::io;

use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::{
    Builder, EventLoop, LoopError, Runner, get_bound_loop, get_running_loop, loop_main,
    loop_thread, new_event_loop, run, thread,
};

use crate::books::{Books, assert_is};
use crate::errno::{EAGAIN, EMFILE, ENFILE, ENOMEM};
use crate::support::{in_good_child, panic_of};

const MAKING: [Call; 3] = [Call::EpollCreate, Call::Eventfd, Call::EpollAdd];

#[track_caller]
fn errno_of(error: &LoopError) -> i32 {
    match error {
        LoopError::Io(error) => error.raw_os_error().unwrap(),
        other => panic!("{other}"),
    }
}

type Way = (&'static str, fn() -> Result<(), LoopError>);

/// Each way to make a loop, at each call it makes.
#[test]
fn refused_at_each_call_then_an_error_and_nothing_is_left() {
    in_good_child("creation::refused_at_each_call_then_an_error_and_nothing_is_left", || {
        let ways: [Way; 6] = [
            ("EventLoop::new", || EventLoop::new().map(drop)),
            ("new_event_loop", || new_event_loop().map(drop)),
            ("Builder", || Builder::default().name("named").build().map(drop)),
            ("Runner", || Runner::new().map(drop)),
            ("run", || run(async {})),
            ("ThreadBuilder", || {
                thread::ThreadBuilder::new().spawn(|| async {}).map(|thread| thread.join().unwrap())
            }),
        ];
        for (way, make) in ways {
            make().unwrap();
            let books = Books::open();
            for call in MAKING {
                for errno in [EMFILE, ENFILE, ENOMEM] {
                    let faults = FaultPlan::new().nth(call, 1, errno).install();
                    let error = make().unwrap_err();
                    assert_eq!(errno_of(&error), errno, "{way}, {call:?}");
                    assert_eq!(faults.used(), 1, "{way}, {call:?}");
                    assert!(get_bound_loop().is_none() && get_running_loop().is_err(), "{way}");
                    books.assert_closed(way);
                    // The next one is made.
                    make().unwrap();
                    books.assert_closed(way);
                }
            }
        }
    });
}

/// Two at once: whichever the second is, what the first had is given back.
#[test]
fn refused_twice_in_a_row_then_made() {
    in_good_child("creation::refused_twice_in_a_row_then_made", || {
        let books = Books::open();
        for first in MAKING {
            for second in MAKING {
                let plan = FaultPlan::new().nth(first, 1, EMFILE);
                let plan = if first == second {
                    plan.nth(second, 2, ENFILE)
                } else {
                    plan.nth(second, if is_before(second, first) { 2 } else { 1 }, ENFILE)
                };
                let faults = plan.install();
                assert_eq!(errno_of(&EventLoop::new().unwrap_err()), EMFILE);
                assert_eq!(errno_of(&EventLoop::new().unwrap_err()), ENFILE);
                EventLoop::new().unwrap();
                assert_eq!(faults.used(), 2);
                books.assert_closed("twice");
            }
        }
    });
}

fn is_before(one: Call, other: Call) -> bool {
    (one as usize) < other as usize
}

/// The attributes say so by a panic with the error's text; what was bound is bound.
#[test]
fn refused_then_the_attributes_panic_with_the_text() {
    in_good_child("creation::refused_then_the_attributes_panic_with_the_text", || {
        #[loop_thread]
        async fn worker() -> u32 {
            7
        }
        #[loop_thread(spawn)]
        async fn spawned() -> u32 {
            8
        }
        #[loop_main]
        async fn program() -> u32 {
            9
        }
        let former = EventLoop::new().unwrap();
        let bound = former.bind();
        let books = Books::open();
        for call in MAKING {
            let faults = FaultPlan::new().span(call, 1, 3, EMFILE).install();
            let text = io::Error::from_raw_os_error(EMFILE).to_string();
            assert_eq!(panic_of(worker), text);
            assert_eq!(panic_of(spawned), text);
            assert_eq!(panic_of(program), text);
            assert_eq!(faults.used(), 3);
            assert_eq!(get_bound_loop().unwrap().id(), former.id());
            books.assert_closed("attributes");
            assert_eq!((worker(), spawned().join().unwrap(), program()), (7, 8, 9));
        }
        drop(bound);
    });
}

/// Of a loop on each core the third cannot be had: the others are stopped and joined, and the error is told.
#[test]
fn refused_in_the_middle_of_a_group_then_none_of_it_is_left() {
    in_good_child("creation::refused_in_the_middle_of_a_group_then_none_of_it_is_left", || {
        let cores = thread::per_core(|_| async {}).unwrap().join().len() as u64;
        let books = Books::open();
        let calls = MAKING.iter().chain(&[Call::Thread, Call::Affinity]);
        for &call in calls {
            for n in 1..=cores {
                let errno = if call == Call::Thread { EAGAIN } else { ENOMEM };
                let faults = FaultPlan::new().nth(call, n, errno).install();
                let group = thread::per_core(|_| async { std::future::pending::<()>().await });
                match group.unwrap_err() {
                    LoopError::Io(error) => assert_is(&error, errno),
                    other => panic!("{other}"),
                }
                assert_eq!(faults.used(), 1, "{call:?} {n}");
                books.assert_closed("group");
            }
        }
    });
}

/// A body that was given to a thread that could not be had is dropped, here, once.
#[test]
fn no_thread_then_the_body_is_dropped() {
    in_good_child("creation::no_thread_then_the_body_is_dropped", || {
        let books = Books::open();
        let body = std::sync::Arc::new(());
        let kept = std::sync::Arc::clone(&body);
        let _faults = FaultPlan::new().nth(Call::Thread, 1, EAGAIN).install();
        let spawned = thread::ThreadBuilder::new().name("unlucky").spawn(move || async move {
            drop(body);
        });
        assert_eq!(errno_of(&spawned.unwrap_err()), EAGAIN);
        assert_eq!(std::sync::Arc::strong_count(&kept), 1);
        books.assert_closed("thread");
        let thread = thread::ThreadBuilder::new().spawn(|| async { 5 }).unwrap();
        assert_eq!(thread.join().unwrap(), 5);
    });
}

/// A plan is its thread's: others, and other tests, are left alone; and it ends with its guard.
#[test]
fn a_plan_is_its_threads_and_ends_with_its_guard() {
    let faults = FaultPlan::new().always(Call::EpollCreate, EMFILE).install();
    assert!(EventLoop::new().is_err());
    std::thread::spawn(|| drop(EventLoop::new().unwrap())).join().unwrap();
    {
        let inner = FaultPlan::new().install();
        drop(EventLoop::new().unwrap());
        assert_eq!((inner.count(Call::EpollCreate), inner.used()), (1, 0));
    }
    assert!(EventLoop::new().is_err());
    assert_eq!((faults.count(Call::EpollCreate), faults.used()), (2, 2));
    drop(faults);
    drop(EventLoop::new().unwrap());
}
