//! Descriptors of any kind, on the loop that polls them.

mod async_fd;

pub use async_fd::Async;
