//! A loop keeps the memory of tasks that are over for those that come, and gives it back when it rests.

// Every task by itself, for tools that watch the allocator: then there is nothing to see here.
#![cfg(not(feature = "plain-allocation"))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use loopbind::{EventLoop, sleep, spawn};

/// Counts what each thread asks for and has: tests run beside each other.
struct Counting;

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; the counters are plain cells, which need no
// allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        BYTES.set(BYTES.get() + layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BYTES.set(BYTES.get() - layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const BURST: usize = 10_000;

/// Starts them all, and awaits them all. The list is the caller's, so that only tasks are counted.
async fn burst(tasks: &mut Vec<loopbind::Task<usize>>) {
    tasks.extend((0..BURST).map(|number| spawn(async move { number })));
    for task in tasks.drain(..) {
        task.await.unwrap();
    }
}

#[test]
fn a_burst_that_was_there_before_asks_for_nothing() {
    let event_loop = EventLoop::new().unwrap();
    let mut tasks = Vec::with_capacity(BURST);
    event_loop
        .run_until_complete(async {
            burst(&mut tasks).await;
            burst(&mut tasks).await;
            let before = ASKED.get();
            burst(&mut tasks).await;
            assert_eq!(ASKED.get() - before, 0);
        })
        .unwrap();
}

#[test]
fn what_a_burst_took_goes_back_as_the_loop_rests() {
    let event_loop = EventLoop::new().unwrap();
    let mut tasks = Vec::with_capacity(BURST);
    event_loop
        .run_until_complete(async {
            let before = BYTES.get();
            burst(&mut tasks).await;
            let kept = BYTES.get() - before;
            assert!(kept > BURST as isize * 100, "{kept} bytes are kept for the next one");
            // One that is due before it is waited for is no rest.
            let left = || BYTES.get() - before;
            for _ in 0..10_000 {
                if left() < kept / 50 {
                    break;
                }
                sleep(Duration::from_micros(1)).await;
            }
            let left = left();
            assert!(left < kept / 50, "{left} bytes of {kept} are left");
        })
        .unwrap();
}
