//! The thread that watches loops for executors that have no reactor to lend: one per process, started
//! when first needed.
//!
//! It knows descriptors, deadlines and wakers, and nothing of loops.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::Host;
use crate::panic::caught;
use crate::sys::{self, Bell, Driver, Interest};

/// One driven loop, as its future has it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    watcher: Arc<Watcher>,
    id: u64,
    /// The number of forks of the process whose watcher it is.
    forks: u64,
}

/// The process's watcher, and the number of forks it was started after.
static WATCHER: Mutex<Option<(u64, Arc<Watcher>)>> = Mutex::new(None);

/// What the thread and the futures share.
#[derive(Debug)]
struct Watcher {
    bell: Bell,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    ids: Ids,
    entries: HashMap<u64, Entry>,
    deadlines: BTreeMap<(Instant, u64), ()>,
    /// Descriptors for the thread to begin with, and to end with.
    added: Vec<(u64, OwnedFd)>,
    removed: Vec<u64>,
}

/// Keys for a driver: the lower half is a place, which is used again, and the upper half makes it another.
#[derive(Debug, Default)]
struct Ids {
    given: u32,
    places: u32,
    free: Vec<u32>,
}

impl Ids {
    fn take(&mut self) -> u64 {
        let place = self.free.pop().unwrap_or_else(|| {
            // The bell has zero.
            self.places += 1;
            self.places
        });
        self.given = self.given.wrapping_add(1);
        u64::from(self.given) << 32 | u64::from(place)
    }

    fn give_back(&mut self, id: u64) {
        self.free.push(id as u32);
    }
}

#[derive(Debug, Default)]
struct Entry {
    waker: Option<Waker>,
    deadline: Option<Instant>,
    seen: bool,
    /// Why it cannot be watched.
    error: Option<io::Error>,
}

impl Watcher {
    /// The process's, started if there is none yet.
    fn get() -> io::Result<Arc<Watcher>> {
        let unreachable = "the watcher of driven loops cannot be reached in this forked process";
        let slot = sys::lock_after_fork(&WATCHER);
        let mut slot = slot.ok_or_else(|| io::Error::other(unreachable))?;
        // A forked child has no such thread, and starts its own.
        let forks = sys::forks();
        match &*slot {
            Some((made, watcher)) if *made == forks => Ok(Arc::clone(watcher)),
            _ => {
                let watcher = Self::start()?;
                if let Some(inherited) = slot.replace((forks, Arc::clone(&watcher))) {
                    mem::forget(inherited);
                }
                Ok(watcher)
            }
        }
    }

    fn start() -> io::Result<Arc<Watcher>> {
        let (announce, announced) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("loopbind-watcher".into());
        sys::start_thread(thread, move || {
            // Made where it is used: a driver stays on its thread.
            match Driver::new() {
                Ok((driver, bell)) => {
                    let watcher = Arc::new(Watcher { bell, state: Mutex::default() });
                    let _ = announce.send(Ok(Arc::clone(&watcher)));
                    watcher.watch(&driver);
                }
                Err(error) => drop(announce.send(Err(error))),
            }
        })?;
        announced.recv().map_err(|_| io::Error::other("the watcher's thread did not start"))?
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread's life.
    fn watch(&self, driver: &Driver) {
        let mut watched: HashMap<u64, OwnedFd> = HashMap::new();
        let mut events = Vec::new();
        loop {
            let mut wakers = Vec::new();
            let next = {
                let mut state = self.state();
                for id in mem::take(&mut state.removed) {
                    if let Some(fd) = watched.remove(&id) {
                        let _ = driver.remove(fd.as_raw_fd());
                    }
                    state.ids.give_back(id);
                }
                for (id, fd) in mem::take(&mut state.added) {
                    match driver.add(fd.as_fd(), id, Interest::Edges) {
                        Ok(()) => drop(watched.insert(id, fd)),
                        Err(error) => wakers.extend(state.fail(id, error)),
                    }
                }
                state.deadlines.first_key_value().map(|((at, _), ())| *at)
            };
            wake(wakers.drain(..));
            let timeout = next.map(|at| at.saturating_duration_since(Instant::now()));
            if driver.wait(timeout, &mut events).is_err() {
                // Nothing that can be waited out; a second's pause keeps it from spinning.
                std::thread::sleep(Duration::from_secs(1));
            }
            {
                let mut state = self.state();
                for event in events.drain(..) {
                    wakers.extend(state.see(event.key));
                }
                let now = Instant::now();
                while let Some(entry) = state.deadlines.first_entry().filter(|e| e.key().0 <= now) {
                    let ((_, id), ()) = entry.remove_entry();
                    if let Some(entry) = state.entries.get_mut(&id) {
                        entry.deadline = None;
                        wakers.extend(entry.waker.take());
                    }
                }
            }
            wake(wakers.into_iter());
        }
    }
}

fn wake(wakers: impl Iterator<Item = Waker>) {
    for waker in wakers {
        let _ = caught(move || waker.wake());
    }
}

impl State {
    fn see(&mut self, id: u64) -> Option<Waker> {
        let entry = self.entries.get_mut(&id)?;
        entry.seen = true;
        entry.waker.take()
    }

