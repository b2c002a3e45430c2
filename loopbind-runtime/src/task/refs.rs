//! How many have a task, and what other threads have to say to it.
//!
//! The count is in two parts, so that the loop's own thread, which does most of the counting, needs no
//! atomic instruction for it:
//!
//! * `own`, a plain cell of the owner's thread;
//! * `shared`, one atomic word for all others, with flags. It may be negative: a waker that was
//!   cloned at home and dropped elsewhere.
//!
//! The total is the sum of both. References are alike: whoever has one may give it up in either part.
//!
//! | flag | set by | cleared by | promises |
//! |---|---|---|---|
//! | `QUEUED` | who posts | the taking | the task is in the inbox, or on its way there, with a reference |
//! | `ASKED` | who cancels | the taking | another thread wants the task to end |
//! | `FORCED` | who aborts | the taking | and without a say |
//! | `OVER` | the owner, once | never | the task is `DONE`, its future gone; of a `REMOTE` task only |
//! | `MERGED` | the owner, once | never | the total is in `shared`; `own` counts no more |
//!
//! `ASKED` and `FORCED` are set together with `QUEUED`, in one step, so that the post that takes them
//! along is on its way or yet to be taken in; they are read when it is.
//!
//! While the parts are apart, other threads cannot see the total, and so never free. They need not:
//! the loop keeps a reference until the task is over, and when it gives that up it *settles*: if no
//! reference is left but those that cannot leave the thread, the parts stay apart, `shared` is zero, and
//! the thread goes on alone; otherwise it merges them, and the last to go frees, wherever that is. That
//! is one atomic operation in the life of a task that somebody else has kept, and none in that of others.

use crate::atomic::{AtomicIsize, Cell, Ordering};

#[derive(Debug)]
pub(crate) struct Refs {
    shared: AtomicIsize,
    own: Cell<i32>,
    /// The owner's as well, and none of this: four bytes that the alignment leaves here, which elsewhere
    /// in a header would cost eight.
    pub(crate) beside: Cell<u32>,
}

const QUEUED: isize = 1;
const ASKED: isize = 2;
const FORCED: isize = 4;
const OVER: isize = 8;
const MERGED: isize = 16;
const SHIFT: u32 = 5;
const FLAGS: isize = (1 << SHIFT) - 1;
/// What the taking clears.
const ERRANDS: isize = QUEUED | ASKED | FORCED;
const ONE: isize = 1 << SHIFT;

/// What `own` says once the parts are merged.
const GONE: i32 = i32::MIN;
/// The least it says before: so many were made elsewhere and given up at home.
const LEAST: i32 = GONE + 1;

/// Half of what fits: a program that forgets wakers in a loop ends here, not in a wrapped count.
const LIMIT: isize = isize::MAX / 2;

/// What a posted task was sent for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    Wake,
    Cancel,
    Abort,
}

/// What is left when the loop has given up its reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// Nothing: the caller frees.
    Last,
    /// References that cannot leave the thread.
    Alone,
    /// Others', or what cannot be told from them: the caller merges, with the loop's reference still
    /// counted.
    Shared,
}

/// What was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Released {
    /// The last: the caller frees.
    Last,
    Not,
}

fn count(shared: isize) -> isize {
    shared >> SHIFT
}

impl Refs {
    /// Of a task that was born at home.
    pub(crate) fn new(count: i32) -> Self {
        Refs { shared: AtomicIsize::new(0), own: Cell::new(count), beside: Cell::new(0) }
    }

    /// Born in another thread's hands and on its way to the inbox, which has one of them.
    pub(crate) fn posted(count: isize) -> Self {
        let shared = AtomicIsize::new((count << SHIFT) | QUEUED);
        Refs { shared, own: Cell::new(0), beside: Cell::new(0) }
    }

    /// Owner: one more.
    #[inline]
    pub(crate) fn add_own(&self) {
        let own = self.own.get();
        if (0..i32::MAX).contains(&own) {
            return self.own.set(own + 1);
        }
        self.add_own_to_many()
    }

