//! Where to connect, and where to listen: addresses, and names that stand for them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs};

use crate::error::LoopError;
use crate::event_loop::spawn_blocking;
use crate::sys;
use crate::sys::fault::Call;
use crate::task::{LocalHome, TaskError};

/// What names one or more socket addresses: everything std's `ToSocketAddrs` takes, arrays and
/// vectors of addresses, and references to all of these.
///
/// Text and numbers are taken apart at once; only what is a name is looked up, on the blocking pool,
/// and it is copied for that: nothing borrowed is held while anybody waits.
///
/// Sealed: it may learn to name other things.
///
/// ```
/// use loopbind::{net, run};
///
/// run(async {
///     let port = String::from("8080");
///     let found = net::lookup_host(&format!("127.0.0.1:{port}")).await?;
///     assert_eq!(found, ["127.0.0.1:8080".parse().unwrap()]);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "ToSocketAddrs")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no socket address",
    label = "neither an address nor a name with a port",
    note = "as text it is `\"localhost:8080\"`, in two parts `(\"localhost\", 8080)`, and by itself a `SocketAddr`"
)]
#[allow(private_bounds)] // That is what seals it.
pub trait ToAddrs: Resolve {}

pub(super) trait Resolve {
    fn target(&self) -> io::Result<Target>;
}

/// Nothing borrowed: it may wait.
pub(super) enum Target {
    Known(Vec<SocketAddr>),
    Name(String, u16),
}

/// Looks a host and port up: numbers at once, names on the blocking pool, by the system's resolver.
///
/// # Errors
/// The resolver's, with the name; [`LoopError::NoRunningLoop`] for a name outside of runs.
///
/// # Cancel safety
/// Dropping it stops the waiting; a look-up that has begun goes on, and its answer is dropped.
///
/// ```
/// use loopbind::{net, run};
///
/// let found = run(net::lookup_host(("::1", 80)))??;
/// assert_eq!(found, ["[::1]:80".parse().unwrap()]);
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "getaddrinfo")]
pub async fn lookup_host(host: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
    resolve(host).await
}

pub(super) async fn resolve(addr: impl ToAddrs) -> io::Result<Vec<SocketAddr>> {
    let target = addr.target()?;
    drop(addr);
    match target {
        Target::Known(addresses) => Ok(addresses),
        Target::Name(host, port) => look_up(host, port).await,
    }
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    if LocalHome::running().is_none() {
        return Err(LoopError::NoRunningLoop.into());
    }
    let name = host.clone();
    let look = move || {
        sys::fault::check(Call::Resolve)?;
        (host.as_str(), port).to_socket_addrs().map(Iterator::collect)
    };
    let found: io::Result<Vec<_>> = match spawn_blocking(look).await {
        Ok(found) => found,
        Err(TaskError::NoThread(error)) => Err(error),
        Err(other) => Err(io::Error::other(other)),
    };
    let found = found.map_err(|error| named(error, format!("cannot look up `{name}`")))?;
    match found.is_empty() {
        true => Err(io::Error::new(io::ErrorKind::NotFound, format!("`{name}` has no addresses"))),
        false => Ok(found),
    }
}

/// No address to try.
pub(super) fn no_addresses() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "there is no address to use: the list is empty")
}

/// The same error, of the same kind, with what could not be done in front of it.
pub(super) fn named(error: io::Error, what: String) -> io::Error {
    io::Error::new(error.kind(), Named { what, error })
}

#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
struct Named {
    what: String,
    #[source]
    error: io::Error,
}

macro_rules! known {
    ($($of:ty: |$this:ident| $addresses:expr;)*) => { $(
        impl ToAddrs for $of {}
        impl Resolve for $of {
            fn target(&self) -> io::Result<Target> {
                let $this = self;
                Ok(Target::Known($addresses))
            }
        }
    )* };
}

known! {
    SocketAddr: |address| vec![*address];
    SocketAddrV4: |address| vec![SocketAddr::V4(*address)];
    SocketAddrV6: |address| vec![SocketAddr::V6(*address)];
    (IpAddr, u16): |pair| vec![SocketAddr::from(*pair)];
    (Ipv4Addr, u16): |pair| vec![SocketAddr::from(*pair)];
    (Ipv6Addr, u16): |pair| vec![SocketAddr::from(*pair)];
    [SocketAddr]: |addresses| addresses.to_vec();
    Vec<SocketAddr>: |addresses| addresses.clone();
}

