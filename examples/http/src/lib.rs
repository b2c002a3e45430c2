//! A web site on one loop: an axum router, a tower service that holds an `Rc`, WebSockets, and TLS around all of it.
//! `src/main.rs` serves it; `tests/clients.rs` and `lanes/http` are its clients.

mod desk;
mod guests;
mod router;
pub mod secure;
mod socket;

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use futures::future::{Either, FutureExt, LocalBoxFuture, select};
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use loopbind::hyper::{HyperIo, LoopExecutor, LoopTimer};
use loopbind::sync::Event;
use tower::ServiceExt;

/// How long a client may take to say what it wants, and the site to end.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a client and the site have agreed to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Http1,
    Http2,
}

/// All that is served, and what the connections share: of one thread, without a lock.
pub struct Site {
    router: Router,
    visits: Rc<Cell<u64>>,
    ending: Event,
}

impl Site {
    /// Inside of a run: a task of the site's answers the router's questions.
    pub fn open() -> Rc<Site> {
        let visits = Rc::<Cell<u64>>::default();
        let router = router::router(desk::Desk::open(Rc::clone(&visits)));
        Rc::new(Site { router, visits, ending: Event::new() })
    }

    /// How often one of the two counters was asked for.
    pub fn visits(&self) -> u64 {
        self.visits.get()
    }

    /// From now on connections answer what they were asked, and end.
    pub fn end(&self) {
        self.ending.set();
    }

    /// A boxed future, which may be moved: hyper wants that of a connection that is to give its stream back.
    fn answer(
        self: &Rc<Self>,
        upgraded: Option<&Rc<Cell<bool>>>,
        request: Request<Incoming>,
    ) -> LocalBoxFuture<'static, Result<Response<Body>, Infallible>> {
        match request.uri().path() {
            "/socket" => futures::future::ok(socket::answer(&request, upgraded)).boxed_local(),
            "/guest" => guests::service(&self.visits).oneshot(request).boxed_local(),
            _ => self.router.clone().oneshot(request).boxed_local(),
        }
    }

    /// Serves one connection until it ends.
    ///
    /// # Errors
    /// What hyper, the stream or the WebSocket fails with.
    pub async fn serve<S>(
        self: Rc<Self>,
        stream: S,
        protocol: Protocol,
    ) -> Result<(), Box<dyn Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let outcome = match protocol {
            Protocol::Http1 => self.serve_http1(stream).await,
            Protocol::Http2 => self.serve_http2(stream).await,
        };
        outcome.or_else(|error| if has_gone(&*error) { Ok(()) } else { Err(error) })
    }

    async fn serve_http2<S>(self: Rc<Self>, stream: S) -> Result<(), Box<dyn Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let site = Rc::clone(&self);
        let service = service_fn(move |request| site.answer(None, request));
        let mut http = http2::Builder::new(LoopExecutor);
        http.timer(LoopTimer).keep_alive_interval(PATIENCE);
        let mut connection = pin!(http.serve_connection(HyperIo(stream), service));
        match select(connection.as_mut(), pin!(self.ending.wait())).await {
            Either::Left((outcome, _)) => outcome?,
            Either::Right(_) => {
                connection.as_mut().graceful_shutdown();
                connection.await?;
            }
        }
        Ok(())
    }

    async fn serve_http1<S>(self: Rc<Self>, stream: S) -> Result<(), Box<dyn Error>>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let (site, upgraded) = (Rc::clone(&self), Rc::<Cell<bool>>::default());
        let asked = Rc::clone(&upgraded);
        let service = service_fn(move |request| site.answer(Some(&asked), request));
        let mut http = http1::Builder::new();
        http.timer(LoopTimer).header_read_timeout(PATIENCE);
        let mut connection = http.serve_connection(HyperIo(stream), service);
        let talked = poll_fn(|cx| connection.poll_without_shutdown(cx));
        let outcome = match select(talked, pin!(self.ending.wait())).await {
            Either::Left((outcome, _)) => Some(outcome),
            Either::Right(_) => None,
        };
        match outcome {
            Some(outcome) => outcome?,
            None => {
                Pin::new(&mut connection).graceful_shutdown();
                poll_fn(|cx| connection.poll_without_shutdown(cx)).await?;
            }
        }
        // hyper has not closed the stream: it may be another protocol's by now.
        let mut parts = connection.into_parts();
        if upgraded.get() {
            socket::echo(parts.io.0, &parts.read_buf, self.ending.wait()).await?;
        } else {
            parts.io.0.close().await?;
        }
        Ok(())
    }
}

/// Whether the client did not wait for the last words: it misses nothing.
fn has_gone(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.any(|cause| {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(
            kind,
            Some(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected)
        )
    })
}
