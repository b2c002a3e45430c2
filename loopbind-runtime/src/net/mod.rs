//! Sockets: TCP, UDP and Unix, on the loop that polls them; and servers.
//!
//! A socket belongs to the loop that polls it. It may be made before any loop runs, and it moves when
//! another loop of its thread polls it; while a task waits for it on one loop, polling it on another
//! is an error that names the first. Outside of runs what need not wait works, and what would have to
//! wait is an error, [`LoopError::NoRunningLoop`](crate::LoopError::NoRunningLoop): never a hang.
//!
//! Streams implement the traits of [`futures-io`](https://docs.rs/futures-io), whose extension
//! methods (`read_exact`, `write_all`, `lines`, ..) are in the `futures` crate.
//!
//! A peer that went away is an error, never the signal `SIGPIPE`.

mod acceptor;
mod addresses;
mod connect;
mod duplex;
mod pause;
mod server;
mod tcp;
mod udp;
mod unix;

pub use addresses::{ToAddrs, lookup_host};
pub use server::{Server, ServerBuilder, start_server, start_unix_server};
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
pub use unix::{PeerCredentials, UnixDatagram, UnixListener, UnixStream};
