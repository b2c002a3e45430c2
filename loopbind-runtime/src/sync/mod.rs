//! What threads pass to each other.

mod reply;

pub(crate) use reply::{Receiver, Sender, channel};
