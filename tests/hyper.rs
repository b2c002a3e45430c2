//! hyper on the loop: whose handlers hold an `Rc`, and whose time-outs are the loop's.

mod support;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::{pending, poll_fn, ready};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::future::select;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::rt::{Executor, Read, ReadBuf, Sleep, Timer};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, client, server};
use loopbind::hyper::{HyperIo, LoopExecutor, LoopTimer};
use loopbind::net::UnixStream;
use loopbind::{EventLoop, loop_test, spawn, task, time, yield_now};
use support::{Trace, note_reports, panic_of, turn, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

/// What is left of a body, as text.
async fn text(mut body: Incoming) -> String {
    let mut whole = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            whole.extend_from_slice(&data);
        }
    }
    String::from_utf8(whole).unwrap()
}

/// A body of a length nobody knows, which stays on its thread.
struct Pieces(Rc<RefCell<VecDeque<&'static str>>>);

impl Pieces {
    fn of(pieces: &[&'static str]) -> Self {
        Pieces(Rc::new(RefCell::new(pieces.iter().copied().collect())))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.borrow_mut().pop_front();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
    }
}

/// Reads until `end` has come, and not further.
async fn read_to(stream: &mut UnixStream, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&read));
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

/// The server's side of HTTP/1, without what is another text each second.
fn http1() -> server::conn::http1::Builder {
    let mut http = server::conn::http1::Builder::new();
    http.timer(LoopTimer).auto_date_header(false);
    http
}

// The timer.

/// hyper's sleeps and ours are timers of one clock, and the order of their making breaks ties.
#[loop_test(virtual_time, seeds = 0..4)]
async fn sleeps_are_timers_of_the_loop() {
    let (trace, began) = (Trace::new(), time::now());
    let note = |name, sleep: Pin<Box<dyn Future<Output = ()>>>| {
        let trace = trace.clone();
        spawn(async move {
            sleep.await;
            let passed = (LoopTimer.now() - began).as_secs();
            assert_eq!(LoopTimer.now(), time::now());
            trace.note(format!("{name} at {passed}"));
        })
    };
    let tasks = [
        note("hyper's third", LoopTimer.sleep(3 * SECOND)),
        note("ours", Box::pin(loopbind::sleep(2 * SECOND))),
        note("hyper's second", LoopTimer.sleep_until(began + SECOND)),
        note("hyper's none", LoopTimer.sleep_until(began)),
        note("hyper's never", LoopTimer.sleep(Duration::MAX)),
    ];
    loopbind::sleep(4 * SECOND).await;
    trace.assert(&["hyper's none at 0", "hyper's second at 1", "ours at 2", "hyper's third at 3"]);
    for task in tasks {
        task.abort();
    }
}

/// Inside of a run from there, outside from its first poll.
#[test]
fn a_sleep_counts_from_its_making() {
    let (event_loop, outside) = (virtual_loop(), LoopTimer.sleep(2 * SECOND));
    event_loop
        .run_until_complete(async {
            let (began, inside) = (time::now(), LoopTimer.sleep(2 * SECOND));
            loopbind::sleep(SECOND).await;
            inside.await;
            assert_eq!(time::now() - began, 2 * SECOND);
            outside.await;
            assert_eq!(time::now() - began, 4 * SECOND);
        })
        .unwrap();
}

/// Moved before it is polled, while it waits, and after it is over; and one that is not ours is replaced.
#[loop_test(virtual_time)]
async fn a_sleep_is_reset() {
    struct Strange;
    impl Future for Strange {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            unreachable!("it was replaced")
        }
    }
    impl Sleep for Strange {}

    let began = time::now();
    let passed = move || (time::now() - began).as_secs();
    let mut sleep = LoopTimer.sleep(9 * SECOND);
    LoopTimer.reset(&mut sleep, began + SECOND);
    sleep.as_mut().await;
    assert_eq!(passed(), 1);
    LoopTimer.reset(&mut sleep, began + 2 * SECOND);
    sleep.as_mut().await;
    assert_eq!(passed(), 2);

    LoopTimer.reset(&mut sleep, began + 3 * SECOND);
    let waits = async {
        let mut moves = pin!(loopbind::sleep_until(began + 2 * SECOND + SECOND / 2));
        poll_fn(|cx| {
            if moves.as_mut().poll(cx).is_ready() && passed() == 2 {
                // Who waits is woken by the new one, polled again or not.
                LoopTimer.reset(&mut sleep, began + 5 * SECOND);
                return Poll::Pending;
            }
            sleep.as_mut().poll(cx)
        })
        .await;
        assert_eq!(passed(), 5);
    };
    waits.await;

    LoopTimer.reset(&mut sleep, began + 60 * SECOND);
    assert!(poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await.is_pending());
    LoopTimer.reset(&mut sleep, began + 6 * SECOND); // earlier, and not too late
    sleep.await;
    assert_eq!(passed(), 6);

    let mut strange: Pin<Box<dyn Sleep>> = Box::pin(Strange);
    LoopTimer.reset(&mut strange, began + 7 * SECOND);
    strange.await;
    assert_eq!(passed(), 7);
}

