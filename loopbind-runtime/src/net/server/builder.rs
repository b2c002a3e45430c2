//! How a server starts.

use std::io;
use std::net::SocketAddr;
use std::os::unix::net::SocketAddr as UnixAddress;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::accepting::{Connected, Service, accept_from};
use super::connections::Connections;
use super::{Closing, Listening, Server};
use crate::error::LoopError;
use crate::net::acceptor::{Acceptor, Listen};
use crate::net::addresses::{ToAddrs, no_addresses, resolve};
use crate::net::tcp::{BACKLOG, TcpListener, TcpSocket, TcpStream};
use crate::net::unix::{UnixListener, UnixStream};
use crate::sys;
use crate::task::LocalHome;

/// Listens on all of `addr`'s addresses, and has `client_connected` make a future for each
/// connection, which is a task of its own: asyncio's `start_server`.
///
/// A panic of a handler goes to the loop's exception handler, and ends that connection alone: SRV-05.
/// Where the system has no room for more connections, this is reported, and accepting goes on a
/// second later: SRV-06. Dropping the server, or [closing](Server::close) it, ends the listening.
///
/// [`ServerBuilder`] sets a bound on connections, and starts servers on listeners that exist.
///
/// # Errors
/// The system's, with the address in the text, where one of the addresses cannot be had: nothing
/// listens then; [`LoopError::NoRunningLoop`] outside of runs.
///
/// # Cancel safety
/// Dropping it leaves nothing behind.
///
/// ```
/// use futures::AsyncWriteExt;
/// use loopbind::{net::start_server, run};
///
/// run(async {
///     let server = start_server("127.0.0.1:0", |mut stream, peer| async move {
///         let _ = stream.write_all(format!("hello, {peer}\n").as_bytes()).await;
///     })
///     .await?;
///     assert!(server.is_serving());
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("create_server", "serve_tcp"))]
#[track_caller]
pub fn start_server<F, Fut>(
    addr: impl ToAddrs,
    client_connected: F,
) -> impl Future<Output = io::Result<Server>>
where
    F: Fn(TcpStream, SocketAddr) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    ServerBuilder::new().start(addr, client_connected)
}

/// [`start_server`] for a Unix socket at `path`. Closing the server removes the file, if it is still
/// the same one. SRV-08.
///
/// # Errors
/// As [`UnixListener::bind`]; [`LoopError::NoRunningLoop`] outside of runs.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::{net::{UnixStream, start_unix_server}, run};
///
/// let path = std::env::temp_dir().join(format!("loopbind-server-{}", std::process::id()));
/// run(async {
///     let server = start_unix_server(&path, |mut stream| async move {
///         let _ = stream.write_all(b"hello").await;
///     })?;
///     let mut heard = String::new();
///     UnixStream::connect(&path).await?.read_to_string(&mut heard).await?;
///     assert_eq!(heard, "hello");
///     drop(server);
///     assert!(!path.exists());
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "create_unix_server")]
#[track_caller]
pub fn start_unix_server<F, Fut>(path: impl AsRef<Path>, client_connected: F) -> io::Result<Server>
where
    F: Fn(UnixStream) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    ServerBuilder::new().start_unix(path, client_connected)
}

/// A server that is set up, and then started.
///
/// ```
/// use loopbind::{net::{Server, TcpSocket}, run};
///
/// run(async {
///     let socket = TcpSocket::new_v4()?;
///     socket.set_reuse_port(true)?;
///     socket.bind("127.0.0.1:0".parse().unwrap())?;
///     let server = Server::builder()
///         .max_connections(1000)
///         .start_on([socket.listen(128)?], |stream, _peer| async move { drop(stream) })?;
///     assert_eq!(server.local_addrs().len(), 1);
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder starts nothing until `start`"]
pub struct ServerBuilder {
    max_connections: Option<usize>,
    backlog: u32,
}