    /// To so many that a plain count cannot hold them, which go where there is room; or to what is less than
    /// none, or merged.
    #[cold]
    #[inline(never)]
    fn add_own_to_many(&self) {
        match self.own.get() {
            GONE => self.add(),
            i32::MAX => self.add_many(self.own.replace(1) as isize),
            own => self.own.set(own + 1),
        }
    }

    /// Any thread: one more.
    #[inline]
    pub(crate) fn add(&self) {
        self.add_many(1);
    }

    #[inline]
    fn add_many(&self, many: isize) {
        if self.shared.fetch_add(many * ONE, Ordering::Relaxed) > LIMIT {
            std::process::abort();
        }
    }

    /// Owner: one less, of a task that is the loop's still, or that was settled.
    #[inline]
    pub(crate) fn release_own(&self) -> Released {
        let own = self.own.get();
        if own > 1 {
            self.own.set(own - 1);
            return Released::Not;
        }
        // Settled, and nobody else has any.
        if own == 1 && count(self.shared.load(Ordering::Acquire)) == 0 {
            self.own.set(0);
            return Released::Last;
        }
        self.release_own_of_many()
    }

    /// Owner: whether the caller's reference is the only one, and was never anybody else's.
    #[inline]
    pub(crate) fn is_last_own(&self) -> bool {
        self.own.get() == 1 && self.shared.load(Ordering::Acquire) == 0
    }

    /// Of what others count as well.
    #[cold]
    #[inline(never)]
    fn release_own_of_many(&self) -> Released {
        let own = self.own.get();
        if own == GONE {
            return self.release();
        }
        if own == LEAST {
            return self.owe();
        }
        self.own.set(own - 1);
        // Not the last while the loop has one. Settled, and nobody else has any: `shared` is zero.
        match own as isize - 1 + count(self.shared.load(Ordering::Acquire)) {
            0 => Released::Last,
            _ => Released::Not,
        }
    }

    /// One less than a plain count can hold: what it owes is paid where the others were counted, who
    /// are many, or there would not be so much to owe.
    #[cold]
    fn owe(&self) -> Released {
        self.own.set(0);
        self.add_many(LEAST as isize - 1);
        Released::Not
    }

    /// Owner: the loop gives up its reference; `bound` of those that are left cannot leave the thread.
    #[inline]
    pub(crate) fn settle(&self, bound: isize) -> Settled {
        let own = self.own.get();
        let shared = self.shared.load(Ordering::Acquire);
        // Most were never anybody else's.
        if shared == 0 && own as isize == bound + 1 {
            self.own.set(bound as i32);
            return if bound == 0 { Settled::Last } else { Settled::Alone };
        }
        self.settle_among_others(bound, own, shared)
    }

    #[inline(never)]
    fn settle_among_others(&self, bound: isize, own: i32, shared: isize) -> Settled {
        if own == GONE {
            return Settled::Shared;
        }
        let left = own as isize - 1 + count(shared);
        if shared & FLAGS != 0 || left != bound {
            return Settled::Shared;
        }
        // Nobody else has any, so nobody else is looking.
        if shared != 0 {
            self.shared.store(0, Ordering::Relaxed);
        }
        self.own.set(left as i32);
        if left == 0 { Settled::Last } else { Settled::Alone }
    }

    /// Owner: makes the two parts one, if they are not yet. From the next release on, anybody's may be
    /// the last.
    #[cold]
    pub(crate) fn merge(&self) {
        let own = self.own.replace(GONE);
        if own != GONE {
            self.shared.fetch_add(((own as isize) << SHIFT) + MERGED, Ordering::AcqRel);
        }
    }

    /// Owner: how many there are.
    pub(crate) fn count(&self) -> usize {
        self.total(self.shared.load(Ordering::Acquire)) as usize
    }

