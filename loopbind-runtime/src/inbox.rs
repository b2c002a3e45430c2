//! What other threads have posted, and the flag that says whether somebody must be woken for it.
//!
//! One word does it all:
//!
//! | head        | means                                     | set by                          |
//! |-------------|-------------------------------------------|---------------------------------|
//! | null        | empty, the owner is awake                 | [`take`], [`unpark`]            |
//! | `PARKED`    | empty, the owner sleeps or is about to    | [`park`]                        |
//! | a node      | the last posted, linked to those before   | [`push`]                        |
//! | `CLOSED`    | nothing is taken any more, for ever       | [`close`]                       |
//!
//! The owner goes to sleep by one compare-and-swap from null to `PARKED`: a post that came before
//! makes it fail, and a post that comes after finds `PARKED`, replaces it, and rings. There is no
//! window in between, and no fence. Whoever replaced `PARKED` rings, so that many posts to one
//! sleeper cost one ring.
//!
//! Nodes are taken all at once, never one by one, and a node is posted only by who holds its
//! exclusive right to (`QUEUED` of `task::refs`), so that there is no ABA.
//!
//! [`take`]: Inbox::take
//! [`unpark`]: Inbox::unpark
//! [`park`]: Inbox::park
//! [`push`]: Inbox::push
//! [`close`]: Inbox::close

use std::ptr::{self, NonNull};

use crate::atomic::{AtomicPtr, Ordering};
use crate::ready::Node;

const PARKED: *mut Node = ptr::without_provenance_mut(1);
const CLOSED: *mut Node = ptr::without_provenance_mut(2);

fn is_node(head: *mut Node) -> bool {
    head.addr() > CLOSED.addr()
}

#[derive(Debug, Default)]
pub(crate) struct Inbox {
    head: AtomicPtr<Node>,
}

/// The inbox is closed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Inbox {
    #[inline]
    pub(crate) fn has_mail(&self) -> bool {
        is_node(self.head.load(Ordering::Relaxed))
    }

    /// Nothing to see to: no mail, and nobody who sleeps. One load.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.head.load(Ordering::Relaxed).is_null()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.head.load(Ordering::Acquire) == CLOSED
    }

    /// Posts `node`. `Some(keep)`: the owner was asleep, and the caller must wake it; `keep` is
    /// what `hold` gave, made before the post, because nothing that the node keeps alive may be
    /// touched after it.
    ///
    /// # Safety
    /// `node` is valid until it was taken, and in no inbox.
    pub(crate) unsafe fn push<K>(
        &self,
        node: NonNull<Node>,
        hold: impl Fn() -> K,
    ) -> Result<Option<K>, Refused> {
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            if head == CLOSED {
                return Err(Refused);
            }
            let keep = (head == PARKED).then(&hold);
            let before = is_node(head).then(|| NonNull::new(head)).flatten();
            // SAFETY: valid, and ours alone until it is published below.
            unsafe { node.as_ref().mail.set(before) };
            // Release: what happened before the post is seen by who takes it.
            match self.head.compare_exchange_weak(
                head,
                node.as_ptr(),
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(keep),
                Err(now) => head = now,
            }
        }
    }

    /// Owner: about to sleep. False if there is mail, or no more to come.
    pub(crate) fn park(&self) -> bool {
        let (order, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.head.compare_exchange(ptr::null_mut(), PARKED, order, relaxed).is_ok()
    }

    /// Owner: awake again. False where it was not parked, or a post has woken it.
    pub(crate) fn unpark(&self) -> bool {
        let (order, relaxed) = (Ordering::AcqRel, Ordering::Relaxed);
        self.head.compare_exchange(PARKED, ptr::null_mut(), order, relaxed).is_ok()
    }

    /// Owner: takes all that was posted, oldest first.
    pub(crate) fn take(&self) -> Mail {
        // A closed inbox stays closed, and an empty one costs no swap.
        if !self.has_mail() {
            return Mail { next: None };
        }
        let newest = self.head.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: the owner alone takes, so this is still a node of a list that is now ours.
        unsafe { Mail::oldest_first(newest) }
    }

    /// Owner: refuses everything from now on, and takes what had been posted, oldest first.
    pub(crate) fn close(&self) -> Mail {
        let newest = self.head.swap(CLOSED, Ordering::AcqRel);
        // SAFETY: a swap gives the list to exactly one taker.
        unsafe { Mail::oldest_first(newest) }
    }
}

/// A list of posts that was taken out.
pub(crate) struct Mail {
    next: Option<NonNull<Node>>,
}

impl Mail {
    /// # Safety
    /// `newest` is a sentinel or heads a list of valid nodes that nobody else has.
    unsafe fn oldest_first(newest: *mut Node) -> Mail {
        let mut newer = None;
        let mut node = is_node(newest).then(|| NonNull::new(newest)).flatten();
        while let Some(this) = node {
            // SAFETY: by the caller's promise.
            node = unsafe { this.as_ref().mail.replace(newer) };
            newer = Some(this);
        }
        Mail { next: newer }
    }
}

impl Iterator for Mail {
    type Item = NonNull<Node>;

    /// Reads the link before it gives the node away: from then on the node may be posted again.
    fn next(&mut self) -> Option<NonNull<Node>> {
        let node = self.next?;
        // SAFETY: in the list until given away, so valid.
        self.next = unsafe { node.as_ref().mail.take() };
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(inbox: &Inbox, node: &Node) -> Result<Option<()>, Refused> {
        // SAFETY: the tests' nodes outlive their inbox and are posted once.
        unsafe { inbox.push(NonNull::from(node), || ()) }
    }

    #[test]
    fn posts_come_out_in_order_and_only_the_sleeper_is_rung() {
        let nodes: Vec<Node> = (0..3).map(|_| Node::default()).collect();
        let inbox = Inbox::default();
        assert!(inbox.park());
        assert_eq!(post(&inbox, &nodes[0]), Ok(Some(())), "the first finds a sleeper");
        assert_eq!(post(&inbox, &nodes[1]), Ok(None));
        assert!(!inbox.park(), "no sleep with mail in the box");
        assert_eq!(post(&inbox, &nodes[2]), Ok(None));
        let order: Vec<_> = inbox.take().collect();
        assert_eq!(order, nodes.iter().map(NonNull::from).collect::<Vec<_>>());
        assert!(!inbox.has_mail());
    }

    #[test]
    fn closed_for_ever_and_what_was_there_comes_out() {
        let (first, late) = (Node::default(), Node::default());
        let inbox = Inbox::default();
        post(&inbox, &first).unwrap();
        assert_eq!(inbox.close().count(), 1);
        assert_eq!(post(&inbox, &late), Err(Refused));
        assert_eq!(inbox.take().count(), 0);
        assert!(inbox.is_closed() && !inbox.park());
    }

    #[test]
    fn who_woke_by_itself_is_not_rung() {
        let node = Node::default();
        let inbox = Inbox::default();
        assert!(inbox.park() && inbox.unpark());
        assert_eq!(post(&inbox, &node), Ok(None));
        assert!(!inbox.unpark());
        assert!(inbox.has_mail(), "waking up loses no mail");
    }
}
