//! Who waits for whom, as far as a loop can tell of its own tasks.

use std::collections::HashMap;

use super::header::TaskRef;
use super::home::LocalHome;
use super::state::{HANDLE, ROOT};
use super::waker;
use crate::error::StuckTask;
use crate::ids::TaskId;

pub(crate) struct Waits {
    pub(crate) tasks: Vec<StuckTask>,
    /// Every waker of theirs is in the hands of one of them, or of what cannot leave this thread: nobody
    /// else can wake any.
    pub(crate) all_known: bool,
}

impl Waits {
    /// `timed` has a task for each of its wakers that a timer keeps.
    pub(crate) fn of(home: &LocalHome, timed: &[TaskId]) -> Self {
        let tasks = home.live_tasks();
        let mut awaited: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
        for task in &tasks {
            if let Some(waiter) = waiter(task, home) {
                awaited.entry(waiter).or_default().push(task.id());
            }
        }
        let mut timers: HashMap<TaskId, usize> = HashMap::new();
        for task in timed {
            *timers.entry(*task).or_default() += 1;
        }
        let mut all_known = true;
        let tasks = tasks.into_iter().map(|task| {
            let (head, awaits) = (task.head(), awaited.remove(&task.id()).unwrap_or_default());
            // The loop's reference, this one, the handle's, and that of each listener,
            let known = 2 + usize::from(head.has(HANDLE)) + task.listeners();
            // and a waker with each task it awaits, each timer, and whatever else of this thread.
            let wakers = awaits.len() + timers.get(&task.id()).unwrap_or(&0);
            let known = known + wakers + head.if_cold(|cold| cold.kept as usize).unwrap_or(0);
            all_known &= head.refs.count() == known;
            StuckTask {
                id: task.id(),
                name: task.info().name,
                spawned_at: head.spawned_at,
                is_main: head.has(ROOT),
                awaits,
            }
        });
        let tasks = tasks.collect();
        Waits { tasks, all_known }
    }
}

/// The task of this loop that awaits `task`, if it is one that does.
fn waiter(task: &TaskRef, home: &LocalHome) -> Option<TaskId> {
    let place = &task.head().waiter;
    let waker = place.take()?;
    let waiter = waker::task_of(&waker, home);
    place.set(Some(waker));
    waiter
}
