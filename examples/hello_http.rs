//! A web server: HTTP/1 and HTTP/2 on one port, told apart by what the client says first, and one counter for
//! all of them, in an `Rc`. Ctrl-C lets it answer what it was asked, for ten seconds at most.
//!
//! ```sh
//! cargo run --features hyper --example hello_http      # or with an address: -- 0.0.0.0:8080
//! curl http://127.0.0.1:8080/you
//! curl --http2-prior-knowledge http://127.0.0.1:8080/you
//! curl -T- http://127.0.0.1:8080/upload </etc/services  # in chunks, and counted
//! ```

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::process::ExitCode;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{Either, select};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite};
use hyper::body::{Body, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use loopbind::hyper::{HyperIo, LoopExecutor, LoopTimer};
use loopbind::net::{TcpStream, start_server};
use loopbind::sync::Event;
use loopbind::{loop_main, task, timeout};

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream of which something was read already.
struct Rewound {
    seen: Vec<u8>,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.seen.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = buffer.len().min(self.seen.len());
        buffer[..count].copy_from_slice(&self.seen[..count]);
        self.seen.drain(..count);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(cx)
    }
}

/// Reads until it is sure whether HTTP/2 is spoken.
async fn look(mut stream: TcpStream) -> io::Result<(bool, Rewound)> {
    let mut seen = Vec::new();
    while seen.len() < PREFACE.len() && PREFACE.starts_with(&seen) {
        let mut space = [0; PREFACE.len()];
        let room = PREFACE.len() - seen.len();
        match stream.read(&mut space[..room]).await? {
            0 => break,
            count => seen.extend_from_slice(&space[..count]),
        }
    }
    Ok((seen == PREFACE, Rewound { seen, stream }))
}

/// What all connections share.
#[derive(Default)]
struct Site {
    served: Cell<u64>,
    ending: Event,
}

impl Site {
    async fn answer(&self, request: Request<Incoming>) -> hyper::Result<Response<String>> {
        self.served.set(self.served.get() + 1);
        let name = request.uri().path().trim_start_matches('/').to_owned();
        if request.method() == Method::GET {
            let text = format!("Hello, {name}! You are number {}.\n", self.served.get());
            return Ok(Response::new(text));
        }
        let (mut body, mut bytes) = (request.into_body(), 0);
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            bytes += frame?.data_ref().map_or(0, |data| data.len());
        }
        Ok(Response::new(format!("{bytes} bytes for {name}, thank you.\n")))
    }

    /// Lets a connection be, and has it wind up when the site is ending.
    async fn attend<C>(&self, connection: C, wind_up: impl FnOnce(Pin<&mut C>)) -> hyper::Result<()>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut connection = pin!(connection);
        match select(connection.as_mut(), pin!(self.ending.wait())).await {
            Either::Left((outcome, _)) => outcome,
            Either::Right(_) => {
                wind_up(connection.as_mut());
                connection.await
            }
        }
    }

    async fn welcome(self: Rc<Self>, stream: TcpStream) -> Result<(), Box<dyn std::error::Error>> {
        let looked = pin!(timeout(PATIENCE, look(stream)));
        let (is_http2, stream) = match select(looked, pin!(self.ending.wait())).await {
            Either::Left((looked, _)) => looked??,
            Either::Right(_) => return Ok(()), // it has not asked for anything yet
        };
        let site = Rc::clone(&self);
        let service = service_fn(move |request| {
            let site = Rc::clone(&site);
            async move { site.answer(request).await }
        });
        if is_http2 {
            let mut http = http2::Builder::new(LoopExecutor);
            http.timer(LoopTimer).keep_alive_interval(PATIENCE);
            let connection = http.serve_connection(HyperIo(stream), service);
            self.attend(connection, http2::Connection::graceful_shutdown).await?;
        } else {
            let mut http = http1::Builder::new();
            http.timer(LoopTimer).header_read_timeout(PATIENCE);
            let connection = http.serve_connection(HyperIo(stream), service);
            self.attend(connection, http1::Connection::graceful_shutdown).await?;
        }
        Ok(())
    }
}

#[loop_main(ctrl_c = "cancel")]
async fn serve(address: String) -> io::Result<()> {
    let site = Rc::<Site>::default();
    let ours = Rc::clone(&site);
    let server = start_server(address, move |stream, peer| {
        let welcomed = Rc::clone(&ours).welcome(stream);
        async move {
            if let Err(error) = welcomed.await {
                eprintln!("{peer}: {error}");
            }
        }
    })
    .await?;
    for address in server.local_addrs() {
        println!("http://{address}; Ctrl-C ends it");
    }
    task::cancelled().await;

    server.close(); // nobody new
    site.ending.set();
    if timeout(PATIENCE, server.wait_closed()).await.is_err() {
        eprintln!("{} connections are cut off", server.connections());
        server.abort_clients();
    }
    println!("served {} requests", site.served.get());
    Ok(())
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    match serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello_http: {error}");
            ExitCode::FAILURE
        }
    }
}
