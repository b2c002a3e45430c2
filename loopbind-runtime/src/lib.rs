//! The event loop behind loopbind.
