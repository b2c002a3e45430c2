//! What a context is: values by variable, at a place of their own.
//!
//! A copy is one pointer: two places share what they have until one of them changes it. Which place is
//! the current one is another matter, and another room: `task::context`.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::ptr;
use std::rc::Rc;

use crate::panic::{PanicPayload, caught};

/// A value behind a pointer: it goes out by a clone of that, and code of the user's runs outside.
pub(crate) type Value = Rc<dyn Any>;

/// A variable as contexts know it: by its address, which is no other's.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    pub(crate) address: *const (),
    pub(crate) name: &'static str,
}

#[derive(Clone)]
struct Entry {
    key: Key,
    value: Value,
}

#[derive(Default)]
pub(crate) struct Place {
    /// `None` rather than an empty list.
    entries: RefCell<Option<Rc<Vec<Entry>>>>,
}

impl Place {
    pub(crate) fn copy(&self) -> Place {
        Place { entries: RefCell::new(self.entries.borrow().clone()) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.borrow().is_none()
    }

    pub(crate) fn value(&self, key: Key) -> Option<Value> {
        let entries = self.entries.borrow();
        let entry = entries.iter().flat_map(|entries| entries.iter()).find(|entry| entry.is(key));
        entry.map(|entry| Rc::clone(&entry.value))
    }

    /// Gives the variable another value, or none, here and at no other place; the former comes out.
    pub(crate) fn replace(&self, key: Key, value: Option<Value>) -> Option<Value> {
        // No value is dropped in here: what a list that is shared loses, its other owners keep.
        let mut place = self.entries.borrow_mut();
        let known = place.iter().flat_map(|entries| entries.iter()).position(|entry| entry.is(key));
        match (known, value) {
            (None, None) => None,
            (None, Some(value)) => {
                Rc::make_mut(place.get_or_insert_default()).push(Entry { key, value });
                None
            }
            (Some(known), Some(value)) => {
                let entry = &mut Rc::make_mut(place.as_mut()?)[known];
                Some(std::mem::replace(&mut entry.value, value))
            }
            (Some(known), None) => {
                let entries = Rc::make_mut(place.as_mut()?);
                let former = entries.remove(known).value;
                if entries.is_empty() {
                    *place = None;
                }
                Some(former)
            }
        }
    }

    /// Drops what is here, in the order in which it came, each value by itself: one whose destructor
    /// panics does not keep the others. The first panic comes out.
    #[inline]
    pub(crate) fn clear(&self) -> Result<(), PanicPayload> {
        match self.entries.take() {
            None => Ok(()),
            Some(entries) => drop_all(entries),
        }
    }
}

#[cold]
#[inline(never)]
fn drop_all(entries: Rc<Vec<Entry>>) -> Result<(), PanicPayload> {
    let mut outcome = Ok(());
    for entry in Rc::into_inner(entries).into_iter().flatten() {
        let dropped = caught(move || drop(entry.value));
        outcome = outcome.and(dropped);
    }
    outcome
}

impl Entry {
    fn is(&self, key: Key) -> bool {
        ptr::eq(self.key.address, key.address)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(payload) = self.clear() {
            // Two panics at once are the process's end.
            if !std::thread::panicking() {
                payload.resume();
            }
        }
    }
}

impl fmt::Debug for Place {
    /// The names of its variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.entries.borrow();
        let names = entries.iter().flat_map(|entries| entries.iter()).map(|entry| entry.key.name);
        f.debug_set().entries(names).finish()
    }
}
