//! Signals: heard by everybody who listens, and given back afterwards.
//!
//! A signal is the process's: each case has one of its own.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::ffi::{c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::{StreamExt, poll};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalError, SignalKind, ctrl_c, signal};
use loopbind::{EventLoop, run, spawn, yield_now};

use support::{Trace, in_child, in_good_child, panic_of, take_descriptors_but, turn};

mod support;

const USR1: SignalKind = SignalKind::user_defined1();
const USR2: SignalKind = SignalKind::user_defined2();

/// Sends this process a signal; this thread gets it, before the call returns.
fn raise(kind: SignalKind) {
    // SAFETY: no preconditions.
    assert_eq!(unsafe { libc::raise(kind.as_raw()) }, 0);
}

/// Sends this process a signal, which any of its threads may get.
fn send(kind: SignalKind) {
    // SAFETY: no preconditions.
    assert_eq!(unsafe { libc::kill(libc::getpid(), kind.as_raw()) }, 0);
}

/// What the system does with a signal.
fn disposition(kind: SignalKind) -> usize {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only, and there is room for the answer.
    unsafe {
        assert_eq!(libc::sigaction(kind.as_raw(), std::ptr::null(), action.as_mut_ptr()), 0);
        action.assume_init().sa_sigaction
    }
}

fn install(kind: SignalKind, handler: usize) {
    // SAFETY: the handlers here count only.
    unsafe { libc::signal(kind.as_raw(), handler) };
}

static FOREIGN: AtomicUsize = AtomicUsize::new(0);

/// A handler of somebody else's.
extern "C" fn foreign(_signal: c_int) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
}

fn foreign_handler() -> usize {
    foreign as extern "C" fn(c_int) as usize
}

/// SIG-01: an ordinary callback, which may use the loop; behind what was ready before.
#[test]
fn raised_then_called_by_the_loop() {
    in_good_child("raised_then_called_by_the_loop", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (inner, noting) = (event_loop.clone(), trace.clone());
        let on_signal = move || {
            noting.note("signal");
            inner.call_soon(noting.noting("scheduled by it"));
            let stop = inner.clone();
            inner.create_task(async move { stop.stop() }).detach();
        };
        event_loop.add_signal_handler(USR1, on_signal).unwrap();
        event_loop.call_soon(trace.noting("ready"));
        raise(USR1);
        trace.assert(&[]);
        event_loop.run_forever().unwrap();
        trace.assert(&["ready", "signal", "scheduled by it"]);
    });
}

/// SIG-08: before the run, at the next; several at once are at least one.
#[test]
fn five_before_the_run_then_called_in_it() {
    in_good_child("five_before_the_run_then_called_in_it", || {
        let (event_loop, calls) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&calls);
        event_loop.add_signal_handler(USR1, move || counted.set(counted.get() + 1)).unwrap();
        for _ in 0..5 {
            raise(USR1);
        }
        turn(&event_loop);
        assert_eq!(calls.get(), 1);
        turn(&event_loop);
        assert_eq!(calls.get(), 1, "taken");
        raise(USR1);
        turn(&event_loop);
        assert_eq!(calls.get(), 2);
    });
}

/// SIG-09: a loop that sleeps is woken, whichever thread the signal interrupts.
#[test]
fn a_sleeping_loop_is_woken_each_time() {
    in_good_child("a_sleeping_loop_is_woken_each_time", || {
        let event_loop = EventLoop::new().unwrap();
        let stop = event_loop.clone();
        event_loop.add_signal_handler(USR1, move || stop.stop()).unwrap();
        let (again, rounds) = mpsc::channel();
        let sender = thread::spawn(move || rounds.iter().for_each(|()| send(USR1)));
        for _ in 0..300 {
            again.send(()).unwrap();
            event_loop.run_forever().unwrap();
        }
        drop(again);
        sender.join().unwrap();
    });
}

