//! The site, asked by clients on the same loop: everything on one thread.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use async_tungstenite::client_async;
use async_tungstenite::tungstenite::{Error, Message};
use futures::channel::mpsc;
use futures::{AsyncRead, AsyncWrite, SinkExt, StreamExt};
use futures_rustls::rustls::pki_types::ServerName;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Response, StatusCode};
use loopbind::hyper::{HyperIo, LoopExecutor};
use loopbind::net::UnixStream;
use loopbind::{Task, loop_test, spawn, time};
use site::secure::{Identity, protocol};
use site::{Protocol, Site};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// One of either protocol.
enum Sender {
    Http1(http1::SendRequest<Body>),
    Http2(http2::SendRequest<Body>),
}

impl Sender {
    async fn over<S>(stream: S, protocol: Protocol) -> Sender
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        match protocol {
            Protocol::Http1 => {
                let (sender, connection) = http1::handshake(HyperIo(stream)).await.unwrap();
                spawn(connection).detach();
                Sender::Http1(sender)
            }
            Protocol::Http2 => {
                let (sender, connection) =
                    http2::handshake(LoopExecutor, HyperIo(stream)).await.unwrap();
                spawn(connection).detach();
                Sender::Http2(sender)
            }
        }
    }

    async fn send(&mut self, request: Request<Body>) -> Response<Incoming> {
        match self {
            Sender::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await.unwrap()
            }
            Sender::Http2(sender) => sender.send_request(request).await.unwrap(),
        }
    }

    async fn get(&mut self, path: &str) -> String {
        let response = self.send(request(path)).await;
        assert_eq!(response.status(), StatusCode::OK);
        text(response).await
    }
}

fn request(path: &str) -> Request<Body> {
    let body = Empty::new().boxed_unsync();
    Request::get(format!("http://localhost{path}")).header("host", "localhost").body(body).unwrap()
}

async fn text(response: Response<Incoming>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The two ends of a connection to the site, which serves the one.
fn connect(site: &Rc<Site>, protocol: Protocol) -> (UnixStream, Task<Result<(), String>>) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let served = Rc::clone(site).serve(theirs, protocol);
    (ours, spawn(async move { served.await.map_err(|error| error.to_string()) }))
}

/// The router, the tower service and their one counter, one request behind the other, on one connection.
async fn asked_in_turn(protocol: Protocol) {
    let site = Site::open();
    let (stream, served) = connect(&site, protocol);
    let mut sender = Sender::over(stream, protocol).await;
    assert_eq!(sender.get("/hello/ada").await, "Hello, ada!\n");
    assert_eq!(sender.get("/visit").await, "visit 1\n");
    assert_eq!(sender.get("/guest").await, "guest 2\n");
    assert_eq!(sender.get("/visit").await, "visit 3\n");
    assert_eq!(sender.get("/nap/5").await, "slept 5ms\n");
    assert_eq!(sender.send(request("/nowhere")).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(sender.send(request("/socket")).await.status(), StatusCode::UPGRADE_REQUIRED);
    assert_eq!(site.visits(), 3);
    drop(sender);
    assert_eq!(served.await.unwrap(), Ok(()));
}

#[loop_test(virtual_time, seeds = 0..8)]
async fn asked_in_turn_by_http1() {
    asked_in_turn(Protocol::Http1).await;
}

#[loop_test(virtual_time, seeds = 0..8)]
async fn asked_in_turn_by_http2() {
    asked_in_turn(Protocol::Http2).await;
}

/// What the router hands back comes piece by piece: the second piece is sent when the first one has come back.
async fn echoed_in_pieces(protocol: Protocol) {
    let site = Site::open();
    let (stream, served) = connect(&site, protocol);
    let mut sender = Sender::over(stream, protocol).await;
    let (mut pieces, body) = mpsc::channel(0);
    let mut request = request("/echo");
    *request.method_mut() = Method::POST;
    *request.body_mut() = StreamBody::new(body).boxed_unsync();
    let mut response = sender.send(request).await.into_body();
    for piece in ["one", "two", "three"] {
        pieces.send(Ok(Frame::data(Bytes::from_static(piece.as_bytes())))).await.unwrap();
        let frame = response.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), piece.as_bytes());
    }
    drop(pieces);
    assert_eq!(response.collect().await.unwrap().to_bytes(), Bytes::new());
    drop(sender);
    assert_eq!(served.await.unwrap(), Ok(()));
}

#[loop_test(virtual_time, seeds = 0..4)]
async fn echoed_in_pieces_by_http1() {
    echoed_in_pieces(Protocol::Http1).await;
}

