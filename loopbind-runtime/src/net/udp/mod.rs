//! UDP.

mod options;

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Type};

use crate::io::Async;
use crate::net::addresses::{ToAddrs, named, no_addresses, resolve};
use crate::sys;
use crate::sys::fault::Call;

/// A UDP socket: datagrams from and to anybody, or, once [connected](UdpSocket::connect), one peer.
///
/// A datagram is received whole; what does not fit the buffer is lost. One of no bytes is a datagram,
/// and no end.
///
/// ```
/// use loopbind::{net::UdpSocket, run};
///
/// run(async {
///     let (left, right) =
///         (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
///     left.send_to(b"ping", right.local_addr()?).await?;
///     let mut buffer = [0; 1500];
///     let (count, from) = right.recv_from(&mut buffer).await?;
///     assert_eq!((&buffer[..count], from), (&b"ping"[..], left.local_addr()?));
///
///     right.connect(from).await?;
///     right.send(b"pong").await?;
///     let count = left.recv(&mut buffer).await?;
///     assert_eq!(&buffer[..count], b"pong");
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("create_datagram_endpoint", "DatagramTransport"))]
#[derive(Debug)]
pub struct UdpSocket {
    io: Async<std::net::UdpSocket>,
}

impl UdpSocket {
    /// A socket at the first of `addr`'s addresses that can be had. Port 0 has the system choose one.
    ///
    /// # Errors
    /// The system's, with the address in the text; the resolver's.
    ///
    /// # Cancel safety
    /// Dropping it leaves nothing behind.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn bind(addr: impl ToAddrs) -> io::Result<Self> {
        let mut last = None;
        for address in resolve(addr).await? {
            match Self::bind_to(address) {
                Ok(socket) => return Ok(socket),
                Err(error) => last = Some(named(error, format!("cannot bind {address}"))),
            }
        }
        Err(last.unwrap_or_else(no_addresses))
    }

    fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = sys::open_socket(domain, Type::DGRAM, Some(Protocol::UDP))?;
        sys::bind(&socket, &address.into())?;
        Ok(UdpSocket { io: Async::nonblocking(socket.into()) })
    }

    /// From here on the socket sends to, and receives from, the first of `addr`'s addresses that the
    /// system takes. Nothing is sent by this.
    ///
    /// # Errors
    /// The system's, with the address in the text; the resolver's.
    ///
    /// # Cancel safety
    /// Dropped while a name is looked up, it changes nothing.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.connect(right.local_addr()?).await?;
    /// assert_eq!(left.peer_addr()?, right.local_addr()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn connect(&self, addr: impl ToAddrs) -> io::Result<()> {
        let mut last = None;
        for address in resolve(addr).await? {
            let connected =
                sys::fault::check(Call::Connect).and_then(|()| self.io.get_ref().connect(address));
            match connected {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(named(error, format!("cannot connect to {address}"))),
            }
        }
        Err(last.unwrap_or_else(no_addresses))
    }

    /// Sends a datagram.
    ///
    /// # Errors
    /// The system's: for one that is too long, for instance.
    ///
    /// # Cancel safety
    /// Dropped before it was ready, it has sent nothing.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// assert_eq!(left.send_to(b"word", right.local_addr()?).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "sock_sendto")]
    pub async fn send_to(&self, buffer: &[u8], to: SocketAddr) -> io::Result<usize> {
        self.io
            .write_with(|socket| {
                sys::fault::check(Call::Send)?;
                socket.send_to(buffer, to)
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
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.send_to(b"word", right.local_addr()?).await?;
    /// assert_eq!(right.recv_from(&mut buffer).await?, (4, left.local_addr()?));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias("sock_recvfrom", "sock_recvfrom_into"))]
    pub async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_with(|socket| {
                sys::fault::check(Call::Receive)?;
                socket.recv_from(buffer)
            })
            .await
    }

    /// Receives a datagram, and leaves it there for the next to receive.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.send_to(b"word", right.local_addr()?).await?;
    /// assert_eq!(right.peek_from(&mut buffer).await?, (4, left.local_addr()?));
    /// assert_eq!(right.recv_from(&mut buffer).await?, (4, left.local_addr()?));
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn peek_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.io
            .read_with(|socket| {
                sys::fault::check(Call::Receive)?;
                socket.peek_from(buffer)
            })
            .await
    }

    /// Sends a datagram to the connected peer.
    ///
    /// # Errors
    /// The system's: `ConnectionRefused` when the one before found nobody.
    ///
    /// # Cancel safety
    /// Dropped before it was ready, it has sent nothing.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.connect(right.local_addr()?).await?;
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

    /// Receives a datagram; where the socket is connected, from its peer alone.
    ///
    /// # Errors
    /// The system's: `ConnectionRefused` when what was sent found nobody.
    ///
    /// # Cancel safety
    /// Dropping it loses no datagram.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.send_to(b"word", right.local_addr()?).await?;
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

    /// As [`recv`](UdpSocket::recv), and leaves the datagram there for the next to receive.
    ///
    /// # Errors
    /// The system's.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.send_to(b"word", right.local_addr()?).await?;
    /// assert_eq!(right.peek(&mut buffer).await?, 4);
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.io
            .read_with(|socket| {
                sys::fault::check(Call::Receive)?;
                socket.peek(buffer)
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
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let left = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let right = UdpSocket::bind("127.0.0.1:0").await?;
    /// # let mut buffer = [0; 64];
    /// left.send_to(b"word", right.local_addr()?).await?;
    /// right.readable().await?;
    /// assert_eq!(right.recv(&mut buffer).await?, 4);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn readable(&self) -> io::Result<()> {
        self.io.readable().await
    }

    /// Waits until a datagram would be taken.
    ///
    /// # Errors
    /// As [`Async::writable`].
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.writable().await?;
    /// assert!(socket.take_error()?.is_none());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn writable(&self) -> io::Result<()> {
        self.io.writable().await
    }

    /// The address of this end.
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The peer it is connected to.
    ///
    /// # Errors
    /// `NotConnected` where it is to none.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let error = socket.peer_addr().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Takes the error that is pending on the socket, if there is one (`SO_ERROR`).
    ///
    /// # Errors
    /// The system's, where it cannot say.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.take_error()?.is_none());
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
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let inner = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let socket = UdpSocket::from_std(inner)?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_std(inner: std::net::UdpSocket) -> io::Result<Self> {
        Ok(UdpSocket { io: Async::new(inner)? })
    }

    /// The socket, off its loop. It stays non-blocking.
    ///
    /// # Errors
    /// None today: see [`Async::into_inner`].
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let inner = socket.into_std()?;
    /// assert_eq!(inner.recv(&mut []).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.io.into_inner()
    }
}

impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    fn try_from(inner: std::net::UdpSocket) -> io::Result<Self> {
        Self::from_std(inner)
    }
}

impl TryFrom<UdpSocket> for std::net::UdpSocket {
    type Error = io::Error;

    fn try_from(socket: UdpSocket) -> io::Result<Self> {
        socket.into_std()
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.io.as_raw_fd()
    }
}
