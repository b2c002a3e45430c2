//! Sockets when things go wrong: no descriptors left, resets, signals, loops that change under them, and
//! events that come too late.

#![cfg(feature = "macros")]
#![cfg(all(target_os = "linux", feature = "macros"))]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::future::join;
use futures::{AsyncRead, AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt};
use loopbind::net::{
    TcpListener, TcpSocket, TcpStream, UdpSocket, UnixStream, start_server, start_unix_server,
};
use loopbind::{
    Async, EventLoop, get_running_loop, loop_test, run, sleep, spawn, task, timeout, yield_now,
};
use sockets::{ANY, assert_waits, pair, std_pair};
use support::{
    Trace, in_good_child, note_reports, open_descriptors, take_descriptors_but, virtual_loop,
};

const EMFILE: i32 = 24;

/// Processor time this process has used. Asked without opening anything.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Clients whose descriptors exist already, and that connect without one more.
async fn connect_all(sockets: Vec<TcpSocket>, to: SocketAddr) -> Vec<TcpStream> {
    let mut clients = Vec::new();
    for socket in sockets {
        clients.push(socket.connect(to).await.unwrap());
    }
    clients
}

fn sockets(count: usize) -> Vec<TcpSocket> {
    (0..count).map(|_| TcpSocket::new_v4().unwrap()).collect()
}

/// SRV-06: told once in each second, and everybody is served once there are descriptors again. On a
/// virtual clock, so that each second is seen.
#[test]
fn none_left_then_told_each_second_then_all_are_served() {
    in_good_child("none_left_then_told_each_second_then_all_are_served", || {
        let (trace, event_loop) = (Trace::new(), virtual_loop());
        note_reports(&event_loop, &trace);
        event_loop
            .run_until_complete(async {
                let server = start_server(ANY, |mut stream, _| async move {
                    let _ = stream.write_all(b"served").await;
                })
                .await
                .unwrap();
                let waiting = sockets(10);
                let taken = take_descriptors_but(0);
                let mut clients = connect_all(waiting, server.local_addrs()[0]).await;
                for second in ["at once", "after a second", "after two"] {
                    yield_now().await;
                    sleep(Duration::from_millis(500)).await;
                    trace.note(second);
                    assert_eq!(server.connections(), 0);
                    sleep(Duration::from_millis(500)).await;
                }
                drop(taken);
                let began = loopbind::time::now();
                for client in &mut clients {
                    let mut words = String::new();
                    client.read_to_string(&mut words).await.unwrap();
                    assert_eq!(words, "served");
                }
                assert!(loopbind::time::now() - began <= Duration::from_millis(1100));
                server.shut_down(Duration::from_secs(20)).await;
            })
            .unwrap();
        let events = trace.take();
        let told = "socket.accept() out of system resource";
        assert_eq!(
            events[..6],
            [told, "at once", told, "after a second", told, "after two"],
            "{events:?}"
        );
        assert!(events[6..].iter().all(|event| event == told) && events.len() <= 7, "{events:?}");
    });
}

/// The same on the real clock: the process does next to nothing meanwhile, and then goes on.
#[test]
fn none_left_and_the_processor_rests() {
    in_good_child("none_left_and_the_processor_rests", || {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let event_loop = EventLoop::new().unwrap();
        let note = Rc::clone(&reports);
        event_loop.set_exception_handler(Some(Box::new(move |_, context| {
            let error = context.error.as_ref().and_then(io::Error::raw_os_error);
            note.borrow_mut().push((context.message.clone(), error));
        })));
        event_loop
            .run_until_complete(async {
                let server =
                    start_server(ANY, |stream, _| async move { drop(stream) }).await.unwrap();
                let waiting = sockets(50);
                let taken = take_descriptors_but(0);
                let mut clients = connect_all(waiting, server.local_addrs()[0]).await;
                let (began, used) = (Instant::now(), processor_time());
                let turns = get_running_loop().unwrap().metrics().turns;
                // Two back-offs; the third begins after this.
                sleep(Duration::from_millis(1500)).await;
                let turns = get_running_loop().unwrap().metrics().turns - turns;
                let used = processor_time() - used;
                assert!(turns < 20, "{turns} iterations");
                assert!(used < began.elapsed() / 20, "{used:?} of {:?}", began.elapsed());
                assert_eq!(reports.borrow().len(), 2);
                drop(taken);
                let freed = Instant::now();
                assert_eq!(clients[0].read(&mut [0; 8]).await.unwrap(), 0);
                assert!(freed.elapsed() < Duration::from_millis(1100), "{:?}", freed.elapsed());
                for mut client in clients {
                    assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
                }
                server.shut_down(Duration::from_secs(20)).await;
            })
            .unwrap();
        let told = ("socket.accept() out of system resource".to_owned(), Some(EMFILE));
        assert_eq!(*reports.borrow(), [told.clone(), told]);
    });
}

