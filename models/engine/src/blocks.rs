//! Memory, with an eye on the blocks of the programs' tasks, which are known by their alignment, and on the names of
//! their loops, known by their length: how many there are, and whether one is given back twice. A task's block is
//! kept until the run is over and looked through, so that whoever still uses it finds nothing in it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicIsize, AtomicPtr, Ordering};
use std::{process, ptr};

/// Of every future and callback of the programs, and so of their blocks; of nothing else.
pub(crate) const ALIGN: usize = 64;

/// Of every loop's name, and of nothing else: a home has it, for as long as anybody has the home.
pub(crate) const NAME: usize = 4099;

pub(crate) struct Blocks;

static TASKS: AtomicIsize = AtomicIsize::new(0);
static NAMES: AtomicIsize = AtomicIsize::new(0);
static GIVEN_BACK: AtomicPtr<Label> = AtomicPtr::new(ptr::null_mut());

const IN_USE: usize = 0x1A5C_0BED;
const FREE: usize = 0xDEAD_0BED;

/// What a task's block has in front of it.
#[repr(C, align(64))]
struct Label {
    mark: usize,
    layout: Layout,
    next: *mut Label,
}

fn whole(layout: Layout) -> Layout {
    let size = layout.size() + size_of::<Label>();
    Layout::from_size_align(size, ALIGN).expect("a block, and little more")
}

// SAFETY: blocks are the system's; a task's is the system's behind a label of one alignment's size.
unsafe impl GlobalAlloc for Blocks {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if (layout.size(), layout.align()) == (NAME, 1) {
            NAMES.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises; the block is larger by the label, which is written before it is used.
        unsafe {
            if layout.align() != ALIGN {
                return System.alloc(layout);
            }
            let label = System.alloc(whole(layout)).cast::<Label>();
            if label.is_null() {
                return ptr::null_mut();
            }
            TASKS.fetch_add(1, Ordering::Relaxed);
            label.write(Label { mark: IN_USE, layout, next: ptr::null_mut() });
            label.add(1).cast()
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if (layout.size(), layout.align()) == (NAME, 1) {
            NAMES.fetch_sub(1, Ordering::Relaxed);
        }
        // SAFETY: from `alloc`, with this layout, so its label is in front of it, and there until `sweep`.
        unsafe {
            if layout.align() != ALIGN {
                return System.dealloc(block, layout);
            }
            let label = block.cast::<Label>().sub(1);
            if (*label).mark != IN_USE || (*label).layout != layout {
                eprintln!("a task's memory was given back twice");
                process::abort();
            }
            TASKS.fetch_sub(1, Ordering::Relaxed);
            block.write_bytes(0xDD, layout.size());
            (*label).mark = FREE;
            (*label).next = GIVEN_BACK.load(Ordering::Relaxed);
            GIVEN_BACK.store(label, Ordering::Relaxed);
        }
    }
}

/// How many blocks of tasks are in use, and how many names.
pub(crate) fn in_use() -> (isize, isize) {
    (TASKS.load(Ordering::Relaxed), NAMES.load(Ordering::Relaxed))
}

/// Looks through what was given back, and lets it go. False: somebody wrote there.
pub(crate) fn sweep() -> bool {
    let mut is_clean = true;
    let mut next = GIVEN_BACK.swap(ptr::null_mut(), Ordering::Relaxed);
    while !next.is_null() {
        // SAFETY: in the list, so given back and kept; nobody else has it.
        unsafe {
            let (label, layout) = (next, (*next).layout);
            let block = std::slice::from_raw_parts(label.add(1).cast::<u8>(), layout.size());
            is_clean &= block.iter().all(|&byte| byte == 0xDD);
            next = (*label).next;
            System.dealloc(label.cast(), whole(layout));
        }
    }
    is_clean
}
