//! The one room that talks to the operating system.

mod child;
mod descriptor;
#[cfg(all(target_os = "linux", not(feature = "polling")))]
mod epoll_pwait2;
#[cfg(all(target_os = "linux", not(feature = "polling")))]
mod epoll_remove;
pub(crate) mod fault;
mod process;
mod quiet_write;
#[cfg(any(test, not(target_os = "linux"), feature = "polling"))]
mod short_keys;
mod signal_kind;
mod signals;
mod socket;
#[cfg(all(feature = "calloop", target_os = "linux"))]
mod timer_descriptor;

#[cfg(all(target_os = "linux", not(feature = "polling")))]
#[path = "epoll.rs"]
mod driver;
#[cfg(any(not(target_os = "linux"), feature = "polling"))]
#[path = "portable.rs"]
mod driver;

pub(crate) use child::{
    ChildName, await_end, is_no_child, is_no_process, open_child, reap, send_signal,
};
pub(crate) use descriptor::{
    WatchTrouble, check_readable, check_writable, duplicate, read, set_blocking, set_nonblocking,
    watch_trouble, write,
};
pub(crate) use driver::{Bell, Driver, Lent};
pub(crate) use process::{
    CAN_PIN, cores, current_thread, forks, is_main_thread, lock_after_fork, pin_to_core,
    runs_beside_others, start_thread, watch_forks,
};
pub(crate) use quiet_write::{write_quietly, write_vectored_quietly};
pub use signal_kind::{SignalError, SignalKind};
pub(crate) use signals::{FinalSignal, Listening};
pub(crate) use socket::{
    AcceptTrouble, ConnectTrouble, MOST_SLICES, accept, accept_trouble, accept_unix, bind,
    bind_unix_listener, connect, connect_trouble, identity, listen, open_socket, peer_credentials,
    receive, receive_vectored, send, send_vectored, shut, take_error,
};
#[cfg(all(feature = "calloop", target_os = "linux"))]
pub(crate) use timer_descriptor::TimerDescriptor;

/// What a descriptor is watched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Everything, told once each time it comes to be: for who tries first and believes.
    Edges,
    /// Told at each look while it is so.
    Readable,
    Writable,
    ReadableAndWritable,
}

/// Whether a look saw all there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    All,
    /// It had no room for more: the next look may see more at once.
    Full,
    /// A signal came between.
    Interrupted,
}

/// What was seen of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The other side is gone, will write no more, or sent something urgent: a read that finds little
    /// has not found all.
    pub(crate) last: bool,
}