/// SIG-02, SIG-03: no loop takes another's.
#[test]
fn two_loops_on_two_threads_both_hear() {
    in_good_child("two_loops_on_two_threads_both_hear", || {
        let (ready, listening) = mpsc::channel();
        let loops = ["one", "two"].map(|name| {
            let ready = ready.clone();
            thread::spawn(move || {
                let event_loop = EventLoop::builder().name(name).build().unwrap();
                let stop = event_loop.clone();
                event_loop.add_signal_handler(USR1, move || stop.stop()).unwrap();
                for _ in 0..100 {
                    ready.send(()).unwrap();
                    event_loop.run_forever().unwrap();
                }
            })
        });
        for _ in 0..100 {
            // Each listens, and has heard the one before.
            listening.recv().unwrap();
            listening.recv().unwrap();
            send(USR1);
        }
        loops.into_iter().for_each(|of| of.join().unwrap());
    });
}

/// None lost: each kind at least once, however many of whatever kind come while the loop is blocked.
#[test]
fn a_hundred_thousand_while_blocked_then_each_kind_heard() {
    in_good_child("a_hundred_thousand_while_blocked_then_each_kind_heard", || {
        let event_loop = EventLoop::new().unwrap();
        let heard = Rc::new(RefCell::new(HashSet::new()));
        let kinds = [
            USR1,
            USR2,
            SignalKind::hangup(),
            SignalKind::terminate(),
            SignalKind::window_change(),
            SignalKind::quit(),
        ];
        for kind in kinds {
            // Some may still be on their way to another thread when nobody listens any more.
            install(kind, libc::SIG_IGN);
            let heard = Rc::clone(&heard);
            let note = move || assert!(heard.borrow_mut().insert(kind), "{kind:?} twice");
            event_loop.add_signal_handler(kind, note).unwrap();
        }
        event_loop.call_soon(move || {
            let storm = thread::spawn(|| (0..50_000).for_each(|_| send(USR1)));
            for at in 0..50_000 {
                send(USR1);
                if at % 10_000 == 5_000 {
                    send(kinds[1 + at / 10_000]);
                }
            }
            storm.join().unwrap();
        });
        for _ in 0..3 {
            turn(&event_loop);
        }
        assert_eq!(*heard.borrow(), HashSet::from(kinds));
    });
}

/// Handlers of others go on being called, and are there alone afterwards.
#[test]
fn a_foreign_handler_is_called_before_during_and_after() {
    in_good_child("a_foreign_handler_is_called_before_during_and_after", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        install(USR1, foreign_handler());
        let noting = trace.clone();
        event_loop.add_signal_handler(USR1, move || noting.note("ours")).unwrap();
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["ours"]);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 1);
        assert!(event_loop.remove_signal_handler(USR1));
        assert_eq!(disposition(USR1), foreign_handler());
        raise(USR1);
        turn(&event_loop);
        trace.assert(&[]);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 2);
    });
}

static SENDER: AtomicUsize = AtomicUsize::new(0);

/// A handler that wants to know more.
extern "C" fn inquisitive(signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: installed with SA_SIGINFO, so that there is a record, of a signal that was sent.
    let (of, sender) = unsafe { ((*info).si_signo, (*info).si_pid()) };
    assert_eq!(of, signal);
    SENDER.store(sender as usize, Ordering::SeqCst);
}

/// One that is given a record of the signal gets it as the system made it.
#[test]
fn a_foreign_handler_hears_who_sent_it() {
    in_good_child("a_foreign_handler_hears_who_sent_it", || {
        let function: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = inquisitive;
        // SAFETY: zeros are a record, with an empty mask; the handler stores a number.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = function as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(USR1.as_raw(), &raw const action, std::ptr::null_mut()), 0);
        }
        let listener = signal(USR1).unwrap();
        raise(USR1);
        assert_eq!(SENDER.load(Ordering::SeqCst), std::process::id() as usize);
        drop(listener);
        assert_eq!(disposition(USR1), function as usize);
    });
}

