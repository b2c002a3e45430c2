//! Who waits for which descriptor.
//!
//! A descriptor is registered once, under a key with a generation in it, so that an event that was
//! on its way when its descriptor was closed never reaches the slot's next tenant. There are
//! three kinds of tenants: a [`Source`] tries first, believes what it saw, and waits for edges; a
//! [`Watch`] is a callback for as long as its descriptor is ready; the [`Ears`] hear of signals.

mod callback;
mod signals;
mod source;
mod waiters;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use signals::Ears;
pub(crate) use signals::Listener;
use source::SourceState;
pub(crate) use source::{Direction, Source};
pub(crate) use waiters::{Waiters, Wakers};
pub use watch::Watch;
use watch::WatchState;

use crate::LoopError;
use crate::current;
use crate::ids::LoopId;
use crate::panic::discard;
use crate::sys::{self, Driver, Event, Interest, Lent, Seen, WatchTrouble};
use crate::task::LocalHome;

/// A loop's view of the outside, shared with everything that is registered there.
pub(crate) struct Reactor {
    home: LocalHome,
    /// Gone once the loop is closed.
    driver: RefCell<Option<Driver>>,
    slots: RefCell<Slots>,
    seen: RefCell<Vec<Event>>,
    ears: Rc<Ears>,
    events: Cell<u64>,
    more: Cell<bool>,
    /// A signal ended the last look, which may have seen nothing for that.
    interrupted: Cell<bool>,
}

#[derive(Default)]
struct Slots {
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Whose each descriptor's number is. One that was closed behind its tenant's back may be another's
    /// by now: what its tenant tells the system then would be about that one.
    numbers: HashMap<RawFd, Key>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    number: RawFd,
    tenant: Option<Tenant>,
}

#[derive(Clone)]
enum Tenant {
    Source(Rc<SourceState>),
    Watch(Rc<WatchState>),
    Ears(Rc<Ears>),
}

