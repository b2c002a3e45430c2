//! Cancelled while it waits for something: the wait ends in the task's next turn, nothing of it is left,
//! and what was waited for is as good as before. A test for each thing that can be waited for.

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::cell::RefCell;
use std::future::pending;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use futures::channel::oneshot;
use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, select_biased};
use loopbind::net::{TcpListener, TcpStream, UdpSocket, UnixStream};
use loopbind::thread::ThreadBuilder;
use loopbind::{
    EventLoop, Task, get_running_loop, run, sleep, spawn, spawn_blocking, task, time, yield_now,
};
use support::{Trace, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

/// Starts `wait` as a task that says how it went; lets it wait; cancels it; and hears that it ended, in
/// its next turn, unheard of what it waited for.
async fn cancelled_in(trace: &Trace, wait: impl Future<Output = ()> + 'static) {
    let log = trace.clone();
    let task = spawn(async move {
        let _probe = log.probe("wait");
        log.note("waits");
        wait.await;
        log.note("never");
    });
    yield_now().await;
    // A look at the outside, and a turn behind it.
    sleep(Duration::ZERO).await;
    assert!(task.cancel());
    trace.note("asked");
    yield_now().await;
    assert!(task.is_finished(), "in its own next turn");
    assert!(task.await.unwrap_err().is_cancelled());
}

const ENDED: [&str; 3] = ["waits", "asked", "wait dropped"];

/// Another task: by its handle it is taken along, an iteration later; joined, it goes on, and can be
/// joined again.
#[test]
fn cancelled_in_the_wait_for_another_task() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let probe = log.probe("taken along");
        let other = spawn(async move {
            let _probe = probe;
            pending::<()>().await;
        });
        cancelled_in(&log, async move { drop(other.await) }).await;
        log.assert(&ENDED);
        yield_now().await;
        log.assert(&["taken along dropped"]);

        let (sender, receiver) = oneshot::channel();
        let other = Rc::new(RefCell::new(spawn(receiver)));
        let joined = Rc::clone(&other);
        #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
        cancelled_in(&log, async move { drop(joined.borrow_mut().join().await) }).await;
        log.assert(&ENDED);
        sender.send(7).unwrap();
        let other = Rc::into_inner(other).unwrap().into_inner();
        assert_eq!(other.await.unwrap(), Ok(7));
    })
    .unwrap();
}

/// A timer: none is left, and the same sleep, awaited again, ends when it was to end.
#[test]
fn cancelled_in_a_sleep() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    let same = event_loop.clone();
    event_loop
        .run_until_complete(async move {
            let began = time::now();
            let nap = Rc::new(RefCell::new(Box::pin(sleep(60 * SECOND))));
            let shared = Rc::clone(&nap);
            #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
            cancelled_in(&log, async move { shared.borrow_mut().as_mut().await }).await;
            cancelled_in(&log, sleep(30 * SECOND)).await;
            let nap = Rc::into_inner(nap).unwrap().into_inner();
            nap.await;
            assert_eq!(time::now() - began, 60 * SECOND);
            assert_eq!(same.metrics().timers_fired, 1, "the other one's was taken back");
        })
        .unwrap();
    trace.assert(&[ENDED, ENDED].concat());
}

/// An accept: the next one gets the connection that comes afterwards, and none is lost.
#[test]
fn cancelled_in_an_accept() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let listener = Rc::new(TcpListener::bind(sockets::ANY).await.unwrap());
        let shared = Rc::clone(&listener);
        cancelled_in(&log, async move { drop(shared.accept().await) }).await;
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_server, peer) = listener.accept().await.unwrap();
        assert_eq!(client.local_addr().unwrap(), peer);
    })
    .unwrap();
    trace.assert(&ENDED);
}

/// CAN-23: a read of a socket: it ends at once, not with the next byte, and the next reader gets every byte
/// in order.
#[test]
fn cancelled_in_a_read() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let (mut one, other) = UnixStream::pair().unwrap();
        let other = Rc::new(RefCell::new(other));
        let shared = Rc::clone(&other);
        #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
        let read = async move {
            let _ = shared.borrow_mut().read(&mut [0; 8]).await;
        };
        cancelled_in(&log, read).await;
        one.write_all(b"all of it").await.unwrap();
        let mut text = [0; 9];
        Rc::into_inner(other).unwrap().into_inner().read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"all of it");
    })
    .unwrap();
    trace.assert(&ENDED);
}

