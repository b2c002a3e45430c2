//! loopbind.
