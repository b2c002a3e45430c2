//! Who waits for one thing, in the order in which they came.
//!
//! Each who waits has an entry in a slab and the only key to it. The entries are strung into a line: to
//! join it, to be told, and to leave it from anywhere take a few steps, and no memory once the slab has
//! been as large before. Telling somebody takes them out of the line and leaves their entry until they
//! come for it, or give up: [`Left::told`] says which of the two it was, and whoever was told and gave up
//! has something to pass on.
//!
//! Wakers are user code. They are cloned before, and woken and dropped after what stands here is
//! borrowed, and what is true of the line is true at each of these moments: a waker may join, leave and
//! tell as it likes. What one throws reaches the caller, after those behind it are woken.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::task::{Context, Poll, Waker};
use std::{fmt, mem, thread};

use super::tally::{self, Tally};
use crate::panic::{caught, discard};

/// The index of no entry.
const NONE: u32 = u32::MAX;

/// Entries kept when nobody is left.
const SPARE: usize = 1024;

/// `T` is what each of those in line waits for: how much, or in which way.
pub(super) struct Waiters<T = ()> {
    /// Those in line. Beside the line, for those who only want to know that there is none.
    waiting: Cell<usize>,
    line: RefCell<Line<T>>,
    /// Of one thread.
    _here: PhantomData<*const ()>,
}

/// The only key to an entry: whoever has it, and nobody else, takes the entry out again.
#[must_use = "an entry without its key stays in line for ever"]
pub(super) struct Key(u32);

/// What an entry held that was taken out.
#[must_use = "who was told may have something to pass on"]
pub(super) struct Left<T> {
    /// It was told, and is not in line any more.
    pub(super) told: bool,
    pub(super) what: T,
    /// User code, to be dropped when all is done.
    _waker: KeptWaker,
}

struct Line<T> {
    entries: Vec<Entry<T>>,
    /// The first of the vacant entries, which are strung by `behind`.
    vacant: u32,
    /// Entries that are not vacant.
    taken: usize,
    waiting: Ends,
    /// Told, and about to be woken.
    calling: Ends,
}

/// A list's first and last entry; what stands before the one and behind the other is `NONE`.
#[derive(Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

struct Entry<T> {
    standing: Standing,
    /// There while it is not woken.
    waker: KeptWaker,
    /// `None` in a vacant entry.
    what: Option<T>,
    before: u32,
    behind: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Standing {
    Waiting,
    /// Told, with its waker still to be woken.
    Calling,
    Told,
}

impl<T> Waiters<T> {
    pub(super) const fn new() -> Self {
        let none = Ends { first: NONE, last: NONE };
        let line =
            Line { entries: Vec::new(), vacant: NONE, taken: 0, waiting: none, calling: none };
        Waiters { waiting: Cell::new(0), line: RefCell::new(line), _here: PhantomData }
    }

    /// How many are in line; who was told is not.
    #[inline]
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Joins the line at its end. To clone the waker is user code: after that, and before this, whatever
    /// is waited for has to be looked at again.
    pub(super) fn join(&self, waker: KeptWaker, what: T) -> Key {
        let key = self.line.borrow_mut().push(waker, what);
        self.waiting.set(self.waiting.get() + 1);
        key
    }

    /// Ready if it was told; else the waker of `cx` is the one that will be woken.
    pub(super) fn poll(&self, key: &Key, cx: &mut Context<'_>) -> Poll<()> {
        {
            let line = self.line.borrow();
            let entry = line.entry(key);
            if entry.standing != Standing::Waiting {
                return Poll::Ready(());
            }
            if entry.waker.will_wake(cx.waker()) {
                return Poll::Pending;
            }
        }
        let waker = KeptWaker::of(cx);
        // It may have been told by its own waker's clone.
        let (_stale, polled) = {
            let mut line = self.line.borrow_mut();
            let entry = line.entry_mut(key);
            match entry.standing {
                Standing::Waiting => (mem::replace(&mut entry.waker, waker), Poll::Pending),
                Standing::Calling | Standing::Told => (waker, Poll::Ready(())),
            }
        };
        polled
    }

