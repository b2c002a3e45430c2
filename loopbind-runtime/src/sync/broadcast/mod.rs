//! Every item to every receiver; who is slow misses some, and hears how many.

mod error;
mod receiver;
mod ring;
mod sender;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::line::Line;
use ring::Ring;

pub use super::closed::SendError;
pub use error::{Lagged, RecvError};
pub use receiver::Receiver;
pub use sender::Sender;

/// A channel that keeps this many items for receivers that have not received them yet. Sending never waits:
/// the oldest item makes room, and receivers that had not received it hear that they [lagged](RecvError::Lagged).
///
/// Each receiver gets a clone of each item that was sent after it subscribed; the last one, the item itself.
///
/// # Panics
/// Where the capacity is zero.
///
/// ```
/// use loopbind::sync::broadcast;
///
/// loopbind::run(async {
///     let (sender, mut one) = broadcast::channel(16);
///     let mut other = sender.subscribe();
///     sender.send("tea").unwrap();
///     assert_eq!(one.recv().await, Ok("tea"));
///     assert_eq!(other.recv().await, Ok("tea"));
/// })?;
/// # Ok::<(), loopbind::LoopError>(())
/// ```
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a broadcast channel needs a capacity of at least 1");
    let shared = Rc::new(Shared {
        ring: RefCell::new(Ring::new(capacity)),
        senders: Cell::new(0),
        receivers: Cell::new(0),
        arrived: Line::new(),
        closed: Line::new(),
    });
    let receiver = Receiver::of(Rc::clone(&shared));
    (Sender::of(shared), receiver)
}

struct Shared<T> {
    ring: RefCell<Ring<T>>,
    senders: Cell<usize>,
    receivers: Cell<usize>,
    /// Receivers that wait for an item.
    arrived: Line,
    /// Who waits for the last receiver to go.
    closed: Line,
}
