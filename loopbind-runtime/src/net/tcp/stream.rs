//! A TCP connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::rc::Weak;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use super::socket::TcpSocket;
use crate::io::Async;
use crate::net::addresses::{ToAddrs, named, no_addresses, resolve};
use crate::net::connect::connect;
use crate::net::duplex::{Duplex, Line, byte_stream};
use crate::sys::fault::{self, Call};

/// A TCP connection.
///
/// A handle: clones name the same connection, and the last one closes it. Reading and writing take
/// `&TcpStream` as well, so that both may go on at once: `(&stream, &stream)` are its two halves.
/// Closing it for writing (`close().await`, or [`shutdown`](TcpStream::shutdown)) tells the other
/// side that no more comes; reading goes on.
///
/// It belongs to the loop that polls it, as [`Async`] does, and says so where it cannot be. Reads and
/// writes that need not wait work anywhere.
///
/// # Cancel safety
/// A read or write that is dropped before it was ready has read or written nothing. What is made of
/// several (`read_exact`, `write_all`, `copy`) may have done a part.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt, future::try_join};
/// use loopbind::{net::{TcpListener, TcpStream}, run};
///
/// run(async {
///     let listener = TcpListener::bind("127.0.0.1:0").await?;
///     let to = listener.local_addr()?;
///     let (client, (server, _)) = try_join(TcpStream::connect(to), listener.accept()).await?;
///
///     let (mut reader, mut writer) = (&client, &client);
///     writer.write_all(b"ping").await?;
///     writer.close().await?;
///     let mut heard = String::new();
///     (&server).read_to_string(&mut heard).await?;
///     (&server).write_all(heard.to_uppercase().as_bytes()).await?;
///     drop(server);
///     heard.clear();
///     reader.read_to_string(&mut heard).await?;
///     assert_eq!(heard, "PING");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("StreamReader", "StreamWriter", "into_split"))]
#[derive(Debug, Clone)]
pub struct TcpStream(Duplex<std::net::TcpStream>);

byte_stream!(TcpStream);

impl TcpStream {
    /// Connects to `addr`: to each of its addresses in turn, until one answers.
    ///
    /// # Errors
    /// That of the last address that was tried, with the address in the text; the resolver's; and
    /// [`LoopError::NoRunningLoop`](crate::LoopError::NoRunningLoop) where it has to wait outside of
    /// runs.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up, and closes its socket.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias(
        "open_connection",
        "create_connection",
        "open_tcp_stream",
        "connect_tcp",
        "sock_connect"
    ))]
    pub async fn connect(addr: impl ToAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in resolve(addr).await? {
            match Self::connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(no_addresses))
    }

    async fn connect_to(address: SocketAddr) -> io::Result<Self> {
        TcpSocket::new_for(address)?.connect(address).await
    }

    /// Connects `socket`; the error names the address.
    pub(super) async fn establish(socket: socket2::Socket, to: SocketAddr) -> io::Result<Self> {
        match connect(std::net::TcpStream::from(socket), &to.into()).await {
            Ok(io) => Ok(Self::of(io)),
            Err(error) => Err(named(error, format!("cannot connect to {to}"))),
        }
    }

    pub(super) fn of(io: Async<std::net::TcpStream>) -> Self {
        TcpStream(Duplex::new(io))
    }

    pub(in crate::net) fn line(&self) -> Weak<dyn Line> {
        self.0.line()
    }

    /// Takes a connection over, and sets it non-blocking.
    ///
    /// # Errors
    /// The system's, where it cannot be set so.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// let inner = std::net::TcpStream::connect(listener.local_addr()?)?;
    /// let stream = TcpStream::from_std(inner)?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "connect_accepted_socket")]
    pub fn from_std(inner: std::net::TcpStream) -> io::Result<Self> {
        Async::new(inner).map(Self::of)
    }

    /// The connection, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// Where clones of this handle exist: they would go on using it.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// let clone = stream.clone();
    /// assert!(stream.into_std().is_err());
    /// let inner = clone.into_std()?;
    /// inner.set_nonblocking(false)?;
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        self.0.into_socket()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(stream.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The system's: `NotConnected` once the other end has reset the connection.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()
    }

    /// Looks at what a read would give, and leaves it there.
    ///
    /// # Errors
    /// As a read.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.write_all(b"word").await?;
    /// let mut buffer = [0; 8];
    /// assert_eq!(server.peek(&mut buffer).await?, 4);
    /// assert_eq!(server.read(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let peek = |socket: &std::net::TcpStream| {
            let most = fault::limit(Call::Receive, buffer.len())?;
            socket.peek(&mut buffer[..most])
        };
        self.0.io().read_with(peek).await
    }

    /// Waits until a read would not block.
    ///
    /// # Errors
    /// As [`Async::readable`].
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.write_all(b"x").await?;
    /// server.readable().await?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.0.io().readable().await
    }

    /// Waits until a write would not block.
    ///
    /// # Errors
    /// As [`Async::writable`].
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.writable().await?;
    /// assert!(stream.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.0.io().writable().await
    }

    /// Ends reading, writing, or both, for all handles, at once: who waits for it hears of it.
    ///
    /// # Errors
    /// The system's: `NotConnected` where the connection is over.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// assert_eq!(server.read(&mut [0; 8]).await?, 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        crate::sys::shut(self.0.socket(), how)
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(!stream.nodelay()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn nodelay(&self) -> io::Result<bool> {
        self.0.socket().nodelay()
    }

    /// Has small writes sent at once, or collected for a moment, which is the default.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_nodelay(true)?;
    /// assert!(stream.nodelay()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.0.socket().set_nodelay(on)
    }

    /// How long closing may go on sending what is left, in the background (`SO_LINGER`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert_eq!(stream.linger()?, None);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.0.socket()).linger()
    }

    /// Sets [`linger`](TcpStream::linger), in whole seconds. Zero: closing resets the connection.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let mut client = TcpStream::connect(listener.local_addr()?).await?;
    /// # let (mut server, _) = listener.accept().await?;
    /// client.set_linger(Some(std::time::Duration::ZERO))?;
    /// drop(client);
    /// let error = server.read(&mut [0; 8]).await.unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_linger(&self, limit: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.0.socket()).set_linger(limit)
    }

    /// How many routers a packet may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(stream.ttl()? > 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.0.socket().ttl()
    }

    /// Sets [`ttl`](TcpStream::ttl).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// stream.set_ttl(7)?;
    /// assert_eq!(stream.ttl()?, 7);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.0.socket().set_ttl(ttl)
    }

    /// Takes the error that is pending on the connection, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use loopbind::{net::{TcpListener, TcpStream}, run};
    /// # run(async {
    /// # let listener = TcpListener::bind("127.0.0.1:0").await?;
    /// # let stream = TcpStream::connect(listener.local_addr()?).await?;
    /// assert!(stream.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.socket().take_error()
    }
}

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    fn try_from(inner: std::net::TcpStream) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<TcpStream> for std::net::TcpStream {
    type Error = io::Error;

    fn try_from(stream: TcpStream) -> io::Result<Self> {
        stream.into_std()
    }
}