    /// Owner: whether the caller's reference is the only one.
    pub(crate) fn is_unique(&self) -> bool {
        let shared = self.shared.load(Ordering::Acquire);
        shared & ERRANDS == 0 && self.total(shared) == 1
    }

    fn total(&self, shared: isize) -> isize {
        let own = match self.own.get() {
            GONE => 0,
            own => own as isize,
        };
        own + count(shared)
    }

    /// Any thread: one less.
    #[inline]
    pub(crate) fn release(&self) -> Released {
        // Where the one reference left is the caller's, nobody can make another: a load will do,
        // and acquires what all the others released.
        if self.shared.load(Ordering::Acquire) & !OVER == ONE | MERGED {
            return Released::Last;
        }
        let before = self.shared.fetch_sub(ONE, Ordering::Release);
        if before & MERGED == 0 || count(before) != 1 {
            return Released::Not;
        }
        // A load, not a fence: it orders as well here, and race detectors understand it.
        self.shared.load(Ordering::Acquire);
        Released::Last
    }

    /// Another thread's errand: true if the caller must post.
    ///
    /// A read-modify-write also where `QUEUED` is set already: the poll to come must see what was
    /// written before this wake, too.
    pub(crate) fn send(&self, errand: Errand) -> bool {
        let bits = match errand {
            Errand::Wake => QUEUED,
            Errand::Cancel => QUEUED | ASKED,
            Errand::Abort => QUEUED | ASKED | FORCED,
        };
        self.shared.fetch_or(bits, Ordering::AcqRel) & QUEUED == 0
    }

    /// Owner: the post was taken in, and its reference is the owner's to give up. Cleared before the
    /// errand is done, so that one that comes meanwhile is posted again.
    pub(crate) fn arrive(&self) -> Errand {
        let own = self.own.get();
        let before = if own == GONE {
            self.shared.fetch_and(!ERRANDS, Ordering::AcqRel)
        } else {
            // What others counted is the owner's from here on.
            let before = self.shared.fetch_and(OVER, Ordering::AcqRel);
            match i32::try_from(own as isize + count(before)) {
                Ok(own) => self.own.set(own),
                Err(_) => self.add_many(count(before)),
            }
            before
        };
        match (before & ASKED, before & FORCED) {
            (_, FORCED) => Errand::Abort,
            (ASKED, _) => Errand::Cancel,
            _ => Errand::Wake,
        }
    }

    /// Owner: the task is done, and its future gone.
    pub(crate) fn end(&self) {
        self.shared.fetch_or(OVER, Ordering::Release);
    }

