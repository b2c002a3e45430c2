//! How a connection of hyper's ends, and what is left of it then: by its task, its loop, its handler or its peer. What a
//! handler holds is an `Rc`, and is dropped once, on its own thread.

mod support;

use std::cell::RefCell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, join_all, select};
use futures::{AsyncReadExt, AsyncWriteExt};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use loopbind::hyper::{HyperIo, LoopExecutor, LoopTimer};
use loopbind::net::{TcpStream, UnixStream, start_server};
use loopbind::sync::Event;
use loopbind::{loop_test, spawn, time};
use support::{Probe, Trace, note_reports, virtual_loop};

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

use Protocol::{Http1, Http2};

/// A body in pieces of 10,000 bytes, which stays on its thread.
struct Long {
    left: usize,
    byte: u8,
    _probe: Option<Rc<Probe>>,
}

impl Long {
    fn of(pieces: usize, byte: u8) -> Self {
        Long { left: pieces, byte, _probe: None }
    }
}

impl Body for Long {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(Ok(Frame::data(vec![self.byte; 10_000].into()))))
    }
}

async fn next(body: &mut Incoming) -> Option<hyper::Result<Bytes>> {
    let frame = poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

/// How much is left of a body, all of which is this byte.
async fn count(mut body: Incoming, byte: u8) -> usize {
    let mut bytes = 0;
    while let Some(data) = next(&mut body).await {
        let data = data.unwrap();
        assert!(data.iter().all(|it| *it == byte));
        bytes += data.len();
    }
    bytes
}

/// Serves until the connection ends, and has it wind up once `ending` is set.
async fn serve<F, B>(
    protocol: Protocol,
    stream: UnixStream,
    ending: Rc<Event>,
    answer: impl Fn(Request<Incoming>) -> F + 'static,
) -> hyper::Result<()>
where
    F: Future<Output = Response<B>> + 'static,
    B: Body<Data = Bytes, Error = Infallible> + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async { Ok::<_, Infallible>(answer.await) }
    });
    match protocol {
        Http1 => {
            let mut http = server::conn::http1::Builder::new();
            let http = http.timer(LoopTimer).header_read_timeout(10 * SECOND);
            let mut connection = pin!(http.serve_connection(HyperIo(stream), service));
            if let Either::Left((outcome, _)) =
                select(connection.as_mut(), pin!(ending.wait())).await
            {
                return outcome;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        Http2 => {
            let mut http = server::conn::http2::Builder::new(LoopExecutor);
            http.timer(LoopTimer).keep_alive_interval(20 * SECOND);
            http.initial_stream_window_size(16_384).initial_connection_window_size(1_000_000);
            let mut connection = pin!(http.serve_connection(HyperIo(stream), service));
            if let Either::Left((outcome, _)) =
                select(connection.as_mut(), pin!(ending.wait())).await
            {
                return outcome;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    }
}

/// Sends one request, and gives the answer, with what keeps the connection.
async fn ask(
    protocol: Protocol,
    stream: UnixStream,
    body: Long,
) -> (hyper::Result<Response<Incoming>>, Box<dyn std::any::Any>) {
    match protocol {
        Http1 => {
            let (mut sender, connection) =
                client::conn::http1::handshake(HyperIo(stream)).await.unwrap();
            spawn(connection).detach();
            let request = Request::post("/").header("host", "here").body(body).unwrap();
            (sender.send_request(request).await, Box::new(sender))
        }
        Http2 => {
            let (mut sender, connection) = http2(stream).await;
            spawn(connection).detach();
            let request = Request::post("http://here/").body(body).unwrap();
            (sender.send_request(request).await, Box::new(sender))
        }
    }
}

type Http2Client = client::conn::http2::Connection<HyperIo<UnixStream>, Long, LoopExecutor>;

/// A client who takes that much of each stream, and of all of them, before it is asked for more.
async fn http2(stream: UnixStream) -> (client::conn::http2::SendRequest<Long>, Http2Client) {
    let mut http = client::conn::http2::Builder::new(LoopExecutor);
    http.timer(LoopTimer);
    http.initial_stream_window_size(16_384).initial_connection_window_size(1_000_000);
    http.handshake(HyperIo(stream)).await.unwrap()
}

/// Two hundred at once, each with a body both ways that is longer than its window, and all of them longer than the
/// connection's: every byte comes, and each its own.
#[loop_test(virtual_time, seeds = 0..2)]
async fn two_hundred_streams_with_long_bodies_come_whole() {
    let (client, stream) = UnixStream::pair().unwrap();
    let (waiting, all_came) = (Rc::new(RefCell::new(0)), Rc::new(Event::new()));
    let served = spawn(serve(Http2, stream, Rc::default(), move |request| {
        let (waiting, all_came) = (Rc::clone(&waiting), Rc::clone(&all_came));
        async move {
            *waiting.borrow_mut() += 1;
            if *waiting.borrow() == 200 {
                all_came.set();
            }
            all_came.wait().await;
            let byte = request.uri().path()[1..].parse().unwrap();
            assert_eq!(count(request.into_body(), byte).await, 30_000);
            Response::new(Long::of(4, byte))
        }
    }));
    let (sender, connection) = http2(client).await;
    let connection = spawn(connection);
    let asked = (0..200_u8).map(|number| {
        let mut sender = sender.clone();
        async move {
            let request = Request::post(format!("http://here/{number}"));
            let answer = sender.send_request(request.body(Long::of(3, number)).unwrap()).await;
            assert_eq!(count(answer.unwrap().into_body(), number).await, 40_000);
        }
    });
    join_all(asked).await;
    drop(sender);
    connection.await.unwrap().unwrap();
    served.await.unwrap().unwrap();
}

/// The connection's task is cancelled: so are its handlers, on HTTP/2 those that are tasks of their own.
#[test]
fn cancelled_with_its_handlers() {
    for protocol in [Http1, Http2] {
        let (event_loop, trace) = (virtual_loop(), Trace::new());
        let ours = trace.clone();
        event_loop
            .run_until_complete(async move {
                let (client, stream) = UnixStream::pair().unwrap();
                let trace = ours.clone();
                let served = spawn(serve(protocol, stream, Rc::default(), move |_| {
                    let probe = Rc::new(trace.probe("handler"));
                    async move {
                        let _probe = probe;
                        pending::<Response<Long>>().await
                    }
                }));
                let asks = spawn(async move { ask(protocol, client, Long::of(0, 0)).await.0 });
                loopbind::sleep(SECOND).await;
                ours.assert(&[]);
                served.cancel();
                assert!(served.await.unwrap_err().is_cancelled());
                assert!(asks.await.unwrap().is_err());
                ours.assert(&["handler dropped"]);
            })
            .unwrap();
        assert_eq!((event_loop.all_tasks().len(), event_loop.next_deadline()), (0, None));
    }
}

/// The loop is closed meanwhile: handlers are dropped there, and so are their timers.
#[test]
fn closed_with_its_loop() {
    for protocol in [Http1, Http2] {
        let (event_loop, trace) = (virtual_loop(), Trace::new());
        let (client, stream) = UnixStream::pair().unwrap();
        let ours = trace.clone();
        let answer = move |_| {
            let probe = ours.probe("handler");
            async move {
                let _probe = probe;
                use hyper::rt::Timer;
                LoopTimer.sleep(3600 * SECOND).await;
                Response::new(Long::of(0, 0))
            }
        };
        event_loop.create_task(serve(protocol, stream, Rc::default(), answer)).detach();
        event_loop.create_task(ask(protocol, client, Long::of(0, 0))).detach();
        event_loop.run_until_complete(loopbind::sleep(SECOND)).unwrap();
        trace.assert(&[]);
        event_loop.close().unwrap();
        trace.assert(&["handler dropped"]);
    }
}

/// A handler's panic is the end of its connection on HTTP/1, is reported once, and the server goes on.
#[test]
fn panicked_and_the_others_are_served() {
    let (event_loop, trace) = (virtual_loop(), Trace::new());
    note_reports(&event_loop, &trace);
    let ours = trace.clone();
    event_loop
        .run_until_complete(async move {
            let server = start_server(("127.0.0.1", 0), move |stream, _| {
                let service = service_fn(|request: Request<Incoming>| async move {
                    assert_ne!(request.uri().path(), "/tea", "no more tea");
                    Ok::<_, Infallible>(Response::new("water".to_owned()))
                });
                let http = server::conn::http1::Builder::new();
                let connection = http.serve_connection(HyperIo(stream), service);
                async move { connection.await.unwrap() }
            });
            let server = server.await.unwrap();
            for (path, answered) in [("/tea", false), ("/water", true)] {
                let mut stream = TcpStream::connect(server.local_addrs()).await.unwrap();
                let request = format!("GET {path} HTTP/1.0\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                assert_eq!(answer.ends_with("\r\n\r\nwater"), answered, "{answer}");
            }
            server.shut_down(SECOND).await;
            let reports = ours.take();
            assert_eq!(reports.len(), 1, "{reports:?}");
            assert!(reports[0].contains("no more tea"), "{reports:?}");
        })
        .unwrap();
    assert_eq!(event_loop.all_tasks().len(), 0);
}

/// A peer that has said all it has to say hears the answer, if the server takes that for no end: hyper's `half_close`.
#[loop_test(virtual_time, seeds = 0..2)]
async fn half_closed_by_a_peer_who_listens() {
    for half_close in [true, false] {
        let trace = Trace::new();
        let (mut client, stream) = UnixStream::pair().unwrap();
        let ours = trace.clone();
        let service = service_fn(move |_: Request<Incoming>| {
            let probe = ours.probe("handler");
            async move {
                let _probe = probe;
                loopbind::sleep(SECOND).await;
                Ok::<_, Infallible>(Response::new("late".to_owned()))
            }
        });
        let mut http = server::conn::http1::Builder::new();
        let http = http.half_close(half_close);
        let connection = spawn(http.serve_connection(HyperIo(stream), service));
        client.write_all(b"GET / HTTP/1.1\r\nhost: here\r\n\r\n").await.unwrap();
        client.close().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.ends_with("\r\n\r\nlate"), half_close);
        let outcome = connection.await.unwrap();
        assert_eq!(
            outcome.map_err(|error| error.is_incomplete_message()),
            match half_close {
                true => Ok(()),
                false => Err(true),
            }
        );
        trace.assert(&["handler dropped"]);
    }
}

/// Bodies of which the handler reads one piece: their client is answered all the same, and the connection goes on.
#[loop_test(virtual_time, seeds = 0..2)]
async fn answered_half_way_through_a_body() {
    let (client, stream) = UnixStream::pair().unwrap();
    let served = spawn(serve(Http2, stream, Rc::default(), |request| async move {
        let mut body = request.into_body();
        assert!(!next(&mut body).await.unwrap().unwrap().is_empty());
        Response::new(Long::of(1, 5))
    }));
    let (mut sender, connection) = http2(client).await;
    let connection = spawn(connection);
    for _ in 0..10 {
        let request = Request::post("http://here/").body(Long::of(200, 1)).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(count(answer.into_body(), 5).await, 10_000);
    }
    drop(sender);
    connection.await.unwrap().unwrap();
    served.await.unwrap().unwrap();
}

/// A peer who goes while the answer is on its way: the connection says so, and the body is dropped.
#[loop_test(virtual_time)]
async fn left_by_a_peer_half_way_through_the_answer() {
    for protocol in [Http1, Http2] {
        let trace = Trace::new();
        let (client, stream) = UnixStream::pair().unwrap();
        let ours = trace.clone();
        let served = spawn(serve(protocol, stream, Rc::default(), move |_| {
            let body = Long { _probe: Some(Rc::new(ours.probe("body"))), ..Long::of(1000, 1) };
            async { Response::new(body) }
        }));
        let (answer, sender) = ask(protocol, client, Long::of(0, 0)).await;
        let mut body = answer.unwrap().into_body();
        assert!(next(&mut body).await.unwrap().is_ok());
        trace.assert(&[]);
        drop((body, sender));
        let outcome = served.await.unwrap();
        if protocol == Http1 {
            assert!(outcome.is_err());
        }
        trace.assert(&["body dropped"]);
    }
}

/// A byte now and then keeps nobody waiting for longer than the header's time: it is one for all of it.
#[loop_test(virtual_time, seeds = 0..2)]
async fn fed_a_byte_at_a_time_it_ends_in_time() {
    let (mut client, stream) = UnixStream::pair().unwrap();
    let served = spawn(serve(Http1, stream, Rc::default(), |_| pending::<Response<Long>>()));
    let began = time::now();
    let feeds = spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nhost: ".iter().chain(std::iter::repeat(&b'h')) {
            loopbind::sleep(SECOND).await;
            if let Err(error) = client.write_all(&[*byte]).await {
                return error.kind();
            }
        }
        unreachable!("bytes without end")
    });
    assert!(served.await.unwrap().unwrap_err().is_timeout());
    assert_eq!(time::now() - began, 10 * SECOND);
    assert_eq!(feeds.await.unwrap(), io::ErrorKind::BrokenPipe);
}

