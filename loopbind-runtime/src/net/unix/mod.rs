//! Unix sockets: streams, listeners, datagrams, by path or by abstract name.

mod credentials;
mod datagram;
mod listener;
mod stream;

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

pub use credentials::PeerCredentials;
pub use datagram::UnixDatagram;
pub use listener::UnixListener;
use socket2::SockAddr;
pub use stream::UnixStream;

/// The address of a path, or an error that names it: of those that are too long, above all.
fn address_of(path: &Path) -> io::Result<SocketAddr> {
    SocketAddr::from_pathname(path)
        .map_err(|error| super::addresses::named(error, format!("cannot use `{}`", path.display())))
}

/// An address as socket2 has it: a name of the abstract kind begins with a zero byte there.
fn socket_address(address: &SocketAddr) -> io::Result<SockAddr> {
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        if let Some(name) = address.as_abstract_name() {
            let name = [&[0], name].concat();
            return SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&name)));
        }
    }
    SockAddr::unix(address.as_pathname().unwrap_or(Path::new("")))
}

/// An address in words, for errors.
fn shown(address: &SocketAddr) -> String {
    match address.as_pathname() {
        Some(path) => format!("`{}`", path.display()),
        None => format!("{address:?}"),
    }
}
