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
//! tower's services may hold an `Rc`; those of an axum `Router` may not, since it asks `Send` of its handlers and of
//! what they await. It runs here all the same. What a handler wants of the loop it asks by
//! [`LoopHandle::spawn`](crate::LoopHandle::spawn), whose future is made and lives on the loop's thread, and
//! whose outcome a handler may await. `examples/http` has a router beside a service with an `Rc`, and TLS by rustls
//! around both.

mod executor;
mod io;
mod timer;

pub use executor::LoopExecutor;
pub use io::HyperIo;
pub use timer::LoopTimer;
