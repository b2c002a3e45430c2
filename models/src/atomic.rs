//! Takes the place of `loopbind-runtime/src/atomic.rs`.

use std::fmt;

pub(crate) use loom::sync::atomic::Ordering;

/// An atomic word whose loads the checker takes as seriously as its writes.
///
/// It remembers, of each word, the last access alone: a thread that loads and then writes hides from
/// it that another had loaded before, and orders of events are not tried. A second word, to which
/// every access writes, relaxed, and so orders nothing, brings them back.
#[derive(Debug, Default)]
struct Seen(loom::sync::atomic::AtomicUsize);

impl Seen {
    fn touch(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

macro_rules! word {
    ($name:ident, $of:ty, [$($generic:ident)?], $value:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name $(<$generic>)? {
            word: $of,
            seen: Seen,
        }

        #[allow(dead_code)]
        impl $(<$generic>)? $name $(<$generic>)? {
            pub(crate) fn new(value: $value) -> Self {
                $name { word: <$of>::new(value), seen: Seen::default() }
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.seen.touch();
                self.word.load(order)
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                self.seen.touch();
                self.word.store(value, order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                self.seen.touch();
                self.word.swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                known: $value,
                new: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.seen.touch();
                self.word.compare_exchange(known, new, order, failure)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                known: $value,
                new: $value,
                order: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.compare_exchange(known, new, order, failure)
            }
        }
    };
}

word!(AtomicPtr, loom::sync::atomic::AtomicPtr<T>, [T], *mut T);
word!(AtomicIsize, loom::sync::atomic::AtomicIsize, [], isize);

macro_rules! arithmetic {
    ($($name:ident)*) => {
        impl AtomicIsize {
            $(pub(crate) fn $name(&self, value: isize, order: Ordering) -> isize {
                self.seen.touch();
                self.word.$name(value, order)
            })*
        }
    };
}

arithmetic!(fetch_add fetch_sub fetch_or fetch_and);

/// A cell that is nobody's but its owner's: the checker finds out where two threads use one with
/// nothing that orders them.
pub(crate) struct Cell<T>(loom::cell::UnsafeCell<T>);

impl<T> Cell<T> {
    pub(crate) fn new(value: T) -> Self {
        Cell(loom::cell::UnsafeCell::new(value))
    }

    pub(crate) fn replace(&self, value: T) -> T {
        // SAFETY: nothing but the replacing happens inside, and the checker sees to it that nobody else
        // does so at the same time.
        self.0.with_mut(|cell| unsafe { std::mem::replace(&mut *cell, value) })
    }

    pub(crate) fn set(&self, value: T) {
        drop(self.replace(value));
    }
}

impl<T: Default> Cell<T> {
    pub(crate) fn take(&self) -> T {
        self.replace(T::default())
    }
}

impl<T: Copy> Cell<T> {
    pub(crate) fn get(&self) -> T {
        // SAFETY: as `replace`.
        self.0.with(|cell| unsafe { *cell })
    }
}

impl<T: Default> Default for Cell<T> {
    fn default() -> Self {
        Cell::new(T::default())
    }
}

impl<T: Copy + fmt::Debug> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}
