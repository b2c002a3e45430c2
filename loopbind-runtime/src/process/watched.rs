//! How a loop learns that a child has ended.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::error::ProcessError;
use super::orphans::{self, Orphan};
use crate::engine::Engine;
use crate::error::LoopError;
use crate::io::Async;
use crate::panic::caught;
use crate::reactor::{Direction, Reactor};
use crate::sync::reply::{Receiver, channel};
use crate::sys::{self, ChildName, SignalKind};
use crate::task::LocalHome;

/// A child that is not reaped yet, or how it ended.
pub(super) struct Watched {
    pid: u32,
    end: End,
    status: Option<ExitStatus>,
    kill_on_drop: bool,
    /// The loop it was used on last.
    place: Option<Place>,
    /// The number of forks when it was started: it is no child of a child of ours.
    forks: u64,
}

/// What says that it has ended.
enum End {
    Descriptor(Async<OwnedFd>),
    /// No such descriptor can be had: a thread that waits, from the first time somebody asks.
    Waiter(Option<Receiver<()>>),
    /// Given away, by the destructor.
    Gone,
}

struct Place {
    reactor: Rc<Reactor>,
    /// A virtual clock stands still while a child runs.
    _running: Running,
}

struct Running(LocalHome);

impl Running {
    fn begin(home: LocalHome) -> Self {
        let children = &home.local().children;
        children.set(children.get() + 1);
        Running(home)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let children = &self.0.local().children;
        children.set(children.get() - 1);
    }
}

impl Watched {
    /// Takes over a child that nobody has reaped.
    pub(super) fn adopt(pid: u32, kill_on_drop: bool) -> Self {
        sys::watch_forks();
        // Whatever is wrong with descriptors, too many of them open for one, a thread can wait.
        let end = match sys::open_child(pid) {
            Ok(fd) => End::Descriptor(Async::nonblocking(fd)),
            Err(_) => End::Waiter(None),
        };
        let forks = sys::forks();
        let mut watched = Watched { pid, end, status: None, kill_on_drop, place: None, forks };
        watched.settle();
        watched
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn kill_on_drop(&mut self, on: bool) {
        self.kill_on_drop = on;
    }

    /// The loop that uses it now is the one that looks after it.
    fn settle(&mut self) {
        let Some(reactor) = Engine::with_running(|engine| Rc::clone(&engine.reactor)) else {
            return;
        };
        let settled = |place: &Place| Rc::ptr_eq(&place.reactor, &reactor);
        if self.place.as_ref().is_none_or(|place| !settled(place)) {
            if let Some(home) = LocalHome::running() {
                self.place = Some(Place { reactor, _running: Running::begin(home) });
            }
        }
    }

    fn name(&self) -> ChildName<'_> {
        match &self.end {
            End::Descriptor(fd) => ChildName::Descriptor(fd.as_fd()),
            End::Waiter(_) | End::Gone => ChildName::Number(self.pid),
        }
    }

    fn explain(&self, error: io::Error) -> io::Error {
        match () {
            () if sys::is_no_child(&error) => ProcessError::AlreadyReaped { pid: self.pid }.into(),
            () if sys::is_no_process(&error) => ProcessError::Ended { pid: self.pid }.into(),
            () => error,
        }
    }

    fn ended(&mut self, status: ExitStatus) -> ExitStatus {
        self.status = Some(status);
        // Its loop's clock may go on.
        self.place = None;
        status
    }

    pub(super) fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            let reaped = sys::reap(self.name()).map_err(|error| self.explain(error))?;
            if let Some(status) = reaped {
                self.ended(status);
            }
        }
        Ok(self.status)
    }

    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
        if let Some(status) = self.status {
            return Poll::Ready(Ok(status));
        }
        self.settle();
        orphans::sweep();
        let reaped = ready!(match &mut self.end {
            End::Descriptor(fd) => poll_descriptor(fd, cx),
            End::Waiter(waiter) => poll_waiter(self.pid, waiter, cx),
            End::Gone => unreachable!("dropped"),
        });
        Poll::Ready(match reaped {
            Ok(status) => Ok(self.ended(status)),
            Err(error) => Err(self.explain(error)),
        })
    }

    pub(super) fn send_signal(&mut self, kind: SignalKind) -> io::Result<()> {
        if self.status.is_some() {
            return Err(ProcessError::Ended { pid: self.pid }.into());
        }
        sys::send_signal(self.name(), kind).map_err(|error| self.explain(error))
    }
}

fn poll_descriptor(fd: &Async<OwnedFd>, cx: &mut Context<'_>) -> Poll<io::Result<ExitStatus>> {
    fd.poll_io(Direction::Read, cx, |fd| {
        // Readiness is a hint; whether it has ended says the attempt.
        let reaped = sys::reap(ChildName::Descriptor(fd.as_fd()))?;
        reaped.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    })
}

fn poll_waiter(
    pid: u32,
    waiter: &mut Option<Receiver<()>>,
    cx: &mut Context<'_>,
) -> Poll<io::Result<ExitStatus>> {
    loop {
        if let Some(status) = sys::reap(ChildName::Number(pid))? {
            return Poll::Ready(Ok(status));
        }
        // As where there is a descriptor, though a thread could wake whoever polls: what works must
        // not depend on the kernel.
        if LocalHome::running().is_none() {
            return Poll::Ready(Err(LoopError::NoRunningLoop.into()));
        }
        let waiting = match waiter {
            Some(waiting) => waiting,
            None => waiter.insert(start_waiter(pid)?),
        };
        ready!(waiting.poll(cx));
        *waiter = None;
    }
}

/// A thread that waits for the end of a child, and leaves the reaping to whoever has it then. None of the
/// blocking pool's: those are only so many, and a child may live for ever.
fn start_waiter(pid: u32) -> io::Result<Receiver<()>> {
    let (sender, receiver) = channel();
    let wait = move || {
        sys::await_end(pid);
        // Whoever waits is woken, which is code of others: the orphans are seen to all the same.
        let _ = caught(move || sender.settle(()));
        orphans::sweep();
    };
    let thread = std::thread::Builder::new().name("loopbind-child".into());
    sys::start_thread(thread, sys::fault::carry(wait)).map_err(|error| {
        let message = format!("no thread can be had to wait for process {pid}: {error}");
        io::Error::new(error.kind(), message)
    })?;
    Ok(receiver)
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.status.is_some() || self.forks != sys::forks() {
            return;
        }
        if self.kill_on_drop {
            // Ended already, or not ours to kill.
            let _ = self.send_signal(SignalKind::from_raw(libc::SIGKILL));
        }
        let reactor = self.place.take().map(|place| place.reactor);
        match std::mem::replace(&mut self.end, End::Gone) {
            End::Descriptor(fd) => {
                if let Ok(fd) = fd.into_inner() {
                    orphans::adopt(Orphan::Descriptor(Arc::new(fd)), reactor);
                }
            }
            End::Waiter(waiter) => {
                orphans::adopt(Orphan::Number(self.pid), None);
                // On the list by now: whoever waits goes through it at the end.
                // Without a thread to wait, the next sweep finds it.
                if waiter.is_none() {
                    drop(start_waiter(self.pid));
                }
            }
            End::Gone => {}
        }
        orphans::sweep();
    }
}