type Reset = Box<dyn FnOnce() + Send>;

/// Moved outside of its loop's runs, on this thread or another, or in another loop's run: who waits for it waits for
/// the new deadline.
#[test]
fn a_sleep_is_reset_from_outside_for_who_waits() {
    let event_loop = virtual_loop();
    let outside: [fn(Reset); 3] = [
        |reset| reset(),
        |reset| std::thread::spawn(reset).join().unwrap(),
        |reset| virtual_loop().run_until_complete(async { reset() }).unwrap(),
    ];
    for (number, call) in outside.into_iter().enumerate() {
        let now = || event_loop.run_until_complete(async { time::now() }).unwrap();
        let began = now();
        let sleep = Arc::new(Mutex::new(LoopTimer.sleep_until(began + 60 * SECOND)));
        let theirs = Arc::clone(&sleep);
        let polled = poll_fn(move |cx| theirs.lock().unwrap().as_mut().poll(cx));
        let waits = event_loop.create_task(polled);
        turn(&event_loop);
        let deadline = began + 5 * SECOND;
        call(Box::new(move || LoopTimer.reset(&mut sleep.lock().unwrap(), deadline)));
        let ended = event_loop.run_until_complete(waits);
        assert!(matches!(ended, Ok(Ok(()))), "{number}: {ended:?}");
        assert_eq!(now(), deadline, "{number}");
    }
}

/// One that was polled here, and was dropped on another thread: its waker is dropped here, by the loop.
#[test]
fn a_sleep_dropped_on_another_thread_is_taken_back_at_home() {
    let event_loop = virtual_loop();
    let mut sleep = LoopTimer.sleep(60 * SECOND);
    let task = event_loop.create_task(poll_fn(move |cx| {
        assert!(sleep.as_mut().poll(cx).is_pending());
        let elsewhere = std::mem::replace(&mut sleep, LoopTimer.sleep(SECOND));
        Poll::Ready(elsewhere)
    }));
    turn(&event_loop);
    let sleep = event_loop.run_until_complete(task).unwrap().unwrap();
    assert!(event_loop.next_deadline().is_some());
    std::thread::spawn(move || drop(sleep)).join().unwrap();
    assert_eq!(turn(&event_loop), 1, "the taking back");
    assert_eq!(event_loop.next_deadline(), None);
}

