//! Names of loops and tasks: numbers that are never given out twice in a process.

use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

/// Names one loop: process-wide, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct LoopId(NonZeroU64);

/// Names one task: process-wide, never used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct TaskId(NonZeroU64);

impl LoopId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        LoopId(draw(&NEXT))
    }

    /// The number itself, for logs.
    pub fn get(self) -> NonZeroU64 {
        self.0
    }
}

impl TaskId {
    pub(crate) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        TaskId(draw(&NEXT))
    }

    /// The number itself, for logs.
    pub fn get(self) -> NonZeroU64 {
        self.0
    }
}

fn draw(next: &AtomicU64) -> NonZeroU64 {
    let number = next.fetch_add(1, Ordering::Relaxed);
    NonZeroU64::new(number).expect("2^64 names are not used up in the life of a process")
}
