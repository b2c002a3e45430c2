//! Signals that cannot be listened for.

use std::cell::Cell;
use std::rc::Rc;

use loopbind::__private::faults::{Call, FaultPlan};
use loopbind::signal::{SignalKind, signal};
use loopbind::{EventLoop, LoopError, run};

use crate::books::{Books, assert_is};
use crate::errno::{EIO, EMFILE, ENFILE, ENOMEM, ENOSPC, EPERM};
use crate::support::in_good_child;

const KIND: libc::c_int = libc::SIGUSR1;

fn kind() -> SignalKind {
    SignalKind::user_defined1()
}

fn raise() {
    // SAFETY: no preconditions.
    unsafe { libc::raise(KIND) };
}

fn disposition() -> libc::sighandler_t {
    // SAFETY: a record of the system's, filled by the system; null asks for no change.
    unsafe {
        let mut now: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(KIND, std::ptr::null(), &mut now), 0);
        now.sa_sigaction
    }
}

/// Refused at each call that listening makes: an error, the signal does what it did before, and the next
/// try works.
#[test]
fn refused_at_each_call_then_the_signal_is_as_it_was() {
    in_good_child("signals::refused_at_each_call_then_the_signal_is_as_it_was", || {
        let listen = || signal(kind()).map(drop);
        let before = disposition();
        let event_loop = EventLoop::new().unwrap();
        // In this order: the process's descriptor is made once, and kept.
        for errno in [EMFILE, ENFILE, ENOMEM] {
            let faults = FaultPlan::new().nth(Call::Eventfd, 1, errno).install();
            assert_is(&listen().unwrap_err(), errno);
            assert_eq!(faults.used(), 1);
            assert_eq!(disposition(), before);
        }
        listen().unwrap();
        let books = Books::open();
        for n in 1..=2 {
            let faults = FaultPlan::new().nth(Call::SignalAction, n, EPERM).install();
            assert_is(&listen().unwrap_err(), EPERM);
            assert_eq!(faults.used(), 1);
            assert_eq!(disposition(), before);
            listen().unwrap();
            assert_eq!(disposition(), before);
        }
        let faults = FaultPlan::new().nth(Call::EpollAdd, 1, ENOSPC).install();
        assert_is(&event_loop.add_signal_handler(kind(), || {}).unwrap_err(), ENOSPC);
        assert_eq!((faults.used(), disposition()), (1, before));
        books.assert_closed("signals");
        let heard = Rc::new(Cell::new(0));
        let (count, stop) = (Rc::clone(&heard), event_loop.clone());
        let listen = move || {
            count.set(count.get() + 1);
            stop.stop();
        };
        event_loop.add_signal_handler(kind(), listen).unwrap();
        raise();
        event_loop.run_forever().unwrap();
        assert_eq!(heard.get(), 1);
        assert!(event_loop.remove_signal_handler(kind()));
        assert_eq!(disposition(), before);
    });
}

/// Not to be given back: our handler stays, with nobody listening, and does by hand what the signal did
/// before: it ends the process.
#[test]
fn not_given_back_then_it_ends_the_process_all_the_same() {
    use std::os::unix::process::ExitStatusExt;
    let test = "signals::not_given_back_then_it_ends_the_process_all_the_same";
    if let Some(output) = crate::support::in_child(test, || {
        let listening = signal(kind()).unwrap();
        let faults = FaultPlan::new().always(Call::SignalAction, EPERM).install();
        drop(listening);
        assert!(faults.used() > 0);
        drop(faults);
        raise();
        unreachable!("it ended the process");
    }) {
        assert_eq!(output.status.signal(), Some(KIND), "{}", crate::support::said(&output));
    }
}

/// The handler's write fails, and is repeated: the loop is woken.
#[test]
fn the_handlers_write_fails_and_the_loop_wakes() {
    in_good_child("signals::the_handlers_write_fails_and_the_loop_wakes", || {
        let faults = FaultPlan::new().span(Call::SignalWrite, 1, 3, EIO).install();
        let heard = run(async {
            let mut heard = signal(kind()).unwrap();
            let waiting = loopbind::spawn(async move { heard.recv().await });
            loopbind::yield_now().await;
            raise();
            waiting.await.unwrap()
        });
        assert_eq!((heard.unwrap(), faults.used()), (Some(()), 3));
    });
}

/// A loop that cannot watch for signals says so in the call, and ends the wait of one that moves to it.
#[test]
fn on_a_loop_that_cannot_watch_the_wait_ends() {
    in_good_child("signals::on_a_loop_that_cannot_watch_the_wait_ends", || {
        let mut heard = signal(kind()).unwrap();
        let outcome = run(async {
            let _faults = FaultPlan::new().nth(Call::EpollAdd, 1, ENOMEM).install();
            let first = heard.recv().await;
            assert_eq!(first, None);
            raise();
            heard.recv().await
        });
        assert!(matches!(outcome, Ok(Some(())) | Err(LoopError::Closed)));
    });
}
