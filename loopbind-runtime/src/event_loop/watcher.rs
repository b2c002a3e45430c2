//! The thread that watches loops for executors that have no reactor to lend: one per process, started
//! when first needed.
//!
//! It knows descriptors, deadlines and wakers, and nothing of loops.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::embed::Host;
use crate::sys::{Bell, Driver, Interest};

/// One driven loop, as its future has it.
#[derive(Debug, Default)]
pub(super) struct Watched {
    entry: Option<(Arc<Watcher>, u64)>,
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
    next: u64,
    entries: HashMap<u64, Entry>,
    deadlines: BTreeMap<(Instant, u64), ()>,
    /// Descriptors for the thread to begin with, and to end with.
    added: Vec<(u64, OwnedFd)>,
    removed: Vec<u64>,
}

#[derive(Debug, Default)]
struct Entry {
    waker: Option<Waker>,
    deadline: Option<Instant>,
    seen: bool,
}

impl Watcher {
    /// The process's, started if there is none yet.
    fn get() -> io::Result<Arc<Watcher>> {
        let mut slot = WATCHER.lock().unwrap_or_else(PoisonError::into_inner);
        // A forked child has no such thread, and starts its own.
        let forks = crate::sys::forks();
        match &*slot {
            Some((made, watcher)) if *made == forks => Ok(Arc::clone(watcher)),
            _ => {
                let watcher = Self::start()?;
                if let Some(inherited) = slot.replace((forks, Arc::clone(&watcher))) {
                    std::mem::forget(inherited);
                }
                Ok(watcher)
            }
        }
    }

    fn start() -> io::Result<Arc<Watcher>> {
        let (announce, announced) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("loopbind-watcher".into()).spawn(move || {
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
            let timeout = {
                let mut state = self.state();
                for id in std::mem::take(&mut state.removed) {
                    if let Some(fd) = watched.remove(&id) {
                        let _ = driver.remove(fd.as_fd());
                    }
                }
                for (id, fd) in std::mem::take(&mut state.added) {
                    match driver.add(fd.as_fd(), id, Interest::Edges) {
                        Ok(()) => drop(watched.insert(id, fd)),
                        // Told at once, the future's next turn finds what is wrong by itself.
                        Err(_) => state.see(id),
                    }
                }
                let next = state.deadlines.first_key_value().map(|((at, _), ())| *at);
                next.map(|at| at.saturating_duration_since(Instant::now()))
            };
            if driver.wait(timeout, &mut events).is_err() {
                // Nothing that can be waited out; a second's pause keeps it from spinning.
                std::thread::sleep(Duration::from_secs(1));
            }
            let mut wakers = Vec::new();
            {
                let mut state = self.state();
                for event in events.drain(..) {
                    state.see(event.key);
                    wakers.extend(state.entries.get_mut(&event.key).and_then(|e| e.waker.take()));
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
            for waker in wakers {
                let _ = crate::panic::caught(move || waker.wake());
            }
        }
    }
}

impl State {
    fn see(&mut self, id: u64) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.seen = true;
        }
    }

    fn set_deadline(&mut self, id: u64, at: Option<Instant>) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if let Some(before) = std::mem::replace(&mut entry.deadline, at) {
            self.deadlines.remove(&(before, id));
        }
        if let Some(at) = at {
            self.deadlines.insert((at, id), ());
        }
    }
}

impl Watched {
    fn entry(&mut self, fd: BorrowedFd<'_>) -> io::Result<(&Watcher, u64)> {
        if self.entry.is_none() {
            let watcher = Watcher::get()?;
            let fd = fd.try_clone_to_owned()?;
            let id = {
                let mut state = watcher.state();
                // The bell has zero.
                state.next += 1;
                let id = state.next;
                state.entries.insert(id, Entry::default());
                state.added.push((id, fd));
                id
            };
            watcher.bell.ring()?;
            self.entry = Some((watcher, id));
        }
        match &self.entry {
            Some((watcher, id)) => Ok((watcher, *id)),
            None => unreachable!("made above"),
        }
    }
}

impl Host for Watched {
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (watcher, id) = self.entry(fd)?;
        let waker = cx.waker().clone();
        let (seen, stale) = {
            let mut state = watcher.state();
            // A deadline is good for one poll: the loop says each time which one it has.
            state.set_deadline(id, None);
            let Some(entry) = state.entries.get_mut(&id) else { return Poll::Pending };
            (std::mem::take(&mut entry.seen), entry.waker.replace(waker))
        };
        drop(stale);
        if seen { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        if at <= Instant::now() {
            return Poll::Ready(());
        }
        // `poll_readable` comes first, and left the waker: it is the same task's.
        let _ = cx;
        if let Some((watcher, id)) = &self.entry {
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

impl Drop for Watched {
    fn drop(&mut self) {
        let Some((watcher, id)) = self.entry.take() else { return };
        let entry = {
            let mut state = watcher.state();
            state.set_deadline(id, None);
            state.added.retain(|(added, _)| *added != id);
            state.removed.push(id);
            state.entries.remove(&id)
        };
        drop(entry);
        // Without a ring it goes with the next wake-up of the thread.
        let _ = watcher.bell.ring();
    }
}