/// What was there before is put back as it was, also where that was the same handler put in another way, and
/// signal by signal where it was called.
#[test]
fn a_foreign_handler_put_in_another_way_is_put_back_that_way() {
    in_good_child("a_foreign_handler_put_in_another_way_is_put_back_that_way", || {
        // SAFETY: zeros are a record, with an empty mask; there is room for the answers, and the handler counts.
        let install = |flags: c_int, blocks: bool| unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = foreign_handler();
            action.sa_flags = flags;
            if blocks {
                libc::sigaddset(&raw mut action.sa_mask, USR2.as_raw());
            }
            assert_eq!(libc::sigaction(USR1.as_raw(), &raw const action, std::ptr::null_mut()), 0);
        };
        // SAFETY: as above.
        let installed = || unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(USR1.as_raw(), std::ptr::null(), &raw mut action), 0);
            let blocks = libc::sigismember(&raw const action.sa_mask, USR2.as_raw()) == 1;
            (action.sa_sigaction, action.sa_flags & libc::SA_NODEFER, blocks)
        };
        drop(signal(USR1).unwrap());
        assert_eq!(disposition(USR1), libc::SIG_DFL);
        let ways = [(0, false), (libc::SA_NODEFER, false), (libc::SA_NODEFER, true), (0, true)];
        for (calls, (flags, blocks)) in ways.into_iter().enumerate() {
            install(flags, blocks);
            let listener = signal(USR1).unwrap();
            raise(USR1);
            assert_eq!(FOREIGN.load(Ordering::SeqCst), calls + 1);
            drop(listener);
            assert_eq!(installed(), (foreign_handler(), flags, blocks));
        }
    });
}

static BELOW: AtomicUsize = AtomicUsize::new(0);

/// A handler that was installed over another, and calls it.
extern "C" fn chaining(signal: c_int) {
    FOREIGN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: what the system would have called.
    let below: extern "C" fn(c_int, usize, usize) =
        unsafe { std::mem::transmute(BELOW.load(Ordering::SeqCst)) };
    below(signal, 0, 0);
}

/// One that was installed over ours stays, hears, and has us called: also after we went and came.
#[test]
fn a_handler_over_ours_stays_where_it_is() {
    in_good_child("a_handler_over_ours_stays_where_it_is", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let listen = |name: &'static str| {
            let noting = trace.clone();
            event_loop.add_signal_handler(USR1, move || noting.note(name)).unwrap();
        };
        listen("first");
        BELOW.store(disposition(USR1), Ordering::SeqCst);
        install(USR1, chaining as extern "C" fn(c_int) as usize);
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["first"]);
        assert!(event_loop.remove_signal_handler(USR1));
        assert_eq!(disposition(USR1), chaining as extern "C" fn(c_int) as usize);
        raise(USR1);
        turn(&event_loop);
        trace.assert(&[]);
        listen("second");
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["second"]);
        assert_eq!(FOREIGN.load(Ordering::SeqCst), 3);
        // It went, and did not put ours back: we are not called any more, and come again on top.
        install(USR1, libc::SIG_DFL);
        event_loop.remove_signal_handler(USR1);
        listen("third");
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["third"]);
    });
}

/// SIG-05: the default is back, and ends the process.
#[test]
fn added_then_removed_then_raised_ends_the_process() {
    let test = "added_then_removed_then_raised_ends_the_process";
    let output = in_child(test, || {
        let event_loop = EventLoop::new().unwrap();
        assert!(!event_loop.remove_signal_handler(SignalKind::terminate()));
        event_loop.add_signal_handler(SignalKind::terminate(), || {}).unwrap();
        raise(SignalKind::terminate());
        println!("survived");
        assert!(event_loop.remove_signal_handler(SignalKind::terminate()));
        assert!(!event_loop.remove_signal_handler(SignalKind::terminate()));
        raise(SignalKind::terminate());
        println!("not reached");
    });
    if let Some(output) = output {
        assert_eq!(output.status.signal(), Some(libc::SIGTERM), "{}", support::said(&output));
        assert!(String::from_utf8_lossy(&output.stdout).ends_with("survived\n"));
    }
}

