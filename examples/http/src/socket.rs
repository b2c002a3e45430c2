//! WebSockets: a request is answered with 101, and its connection is theirs from there on.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;

use async_tungstenite::WebSocketStream;
use async_tungstenite::tungstenite;
use async_tungstenite::tungstenite::handshake::derive_accept_key;
use async_tungstenite::tungstenite::protocol::Role;
use axum::body::Body;
use futures::future::{Either, select};
use futures::{AsyncRead, AsyncWrite, StreamExt};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::{Request, Response, StatusCode};

/// Agrees, and notes that; on HTTP/2, where there is nothing to note it in, and to who asked for something else, says
/// what is wanted.
pub(crate) fn answer(
    request: &Request<Incoming>,
    upgraded: Option<&Rc<Cell<bool>>>,
) -> Response<Body> {
    let headers = request.headers();
    let asked =
        headers.get(UPGRADE).is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    let mut response = Response::new(Body::empty());
    match (headers.get(SEC_WEBSOCKET_KEY), upgraded) {
        (Some(key), Some(upgraded)) if asked => {
            let accept = derive_accept_key(key.as_bytes());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.headers_mut().insert(CONNECTION, "upgrade".parse().unwrap());
            response.headers_mut().insert(UPGRADE, "websocket".parse().unwrap());
            response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept.parse().unwrap());
            upgraded.set(true);
        }
        _ => *response.status_mut() = StatusCode::UPGRADE_REQUIRED,
    }
    response
}

/// Says again what it is told, until the other side ends it, or the site does.
pub(crate) async fn echo<S>(
    stream: S,
    read: &[u8],
    ending: impl Future<Output = ()>,
) -> tungstenite::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut socket =
        WebSocketStream::from_partially_read(stream, read.to_vec(), Role::Server, None).await;
    let mut ending = pin!(ending);
    loop {
        let message = match select(socket.next(), ending.as_mut()).await {
            Either::Left((None, _)) => return Ok(()),
            Either::Left((Some(message), _)) => message?,
            Either::Right(_) => break,
        };
        if message.is_text() || message.is_binary() {
            socket.send(message).await?;
        }
    }
    socket.close(None).await?;
    // The other side says good bye, too, behind what it had said before.
    while let Some(message) = socket.next().await {
        message?;
    }
    Ok(())
}
