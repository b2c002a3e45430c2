//! Connecting without blocking.

use std::io;
use std::os::fd::AsFd;

use socket2::SockAddr;

use super::pause::Pause;
use crate::io::Async;
use crate::sys::{self, ConnectTrouble};

/// Connects a non-blocking stream socket. Dropped on the way, it closes the socket.
pub(super) async fn connect<S: AsFd>(socket: S, to: &SockAddr) -> io::Result<Async<S>> {
    let socket = Async::nonblocking(socket);
    let mut pause = Pause::new();
    while let Err(error) = sys::connect(socket.get_ref(), to) {
        match sys::connect_trouble(&error, to) {
            ConnectTrouble::Over => return Err(error),
            ConnectTrouble::Underway => {
                socket.writable().await?;
                sys::take_error(socket.get_ref())?;
                break;
            }
            ConnectTrouble::Later => pause.wait().await?,
        }
    }
    Ok(socket)
}
