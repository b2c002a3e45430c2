//! What a single-threaded runtime is measured by, each written once, for all of them.

pub mod callgrind;
mod channels;
mod runs;
mod runtime;
mod stopwatch;
pub mod tasks;
mod threads;
mod timers;
mod wakes;
mod workload;

pub use runtime::{
    Fixed, Loopbind, LoopbindSpinning, Need, OnLoopbind, Receiver, Runtime, Sender, Sleep, Spawner,
    Sure,
};
pub use stopwatch::{Clock, Stopwatch};
pub use wakes::SelfWake;
pub use workload::Workload;
