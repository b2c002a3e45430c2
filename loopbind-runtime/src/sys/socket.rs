//! What is asked of sockets, past what std and socket2 ask.
//!
//! What is sent is sent so that a peer who went away is an error, and never the signal `SIGPIPE`: a
//! host that loads us as a plugin may have that one at its default, which ends the process. std's
//! own writes do not promise it for `writev`, nor in all versions for Unix sockets.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags};

/// What the system takes in one call (`IOV_MAX`); the rest is for the next.
pub(crate) const MOST_SLICES: usize = 1024;

/// The next connection of a listener, non-blocking from the start.
pub(crate) fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let (stream, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    let stream = TcpStream::from(stream);
    let peer = match peer.and_then(|peer| SocketAddr::try_from(peer).ok()) {
        Some(peer) => peer,
        None => stream.peer_addr()?,
    };
    Ok((stream, peer))
}

pub(crate) fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    let (count, _) = rustix::net::recv(socket, buffer, RecvFlags::empty())?;
    Ok(count)
}

pub(crate) fn send(socket: BorrowedFd<'_>, buffer: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buffer, SendFlags::NOSIGNAL)?)
}

pub(crate) fn send_vectored(socket: BorrowedFd<'_>, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
    let buffers = &buffers[..buffers.len().min(MOST_SLICES)];
    let mut control = SendAncillaryBuffer::default();
    Ok(rustix::net::sendmsg(socket, buffers, &mut control, SendFlags::NOSIGNAL)?)
}

/// Who made the other end of a Unix socket: process, user, group.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(i32, u32, u32)> {
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

pub(crate) fn connect_trouble(error: &io::Error) -> ConnectTrouble {
    match Errno::from_io_error(error) {
        // Interrupted or not, it goes on: a second call would be answered with EALREADY.
        Some(Errno::INPROGRESS | Errno::INTR | Errno::ALREADY) => ConnectTrouble::Underway,
        Some(Errno::AGAIN) => ConnectTrouble::Later,
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
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The pending error of a socket, which is taken by this.
pub(crate) fn take_error(socket: &impl AsFd) -> io::Result<()> {
    match socket2::SockRef::from(socket).take_error()? {
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
        assert_eq!(connect_trouble(&error(Errno::INPROGRESS)), ConnectTrouble::Underway);
        assert_eq!(connect_trouble(&error(Errno::INTR)), ConnectTrouble::Underway);
        assert_eq!(connect_trouble(&error(Errno::AGAIN)), ConnectTrouble::Later);
        assert_eq!(connect_trouble(&error(Errno::CONNREFUSED)), ConnectTrouble::Over);
    }
}
