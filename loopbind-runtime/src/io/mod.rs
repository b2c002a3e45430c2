//! Descriptors of any kind, on the loop that polls them; the standard streams; copying.

mod async_fd;
mod copy;
mod stdin;
mod stdout;
#[cfg(feature = "tokio")]
mod tokio_traits;

pub use async_fd::Async;
pub use copy::{copy, copy_bidirectional};
pub use stdin::{Stdin, stdin};
pub use stdout::{Stderr, Stdout, stderr, stdout};
