//! Who is at the other end of a Unix socket.

/// The process that made the other end of a Unix connection, as it was at that time.
///
/// ```
/// # use futures::{AsyncReadExt, AsyncWriteExt};
/// # use loopbind::{net::UnixStream, run};
/// # run(async {
/// # let (mut left, mut right) = UnixStream::pair()?;
/// let peer = left.peer_cred()?;
/// assert_eq!(peer.pid, std::process::id() as i32);
/// # Ok::<(), std::io::Error>(()) })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCredentials {
    /// The process.
    pub pid: i32,
    /// Its effective user.
    pub uid: u32,
    /// Its effective group.
    pub gid: u32,
}
