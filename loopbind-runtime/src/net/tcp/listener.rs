//! A TCP socket that listens.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use futures_core::Stream;

use super::socket::TcpSocket;
use super::stream::TcpStream;
use crate::io::Async;
use crate::net::acceptor::{Acceptor, Listen};
use crate::net::addresses::{ToAddrs, no_addresses, resolve};
use crate::sys;

/// Connections that may wait to be accepted, unless a [`TcpSocket`] says otherwise; the system has a
/// limit of its own.
pub(in crate::net) const BACKLOG: u32 = 1024;

/// A TCP socket that listens: made by [`bind`](TcpListener::bind), or from a [`TcpSocket`] that was
/// set up first. Dropping it closes it; connections that were not accepted are reset.
///
/// [`start_server`](crate::net::start_server) has a task for each connection, and more.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
/// use loopbind::{net::{TcpListener, TcpStream}, run, spawn};
///
/// run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let address = listener.local_addr()?;
///     let client = spawn(async move {
///         let mut word = String::new();
///         TcpStream::connect(address).await?.read_to_string(&mut word).await?;
///         Ok::<_, std::io::Error>(word)
///     });
///     let mut incoming = listener.incoming();
///     let mut stream = incoming.next().await.unwrap()?;
///     stream.write_all(b"welcome").await?;
///     drop(stream);
///     assert_eq!(client.await.unwrap()?, "welcome");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the listening"]
pub struct TcpListener {
    acceptor: Acceptor<std::net::TcpListener>,
}

impl Listen for std::net::TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn take(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = sys::accept(self)?;
        Ok((TcpStream::of(Async::nonblocking(stream)), peer))
    }
}

impl TcpListener {
    /// Listens on the first of `addr`'s addresses that can be had. Port 0 has the system choose one:
    /// see [`local_addr`](TcpListener::local_addr).
    ///
    /// As std's, it may take an address over from connections that ended a moment ago.
    ///
    /// # Errors
    /// That of the last address that was tried, with the address in the text; the resolver's.
    ///
    /// # Cancel safety
    /// Dropping it leaves nothing behind.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "create_tcp_listener")]
    pub async fn bind(addr: impl ToAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in resolve(addr).await? {
            match Self::bind_to(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_addresses))
    }

    fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpSocket::new_for(address)?;
        socket.set_reuse_address(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    }

    pub(super) fn of(io: Async<std::net::TcpListener>) -> Self {
        TcpListener { acceptor: Acceptor::new(io) }
    }

    pub(in crate::net) fn into_acceptor(self) -> Acceptor<std::net::TcpListener> {
        self.acceptor
    }

    /// The next connection, and the address it comes from.
    ///
    /// A connection that failed before it was accepted is left out. A storm of them does not keep the
    /// loop from other things.
    ///
    /// # Errors
    /// The system's. Where it has no descriptors or no memory left, this is told, and calls that
    /// follow within a second wait for the second to be over before they try again: a loop that goes
    /// on accepting after an error does not spin. SRV-06.
    ///
    /// # Cancel safety
    /// Dropping it loses no connection.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let (_stream, peer) = listener.accept().await?;
    /// assert_eq!(peer, stream.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "sock_accept")]
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.acceptor.accept().await
    }

    /// The connections as they come, without end.
    ///
    /// # Errors
    /// As [`accept`](TcpListener::accept): the stream goes on after an error.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// use futures::StreamExt;
    ///
    /// let mut incoming = listener.incoming();
    /// let accepted = incoming.next().await.unwrap()?;
    /// assert_eq!(accepted.peer_addr()?, stream.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> impl Stream<Item = io::Result<TcpStream>> + Unpin + '_ {
        self.acceptor.incoming()
    }

    /// The address it listens on.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.get_ref().local_addr()
    }

    /// How many routers a packet may pass (`IP_TTL`): accepted connections inherit it.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.ttl()? > 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.acceptor.get_ref().ttl()
    }

    /// Sets [`ttl`](TcpListener::ttl).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_ttl(7)?;
    /// assert_eq!(listener.ttl()?, 7);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.acceptor.get_ref().set_ttl(ttl)
    }

    /// Takes the error that is pending on the socket, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// assert!(listener.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.acceptor.get_ref().take_error()
    }

    /// Takes a listener over, and sets it non-blocking.
    ///
    /// # Errors
    /// The system's, where it cannot be set so.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let inner = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = TcpListener::from_std(inner)?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(listener.accept().await?.1, stream.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(inner: std::net::TcpListener) -> io::Result<Self> {
        Async::new(inner).map(Self::of)
    }

    /// The listener, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// None today: see [`Async::into_inner`].
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let inner = listener.into_std()?;
    /// assert_eq!(inner.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.acceptor.into_inner()
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    fn try_from(inner: std::net::TcpListener) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<TcpListener> for std::net::TcpListener {
    type Error = io::Error;

    fn try_from(listener: TcpListener) -> io::Result<Self> {
        listener.into_std()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.get_ref().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.acceptor.get_ref().as_raw_fd()
    }
}