/// Asked to end, HTTP/2 answers what was begun, refuses what comes later, and an idle connection goes at once.
#[loop_test(virtual_time)]
async fn wound_up_in_the_middle_of_a_stream() {
    let (ending, began) = (Rc::new(Event::new()), time::now());
    let serves = |stream| {
        spawn(serve(Http2, stream, Rc::clone(&ending), |_| async {
            loopbind::sleep(5 * SECOND).await;
            Response::new(Long::of(2, 2))
        }))
    };
    let (busy, stream) = UnixStream::pair().unwrap();
    let (idle, idle_stream) = UnixStream::pair().unwrap();
    let (busy_served, idle_served) = (serves(stream), serves(idle_stream));
    let (mut sender, connection) = http2(busy).await;
    let (_idle_sender, idle_connection) = http2(idle).await;
    let connections = [spawn(connection), spawn(idle_connection)];
    let asks = sender.send_request(Request::post("http://here/").body(Long::of(0, 0)).unwrap());
    let asks = spawn(asks);
    loopbind::sleep(SECOND).await;
    ending.set();
    // A client who has nothing to wait for may leave before hyper's last word: no failure of the server's.
    let _ = idle_served.await.unwrap();
    assert_eq!(time::now() - began, SECOND);
    let late = sender.send_request(Request::post("http://here/").body(Long::of(0, 0)).unwrap());
    assert!(late.await.is_err());
    assert_eq!(count(asks.await.unwrap().unwrap().into_body(), 2).await, 20_000);
    assert_eq!(time::now() - began, 5 * SECOND);
    busy_served.await.unwrap().unwrap();
    for connection in connections {
        connection.await.unwrap().unwrap();
    }
}