    /// Any thread: whether it is, of a task that is `REMOTE`. Who sees it sees what the future's drop did.
    pub(crate) fn is_over(&self) -> bool {
        self.shared.load(Ordering::Acquire) & OVER != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `life` does it.
    fn settle(refs: &Refs, bound: isize) -> Released {
        match refs.settle(bound) {
            Settled::Last => Released::Last,
            Settled::Alone => Released::Not,
            Settled::Shared => {
                refs.merge();
                refs.release()
            }
        }
    }

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn two_words_of_a_header() {
        assert_eq!(size_of::<Refs>(), 16);
    }

    #[test]
    fn alone_the_owner_counts_without_anybody_else() {
        let refs = Refs::new(2);
        refs.add_own();
        assert_eq!(refs.release_own(), Released::Not);
        assert_eq!(settle(&refs, 1), Released::Not, "a handle is left");
        assert_eq!(refs.own.get(), 1, "the parts are apart still");
        assert!(refs.is_unique());
        assert_eq!(refs.release_own(), Released::Last);
    }

    #[test]
    fn what_was_cloned_at_home_and_dropped_elsewhere_is_not_counted_twice() {
        let refs = Refs::new(2);
        refs.add_own();
        assert_eq!(refs.release(), Released::Not, "elsewhere");
        assert_eq!(settle(&refs, 1), Released::Not);
        assert_eq!(refs.release_own(), Released::Last);
    }

    #[test]
    fn what_was_cloned_elsewhere_and_dropped_at_home_neither() {
        let refs = Refs::new(1);
        refs.add();
        assert_eq!(refs.release_own(), Released::Not, "the loop has one");
        assert_eq!(refs.own.get(), 0);
        assert_eq!(settle(&refs, 0), Released::Last);
    }

    #[test]
    fn who_keeps_a_waker_of_a_task_that_is_over_frees_it() {
        let refs = Refs::new(2);
        refs.add_own();
        assert_eq!(settle(&refs, 1), Released::Not);
        assert_eq!(refs.own.get(), GONE, "merged");
        assert_eq!(refs.release_own(), Released::Not, "the handle, at home");
        assert_eq!(refs.release(), Released::Last, "the waker, elsewhere");
    }

    #[test]
    fn a_task_that_is_over_can_be_shared() {
        let refs = Refs::new(2);
        assert_eq!(settle(&refs, 1), Released::Not);
        refs.merge();
        refs.add();
        assert_eq!(refs.release_own(), Released::Not);
        assert_eq!(refs.release(), Released::Last);
    }

    #[test]
    fn one_post_for_many_errands_and_a_cancel_among_them_is_heard() {
        let refs = Refs::new(2);
        assert!(refs.send(Errand::Wake));
        refs.add();
        assert!(!refs.send(Errand::Cancel) && !refs.send(Errand::Wake));
        assert_eq!(refs.arrive(), Errand::Cancel);
        assert_eq!((refs.own.get(), refs.shared.load(Ordering::Relaxed)), (3, 0), "folded");
        assert!(refs.send(Errand::Wake), "taken in: the next errand is posted again");
        assert_eq!(refs.arrive(), Errand::Wake);
    }

    #[test]
    fn an_abort_is_heard_among_cancels_and_the_end_is_no_errand() {
        let refs = Refs::new(2);
        assert!(refs.send(Errand::Cancel));
        assert!(!refs.send(Errand::Abort) && !refs.send(Errand::Cancel) && !refs.is_over());
        refs.end();
        assert!(refs.arrive() == Errand::Abort && refs.is_over());
        assert!(refs.send(Errand::Cancel));
        assert_eq!(refs.arrive(), Errand::Cancel, "no abort is left over");
        assert!(refs.is_over());
        assert_eq!(settle(&refs, 1), Released::Not);
        assert_eq!(refs.release_own(), Released::Last);
    }

    #[test]
    fn a_post_that_is_under_way_keeps_a_task_that_is_over() {
        let refs = Refs::new(1);
        refs.add();
        assert!(refs.send(Errand::Wake));
        assert_eq!(settle(&refs, 0), Released::Not);
        assert_eq!(refs.arrive(), Errand::Wake);
        assert_eq!(refs.release_own(), Released::Last);
    }

    #[test]
    fn more_than_a_plain_count_can_hold() {
        let refs = Refs::new(2);
        refs.own.set(i32::MAX);
        refs.add_own();
        assert_eq!(refs.own.get(), 1);
        assert_eq!(count(refs.shared.load(Ordering::Relaxed)), i32::MAX as isize);
        assert_eq!(refs.release_own(), Released::Not);
        assert_eq!(settle(&refs, 0), Released::Not, "a great many are left");
        assert_eq!(count(refs.shared.load(Ordering::Relaxed)), i32::MAX as isize - 2 + 1);
    }

    #[test]
    fn less_than_a_plain_count_can_hold() {
        let refs = Refs::new(1);
        // One by one: cloned elsewhere, and dropped at home.
        let many = i32::MAX as isize + 2;
        refs.add_many(many + 1);
        refs.own.set(LEAST + 1);
        for left in [3, 2] {
            assert_eq!(refs.release_own(), Released::Not);
            assert_eq!(refs.count(), left, "still counted, and not taken for merged");
        }
        assert_eq!(refs.release_own(), Released::Not, "the loop has one");
        assert_eq!(settle(&refs, 0), Released::Last);
    }
}
