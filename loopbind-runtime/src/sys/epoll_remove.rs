//! Out of an epoll by number alone: who owns a descriptor may be the user's code, and is not asked for it again as it goes.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::ptr;

/// Has `epoll` watch the descriptor of this number no more. An error where it does not.
pub(super) fn epoll_remove(epoll: BorrowedFd<'_>, number: RawFd) -> io::Result<()> {
    // SAFETY: the system's signature. A number that is nobody's, or not registered here, is an error, and nothing but
    // this registration is changed; of an event, the call reads and writes nothing.
    let removed =
        unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, number, ptr::null_mut()) };
    if removed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
