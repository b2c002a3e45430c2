//! Futures that come too late for a group or a scope, dropped one after the other.

use std::cell::RefCell;
use std::collections::VecDeque;

use super::report;
use crate::panic::{PanicPayload, caught};
use crate::task::ExceptionContext;

/// A destructor that starts something whose destructor starts something, without end, is a mistake; whoever
/// is refused comes back all the same.
const MOST: usize = 100_000;

/// A destructor may start another child, and that one is refused as well. Dropped where it is refused, it
/// would be one destructor inside the other, until the stack is full; so it waits for the first to end.
#[derive(Default)]
pub(super) struct Refused<'env> {
    /// Those that wait; `None` while nobody is being dropped.
    waiting: RefCell<Option<VecDeque<Box<dyn Any + 'env>>>>,
}

/// Anything that can be dropped.
trait Any {}
impl<T> Any for T {}

impl<'env> Refused<'env> {
    /// Drops `future`, and then what came meanwhile; inside of itself it leaves it to the one that is at
    /// it. What `future` itself throws comes back, and what the others throw is reported.
    pub(super) fn drop(&self, future: impl Sized + 'env) -> Result<(), PanicPayload> {
        if let Some(waiting) = &mut *self.waiting.borrow_mut() {
            waiting.push_back(Box::new(future));
            return Ok(());
        }
        self.waiting.replace(Some(VecDeque::new()));
        let dropped = caught(move || drop(future));
        for count in 1.. {
            let next = self.waiting.borrow_mut().as_mut().and_then(VecDeque::pop_front);
            let Some(late) = next else { break };
            if count > MOST {
                std::mem::forget(late);
                report(ExceptionContext::new(
                    "destructors go on starting children without end; what they start now is leaked",
                ));
                break;
            }
            if let Err(payload) = caught(move || drop(late)) {
                let message = "exception in the destructor of a future";
                report(ExceptionContext::panicked(message, payload));
            }
        }
        std::mem::forget(self.waiting.take());
        dropped
    }
}