    /// Takes the entry out if it was told and woken: nothing of the user's is left in it.
    #[inline]
    pub(super) fn leave_woken(&self, key: Key) -> Result<T, Key> {
        let mut line = self.line.borrow_mut();
        if line.entry(&key).standing == Standing::Told { Ok(line.vacate(key)) } else { Err(key) }
    }

    /// Takes the entry out, from wherever it stands.
    pub(super) fn leave(&self, key: Key) -> Left<T> {
        let left = self.line.borrow_mut().remove(key);
        if !left.told {
            self.waiting.set(self.waiting.get() - 1);
        }
        left
    }

    /// Tells those at the head of the line for as long as `grant` is true of them, then wakes them; how
    /// many. `grant` is no user code, and finds the line borrowed.
    pub(super) fn tell_while(&self, grant: impl FnMut(&mut T) -> bool) -> usize {
        let (told, first, is_all) = {
            let mut line = self.line.borrow_mut();
            let (told, first) = line.tell_while(grant);
            if told == 0 {
                return 0;
            }
            self.waiting.set(self.waiting.get() - told);
            (told, first, line.calling.first == NONE)
        };
        match first {
            Some(waker) if is_all => wake(waker),
            first => self.wake_told(first),
        }
        told
    }

    /// Tells the first `most` of the line; how many there were.
    pub(super) fn tell(&self, most: usize) -> usize {
        if self.waiting.get() == 0 {
            return 0;
        }
        let mut left = most;
        self.tell_while(|_| {
            let tells = left > 0;
            left = left.saturating_sub(1);
            tells
        })
    }

    /// Tells everybody who is in line now.
    pub(super) fn tell_all(&self) {
        self.tell(usize::MAX);
    }

    /// Wakes `first`, and all who are told and still to be woken.
    #[inline(never)]
    fn wake_told(&self, first: Option<Waker>) {
        /// Wakes those behind a waker that threw.
        struct Rest<'a, T>(&'a Waiters<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                while let Some(waker) = self.0.next_told() {
                    wake(waker);
                }
            }
        }
        let rest = Rest(self);
        let mut next = first;
        while let Some(waker) = next {
            wake(waker);
            next = self.next_told();
        }
        mem::forget(rest);
    }

    fn next_told(&self) -> Option<Waker> {
        self.line.borrow_mut().next_told()
    }
}

impl<T> fmt::Debug for Waiters<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl<T> Line<T> {
    fn entry(&self, key: &Key) -> &Entry<T> {
        &self.entries[key.0 as usize]
    }

    fn entry_mut(&mut self, key: &Key) -> &mut Entry<T> {
        &mut self.entries[key.0 as usize]
    }

    fn push(&mut self, waker: KeptWaker, what: T) -> Key {
        let at = match self.entries.get_mut(self.vacant as usize) {
            Some(entry) => {
                let at = mem::replace(&mut self.vacant, entry.behind);
                // Field by field: nothing is moved out only to be dropped.
                (entry.standing, entry.behind) = (Standing::Waiting, NONE);
                (entry.waker, entry.what) = (waker, Some(what));
                at
            }
            None => self.push_new(waker, what),
        };
        self.taken += 1;
        self.waiting.append(&mut self.entries, Ends { first: at, last: at });
        Key(at)
    }

    #[cold]
    fn push_new(&mut self, waker: KeptWaker, what: T) -> u32 {
        let at = u32::try_from(self.entries.len()).ok().filter(|at| *at != NONE);
        let at = at.expect("four thousand million wait for one thing");
        self.entries.push(Entry {
            standing: Standing::Waiting,
            waker,
            what: Some(what),
            before: NONE,
            behind: NONE,
        });
        at
    }

