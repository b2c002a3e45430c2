//! A reference to a task that is kept for as long as the task lives, and is counted where it matters: see
//! `sync::Tally`.

use super::header::TaskRef;
use crate::sync::is_counting;

pub(crate) struct KeptTask {
    task: TaskRef,
    counted: bool,
}

impl KeptTask {
    pub(crate) fn new(task: TaskRef) -> Self {
        let counted = is_counting();
        if counted {
            task.head().with_cold(|cold| cold.kept = cold.kept.wrapping_add(1));
        }
        KeptTask { task, counted }
    }

    pub(crate) fn task(&self) -> TaskRef {
        self.task.clone()
    }
}

impl Drop for KeptTask {
    fn drop(&mut self) {
        if self.counted {
            self.task.head().with_cold(|cold| cold.kept = cold.kept.wrapping_sub(1));
        }
    }
}