#[loop_test(virtual_time, seeds = 0..4)]
async fn echoed_in_pieces_by_http2() {
    echoed_in_pieces(Protocol::Http2).await;
}

/// More than any buffer has, there and back.
#[loop_test(timeout = "60s")]
async fn a_long_body_comes_back_whole() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let site = Site::open();
        let (stream, served) = connect(&site, protocol);
        let mut sender = Sender::over(stream, protocol).await;
        let long: Vec<u8> = (0..4_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut request = request("/echo");
        *request.method_mut() = Method::POST;
        *request.body_mut() = Full::new(Bytes::from(long.clone())).boxed_unsync();
        let response = sender.send(request).await;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), long);
        drop(sender);
        assert_eq!(served.await.unwrap(), Ok(()));
    }
}

#[loop_test(virtual_time, seeds = 0..4)]
async fn a_websocket_says_it_again_until_it_is_closed() {
    let site = Site::open();
    let (stream, served) = connect(&site, Protocol::Http1);
    let (mut socket, response) = client_async("ws://localhost/socket", stream).await.unwrap();
    assert_eq!(response.status(), 101);
    for word in ["hello", "and again"] {
        socket.send(Message::text(word)).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::text(word));
    }
    socket.close(None).await.unwrap();
    while let Some(message) = socket.next().await {
        assert!(message.unwrap().is_close());
    }
    assert_eq!(served.await.unwrap(), Ok(()));
}

/// The end of the site: who was asked answers, who is idle goes, a WebSocket is told.
#[loop_test(virtual_time)]
async fn the_site_ends_gracefully() {
    let site = Site::open();
    let mut ends = Vec::new();
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let (stream, served) = connect(&site, protocol);
        let mut sender = Sender::over(stream, protocol).await;
        ends.push(served);
        ends.push(spawn(async move {
            assert_eq!(sender.get("/nap/7000").await, "slept 7s\n");
            Ok(())
        }));
        let (idle, served) = connect(&site, protocol);
        let sender = Sender::over(idle, protocol).await;
        ends.push(spawn(async move {
            let outcome = served.await.unwrap();
            drop(sender); // it would have gone on
            outcome
        }));
    }
    let (stream, served) = connect(&site, Protocol::Http1);
    let (mut socket, _) = client_async("ws://localhost/socket", stream).await.unwrap();
    ends.push(served);

    let began = time::now();
    loopbind::sleep(Duration::from_secs(1)).await;
    site.end();
    assert!(socket.next().await.unwrap().unwrap().is_close());
    assert!(matches!(socket.next().await, None | Some(Err(Error::ConnectionClosed))));
    for end in ends {
        assert_eq!(end.await.unwrap(), Ok(()));
    }
    assert_eq!(time::now() - began, Duration::from_secs(7));
}

/// TLS around it: the protocol is agreed on in the handshake, and who is not trusted is not spoken to.
#[loop_test(timeout = "60s")]
async fn tls_carries_both_protocols_and_websockets() {
    let (site, identity) = (Site::open(), Rc::new(Identity::make_up()));
    let accept = |stream| {
        let (site, accepting) = (Rc::clone(&site), identity.acceptor().accept(stream));
        spawn(async move {
            let stream = accepting.await?;
            let agreed = protocol(stream.get_ref().1.alpn_protocol());
            site.serve(stream, agreed).await.map_err(|error| io::Error::other(error.to_string()))
        })
    };
    let localhost = || ServerName::try_from("localhost").unwrap();

    for (name, protocol) in [("http/1.1", Protocol::Http1), ("h2", Protocol::Http2)] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let served = accept(theirs);
        let stream = identity.connector(name).connect(localhost(), ours).await.unwrap();
        let mut sender = Sender::over(stream, protocol).await;
        assert_eq!(sender.get("/hello/ada").await, "Hello, ada!\n");
        assert_eq!(sender.get("/guest").await.split(' ').next(), Some("guest"));
        drop(sender);
        served.await.unwrap().unwrap();
    }

    let (ours, theirs) = UnixStream::pair().unwrap();
    let served = accept(theirs);
    let stream = identity.connector("http/1.1").connect(localhost(), ours).await.unwrap();
    let (mut socket, _) = client_async("wss://localhost/socket", stream).await.unwrap();
    socket.send(Message::text("privately")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("privately"));
    socket.close(None).await.unwrap();
    while let Some(Ok(_)) = socket.next().await {}
    served.await.unwrap().unwrap();

    let (ours, theirs) = UnixStream::pair().unwrap();
    let served = accept(theirs);
    let stranger = Identity::make_up().connector("h2").connect(localhost(), ours).await;
    assert_eq!(stranger.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(served.await.unwrap().is_err());
}
