//! A value that one may change, or several may look at, for as long as they hold a guard; a guard keeps
//! the value where it is by a reference or by a share in what the value is part of.
//!
//! A `RefCell` in its bookkeeping: each guard is counted, and one that must not be is refused, whatever the
//! locks above believe. Who comes first is the locks' affair; that nobody looks while another changes is
//! this room's alone.
//!
//! The invariants the unsafe blocks are argued from:
//!
//! - KEPT: what a guard's keeper refers to neither moves nor goes while the guard lives, and nobody has it
//!   by `&mut`. A reference sees to that by its lifetime, an `Rc` by its count.
//! - COUNTED: `users` is `ONE` while there is an `Exclusive`, and the number of the `Shared` ones else. Both
//!   are made where `users` allows it, and not cloned; one that is leaked stays counted.

use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::rc::Rc;

/// `users` of a place that somebody has alone.
const ONE: usize = usize::MAX;

pub(super) struct Place<T: ?Sized> {
    users: Cell<usize>,
    value: UnsafeCell<T>,
}

impl<T> Place<T> {
    pub(super) const fn new(value: T) -> Self {
        Place { users: Cell::new(0), value: UnsafeCell::new(value) }
    }

    pub(super) fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Place<T> {
    /// Who has it by `&mut` has it alone: a guard that lives keeps it borrowed, or has a share in it.
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

/// What a place is part of.
pub(super) trait Holder<T: ?Sized> {
    fn place(&self) -> &Place<T>;

    /// The guard of who changed the value is gone, and no other is there.
    fn exclusive_gone(&self);

    /// One of the guards of those who looked is gone.
    fn shared_gone(&self) {}
}

/// A pointer to what is in no danger while the pointer lives.
///
/// # Safety
/// What it derefs to is the same each time, and KEPT for as long as this lives, also when this is moved.
pub(super) unsafe trait Keeper: Deref {}

// SAFETY: a shared reference.
unsafe impl<H> Keeper for &H where H: ?Sized {}

// SAFETY: a share in an allocation of its own; `Rc::get_mut` and the like refuse while there is another.
unsafe impl<H> Keeper for Rc<H> where H: ?Sized {}

/// The right to change the value.
pub(super) struct Exclusive<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    place: NonNull<Place<T>>,
    keeper: K,
}

/// The right to look at the value.
pub(super) struct Shared<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    place: NonNull<Place<T>>,
    keeper: K,
}

#[cold]
#[track_caller]
fn refused() -> ! {
    unreachable!("a lock let somebody in while the value was in use")
}

impl<K, T> Exclusive<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    #[inline]
    pub(super) fn take(keeper: K) -> Self {
        let place = keeper.place();
        if place.users.get() != 0 {
            refused();
        }
        place.users.set(ONE);
        Exclusive { place: NonNull::from(place), keeper }
    }

    #[inline]
    pub(super) fn keeper(&self) -> &K {
        &self.keeper
    }

    #[inline]
    fn place(&self) -> &Place<T> {
        // SAFETY: KEPT. `Holder::place` lends it for any lifetime in which the holder is borrowed.
        unsafe { self.place.as_ref() }
    }

    #[inline]
    pub(super) fn get(&self) -> &T {
        // SAFETY: COUNTED: nobody else has it, and nobody has this by `&mut`.
        unsafe { &*self.place().value.get() }
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: COUNTED: nobody else has it, and this is had by `&mut`.
        unsafe { &mut *self.place().value.get() }
    }

    /// Goes on looking. The holder is not told.
    pub(super) fn downgrade(self) -> Shared<K, T> {
        self.place().users.set(1);
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is not used again, not even dropped.
        let keeper = unsafe { ptr::read(&this.keeper) };
        Shared { place: this.place, keeper }
    }
}

impl<K, T> Shared<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    #[inline]
    pub(super) fn take(keeper: K) -> Self {
        let place = keeper.place();
        // One short of `ONE`, which is another thing.
        if place.users.get() >= ONE - 1 {
            refused();
        }
        place.users.set(place.users.get() + 1);
        Shared { place: NonNull::from(place), keeper }
    }

    #[inline]
    pub(super) fn keeper(&self) -> &K {
        &self.keeper
    }

    #[inline]
    fn place(&self) -> &Place<T> {
        // SAFETY: KEPT, as above.
        unsafe { self.place.as_ref() }
    }

    #[inline]
    pub(super) fn get(&self) -> &T {
        // SAFETY: COUNTED: while this lives nobody changes it.
        unsafe { &*self.place().value.get() }
    }
}

