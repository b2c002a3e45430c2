//! What happens when the system says no: each kind of call to it is made to fail, the first one, the
//! second one, and so on, through the hook that the feature `faults` builds in.
//!
//! A fault is answered with an error that is told to whoever asked, or with success by another way. It
//! leaves nothing behind, and never a loop that sleeps for ever.

#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod accepting;
mod bells;
mod books;
mod bytes;
mod creation;
mod every_call;
mod few_descriptors;
mod interrupted;
mod pairs;
mod processes;
mod scenarios;
mod signals;
mod slow_calls;
mod spurious;
mod threads;
mod watching;

/// The system's numbers for errors, by its names.
mod errno {
    pub(crate) use libc::{
        EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, EBADF, ECONNABORTED, ECONNREFUSED, ECONNRESET,
        EEXIST, EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC,
        ENOSYS, EPERM, EPIPE, EPROTO, ETIMEDOUT,
    };
}
