//! What a process has: descriptors, threads, children. Closed where it was opened.

use std::fs;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use loopbind::process::Command;

use crate::support::open_descriptors;

#[derive(Debug)]
pub(crate) struct Books {
    descriptors: usize,
    threads: usize,
    children: Vec<String>,
}

/// Those that stay for others to use: the pool's, the watcher of driven loops, the reader of standard input.
fn is_kept(name: &str) -> bool {
    let name = name.trim();
    let numbered =
        name.strip_prefix("loopbind_").is_some_and(|number| number.parse::<u32>().is_ok());
    numbered || name == "loopbind-watcher" || name == "loopbind-stdin"
}

fn count() -> Books {
    let (mut threads, mut children) = (0, Vec::new());
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        // It may be gone by now.
        let name = fs::read_to_string(task.join("comm"));
        if name.is_ok_and(|name| !is_kept(&name)) {
            threads += 1;
        }
        if let Ok(list) = fs::read_to_string(task.join("children")) {
            children.extend(list.split_whitespace().map(str::to_owned));
        }
    }
    Books { descriptors: open_descriptors(), threads, children }
}

impl Books {
    /// Of a process in which nothing else happens, and that has no children.
    pub(crate) fn open() -> Self {
        count()
    }

    /// Whether nothing is left, at this moment.
    pub(crate) fn are_closed(&self) -> bool {
        let now = count();
        now.descriptors <= self.descriptors
            && now.threads <= self.threads
            && now.children.is_empty()
    }

    /// Nothing was left. A thread that was joined, or a child that was killed, may take a moment to be
    /// gone from the system's tables.
    #[track_caller]
    pub(crate) fn assert_closed(&self, what: &str) {
        let begun = Instant::now();
        while !self.are_closed() {
            let late = begun.elapsed() > Duration::from_secs(5);
            assert!(!late, "{what}: {self:?} before, {:?} now", count());
            if !count().children.is_empty() {
                // One that was dropped while no loop watched it: whoever has to do with children reaps.
                loopbind::run(async { Command::new("true").status().await }).unwrap().unwrap();
            }
            thread::yield_now();
        }
    }

    /// The same, where something of earlier may be on its way out still: from now on that is gone, too.
    #[track_caller]
    pub(crate) fn close(&mut self, what: &str) {
        self.assert_closed(what);
        let now = count();
        self.descriptors = self.descriptors.min(now.descriptors);
        self.threads = self.threads.min(now.threads);
    }
}

/// The error is the system's, and says so in the end.
#[track_caller]
pub(crate) fn assert_is(error: &io::Error, errno: i32) {
    let wanted = io::Error::from_raw_os_error(errno);
    assert_eq!(error.kind(), wanted.kind(), "{error}");
    // Where it was given a better text, the kind is what is left of it.
    if let Some(code) = error.raw_os_error() {
        assert_eq!(code, errno);
    }
    assert!(!error.to_string().is_empty());
}
