//! A server's tasks: one for each socket it listens on, one for each connection.

use std::future::poll_fn;
use std::io;
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
use crate::task::{ExceptionContext, LocalHome, Task, spawn};

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

/// Accepts until the listener is gone: the server has it, and drops it to close it at once.
pub(super) fn accept_from<L, F, Fut>(
    listener: &Rc<Acceptor<L>>,
    connections: &Rc<Connections>,
    handler: Rc<F>,
) -> Task<()>
where
    L: Listen<Stream: Connected, Peer: 'static> + 'static,
    F: Fn(L::Stream, L::Peer) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let listener = Rc::downgrade(listener);
    let connections = Rc::clone(connections);
    spawn(async move {
        while let Some(accepted) = next(&listener, &connections).await {
            match accepted {
                Ok((stream, peer)) => serve(&connections, stream, peer, Rc::clone(&handler)),
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

fn serve<S, P, F, Fut>(connections: &Rc<Connections>, stream: S, peer: P, handler: Rc<F>)
where
    S: Connected,
    P: 'static,
    F: Fn(S, P) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let line = stream.line();
    let presence = connections.enter();
    let number = presence.number;
    let task = spawn(handle(presence, stream, peer, handler));
    connections.add(number, task, line);
}

async fn handle<S, P, F, Fut>(_presence: Presence, stream: S, peer: P, handler: Rc<F>)
where
    F: Fn(S, P) -> Fut,
    Fut: Future<Output = ()>,
{
    // SRV-05: a panic ends this connection, and nothing else.
    if let Err(payload) = run(stream, peer, handler).await {
        let message = "Unhandled exception in client_connected_cb";
        let mut context = ExceptionContext::panicked(message, payload);
        if let Some(home) = LocalHome::running() {
            context.task = home.current_task().map(|task| task.info());
            home.local().report(context);
        }
    }
}

/// The handler, with its panics as values. It is dropped, and the stream with it, when this is over.
async fn run<S, P, F, Fut>(stream: S, peer: P, handler: Rc<F>) -> Result<(), PanicPayload>
where
    F: Fn(S, P) -> Fut,
    Fut: Future<Output = ()>,
{
    let mut future = pin!(caught(|| handler(stream, peer))?);
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
