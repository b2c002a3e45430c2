//! What keeps a home there for those who have a task: `task/anchor.rs`, `task/custody.rs` and the end of
//! `task/raw.rs`, in a few lines, over `refs.rs` and `inbox.rs` as they stand.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;

use crate::atomic::{AtomicIsize, Cell, Ordering};
use crate::inbox::Inbox;
use crate::ready::Node;
use crate::refs::{Errand, Refs, Released, Settled};

struct Home {
    inbox: Inbox,
    /// Of an `Arc`.
    shares: AtomicIsize,
    pins: Cell<isize>,
    is_over: Cell<bool>,
    /// Stands for all that a home is.
    body: Cell<u32>,
    freed: Arc<AtomicIsize>,
}

#[repr(C)]
struct Task {
    node: Node,
    refs: Refs,
    keeps: Cell<bool>,
    home: NonNull<Home>,
}

/// A reference to a task, on any thread.
struct Away(NonNull<Task>);

// SAFETY: what the models have of it on several threads is what the runtime has; the checker looks on.
unsafe impl Send for Away {}

impl Home {
    fn new(freed: &Arc<AtomicIsize>) -> NonNull<Home> {
        let home = Home {
            inbox: Inbox::default(),
            shares: AtomicIsize::new(1),
            pins: Cell::new(0),
            is_over: Cell::new(false),
            body: Cell::new(0),
            freed: Arc::clone(freed),
        };
        NonNull::from(Box::leak(Box::new(home)))
    }

    fn share(&self) {
        self.shares.fetch_add(1, Ordering::Relaxed);
    }

