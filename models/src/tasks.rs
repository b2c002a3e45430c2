//! Keeping, waking, ending and freeing a task: `refs.rs`, with the few lines of `task/life.rs` and
//! `task/waker.rs` that use it.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread::{self, JoinHandle};

use crate::atomic::{AtomicIsize, Cell, Ordering};
use crate::inbox::Inbox;
use crate::ready::Node;
use crate::refs::{Errand, Refs, Released, Settled};

#[repr(C)]
pub(crate) struct Task {
    node: Node,
    pub(crate) refs: Refs,
    /// Stands for all that is the owner's thread's, and is seen last by who frees.
    pub(crate) body: Cell<u32>,
}

/// A loop, as far as its tasks know it.
#[derive(Default)]
pub(crate) struct Home {
    pub(crate) inbox: Inbox,
    /// Tasks that were not freed.
    alive: AtomicIsize,
}

// SAFETY: what the models have of it on several threads is what the runtime has; the checker looks on.
unsafe impl Send for Home {}
// SAFETY: as for `Send`.
unsafe impl Sync for Home {}

/// A reference, on any thread.
pub(crate) struct Away {
    task: NonNull<Task>,
    home: Arc<Home>,
}

// SAFETY: as for `Home`.
unsafe impl Send for Away {}

impl Home {
    /// A task with two references: the loop's and a handle's.
    pub(crate) fn spawn(&self) -> NonNull<Task> {
        self.alive.fetch_add(1, Ordering::Relaxed);
        let task = Task { node: Node::default(), refs: Refs::new(2), body: Cell::new(0) };
        NonNull::from(Box::leak(Box::new(task)))
    }

    pub(crate) fn free_if(&self, released: Released, task: NonNull<Task>) {
        if released == Released::Last {
            // SAFETY: the last reference is gone.
            let task = unsafe { Box::from_raw(task.as_ptr()) };
            // Dropped by whoever it is: nobody else may be looking.
            task.body.replace(u32::MAX);
            drop(task);
            self.alive.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn release_own(&self, task: NonNull<Task>) {
        // SAFETY: alive by the reference that is given up.
        self.free_if(unsafe { task.as_ref() }.refs.release_own(), task);
    }

    pub(crate) fn settle(&self, task: NonNull<Task>, bound: isize) {
        // SAFETY: alive by the loop's reference.
        let refs = unsafe { &task.as_ref().refs };
        match refs.settle(bound) {
            Settled::Last => self.free_if(Released::Last, task),
            Settled::Alone => {}
            Settled::Shared => {
                refs.merge();
                self.free_if(refs.release(), task);
            }
        }
    }

    /// Takes in what was posted; how many wakes there were, and whether a cancel was among them.
    pub(crate) fn take_in(&self) -> (usize, bool) {
        let (mut wakes, mut asked) = (0, false);
        for node in self.inbox.take() {
            let (wake, ask) = self.arrive(node.cast());
            (wakes, asked) = (wakes + wake, asked || ask);
        }
        (wakes, asked)
    }

    pub(crate) fn arrive(&self, task: NonNull<Task>) -> (usize, bool) {
        // SAFETY: alive by the post's reference.
        let errand = unsafe { task.as_ref() }.refs.arrive();
        // A poll, which uses what is the owner's.
        // SAFETY: as above.
        let body = unsafe { &task.as_ref().body };
        body.set(body.get() + 1);
        self.release_own(task);
        (1, errand == Errand::Cancel)
    }
}

/// What a poll's waker gives.
pub(crate) fn clone_at_home(home: &Arc<Home>, task: NonNull<Task>) -> Away {
    // SAFETY: alive by the caller's reference.
    unsafe { task.as_ref() }.refs.add_own();
    Away { task, home: Arc::clone(home) }
}

impl Away {
    /// Of a reference that was counted.
    pub(crate) fn new(task: NonNull<Task>, home: &Arc<Home>) -> Away {
        Away { task, home: Arc::clone(home) }
    }

    pub(crate) fn task(&self) -> &Task {
        // SAFETY: alive by this reference.
        unsafe { self.task.as_ref() }
    }

    pub(crate) fn clone(&self) -> Away {
        self.task().refs.add();
        Away { task: self.task, home: Arc::clone(&self.home) }
    }

    pub(crate) fn drop(self) {
        self.home.free_if(self.task().refs.release(), self.task);
    }

    fn post(task: NonNull<Task>, home: &Home) {
        // SAFETY: the task has the right to post, and a reference for the inbox.
        if unsafe { home.inbox.push(task.cast(), || ()) }.is_err() {
            // SAFETY: alive by the reference that was not posted.
            home.free_if(unsafe { task.as_ref() }.refs.release(), task);
        }
    }

    pub(crate) fn wake(self) {
        if self.task().refs.send(Errand::Wake) {
            Self::post(self.task, &self.home);
        } else {
            self.drop();
        }
    }

    pub(crate) fn send_by_ref(&self, errand: Errand) {
        if self.task().refs.send(errand) {
            self.task().refs.add();
            Self::post(self.task, &self.home);
        }
    }
}

pub(crate) fn all_freed(home: &Home, others: Vec<JoinHandle<()>>) {
    for other in others {
        other.join().unwrap();
    }
    home.take_in();
    assert_eq!(home.alive.load(Ordering::Relaxed), 0, "a task was not freed");
}

pub(crate) fn dropped_elsewhere() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || away.drop());
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

pub(crate) fn cloned_elsewhere() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || {
        let second = away.clone();
        away.drop();
        second.drop();
    });
    // The handle goes first, the loop's reference last.
    home.release_own(task);
    home.settle(task, 0);
    all_freed(&home, vec![other]);
}

