//! The runtimes that loopbind is held against, and how the results are shown.

pub mod contender;
pub mod runtime;
pub mod table;

pub use contender::{Contender, contenders};
