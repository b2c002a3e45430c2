//! TCP: streams, listeners, and sockets that are to become one of the two.

mod listener;
mod socket;
mod stream;

pub(super) use listener::BACKLOG;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