    /// Any thread, with a share.
    unsafe fn drop_share(home: NonNull<Home>) {
        // SAFETY: there by the share; the last frees.
        unsafe {
            if home.as_ref().shares.fetch_sub(1, Ordering::AcqRel) == 1 {
                let home = Box::from_raw(home.as_ptr());
                // Nobody else may be inside.
                home.body.replace(u32::MAX);
                home.freed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A task with these references, of the loop's and of the handle's.
    fn spawn(home: NonNull<Home>, count: i32) -> NonNull<Task> {
        // SAFETY: there.
        let pins = unsafe { &home.as_ref().pins };
        pins.set(pins.get() + 1);
        let (node, keeps) = (Node::default(), Cell::new(false));
        let task = Task { node, refs: Refs::new(count), keeps, home };
        NonNull::from(Box::leak(Box::new(task)))
    }

    /// `lift_anchors`, and the engine's share.
    unsafe fn goes(home: NonNull<Home>) {
        // SAFETY: there by the engine's share.
        unsafe {
            home.as_ref().is_over.set(true);
            for _ in 0..home.as_ref().pins.replace(0) {
                home.as_ref().share();
            }
            Home::drop_share(home);
        }
    }

    unsafe fn close(home: NonNull<Home>) {
        // SAFETY: there by the engine's share.
        for node in unsafe { home.as_ref().inbox.close() } {
            let task = node.cast::<Task>();
            // SAFETY: alive by the post's reference, on the owner's thread.
            unsafe {
                task.as_ref().refs.arrive();
                free_if(task.as_ref().refs.release_own(), task);
            }
        }
    }
}

unsafe fn keep(task: &Task) {
    if task.keeps.get() {
        return;
    }
    // SAFETY: there, and on the owner's thread.
    let home = unsafe { task.home.as_ref() };
    if !home.is_over.get() {
        home.pins.set(home.pins.get() - 1);
        home.share();
    }
    task.keeps.set(true);
}

unsafe fn free_if(released: Released, task: NonNull<Task>) {
    if released == Released::Not {
        return;
    }
    // SAFETY: the last reference is gone.
    unsafe {
        let task = Box::from_raw(task.as_ptr());
        let (home, keeps) = (task.home, task.keeps.get());
        drop(task);
        if !keeps {
            let pins = &home.as_ref().pins;
            if !home.as_ref().is_over.get() {
                return pins.set(pins.get() - 1);
            }
        }
        Home::drop_share(home);
    }
}

/// In which order a task that others have is made fit for them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    KeepThenMerge,
    MergeThenKeep,
}

unsafe fn settle(task: NonNull<Task>, bound: isize, order: Order) {
    // SAFETY: alive by the loop's reference, on the owner's thread.
    unsafe {
        let refs = &task.as_ref().refs;
        match refs.settle(bound) {
            Settled::Last => free_if(Released::Last, task),
            Settled::Alone => {}
            Settled::Shared if order == Order::KeepThenMerge => {
                keep(task.as_ref());
                refs.merge();
                free_if(refs.release(), task);
            }
            Settled::Shared => {
                refs.merge();
                free_if(refs.release(), task);
                keep(task.as_ref());
            }
        }
    }
}

impl Away {
    fn of(task: NonNull<Task>) -> Self {
        // SAFETY: alive by the caller's reference.
        unsafe { task.as_ref() }.refs.add_own();
        Away(task)
    }

    fn wake(self) {
        // SAFETY: alive by this reference; its home is there with it.
        unsafe {
            if self.0.as_ref().refs.send(Errand::Wake) {
                let home = self.0.as_ref().home.as_ptr();
                // As `Home::post`, which looks whether the home is deaf.
                (*home).body.get();
                if (*home).inbox.push(self.0.cast(), || ()).is_ok() {
                    return;
                }
            }
            free_if(self.0.as_ref().refs.release(), self.0);
        }
    }

    fn drop(self) {
        // SAFETY: alive by this reference.
        unsafe { free_if(self.0.as_ref().refs.release(), self.0) }
    }
}

fn gone(freed: &AtomicIsize, others: Vec<thread::JoinHandle<()>>) {
    for other in others {
        other.join().unwrap();
    }
    assert_eq!(freed.load(Ordering::Relaxed), 1, "the home was not freed");
}

/// Woken while the loop closes and goes, with everything of it.
pub(crate) fn woken_while_the_home_goes() {
    let freed = Arc::new(AtomicIsize::new(0));
    let home = Home::new(&freed);
    let task = Home::spawn(home, 1);
    let away = Away::of(task);
    let other = thread::spawn(move || away.wake());
    // SAFETY: on the owner's thread, in the order of a close.
    unsafe {
        Home::close(home);
        settle(task, 0, Order::KeepThenMerge);
        Home::goes(home);
    }
    gone(&freed, vec![other]);
}

/// The handle and a hand elsewhere outlive the loop, and go in any order.
pub(crate) fn kept_beyond_the_home() {
    let freed = Arc::new(AtomicIsize::new(0));
    let home = Home::new(&freed);
    let (alone, task) = (Home::spawn(home, 2), Home::spawn(home, 2));
    let away = Away::of(task);
    let other = thread::spawn(move || away.drop());
    // SAFETY: on the owner's thread, in the order of a close; the handles' references go last.
    unsafe {
        settle(alone, 1, Order::KeepThenMerge);
        settle(task, 1, Order::KeepThenMerge);
        Home::goes(home);
        free_if(task.as_ref().refs.release_own(), task);
        free_if(alone.as_ref().refs.release_own(), alone);
    }
    gone(&freed, vec![other]);
}

/// A task that is handed over before it keeps its home.
pub(crate) fn mistake_merge_then_keep() {
    let freed = Arc::new(AtomicIsize::new(0));
    let home = Home::new(&freed);
    let task = Home::spawn(home, 2);
    let away = Away::of(task);
    let other = thread::spawn(move || away.drop());
    // SAFETY: a mistake, for the checker to find.
    unsafe {
        free_if(task.as_ref().refs.release_own(), task);
        settle(task, 0, Order::MergeThenKeep);
        Home::goes(home);
    }
    gone(&freed, vec![other]);
}