/// Names one registration: slot and generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    fn new(slot: u32, generation: u32) -> Self {
        // The slot counts from one: the bell has zero.
        Key(u64::from(generation) << 32 | u64::from(slot + 1))
    }

    fn slot(self) -> usize {
        (self.0 as u32 - 1) as usize
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl Slots {
    fn insert(&mut self, tenant: Tenant, number: RawFd) -> Key {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let place = &mut self.slots[slot as usize];
        place.number = number;
        place.tenant = Some(tenant);
        Key::new(slot, place.generation)
    }

    fn get(&self, key: Key) -> Option<Tenant> {
        let slot = self.slots.get(key.slot())?;
        if slot.generation == key.generation() { slot.tenant.clone() } else { None }
    }

    /// The system has registered it: its descriptor's number is its own from here on.
    fn confirm(&mut self, key: Key) {
        self.numbers.insert(self.slots[key.slot()].number, key);
    }

    /// The number of its descriptor, while that is its own.
    fn number(&self, key: Key) -> Option<RawFd> {
        let number = self.slots.get(key.slot())?.number;
        (self.numbers.get(&number) == Some(&key)).then_some(number)
    }

    fn has_number(&self, key: Key) -> bool {
        self.number(key).is_some()
    }

    fn remove(&mut self, key: Key) -> Option<Tenant> {
        let has_number = self.has_number(key);
        let slot = self.slots.get_mut(key.slot())?;
        if slot.generation != key.generation() {
            return None;
        }
        let tenant = slot.tenant.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        if has_number {
            self.numbers.remove(&slot.number);
        }
        self.free.push(key.slot() as u32);
        Some(tenant)
    }

    /// All of them. Their keys find nobody any more, whoever comes instead.
    fn remove_all(&mut self) -> Vec<Tenant> {
        self.numbers.clear();
        let mut tenants = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if let Some(tenant) = slot.tenant.take() {
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(at as u32);
                tenants.push(tenant);
            }
        }
        tenants
    }

    fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl Reactor {
    pub(crate) fn new(home: LocalHome, driver: Driver) -> Self {
        Reactor {
            home,
            driver: RefCell::new(Some(driver)),
            slots: RefCell::default(),
            seen: RefCell::default(),
            ears: Rc::default(),
            events: Cell::new(0),
            more: Cell::new(false),
            interrupted: Cell::new(false),
        }
    }

    pub(crate) fn id(&self) -> LoopId {
        self.home.id
    }

    /// Whether there is anything a look could see.
    pub(crate) fn has_sources(&self) -> bool {
        self.slots.borrow().len() > 0
    }

    /// Whether a task waits for something that a look could see, or a callback does.
    pub(crate) fn is_awaited(&self) -> bool {
        self.slots.borrow().slots.iter().any(|slot| match &slot.tenant {
            None => false,
            Some(Tenant::Source(source)) => source.is_awaited(&self.home),
            Some(Tenant::Watch(_)) => true,
            Some(Tenant::Ears(ears)) => ears.has_listeners(),
        })
    }

    pub(crate) fn events(&self) -> u64 {
        self.events.get()
    }

    /// One look, after sleeping for at most `timeout`. [`deliver`](Reactor::deliver) says what was
    /// seen.
    pub(crate) fn look(&self, timeout: Option<Duration>) -> io::Result<()> {
        if let Some(driver) = &*self.driver.borrow() {
            let seen = driver.wait(timeout, &mut self.seen.borrow_mut())?;
            self.more.set(seen == Seen::Full);
            self.interrupted.set(seen == Seen::Interrupted);
        }
        Ok(())
    }

    /// Whether the next look may see something that no edge of the loop's own descriptor tells: more
    /// than the last one had room for, or something that is watched for as long as it is so.
    pub(crate) fn has_more(&self) -> bool {
        self.more.get()
    }

    /// Whether the last look saw anything that is not told yet.
    pub(crate) fn has_seen(&self) -> bool {
        self.interrupted.get() || !self.seen.borrow().is_empty()
    }

    /// Tells the tenants what was seen of their descriptors.
    pub(crate) fn deliver(&self) {
        if self.interrupted.take() {
            // By a signal, most likely: who listens hears of it also where looks see nothing else.
            self.ears.deliver(&self.home);
        }
        if self.seen.borrow().is_empty() {
            return;
        }
        let mut seen = self.seen.take();
        self.events.set(self.events.get() + seen.len() as u64);
        for event in seen.drain(..) {
            // Looked up for each event: what one of them runs may have changed the table. A tenant
            // that left, and one that came instead, have other keys.
            let tenant = self.slots.borrow().get(Key(event.key));
            match tenant {
                Some(Tenant::Source(source)) => source.deliver(event, &self.home),
                Some(Tenant::Watch(watch)) => {
                    self.more.set(true);
                    watch.deliver(event, &self.home);
                }
                Some(Tenant::Ears(ears)) => ears.deliver(&self.home),
                None => {}
            }
        }
        // The allocation is kept, unless somebody looked meanwhile.
        let mut place = self.seen.borrow_mut();
        if place.is_empty() {
            *place = seen;
        }
    }

    /// Whether it is the parent's, seen from a forked child: nothing is changed in it then, because
    /// the system's table is shared.
    fn is_inherited(&self) -> bool {
        self.home.is_inherited()
    }

    fn register(&self, fd: BorrowedFd<'_>, tenant: Tenant, interest: Interest) -> io::Result<Key> {
        self.home.check_fork()?;
        let driver = self.driver.borrow();
        let driver = driver.as_ref().ok_or(LoopError::Closed)?;
        let key = self.slots.borrow_mut().insert(tenant, fd.as_raw_fd());
        match driver.add(fd, key.0, interest) {
            Ok(()) => {
                self.slots.borrow_mut().confirm(key);
                // A host that turns it in a run of its own may have nothing of it to watch so far. Any other
                // watches what was lent to it, and so this.
                if current::is_running(Arc::as_ptr(&self.home)) {
                    self.home.take_in();
                }
                Ok(key)
            }
            Err(error) => {
                // Out of the table first, whatever the system says.
                let tenant = self.slots.borrow_mut().remove(key);
                drop(tenant);
                Err(self.explained(error, fd.as_raw_fd()))
            }
        }
    }

    /// The same kind of error, where the system's number for it does not say what was wrong.
    #[cold]
    fn explained(&self, error: io::Error, fd: RawFd) -> io::Error {
        let id = self.id().get();
        let message = match sys::watch_trouble(&error) {
            WatchTrouble::Twice => format!(
                "descriptor {fd} is registered on event loop {id} already: by an `Async` or a socket, or \
                 by `add_reader` or `add_writer`"
            ),
            WatchTrouble::NeverWaits => format!(
                "descriptor {fd} cannot be watched: it is never waited for, as regular files and \
                 directories are not"
            ),
            WatchTrouble::Itself => format!(
                "descriptor {fd} is that of event loop {id} itself, which cannot be watched there: watch \
                 it on the loop that hosts this one"
            ),
            WatchTrouble::Circle => format!(
                "descriptor {fd} cannot be watched on event loop {id}: it is another loop's that watches \
                 this one in turn, or one of too many loops inside of each other"
            ),
            WatchTrouble::TooMany => format!(
                "descriptor {fd} cannot be watched: this user has no more watches, see \
                 /proc/sys/fs/epoll/max_user_watches"
            ),
            WatchTrouble::Other => return error,
        };
        io::Error::new(error.kind(), message)
    }

    /// `NotFound`: the descriptor was closed, and is registered no more.
    fn modify(&self, fd: BorrowedFd<'_>, key: Key, interest: Interest) -> io::Result<()> {
        self.home.check_fork()?;
        if !self.slots.borrow().has_number(key) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let driver = self.driver.borrow();
        driver.as_ref().ok_or(LoopError::Closed)?.modify(fd, key.0, interest)
    }

    /// Out of the table, and out of the system's before the descriptor is closed. By the number that it had as it
    /// was registered: its owner, who may be the user's, is not asked again.
    fn deregister(&self, key: Key) {
        let (number, tenant) = {
            let mut slots = self.slots.borrow_mut();
            (slots.number(key), slots.remove(key))
        };
        if let (Some(number), false) = (number, self.is_inherited()) {
            if let Some(driver) = &*self.driver.borrow() {
                // The descriptor may be gone behind our back; the key is, in any case.
                let _ = driver.remove(number);
            }
        }
        drop(tenant);
    }

    /// The watch on the descriptor of this number, if there is one.
    fn watch_on(&self, fd: RawFd) -> Option<Rc<WatchState>> {
        let slots = self.slots.borrow();
        match slots.get(*slots.numbers.get(&fd)?) {
            Some(Tenant::Watch(watch)) => Some(watch),
            _ => None,
        }
    }

    /// Gives everything back: the loop is closed. False: there was nothing.
    pub(crate) fn clear(&self) -> bool {
        let tenants = self.slots.borrow_mut().remove_all();
        let found = !tenants.is_empty();
        for tenant in tenants {
            match tenant {
                Tenant::Source(source) => source.evict(),
                Tenant::Watch(watch) => {
                    watch.evict();
                    // With its descriptor, whose destructor is the user's.
                    discard(watch);
                }
                Tenant::Ears(ears) => ears.evict(),
            }
        }
        found
    }

    /// The descriptor that is readable when a look would see something; `None` once closed.
    pub(crate) fn lend(&self) -> Option<Lent> {
        self.driver.borrow().as_ref().map(Driver::lend)
    }

    pub(crate) fn close(&self) {
        self.more.set(false);
        let driver = self.driver.take();
        drop(driver);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nobody() {
        let mut slots = Slots::default();
        let first = slots.insert(Tenant::Source(Rc::default()), 3);
        assert!(slots.get(first).is_some() && slots.len() == 1);
        assert!(slots.remove(first).is_some());
        let second = slots.insert(Tenant::Source(Rc::default()), 3);
        assert_eq!(second.slot(), first.slot(), "the slot is used again");
        assert!(slots.get(first).is_none() && slots.remove(first).is_none());
        assert!(slots.get(second).is_some());
    }

    /// What a destructor registers while a loop closes is not what another one, a moment later, takes
    /// out.
    #[test]
    fn a_key_from_before_the_closing_finds_nobody() {
        let mut slots = Slots::default();
        let old = slots.insert(Tenant::Source(Rc::default()), 3);
        slots.confirm(old);
        assert_eq!((slots.remove_all().len(), slots.len()), (1, 0));
        let new = slots.insert(Tenant::Source(Rc::default()), 3);
        slots.confirm(new);
        assert_eq!(new.slot(), old.slot(), "the slot is used again");
        assert!(slots.get(old).is_none() && slots.remove(old).is_none() && !slots.has_number(old));
        assert!(slots.get(new).is_some() && slots.has_number(new));
    }

    #[test]
    fn a_number_is_whose_it_was_last() {
        let mut slots = Slots::default();
        let [first, second] = [3, 3].map(|number| {
            let key = slots.insert(Tenant::Source(Rc::default()), number);
            slots.confirm(key);
            key
        });
        assert!(!slots.has_number(first) && slots.has_number(second));
        assert!(slots.remove(first).is_some());
        assert!(slots.has_number(second), "the first had no number to give back");
        assert!(slots.remove(second).is_some() && slots.numbers.is_empty());
    }
}