    fn remove(&mut self, key: Key) -> Left<T> {
        let (at, entry) = (key.0, &self.entries[key.0 as usize]);
        let told = entry.standing != Standing::Waiting;
        match entry.standing {
            Standing::Waiting => self.waiting.unlink(&mut self.entries, at),
            Standing::Calling => self.calling.unlink(&mut self.entries, at),
            Standing::Told => {}
        }
        let waker = mem::replace(&mut self.entries[at as usize].waker, KeptWaker::NONE);
        Left { told, what: self.vacate(key), _waker: waker }
    }

    /// Makes the entry a vacant one. It is in no list, and its waker is out.
    fn vacate(&mut self, key: Key) -> T {
        let entry = &mut self.entries[key.0 as usize];
        let what = entry.what.take();
        entry.behind = mem::replace(&mut self.vacant, key.0);
        self.taken -= 1;
        if self.taken == 0 && self.entries.capacity() > SPARE {
            // All vacant: nothing of the user's is dropped with them.
            (self.entries, self.vacant) = (Vec::new(), NONE);
        }
        what.expect("a key is the only one to its entry")
    }

    /// How many are told, and the first to be woken. Those that are told stay strung as they are, and change from
    /// one list to the end of the other.
    fn tell_while(&mut self, mut grant: impl FnMut(&mut T) -> bool) -> (usize, Option<Waker>) {
        let (first, mut last, mut told) = (self.waiting.first, NONE, 0);
        let mut next = first;
        while let Some(entry) = self.entries.get_mut(next as usize) {
            if !entry.what.as_mut().is_some_and(&mut grant) {
                break;
            }
            entry.standing = Standing::Calling;
            (last, next) = (next, entry.behind);
            told += 1;
        }
        if told == 0 {
            return (0, None);
        }
        self.waiting.begin_at(&mut self.entries, next);
        if told == 1 && self.calling.first == NONE {
            // The only one to be woken, as most are.
            let entry = &mut self.entries[last as usize];
            entry.standing = Standing::Told;
            return (1, entry.waker.let_go());
        }
        self.entries[last as usize].behind = NONE;
        self.calling.append(&mut self.entries, Ends { first, last });
        (told, self.next_told())
    }

    fn next_told(&mut self) -> Option<Waker> {
        let entry = self.entries.get_mut(self.calling.first as usize)?;
        entry.standing = Standing::Told;
        let (waker, behind) = (entry.waker.let_go(), entry.behind);
        self.calling.begin_at(&mut self.entries, behind);
        waker
    }
}

impl Ends {
    /// Adds what is strung from one end of `more` to the other.
    fn append<T>(&mut self, entries: &mut [Entry<T>], more: Ends) {
        let last = mem::replace(&mut self.last, more.last);
        entries[more.first as usize].before = last;
        match entries.get_mut(last as usize) {
            Some(last) => last.behind = more.first,
            None => self.first = more.first,
        }
    }

    /// Lets go of all before `first`.
    fn begin_at<T>(&mut self, entries: &mut [Entry<T>], first: u32) {
        self.first = first;
        match entries.get_mut(first as usize) {
            Some(entry) => entry.before = NONE,
            None => self.last = NONE,
        }
    }

    fn unlink<T>(&mut self, entries: &mut [Entry<T>], at: u32) {
        let Entry { before, behind, .. } = entries[at as usize];
        match entries.get_mut(before as usize) {
            Some(entry) => entry.behind = behind,
            None => self.first = behind,
        }
        match entries.get_mut(behind as usize) {
            Some(entry) => entry.before = before,
            None => self.last = before,
        }
    }
}

/// A waker that goes out again by a wake, or by being dropped, on the thread on which it came in, and is counted
/// meanwhile. What it throws reaches the caller, except while the thread unwinds already: there it would end the
/// process.
pub(crate) struct KeptWaker(Option<Waker>);

impl KeptWaker {
    pub(super) const NONE: Self = KeptWaker(None);

