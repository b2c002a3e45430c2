//! Takes the place of libc for the runtime, under its name: all of it, but for the call by which the runtime
//! waits with a limit in nanoseconds, and which would have the one thread wait that all threads of a model are. There is
//! none, as on an older kernel, and the runtime waits by rustix then, which is replaced as well.

pub use ::libc::*;

/// # Safety
/// None is needed: nothing is looked at.
pub unsafe fn syscall<E, T>(
    _number: c_long,
    _epoll: c_int,
    _events: *mut E,
    _room: c_int,
    _limit: *const T,
    _mask: *const sigset_t,
    _size: usize,
) -> c_long {
    // SAFETY: the place of this thread's.
    unsafe { *__errno_location() = ENOSYS };
    -1
}
