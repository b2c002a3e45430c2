//! Events that say what is not so.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
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

/// Events of descriptors that are gone come while others have their places: nobody hears of what is not
/// theirs.
#[test]
fn seen_after_it_is_gone_and_the_next_in_its_place_is_left_alone() {
    in_good_child(
        "spurious::seen_after_it_is_gone_and_the_next_in_its_place_is_left_alone",
        || {
            run(async {
                let faults = FaultPlan::new().stale().install();
                for round in 0..50 {
                    let (left, mut right) = std::os::unix::net::UnixStream::pair().unwrap();
                    let left = Async::new(left).unwrap();
                    let polls = Rc::new(Cell::new(0));
                    let count = Rc::clone(&polls);
                    let reading = spawn(async move {
                        let mut readable = pin!(left.readable());
                        let poll = |cx: &mut Context<'_>| {
                            count.set(count.get() + 1);
                            readable.as_mut().poll(cx)
                        };
                        poll_fn(poll).await
                    });
                    // Nothing is ready meanwhile, so that the loop looks.
                    sleep(Duration::from_millis(1)).await;
                    // Registered, and left alone, though the former ones are told to be ready. The first
                    // edge of its own says that it is writable, which nobody waits for.
                    assert_eq!((polls.get(), reading.is_finished()), (1, false), "round {round}");
                    right.write_all(b"x").unwrap();
                    reading.await.unwrap().unwrap();
                    assert_eq!(polls.get(), 2);
                }
                assert!(faults.used() > 0);
            })
            .unwrap();
        },
    );
}