/// SIG-05: with the last of several.
#[test]
fn the_last_listener_gives_the_signal_back() {
    in_good_child("the_last_listener_gives_the_signal_back", || {
        install(USR1, libc::SIG_IGN);
        let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        one.add_signal_handler(USR1, || {}).unwrap();
        let third = signal(USR1).unwrap();
        two.add_signal_handler(USR1, || {}).unwrap();
        let ours = disposition(USR1);
        assert!(one.remove_signal_handler(USR1));
        // SIG-06: closing removes.
        two.close().unwrap();
        assert_eq!(disposition(USR1), ours);
        drop(third);
        assert_eq!(disposition(USR1), libc::SIG_IGN);
        raise(USR1);
    });
}

/// SIG-06, and what a callback captured goes with it, at home.
#[test]
fn closed_then_the_callback_dropped() {
    in_good_child("closed_then_the_callback_dropped", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let probe = trace.probe("callback");
        event_loop.add_signal_handler(USR1, move || probe_is_alive(&probe)).unwrap();
        raise(USR1);
        event_loop.close().unwrap();
        trace.assert(&["callback dropped"]);
        assert_eq!(disposition(USR1), libc::SIG_DFL);
        let refused = event_loop.add_signal_handler(USR1, || {}).unwrap_err();
        assert_eq!(refused.to_string(), "Event loop is closed");
        assert!(!event_loop.remove_signal_handler(USR1));
        assert_eq!(disposition(USR1), libc::SIG_DFL);
    });
}

/// SIG-04.
#[test]
fn what_cannot_be_caught_is_refused_by_name() {
    let event_loop = EventLoop::new().unwrap();
    let text = |number| {
        let kind = SignalKind::from_raw(number);
        let error = event_loop.add_signal_handler(kind, || {}).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.get_ref().unwrap().is::<SignalError>());
        assert_eq!(signal(kind).unwrap_err().to_string(), error.to_string());
        error.to_string()
    };
    for number in [0, -1, 32, 65, 1000, i32::MAX, i32::MIN] {
        assert_eq!(text(number), format!("invalid signal number {number}"));
    }
    for number in [libc::SIGKILL, libc::SIGSTOP] {
        assert_eq!(text(number), format!("sig {number} cannot be caught"));
    }
    for number in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL] {
        assert_eq!(
            text(number),
            format!(
                "sig {number} says that the program itself is at fault: it cannot be waited for"
            )
        );
    }
}

/// Real-time signals too.
#[test]
fn the_highest_signal_is_heard() {
    in_good_child("the_highest_signal_is_heard", || {
        let kind = SignalKind::from_raw(64);
        run(async {
            let mut listener = signal(kind).unwrap();
            raise(kind);
            assert_eq!(listener.recv().await, Some(()));
        })
        .unwrap();
    });
}

/// One callback for a kind and loop: a new one replaces, also the one that runs.
#[test]
fn replaced_by_another_and_removed_by_itself() {
    in_good_child("replaced_by_another_and_removed_by_itself", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (inner, noting, probe) = (event_loop.clone(), trace.clone(), trace.probe("first"));
        let first = move || {
            probe_is_alive(&probe);
            noting.note("first");
            let (innermost, noting) = (inner.clone(), noting.clone());
            let second = move || {
                noting.note("second");
                assert!(innermost.remove_signal_handler(USR1));
                noting.note("removed");
                // Its own listener is gone, the process's default is back.
                assert_eq!(disposition(USR1), libc::SIG_DFL);
            };
            inner.add_signal_handler(USR1, second).unwrap();
        };
        event_loop.add_signal_handler(USR1, first).unwrap();
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["first", "first dropped"]);
        raise(USR1);
        turn(&event_loop);
        trace.assert(&["second", "removed"]);
        assert!(!event_loop.remove_signal_handler(USR1));
    });
}

fn probe_is_alive(_: &support::Probe) {}

