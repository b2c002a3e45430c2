//! The one place that every call to the system goes past, so that tests can make it fail.
//!
//! Without the feature `faults` each function here is empty and inlined: there is no branch and no
//! word of memory for it in a program. With it, a test installs a [`FaultPlan`] that says which calls
//! fail, and how, and is told afterwards which calls were made. Options of sockets that are handed
//! through as they are (`set_ttl` and its like) do not come past here: what the system says of them is
//! what the caller hears.

#[cfg(feature = "faults")]
mod plan;

#[cfg(not(feature = "faults"))]
use std::io;

#[cfg(all(feature = "faults", target_os = "linux", not(feature = "polling")))]
pub(crate) use plan::invented;
#[cfg(feature = "faults")]
pub use plan::{FaultPlan, Faults};
#[cfg(feature = "faults")]
pub(crate) use plan::{Plan, carry, check, limit};

/// A kind of call to the system.
///
/// ```
/// # #[cfg(feature = "faults")] {
/// use loopbind::__private::faults::Call;
///
/// assert!(Call::ALL.contains(&Call::Accept));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "faults"), allow(unreachable_pub))]
#[allow(missing_docs)] // Most are named after the call.
pub enum Call {
    /// Making a loop's poller.
    EpollCreate,
    /// Making a bell, or the process's signal descriptor.
    Eventfd,
    EpollAdd,
    EpollModify,
    EpollRemove,
    /// A look with no limit, or one in whole milliseconds.
    EpollWait,
    /// A look with a limit that is not, which old kernels do not have.
    #[cfg_attr(feature = "polling", allow(dead_code))] // Our own driver's.
    EpollPwait2,
    /// The write that wakes a sleeping loop.
    Ring,
    /// Setting a descriptor blocking or not.
    Fcntl,
    Dup,
    Poll,
    Socket,
    Bind,
    Listen,
    /// Where it fails with `EINTR` or `EINPROGRESS` the call is made all the same, as it is then.
    Connect,
    Accept,
    Receive,
    Send,
    /// Asking for a socket's pending error.
    SocketError,
    /// The options that are set on the way to a listener.
    SocketOption,
    Shutdown,
    /// Reading a descriptor that is no socket of ours.
    Read,
    Write,
    PidfdOpen,
    WaitId,
    Kill,
    /// Starting a process.
    Spawn,
    /// Starting a thread.
    Thread,
    /// Asking for, or choosing, the processors of a thread.
    Affinity,
    SignalAction,
    /// The signal handler's write.
    SignalWrite,
    /// Looking a name up.
    Resolve,
    /// Asking which file stands at a path.
    Stat,
    /// Making a descriptor that tells the time.
    #[cfg_attr(not(feature = "calloop"), allow(dead_code))] // For hosts that watch one.
    TimerCreate,
    #[cfg_attr(not(feature = "calloop"), allow(dead_code))]
    TimerSet,
}

/// Whether the call is to be made.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn check(_: Call) -> io::Result<()> {
    Ok(())
}

/// How many of `length` bytes the call may be given.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn limit(_: Call, length: usize) -> io::Result<usize> {
    Ok(length)
}

/// `work`, under this thread's plan, on whatever thread it runs.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub(crate) fn carry<R, F: FnOnce() -> R>(work: F) -> F {
    work
}
