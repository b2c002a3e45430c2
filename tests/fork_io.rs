//! Forked children and I/O.
fn main() {}