/// A read that would fill a buffer, in the middle: what it had taken is gone with it, what it had not
/// taken is there.
#[test]
fn cancelled_in_the_middle_of_a_read() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let (mut client, server) = sockets::pair().await.unwrap();
        let server = Rc::new(RefCell::new(server));
        client.write_all(b"half").await.unwrap();
        let shared = Rc::clone(&server);
        let (taken, seen) = (Rc::new(RefCell::new(Vec::new())), log.clone());
        let buffer = Rc::clone(&taken);
        #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
        let read = async move {
            let mut server = shared.borrow_mut();
            loop {
                let mut piece = [0; 4];
                let count = server.read(&mut piece).await.unwrap();
                buffer.borrow_mut().extend_from_slice(&piece[..count]);
                seen.note("read");
            }
        };
        let reading = spawn(read);
        while taken.borrow().len() < 4 {
            yield_now().await;
        }
        yield_now().await;
        reading.cancel();
        assert!(reading.await.unwrap_err().is_cancelled());
        client.write_all(b"rest").await.unwrap();
        let mut rest = [0; 4];
        Rc::into_inner(server).unwrap().into_inner().read_exact(&mut rest).await.unwrap();
        assert_eq!((taken.borrow().as_slice(), &rest), (&b"half"[..], b"rest"));
    })
    .unwrap();
}

/// A datagram: the next one goes to the next who asks.
#[test]
fn cancelled_in_a_datagrams_wait() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let socket = Rc::new(UdpSocket::bind(sockets::ANY).await.unwrap());
        let shared = Rc::clone(&socket);
        cancelled_in(&log, async move { drop(shared.recv_from(&mut [0; 8]).await) }).await;
        let address = socket.local_addr().unwrap();
        socket.send_to(b"hello", address).await.unwrap();
        let mut text = [0; 8];
        assert_eq!(socket.recv_from(&mut text).await.unwrap(), (5, address));
    })
    .unwrap();
    trace.assert(&ENDED);
}

/// A child's end: the child lives on, and is waited for by the next.
#[cfg(target_os = "linux")]
#[test]
fn cancelled_in_the_wait_for_a_child() {
    use loopbind::process::{Command, Stdio};
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let mut cat = Command::new("cat");
        let mut child = cat.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let child = Rc::new(RefCell::new(child));
        let shared = Rc::clone(&child);
        #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
        cancelled_in(&log, async move { drop(shared.borrow_mut().wait().await) }).await;
        let mut child = Rc::into_inner(child).unwrap().into_inner();
        assert!(child.try_wait().unwrap().is_none(), "it lives");
        drop(stdin);
        assert!(child.wait().await.unwrap().success());
    })
    .unwrap();
    trace.assert(&ENDED);
}

/// EXE-03: blocking work: it is not interrupted, nobody waits for it, and the pool is there for the next.
#[test]
fn cancelled_in_the_wait_for_blocking_work() {
    let trace = Trace::new();
    let log = trace.clone();
    run(async move {
        let (release, gate) = mpsc::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let (begun, has_begun) = oneshot::channel();
        let work = spawn_blocking(move || {
            begun.send(()).unwrap();
            let _ = gate.recv();
            done.send("ended by itself").unwrap();
        });
        has_begun.await.unwrap();
        cancelled_in(&log, async move { drop(work.await) }).await;
        assert_eq!(spawn_blocking(|| 7).await.unwrap(), 7);
        drop(release);
        assert_eq!(is_done.await, Ok("ended by itself"));
    })
    .unwrap();
    trace.assert(&ENDED);
}

/// A task of another thread's loop: it runs on there.
#[test]
fn cancelled_in_the_wait_for_a_remote_task() {
    let trace = Trace::new();
    let log = trace.clone();
    let thread = ThreadBuilder::new().spawn(task::cancelled).unwrap();
    let handle = thread.handle().clone();
    run(async move {
        let (sender, receiver) = oneshot::channel::<&str>();
        let (done, is_done) = oneshot::channel();
        let remote = handle.spawn(move || async move {
            done.send(receiver.await.unwrap()).unwrap();
        });
        let remote = remote.unwrap();
        let ending = remote.abort_handle();
        cancelled_in(&log, async move { drop(remote.await) }).await;
        assert!(!ending.is_finished());
        sender.send("ran on").unwrap();
        assert_eq!(is_done.await, Ok("ran on"));
    })
    .unwrap();
    thread.stop();
    thread.join().unwrap();
    trace.assert(&ENDED);
}