    /// A clone of the waker of `cx`: user code.
    #[inline]
    pub(crate) fn of(cx: &Context<'_>) -> Self {
        KeptWaker(Some(tally::counted(cx.waker().clone(), Tally::Kept)))
    }

    #[inline]
    pub(crate) fn will_wake(&self, waker: &Waker) -> bool {
        self.0.as_ref().is_some_and(|known| known.will_wake(waker))
    }

    /// The waker, in the hands of whoever calls; none, where it went before.
    #[inline]
    pub(crate) fn let_go(&mut self) -> Option<Waker> {
        let waker = self.0.take()?;
        Some(tally::counted(waker, Tally::LetGo))
    }

    #[inline]
    pub(crate) fn wake(mut self) {
        if let Some(waker) = self.let_go() {
            wake(waker);
        }
    }

    /// Wakes, and keeps it.
    #[inline]
    pub(super) fn wake_by_ref(&self) {
        let Some(waker) = &self.0 else { return };
        if thread::panicking() {
            drop(caught(|| waker.wake_by_ref()));
        } else {
            waker.wake_by_ref();
        }
    }

    #[cold]
    #[inline(never)]
    fn drop_waker(waker: Waker) {
        let waker = tally::counted(waker, Tally::LetGo);
        if thread::panicking() {
            discard(waker);
        } else {
            drop(waker);
        }
    }
}

#[inline]
fn wake(waker: Waker) {
    if thread::panicking() {
        drop(caught(|| waker.wake()));
    } else {
        waker.wake();
    }
}

