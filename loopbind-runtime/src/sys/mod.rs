//! The one room that talks to the operating system.

mod descriptor;
mod process;
mod socket;

#[cfg(target_os = "linux")]
#[path = "epoll.rs"]
mod driver;
#[cfg(not(target_os = "linux"))]
#[path = "portable.rs"]
mod driver;

pub(crate) use descriptor::{check_readable, check_writable, set_nonblocking};
pub(crate) use driver::{Bell, Driver};
pub(crate) use process::{CAN_PIN, cores, forks, is_main_thread, pin_to_core, watch_forks};
pub(crate) use socket::{
    AcceptTrouble, ConnectTrouble, accept, accept_trouble, connect_trouble, identity,
    peer_credentials, send, send_vectored, take_error,
};

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

/// What was seen of a descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) key: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The other side is gone, or will write no more: a read that finds little finds the end next.
    pub(crate) last: bool,
}