/// So it is where the thread is the loop's, and the loop does not run; and where another runs.
#[test]
fn a_sleep_dropped_outside_of_its_loops_runs_is_taken_back_by_the_next() {
    let (event_loop, other) = (virtual_loop(), virtual_loop());
    for drop_it in [drop::<Pin<Box<dyn Sleep>>>, |sleep| {
        let other = virtual_loop();
        other.run_until_complete(async move { drop(sleep) }).unwrap();
    }] {
        let mut sleep = LoopTimer.sleep(60 * SECOND);
        let polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
        assert!(event_loop.run_until_complete(polled).unwrap().is_pending());
        drop_it(sleep);
        assert!(event_loop.next_deadline().is_some());
        assert_eq!(turn(&event_loop), 1);
        assert_eq!(event_loop.next_deadline(), None);
    }

    // In its own run, at once.
    let (mut sleep, looks) = (LoopTimer.sleep(60 * SECOND), event_loop.clone());
    event_loop
        .run_until_complete(async move {
            poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)))
                .await
                .is_pending()
                .then_some(())
                .unwrap();
            drop(sleep);
            assert_eq!(looks.next_deadline(), None);
        })
        .unwrap();

    // Closed meanwhile, it has no timers.
    let mut sleep = LoopTimer.sleep(60 * SECOND);
    let polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
    assert!(other.run_until_complete(polled).unwrap().is_pending());
    other.close().unwrap();
    drop(sleep);
}

/// Polled by another loop it waits for that one's clock, and is nothing to the first any more.
#[test]
fn a_sleep_moves_with_its_future() {
    let (first, second) = (virtual_loop(), virtual_loop());
    let mut sleep = LoopTimer.sleep(60 * SECOND);
    let polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
    assert!(first.run_until_complete(polled).unwrap().is_pending());
    // On another thread, with a loop there that has a timer of the same key.
    let slept = std::thread::spawn(move || {
        let third = virtual_loop();
        drop(third.call_later(3600 * SECOND, || {}));
        let before = third.time();
        third.run_until_complete(sleep).unwrap();
        (third.time() - before).as_secs()
    });
    let slept = slept.join().unwrap();
    assert!(
        (50..=60).contains(&slept),
        "{slept} seconds: made before its loop, and counted from there"
    );
    assert_eq!(turn(&first), 1);
    assert_eq!(first.next_deadline(), None);
    second.run_until_complete(LoopTimer.sleep(SECOND)).unwrap();
}

/// One that never ends does not end there, either, whichever clock began first.
#[test]
fn a_sleep_without_end_moves_and_never_ends() {
    let loops = [virtual_loop(), virtual_loop(), virtual_loop()];
    let sleep = loops[1].run_until_complete(async { Some(LoopTimer.sleep(Duration::MAX)) });
    let mut sleep = sleep.unwrap().unwrap();
    for event_loop in &loops {
        let polled = poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx)));
        assert!(event_loop.run_until_complete(polled).unwrap().is_pending());
        assert_eq!(event_loop.next_deadline(), None);
    }
}

#[test]
fn a_sleep_polled_outside_of_runs_says_so() {
    let mut sleep = LoopTimer.sleep(SECOND);
    let said = panic_of(|| sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    assert_eq!(said, "no running event loop");
    assert!(panic_of(|| LoopExecutor.execute(async {})).contains("no running event loop"));
}

// The executor.

/// What is executed runs in the order of asking, need not be `Send`, and reports its panic.
#[test]
fn the_executors_futures_are_tasks_of_the_loop() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let ours = trace.clone();
    event_loop.call_soon(move || {
        let shared = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let (ours, shared) = (ours.clone(), Rc::clone(&shared));
            LoopExecutor.execute(async move {
                shared.set(shared.get() + 1);
                ours.note(format!("task {}", shared.get()));
                yield_now().await;
                assert!(shared.get() < 2, "twice");
            });
        }
        ours.note("asked");
    });
    for _ in 0..3 {
        turn(&event_loop);
    }
    let report = "Task exception was never retrieved: twice";
    trace.assert(&["asked", "task 1", "task 2", report, report]);
    assert_eq!(event_loop.all_tasks().len(), 0);
}

/// Nobody could await it: a test that leaves it behind has leaked nothing.
#[loop_test(virtual_time)]
async fn what_is_executed_is_detached() {
    LoopExecutor.execute(pending::<()>());
    yield_now().await;
}

// The stream.