impl Drop for KeptWaker {
    #[inline]
    fn drop(&mut self) {
        if let Some(waker) = self.0.take() {
            KeptWaker::drop_waker(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::{Arc, Mutex};
    use std::task::Wake;

    use super::*;

    type Log = Arc<Mutex<Vec<u32>>>;

    /// Notes its number when woken; panics as well, where it is `rude`.
    struct Noting {
        number: u32,
        log: Log,
        rude: bool,
    }

    impl Wake for Noting {
        fn wake(self: Arc<Self>) {
            self.log.lock().unwrap().push(self.number);
            assert!(!self.rude, "rude");
        }
    }

    fn waker(number: u32, log: &Log) -> Waker {
        Waker::from(Arc::new(Noting { number, log: Arc::clone(log), rude: false }))
    }

    fn join<T>(waiters: &Waiters<T>, waker: &Waker, what: T) -> Key {
        waiters.join(KeptWaker::of(&Context::from_waker(waker)), what)
    }

    fn woken(log: &Log) -> Vec<u32> {
        mem::take(&mut log.lock().unwrap())
    }

    /// A few hundred random joins, leaves and calls, against a queue that is searched: the same are told,
    /// in the same order, and whoever leaves is told from whoever was told.
    #[test]
    fn joined_left_and_told_at_random_as_a_plain_queue_would() {
        for seed in 1..=50_u64 {
            let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mut draw = |below: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % below
            };
            let (waiters, log) = (Waiters::new(), Log::default());
            // The keys by number, and the numbers in line.
            let (mut keys, mut line) = (Vec::<(u32, Key)>::new(), VecDeque::<u32>::new());
            for number in 0..300 {
                match draw(4) {
                    0 | 1 => {
                        keys.push((number, join(&waiters, &waker(number, &log), number)));
                        line.push_back(number);
                    }
                    2 if !keys.is_empty() => {
                        let at = draw(keys.len() as u64) as usize;
                        let (number, key) = keys.swap_remove(at);
                        let left = waiters.leave(key);
                        assert_eq!((left.what, left.told), (number, !line.contains(&number)));
                        line.retain(|other| *other != number);
                    }
                    _ => {
                        let most = draw(3) as usize;
                        let expected: Vec<_> = line.drain(..most.min(line.len())).collect();
                        assert_eq!(waiters.tell(most), expected.len());
                        assert_eq!(woken(&log), expected, "seed {seed}");
                    }
                }
                assert_eq!(waiters.waiting(), line.len());
                let taken = waiters.line.borrow().taken;
                assert_eq!(taken, keys.len());
            }
            waiters.tell_all();
            assert_eq!(woken(&log), Vec::from(line));
        }
    }

    /// `tell_while` stops at the first that is refused, however many behind would be granted.
    #[test]
    fn the_first_that_is_refused_stops_those_behind() {
        let (waiters, log) = (Waiters::new(), Log::default());
        let keys = [1, 2, 9, 1].map(|wanted| join(&waiters, &waker(wanted, &log), wanted));
        let mut free = 5;
        let told = waiters.tell_while(|wanted| {
            let fits = *wanted <= free;
            free -= if fits { *wanted } else { 0 };
            fits
        });
        assert_eq!((told, free, woken(&log), waiters.waiting()), (2, 2, vec![1, 2], 2));
        let told = keys.map(|key| waiters.leave(key).told);
        assert_eq!(told, [true, true, false, false]);
    }

    /// Told is told: polled as often as one likes, with whatever waker. Not told, the last waker counts,
    /// and the same again is not cloned.
    #[test]
    fn the_waker_of_the_last_poll_is_woken() {
        let (waiters, log) = (Waiters::new(), Log::default());
        let wakers = [1, 2].map(|number| waker(number, &log));
        let key = join(&waiters, &wakers[0], ());
        let poll = |which: usize| {
            let polled = waiters.poll(&key, &mut Context::from_waker(&wakers[which]));
            polled.is_ready()
        };
        assert!(!poll(0) && !poll(1) && !poll(1));
        waiters.tell(1);
        assert_eq!(woken(&log), [2]);
        assert!(poll(0) && poll(1));
        assert!(waiters.leave(key).told);
    }

    /// A waker that throws takes nothing from those behind it, and what it threw reaches who told; in
    /// unwinding nobody.
    #[test]
    fn a_waker_that_throws_is_heard_after_those_behind_it_are_woken() {
        let (waiters, log) = (Waiters::new(), Log::default());
        let rude =
            |number| Waker::from(Arc::new(Noting { number, log: Arc::clone(&log), rude: true }));
        let all = |waiters: &Waiters| {
            [join(waiters, &rude(1), ()), join(waiters, &rude(2), ()), {
                join(waiters, &waker(3, &log), ())
            }]
        };
        let keys = all(&waiters);
        let thrown = catch_unwind(AssertUnwindSafe(|| waiters.tell_all())).unwrap_err();
        assert_eq!(thrown.downcast_ref(), Some(&"rude"));
        assert_eq!(woken(&log), [1, 2, 3]);
        assert!(keys.into_iter().all(|key| waiters.leave(key).told));

        struct TellAll<'a>(&'a Waiters);
        impl Drop for TellAll<'_> {
            fn drop(&mut self) {
                self.0.tell_all();
            }
        }
        let _keys = all(&waiters);
        let thrown = catch_unwind(AssertUnwindSafe(|| {
            let _tells = TellAll(&waiters);
            panic!("first");
        }));
        assert_eq!(thrown.unwrap_err().downcast_ref(), Some(&"first"));
        assert_eq!(woken(&log), [1, 2, 3]);
    }

    /// Once warm, waiting takes no memory; after a crowd has left, it is given back.
    #[test]
    fn the_slab_is_used_again_and_a_crowds_is_given_back() {
        let waiters = Waiters::new();
        let capacity = || waiters.line.borrow().entries.capacity();
        let crowd = |many: usize| {
            let keys: Vec<_> = (0..many).map(|_| join(&waiters, Waker::noop(), ())).collect();
            assert!(capacity() >= many);
            keys.into_iter().for_each(|key| drop(waiters.leave(key)));
        };
        crowd(SPARE / 2);
        let warm = capacity();
        crowd(SPARE / 2);
        assert_eq!(capacity(), warm);
        crowd(SPARE * 2);
        assert_eq!(capacity(), 0);
        crowd(1);
    }
}
