//! Calls from inside of what the world outside calls: watches, signals, servers, wakes, and their destructors.

#![cfg(unix)]

#[path = "support/scripted.rs"]
mod scripted;
mod support;

use std::cell::RefCell;
use std::future::pending;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use loopbind::net::{TcpStream, start_server};
use loopbind::signal::SignalKind;
use loopbind::{
    Async, EventLoop, LoopError, Watch, get_event_loop, get_running_loop, run, set_event_loop,
    sleep, spawn, yield_now,
};
use scripted::{Moment, scripted};
use support::{Trace, on_drop};

/// Tries everything that a loop refuses to who is inside of it, and what it takes from anybody.
fn tries(trace: &Trace, own: &EventLoop, other: &EventLoop, place: &'static str) {
    let running = get_running_loop().unwrap();
    assert!(running == *own && get_event_loop().unwrap() == running, "{place}");
    assert!(matches!(running.close(), Err(LoopError::CloseWhileRunning)), "{place}");
    assert!(matches!(running.run_forever(), Err(LoopError::AlreadyRunning)), "{place}");
    assert!(matches!(running.turn(None), Err(LoopError::AlreadyRunning)), "{place}");
    let refused = [
        other.run_until_complete(async {}).unwrap_err(),
        other.turn(Some(Duration::ZERO)).map(|_| ()).unwrap_err(),
        run(async {}).unwrap_err(),
    ];
    let refused = refused.iter().all(|error| matches!(error, LoopError::AnotherLoopRunning { .. }));
    assert!(refused && !other.is_running() && !other.is_closed(), "{place}");
    assert_eq!(set_event_loop(Some(other)), None, "{place}");
    assert!(get_event_loop().unwrap() == *own, "{place}");
    assert_eq!(set_event_loop(None).as_ref(), Some(other), "{place}");
    running.call_soon(|| ()).cancel();
    running.call_later(Duration::ZERO, || ()).cancel();
    spawn(async {}).cancel();
    let shown = format!("{running:?} {:?} {:?}", running.all_tasks(), running.metrics());
    assert!(shown.contains("running: true"), "{place}");
    trace.note(place);
}

/// Polls something; true: it waits.
type Polls<'a> = &'a mut dyn FnMut(&mut Context<'_>) -> bool;

/// A descriptor that calls when it is dropped.
struct Calling<F: FnMut()>(UnixStream, F);

impl<F: FnMut()> AsFd for Calling<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<F: FnMut()> Drop for Calling<F> {
    fn drop(&mut self) {
        (self.1)();
    }
}

/// Close, run, turn, bind, look up, start, schedule, cancel and show, inside of a watch, a signal's callback, a
/// server's handler, a waker that is woken by a descriptor, a timer and a task, and inside of the destructors of
/// each: the loop refuses what it has to, does the rest, and goes on.
#[test]
fn everything_is_tried_in_what_the_world_outside_calls() {
    let (event_loop, other, trace) = (
        EventLoop::builder().event_interval(1).build().unwrap(),
        EventLoop::new().unwrap(),
        Trace::new(),
    );
    let at = |place: &'static str| {
        let (trace, own, other) = (trace.clone(), event_loop.clone(), other.clone());
        move || tries(&trace, &own, &other, place)
    };
    event_loop
        .run_until_complete(async {
            // A watch that ends itself, with what it has.
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            theirs.write_all(b"x").unwrap();
            let own: Rc<RefCell<Option<Watch>>> = Rc::default();
            let (ends, called) = (Rc::clone(&own), at("a watch"));
            let held = on_drop(at("a watch's destructor"));
            let descriptor = Calling(ours, at("a descriptor's destructor"));
            let watch = event_loop.add_reader(descriptor, move || {
                called();
                let _held = &held;
                drop(ends.take());
            });
            own.replace(Some(watch.unwrap()));
            settle().await;
            trace.assert(&["a watch", "a descriptor's destructor", "a watch's destructor"]);

            let kind = SignalKind::from_raw(libc::SIGWINCH);
            let (called, own) = (at("a signal's callback"), event_loop.clone());
            let held = on_drop(at("a signal's destructor"));
            event_loop
                .add_signal_handler(kind, move || {
                    called();
                    let _held = &held;
                    assert!(own.remove_signal_handler(kind));
                })
                .unwrap();
            // SAFETY: no preconditions.
            assert_eq!(unsafe { libc::raise(libc::SIGWINCH) }, 0);
            settle().await;
            trace.assert(&["a signal's callback", "a signal's destructor"]);

            let (called, handles) = (at("a server's function"), at("a server's handler"));
            let held = RefCell::new(Some(on_drop(at("a connection's destructor"))));
            let server = start_server("127.0.0.1:0", move |stream, _| {
                called();
                let (handles, held) = (handles.clone(), held.take());
                async move {
                    handles();
                    pending::<()>().await;
                    drop((stream, held));
                }
            });
            let server = server.await.unwrap();
            let client = TcpStream::connect(server.local_addrs()[0]).await.unwrap();
            settle().await;
            server.abort_clients();
            settle().await;
            drop((client, server));
            trace.assert(&[
                "a server's function",
                "a server's handler",
                "a connection's destructor",
            ]);

            // Wakers, woken by the loop.
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            let ours = Async::new(ours).unwrap();
            let mut reads = Box::pin(ours.readable());
            let mut sleeps = Box::pin(sleep(Duration::from_millis(1)));
            let mut task = spawn(yield_now());
            let waits: [(_, Polls<'_>); 3] = [
                ("woken by a descriptor", &mut |cx| reads.as_mut().poll(cx).is_pending()),
                ("woken by a timer", &mut |cx| sleeps.as_mut().poll(cx).is_pending()),
                ("woken by a task", &mut |cx| Pin::new(&mut task).poll(cx).is_pending()),
            ];
            for (place, wait) in waits {
                let called = at(place);
                let waker = scripted(move |moment| match moment {
                    Moment::Wake => called(),
                    Moment::Clone | Moment::Drop => {}
                });
                assert!(wait(&mut Context::from_waker(&waker)));
            }
            settle().await;
            theirs.write_all(b"x").unwrap();
            settle().await;
            sleep(Duration::from_millis(2)).await;
            trace.assert(&["woken by a task", "woken by a descriptor", "woken by a timer"]);
        })
        .unwrap();
    assert!(get_running_loop().is_err());
    assert_eq!(other.run_until_complete(async { 1 }).unwrap(), 1);
    event_loop.close().unwrap();
}

/// Iterations enough for what is under way, each with a look.
async fn settle() {
    for _ in 0..5 {
        sleep(Duration::ZERO).await;
        yield_now().await;
    }
}
