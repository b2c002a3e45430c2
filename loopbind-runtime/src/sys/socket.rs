//! What is asked of sockets, past what std and socket2 ask.
//!
//! What is sent is sent so that a peer who went away is an error, and never the signal `SIGPIPE`: a
//! host that loads us as a plugin may have that one at its default, which ends the process. std's
//! own writes do not promise it for `writev`, nor in all versions for Unix sockets.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixListener, UnixStream};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags};
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::fault::{self, Call};

/// What the system takes in one call (`IOV_MAX`); the rest is for the next.
pub(crate) const MOST_SLICES: usize = 1024;

/// A socket that is non-blocking, and closed in children, from the start.
pub(crate) fn open_socket(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    fault::check(Call::Socket)?;
    Socket::new(domain, kind.nonblocking().cloexec(), protocol)
}

pub(crate) fn bind(socket: &Socket, to: &SockAddr) -> io::Result<()> {
    fault::check(Call::Bind)?;
    socket.bind(to)
}

pub(crate) fn listen(socket: &Socket, backlog: i32) -> io::Result<()> {
    fault::check(Call::Listen)?;
    socket.listen(backlog)
}

/// A listener at `to`. Where it cannot listen, the file that it made there is gone again.
pub(crate) fn bind_unix_listener(to: &SockAddr, backlog: i32) -> io::Result<UnixListener> {
    let socket = open_socket(Domain::UNIX, Type::STREAM, None)?;
    bind(&socket, to)?;
    if let Err(error) = listen(&socket, backlog) {
        if let Some(path) = to.as_pathname() {
            // Ours: it was made by the call above.
            let _ = std::fs::remove_file(path);
        }
        return Err(error);
    }
    Ok(socket.into())
}

/// Begins to connect: see [`connect_trouble`].
pub(crate) fn connect(socket: &impl AsFd, to: &SockAddr) -> io::Result<()> {
    let fault = fault::check(Call::Connect);
    match &fault {
        Err(error) if connect_trouble(error, to) != ConnectTrouble::Underway => return fault,
        _ => SockRef::from(socket).connect(to)?,
    }
    fault
}

/// The next connection of a listener, non-blocking from the start.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    fault::check(Call::Accept)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let stream = TcpStream::from(stream);
    let peer = match peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
        Some(peer) => peer,
        None => stream.peer_addr()?,
    };
    Ok((stream, peer))
}

/// The same of a Unix listener.
pub(crate) fn accept_unix(listener: &UnixListener) -> io::Result<(UnixStream, UnixAddress)> {
    fault::check(Call::Accept)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddrUnix::try_from(peer).ok());
    Ok((stream.into(), unix_address(peer.as_ref())?))
}

/// As std has it. Who connects has no name, mostly.
fn unix_address(address: Option<&SocketAddrUnix>) -> io::Result<UnixAddress> {
    #[cfg(target_os = "linux")]
    if let Some(name @ [_, ..]) = address.and_then(SocketAddrUnix::abstract_name) {
        use std::os::linux::net::SocketAddrExt as _;
        return UnixAddress::from_abstract_name(name);
    }
    let path = address.and_then(SocketAddrUnix::path_bytes).unwrap_or_default();
    UnixAddress::from_pathname(std::ffi::OsStr::from_bytes(path))
}

pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let most = fault::limit(Call::Receive, buffer.len())?;
    let (count, _) = rustix::net::recv(socket, &mut buffer[..most], RecvFlags::empty())?;
    Ok(count)
}

pub(crate) fn receive_vectored(
    mut socket: impl Read,
    buffers: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    #[cfg(feature = "faults")]
    if let Some(first) = buffers.iter_mut().find(|buffer| !buffer.is_empty()) {
        let most = fault::limit(Call::Receive, usize::MAX)?;
        if most < usize::MAX {
            let most = most.min(first.len());
            return socket.read(&mut first[..most]);
        }
    }
    socket.read_vectored(buffers)
}

pub(crate) fn send(socket: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    let most = fault::limit(Call::Send, buffer.len())?;
    Ok(rustix::net::send(socket, &buffer[..most], SendFlags::NOSIGNAL)?)
}

