//! The runtimes that loopbind is held against, and how the results are shown.

pub mod contender;
pub mod machine;
pub mod runtime;
pub mod sockets;
pub mod table;

pub use contender::{Contender, contenders};