impl<const N: usize> ToAddrs for [SocketAddr; N] {}
impl<const N: usize> Resolve for [SocketAddr; N] {
    fn target(&self) -> io::Result<Target> {
        self.as_slice().target()
    }
}

impl<T: ToAddrs + ?Sized> ToAddrs for &T {}
impl<T: Resolve + ?Sized> Resolve for &T {
    fn target(&self) -> io::Result<Target> {
        (**self).target()
    }
}

impl ToAddrs for (&str, u16) {}
impl Resolve for (&str, u16) {
    fn target(&self) -> io::Result<Target> {
        let (host, port) = *self;
        Ok(match host.parse::<IpAddr>() {
            Ok(address) => Target::Known(vec![SocketAddr::new(address, port)]),
            Err(_) => Target::Name(host.to_owned(), port),
        })
    }
}

impl ToAddrs for (String, u16) {}
impl Resolve for (String, u16) {
    fn target(&self) -> io::Result<Target> {
        (self.0.as_str(), self.1).target()
    }
}

impl ToAddrs for str {}
impl Resolve for str {
    fn target(&self) -> io::Result<Target> {
        if let Ok(address) = self.parse() {
            return Ok(Target::Known(vec![address]));
        }
        let wrong = |what| {
            let text = format!("`{self}` is not an address: {what}");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        };
        let (host, port) = self.rsplit_once(':').ok_or_else(|| wrong("write `host:port`"))?;
        let port = port.parse().map_err(|_| wrong("the port is no number below 65536"))?;
        (host, port).target()
    }
}

impl ToAddrs for String {}
impl Resolve for String {
    fn target(&self) -> io::Result<Target> {
        self.as_str().target()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(addr: impl ToAddrs) -> Vec<String> {
        match addr.target().unwrap() {
            Target::Known(addresses) => addresses.iter().map(ToString::to_string).collect(),
            Target::Name(host, port) => panic!("{host}:{port} is a name"),
        }
    }

    #[test]
    fn numbers_are_known_at_once_in_every_form() {
        let v4 = Ipv4Addr::LOCALHOST;
        let address = SocketAddr::from((v4, 80));
        assert_eq!(known(address), ["127.0.0.1:80"]);
        assert_eq!(known(SocketAddrV4::new(v4, 80)), ["127.0.0.1:80"]);
        assert_eq!(known(SocketAddrV6::new(Ipv6Addr::LOCALHOST, 80, 0, 0)), ["[::1]:80"]);
        assert_eq!(known((v4, 80)), ["127.0.0.1:80"]);
        assert_eq!(known((IpAddr::V4(v4), 80)), ["127.0.0.1:80"]);
        assert_eq!(known((Ipv6Addr::LOCALHOST, 80)), ["[::1]:80"]);
        assert_eq!(known("127.0.0.1:80"), ["127.0.0.1:80"]);
        let (text, list) = (String::from("[::1]:80"), vec![address]);
        assert_eq!(known(&text), ["[::1]:80"]);
        assert_eq!(known(text), ["[::1]:80"]);
        assert_eq!(known(("127.0.0.1", 80)), ["127.0.0.1:80"]);
        assert_eq!(known((String::from("::1"), 80)), ["[::1]:80"]);
        assert_eq!(known([address, address]), ["127.0.0.1:80", "127.0.0.1:80"]);
        assert_eq!(known(&[address][..]), ["127.0.0.1:80"]);
        assert_eq!(known(&list), ["127.0.0.1:80"]);
        assert_eq!(known(list), ["127.0.0.1:80"]);
    }

    #[test]
    fn names_are_copied_and_nonsense_is_named() {
        let Target::Name(host, port) = "localhost:80".target().unwrap() else { panic!() };
        assert_eq!((host.as_str(), port), ("localhost", 80));
        let wrong = |text: &str| text.target().err().unwrap().to_string();
        assert_eq!(wrong("localhost"), "`localhost` is not an address: write `host:port`");
        assert!(wrong("localhost:99999").contains("below 65536"));
    }

    #[test]
    fn a_named_error_keeps_its_kind_and_its_cause() {
        let cause = io::Error::from_raw_os_error(111);
        let error = named(cause, "cannot connect to 127.0.0.1:1".into());
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with("cannot connect to 127.0.0.1:1: Connection refused"));
    }
}