/// Says what it was offered, and then what it is told to.
struct Scripted(Rc<RefCell<Vec<usize>>>, VecDeque<io::Result<usize>>);

impl AsyncRead for Scripted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        assert!(buffer.iter().all(|byte| *byte == 0), "memory that nobody wrote to");
        self.0.borrow_mut().push(buffer.len());
        let Some(answer) = self.1.pop_front() else { return Poll::Pending };
        if let Ok(count) = answer {
            let count = count.min(buffer.len());
            buffer[..count].fill(7);
        }
        Poll::Ready(answer)
    }
}

#[test]
fn a_read_is_what_the_stream_says_and_fits() {
    let offered = Rc::new(RefCell::new(Vec::new()));
    let answers = [Ok(3), Ok(0), Err(io::ErrorKind::ConnectionReset.into())];
    let mut stream = HyperIo(Scripted(Rc::clone(&offered), answers.into()));
    let mut cx = Context::from_waker(Waker::noop());
    let mut memory = [std::mem::MaybeUninit::new(9); 100_000];

    let mut buffer = ReadBuf::uninit(&mut memory);
    assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_ready());
    assert_eq!(buffer.filled(), [7; 3]);
    // The end: nothing comes on top.
    assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_ready());
    assert_eq!(buffer.filled(), [7; 3]);
    let Poll::Ready(Err(error)) = Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled())
    else {
        panic!("no error")
    };
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_pending());
    assert_eq!(buffer.filled(), [7; 3]);

    // What is short is offered whole, and what is long in part.
    let mut short = [std::mem::MaybeUninit::uninit(); 10];
    let mut buffer = ReadBuf::uninit(&mut short);
    assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_pending());
    assert_eq!(*offered.borrow(), [65536, 65536, 65536, 65536, 10]);
}

/// What is short goes by memory of the loop's, which is as clear each time, whoever wrote to it before.
#[test]
fn a_short_read_in_a_run_is_what_the_stream_says_and_fits() {
    let event_loop = virtual_loop();
    let read = || {
        let offered = Rc::new(RefCell::new(Vec::new()));
        let answers = [Ok(3), Ok(0), Err(io::ErrorKind::ConnectionReset.into()), Ok(10)];
        let mut stream = HyperIo(Scripted(Rc::clone(&offered), answers.into()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut memory = [std::mem::MaybeUninit::uninit(); 10];
        let mut buffer = ReadBuf::uninit(&mut memory);
        assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_ready());
        assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_ready());
        assert_eq!(buffer.filled(), [7; 3]);
        let polled = Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled());
        assert!(
            matches!(polled, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset)
        );
        buffer.unfilled().put_slice(&[9]);
        let said = panic_of(|| Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()));
        assert_eq!(said, "a stream read 10 bytes into 6");
        assert_eq!(buffer.filled(), [7, 7, 7, 9]);
        assert_eq!(*offered.borrow(), [10, 7, 7, 6]);
    };
    read(); // outside
    event_loop.run_until_complete(async { (read(), read()) }).unwrap();
}

/// Reads another stream as it is read itself, and says the same.
struct Within(HyperIo<Scripted>);

impl AsyncRead for Within {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        assert!(buffer.iter().all(|byte| *byte == 0), "memory that nobody cleared");
        buffer[0] = 1;
        let mut inner = [std::mem::MaybeUninit::uninit(); 10];
        let mut inner = ReadBuf::uninit(&mut inner);
        assert!(Pin::new(&mut self.0).poll_read(cx, inner.unfilled()).is_ready());
        buffer[1..4].copy_from_slice(inner.filled());
        Poll::Ready(Ok(4))
    }
}

#[loop_test(virtual_time)]
async fn a_stream_that_reads_another_as_it_is_read() {
    let answers = [Ok(3), Ok(3)];
    let mut stream = HyperIo(Within(HyperIo(Scripted(Rc::default(), answers.into()))));
    let mut cx = Context::from_waker(Waker::noop());
    let mut memory = [std::mem::MaybeUninit::uninit(); 10];
    let mut buffer = ReadBuf::uninit(&mut memory);
    for _ in 0..2 {
        assert!(Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled()).is_ready());
    }
    assert_eq!(buffer.filled(), [1, 7, 7, 7, 1, 7, 7, 7]);
}