pub(crate) fn woken_by_value() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || away.wake());
    home.take_in();
    home.settle(task, 1);
    home.take_in();
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// Two wakes of one thread, of which the second may find the first under way: whoever polls after
/// it sees what was written before it.
pub(crate) fn woken_twice() {
    let home = Arc::new(Home::default());
    let written = Arc::new(loom::sync::atomic::AtomicU32::new(0));
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = {
        let written = Arc::clone(&written);
        thread::spawn(move || {
            written.store(1, Ordering::Relaxed);
            away.send_by_ref(Errand::Wake);
            written.store(2, Ordering::Relaxed);
            away.send_by_ref(Errand::Wake);
            away.drop();
        })
    };
    let mut seen = 0;
    while seen < 2 {
        // Polled only when woken: a wake that was lost is a loop without an end, which the checker
        // finds.
        if home.take_in().0 > 0 {
            seen = written.load(Ordering::Relaxed);
        }
        thread::yield_now();
    }
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

pub(crate) fn woken_and_asked() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let (waker, aborter) = (clone_at_home(&home, task), clone_at_home(&home, task));
    let others = vec![
        thread::spawn(move || waker.wake()),
        thread::spawn(move || {
            aborter.send_by_ref(Errand::Cancel);
            aborter.drop();
        }),
    ];
    let mut asked = home.take_in().1;
    for other in others {
        other.join().unwrap();
    }
    asked |= home.take_in().1;
    assert!(asked, "the request was lost");
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, Vec::new());
}

pub(crate) fn kept_beyond_the_end() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let (one, two) = (clone_at_home(&home, task), clone_at_home(&home, task));
    let others =
        vec![thread::spawn(move || one.drop()), thread::spawn(move || two.clone().drop_both(two))];
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, others);
}

impl Away {
    fn drop_both(self, other: Away) {
        self.drop();
        other.drop();
    }
}

pub(crate) fn woken_while_closing() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || {
        away.send_by_ref(Errand::Wake);
        away.wake();
    });
    for node in home.inbox.close() {
        home.arrive(node.cast());
    }
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

pub(crate) fn shared_when_over() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    home.settle(task, 1);
    // SAFETY: alive by the handle's reference.
    let refs = unsafe { &task.as_ref().refs };
    refs.merge();
    refs.add();
    let away = Away { task, home: Arc::clone(&home) };
    let other = thread::spawn(move || {
        away.send_by_ref(Errand::Cancel);
        away.drop();
    });
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// What `send` would be if it only looked where `QUEUED` is set.
pub(crate) fn mistake_redundant_wake() {
    let queued = Arc::new(AtomicIsize::new(1));
    let written = Arc::new(Cell::new(0));
    let other = {
        let (queued, written) = (Arc::clone(&queued), SendCell(Arc::clone(&written)));
        thread::spawn(move || {
            let written = written;
            written.0.set(1);
            if queued.load(Ordering::Acquire) == 0 {
                queued.store(1, Ordering::Release);
            }
        })
    };
    // A wake of somebody else's is under way: it is taken in, and the poll looks.
    queued.swap(0, Ordering::AcqRel);
    let _ = written.get();
    other.join().unwrap();
}

pub(crate) struct SendCell(pub(crate) Arc<Cell<u32>>);

// SAFETY: a mistake, for the checker to find.
unsafe impl Send for SendCell {}

/// A waker that looks at its task once more when it has posted it.
pub(crate) fn mistake_touch_after_post() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || {
        if away.task().refs.send(Errand::Wake) {
            Away::post(away.task, &away.home);
            away.task().body.get();
        } else {
            away.drop();
        }
    });
    home.take_in();
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// An end that gives up the loop's reference and leaves the parts apart.
pub(crate) fn mistake_no_merge() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = thread::spawn(move || away.drop());
    home.release_own(task);
    home.release_own(task);
    all_freed(&home, vec![other]);
}
