//! Unix datagrams.

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::net::SocketAddr;
use std::path::Path;

use super::{address_of, shown};
use crate::io::Async;
use crate::net::addresses::named;
use crate::net::pause::Pause;
use crate::sys;
use crate::sys::fault::Call;

/// A Unix socket for datagrams, which arrive whole and in order, or not at all when nobody is there.
///
/// A datagram that finds the receiver's queue full waits for it, as a write does.
///
/// ```
/// use loopbind::{net::UnixDatagram, run};
///
/// run(async {
///     let (left, right) = UnixDatagram::pair()?;
///     left.send(b"ping").await?;
///     let mut buffer = [0; 16];
///     assert_eq!(right.recv(&mut buffer).await?, 4);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct UnixDatagram {
    io: Async<std::os::unix::net::UnixDatagram>,
}

impl UnixDatagram {
    /// A socket at `path`, where a file appears, and stays.
    ///
    /// # Errors
    /// The system's, with the path in the text: `AddrInUse` where a file is there already.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-datagram-bind-{}", std::process::id()));
    /// # run(async {
    /// let socket = UnixDatagram::bind(&path)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::bind_addr(&address_of(path.as_ref())?)
    }

    /// A socket at an address: a path, or a name of the abstract kind.
    ///
    /// # Errors
    /// As [`bind`](UnixDatagram::bind).
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-datagram-bind-addr-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let receiver = UnixDatagram::bind_addr(&address)?;
    /// assert!(receiver.local_addr()?.as_abstract_name().is_some());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(address: &SocketAddr) -> io::Result<Self> {
        let socket = sys::fault::check(Call::Socket)
            .and_then(|()| sys::fault::check(Call::Bind))
            .and_then(|()| std::os::unix::net::UnixDatagram::bind_addr(address));
        let socket =
            socket.map_err(|error| named(error, format!("cannot bind {}", shown(address))))?;
        Self::from_std(socket)
    }

    /// A socket without an address: it can send, and nobody can answer.
    ///
    /// # Errors
    /// The system's, where it has no descriptors left.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-datagram-unbound-{}", std::process::id()));
    /// # run(async {
    /// let receiver = UnixDatagram::bind(&path)?;
    /// let sender = UnixDatagram::unbound()?;
    /// assert_eq!(sender.send_to(b"word", &path).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unbound() -> io::Result<Self> {
        sys::fault::check(Call::Socket)?;
        Self::from_std(std::os::unix::net::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to one another.
    ///
    /// # Errors
    /// The system's, where it has no descriptors left.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// left.send(b"word").await?;
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(Self, Self)> {
        sys::fault::check(Call::Socket)?;
        let (left, right) = std::os::unix::net::UnixDatagram::pair()?;
        Ok((Self::from_std(left)?, Self::from_std(right)?))
    }

    /// From here on the socket sends to the one at `path`, and receives from it alone.
    ///
    /// # Errors
    /// The system's, with the path in the text.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-datagram-connect-{}", std::process::id()));
    /// # run(async {
    /// let receiver = UnixDatagram::bind(&path)?;
    /// let sender = UnixDatagram::unbound()?;
    /// sender.connect(&path)?;
    /// assert_eq!(sender.send(b"word").await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.connect_addr(&address_of(path.as_ref())?)
    }

    /// Connects to an address: a path, or a name of the abstract kind.
    ///
    /// # Errors
    /// As [`connect`](UnixDatagram::connect).
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-datagram-connect-addr-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let receiver = UnixDatagram::bind_addr(&address)?;
    /// let sender = UnixDatagram::unbound()?;
    /// sender.connect_addr(&address)?;
    /// assert_eq!(sender.send(b"word").await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr(&self, address: &SocketAddr) -> io::Result<()> {
        let connected =
            sys::fault::check(Call::Connect).and_then(|()| self.io.get_ref().connect_addr(address));
        connected.map_err(|error| named(error, format!("cannot connect to {}", shown(address))))
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Dropped before it was ready, it has sent nothing.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// assert_eq!(left.send(b"word").await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send(&self, buffer: &[u8]) -> io::Result<usize> {
        self.io
            .write_with(|socket| {
                sys::fault::check(Call::Send)?;
                socket.send(buffer)
            })
            .await
    }

    /// Sends a datagram to the socket at `path`.
    ///
    /// # Errors
    /// The system's: `ConnectionRefused` where nobody is there any more.
    ///
    /// # Cancel safety
    /// Dropped before it was ready, it has sent nothing.
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # let path = std::env::temp_dir().join(format!("loopbind-unix-datagram-send-to-{}", std::process::id()));
    /// # run(async {
    /// let receiver = UnixDatagram::bind(&path)?;
    /// assert_eq!(UnixDatagram::unbound()?.send_to(b"word", &path).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # let _ = std::fs::remove_file(path);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_to(&self, buffer: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let address = address_of(path.as_ref())?;
        drop(path);
        self.send_to_addr(buffer, &address).await
    }

    /// Sends a datagram to an address: a path, or a name of the abstract kind.
    ///
    /// # Errors
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// # Cancel safety
    /// As [`send_to`](UnixDatagram::send_to).
    ///
    /// ```
    /// # use loopbind::{net::{UnixDatagram, UnixListener, UnixStream}, run};
    /// # use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    /// # let abstract_name = format!("loopbind-unix-datagram-send-to-addr-{}", std::process::id());
    /// # run(async {
    /// let address = SocketAddr::from_abstract_name(abstract_name)?;
    /// let receiver = UnixDatagram::bind_addr(&address)?;
    /// assert_eq!(UnixDatagram::unbound()?.send_to_addr(b"word", &address).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn send_to_addr(&self, buffer: &[u8], address: &SocketAddr) -> io::Result<usize> {
        let mut pause = Pause::new();
        loop {
            // Waits for this socket's queue. When that has room, it is the receiver's that has none.
            self.io.writable().await?;
            let sent = sys::fault::check(Call::Send)
                .and_then(|()| self.io.get_ref().send_to_addr(buffer, address));
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => pause.wait().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent,
            }
        }
    }

    /// Receives a datagram; what does not fit the buffer is lost.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Dropping it loses no datagram.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// left.send(b"word").await?;
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io
            .read_with(|socket| {
                sys::fault::check(Call::Receive)?;
                socket.recv(buffer)
            })
            .await
    }

    /// Receives a datagram, and the address it comes from.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Dropping it loses no datagram.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// left.send(b"word").await?;
    /// let (count, from) = right.recv_from(&mut buffer).await?;
    /// assert!(count == 4 && from.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_with(|socket| {
                sys::fault::check(Call::Receive)?;
                socket.recv_from(buffer)
            })
            .await
    }

    /// Waits until there is a datagram to receive.
    ///
    /// # Errors
    /// As [`Async::readable`].
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// left.send(b"word").await?;
    /// right.readable().await?;
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// The address of this socket.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// assert!(left.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the connected peer.
    ///
    /// # Errors
    /// `NotConnected` where there is none.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// assert!(left.peer_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Ends receiving, sending, or both.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// right.shutdown(std::net::Shutdown::Both)?;
    /// assert!(left.send(b"word").await.is_err());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }

    /// Takes the error that is pending on the socket, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// assert!(left.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().take_error()
    }

    /// Takes a socket over, and sets it non-blocking.
    ///
    /// # Errors
    /// The system's, where it cannot be set so.
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// let (left, right) = std::os::unix::net::UnixDatagram::pair()?;
    /// let right = UnixDatagram::from_std(right)?;
    /// left.send(b"word")?;
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(inner: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        Ok(UnixDatagram { io: Async::new(inner)? })
    }

    /// The socket, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// None today: see [`Async::into_inner`].
    ///
    /// ```
    /// # use loopbind::{net::UnixDatagram, run};
    /// # run(async {
    /// # let (left, right) = UnixDatagram::pair()?;
    /// # let mut buffer = [0; 64];
    /// let inner = left.into_std()?;
    /// assert_eq!(inner.recv(&mut []).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        self.io.into_inner()
    }
}

impl TryFrom<std::os::unix::net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    fn try_from(inner: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<UnixDatagram> for std::os::unix::net::UnixDatagram {
    type Error = io::Error;

    fn try_from(socket: UnixDatagram) -> io::Result<Self> {
        socket.into_std()
    }
}

impl AsFd for UnixDatagram {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for UnixDatagram {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}
