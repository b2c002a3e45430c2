//! The attributes of loopbind.
