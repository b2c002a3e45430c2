//! Where the memory of tasks comes from, and goes to.
//!
//! A loop keeps the blocks of tasks that are over, by size, for those that come: a program that
//! starts and ends tasks all day asks the allocator for nothing. Blocks are the allocator's own, one
//! by one, so that whoever lets go of a task last, on any thread and after the loop as well, can give
//! its block back. Each time the loop rests it gives up some of what it had no use for since it last did.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::ptr::NonNull;

/// Sizes are rounded up to multiples of this, and blocks are aligned to half of it at least.
const STEP: usize = 32;
const CLASSES: usize = 32;
const ALIGN: usize = 16;

/// What is kept of each size whatever happens: a program between two bursts is no program at rest.
const KEPT: u32 = 64;

/// What is given up at a time, and which part of what is idle if that is more: little, before a sleep that
/// somebody may be about to end, and all of a burst by and by.
const GIVEN_UP: u32 = 256;
const PART_GIVEN_UP: u32 = 64;

/// A block nobody uses, linked to the next.
struct Spare {
    next: Option<NonNull<Spare>>,
}

#[derive(Default)]
struct Class {
    first: Cell<Option<NonNull<Spare>>>,
    len: Cell<u32>,
    /// The least `len` since the loop rested: so many were of no use.
    idle: Cell<u32>,
}

/// The blocks that wait for their next task. The owner's thread alone uses it.
#[derive(Default)]
pub(super) struct Spares {
    classes: [Class; CLASSES],
}

/// The block for a cell of type `C`, and which class keeps it, if one does.
struct Block<C>(std::marker::PhantomData<C>);

impl<C> Block<C> {
    const CLASS: Option<usize> = {
        let layout = Layout::new::<C>();
        let class = layout.size().div_ceil(STEP);
        if cfg!(feature = "plain-allocation") || layout.align() > ALIGN || class >= CLASSES {
            None
        } else {
            Some(class)
        }
    };
    const LAYOUT: Layout = match Self::CLASS {
        Some(class) => class_layout(class),
        None => Layout::new::<C>(),
    };
}

const fn class_layout(class: usize) -> Layout {
    match Layout::from_size_align(class * STEP, ALIGN) {
        Ok(layout) => layout,
        Err(_) => panic!("a small multiple of a power of two"),
    }
}

impl Spares {
    /// A block for a `C`, uninitialised: one of a task that is over, or a new one.
    #[inline]
    pub(super) fn take<C>(&self) -> NonNull<C> {
        if let Some(class) = Block::<C>::CLASS {
            let class = &self.classes[class];
            if let Some(spare) = class.first.get() {
                // SAFETY: what is in the list is a block of this class that nobody else has, and
                // begins with a `Spare`.
                class.first.set(unsafe { spare.as_ref().next });
                let len = class.len.get() - 1;
                class.len.set(len);
                if len < class.idle.get() {
                    class.idle.set(len);
                }
                return spare.cast();
            }
        }
        allocate()
    }

    /// Keeps the block of a `C` that is over.
    ///
    /// # Safety
    /// The block came from `take` or [`allocate`] for the same `C`, of whatever thread; its value was
    /// dropped, and nobody else has it.
    #[inline]
    pub(super) unsafe fn give<C>(&self, block: NonNull<C>) {
        let Some(class) = Block::<C>::CLASS else {
            // SAFETY: by the contract.
            return unsafe { free(block) };
        };
        let class = &self.classes[class];
        let spare = block.cast::<Spare>();
        // SAFETY: a block of this class has room for a `Spare`, aligned; nobody else has it.
        unsafe { spare.write(Spare { next: class.first.get() }) };
        class.first.set(Some(spare));
        class.len.set(class.len.get() + 1);
    }

    /// The loop is about to rest: gives up some of what was of no use since it last did.
    pub(super) fn trim(&self) {
        for (class, spares) in self.classes.iter().enumerate() {
            let idle = spares.idle.replace(spares.len.get());
            if idle > KEPT {
                spares.shrink(class, (idle / 2).min(GIVEN_UP.max(idle / PART_GIVEN_UP)));
                spares.idle.set(spares.len.get());
            }
        }
    }