/// A loop of `accept` that goes on after errors does not spin either, nor one of `incoming`; and a
/// second listener on the loop is not held up by the first one's rest.
#[test]
fn none_left_and_a_plain_loop_of_accepts_rests_too() {
    in_good_child("none_left_and_a_plain_loop_of_accepts_rests_too", || {
        let trace = Trace::new();
        virtual_loop()
            .run_until_complete(async {
                let (plain, stream) =
                    (TcpListener::bind(ANY).await.unwrap(), TcpListener::bind(ANY).await.unwrap());
                let addresses = [plain.local_addr().unwrap(), stream.local_addr().unwrap()];
                let mut waiting = sockets(2);
                let taken = take_descriptors_but(0);
                let second = vec![waiting.pop().unwrap()];
                let _first = connect_all(waiting, addresses[0]).await;
                let began = loopbind::time::now();
                let at = move || (loopbind::time::now() - began).as_secs();
                let note = trace.clone();
                let accepting = spawn(async move {
                    loop {
                        match plain.accept().await {
                            Ok(_) => break note.note("accepted"),
                            Err(error) => {
                                note.note(format!("{} at {}", error.raw_os_error().unwrap(), at()));
                            }
                        }
                    }
                });
                sleep(Duration::from_millis(2500)).await;
                trace.assert(&["24 at 0", "24 at 1", "24 at 2"]);
                let _second = connect_all(second, addresses[1]).await;
                let note = trace.clone();
                let incoming = spawn(async move {
                    let mut incoming = stream.incoming();
                    while let Some(Err(error)) = incoming.next().await {
                        note.note(format!("stream: {}", error.raw_os_error().unwrap()));
                    }
                    note.note("streamed");
                });
                sleep(Duration::from_millis(400)).await;
                trace.assert(&["stream: 24"]);
                drop(taken);
                accepting.await.unwrap();
                trace.assert(&["accepted"]);
                incoming.await.unwrap();
                trace.assert(&["streamed"]);
            })
            .unwrap();
    });
}

/// At every call that opens a descriptor: an error, and nothing is left open.
#[test]
fn none_left_and_every_call_that_opens_one_says_so() {
    in_good_child("none_left_and_every_call_that_opens_one_says_so", || {
        run(async {
            let listener = TcpListener::bind(ANY).await.unwrap();
            let to = listener.local_addr().unwrap();
            let before = open_descriptors();
            let taken = take_descriptors_but(0);
            let full = |error: io::Error| {
                assert!(error.to_string().contains("os error 24"), "{error}");
            };
            full(TcpStream::connect(to).await.unwrap_err());
            full(TcpListener::bind(ANY).await.unwrap_err());
            full(TcpSocket::new_v4().unwrap_err());
            full(UdpSocket::bind(ANY).await.unwrap_err());
            full(UnixStream::pair().unwrap_err());
            full(start_server(ANY, |_, _| async {}).await.unwrap_err());
            drop(taken);
            assert_eq!(open_descriptors(), before);
            TcpStream::connect(to).await.unwrap();
        })
        .unwrap();
    });
}

/// A listener that is shut down while somebody accepts: an error each second, no hang and no spinning.
#[loop_test(virtual_time, timeout = "30s")]
async fn shut_down_while_accepting() -> io::Result<()> {
    let listener = TcpListener::bind(ANY).await?;
    let mut accept = Box::pin(listener.accept());
    assert_waits(&mut accept).await;
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both)?;
    assert_eq!(accept.await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let began = loopbind::time::now();
    assert_eq!(listener.accept().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert!(loopbind::time::now() - began >= Duration::from_secs(1));
    Ok(())
}

/// Closed by dropping the task that accepts: who was in the queue is told, and the number is free.
#[loop_test(timeout = "30s")]
async fn dropped_while_accepting() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.6:0").await?;
    let to = listener.local_addr()?;
    let accepting = spawn(async move {
        listener.accept().await.unwrap();
        pending::<()>().await;
        drop(listener);
    });
    let mut taken = TcpStream::connect(to).await?;
    yield_now().await;
    let mut queued = TcpStream::connect(to).await?;
    accepting.abort();
    assert!(accepting.await.unwrap_err().is_cancelled());
    assert_eq!(taken.read(&mut [0; 8]).await?, 0, "it was accepted, and dropped");
    assert_eq!(queued.read(&mut [0; 8]).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    let refused = TcpStream::connect(to).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    Ok(())
}

/// Clients that are gone before they are accepted are no trouble for those that are not.
#[loop_test(timeout = "30s")]
async fn many_reset_before_they_are_accepted_then_one_is_served() -> io::Result<()> {
    let server = start_server(ANY, |mut stream, _| async move {
        let mut word = [0; 4];
        if stream.read_exact(&mut word).await.is_ok() {
            let _ = stream.write_all(&word).await;
        }
    })
    .await?;
    for _ in 0..100 {
        let socket = TcpSocket::new_v4()?;
        socket.set_linger(Some(Duration::ZERO))?;
        drop(socket.connect(server.local_addrs()[0]).await?);
    }
    let mut client = TcpStream::connect(server.local_addrs()).await?;
    client.write_all(b"echo").await?;
    let mut word = [0; 4];
    client.read_exact(&mut word).await?;
    assert_eq!(&word, b"echo");
    assert_eq!(server.shut_down(Duration::from_secs(20)).await, 0);
    Ok(())
}

/// A peer that is gone is an error, and never the signal: here it is at its default, which would end
/// the process.
#[test]
fn written_to_who_is_gone_and_no_signal_comes() {
    in_good_child("written_to_who_is_gone_and_no_signal_comes", || {
        unsafe extern "C" {
            fn signal(number: std::ffi::c_int, handler: usize) -> usize;
        }
        // SAFETY: 13 is SIGPIPE, 0 the default, which is no function of ours.
        unsafe { signal(13, 0) };
        run(async {
            let (mut tcp, peer) = pair().await.unwrap();
            drop(peer);
            let error = loop {
                if let Err(error) = tcp.write(b"x").await {
                    break error;
                }
            };
            assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset));
            let error = tcp.write_vectored(&[IoSlice::new(b"x")]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let (mut unix, peer) = UnixStream::pair().unwrap();
            drop(peer);
            let error = unix.write(b"x").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            let error = unix.write_vectored(&[IoSlice::new(b"x")]).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        })
        .unwrap();
    });
}

