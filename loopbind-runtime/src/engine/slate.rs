//! A slate: zeros, lent for one small read at a time, to streams that want memory which was written to.
//!
//! A buffer of eight kilobytes that is cleared for forty bytes costs more than their reading. This is cleared by as much as
//! was written to it, when it comes back.

use std::cell::Cell;

/// Longer reads are worth the clearing of their own buffer: what is read here is copied once more.
pub(crate) const SLATE: usize = 16 * 1024;

#[derive(Default)]
pub(crate) struct Slate(Cell<Option<Box<[u8]>>>);

impl Slate {
    /// Zeros, `SLATE` of them. They are gone from here: who asks again meanwhile is given others.
    pub(crate) fn take(&self) -> Box<[u8]> {
        self.0.take().unwrap_or_else(|| vec![0; SLATE].into_boxed_slice())
    }

    /// Takes it back, with so many bytes written to.
    pub(crate) fn put_back(&self, mut slate: Box<[u8]>, written: usize) {
        slate[..written].fill(0);
        self.0.set(Some(slate));
    }
}
