//! What runs next: one first-in-first-out list, strung through the entries themselves.

use std::ptr::NonNull;

use crate::atomic::Cell;

/// The links an entry brings along: one for this list, one for the inbox. They are two because a
/// task that is queued here may be posted by another thread at the same time.
#[derive(Debug, Default)]
pub(crate) struct Node {
    next: Cell<Option<NonNull<Node>>>,
    pub(crate) mail: Cell<Option<NonNull<Node>>>,
}

#[derive(Debug)]
pub(crate) struct Ready {
    head: Cell<Option<NonNull<Node>>>,
    /// Means nothing, and points nowhere, while the list is empty.
    tail: Cell<NonNull<Node>>,
}

impl Default for Ready {
    fn default() -> Self {
        Ready { head: Cell::default(), tail: Cell::new(NonNull::dangling()) }
    }
}

impl Ready {
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.get().is_none()
    }

    /// The last entry there is now: where a batch ends.
    #[inline]
    pub(crate) fn last(&self) -> Option<NonNull<Node>> {
        self.head.get().map(|_| self.tail.get())
    }

    #[inline]
    pub(crate) fn holds_only(&self, node: NonNull<Node>) -> bool {
        self.head.get() == Some(node) && self.tail.get() == node
    }

    /// Puts `node` at the end.
    ///
    /// # Safety
    /// `node` is in no `Ready`, and stays valid until it was popped.
    #[inline]
    pub(crate) unsafe fn push(&self, node: NonNull<Node>) {
        // SAFETY: valid by the caller's promise; links are `Cell`s of the owner's thread.
        unsafe { node.as_ref().next.set(None) };
        if self.is_empty() {
            self.head.set(Some(node));
        } else {
            // SAFETY: the list has a last entry, and what is in it is valid, by the promise made when it
            // was pushed.
            unsafe { self.tail.get().as_ref().next.set(Some(node)) };
        }
        self.tail.set(node);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<NonNull<Node>> {
        let node = self.head.get()?;
        // SAFETY: what is in the list is valid, by the promise made when it was pushed.
        self.head.set(unsafe { node.as_ref().next.get() });
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_in_first_out_also_after_running_empty() {
        let nodes: Vec<Node> = (0..4).map(|_| Node::default()).collect();
        let ready = Ready::default();
        for round in 0..2 {
            for node in &nodes {
                // SAFETY: the nodes outlive the list and are pushed once per round.
                unsafe { ready.push(NonNull::from(node)) };
            }
            assert_eq!(ready.last(), nodes.last().map(NonNull::from), "round {round}");
            for node in &nodes {
                assert_eq!(ready.pop(), Some(NonNull::from(node)));
            }
            assert!(ready.is_empty() && ready.pop().is_none() && ready.last().is_none());
        }
    }
}
