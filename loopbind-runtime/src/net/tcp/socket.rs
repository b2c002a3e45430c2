//! A TCP socket that neither listens nor is connected yet.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};

use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::io::Async;
use crate::net::addresses::named;
use crate::sys;
use crate::sys::fault::Call;

/// A TCP socket to be set up before it [listens](TcpSocket::listen) or
/// [connects](TcpSocket::connect).
///
/// What is set here is inherited by the connections a listener accepts, where the system says so.
///
/// ```
/// use loopbind::{net::TcpSocket, run};
///
/// run(async {
///     // Two listeners on one port: the system shares the connections out among them.
///     let first = TcpSocket::new_v4()?;
///     first.set_reuse_port(true)?;
///     first.bind("127.0.0.1:0".parse().unwrap())?;
///     let first = first.listen(128)?;
///     let second = TcpSocket::new_v4()?;
///     second.set_reuse_port(true)?;
///     second.bind(first.local_addr()?)?;
///     let second = second.listen(128)?;
///     assert_eq!(first.local_addr()?, second.local_addr()?);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TcpSocket {
    socket: Socket,
}

impl TcpSocket {
    /// A socket for IPv4.
    ///
    /// # Errors
    /// The system's, where it has no descriptors left.
    ///
    /// ```
    /// # use loopbind::{net, run};
    /// # run(async {
    /// let socket = net::TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert!(socket.local_addr()?.is_ipv4());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// A socket for IPv6.
    ///
    /// # Errors
    /// The system's, where it has no descriptors left, or no IPv6.
    ///
    /// ```
    /// # use loopbind::{net, run};
    /// # run(async {
    /// if let Ok(socket) = net::TcpSocket::new_v6() {
    ///     socket.set_only_v6(true)?;
    ///     assert!(socket.local_addr()?.is_ipv6());
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    /// A socket for what `address` is.
    pub(in crate::net) fn new_for(address: SocketAddr) -> io::Result<Self> {
        Self::new(Domain::for_address(address))
    }

    fn new(domain: Domain) -> io::Result<Self> {
        Ok(TcpSocket { socket: sys::open_socket(domain, Type::STREAM, Some(Protocol::TCP))? })
    }

    /// Gives the socket the address of this end.
    ///
    /// # Errors
    /// The system's, with the address in the text.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        let bound = sys::bind(&self.socket, &addr.into());
        bound.map_err(|error| named(error, format!("cannot bind {addr}")))
    }

    /// Listens: at most `backlog` connections wait to be accepted, or fewer where the system has a
    /// lower limit.
    ///
    /// # Errors
    /// The system's: `AddrInUse` where somebody else listens there.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let listener = socket.listen(1024)?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        sys::listen(&self.socket, backlog.try_into().unwrap_or(i32::MAX))?;
        Ok(TcpListener::of(Async::nonblocking(self.socket.into())))
    }

    /// Connects to `addr`.
    ///
    /// # Errors
    /// The system's, with the address in the text;
    /// [`LoopError::NoRunningLoop`](crate::LoopError::NoRunningLoop) where it has to wait outside of
    /// runs.
    ///
    /// # Cancel safety
    /// Dropping it gives the attempt up, and closes the socket.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// let listener = loopbind::net::TcpListener::bind("127.0.0.1:0").await?;
    /// socket.set_nodelay(true)?;
    /// let stream = socket.connect(listener.local_addr()?).await?;
    /// assert!(stream.nodelay()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::establish(self.socket, addr).await
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert_eq!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        let address = self.socket.local_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    /// Lets several sockets bind one address, each of which sets this (`SO_REUSEPORT`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.set_reuse_port(true)?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// let other = TcpSocket::new_v4()?;
    /// other.set_reuse_port(true)?;
    /// other.bind(socket.local_addr()?)?;
    /// assert_eq!(other.local_addr()?, socket.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_reuse_port(&self, on: bool) -> io::Result<()> {
        self.socket.set_reuse_port(on)
    }

    /// Lets the socket bind an address whose connections ended a moment ago (`SO_REUSEADDR`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.set_reuse_address(true)?;
    /// socket.bind("127.0.0.1:0".parse().unwrap())?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_reuse_address(&self, on: bool) -> io::Result<()> {
        sys::fault::check(Call::SocketOption)?;
        self.socket.set_reuse_address(on)
    }

    /// Has a socket for IPv6 leave IPv4 to others (`IPV6_V6ONLY`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// let socket = TcpSocket::new_v6();
    /// assert!(socket.is_err() || socket.unwrap().set_only_v6(true).is_ok());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_only_v6(&self, on: bool) -> io::Result<()> {
        sys::fault::check(Call::SocketOption)?;
        self.socket.set_only_v6(on)
    }

    /// Has small writes sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert!(socket.set_nodelay(true).is_ok());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_nodelay(&self, on: bool) -> io::Result<()> {
        self.socket.set_tcp_nodelay(on)
    }

    /// Has the system ask a silent peer whether it is there, after it was silent for `after`; `None`:
    /// never (`SO_KEEPALIVE`, `TCP_KEEPIDLE`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert!(socket.set_keepalive(Some(std::time::Duration::from_secs(60))).is_ok());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, after: Option<Duration>) -> io::Result<()> {
        match after {
            Some(after) => self.socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(after)),
            None => self.socket.set_keepalive(false),
        }
    }

    /// How long closing may go on sending what is left; zero: closing resets the connection
    /// (`SO_LINGER`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert!(socket.set_linger(Some(std::time::Duration::ZERO)).is_ok());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_linger(&self, limit: Option<Duration>) -> io::Result<()> {
        self.socket.set_linger(limit)
    }

    /// Bytes the system keeps that were written and not sent (`SO_SNDBUF`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert!(socket.send_buffer_size()? > 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_buffer_size(&self) -> io::Result<usize> {
        self.socket.send_buffer_size()
    }

    /// Sets [`send_buffer_size`](TcpSocket::send_buffer_size); Linux doubles it.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.set_send_buffer_size(32 << 10)?;
    /// assert!(socket.send_buffer_size()? >= 32 << 10);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_send_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_send_buffer_size(size)
    }

    /// Bytes the system keeps that came and were not read (`SO_RCVBUF`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// assert!(socket.recv_buffer_size()? > 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn recv_buffer_size(&self) -> io::Result<usize> {
        self.socket.recv_buffer_size()
    }

    /// Sets [`recv_buffer_size`](TcpSocket::recv_buffer_size); Linux doubles it.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::TcpSocket, run};
    /// # run(async {
    /// # let socket = TcpSocket::new_v4()?;
    /// socket.set_recv_buffer_size(32 << 10)?;
    /// assert!(socket.recv_buffer_size()? >= 32 << 10);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_recv_buffer_size(&self, size: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(size)
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