/// A connect that is given up closes its socket; one that nobody answers can be given up.
#[test]
fn given_up_while_connecting_and_nothing_is_left() {
    in_good_child("given_up_while_connecting_and_nothing_is_left", || {
        run(async {
            let (listener, _queued) = listener_that_answers_nobody().await;
            let to = listener.local_addr().unwrap();
            let before = open_descriptors();
            for _ in 0..20 {
                let mut connect = Box::pin(TcpStream::connect(to));
                assert_waits(&mut connect).await;
                assert_eq!(open_descriptors(), before + 1);
                drop(connect);
                assert_eq!(open_descriptors(), before);
            }
        })
        .unwrap();
    });
}

/// A listener whose queue is full, so that nobody answers who connects, and what keeps it full.
async fn listener_that_answers_nobody() -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(ANY.parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let to = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    // It is full when a connect waits for longer than an answer takes.
    while let Ok(stream) = timeout(Duration::from_millis(50), TcpStream::connect(to)).await {
        queued.push(stream.unwrap());
        assert!(queued.len() < 100, "the queue has no end");
    }
    (listener, queued)
}

/// Nobody answers: a time-out ends the connect when it says, with its descriptor, and the addresses behind
/// that one are not tried. Once the listener goes, who waits is refused, and the next address is.
#[test]
fn connecting_to_who_does_not_answer_then_is_gone() {
    in_good_child("connecting_to_who_does_not_answer_then_is_gone", || {
        run(async {
            let (listener, queued) = listener_that_answers_nobody().await;
            let silent = listener.local_addr().unwrap();
            let next = TcpListener::bind(ANY).await.unwrap();
            let addresses = [silent, next.local_addr().unwrap()];
            let before = open_descriptors();
            let (limit, began) = (Duration::from_millis(30), Instant::now());
            let connect = timeout(limit, TcpStream::connect(addresses));
            assert!(connect.await.is_err());
            assert!(began.elapsed() >= limit && began.elapsed() < Duration::from_secs(10));
            assert_eq!(open_descriptors(), before);
            assert!(next.accept().now_or_never().is_none());

            let mut alone = Box::pin(TcpStream::connect(silent));
            let mut both = Box::pin(TcpStream::connect(addresses));
            assert_waits(&mut alone).await;
            assert_waits(&mut both).await;
            drop((listener, queued));
            // Told when the system asks again, after a second.
            let refused = alone.await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
            assert!(refused.to_string().contains(&silent.to_string()), "{refused}");
            let stream = both.await.unwrap();
            assert_eq!(stream.peer_addr().unwrap(), addresses[1]);
        })
        .unwrap();
    });
}

/// What was opened is closed, however it ends.
#[test]
fn a_thousand_connections_and_no_descriptor_is_left() {
    in_good_child("a_thousand_connections_and_no_descriptor_is_left", || {
        let before = open_descriptors();
        run(async {
            let inside = open_descriptors();
            for round in 0..250 {
                let (mut client, mut server) = pair().await.unwrap();
                client.write_all(b"x").await.unwrap();
                assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 1);
                match round % 4 {
                    0 => drop((client, server)),
                    1 => {
                        let task = spawn(async move { server.read(&mut [0; 8]).await });
                        yield_now().await;
                        task.abort();
                        let _ = task.await;
                    }
                    2 => drop(client.into_std().unwrap()),
                    _ => {
                        let clone = client.clone();
                        client.close().await.unwrap();
                        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
                        drop(clone);
                    }
                }
            }
            assert_eq!(open_descriptors(), inside);
            let server = start_server(ANY, |stream, _| async move { drop(stream) }).await.unwrap();
            for _ in 0..750 {
                let mut client = TcpStream::connect(server.local_addrs()).await.unwrap();
                assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
            }
            server.shut_down(Duration::from_secs(20)).await;
            drop(server);
            assert_eq!(open_descriptors(), inside);
        })
        .unwrap();
        assert_eq!(open_descriptors(), before);
    });
}

