//! A Unix connection.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::rc::Weak;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use socket2::{Domain, Type};

use super::credentials::PeerCredentials;
use super::{address_of, shown, socket_address};
use crate::io::Async;
use crate::net::addresses::named;
use crate::net::connect::connect;
use crate::net::duplex::{Duplex, Line, byte_stream};
use crate::sys;
use crate::sys::fault::Call;

/// A Unix connection. A handle, as [`TcpStream`](crate::net::TcpStream) is: clones name the same
/// connection, and `&UnixStream` reads and writes too.
///
/// # Cancel safety
/// A read or write that is dropped before it was ready has read or written nothing.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::{net::UnixStream, run};
///
/// run(async {
///     let (mut left, mut right) = UnixStream::pair()?;
///     left.write_all(b"ping").await?;
///     left.close().await?;
///     let mut heard = String::new();
///     right.read_to_string(&mut heard).await?;
///     assert_eq!(heard, "ping");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct UnixStream(Duplex<std::os::unix::net::UnixStream>);

byte_stream!(UnixStream);

impl UnixStream {
    /// Connects to who listens at `path`. Where its queue is full, it asks again after a while.
    ///
    /// # Errors
    /// The system's, with the path in the text;
    /// [`LoopError::NoRunningLoop`](crate::LoopError::NoRunningLoop) where it has to wait outside of
    /// runs.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up, and closes its socket.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-stream-connect-{}", std::process::id()));
    /// # run(async {
    /// let listener = UnixListener::bind(&path)?;
    /// let stream = UnixStream::connect(&path).await?;
    /// assert_eq!(stream.peer_addr()?.as_pathname(), Some(&*path));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias("open_unix_connection", "create_unix_connection"))]
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let address = address_of(path.as_ref())?;
        drop(path);
        Self::connect_addr(&address).await
    }

    /// Connects to an address: a path, or a name of the abstract kind.
    ///
    /// # Errors
    /// As [`connect`](UnixStream::connect).
    ///
    /// # Cancel safety
    /// As [`connect`](UnixStream::connect).
    ///
    /// ```
    /// use loopbind::{net::{UnixListener, UnixStream}, run};
    /// use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    ///
    /// run(async {
    ///     let name = format!("loopbind example {}", std::process::id());
    ///     let address = SocketAddr::from_abstract_name(name)?;
    ///     let listener = UnixListener::bind_addr(&address)?;
    ///     let stream = UnixStream::connect_addr(&address).await?;
    ///     listener.accept().await?;
    ///     assert_eq!(stream.peer_cred()?.pid, std::process::id() as i32);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect_addr(address: &SocketAddr) -> io::Result<Self> {
        let socket = sys::open_socket(Domain::UNIX, Type::STREAM, None)?;
        let socket = std::os::unix::net::UnixStream::from(socket);
        match connect(socket, &socket_address(address)?).await {
            Ok(io) => Ok(Self::of(io)),
            Err(error) => Err(named(error, format!("cannot connect to {}", shown(address)))),
        }
    }

    /// Two streams that are connected to one another.
    ///
    /// # Errors
    /// The system's, where it has no descriptors left.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// left.write_all(b"x").await?;
    /// assert_eq!(right.read(&mut [0; 8]).await?, 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias("duplex", "socketpair"))]
    pub fn pair() -> io::Result<(Self, Self)> {
        sys::fault::check(Call::Socket)?;
        let (left, right) = std::os::unix::net::UnixStream::pair()?;
        Ok((Self::from_std(left)?, Self::from_std(right)?))
    }

    pub(super) fn of(io: Async<std::os::unix::net::UnixStream>) -> Self {
        UnixStream(Duplex::new(io))
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
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// let (left, right) = std::os::unix::net::UnixStream::pair()?;
    /// let (mut left, mut right) = (UnixStream::from_std(left)?, UnixStream::from_std(right)?);
    /// left.write_all(b"x").await?;
    /// assert_eq!(right.read(&mut [0; 8]).await?, 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(inner: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Async::new(inner).map(Self::of)
    }

    /// The connection, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// Where clones of this handle exist: they would go on using it.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// let clone = left.clone();
    /// assert!(left.into_std().is_err());
    /// let inner = clone.into_std()?;
    /// inner.set_nonblocking(false)?;
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.0.into_socket()
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// assert!(left.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().local_addr()
    }

    /// The address of the other end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// assert!(left.peer_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.socket().peer_addr()
    }

    /// Who made the other end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// assert_eq!(right.peer_cred()?.pid, std::process::id() as i32);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_cred(&self) -> io::Result<PeerCredentials> {
        let (pid, uid, gid) = sys::peer_credentials(self.as_fd())?;
        Ok(PeerCredentials { pid, uid, gid })
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
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// left.write_all(b"x").await?;
    /// right.readable().await?;
    /// assert_eq!(right.read(&mut [0; 8]).await?, 1);
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
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// left.writable().await?;
    /// assert!(left.take_error()?.is_none());
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
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// left.shutdown(std::net::Shutdown::Write)?;
    /// assert_eq!(right.read(&mut [0; 8]).await?, 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        sys::shut(self.0.socket(), how)
    }

    /// Takes the error that is pending on the connection, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use futures::{AsyncReadExt, AsyncWriteExt};
    /// # use loopbind::{net::UnixStream, run};
    /// # run(async {
    /// # let (mut left, mut right) = UnixStream::pair()?;
    /// assert!(left.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.socket().take_error()
    }
}

impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    fn try_from(inner: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<UnixStream> for std::os::unix::net::UnixStream {
    type Error = io::Error;

    fn try_from(stream: UnixStream) -> io::Result<Self> {
        stream.into_std()
    }
}
