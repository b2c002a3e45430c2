//! What is counted: what was done, and what the process has.

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// What was done, by any thread.
pub(crate) struct Done {
    name: &'static str,
    count: AtomicU64,
}

impl Done {
    const fn new(name: &'static str) -> Self {
        Done { name, count: AtomicU64::new(0) }
    }

    pub(crate) fn add(&self, count: u64) {
        self.count.fetch_add(count, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

pub(crate) static ROUNDS: Done = Done::new("rounds");
pub(crate) static LOOPS: Done = Done::new("loops made and closed");
pub(crate) static TASKS: Done = Done::new("tasks that came to their end");
pub(crate) static CANCELLED: Done = Done::new("tasks cancelled or aborted");
pub(crate) static PANICS: Done = Done::new("panics that somebody was told of");
pub(crate) static CALLBACKS: Done = Done::new("callbacks");
pub(crate) static TIMERS: Done = Done::new("timers that fired");
pub(crate) static TAKEN_BACK: Done = Done::new("timers and callbacks taken back");
pub(crate) static MESSAGES: Done = Done::new("messages through channels and queues");
pub(crate) static POSTS: Done = Done::new("posts from other threads");
pub(crate) static JOBS: Done = Done::new("blocking jobs");
pub(crate) static THREADS: Done = Done::new("threads with a loop");
pub(crate) static CONNECTIONS: Done = Done::new("connections");
pub(crate) static DATAGRAMS: Done = Done::new("datagrams");
pub(crate) static CHILDREN: Done = Done::new("child processes");

pub(crate) static ALL: [&Done; 15] = [
    &ROUNDS,
    &LOOPS,
    &TASKS,
    &CANCELLED,
    &PANICS,
    &CALLBACKS,
    &TIMERS,
    &TAKEN_BACK,
    &MESSAGES,
    &POSTS,
    &JOBS,
    &THREADS,
    &CONNECTIONS,
    &DATAGRAMS,
    &CHILDREN,
];

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>12}  {}", self.count(), self.name)
    }
}

/// Counts what was asked for and not given back.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the process has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Holdings {
    pub(crate) descriptors: usize,
    pub(crate) threads: usize,
    pub(crate) children: usize,
    /// Asked of the allocator, and not given back.
    pub(crate) bytes: usize,
    /// Had of the system.
    pub(crate) resident: usize,
}

impl Holdings {
    pub(crate) fn now() -> Self {
        // Before what follows takes some.
        let bytes = BYTES.load(Ordering::Relaxed);
        let entries = |folder: &str| fs::read_dir(folder).map_or(0, Iterator::count);
        let children = |thread: fs::DirEntry| {
            let text = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            text.split_whitespace().count()
        };
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok());
        Holdings {
            // One of them is the one that looks.
            descriptors: entries("/proc/self/fd") - 1,
            children: threads.map(children).sum(),
            threads: entries("/proc/self/task"),
            bytes,
            resident: pages.unwrap_or(0) * 4096,
        }
    }
}

impl fmt::Display for Holdings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} descriptors, {} threads, {} children, {} KiB allocated, {} KiB resident",
            self.descriptors,
            self.threads,
            self.children,
            self.bytes / 1024,
            self.resident / 1024
        )
    }
}
