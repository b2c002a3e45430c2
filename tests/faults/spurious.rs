//! Events that say what is not so.

use std::cell::Cell;
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::__private::faults::FaultPlan;
use loopbind::net::{TcpListener, UdpSocket, UnixStream};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, signal};
use loopbind::{Async, run, sleep, spawn};

use crate::support::in_good_child;

/// Each look sees every descriptor ready, and those that are gone: who waits goes on waiting, without an
/// error, and hears of what does come.
#[test]
fn seen_where_nothing_is_and_whoever_waits_goes_on() {
    in_good_child("spurious::seen_where_nothing_is_and_whoever_waits_goes_on", || {
        run(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let (left, mut right) = UnixStream::pair().unwrap();
            let (idle, _idle) = std::os::unix::net::UnixStream::pair().unwrap();
            let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
            let stdin = child.stdin.take().unwrap();
            let mut heard = signal(SignalKind::user_defined2()).unwrap();
            // One that is registered and gone: its key is stale.
            let (gone, _gone) = UnixStream::pair().unwrap();
            {
                let mut buffer = [0];
                let mut reading = pin!(async { (&gone).read(&mut buffer).await });
                assert!(futures::poll!(reading.as_mut()).is_pending());
            }
            drop(gone);

            let faults = FaultPlan::new().spurious().install();
            let accepting = spawn(async move { listener.accept().await.map(drop) });
            let receiving = spawn(async move { socket.recv(&mut [0]).await.map(drop) });
            let reading = spawn(async move { (&left).read_exact(&mut [0; 4]).await });
            let idling = spawn(async move { Async::new(idle)?.readable().await });
            let waiting = spawn(async move { child.wait().await.map(drop) });
            let listening = spawn(async move { heard.recv().await });
            for _ in 0..20 {
                sleep(Duration::from_millis(1)).await;
            }
            assert!(faults.used() > 0);
            assert!(!accepting.is_finished() && !receiving.is_finished() && !idling.is_finished());
            assert!(!reading.is_finished() && !waiting.is_finished() && !listening.is_finished());
            right.write_all(b"word").await.unwrap();
            reading.await.unwrap().unwrap();
            drop(stdin);
            waiting.await.unwrap().unwrap();
            // SAFETY: no preconditions; it is listened for.
            unsafe { libc::raise(libc::SIGUSR2) };
            listening.await.unwrap().unwrap();
        })
        .unwrap();
    });
}

/// A descriptor closed and another made while events for both come: nobody hears of the other's.
#[test]
fn seen_after_it_is_gone_and_its_slots_next_tenant_is_left_alone() {
    in_good_child(
        "spurious::seen_after_it_is_gone_and_its_slots_next_tenant_is_left_alone",
        || {
            run(async {
                let faults = FaultPlan::new().spurious().install();
                for _ in 0..50 {
                    let (left, _right) = std::os::unix::net::UnixStream::pair().unwrap();
                    let left = Async::new(left).unwrap();
                    let polls = Rc::new(Cell::new(0));
                    let count = Rc::clone(&polls);
                    let reading = spawn(async move {
                        let mut readable = pin!(left.readable());
                        std::future::poll_fn(|cx| {
                            count.set(count.get() + 1);
                            readable.as_mut().poll(cx)
                        })
                        .await
                    });
                    sleep(Duration::ZERO).await;
                    sleep(Duration::ZERO).await;
                    assert!(!reading.is_finished());
                    reading.abort();
                    assert!(reading.await.unwrap_err().is_cancelled());
                    // Its own key is told it is ready: it looks, and sees that it is not.
                    assert!(polls.get() >= 1);
                }
                assert!(faults.used() > 0);
                let mut never = pin!(pending::<()>());
                assert!(matches!(futures::poll!(never.as_mut()), Poll::Pending));
            })
            .unwrap();
        },
    );
}
