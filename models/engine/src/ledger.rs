//! What a run must come to: who was made and who went, where, in which order, and what is left.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use model_std::thread::{ThreadId, current};
use shuttle::scheduler::{Schedule, Scheduler, Task, TaskId};

use crate::blocks;

/// The real ones: nothing is picked by whoever looks here.
static WRONG: Mutex<Option<String>> = Mutex::new(None);
static THERE: Mutex<BTreeMap<usize, ThreadId>> = Mutex::new(BTreeMap::new());
static NEXT: AtomicUsize = AtomicUsize::new(0);
static OPERATIONS: AtomicUsize = AtomicUsize::new(0);

/// One more that threads did to each other.
pub(crate) fn operation() {
    OPERATIONS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn operations() -> usize {
    OPERATIONS.load(Ordering::Relaxed)
}

/// What is wrong is told as the run ends: a panic may be caught by whom it is about.
pub(crate) fn check(holds: bool, what: &str) {
    if !holds {
        eprintln!("wrong: {what}");
        WRONG.lock().expect("no panic").get_or_insert(what.to_owned());
    }
}

/// Something that is dropped once, on the thread that made it. Aligned as nothing else is: so is what it is in.
#[repr(align(64))]
pub(crate) struct Tracked {
    number: usize,
    elsewhere: Option<ThreadId>,
}

const _: () = assert!(align_of::<Tracked>() == blocks::ALIGN);

impl Tracked {
    pub(crate) fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        THERE.lock().expect("no panic").insert(number, current().id());
        Tracked { number, elsewhere: None }
    }

    /// One that is sent to another thread, and dropped there, or here, where it is refused.
    pub(crate) fn sent_to(thread: ThreadId) -> Self {
        let mut tracked = Tracked::new();
        tracked.elsewhere = Some(thread);
        tracked
    }

    pub(crate) fn number(&self) -> usize {
        self.number
    }
}

pub(crate) fn is_there(number: usize) -> bool {
    THERE.lock().expect("no panic").contains_key(&number)
}

impl Drop for Tracked {
    fn drop(&mut self) {
        let made_on = THERE.lock().expect("no panic").remove(&self.number);
        check(made_on.is_some(), "a future is dropped twice");
        let here = current().id();
        let at_home = made_on == Some(here) || self.elsewhere == Some(here);
        check(at_home, "a future is dropped on another thread than its loop's");
    }
}

/// Between two runs, what is left of the one that was.
fn close() {
    let (tasks, names) = blocks::in_use();
    let left = THERE.lock().expect("no panic").len();
    check(left == 0, &format!("{left} futures were not dropped"));
    check(tasks == 0, &format!("the blocks of {tasks} tasks were not given back"));
    check(names == 0, &format!("{names} homes are left"));
    check(blocks::sweep(), "a task was used after its end");
    let wrong = WRONG.lock().expect("no panic").take();
    assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
}

/// A scheduler that has each run looked through as it is over.
pub(crate) struct Closing<S>(pub(crate) S);

impl<S: Scheduler> Scheduler for Closing<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        close();
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        able: &[&Task],
        current: Option<TaskId>,
        yields: bool,
    ) -> Option<TaskId> {
        self.0.next_task(able, current, yields)
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}