pub(crate) fn send_vectored(socket: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(feature = "faults")]
    if let Some(first) = buffers.iter().find(|buffer| !buffer.is_empty()) {
        let most = fault::limit(Call::Send, usize::MAX)?;
        if most < usize::MAX {
            let most = most.min(first.len());
            return Ok(rustix::net::send(socket, &first[..most], SendFlags::NOSIGNAL)?);
        }
    }
    let buffers = &buffers[..buffers.len().min(MOST_SLICES)];
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, buffers, &mut control, SendFlags::NOSIGNAL)?)
}

/// Who made the other end of a Unix socket: process, user, group.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
    fault::check(Call::SocketOption)?;
    let peer = rustix::net::sockopt::socket_peercred(socket)?;
    Ok((peer.pid.as_raw_nonzero().get(), peer.uid.as_raw(), peer.gid.as_raw()))
}

/// What a failed `connect` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectTrouble {
    /// It goes on by itself: the socket is writable when it is over.
    Underway,
    /// The listener's queue is full: nothing will be told, ask again later.
    Later,
    Over,
}

pub(crate) fn connect_trouble(error: &io::Error, to: &SockAddr) -> ConnectTrouble {
    match Errno::from_io_error(error) {
        // Interrupted or not, it goes on: a second call would be answered with EALREADY.
        Some(Errno::INPROGRESS | Errno::INTR | Errno::ALREADY) => ConnectTrouble::Underway,
        // Of any other kind of socket it is one of the system's resources that ran out.
        Some(Errno::AGAIN) if to.is_unix() => ConnectTrouble::Later,
        _ => ConnectTrouble::Over,
    }
}

/// Whose trouble a failed `accept` is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AcceptTrouble {
    /// That of the connection, which is gone; the next one is fine.
    Connection,
    /// The process's or the system's: there are no descriptors or no memory left.
    Resources,
    Listener,
}

pub(crate) fn accept_trouble(error: &io::Error) -> AcceptTrouble {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
            AcceptTrouble::Resources
        }
        // The errors of the new connection, which accept(2) says to expect.
        Some(
            Errno::CONNABORTED
            | Errno::PROTO
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH,
        ) => AcceptTrouble::Connection,
        _ => AcceptTrouble::Listener,
    }
}

/// Which file stands at `path`: another one there has another identity.
pub(crate) fn identity(path: &std::path::Path) -> io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fault::check(Call::Stat)?;
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

pub(crate) fn shut(socket: &impl AsFd, how: Shutdown) -> io::Result<()> {
    fault::check(Call::Shutdown)?;
    SockRef::from(socket).shutdown(how)
}

/// The pending error of a socket, which is taken by this.
pub(crate) fn take_error(socket: &impl AsFd) -> io::Result<()> {
    fault::check(Call::SocketError)?;
    match SockRef::from(socket).take_error()? {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    /// SRV-06.
    #[test]
    fn who_is_to_blame() {
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            assert_eq!(accept_trouble(&error(errno)), AcceptTrouble::Resources, "{errno:?}");
        }
        for errno in [Errno::CONNABORTED, Errno::PROTO, Errno::HOSTUNREACH] {
            assert_eq!(accept_trouble(&error(errno)), AcceptTrouble::Connection, "{errno:?}");
        }
        assert_eq!(accept_trouble(&error(Errno::INVAL)), AcceptTrouble::Listener);
        assert_eq!(accept_trouble(&io::Error::other("mine")), AcceptTrouble::Listener);
        let unix = SockAddr::unix("a").unwrap();
        let tcp = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 1)));
        for (errno, to, trouble) in [
            (Errno::INPROGRESS, &tcp, ConnectTrouble::Underway),
            (Errno::INTR, &tcp, ConnectTrouble::Underway),
            (Errno::AGAIN, &unix, ConnectTrouble::Later),
            (Errno::AGAIN, &tcp, ConnectTrouble::Over),
            (Errno::CONNREFUSED, &tcp, ConnectTrouble::Over),
        ] {
            assert_eq!(connect_trouble(&error(errno), to), trouble, "{errno:?}");
        }
    }
}