/// A stream that claims to have read what it cannot have: no byte of it is believed.
#[test]
fn a_read_that_claims_too_much_is_a_panic() {
    let mut stream = HyperIo(Scripted(Rc::default(), [Ok(11)].into()));
    let mut short = [std::mem::MaybeUninit::uninit(); 10];
    let mut buffer = ReadBuf::uninit(&mut short);
    let said = panic_of(|| {
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut stream).poll_read(&mut cx, buffer.unfilled())
    });
    assert_eq!(said, "a stream read 11 bytes into 10");
    assert_eq!(buffer.filled(), []);
}

/// Reads one request, then nothing; says how it is written to, and when that is flushed.
struct Recording {
    trace: Trace,
    request: Option<&'static [u8]>,
    is_written_to: bool,
}

impl AsyncRead for Recording {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(request) = self.request.take() else { return Poll::Pending };
        buffer[..request.len()].copy_from_slice(request);
        Poll::Ready(Ok(request.len()))
    }
}

impl AsyncWrite for Recording {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.is_written_to = true;
        self.trace.note(format!("write {}", String::from_utf8_lossy(bytes)));
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let texts: Vec<_> = slices.iter().map(|slice| String::from_utf8_lossy(slice)).collect();
        self.is_written_to = true;
        self.trace.note(format!("write {texts:?}"));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.is_written_to) {
            self.trace.note("flush");
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.trace.note("close");
        Poll::Ready(Ok(()))
    }
}

/// An answer is one write, of pieces that are not copied together; then it is flushed, and the stream closed.
#[loop_test(virtual_time)]
async fn an_answer_is_one_write() {
    let trace = Trace::new();
    let stream = HyperIo(Recording {
        trace: trace.clone(),
        request: Some(b"GET / HTTP/1.0\r\n\r\n"),
        is_written_to: false,
    });
    let service = service_fn(|_: Request<Incoming>| async {
        Ok::<_, Infallible>(Response::new("body".to_owned()))
    });
    http1().serve_connection(stream, service).await.unwrap();
    trace.assert(&[
        r#"write ["HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\n", "body"]"#,
        "flush",
        "close",
    ]);
}

/// Of futures-io, in hyper's traits, and back: the same bytes, the same end.
#[loop_test(virtual_time, seeds = 0..4)]
async fn a_stream_there_and_back() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (mut ours, mut theirs) = (HyperIo(HyperIo(ours)), theirs);
    let echo = spawn(async move {
        let mut text = String::new();
        theirs.read_to_string(&mut text).await.unwrap();
        theirs.write_all(text.to_uppercase().as_bytes()).await.unwrap();
    });
    let slices = [io::IoSlice::new(b"half "), io::IoSlice::new(b"way")];
    assert_eq!(ours.write_vectored(&slices).await.unwrap(), 8);
    ours.write_all(b" there").await.unwrap();
    ours.flush().await.unwrap();
    ours.close().await.unwrap();
    let mut text = String::new();
    ours.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "HALF WAY THERE");
    echo.await.unwrap();
}

// HTTP/1.

