//! Servers: a task for each connection.

mod accepting;
mod builder;
mod connections;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

pub use builder::{ServerBuilder, start_server, start_unix_server};

use self::connections::Connections;
use crate::task::Task;
use crate::time::timeout;

/// A server that listens: made by [`start_server`], [`start_unix_server`] and [`ServerBuilder`].
///
/// Closing it, or dropping it, ends the listening at once; connections that are there go on, each to
/// its own end. [`shut_down`](Server::shut_down) ends them too.
///
/// ```
/// use futures::{AsyncReadExt, AsyncWriteExt};
/// use loopbind::{net::{TcpStream, start_server}, run};
///
/// run(async {
///     let server = start_server("127.0.0.1:0", |mut stream, _peer| async move {
///         let mut buffer = [0; 1024];
///         while let Ok(count @ 1..) = stream.read(&mut buffer).await {
///             let _ = stream.write_all(&buffer[..count]).await;
///         }
///     })
///     .await?;
///
///     let mut client = TcpStream::connect(server.local_addrs()[0]).await?;
///     client.write_all(b"echo").await?;
///     let mut word = [0; 4];
///     client.read_exact(&mut word).await?;
///     assert_eq!(&word, b"echo");
///     drop(client);
///
///     server.close();
///     server.wait_closed().await;
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias = "AbstractServer")]
#[must_use = "dropping a server ends its listening"]
pub struct Server {
    connections: Rc<Connections>,
    addresses: Vec<SocketAddr>,
    listening: RefCell<Vec<Listening>>,
    serving_forever: Cell<bool>,
}

/// One socket that is listened on. Dropping it closes the socket, here and now.
struct Listening {
    accepting: Task<()>,
    _socket: Box<dyn Closing>,
}

/// What is closed by dropping it.
trait Closing {}
impl<T> Closing for T {}

impl Drop for Listening {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    fn new(
        connections: Rc<Connections>,
        addresses: Vec<SocketAddr>,
        listening: Vec<Listening>,
    ) -> Self {
        let listening = RefCell::new(listening);
        Server { connections, addresses, listening, serving_forever: Cell::new(false) }
    }

    /// A server to be set up first.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let builder = Server::builder().max_connections(100);
    /// let server = builder.start("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// assert!(server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }

    /// The addresses it listens, or listened, on; none for a Unix server.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// assert_ne!(server.local_addrs()[0].port(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    /// Whether it listens: from the start, until it is closed. SRV-01.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// server.close();
    /// assert!(!server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_serving(&self) -> bool {
        !self.connections.is_closed()
    }

    /// How many connections there are: those whose handler is not over.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |stream, _peer| async move {
    ///     pending::<()>().await;
    ///     drop(stream);
    /// })
    /// .await?;
    /// let client = TcpStream::connect(server.local_addrs()).await?;
    /// while server.connections() == 0 {
    ///     yield_now().await;
    /// }
    /// assert_eq!(server.connections(), 1);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// Ends the listening, at once: who connects from here on is refused. Connections that are there
    /// go on. Idempotent.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// server.close();
    /// assert!(TcpStream::connect(server.local_addrs()).await.is_err());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) {
        let listening = self.listening.take();
        drop(listening);
        self.connections.close();
    }

    /// Waits until the server is closed and every connection is over, whichever comes last. SRV-03.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting, and nothing else.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// server.close();
    /// server.wait_closed().await;
    /// assert_eq!(server.connections(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn wait_closed(&self) {
        self.connections.over().await
    }

    /// Waits until somebody closes the server, and its connections are over. Dropped while it waits,
    /// it closes the server. SRV-02.
    ///
    /// # Errors
    /// Where the server is closed, or somebody waits for this already.
    ///
    /// # Cancel safety
    /// Dropping it closes the server, as said.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |_stream, _peer| async {}).await?;
    /// let limit = Duration::from_millis(1);
    /// assert!(loopbind::timeout(limit, server.serve_forever()).await.is_err());
    /// assert!(!server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn serve_forever(&self) -> io::Result<()> {
        if self.serving_forever.get() {
            let text = format!("server {self:?} is already being awaited on serve_forever()");
            return Err(io::Error::other(text));
        }
        if !self.is_serving() {
            return Err(io::Error::other(format!("server {self:?} is closed")));
        }
        self.serving_forever.set(true);
        let _closes = CloseOnDrop(self);
        self.wait_closed().await;
        Ok(())
    }

    /// Has every connection read the end from here on, so that its handler, having sent what it still
    /// has to send, comes to its own. SRV-04.
    ///
    /// What a peer sends all the same may still be read; a handler that does not read does not notice:
    /// [`shut_down`](Server::shut_down) sets a limit.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// use futures::AsyncReadExt;
    ///
    /// let server = start_server("127.0.0.1:0", |mut stream, _peer| async move {
    ///     while let Ok(1..) = stream.read(&mut [0; 64]).await {}
    /// })
    /// .await?;
    /// let client = TcpStream::connect(server.local_addrs()).await?;
    /// while server.connections() == 0 {
    ///     yield_now().await;
    /// }
    /// server.close_clients();
    /// server.close();
    /// server.wait_closed().await;
    /// assert_eq!(server.connections(), 0);
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close_clients(&self) {
        self.connections.end_reading();
    }

    /// Ends every connection, and aborts its handler. SRV-04.
    ///
    /// ```
    /// # use loopbind::{net::{Server, TcpStream, start_server}, run, yield_now};
    /// # use std::{future::pending, time::Duration};
    /// # run(async {
    /// let server = start_server("127.0.0.1:0", |stream, _peer| async move {
    ///     pending::<()>().await;
    ///     drop(stream);
    /// })
    /// .await?;
    /// let client = TcpStream::connect(server.local_addrs()).await?;
    /// while server.connections() == 0 {
    ///     yield_now().await;
    /// }
    /// server.abort_clients();
    /// while server.connections() > 0 {
    ///     yield_now().await;
    /// }
    /// assert!(server.is_serving());
    /// # Ok::<(), std::io::Error>(()) })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn abort_clients(&self) {
        self.connections.abort();
    }

    /// Closes the server, has its connections [come to an end](Server::close_clients), waits for
    /// them for at most `grace`, and aborts those that are left. Gives their number.
    ///
    /// # Cancel safety
    /// Dropping it stops the waiting; the server is closed.
    ///
    /// ```
    /// use futures::AsyncReadExt;
    /// use loopbind::{net::{TcpStream, start_server}, run, sleep};
    /// use std::time::Duration;
    ///
    /// run(async {
    ///     let server = start_server("127.0.0.1:0", |mut stream, _| async move {
    ///         let _ = stream.read(&mut [0; 16]).await;
    ///         sleep(Duration::from_secs(3600)).await; // does not notice
    ///     })
    ///     .await?;
    ///     let _client = TcpStream::connect(server.local_addrs()[0]).await?;
    ///     while server.connections() == 0 {
    ///         loopbind::yield_now().await;
    ///     }
    ///     assert_eq!(server.shut_down(Duration::from_millis(5)).await, 1);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn shut_down(&self, grace: Duration) -> usize {
        self.close();
        self.close_clients();
        if timeout(grace, self.wait_closed()).await.is_ok() {
            return 0;
        }
        let left = self.connections.abort();
        self.wait_closed().await;
        left
    }
}

/// The end of `serve_forever`, however it comes.
struct CloseOnDrop<'a>(&'a Server);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.serving_forever.set(false);
        self.0.close();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<Server sockets={:?}>", self.addresses)
    }
}
