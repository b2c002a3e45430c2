//! Children whose `Child` is gone: they are reaped all the same.
//!
//! While a loop is there, it watches them. The rest are on a list of the process's, which is gone
//! through whenever somebody has to do with children.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::Mutex;

use crate::reactor::{Direction, Reactor, Watch};
use crate::sys::{self, ChildName};

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());

/// A child that nobody will ask for.
#[derive(Debug)]
pub(super) enum Orphan {
    Descriptor(OwnedFd),
    Number(u32),
}

impl Orphan {
    fn name(&self) -> ChildName<'_> {
        match self {
            Orphan::Descriptor(fd) => ChildName::Descriptor(fd.as_fd()),
            Orphan::Number(number) => ChildName::Number(*number),
        }
    }

    /// Whether there is nothing left to reap: it was done now, or by somebody else.
    fn reap(&self) -> bool {
        !matches!(sys::reap(self.name()), Ok(None))
    }
}

/// Reaps those on the list that have ended.
pub(super) fn sweep() {
    if let Some(mut orphans) = sys::lock_after_fork(&ORPHANS) {
        orphans.retain(|orphan| !orphan.reap());
    }
}

/// Sees to it that `orphan` is reaped.
pub(super) fn adopt(orphan: Orphan, reactor: Option<Rc<Reactor>>) {
    if orphan.reap() {
        return;
    }
    match (orphan, reactor) {
        (Orphan::Descriptor(fd), Some(reactor)) => watch(fd, &reactor),
        (orphan, _) => list(orphan),
    }
}

fn list(orphan: Orphan) {
    if let Some(mut orphans) = sys::lock_after_fork(&ORPHANS) {
        orphans.retain(|orphan| !orphan.reap());
        orphans.push(orphan);
    }
}

/// An orphan that a loop watches. When the loop closes first, it goes on the list.
struct Ward {
    /// `None` only while it is dropped.
    fd: Option<OwnedFd>,
}

impl AsFd for Ward {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.fd {
            Some(fd) => fd.as_fd(),
            None => unreachable!("taken out by the destructor only"),
        }
    }
}

impl Drop for Ward {
    fn drop(&mut self) {
        if let Some(fd) = self.fd.take() {
            adopt(Orphan::Descriptor(fd), None);
        }
    }
}

fn watch(fd: OwnedFd, reactor: &Rc<Reactor>) {
    let ward = Rc::new(Ward { fd: Some(fd) });
    let watch: Rc<Cell<Option<Watch>>> = Rc::default();
    let (watched, place) = (Rc::clone(&ward), Rc::clone(&watch));
    let on_end = move || {
        if !matches!(sys::reap(ChildName::Descriptor(watched.as_fd())), Ok(None)) {
            drop(place.take());
        }
    };
    // Refused: the last share in the ward goes, and the child is on the list.
    if let Ok(begun) = reactor.watch(ward, Direction::Read, on_end) {
        watch.set(Some(begun));
    }
}
