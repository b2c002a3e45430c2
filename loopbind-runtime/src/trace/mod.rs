//! What a subscriber of the `tracing` crate's is told: spans of tasks, and what becomes of loops. Without the feature
//! `tracing` there is nobody to tell, and nothing of this is left in a program.
//!
//! A subscriber is code of the user's. It is called where a destructor could be, with nothing borrowed; what it throws
//! comes back as a value; and what it does to loops meanwhile is not told to it, so that one that starts a task for
//! each span it sees comes to an end.

#[cfg(not(feature = "tracing"))]
mod nobody;
#[cfg(feature = "tracing")]
mod subscriber;

use std::panic::Location;

#[cfg(not(feature = "tracing"))]
pub(crate) use nobody::*;
#[cfg(feature = "tracing")]
pub(crate) use subscriber::*;

use crate::ids::{LoopId, TaskId};
use crate::panic::PanicPayload;

/// What the subscriber threw, if it did.
pub(crate) type Told = Result<(), PanicPayload>;

/// What is said of a task.
#[cfg_attr(not(feature = "tracing"), allow(dead_code))] // Nobody reads it.
pub(crate) struct Facts<'a> {
    pub(crate) event_loop: LoopId,
    pub(crate) id: TaskId,
    pub(crate) name: Option<&'a str>,
    pub(crate) parent: Option<TaskId>,
    pub(crate) place: &'static Location<'static>,
}