/// Seen and queued, then removed by what runs before it: not called.
#[test]
fn removed_between_the_look_and_its_turn() {
    in_good_child("removed_between_the_look_and_its_turn", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        let (inner, noting) = (event_loop.clone(), trace.clone());
        let remover = move || {
            noting.note("remover");
            assert!(inner.remove_signal_handler(USR2));
        };
        event_loop.add_signal_handler(USR1, remover).unwrap();
        let noting = trace.clone();
        event_loop.add_signal_handler(USR2, move || noting.note("never")).unwrap();
        raise(USR2);
        raise(USR1);
        turn(&event_loop);
        turn(&event_loop);
        trace.assert(&["remover"]);
    });
}

/// A panic goes to the exception handler, and the callback stays.
#[test]
fn a_callback_that_panics_is_called_again() {
    in_good_child("a_callback_that_panics_is_called_again", || {
        let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
        support::note_reports(&event_loop, &trace);
        event_loop.add_signal_handler(USR1, || panic!("no")).unwrap();
        for _ in 0..2 {
            raise(USR1);
            turn(&event_loop);
            let reports = trace.take();
            assert!(reports.len() == 1 && reports[0].ends_with(": no"), "{reports:?}");
        }
    });
}

/// Several `Signal`s of one kind each hear; what came while nobody waited is one; a dropped wait
/// loses nothing.
#[test]
fn heard_by_each_and_kept_for_the_next_wait() {
    in_good_child("heard_by_each_and_kept_for_the_next_wait", || {
        run(async {
            let (mut one, mut two) = (signal(USR1).unwrap(), signal(USR1).unwrap());
            assert_eq!(poll!(one.next()), Poll::Pending);
            raise(USR1);
            raise(USR1);
            assert_eq!(poll!(Box::pin(one.recv())), Poll::Ready(Some(())));
            assert_eq!(poll!(Box::pin(one.recv())), Poll::Pending, "dropped while it waits");
            raise(USR1);
            let mut late = signal(USR1).unwrap();
            assert_eq!(one.recv().await, Some(()));
            assert_eq!(two.next().await, Some(()));
            assert_eq!(poll!(two.next()), Poll::Pending);
            assert_eq!(poll!(late.next()), Poll::Pending, "made after it");
            assert_eq!(late.kind(), USR1);
        })
        .unwrap();
    });
}

/// A task that waits is woken by a signal that comes while it waits, in one iteration.
#[test]
fn waiting_then_raised_then_woken() {
    in_good_child("waiting_then_raised_then_woken", || {
        let trace = Trace::new();
        let noting = trace.clone();
        run(async move {
            let inside = noting.clone();
            let waiter = spawn(async move {
                let mut listener = signal(USR1).unwrap();
                inside.note("waits");
                listener.recv().await;
                inside.note("woken");
            });
            yield_now().await;
            raise(USR1);
            noting.note("raised");
            waiter.await.unwrap();
        })
        .unwrap();
        trace.assert(&["waits", "raised", "woken"]);
    });
}

/// Made outside of any loop, then on one loop, then on another of the thread; and never lost when
/// the loop it waited on closes.
#[test]
fn it_moves_with_whoever_polls_it() {
    in_good_child("it_moves_with_whoever_polls_it", || {
        let mut listener = signal(USR1).unwrap();
        raise(USR1);
        let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
        one.run_until_complete(async {
            assert_eq!(listener.recv().await, Some(()));
            assert_eq!(poll!(Box::pin(listener.recv())), Poll::Pending);
        })
        .unwrap();
        two.run_until_complete(async {
            assert_eq!(poll!(Box::pin(listener.recv())), Poll::Pending);
            two.call_soon(|| raise(USR1));
            listener.recv().await
        })
        .unwrap();
        two.close().unwrap();
        one.run_until_complete(async {
            one.call_soon(|| raise(USR1));
            listener.recv().await
        })
        .unwrap();
        // What came is given out anywhere; waiting needs a loop.
        raise(USR1);
        assert_eq!(futures::executor::block_on(listener.recv()), Some(()));
        let text = panic_of(|| futures::executor::block_on(listener.recv()));
        assert_eq!(text, "no running event loop");
    });
}