    /// Gives up everything.
    pub(super) fn clear(&self) {
        for (class, spares) in self.classes.iter().enumerate() {
            spares.shrink(class, spares.len.get());
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Class {
    fn shrink(&self, class: usize, count: u32) {
        for _ in 0..count {
            let Some(spare) = self.first.get() else { return };
            // SAFETY: what is in the list is a block of this class that nobody else has, and begins
            // with a `Spare`. It is out of the list before it goes.
            unsafe {
                self.first.set(spare.as_ref().next);
                self.len.set(self.len.get() - 1);
                dealloc(spare.as_ptr().cast(), class_layout(class));
            }
        }
    }
}

/// A new block for a `C`, uninitialised, on any thread.
#[cold]
#[inline(never)]
pub(super) fn allocate<C>() -> NonNull<C> {
    let layout = Block::<C>::LAYOUT;
    assert!(layout.size() > 0, "a cell has a header");
    // SAFETY: the size is not zero.
    let block = unsafe { alloc(layout) };
    match NonNull::new(block.cast()) {
        Some(block) => block,
        None => handle_alloc_error(layout),
    }
}

/// Gives a block back, on any thread.
///
/// # Safety
/// As [`Spares::give`].
pub(super) unsafe fn free<C>(block: NonNull<C>) {
    // SAFETY: allocated with this layout, by the contract.
    unsafe { dealloc(block.as_ptr().cast(), Block::<C>::LAYOUT) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "plain-allocation"))]
    type Cell200 = [u64; 25];

    #[test]
    #[cfg(not(feature = "plain-allocation"))]
    fn the_last_one_in_is_the_first_one_out() {
        let spares = Spares::default();
        let blocks: Vec<NonNull<Cell200>> = (0..3).map(|_| spares.take()).collect();
        for block in &blocks {
            // SAFETY: taken for this type, and not used.
            unsafe { spares.give(*block) };
        }
        let again: Vec<NonNull<Cell200>> = (0..3).map(|_| spares.take()).collect();
        assert!(again.iter().eq(blocks.iter().rev()));
        // Of the same class, and another type.
        let other: NonNull<[u64; 28]> = {
            // SAFETY: as above.
            unsafe { spares.give(again[0]) };
            spares.take()
        };
        assert_eq!(other.cast(), again[0]);
        // SAFETY: as above.
        unsafe {
            spares.give(other);
            spares.give(again[1]);
            spares.give(again[2]);
        }
    }

    #[test]
    #[cfg(not(feature = "plain-allocation"))]
    fn a_burst_is_given_back_by_and_by_and_what_is_in_use_stays() {
        let spares = Spares::default();
        let blocks: Vec<NonNull<Cell200>> = (0..1000).map(|_| spares.take()).collect();
        let class = &spares.classes[Block::<Cell200>::CLASS.unwrap()];
        for block in blocks {
            // SAFETY: taken for this type, and not used.
            unsafe { spares.give(block) };
        }
        spares.trim();
        assert_eq!(class.len.get(), 1000, "they were all in use since the last rest");
        spares.trim();
        assert_eq!(class.len.get(), 744);
        // In use again, all but a hundred of them.
        let blocks: Vec<NonNull<Cell200>> = (0..644).map(|_| spares.take()).collect();
        for block in blocks {
            // SAFETY: as above.
            unsafe { spares.give(block) };
        }
        spares.trim();
        assert_eq!(class.len.get(), 694);
        for _ in 0..20 {
            spares.trim();
        }
        assert!(class.len.get() <= KEPT, "{} are left", class.len.get());
    }

    #[test]
    fn what_is_large_or_aligned_is_the_allocators() {
        #[repr(align(64))]
        struct Aligned(#[expect(dead_code)] [u8; 64]);
        assert!(Block::<Aligned>::CLASS.is_none() && Block::<[u64; 1000]>::CLASS.is_none());
        let spares = Spares::default();
        let block: NonNull<Aligned> = spares.take();
        assert!(block.as_ptr().is_aligned());
        // SAFETY: taken for this type, and not used.
        unsafe { spares.give(block) };
    }
}
