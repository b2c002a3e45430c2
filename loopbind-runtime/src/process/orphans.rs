//! Children whose `Child` is gone: they are reaped all the same.
//!
//! All of them are on a list of the process's, which is gone through whenever somebody has to do with
//! children. While a loop is there, it watches them besides. Whoever comes first reaps, and the other
//! finds no such child.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use crate::reactor::{Direction, Reactor, Watch};
use crate::sys::{self, ChildName};

static ORPHANS: Mutex<Vec<Orphan>> = Mutex::new(Vec::new());

/// A child that nobody will ask for.
#[derive(Debug)]
pub(super) enum Orphan {
    Descriptor(Arc<OwnedFd>),
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
        is_over(&sys::reap(self.name()))
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
    let shared = match &orphan {
        Orphan::Descriptor(fd) => Some(Arc::clone(fd)),
        Orphan::Number(_) => None,
    };
    list(orphan);
    if let (Some(fd), Some(reactor)) = (shared, reactor) {
        watch(Ward(fd), &reactor);
    }
}

fn list(orphan: Orphan) {
    if let Some(mut orphans) = sys::lock_after_fork(&ORPHANS) {
        orphans.retain(|orphan| !orphan.reap());
        orphans.push(orphan);
    }
}

/// An orphan that a loop watches: it stays on the list when the loop closes first.
/// Whether there is nothing left to reap. Any other error says nothing of the child: it is asked again.
fn is_over(reaped: &io::Result<Option<ExitStatus>>) -> bool {
    match reaped {
        Ok(status) => status.is_some(),
        Err(error) => sys::is_no_child(error),
    }
}

#[derive(Clone)]
struct Ward(Arc<OwnedFd>);

impl AsFd for Ward {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Its descriptor is the list's, too.
fn strike_off(ward: &Ward) {
    if let Some(mut orphans) = sys::lock_after_fork(&ORPHANS) {
        let is_it =
            |orphan: &Orphan| matches!(orphan, Orphan::Descriptor(fd) if Arc::ptr_eq(fd, &ward.0));
        orphans.retain(|orphan| !is_it(orphan));
    }
}

fn watch(ward: Ward, reactor: &Rc<Reactor>) {
    let watch: Rc<Cell<Option<Watch>>> = Rc::default();
    let (watched, place) = (ward.clone(), Rc::clone(&watch));
    let on_end = move || {
        if is_over(&sys::reap(ChildName::Descriptor(watched.as_fd()))) {
            strike_off(&watched);
            drop(place.take());
        }
    };
    // Refused: it is on the list.
    if let Ok(begun) = reactor.watch(ward, Direction::Read, on_end) {
        watch.set(Some(begun));
    }
}