impl ServerBuilder {
    /// What [`start_server`] starts with.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let builder = loopbind::net::ServerBuilder::new();
    /// let server = builder.start("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// assert!(server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> Self {
        ServerBuilder { max_connections: None, backlog: BACKLOG }
    }

    /// At most so many connections at once: others wait in the system's queue until one ends. Zero
    /// counts as one.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = Server::builder()
    ///     .max_connections(1)
    ///     .start("127.0.0.1:0", |stream, _peer| async move {
    ///         pending::<()>().await;
    ///         drop(stream);
    ///     })
    ///     .await?;
    /// let _first = TcpStream::connect(server.local_addrs()).await?;
    /// let _waits = TcpStream::connect(server.local_addrs()).await?;
    /// for _ in 0..10 {
    ///     yield_now().await;
    /// }
    /// assert!(server.connections() <= 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = Some(limit.max(1));
        self
    }

    /// How many connections may wait in the system's queue; the system has a limit of its own.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let builder = Server::builder().backlog(16);
    /// let server = builder.start("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// assert!(server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Listens on all of `addr`'s addresses: see [`start_server`].
    ///
    /// # Errors
    /// As [`start_server`].
    ///
    /// # Cancel safety
    /// Dropping it leaves nothing behind.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let addresses = ["127.0.0.1:0", "127.0.0.2:0"].map(|address| address.parse().unwrap());
    /// let server = Server::builder()
    ///     .start(addresses as [std::net::SocketAddr; 2], |_stream, _peer| async {})
    ///     .await?;
    /// assert_eq!(server.local_addrs().len(), 2);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn start<F, Fut>(
        self,
        addr: impl ToAddrs,
        client_connected: F,
    ) -> impl Future<Output = io::Result<Server>>
    where
        F: Fn(TcpStream, SocketAddr) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let place = Location::caller();
        async move {
            let mut addresses = Vec::new();
            for address in resolve(addr).await? {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            let listeners: io::Result<Vec<_>> =
                addresses.iter().map(|&address| self.listen(address, &addresses)).collect();
            self.serve(listeners?, client_connected, place)
        }
    }

    fn listen(&self, address: SocketAddr, all: &[SocketAddr]) -> io::Result<TcpListener> {
        let socket = TcpSocket::new_for(address)?;
        socket.set_reuse_address(true)?;
        // What is listed for IPv4 is not taken by IPv6 on its way.
        if address.is_ipv6() && all.iter().any(SocketAddr::is_ipv4) {
            socket.set_only_v6(true)?;
        }
        socket.bind(address)?;
        socket.listen(self.backlog)
    }

    /// Serves listeners that exist: of [`TcpSocket`]s, or of std's that were inherited.
    ///
    /// # Errors
    /// `InvalidInput` where there is none; the system's; [`LoopError::NoRunningLoop`] outside of runs.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let inherited = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let listener = loopbind::net::TcpListener::from_std(inherited)?;
    /// let server = Server::builder().start_on([listener], |_stream, _peer| async {})?;
    /// assert!(server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn start_on<F, Fut>(
        self,
        listeners: impl IntoIterator<Item = TcpListener>,
        client_connected: F,
    ) -> io::Result<Server>
    where
        F: Fn(TcpStream, SocketAddr) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        self.serve(listeners.into_iter().collect(), client_connected, Location::caller())
    }

    fn serve<F, Fut>(
        self,
        listeners: Vec<TcpListener>,
        handler: F,
        place: &'static Location<'static>,
    ) -> io::Result<Server>
    where
        F: Fn(TcpStream, SocketAddr) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        if listeners.is_empty() {
            return Err(no_addresses());
        }
        let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
        let addresses = addresses?;
        let service = self.service(handler, place)?;
        let listening =
            listeners.into_iter().map(|listener| listen_on(listener.into_acceptor(), &service, ()));
        let listening = listening.collect();
        Ok(Server::new(Rc::clone(&service.connections), addresses, listening))
    }

    /// Listens at `path`: see [`start_unix_server`].
    ///
    /// # Errors
    /// As [`start_unix_server`].
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let path = std::env::temp_dir().join(format!("loopbind-unix-{}", std::process::id()));
    /// let server = Server::builder().start_unix(&path, |_stream| async {})?;
    /// assert!(path.exists());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn start_unix<F, Fut>(
        self,
        path: impl AsRef<Path>,
        client_connected: F,
    ) -> io::Result<Server>
    where
        F: Fn(UnixStream) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let handler = move |stream, _: UnixAddress| client_connected(stream);
        let service = self.service(handler, Location::caller())?;
        let listener = UnixListener::bind(path.as_ref())?;
        let file = SocketFile::at(path.as_ref()).inspect_err(|_| {
            // Made a moment ago, by the line above.
            let _ = std::fs::remove_file(path.as_ref());
        })?;
        let listening = listen_on(listener.into_acceptor(), &service, file);
        Ok(Server::new(Rc::clone(&service.connections), Vec::new(), vec![listening]))
    }

    /// Servers are made where their tasks run.
    fn service<F>(
        &self,
        handler: F,
        place: &'static Location<'static>,
    ) -> io::Result<Rc<Service<F>>> {
        LocalHome::running().ok_or(LoopError::NoRunningLoop)?;
        let connections = Connections::with_limit(self.max_connections);
        Ok(Rc::new(Service { connections, handler, place }))
    }
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self::new()
    }
}

/// `along` goes after the socket.
fn listen_on<L, F, Fut>(
    acceptor: Acceptor<L>,
    service: &Rc<Service<F>>,
    along: impl Sized + 'static,
) -> Listening
where
    L: Listen<Stream: Connected, Peer: 'static> + 'static,
    F: Fn(L::Stream, L::Peer) -> Fut + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let acceptor = Rc::new(acceptor);
    let accepting = accept_from(&acceptor, service);
    let socket: Box<dyn Closing> = Box::new((acceptor, along));
    Listening { accepting, _socket: socket }
}

/// The file of a Unix socket, removed when this drops, if it is still the one, and still ours: a forked
/// child lets go of its parent's socket, and leaves the file.
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    forks: u64,
}

impl SocketFile {
    fn at(path: &Path) -> io::Result<Self> {
        let (path, identity) = (std::path::absolute(path)?, sys::identity(path)?);
        Ok(SocketFile { path, identity, forks: sys::forks() })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = sys::identity(&self.path).is_ok_and(|identity| identity == self.identity);
        if same && self.forks == sys::forks() {
            // Somebody may be faster: it is gone then, too.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