/// Two requests, one connection, one count without a lock; the second body comes in pieces both ways.
#[loop_test(virtual_time, seeds = 0..8)]
async fn a_connection_is_kept_alive_and_bodies_come_in_pieces() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let served = Rc::new(Cell::new(0));
    let counts = Rc::clone(&served);
    let service = service_fn(move |request: Request<Incoming>| {
        let counts = Rc::clone(&counts);
        async move {
            counts.set(counts.get() + 1);
            let said = text(request.into_body()).await;
            assert_eq!(said, if counts.get() == 2 { "one two" } else { "" });
            Ok::<_, Infallible>(Response::new(Pieces::of(&["three ", "four"])))
        }
    });
    let connection = spawn(http1().serve_connection(HyperIo(server), service));

    let answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nthree \r\n4\r\nfour\r\n0\r\n\r\n";
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    assert_eq!(read_to(&mut client, "0\r\n\r\n").await, answer);
    let post = "POST / HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n";
    for piece in [post, "4\r\none ", "\r\n3\r\ntwo\r\n", "0\r\n\r\n"] {
        client.write_all(piece.as_bytes()).await.unwrap();
        yield_now().await;
    }
    assert_eq!(read_to(&mut client, "0\r\n\r\n").await, answer);
    assert_eq!(served.get(), 2);
    client.close().await.unwrap();
    connection.await.unwrap().unwrap();
}

/// Headers that do not come: the connection ends when the time is over, on the loop's clock, and says why.
#[loop_test(virtual_time, seeds = 0..4)]
async fn headers_have_a_deadline() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let service = service_fn(|_: Request<Incoming>| async {
        loopbind::sleep(60 * SECOND).await; // an answer may take its time
        Ok::<_, Infallible>(Response::new(String::new()))
    });
    let mut http = http1();
    http.header_read_timeout(10 * SECOND);
    let connection = spawn(http.serve_connection(HyperIo(server), service));
    let began = time::now();
    client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    read_to(&mut client, "\r\n\r\n").await;
    assert_eq!(time::now() - began, 60 * SECOND);
    loopbind::sleep(7 * SECOND).await;
    client.write_all(b"GET / HTTP/1.1\r\nhos").await.unwrap();
    let error = connection.await.unwrap().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(time::now() - began, 70 * SECOND, "the connection's second request");
    assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
}

/// Asked to end, a connection answers what it was asked, says that it closes, and closes; an idle one closes.
#[loop_test(virtual_time)]
async fn a_connection_ends_gracefully() {
    let trace = Trace::new();
    let (mut idle, idle_server) = UnixStream::pair().unwrap();
    let (mut busy, busy_server) = UnixStream::pair().unwrap();
    let serve = |stream, name: &'static str| {
        let (ours, theirs) = (trace.clone(), trace.clone());
        let service = service_fn(move |_: Request<Incoming>| {
            let ours = ours.clone();
            async move {
                ours.note("begun");
                loopbind::sleep(5 * SECOND).await;
                ours.note("answered");
                Ok::<_, Infallible>(Response::new("done".to_owned()))
            }
        });
        spawn(async move {
            let mut connection = pin!(http1().serve_connection(HyperIo(stream), service));
            select(connection.as_mut(), pin!(task::cancelled())).await;
            connection.as_mut().graceful_shutdown();
            connection.await.unwrap();
            theirs.note(format!("{name} closed"));
        })
    };
    let tasks = [serve(idle_server, "idle"), serve(busy_server, "busy")];
    busy.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
    loopbind::sleep(SECOND).await;
    trace.assert(&["begun"]);
    for task in &tasks {
        task.cancel();
    }
    assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
    let mut answer = String::new();
    busy.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ndone");
    for task in tasks {
        task.await.unwrap();
    }
    trace.assert(&["idle closed", "answered", "busy closed"]);
}

/// Another protocol on the same stream: the connection gives it back, with what it had read too far.
#[loop_test(virtual_time, seeds = 0..4)]
async fn a_connection_is_upgraded_without_send() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let service = service_fn(|request: Request<Incoming>| {
        let mut answer = Response::new(String::new());
        *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        answer.headers_mut().extend([
            (hyper::header::CONNECTION, "upgrade".parse().unwrap()),
            (hyper::header::UPGRADE, request.headers()["upgrade"].clone()),
        ]);
        ready(Ok::<_, Infallible>(answer)) // a future that may be moved: the last two calls want it
    });
    let upgraded = spawn(async move {
        let mut connection = http1().serve_connection(HyperIo(server), service);
        poll_fn(|cx| connection.poll_without_shutdown(cx)).await.unwrap();
        let parts = connection.into_parts();
        let (mut stream, mut said) = (parts.io.0, parts.read_buf.to_vec());
        stream.read_to_end(&mut said).await.unwrap();
        said.reverse();
        stream.write_all(&said).await.unwrap();
    });
    let asked =
        "GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: reverse\r\n\r\n!ti ";
    client.write_all(asked.as_bytes()).await.unwrap();
    assert_eq!(
        read_to(&mut client, "\r\n\r\n").await,
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: reverse\r\n\r\n"
    );
    client.write_all(b"si siht").await.unwrap();
    client.close().await.unwrap();
    let mut said = String::new();
    client.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "this is it!");
    upgraded.await.unwrap();
}