/// Polls `future` at most so many times, and gives it up then.
async fn at_most<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Gives `operation` up at its first poll, at its second, and so on, until it gets to its end; each time
/// nothing is left of it.
async fn give_up_at_each_poll<T>(what: &str, operation: impl AsyncFn() -> io::Result<T>) {
    // What is opened once and kept, such as threads for blocking work.
    operation().await.unwrap();
    let settled = async || {
        while get_running_loop().unwrap().all_tasks().len() > 1 {
            yield_now().await;
        }
        open_descriptors()
    };
    let before = settled().await;
    for polls in 1..50 {
        let outcome = at_most(polls, operation()).await;
        let done = outcome.map(|outcome| drop(outcome.unwrap())).is_some();
        assert_eq!(settled().await, before, "{what}, given up at poll {polls}");
        if done {
            return;
        }
    }
    panic!("{what} comes to no end");
}

/// Every operation, given up at every await inside of it.
#[test]
fn given_up_at_each_poll_and_nothing_is_left() {
    in_good_child("given_up_at_each_poll_and_nothing_is_left", || {
        run(async {
            give_up_at_each_poll("connect", async || {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                TcpStream::connect(listener.local_addr()?).await
            })
            .await;
            give_up_at_each_poll("connect by name, the first address refused", async || {
                let listener = TcpListener::bind("localhost:0").await?;
                let (_held, refusing) = sockets::refusing()?;
                TcpStream::connect([refusing, listener.local_addr()?]).await
            })
            .await;
            give_up_at_each_poll("accept, write, read, close", async || {
                let (mut client, mut server) = pair().await?;
                client.write_all(b"more than is read").await?;
                assert_ne!(server.read(&mut [0; 8]).await?, 0);
                server.peek(&mut [0; 8]).await?;
                client.close().await
            })
            .await;
            give_up_at_each_poll("datagrams", async || {
                let (left, right) = (UdpSocket::bind(ANY).await?, UdpSocket::bind(ANY).await?);
                let mut buffer = [0; 8];
                let receive = pin!(right.recv(&mut buffer));
                let send = pin!(left.send_to(b"x", right.local_addr()?));
                futures::future::try_join(receive, send).await
            })
            .await;
            give_up_at_each_poll("a server, a client, the end", async || {
                let server = start_server(ANY, |mut stream, _| async move {
                    while let Ok(1..) = stream.read(&mut [0; 8]).await {}
                })
                .await?;
                let mut client = TcpStream::connect(server.local_addrs()).await?;
                client.write_all(b"x").await?;
                server.shut_down(Duration::from_secs(20)).await;
                Ok(())
            })
            .await;
        })
        .unwrap();
    });
}

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Count {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

thread_local! {
    /// What the next wake of `Swap` does.
    static SWAP: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A waker that does what this thread has prepared for it.
struct Swap;

impl Wake for Swap {
    fn wake(self: Arc<Self>) {
        if let Some(swap) = SWAP.take() {
            swap();
        }
    }
}

fn poll_read(stream: &mut TcpStream, waker: &Waker) -> Poll<io::Result<usize>> {
    let mut cx = Context::from_waker(waker);
    Pin::new(stream).poll_read(&mut cx, &mut [0; 8])
}

/// Two events in one look. What the first one runs closes the second one's descriptor, and opens another
/// that gets its number: the event is not the newcomer's.
#[test]
fn closed_and_its_number_taken_while_its_event_was_on_its_way() {
    in_good_child("closed_and_its_number_taken_while_its_event_was_on_its_way", || {
        run(async {
            let (mut first, first_peer) = pair().await.unwrap();
            let (mut second, second_peer) = pair().await.unwrap();
            let (third, third_peer) = pair().await.unwrap();
            let number: RawFd = second.as_raw_fd();
            let (counts, late) = (Arc::<Count>::default(), Arc::<Count>::default());
            assert!(poll_read(&mut first, &Waker::from(Arc::new(Swap))).is_pending());
            assert!(poll_read(&mut second, &Waker::from(Arc::clone(&counts))).is_pending());
            let newcomer = Rc::new(RefCell::new(None));
            let (place, waker) = (Rc::clone(&newcomer), Waker::from(Arc::clone(&late)));
            SWAP.set(Some(Box::new(move || {
                drop(second);
                let copy = rustix::io::fcntl_dupfd_cloexec(third.as_fd(), number).unwrap();
                assert_eq!(copy.as_raw_fd(), number, "the number is taken again");
                let mut newcomer = TcpStream::from_std(std::net::TcpStream::from(copy)).unwrap();
                drop(third);
                assert!(poll_read(&mut newcomer, &waker).is_pending());
                place.replace(Some(newcomer));
            })));
            // In this order, so that the first comes first.
            (&first_peer).write_all(b"x").await.unwrap();
            (&second_peer).write_all(b"x").await.unwrap();
            while newcomer.borrow().is_none() {
                yield_now().await;
            }
            // Looks, some of them with nothing to see.
            for _ in 0..3 {
                sleep(Duration::from_millis(1)).await;
            }
            assert_eq!(counts.count(), 0, "who is gone is not woken");
            assert_eq!(late.count(), 0, "nor is who came");
            let mut newcomer = newcomer.take().unwrap();
            assert!(poll_read(&mut newcomer, &Waker::from(Arc::clone(&late))).is_pending());
            (&third_peer).write_all(b"mine").await.unwrap();
            assert_eq!(newcomer.read(&mut [0; 8]).await.unwrap(), 4);
        })
        .unwrap();
    });
}

/// Made before any loop is; used on one loop, and then on another; each time it is at home.
#[test]
fn made_outside_then_used_on_one_loop_then_on_another() {
    let (left, right) = std_pair().unwrap();
    let left = TcpStream::from_std(left).unwrap();
    let mut right = TcpStream::from_std(right).unwrap();
    // What need not wait works anywhere.
    futures::executor::block_on((&left).write_all(b"early")).unwrap();
    let loops = [EventLoop::new().unwrap(), EventLoop::new().unwrap()];
    for round in 0..6 {
        let event_loop = &loops[round % 2];
        event_loop
            .run_until_complete(async {
                if round == 0 {
                    let mut word = [0; 5];
                    right.read_exact(&mut word).await.unwrap();
                }
                let mut buffer = [0; 8];
                // Waits here, gives up, waits again.
                assert_waits(&mut right.read(&mut buffer)).await;
                let mut read = right.read(&mut buffer);
                assert_waits(&mut read).await;
                (&left).write_all(b"word").await.unwrap();
                assert_eq!(read.await.unwrap(), 4, "round {round}");
                // A wait that is left behind by a task that is over is no wait.
                let late = timeout(Duration::from_millis(1), right.read(&mut buffer)).await;
                assert!(late.is_err());
            })
            .unwrap();
    }
    drop(loops);
    run(async {
        (&left).write_all(b"last").await.unwrap();
        assert_eq!(right.read(&mut [0; 8]).await.unwrap(), 4);
    })
    .unwrap();
}

/// Waited for on one loop and polled on another: an error that names the first. Outside of runs: an error
/// that says so. Neither disturbs who waits.
#[test]
fn waited_for_on_one_loop_while_polled_on_another_and_outside() {
    let (one, other) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let (left, right) = std_pair().unwrap();
    let right = TcpStream::from_std(right).unwrap();
    let mut waiting = right.clone();
    let task = one.create_task(async move {
        let mut buffer = [0; 8];
        let count = waiting.read(&mut buffer).await?;
        Ok::<_, io::Error>(buffer[..count].to_vec())
    });
    one.run_until_complete(async { yield_now().await }).unwrap();

    let mut polled = right.clone();
    let error = other.run_until_complete(async { polled.read(&mut [0; 8]).await }).unwrap();
    let named = format!("somebody waits for this descriptor on event loop {}", one.id().get());
    assert!(error.as_ref().unwrap_err().to_string().contains(&named), "{error:?}");
    // Writing need not wait, so that it is none of the reactor's business.
    other.run_until_complete(async { polled.write(b"fine").await.unwrap() }).unwrap();
    let noop = Waker::noop();
    let outside = poll_read(&mut polled, noop);
    assert!(
        matches!(&outside, Poll::Ready(Err(error)) if error.to_string() == "no running event loop")
    );

    (&left).write_all(b"for one").unwrap();
    assert_eq!(one.run_until_complete(task).unwrap().unwrap().unwrap(), b"for one");
    (&left).write_all(b"for other").unwrap();
    let count = other.run_until_complete(async { polled.read(&mut [0; 16]).await.unwrap() });
    assert_eq!(count.unwrap(), 9);

    // The wait ends with its task, too.
    let mut waiting = right.clone();
    let task = one.create_task(async move { waiting.read(&mut [0; 8]).await });
    one.run_until_complete(async { yield_now().await }).unwrap();
    task.abort();
    one.run_until_complete(async { yield_now().await }).unwrap();
    other.run_until_complete(async { assert_waits(&mut polled.read(&mut [0; 8])).await }).unwrap();
}

/// Every operation that waits, outside of runs: an error, and no hang.
#[test]
fn outside_of_runs_nothing_hangs() {
    let outside =
        |error: io::Error| assert!(error.to_string().contains("no running event loop"), "{error}");
    let block_on = |future: Pin<Box<dyn Future<Output = io::Result<()>>>>| {
        outside(futures::executor::block_on(future).unwrap_err());
    };
    let (_left, right) = std_pair().unwrap();
    let right = TcpStream::from_std(right).unwrap();
    let listener = TcpListener::from_std(std::net::TcpListener::bind(ANY).unwrap()).unwrap();
    let udp = UdpSocket::from_std(std::net::UdpSocket::bind(ANY).unwrap()).unwrap();
    let (unix, _peer) = UnixStream::pair().unwrap();
    let reader = right.clone();
    block_on(Box::pin(async move { (&reader).read(&mut [0; 8]).await.map(drop) }));
    let peeker = right.clone();
    block_on(Box::pin(async move { peeker.peek(&mut [0; 8]).await.map(drop) }));
    block_on(Box::pin(async move { right.readable().await }));
    block_on(Box::pin(async move { listener.accept().await.map(drop) }));
    block_on(Box::pin(async move { udp.recv(&mut [0; 8]).await.map(drop) }));
    block_on(Box::pin(async move { (&unix).read(&mut [0; 8]).await.map(drop) }));
    block_on(Box::pin(async { loopbind::net::lookup_host("localhost:1").await.map(drop) }));
    // Numbers are no names, and binding does not wait.
    drop(futures::executor::block_on(TcpListener::bind(ANY)).unwrap());
}

/// A loop is closed while its sockets are waited for: the tasks go, and a socket that somebody else holds
/// works on the next loop.
#[test]
fn the_loop_is_closed_under_a_waiting_socket_then_it_works_on_another() {
    let trace = Trace::new();
    let (left, right) = std_pair().unwrap();
    let right = TcpStream::from_std(right).unwrap();
    let event_loop = EventLoop::new().unwrap();
    let (mut waiting, probe) = (right.clone(), trace.probe("waiter"));
    let task = event_loop.create_task(async move {
        let read = waiting.read(&mut [0; 8]).await;
        drop((read, probe));
    });
    event_loop.run_until_complete(async { yield_now().await }).unwrap();
    event_loop.close().unwrap();
    trace.assert(&["waiter dropped"]);
    assert!(task.is_finished());
    (&left).write_all(b"x").unwrap();
    let mut right = right;
    run(async { assert_eq!(right.read(&mut [0; 8]).await.unwrap(), 1) }).unwrap();
}

/// SRV-08: a forked child lets go of what it inherited, and the parent's server does not notice.
#[test]
fn a_child_drops_the_server_and_the_parent_serves_on() {
    in_good_child("a_child_drops_the_server_and_the_parent_serves_on", || {
        unsafe extern "C" {
            fn fork() -> std::ffi::c_int;
            fn _exit(status: std::ffi::c_int) -> !;
            fn waitpid(
                pid: std::ffi::c_int,
                status: *mut std::ffi::c_int,
                options: std::ffi::c_int,
            ) -> std::ffi::c_int;
        }
        let path = std::env::temp_dir().join(format!("loopbind-net-fork-{}", std::process::id()));
        let hello = |mut stream: UnixStream| async move {
            let _ = stream.write_all(b"hello").await;
        };
        let event_loop = EventLoop::new().unwrap();
        let server =
            event_loop.run_until_complete(async { start_unix_server(&path, hello).unwrap() });
        let server = server.unwrap();
        // SAFETY: no preconditions; the child leaves by `_exit`, below.
        let child = unsafe { fork() };
        if child == 0 {
            drop(server);
            drop(event_loop);
            // SAFETY: no preconditions.
            unsafe { _exit(i32::from(!path.exists())) };
        }
        let mut status = -1;
        // SAFETY: `status` may be written to.
        assert_eq!(unsafe { waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0, "the child is well, and saw the file");
        event_loop
            .run_until_complete(async {
                let mut words = String::new();
                let mut client = UnixStream::connect(&path).await.unwrap();
                client.read_to_string(&mut words).await.unwrap();
                assert_eq!(words, "hello");
                drop(server);
            })
            .unwrap();
        assert!(!path.exists());
    });
}

/// Events that mean nothing, for descriptors with nothing to read: who waits goes on waiting.
#[loop_test(timeout = "30s")]
async fn woken_for_nothing_and_waits_on() -> io::Result<()> {
    let (left, mut right) = pair().await?;
    let mut buffer = [0; 8];
    let mut read = right.read(&mut buffer);
    for _ in 0..3 {
        assert_waits(&mut read).await;
    }
    // Becoming writable again and again is no news for a reader.
    left.set_nodelay(true)?;
    for _ in 0..20 {
        yield_now().await;
        assert_waits(&mut read).await;
    }
    (&left).write_all(b"x").await?;
    assert_eq!(read.await?, 1);
    Ok(())
}

/// More is there than is read at once: the reader gives way, and the others have their turns. One that
/// reads outside of runs keeps nobody from anything.
#[loop_test(timeout = "30s")]
async fn flooded_and_the_others_have_their_turns() -> io::Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    left.write_all(&[0; 1000]).await?;
    left.close().await?;
    let turns = Rc::new(RefCell::new(vec![0]));
    let counting = Rc::clone(&turns);
    let reading = spawn(async move {
        while right.read(&mut [0; 1]).await? == 1 {
            *counting.borrow_mut().last_mut().unwrap() += 1;
        }
        Ok::<_, io::Error>(())
    });
    while !reading.is_finished() {
        yield_now().await;
        turns.borrow_mut().push(0);
    }
    reading.await.unwrap()?;
    let turns: Vec<_> = turns.take().into_iter().filter(|&count| count > 0).collect();
    assert_eq!(turns[..13], [72; 13]);
    assert_eq!(turns[13..], [64]);
    Ok(())
}

/// A stream with `count` bytes in it, and its other end.
async fn filled(count: usize) -> io::Result<(UnixStream, UnixStream)> {
    let (right, mut left) = UnixStream::pair()?;
    left.write_all(&vec![0; count]).await?;
    Ok((right, left))
}

/// It is the task that gives way: the portion is one for all it reads, and a few more of each.
#[loop_test(timeout = "30s")]
async fn flooded_from_all_sides_and_the_others_have_their_turns() -> io::Result<()> {
    let mut streams = Vec::new();
    for _ in 0..4 {
        streams.push(filled(1000).await?);
    }
    // One after the other.
    let reads = Rc::new(Cell::new(0));
    let counting = Rc::clone(&reads);
    let reading = spawn(async move {
        for (stream, _) in streams.iter().cycle() {
            (&*stream).read_exact(&mut [0; 1]).await.unwrap();
            counting.set(counting.get() + 1);
        }
    });
    while reads.get() < 4000 {
        let before = reads.get();
        yield_now().await;
        assert!(reads.get() - before <= 64 + 4 * 8, "{} in one poll", reads.get() - before);
    }
    reading.abort();

    // Whichever is first.
    let ((mut one, _left), (mut two, _right)) = (filled(1000).await?, filled(1000).await?);
    let reads = Rc::new(Cell::new(0));
    let counting = Rc::clone(&reads);
    let reading = spawn(async move {
        let (mut left, mut right) = ([0; 1], [0; 1]);
        loop {
            futures::select_biased! {
                read = one.read_exact(&mut left).fuse() => read.unwrap(),
                read = two.read_exact(&mut right).fuse() => read.unwrap(),
            }
            counting.set(counting.get() + 1);
        }
    });
    while reads.get() < 2000 {
        let before = reads.get();
        yield_now().await;
        assert!(reads.get() - before <= 64 + 2 * 8, "{} in one poll", reads.get() - before);
    }
    reading.abort();

    // Beside each other: the first does not keep the second from its turn.
    let ((mut one, _left), (mut two, _right)) = (filled(1000).await?, filled(8).await?);
    let both = async move {
        let mut much = [0; 1000];
        let much = async {
            for byte in much.chunks_mut(1) {
                one.read_exact(byte).await.unwrap();
            }
            task::current().unwrap().polls
        };
        let little = async {
            for _ in 0..8 {
                two.read_exact(&mut [0; 1]).await.unwrap();
            }
            task::current().unwrap().polls
        };
        join(much, little).await
    };
    let (much, little) = spawn(both).await.unwrap();
    assert!(little == 1 && much > 10, "{little}, {much}");
    Ok(())
}

/// An executor inside of a task gives way to nobody, and is not asked to for ever.
#[loop_test(timeout = "30s")]
async fn flooded_inside_of_another_executor() -> io::Result<()> {
    let (mut stream, _left) = filled(1000).await?;
    futures::executor::block_on(async {
        for _ in 0..1000 {
            stream.read_exact(&mut [0; 1]).await.unwrap();
        }
    });
    Ok(())
}

/// What descriptors give counts: however long the tasks take for it, timers are looked at in between.
#[test]
fn flooded_and_a_timer_is_not_late() {
    const BUSY: Duration = Duration::from_micros(20);
    let work = Rc::new(Cell::new(0));
    run(async {
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (mut stream, left) = filled(50_000).await.unwrap();
            let work = Rc::clone(&work);
            tasks.push(spawn(async move {
                let _left = left;
                loop {
                    stream.read_exact(&mut [0; 1]).await.unwrap();
                    let began = Instant::now();
                    while began.elapsed() < BUSY {}
                    work.set(work.get() + 1);
                }
            }));
        }
        for _ in 0..10 {
            let before = work.get();
            sleep(Duration::from_millis(1)).await;
            // The millisecond itself, in which each looks at most, and what comes behind it.
            assert!(work.get() - before <= 50 + 2 * 3 * 72, "{}", work.get() - before);
        }
        for task in tasks {
            task.abort();
        }
    })
    .unwrap();
}

/// The same for who writes what is always taken.
#[loop_test(timeout = "30s")]
async fn written_without_end_and_a_timer_fires() -> io::Result<()> {
    let socket = UdpSocket::bind(ANY).await?;
    let sink = UdpSocket::bind(ANY).await?;
    socket.connect(sink.local_addr()?).await?;
    // What nobody reads is thrown away, so that sending never waits.
    let sending = spawn(async move { while socket.send(b"x").await.is_ok() {} });
    sleep(Duration::from_millis(5)).await;
    assert!(!sending.is_finished());
    sending.abort();
    Ok(())
}

/// Many tasks wait for one socket: each datagram goes to one of them, and none is forgotten.
#[loop_test(timeout = "30s")]
async fn many_wait_for_one_socket_and_none_is_forgotten() -> io::Result<()> {
    let socket = Rc::new(UdpSocket::bind(ANY).await?);
    let got = Rc::new(Cell::new(0));
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let (socket, got) = (Rc::clone(&socket), Rc::clone(&got));
            spawn(async move {
                socket.recv(&mut [0; 8]).await.unwrap();
                got.set(got.get() + 1);
            })
        })
        .collect();
    yield_now().await;
    let sender = UdpSocket::bind(ANY).await?;
    for sent in 1..=100 {
        sender.send_to(b"x", socket.local_addr()?).await?;
        while got.get() < sent {
            yield_now().await;
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    Ok(())
}

/// More wait for one socket than wakers are kept at first: they are asked whether they do, and not
/// again and again.
#[test]
fn many_wait_and_the_loop_sleeps() -> io::Result<()> {
    let event_loop = EventLoop::new()?;
    event_loop.run_until_complete(async {
        let socket = Rc::new(UdpSocket::bind(ANY).await?);
        let listener = Rc::new(TcpListener::bind(ANY).await?);
        let mut tasks = Vec::new();
        for _ in 0..40 {
            let (socket, listener) = (Rc::clone(&socket), Rc::clone(&listener));
            tasks.push(spawn(async move { socket.recv_from(&mut [0; 8]).await.map(drop) }));
            tasks.push(spawn(async move { listener.accept().await.map(drop) }));
        }
        let metrics = || get_running_loop().unwrap().metrics();
        for round in 0..3 {
            let before = metrics();
            sleep(Duration::from_millis(20)).await;
            let turns = metrics().turns - before.turns;
            assert!(turns < 20, "{turns} while nothing came, in round {round}");
            let polls = metrics().polls - before.polls;
            assert!(polls < 500, "{polls} while nothing came, in round {round}");
            if round == 0 {
                // All are woken, one is served.
                let sender = UdpSocket::bind(ANY).await?;
                sender.send_to(b"x", socket.local_addr()?).await?;
                drop(TcpStream::connect(listener.local_addr()?).await?);
            }
        }
        assert_eq!(tasks.iter().filter(|task| task.is_finished()).count(), 2);
        let sender = UdpSocket::bind(ANY).await?;
        let mut clients = Vec::new();
        for _ in 1..40 {
            sender.send_to(b"x", socket.local_addr()?).await?;
            clients.push(TcpStream::connect(listener.local_addr()?).await?);
        }
        for task in tasks {
            task.await.unwrap()?;
        }
        Ok(())
    })?
}

/// Tasks that are over are told from who waits, who is not even asked.
#[loop_test(timeout = "30s")]
async fn many_gave_up_and_who_waits_is_left_alone() -> io::Result<()> {
    let socket = Rc::new(UdpSocket::bind(ANY).await?);
    let wait = || {
        let socket = Rc::clone(&socket);
        spawn(async move { socket.recv(&mut [0; 8]).await })
    };
    let patient = wait();
    for _ in 0..200 {
        let hasty = wait();
        yield_now().await;
        hasty.abort();
        yield_now().await;
    }
    assert_eq!(patient.info().polls, 1);
    let sender = UdpSocket::bind(ANY).await?;
    sender.send_to(b"x", socket.local_addr()?).await?;
    assert_eq!(patient.await.unwrap()?, 1);
    Ok(())
}

/// A waker that panics among those that are asked: it is reported, and the rest are asked, and nothing
/// happens to the one who came last.
#[test]
fn a_waker_panics_among_many() -> io::Result<()> {
    struct Thrower;
    impl Wake for Thrower {
        fn wake(self: Arc<Self>) {
            panic!("a waker throws");
        }
    }
    let (event_loop, trace) = (EventLoop::new()?, Trace::new());
    note_reports(&event_loop, &trace);
    event_loop.run_until_complete(async {
        let socket = UdpSocket::bind(ANY).await?;
        let others: Vec<_> = (0..40).map(|_| Arc::new(Count::default())).collect();
        let wait = |waker: Waker| {
            let polled = pin!(socket.recv(&mut [0; 8])).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        };
        wait(Waker::from(Arc::new(Thrower)));
        others.iter().for_each(|other| wait(Waker::from(Arc::clone(other))));
        let woken = others.iter().filter(|other| other.count() > 0).count();
        assert_eq!(woken, 31, "32 are kept, before anybody is asked");
        Ok::<_, io::Error>(())
    })??;
    assert!(trace.take()[0].contains("exception in a waker"));
    Ok(())
}

/// A socket of another crate's, through `Async`, beside ours.
#[loop_test(timeout = "30s")]
async fn one_descriptor_under_two_owners_is_told_so() -> io::Result<()> {
    let (left, right) = pair().await?;
    let (mut left, _keep) = (left, right.clone());
    // A copy has a number of its own, and is registered for itself.
    let copy = Async::new(std::net::TcpStream::from(left.as_fd().try_clone_to_owned()?))?;
    let mut buffer = [0; 8];
    assert_waits(&mut left.read(&mut buffer)).await;
    assert_waits(&mut (&copy).read(&mut buffer)).await;
    (&right).write_all(b"x").await?;
    copy.readable().await?;
    assert_eq!(left.read(&mut buffer).await?, 1);
    assert_waits(&mut (&copy).read(&mut buffer)).await;
    drop(copy);
    (&right).write_all(b"yz").await?;
    assert_eq!(left.read(&mut buffer).await?, 2, "the copy took nothing of ours away");
    right.shutdown(Shutdown::Both)?;
    assert_eq!(left.read(&mut buffer).await?, 0);
    Ok(())
}

/// Reading std's way around the loop is between the two of them: a short read that was believed is
/// corrected by the next event.
#[loop_test(timeout = "30s")]
async fn read_around_the_loop_then_through_it() -> io::Result<()> {
    let (left, right) = pair().await?;
    let mut around = std::net::TcpStream::from(right.as_fd().try_clone_to_owned()?);
    let mut buffer = [0; 8];
    for _ in 0..10 {
        (&left).write_all(b"ab").await?;
        right.readable().await?;
        assert_eq!(around.read(&mut buffer[..1])?, 1);
        assert_eq!((&right).read(&mut buffer).await?, 1);
        assert_waits(&mut (&right).read(&mut buffer)).await;
    }
    Ok(())
}
