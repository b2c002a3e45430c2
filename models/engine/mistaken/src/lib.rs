//! The runtime, from its own files, in which one mistake is made if it is asked for.

#![allow(warnings)] // The lines are another package's, which looks after them.

include!("../mistakes.rs");

include!(concat!(env!("OUT_DIR"), "/lib.rs"));

static MADE: std::sync::OnceLock<&'static str> = std::sync::OnceLock::new();

/// The mistake to make in this process.
pub fn make(name: &'static str) {
    MADE.set(name).expect("one at a time");
}

pub(crate) fn is_made(name: &str) -> bool {
    MADE.get() == Some(&name)
}
