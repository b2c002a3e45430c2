//! The look with a limit in nanoseconds: Linux 5.11's `epoll_pwait2`.
//!
//! rustix rounds such limits up to whole milliseconds, for the older call: a sleep of 100
//! microseconds would take ten times as long. So this one call is made here.

use std::mem::{offset_of, size_of};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

use rustix::event::epoll::Event;
use rustix::io::{Errno, Result};

/// The kernel's, which has 64 bits for each on every machine; libc's `timespec` has not.
#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

// rustix's record of an event is the system's.
const _: () = assert!(
    size_of::<Event>() == size_of::<libc::epoll_event>()
        && offset_of!(Event, data) == offset_of!(libc::epoll_event, u64)
);

/// Has `events` be what is seen, as many as there is room for: at once, or within `limit`.
pub(super) fn epoll_pwait2(
    epoll: BorrowedFd<'_>,
    events: &mut Vec<Event>,
    limit: Duration,
) -> Result<()> {
    events.clear();
    let seconds = limit.as_secs().try_into().unwrap_or(i64::MAX);
    let timeout = Timespec { seconds, nanoseconds: limit.subsec_nanos().into() };
    // SAFETY: the system's signature, and no signal mask. `events` has room for `capacity` records
    // of the system's layout, which is checked above; the call writes there and reads `timeout`, and
    // keeps neither.
    let seen = unsafe {
        libc::syscall(
            libc::SYS_epoll_pwait2,
            epoll.as_raw_fd(),
            events.as_mut_ptr(),
            events.capacity().try_into().unwrap_or(libc::c_int::MAX),
            &raw const timeout,
            ptr::null::<libc::sigset_t>(),
            0_usize,
        )
    };
    let Ok(seen) = usize::try_from(seen) else {
        let errno = std::io::Error::last_os_error();
        return Err(Errno::from_io_error(&errno).unwrap_or(Errno::INVAL));
    };
    // SAFETY: the system has written so many, and no more than there was room for.
    unsafe { events.set_len(seen) };
    Ok(())
}