impl<K, T> Drop for Exclusive<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    #[inline]
    fn drop(&mut self) {
        self.place().users.set(0);
        self.keeper.exclusive_gone();
    }
}

impl<K, T> Drop for Shared<K, T>
where
    K: Keeper<Target: Holder<T>>,
    T: ?Sized,
{
    #[inline]
    fn drop(&mut self) {
        let users = &self.place().users;
        users.set(users.get() - 1);
        self.keeper.shared_gone();
    }
}

/// What guards do for those who have them: deref, and show the value as it would show itself.
macro_rules! shows_its_value {
    ($guard:ty) => {
        impl<T: ?Sized> std::ops::Deref for $guard {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                self.0.get()
            }
        }

        impl<T: ?Sized + std::fmt::Debug> std::fmt::Debug for $guard {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<T: ?Sized + std::fmt::Display> std::fmt::Display for $guard {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}

/// As `shows_its_value`, for those who may change it.
macro_rules! lends_its_value {
    ($guard:ty) => {
        shows_its_value!($guard);

        impl<T: ?Sized> std::ops::DerefMut for $guard {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                self.0.get_mut()
            }
        }
    };
}

pub(super) use {lends_its_value, shows_its_value};

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    /// A holder that lets everybody in.
    struct Careless<T: ?Sized> {
        gone: Cell<(u32, u32)>,
        place: Place<T>,
    }

    impl<T: ?Sized> Holder<T> for Careless<T> {
        fn place(&self) -> &Place<T> {
            &self.place
        }

        fn exclusive_gone(&self) {
            let (one, several) = self.gone.get();
            self.gone.set((one + 1, several));
        }

        fn shared_gone(&self) {
            let (one, several) = self.gone.get();
            self.gone.set((one, several + 1));
        }
    }

    fn careless(value: &str) -> Rc<Careless<String>> {
        Rc::new(Careless { gone: Cell::default(), place: Place::new(value.to_owned()) })
    }

    /// By the room itself, and not by an overflow that is checked in debug builds only.
    fn is_refused<R>(take: impl FnOnce() -> R) -> bool {
        let Err(thrown) = catch_unwind(AssertUnwindSafe(take)) else { return false };
        let text = thrown.downcast_ref::<&str>();
        text.is_some_and(|text| text.ends_with("let somebody in while the value was in use"))
    }

    /// Whatever the holder believes, nobody looks while another changes.
    #[test]
    fn one_or_several_whoever_is_let_in() {
        let holder = careless("tea");
        let mut one = Exclusive::take(&*holder);
        one.get_mut().push_str(" pot");
        assert_eq!(one.get(), "tea pot");
        assert!(is_refused(|| Exclusive::take(&*holder)));
        assert!(is_refused(|| Shared::take(Rc::clone(&holder))));
        let shared = one.downgrade();
        assert_eq!(holder.gone.get(), (0, 0));
        let other = Shared::take(Rc::clone(&holder));
        assert_eq!((shared.get(), other.get()), (&"tea pot".to_owned(), other.get()));
        assert!(is_refused(|| Exclusive::take(&*holder)));
        drop(shared);
        assert!(is_refused(|| Exclusive::take(&*holder)));
        drop(other);
        drop(Exclusive::take(Rc::clone(&holder)));
        assert_eq!((holder.gone.get(), Rc::strong_count(&holder)), ((1, 2), 1));
    }

    /// A guard with a share keeps the value, moved or not, when everybody else has gone.
    #[test]
    fn a_share_keeps_the_value() {
        let guard = Exclusive::take(careless("kept"));
        let boxed = Box::new(guard);
        assert_eq!(boxed.get(), "kept");
        let shared = boxed.downgrade();
        assert_eq!((shared.get().as_str(), Rc::strong_count(shared.keeper())), ("kept", 1));
    }

    /// A guard that is leaked stays counted.
    #[test]
    fn leaked_stays_counted() {
        let mut holder = Careless { gone: Cell::default(), place: Place::new(1) };
        std::mem::forget(Exclusive::take(&holder));
        assert!(is_refused(|| Shared::take(&holder)));
        *holder.place.get_mut() = 2;
        assert_eq!(holder.place.into_inner(), 2);
    }
}