// HTTP/2.

type Http2Sender = client::conn::http2::SendRequest<String>;

/// A client and a connection's two tasks; the server's with a service that holds an `Rc`, and answers after as many
/// seconds as the path says.
async fn http2(
    trace: &Trace,
    configure: impl FnOnce(&mut server::conn::http2::Builder<LoopExecutor>),
) -> (Http2Sender, [task::Task<hyper::Result<()>>; 2]) {
    let (client, server) = UnixStream::pair().unwrap();
    let (trace, under_way) = (trace.clone(), Rc::new(Cell::new(0)));
    let service = service_fn(move |request: Request<Incoming>| {
        let (trace, under_way) = (trace.clone(), Rc::clone(&under_way));
        async move {
            let path = request.uri().path()[1..].to_owned();
            let _probe = trace.probe(&path);
            under_way.set(under_way.get() + 1);
            trace.note(format!("{path} begun, {} under way", under_way.get()));
            let seconds: u32 = path.parse().unwrap_or_else(|_| panic!("no number: {path}"));
            loopbind::sleep(seconds * SECOND).await;
            under_way.set(under_way.get() - 1);
            Ok::<_, Infallible>(Response::new(Pieces::of(&["after ", "a while"])))
        }
    });
    let mut http = server::conn::http2::Builder::new(LoopExecutor);
    configure(http.timer(LoopTimer));
    let serves = spawn(http.serve_connection(HyperIo(server), service));
    let mut http = client::conn::http2::Builder::new(LoopExecutor);
    let (sender, connection) = http.timer(LoopTimer).handshake(HyperIo(client)).await.unwrap();
    (sender, [spawn(connection), serves])
}

fn get(path: &str) -> Request<String> {
    Request::get(format!("http://here/{path}")).body(String::new()).unwrap()
}

/// Streams of one connection run beside each other, and share what is not `Send`.
#[loop_test(virtual_time, seeds = 0..8)]
async fn streams_run_beside_each_other() {
    let (trace, began) = (Trace::new(), time::now());
    let (mut sender, connection) = http2(&trace, |_| {}).await;
    let ask = |answer| {
        let trace = trace.clone();
        spawn(async move {
            let answer: hyper::Result<Response<Incoming>> = answer.await;
            let answer = answer.unwrap();
            assert_eq!(text(answer.into_body()).await, "after a while");
            trace.note(format!("answered at {}", (time::now() - began).as_secs()));
        })
    };
    let long = ask(sender.send_request(get("3")));
    loopbind::sleep(SECOND).await;
    let short = ask(sender.send_request(get("1")));
    short.await.unwrap();
    long.await.unwrap();
    trace.assert(&[
        "3 begun, 1 under way",
        "1 begun, 2 under way",
        "1 dropped",
        "answered at 2",
        "3 dropped",
        "answered at 3",
    ]);
    drop(sender);
    for task in connection {
        task.await.unwrap().unwrap();
    }
}

