//! What other threads see of a task's end, and what its owner concludes from the count: `refs.rs`, as
//! `task/header.rs`, `task/waits.rs` and `task/birth.rs` use it.

use loom::sync::Arc;
use loom::thread;

use crate::atomic::Cell;
use crate::refs::Errand;
use crate::tasks::{Away, Home, SendCell, all_freed, clone_at_home};

/// A hand on a task that runs, for another thread: `TaskRef::remote`.
fn remote(home: &Arc<Home>, task: std::ptr::NonNull<crate::tasks::Task>) -> Away {
    // SAFETY: alive by the caller's reference.
    unsafe { task.as_ref() }.refs.add();
    Away::new(task, home)
}

/// Who is told that a task is over sees what its future's destructor did.
pub(crate) fn the_end_is_seen() {
    let (home, dropped) = (Arc::new(Home::default()), Arc::new(Cell::new(0)));
    let task = home.spawn();
    let away = remote(&home, task);
    let other = {
        let dropped = SendCell(Arc::clone(&dropped));
        thread::spawn(move || {
            let dropped = dropped;
            while !away.task().refs.is_over() {
                thread::yield_now();
            }
            assert_eq!(dropped.0.get(), 1);
            away.drop();
        })
    };
    dropped.set(1);
    // SAFETY: alive by the loop's reference.
    unsafe { task.as_ref() }.refs.end();
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// Somebody aborts, while the task ends by itself.
pub(crate) fn aborted_while_it_ends() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = remote(&home, task);
    let other = thread::spawn(move || {
        if !away.task().refs.is_over() {
            away.send_by_ref(Errand::Abort);
        }
        away.drop();
    });
    home.take_in();
    // SAFETY: alive by the loop's reference.
    unsafe { task.as_ref() }.refs.end();
    home.settle(task, 1);
    home.take_in();
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// Two that wake, while the loop closes and ends the task.
pub(crate) fn two_wake_while_closing() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let (one, two) = (clone_at_home(&home, task), clone_at_home(&home, task));
    let others = vec![thread::spawn(move || one.wake()), thread::spawn(move || two.wake())];
    for node in home.inbox.close() {
        home.arrive(node.cast());
    }
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, others);
}

/// Where the owner counts no references but those it knows of, nobody else will wake the task any more,
/// and what others wrote before they let go is seen: a loop that is given up for dead is dead.
pub(crate) fn none_is_counted_that_may_wake() {
    let (home, written) = (Arc::new(Home::default()), Arc::new(Cell::new(0)));
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    let other = {
        let written = SendCell(Arc::clone(&written));
        thread::spawn(move || {
            let written = written;
            let second = away.clone();
            away.drop();
            written.0.set(1);
            second.wake();
        })
    };
    // The loop's, and the handle's.
    // SAFETY: alive by the loop's reference.
    while unsafe { task.as_ref() }.refs.count() != 2 {
        home.take_in();
        thread::yield_now();
    }
    assert_eq!(written.get(), 1);
    assert_eq!(home.take_in().0, 0, "woken after all");
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// The entry of a main future that is over serves again where the owner's is the only reference: nobody
/// else is inside it by then.
pub(crate) fn alone_it_serves_again() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    // It has no handle.
    home.release_own(task);
    let other = thread::spawn(move || {
        away.task().body.get();
        away.wake();
    });
    home.take_in();
    // SAFETY: alive by the loop's reference.
    let task_ref = unsafe { task.as_ref() };
    if task_ref.refs.is_unique() {
        // What the next run writes.
        task_ref.body.set(7);
    }
    home.settle(task, 0);
    all_freed(&home, vec![other]);
}

/// Two hands on a task that is over: one was there before it was shared, and one came of that.
pub(crate) fn shared_twice_when_over() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let waker = clone_at_home(&home, task);
    let one = thread::spawn(move || waker.wake());
    home.settle(task, 1);
    // SAFETY: alive by the handle's reference.
    let refs = unsafe { &task.as_ref().refs };
    refs.merge();
    refs.add();
    let away = Away::new(task, &home);
    let two = thread::spawn(move || {
        away.clone().drop();
        away.send_by_ref(Errand::Cancel);
        away.drop();
    });
    home.release_own(task);
    all_freed(&home, vec![one, two]);
}

/// An end that is shown before the future is dropped.
pub(crate) fn mistake_end_before_drop() {
    let (home, dropped) = (Arc::new(Home::default()), Arc::new(Cell::new(0)));
    let task = home.spawn();
    let away = remote(&home, task);
    let other = {
        let dropped = SendCell(Arc::clone(&dropped));
        thread::spawn(move || {
            let dropped = dropped;
            if away.task().refs.is_over() {
                dropped.0.get();
            }
            away.drop();
        })
    };
    // SAFETY: alive by the loop's reference.
    unsafe { task.as_ref() }.refs.end();
    dropped.set(1);
    home.settle(task, 1);
    home.release_own(task);
    all_freed(&home, vec![other]);
}

/// An entry that serves again while somebody else has it.
pub(crate) fn mistake_serves_again() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    let away = clone_at_home(&home, task);
    home.release_own(task);
    let other = thread::spawn(move || {
        away.task().body.get();
        away.drop();
    });
    // SAFETY: alive by the loop's reference.
    let task_ref = unsafe { task.as_ref() };
    if task_ref.refs.count() <= 2 {
        task_ref.body.set(7);
    }
    home.settle(task, 0);
    all_freed(&home, vec![other]);
}

/// A task that is over and is handed on as if it were not: the parts stay apart.
pub(crate) fn mistake_shared_apart() {
    let home = Arc::new(Home::default());
    let task = home.spawn();
    home.settle(task, 1);
    let away = remote(&home, task);
    let other = thread::spawn(move || away.drop());
    home.release_own(task);
    all_freed(&home, vec![other]);
}