/// Ctrl-C, once, is not the end.
#[test]
fn ctrl_c_is_awaited() {
    in_good_child("ctrl_c_is_awaited", || {
        // Ignored, where the tests were started in the background of a script.
        let before = disposition(SignalKind::interrupt());
        run(async {
            let waiting = spawn(ctrl_c());
            yield_now().await;
            send(SignalKind::interrupt());
            waiting.await.unwrap().unwrap();
        })
        .unwrap();
        assert_eq!(disposition(SignalKind::interrupt()), before);
    });
}

/// SIG-10: a child does not ring its parent's loops, is ended by what would end it, and hears with
/// a loop of its own.
#[test]
fn forked_then_raised_in_the_child_the_parent_does_not_hear() {
    in_good_child("forked_then_raised_in_the_child_the_parent_does_not_hear", || {
        let (event_loop, calls) = (EventLoop::new().unwrap(), Rc::new(Cell::new(0)));
        let counted = Rc::clone(&calls);
        event_loop.add_signal_handler(USR1, move || counted.set(counted.get() + 1)).unwrap();
        let deaf = forked(|| raise(USR1));
        assert!(libc::WIFSIGNALED(deaf) && libc::WTERMSIG(deaf) == libc::SIGUSR1, "{deaf:x}");
        let hearing = forked(|| {
            let own = EventLoop::new().unwrap();
            let stop = own.clone();
            own.add_signal_handler(USR1, move || stop.stop()).unwrap();
            raise(USR1);
            own.run_forever().unwrap();
            own.close().unwrap();
        });
        assert!(libc::WIFEXITED(hearing) && libc::WEXITSTATUS(hearing) == 0, "{hearing:x}");
        turn(&event_loop);
        assert_eq!(calls.get(), 0);
        raise(USR1);
        turn(&event_loop);
        assert_eq!(calls.get(), 1);
    });
}

/// Runs `body` in a forked child, which then exits; gives how it ended.
fn forked(body: impl FnOnce()) -> c_int {
    // SAFETY: the child uses what it made itself and atomics, and leaves by `_exit`.
    unsafe {
        match libc::fork() {
            0 => {
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
                libc::_exit(i32::from(ended.is_err()))
            }
            child => {
                let mut status = 0;
                assert_eq!(libc::waitpid(child, &raw mut status, 0), child);
                status
            }
        }
    }
}

/// Listeners come and go, loops are made and closed, on two threads, in a storm of signals on a third:
/// nobody stumbles, nothing is left.
#[test]
fn listeners_come_and_go_in_a_storm() {
    in_good_child("listeners_come_and_go_in_a_storm", || {
        let kind = SignalKind::window_change();
        drop(signal(kind).unwrap());
        let before = descriptors();
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let storm = thread::spawn({
            let over = std::sync::Arc::clone(&over);
            move || {
                while !over.load(Ordering::SeqCst) {
                    send(kind);
                }
            }
        });
        let changers = [0, 1].map(|_| {
            thread::spawn(move || {
                for _ in 0..500 {
                    let event_loop = EventLoop::new().unwrap();
                    event_loop.add_signal_handler(kind, || {}).unwrap();
                    let listener = signal(kind).unwrap();
                    turn(&event_loop);
                    drop(listener);
                    event_loop.remove_signal_handler(kind);
                    event_loop.add_signal_handler(kind, || {}).unwrap();
                    event_loop.close().unwrap();
                }
            })
        });
        changers.into_iter().for_each(|changer| changer.join().unwrap());
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        assert_eq!(disposition(kind), libc::SIG_DFL);
        assert_eq!(descriptors(), before);
    });
}