/// What nobody waits for any more is dropped at the server, at home; and a panic ends one stream, and is reported.
#[test]
fn a_stream_that_is_given_up_or_panics_is_the_only_one() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let ours = trace.clone();
    event_loop
        .run_until_complete(async move {
            let (mut sender, connection) = http2(&ours, |_| {}).await;
            let given_up = loopbind::timeout(SECOND, sender.send_request(get("60"))).await;
            assert!(given_up.is_err());
            loopbind::sleep(SECOND).await;
            ours.assert(&["60 begun, 1 under way", "60 dropped"]);
            let error = sender.send_request(get("word")).await.unwrap_err();
            assert!(!error.is_closed(), "{error:?}");
            ours.note("an error");
            sender.send_request(get("0")).await.unwrap();
            drop(sender);
            for task in connection {
                task.await.unwrap().unwrap();
            }
        })
        .unwrap();
    trace.assert(&[
        "word begun, 2 under way",
        "word dropped",
        "Task exception was never retrieved: no number: word",
        "an error",
        "0 begun, 3 under way",
        "0 dropped",
    ]);
    assert_eq!(event_loop.all_tasks().len(), 0);
}

/// On HTTP/2 hyper's own way of upgrading works: its streams are `Send`, and in here they have futures-io's traits.
#[loop_test(virtual_time, seeds = 0..4)]
async fn a_stream_is_upgraded() {
    let (client, server) = UnixStream::pair().unwrap();
    let service = service_fn(|mut request: Request<Incoming>| {
        let upgraded = hyper::upgrade::on(&mut request);
        spawn(async move {
            let (mut stream, mut said) = (HyperIo(upgraded.await.unwrap()), String::new());
            stream.read_to_string(&mut said).await.unwrap();
            stream.write_all(said.to_uppercase().as_bytes()).await.unwrap();
            stream.close().await.unwrap();
        })
        .detach();
        ready(Ok::<_, Infallible>(Response::new(String::new())))
    });
    let mut http = server::conn::http2::Builder::new(LoopExecutor);
    http.enable_connect_protocol();
    let serves = spawn(http.serve_connection(HyperIo(server), service));
    let (mut sender, connection) =
        client::conn::http2::handshake(LoopExecutor, HyperIo(client)).await.unwrap();
    let connection = spawn(connection);
    let connect = Request::connect("there:443").body(String::new()).unwrap();
    let upgraded = hyper::upgrade::on(sender.send_request(connect).await.unwrap());
    let (mut stream, mut said) = (HyperIo(upgraded.await.unwrap()), String::new());
    stream.write_all(b"tunnel").await.unwrap();
    stream.close().await.unwrap();
    stream.read_to_string(&mut said).await.unwrap();
    assert_eq!(said, "TUNNEL");
    drop((sender, stream));
    connection.await.unwrap().unwrap();
    serves.await.unwrap().unwrap();
}

/// A peer that answers no ping is given up, at the time that was set, on the loop's clock.
#[loop_test(virtual_time)]
async fn a_silent_peer_is_given_up_in_time() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let service =
        service_fn(|_: Request<Incoming>| pending::<Result<Response<String>, Infallible>>());
    let mut http = server::conn::http2::Builder::new(LoopExecutor);
    http.timer(LoopTimer).keep_alive_interval(20 * SECOND).keep_alive_timeout(5 * SECOND);
    let connection = spawn(http.serve_connection(HyperIo(server), service));
    let began = time::now();
    // The preface, with settings: an HTTP/2 client, who says no more.
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let error = connection.await.unwrap().unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(time::now() - began, 25 * SECOND);
}

/// A whole program: made, served, ended; nothing of it is left, no task, no timer.
#[test]
fn nothing_is_left_of_a_connection() {
    let event_loop = EventLoop::builder().virtual_time(true).build().unwrap();
    let trace = Trace::new();
    event_loop
        .run_until_complete(async {
            let (mut sender, tasks) = http2(&trace, |http| {
                http.keep_alive_interval(7 * SECOND);
            })
            .await;
            sender.send_request(get("60")).await.unwrap();
            drop(sender);
            for task in tasks {
                task.await.unwrap().unwrap();
            }
        })
        .unwrap();
    assert_eq!(event_loop.all_tasks().len(), 0);
    assert_eq!(event_loop.next_deadline(), None);
}
