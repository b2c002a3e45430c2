//! A Unix socket that listens.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use futures_core::Stream;

use super::stream::UnixStream;
use super::{address_of, shown, socket_address};
use crate::io::Async;
use crate::net::acceptor::{Acceptor, Listen};
use crate::net::addresses::named;
use crate::sys;

/// A Unix socket that listens. Dropping it closes it, and leaves the file of its path where it is;
/// [`start_unix_server`](crate::net::start_unix_server) removes it.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::{net::{UnixListener, UnixStream}, run};
///
/// let path = std::env::temp_dir().join(format!("loopbind-listener-{}", std::process::id()));
/// run(async {
///     let listener = UnixListener::bind(&path)?;
///     let mut client = UnixStream::connect(&path).await?;
///     let (mut stream, _) = listener.accept().await?;
///     client.write_all(b"x").await?;
///     let mut byte = [0];
///     stream.read_exact(&mut byte).await?;
///     Ok::<(), std::io::Error>(())
/// })??;
/// std::fs::remove_file(path)?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping it ends the listening"]
pub struct UnixListener {
    acceptor: Acceptor<std::os::unix::net::UnixListener>,
}

impl Listen for std::os::unix::net::UnixListener {
    type Stream = UnixStream;
    type Peer = SocketAddr;

    fn take(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (stream, peer) = sys::accept_unix(self)?;
        Ok((UnixStream::of(Async::nonblocking(stream)), peer))
    }
}

impl UnixListener {
    /// Listens at `path`, where a file appears.
    ///
    /// # Errors
    /// The system's, with the path in the text: `AddrInUse` where a file is there already, somebody
    /// listening or not.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-listener-bind-{}", std::process::id()));
    /// # run(async {
    /// let listener = UnixListener::bind(&path)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&address_of(path.as_ref())?)
    }

    /// Listens at an address: a path, or a name of the abstract kind, which has no file.
    ///
    /// # Errors
    /// As [`bind`](UnixListener::bind).
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-listener-bind-addr-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// assert!(listener.local_addr()?.as_abstract_name().is_some());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        // The system takes as many as it allows.
        let listener = socket_address(address)
            .and_then(|address| sys::bind_unix_listener(&address, i32::MAX))
            .map_err(|error| named(error, format!("cannot bind {}", shown(address))))?;
        Ok(UnixListener { acceptor: Acceptor::new(Async::nonblocking(listener)) })
    }

    pub(in crate::net) fn into_acceptor(self) -> Acceptor<std::os::unix::net::UnixListener> {
        self.acceptor
    }

    /// The next connection, and the address it comes from, which is most often none.
    ///
    /// # Errors
    /// As [`TcpListener::accept`](crate::net::TcpListener::accept).
    ///
    /// # Cancel safety
    /// Dropping it loses no connection.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-listener-accept-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address).await?;
    /// let (_stream, from) = listener.accept().await?;
    /// assert!(from.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        self.acceptor.accept().await
    }

    /// The connections as they come, without end.
    ///
    /// # Errors
    /// As [`accept`](UnixListener::accept): the stream goes on after an error.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-listener-incoming-{}", std::process::id());
    /// # run(async {
    /// use futures::StreamExt;
    ///
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address).await?;
    /// assert!(listener.incoming().next().await.unwrap().is_ok());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn incoming(&self) -> impl Stream<Item = io::Result<UnixStream>> + Unpin + '_ {
        self.acceptor.incoming()
    }

    /// The address it listens at.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-listener-local-addr-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// assert!(listener.local_addr()?.as_abstract_name().is_some());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.get_ref().local_addr()
    }

    /// Takes the error that is pending on the socket, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-listener-take-error-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
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
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-listener-from-std-{}", std::process::id()));
    /// # run(async {
    /// let inner = std::os::unix::net::UnixListener::bind(&path)?;
    /// let listener = UnixListener::from_std(inner)?;
    /// assert_eq!(listener.local_addr()?.as_pathname(), Some(&*path));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(inner: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Ok(UnixListener { acceptor: Acceptor::new(Async::new(inner)?) })
    }

    /// The listener, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// None today: see [`Async::into_inner`].
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-listener-into-std-{}", std::process::id()));
    /// # run(async {
    /// let inner = UnixListener::bind(&path)?.into_std()?;
    /// assert_eq!(inner.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        self.acceptor.into_inner()
    }
}

impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    fn try_from(inner: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<UnixListener> for std::os::unix::net::UnixListener {
    type Error = io::Error;

    fn try_from(listener: UnixListener) -> io::Result<Self> {
        listener.into_std()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.get_ref().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.acceptor.get_ref().as_raw_fd()
    }
}