    fn fail(&mut self, id: u64, error: io::Error) -> Option<Waker> {
        let entry = self.entries.get_mut(&id)?;
        entry.error = Some(error);
        entry.waker.take()
    }

    fn set_deadline(&mut self, id: u64, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(before) = mem::replace(&mut entry.deadline, at) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, id), ());
        }
    }
}

impl Watched {
    fn place(&mut self, fd: BorrowedFd<'_>) -> io::Result<&Place> {
        let forks = sys::forks();
        if let Some(inherited) = self.place.take_if(|place| place.forks != forks) {
            mem::forget(inherited);
        }
        if self.place.is_none() {
            let watcher = Watcher::get()?;
            let fd = sys::duplicate(fd)?;
            let id = {
                let mut state = watcher.state();
                let id = state.ids.take();
                state.entries.insert(id, Entry::default());
                state.added.push((id, fd));
                id
            };
            // Told of it first: what fails here leaves nothing behind.
            let place = Place { watcher, id, forks };
            place.watcher.bell.ring()?;
            self.place = Some(place);
        }
        match &self.place {
            Some(place) => Ok(place),
            None => unreachable!("made above"),
        }
    }
}

impl Host for Watched {
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let waker = cx.waker().clone();
        let Place { watcher, id, .. } = self.place(fd)?;
        let (seen, error, stale) = {
            let mut state = watcher.state();
            // A deadline is good for one poll: the loop says each time which one it has.
            state.set_deadline(*id, None);
            let Some(entry) = state.entries.get_mut(id) else { return Poll::Pending };
            (mem::take(&mut entry.seen), entry.error.take(), entry.waker.replace(waker))
        };
        drop(stale);
        if let Some(error) = error {
            // Nothing is watched. Who polls again has it tried again.
            self.place = None;
            let message = format!("the event loop cannot be watched: {error}");
            return Poll::Ready(Err(io::Error::new(error.kind(), message)));
        }
        if seen { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        // `poll_readable` comes first, and left the waker: it is the same task's.
        let _ = cx;
        if let Some(Place { watcher, id, .. }) = &self.place {
            let sooner = {
                let mut state = watcher.state();
                let first = state.deadlines.first_key_value().map(|((first, _), ())| *first);
                state.set_deadline(*id, Some(at));
                first.is_none_or(|first| at < first)
            };
            if sooner && watcher.bell.ring().is_err() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Place { watcher, id, .. } = self;
        let entry = {
            let mut state = watcher.state();
            state.set_deadline(*id, None);
            state.added.retain(|(added, _)| added != id);
            state.removed.push(*id);
            state.entries.remove(id)
        };
        drop(entry);
        // Without a ring it goes with the next wake-up of the thread.
        let _ = watcher.bell.ring();
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // Of the parent's watcher, whose thread may have held its lock, or be woken.
        if let Some(inherited) = self.place.take_if(|place| place.forks != sys::forks()) {
            mem::forget(inherited);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_its_key_is_another() {
        let mut ids = Ids::default();
        let [first, second] = [ids.take(), ids.take()];
        ids.give_back(first);
        let third = ids.take();
        assert_eq!([first, second, third].map(|id| id as u32), [1, 2, 1]);
        assert!(first != third && first != 0);
    }
}
