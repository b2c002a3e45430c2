//! Child processes, awaited.
//!
//! [`Command`] is `std::process::Command` with `spawn`, `status` and `output` for loops. On Linux a
//! child is watched through a descriptor of its own; kernels without those (before 5.3) have a thread
//! for each child wait. `SIGCHLD` is not used, and no child but ours is ever reaped: loops on
//! several threads, and other libraries, do not take each other's. SUB-06, SUB-11.
//!
//! # Children that nobody waits for
//!
//! Dropping a [`Child`] leaves its process running, as std's does, unless
//! [`kill_on_drop`](Command::kill_on_drop) was asked for (SUB-08). It does not become a zombie: the
//! loop it was used on reaps it when it ends, at its next turn; so does whoever spawns a child, waits
//! for one or drops one, on whatever loop of the process.
//!
//! # Virtual clocks
//!
//! Time does not jump on a loop with a virtual clock while it has a child that runs, as it does not
//! while work is on the blocking pool.
//!
//! ```
//! use loopbind::process::Command;
//! use loopbind::run;
//!
//! let output = run(async { Command::new("echo").arg("hello").output().await })??;
//! assert!(output.status.success());
//! assert_eq!(output.stdout, b"hello\n");
//! # Ok::<(), std::io::Error>(())
//! ```

mod child;
mod command;
mod error;
mod feed;
mod orphans;
mod pipe;
mod watched;

pub use std::process::{ExitStatus, Output, Stdio};

pub use child::Child;
pub use command::Command;
pub use error::ProcessError;
pub use pipe::{ChildStderr, ChildStdin, ChildStdout};
