//! The connections a server has, and who waits for what becomes of them.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::Shutdown;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use crate::net::duplex::Line;
use crate::panic::caught;
use crate::task::{ExceptionContext, LocalHome, Task, report_to_stderr};

/// What a server's tasks share with it.
#[derive(Default)]
pub(super) struct Connections {
    /// In the order in which they were accepted.
    open: RefCell<BTreeMap<u64, Connection>>,
    accepted: Cell<u64>,
    limit: Cell<Option<usize>>,
    closed: Cell<bool>,
    /// Who waits for a connection to end, because there are as many as there may be.
    crowd: RefCell<Vec<Waker>>,
    /// Who waits for the server to be closed, and the last connection to be over, in their order. Who
    /// gives up takes the entry along.
    mourners: RefCell<BTreeMap<u64, Waker>>,
    mourned: Cell<u64>,
}

struct Connection {
    task: Task<()>,
    line: Weak<dyn Line>,
}

impl Connections {
    pub(super) fn with_limit(limit: Option<usize>) -> Rc<Self> {
        Rc::new(Connections { limit: Cell::new(limit), ..Connections::default() })
    }

    /// A connection is there, as long as what is returned is.
    pub(super) fn enter(self: &Rc<Self>) -> Presence {
        let number = self.accepted.get();
        self.accepted.set(number + 1);
        Presence { connections: Rc::clone(self), number }
    }

    pub(super) fn add(&self, number: u64, task: Task<()>, line: Weak<dyn Line>) {
        self.open.borrow_mut().insert(number, Connection { task, line });
    }

    pub(super) fn len(&self) -> usize {
        self.open.borrow().len()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// False: it was closed already.
    pub(super) fn close(&self) -> bool {
        let first = !self.closed.replace(true);
        self.tell();
        first
    }

    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.limit.get() {
            Some(limit) if self.len() >= limit => wait(&self.crowd, cx),
            _ => Poll::Ready(()),
        }
    }

    /// SRV-03: closed, and no connection left, whichever comes last.
    pub(super) async fn over(&self) {
        let number = self.mourned.get();
        self.mourned.set(number + 1);
        let mourner = Mourner { connections: self, number };
        poll_fn(|cx| mourner.poll(cx)).await
    }

    fn is_over(&self) -> bool {
        self.closed.get() && self.open.borrow().is_empty()
    }

    /// The reading half of each connection ends: handlers read the end, and come to theirs.
    pub(super) fn end_reading(&self) {
        self.hang_up(Shutdown::Read);
    }

    /// Every connection ends, and its task with it. Says how many there were.
    pub(super) fn abort(&self) -> usize {
        let tasks = self.open.borrow();
        for connection in tasks.values() {
            connection.task.abort();
        }
        let count = tasks.len();
        drop(tasks);
        // What a handler gave to somebody else ends too.
        self.hang_up(Shutdown::Both);
        count
    }

    fn hang_up(&self, how: Shutdown) {
        for connection in self.open.borrow().values() {
            if let Some(line) = connection.line.upgrade() {
                line.hang_up(how);
            }
        }
    }

    fn leave(&self, number: u64) {
        let connection = self.open.borrow_mut().remove(&number);
        drop(connection);
        self.tell();
    }

    fn tell(&self) {
        let mut told = self.crowd.take();
        if self.is_over() {
            told.extend(self.mourners.take().into_values());
        }
        for waker in told {
            // User code: what one throws is reported, and takes nothing from those behind it.
            if let Err(payload) = caught(move || waker.wake()) {
                let context = ExceptionContext::panicked("exception in a waker", payload);
                match LocalHome::running() {
                    Some(home) => home.local().report(context),
                    None => report_to_stderr(&context),
                }
            }
        }
    }
}

fn wait(waiters: &RefCell<Vec<Waker>>, cx: &mut Context<'_>) -> Poll<()> {
    if !waiters.borrow().iter().any(|known| known.will_wake(cx.waker())) {
        // Cloned before the borrow: wakers are user code.
        let waker = cx.waker().clone();
        waiters.borrow_mut().push(waker);
    }
    Poll::Pending
}

/// Somebody who waits for the end, until this drops.
struct Mourner<'a> {
    connections: &'a Connections,
    number: u64,
}

impl Mourner<'_> {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.connections.is_over() {
            return Poll::Ready(());
        }
        let mourners = &self.connections.mourners;
        let known = |known: &Waker| known.will_wake(cx.waker());
        if !mourners.borrow().get(&self.number).is_some_and(known) {
            // Cloned before the borrow, and dropped after it: wakers are user code.
            let waker = cx.waker().clone();
            let before = mourners.borrow_mut().insert(self.number, waker);
            drop(before);
        }
        Poll::Pending
    }
}

impl Drop for Mourner<'_> {
    fn drop(&mut self) {
        let waker = self.connections.mourners.borrow_mut().remove(&self.number);
        drop(waker);
    }
}

/// A connection that is counted until this drops.
pub(super) struct Presence {
    connections: Rc<Connections>,
    pub(super) number: u64,
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.connections.leave(self.number);
    }
}
