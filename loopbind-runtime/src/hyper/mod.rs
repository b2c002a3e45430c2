//! hyper 1 on the loop: what it asks of a runtime, and nothing of it `Send`.
//!
//! | hyper wants | here |
//! |---|---|
//! | an executor, for HTTP/2 | [`LoopExecutor`] |
//! | a timer, for any time-out | [`LoopTimer`] |
//! | streams in traits of its own | [`HyperIo`] |
//!
//! Which of hyper's clients, servers and protocols there are is for your own `Cargo.toml` to say; this asks for its traits
//! alone. Needs loopbind's feature `hyper`.
//!
//! ```
//! use hyper::{Request, Response, body::Incoming, client, server, service::service_fn};
//! use loopbind::hyper::{HyperIo, LoopExecutor, LoopTimer};
//! use loopbind::{net, net::TcpStream, run, spawn};
//! use std::{cell::RefCell, convert::Infallible, rc::Rc, time::Duration};
//!
//! run(async {
//!     // A guest book, without `Arc`, without `Mutex`.
//!     let guests = Rc::new(RefCell::new(Vec::new()));
//!     let book = Rc::clone(&guests);
//!     let listener = net::start_server(("127.0.0.1", 0), move |stream, _peer| {
//!         let book = Rc::clone(&book);
//!         let service = service_fn(move |request: Request<Incoming>| {
//!             let book = Rc::clone(&book);
//!             async move {
//!                 book.borrow_mut().push(request.uri().path().to_owned());
//!                 Ok::<_, Infallible>(Response::new(format!("guest {}", book.borrow().len())))
//!             }
//!         });
//!         let mut http = server::conn::http2::Builder::new(LoopExecutor);
//!         http.timer(LoopTimer).keep_alive_interval(Duration::from_secs(20));
//!         let connection = http.serve_connection(HyperIo(stream), service);
//!         async { connection.await.unwrap() }
//!     })
//!     .await?;
//!
//!     let stream = TcpStream::connect(listener.local_addrs()).await?;
//!     let (mut sender, connection) =
//!         client::conn::http2::handshake(LoopExecutor, HyperIo(stream)).await?;
//!     let connection = spawn(connection);
//!     for name in ["/ada", "/grace"] {
//!         let answer = sender.send_request(Request::get(name).body(String::new())?).await?;
//!         assert_eq!(answer.status(), 200);
//!     }
//!     drop(sender); // the connection's end
//!     connection.await??;
//!     assert_eq!(*guests.borrow(), ["/ada", "/grace"]);
//!     listener.shut_down(Duration::from_secs(1)).await;
//!     Ok::<(), Box<dyn std::error::Error>>(())
//! })??;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Ending gracefully
//!
//! hyper's `Connection::graceful_shutdown` has a connection answer what it has begun to, and end. Call it where the task
//! is told to end, which [`task::cancelled`](crate::task::cancelled) says, and set a bound to it: `examples/hello_http.rs`
//! does so on Ctrl-C.
//!
//! # Upgrades
//!
//! hyper's `upgrade::on` wants a stream that is `Send`, to put it into the request, and ours are not. Without it the
//! connection itself gives the stream back, as in the WebSockets of `examples/http`: `poll_without_shutdown` until it is
//! done, then `into_parts`, whose `read_buf` has what was read too far. The first wants the service's futures `Unpin`,
//! which `Box::pin` makes of any. On HTTP/2 a `CONNECT` is a stream of hyper's own, which is `Send`: `upgrade::on` works.
//!
//! # With axum and tower
//!
//! tower's services may hold an `Rc`; those of an axum `Router` may not, since it asks `Send` of its handlers, of its state,
//! and of what they hold while they await. It is served here all the same, as a tower service: `axum::serve` is tokio's, and is
//! not needed. What may be awaited in such a handler is what is `Send`:
//!
//! | in a handler that is `Send` | |
//! |---|---|
//! | yes | [`LoopHandle::spawn`](crate::LoopHandle::spawn), whose future is made and lives on the loop's thread, and need not be `Send`: what it comes to is awaited |
//! | yes | `LoopTimer.sleep(..)`, [`spawn_blocking`](crate::spawn_blocking()), [`yield_now`](crate::yield_now()), channels of the `futures` crate |
//! | no: it does not compile | [`sleep`](crate::sleep), [`timeout`](crate::timeout()), [`spawn`](crate::spawn), our sockets, [`sync`](crate::sync), an `Rc` |
//! | no: it panics, for want of a tokio runtime | axum's `WebSocketUpgrade`, and tower's and tower-http's layers that have a timer or start a task, such as time-outs; with the feature `tokio` and a host they work |
//!
//! ```
//! use hyper::rt::Timer;
//! use loopbind::{LoopHandle, get_event_loop, hyper::LoopTimer, run, sleep};
//! use std::{rc::Rc, time::Duration};
//!
//! // As axum wants its handlers.
//! fn handler<F: Future<Output = String> + Send>(future: F) -> F {
//!     future
//! }
//!
//! async fn greet(event_loop: LoopHandle) -> String {
//!     LoopTimer.sleep(Duration::from_millis(1)).await;
//!     let greeting = event_loop.spawn(|| async {
//!         let greeting = Rc::new("hello"); // on the loop's thread, and not `Send`
//!         sleep(Duration::from_millis(1)).await;
//!         greeting.to_string()
//!     });
//!     greeting.expect("the loop is open").await.expect("it does not panic")
//! }
//!
//! run(async {
//!     let event_loop = get_event_loop().expect("it runs").handle();
//!     assert_eq!(handler(greet(event_loop)).await, "hello");
//! })?;
//! # Ok::<(), loopbind::LoopError>(())
//! ```
//!
//! `examples/http` has a router beside a service with an `Rc`, and TLS by rustls around both.

mod executor;
mod io;
mod timer;

pub use executor::LoopExecutor;
pub use io::HyperIo;
pub use timer::LoopTimer;