/// Calls are interrupted everywhere, and nothing comes of it: children, pipes, timers and other threads'
/// posts do what they do.
#[test]
fn a_storm_disturbs_nothing() {
    in_good_child("a_storm_disturbs_nothing", || {
        install(USR1, libc::SIG_IGN);
        let event_loop = EventLoop::new().unwrap();
        let heard = Rc::new(Cell::new(0_u32));
        let counted = Rc::clone(&heard);
        event_loop.add_signal_handler(USR1, move || counted.set(counted.get() + 1)).unwrap();
        let over = std::sync::Arc::new(AtomicBool::new(false));
        let storm = thread::spawn({
            let over = std::sync::Arc::clone(&over);
            move || {
                while !over.load(Ordering::SeqCst) {
                    send(USR1);
                    thread::yield_now();
                }
            }
        });
        event_loop
            .run_until_complete(async {
                for _ in 0..5 {
                    let mut script = Command::new("sh");
                    script.args(["-c", "head -c 1000000 /dev/zero; cat"]);
                    let child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
                    let output = child.unwrap().communicate(vec![0; 1_000_000]).await.unwrap();
                    assert!(output.status.success());
                    assert_eq!(output.stdout.len(), 2_000_000);
                    loopbind::sleep(Duration::from_millis(1)).await;
                    assert_eq!(loopbind::spawn_blocking(|| 5).await.unwrap(), 5);
                }
            })
            .unwrap();
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        assert!(heard.get() > 0);
    });
}

/// Forks in a storm of signals, each child with a loop of its own that hears them, too: whoever is interrupted
/// in the middle of a fork, or on a thread without a loop, goes on.
#[test]
fn forked_in_a_storm_and_both_hear() {
    in_good_child("forked_in_a_storm_and_both_hear", || {
        install(USR1, libc::SIG_IGN);
        let event_loop = EventLoop::new().unwrap();
        let heard = Rc::new(Cell::new(0_u32));
        let counted = Rc::clone(&heard);
        event_loop.add_signal_handler(USR1, move || counted.set(counted.get() + 1)).unwrap();
        let over = std::sync::Arc::new(AtomicBool::new(false));
        // It interrupts itself, and the process, which means any of its threads.
        let storm = thread::spawn({
            let over = std::sync::Arc::clone(&over);
            move || {
                while !over.load(Ordering::SeqCst) {
                    raise(USR1);
                    send(USR1);
                }
            }
        });
        for _ in 0..50 {
            let ended = forked(|| {
                let own = EventLoop::new().unwrap();
                let stop = own.clone();
                own.add_signal_handler(USR1, move || stop.stop()).unwrap();
                raise(USR1);
                own.run_forever().unwrap();
                own.close().unwrap();
            });
            assert!(libc::WIFEXITED(ended) && libc::WEXITSTATUS(ended) == 0, "{ended:x}");
            turn(&event_loop);
        }
        over.store(true, Ordering::SeqCst);
        storm.join().unwrap();
        turn(&event_loop);
        assert!(heard.get() > 0);
    });
}

extern "C" fn careless(_signal: c_int) {
    // SAFETY: this thread's.
    unsafe { *libc::__errno_location() = libc::ENOTTY };
}

/// Whoever is interrupted between a call that failed and the look at its error finds that error.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_between_a_call_and_its_error_leaves_the_error() {
    in_good_child("a_signal_between_a_call_and_its_error_leaves_the_error", || {
        install(USR1, careless as extern "C" fn(c_int) as usize);
        let _listening = signal(USR1).unwrap();
        // SAFETY: not a descriptor; and no preconditions.
        unsafe {
            assert_eq!(libc::close(-1), -1);
            libc::raise(libc::SIGUSR1);
        }
        assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::EBADF));
    });
}

/// No descriptor left for the first listener: the system's error, and the signal is as it was.
#[test]
fn without_a_descriptor_listening_is_refused() {
    in_good_child("without_a_descriptor_listening_is_refused", || {
        let event_loop = EventLoop::new().unwrap();
        let taken = take_descriptors_but(0);
        let refused = signal(USR1).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        assert!(event_loop.add_signal_handler(USR1, || {}).is_err());
        drop(taken);
        assert_eq!(disposition(USR1), libc::SIG_DFL);
        event_loop.add_signal_handler(USR1, || {}).unwrap();
    });
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
