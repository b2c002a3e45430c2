//! What the tests of sockets share.

#![allow(dead_code)] // Each file uses its share of this.

use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};

use futures::future::try_join;
use loopbind::net::{TcpListener, TcpSocket, TcpStream};

pub(crate) const ANY: &str = "127.0.0.1:0";

/// The two ends of a connection.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(ANY).await?;
    let to = listener.local_addr()?;
    let (client, (server, peer)) = try_join(TcpStream::connect(to), listener.accept()).await?;
    assert_eq!(client.local_addr()?, peer);
    Ok((client, server))
}

/// The same, of std's, blocking.
pub(crate) fn std_pair() -> io::Result<(std::net::TcpStream, std::net::TcpStream)> {
    let listener = StdListener::bind(ANY)?;
    let client = std::net::TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

/// An address that refuses connections for as long as what comes with it lives.
pub(crate) fn refusing() -> io::Result<(TcpSocket, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(ANY.parse().unwrap())?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// Polls `future` once: it must not be ready.
pub(crate) async fn assert_waits<F: Future + Unpin>(future: &mut F) {
    assert!(futures::poll!(future).is_pending(), "it was to wait");
}
