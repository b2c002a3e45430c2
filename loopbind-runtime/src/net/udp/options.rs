//! What may be set of a UDP socket.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::UdpSocket;

/// Options, as std has them.
impl UdpSocket {
    /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(!socket.broadcast()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn broadcast(&self) -> io::Result<bool> {
        self.io.get_ref().broadcast()
    }

    /// Sets [`broadcast`](UdpSocket::broadcast).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_broadcast(true)?;
    /// assert!(socket.broadcast()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_broadcast(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_broadcast(on)
    }

    /// How many routers a datagram may pass (`IP_TTL`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.ttl()? > 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets [`ttl`](UdpSocket::ttl).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_ttl(7)?;
    /// assert_eq!(socket.ttl()?, 7);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Has datagrams to `group` come here too, by the interface with that address (unspecified: the
    /// system chooses).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// use std::net::Ipv4Addr;
    ///
    /// let (group, interface) = (Ipv4Addr::new(224, 0, 0, 123), Ipv4Addr::LOCALHOST);
    /// if socket.join_multicast_v4(group, interface).is_ok() {
    ///     assert!(socket.leave_multicast_v4(group, interface).is_ok());
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().join_multicast_v4(&group, &interface)
    }

    /// Undoes [`join_multicast_v4`](UdpSocket::join_multicast_v4).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// use std::net::Ipv4Addr;
    ///
    /// let (group, interface) = (Ipv4Addr::new(224, 0, 0, 123), Ipv4Addr::LOCALHOST);
    /// if socket.join_multicast_v4(group, interface).is_ok() {
    ///     assert!(socket.leave_multicast_v4(group, interface).is_ok());
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v4(&group, &interface)
    }

    /// Has datagrams to `group` come here too, by the interface of that number (0: the system
    /// chooses).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let group = "ff01::123".parse().unwrap();
    /// if socket.join_multicast_v6(group, 0).is_ok() {
    ///     assert!(socket.leave_multicast_v6(group, 0).is_ok());
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().join_multicast_v6(&group, interface)
    }

    /// Undoes [`join_multicast_v6`](UdpSocket::join_multicast_v6).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let group = "ff01::123".parse().unwrap();
    /// if socket.join_multicast_v6(group, 0).is_ok() {
    ///     assert!(socket.leave_multicast_v6(group, 0).is_ok());
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        self.io.get_ref().leave_multicast_v6(&group, interface)
    }

    /// Whether what it sends to a group comes back to this host's members (`IP_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.multicast_loop_v4()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_loop_v4(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v4()
    }

    /// Sets [`multicast_loop_v4`](UdpSocket::multicast_loop_v4).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_multicast_loop_v4(false)?;
    /// assert!(!socket.multicast_loop_v4()?);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v4(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v4(on)
    }

    /// How many routers a datagram to a group may pass (`IP_MULTICAST_TTL`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_ttl_v4(&self) -> io::Result<u32> {
        self.io.get_ref().multicast_ttl_v4()
    }

    /// Sets [`multicast_ttl_v4`](UdpSocket::multicast_ttl_v4).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_multicast_ttl_v4(2)?;
    /// assert_eq!(socket.multicast_ttl_v4()?, 2);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_ttl_v4(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_multicast_ttl_v4(ttl)
    }

    /// Whether what it sends to an IPv6 group comes back to this host's members
    /// (`IPV6_MULTICAST_LOOP`).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0").await {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn multicast_loop_v6(&self) -> io::Result<bool> {
        self.io.get_ref().multicast_loop_v6()
    }

    /// Sets [`multicast_loop_v6`](UdpSocket::multicast_loop_v6).
    ///
    /// # Errors
    /// The system's.
    ///
    /// ```
    /// # use loopbind::{net::UdpSocket, run};
    /// # run(async {
    /// # let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// if let Ok(socket) = UdpSocket::bind("[::1]:0").await {
    ///     socket.set_multicast_loop_v6(false)?;
    ///     assert!(!socket.multicast_loop_v6()?);
    /// }
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_multicast_loop_v6(&self, on: bool) -> io::Result<()> {
        self.io.get_ref().set_multicast_loop_v6(on)
    }
}
