//! A server's tasks: one for each socket it listens on, one for each connection.

use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::Poll;

use super::connections::{Connections, Presence};
use crate::net::acceptor::{Acceptor, Listen};
use crate::net::duplex::Line;
use crate::net::tcp::TcpStream;
use crate::net::unix::UnixStream;
use crate::panic::{PanicPayload, caught};
use crate::sys::{self, AcceptTrouble};
use crate::task::{Birth, ExceptionContext, LocalHome, Task};

/// What a listener of a server gives.
pub(super) trait Connected: 'static {
    fn line(&self) -> Weak<dyn Line>;
}

impl Connected for TcpStream {
    fn line(&self) -> Weak<dyn Line> {
        TcpStream::line(self)
    }
}

impl Connected for UnixStream {
    fn line(&self) -> Weak<dyn Line> {
        UnixStream::line(self)
    }
}

/// What a server does, whatever it listens on.
pub(super) struct Service<F> {
    pub(super) connections: Rc<Connections>,
    pub(super) handler: F,
    /// Where it was started: the place of its tasks.
    pub(super) place: &'static Location<'static>,
}

impl<F> Service<F> {
    /// Starts a task on the running loop.
    fn spawn(&self, future: impl Future<Output = ()> + 'static) -> Task<()> {
        match LocalHome::running() {
            Some(home) => home.spawn(future, Birth { name: None, place: self.place }),
            None => unreachable!("servers are started, and accept, inside of runs"),
        }
    }
}

/// Accepts until the listener is gone: the server has it, and drops it to close it at once.
pub(super) fn accept_from<L, F, Fut>(
    listener: &Rc<Acceptor<L>>,
    service: &Rc<Service<F>>,
) -> Task<()>
where
    L: Listen<Stream: Connected, Peer: 'static> + 'static,
    F: Fn(L::Stream, L::Peer) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let listener = Rc::downgrade(listener);
    let serving = Rc::clone(service);
    service.spawn(async move {
        while let Some(accepted) = next(&listener, &serving.connections).await {
            match accepted {
                Ok((stream, peer)) => serve(&serving, stream, peer),
                Err(error) => report(error),
            }
        }
    })
}

/// The next connection, when there is room for it. `None`: there is no listener any more.
async fn next<L: Listen>(
    listener: &Weak<Acceptor<L>>,
    connections: &Connections,
) -> Option<io::Result<(L::Stream, L::Peer)>> {
    let mut rest = None;
    poll_fn(|cx| {
        if connections.poll_room(cx).is_pending() {
            return Poll::Pending;
        }
        // Held for this poll only.
        match listener.upgrade() {
            Some(listener) => listener.poll_accept(cx, &mut rest).map(Some),
            None => Poll::Ready(None),
        }
    })
    .await
}

fn serve<S, P, F, Fut>(service: &Rc<Service<F>>, stream: S, peer: P)
where
    S: Connected,
    P: 'static,
    F: Fn(S, P) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let line = stream.line();
    let presence = service.connections.enter();
    let number = presence.number;
    let task = service.spawn(handle(presence, stream, peer, Rc::clone(service)));
    service.connections.add(number, task, line);
}

async fn handle<S, P, F, Fut>(_presence: Presence, stream: S, peer: P, service: Rc<Service<F>>)
where
    F: Fn(S, P) -> Fut,
    Fut: Future<Output = ()>,
{
    // SRV-05: a panic ends this connection, and nothing else.
    if let Err(payload) = run(stream, peer, service).await {
        let message = "Unhandled exception in client_connected_cb";
        let mut context = ExceptionContext::panicked(message, payload);
        if let Some(home) = LocalHome::running() {
            context.task = home.current_task().map(|task| task.info());
            home.local().report(context);
        }
    }
}

/// The handler, with its panics as values. It is dropped, and the stream with it, when this is over.
async fn run<S, P, F, Fut>(stream: S, peer: P, service: Rc<Service<F>>) -> Result<(), PanicPayload>
where
    F: Fn(S, P) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut future = pin!(caught(|| (service.handler)(stream, peer))?);
    poll_fn(|cx| match caught(|| future.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}

/// SRV-06: told once for each rest that the listener takes.
fn report(error: io::Error) {
    let message = match sys::accept_trouble(&error) {
        AcceptTrouble::Resources => "socket.accept() out of system resource",
        AcceptTrouble::Connection | AcceptTrouble::Listener => "socket.accept() failed",
    };
    if let Some(home) = LocalHome::running() {
        home.local().report(ExceptionContext::failed(message, error));
    }
}