/// A signal: the listener hears the next one.
#[cfg(target_os = "linux")]
#[test]
fn cancelled_in_the_wait_for_a_signal() {
    use loopbind::signal::{SignalKind, signal};
    support::in_good_child("cancelled_in_the_wait_for_a_signal", || {
        let trace = Trace::new();
        let log = trace.clone();
        run(async move {
            let kind = SignalKind::user_defined1();
            let listener = Rc::new(RefCell::new(signal(kind).unwrap()));
            let shared = Rc::clone(&listener);
            #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
            cancelled_in(&log, async move { while shared.borrow_mut().recv().await.is_none() {} })
                .await;
            // SAFETY: no preconditions.
            unsafe { libc::raise(kind.as_raw()) };
            let mut listener = Rc::into_inner(listener).unwrap().into_inner();
            assert_eq!(listener.recv().await, Some(()));
        })
        .unwrap();
        trace.assert(&ENDED);
    });
}

/// A select: all its branches go together, and each thing is there for the next.
#[test]
fn cancelled_in_a_select() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    event_loop
        .run_until_complete(async move {
            let (sender, receiver) = oneshot::channel();
            let task: Rc<RefCell<Task<_>>> = Rc::new(RefCell::new(spawn(receiver)));
            let shared = Rc::clone(&task);
            let inner = log.clone();
            #[allow(clippy::await_holding_refcell_ref)] // Nobody else looks while it waits.
            let select = async move {
                let mut task = shared.borrow_mut();
                let (_first, _second) = (inner.probe("second"), inner.probe("first"));
                select_biased! {
                    _ = task.join() => {}
                    () = sleep(SECOND).fuse() => {}
                    () = pending().fuse() => {}
                }
            };
            cancelled_in(&log, select).await;
            assert_eq!(get_running_loop().unwrap().next_deadline(), None, "no timer is left");
            sender.send(7).unwrap();
            assert_eq!(Rc::into_inner(task).unwrap().into_inner().await.unwrap(), Ok(7));
        })
        .unwrap();
    trace.assert(&["waits", "asked", "first dropped", "second dropped", "wait dropped"]);
}

/// A select that listens is told, and its other branches are still there to clean up with.
#[test]
fn cancelled_in_a_select_that_listens() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    let log = trace.clone();
    event_loop
        .run_until_complete(async move {
            let (sender, mut receiver) = oneshot::channel();
            let inner = log.clone();
            let task = spawn(async move {
                select_biased! {
                    value = receiver => inner.note(format!("received {value:?}")),
                    () = task::cancelled().fuse() => inner.note("told"),
                }
                receiver.await
            });
            yield_now().await;
            task.cancel();
            yield_now().await;
            log.note("still waits");
            sender.send(7).unwrap();
            assert_eq!(task.await.unwrap(), Ok(7));
        })
        .unwrap();
    trace.assert(&["told", "still waits"]);
}

/// CAN-23: nothing of a wait is left with the loop, and what the task owned is closed in that turn.
#[test]
fn cancelled_in_a_wait_leaves_nothing_behind() {
    let (theirs, ours) = std::os::unix::net::UnixStream::pair().unwrap();
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(async move {
        let mut ours = UnixStream::from_std(ours).unwrap();
        let _ = ours.read(&mut [0; 8]).await;
    });
    for _ in 0..3 {
        support::turn(&event_loop);
    }
    task.cancel();
    support::turn(&event_loop);
    assert!(task.is_finished());
    let written = std::io::Write::write(&mut &theirs, b"late");
    assert_eq!(written.unwrap_err().kind(), std::io::ErrorKind::BrokenPipe);
    let before = event_loop.metrics();
    event_loop.turn(Some(Duration::from_millis(1))).unwrap();
    let after = event_loop.metrics();
    assert_eq!((after.polls, after.io_events), (before.polls, before.io_events));
}
