//! A callback for as long as a descriptor is ready: asyncio's `add_reader` and `add_writer`.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;

use super::callback::Callback;
use super::source::Direction;
use super::{Key, Reactor, Tenant};
use crate::panic::caught;
use crate::sys::{Event, Interest};
use crate::task::LocalHome;

/// A descriptor that is watched: dropping this ends the watch.
///
/// Where another `add_reader` or `add_writer` for the same descriptor and direction replaced it, it
/// does nothing any more. IO-01.
///
/// ```
/// use loopbind::EventLoop;
/// use std::{cell::Cell, io::Write, os::unix::net::UnixStream, rc::Rc, time::Duration};
///
/// let event_loop = EventLoop::new()?;
/// let (reader, mut writer) = UnixStream::pair()?;
/// let calls = Rc::new(Cell::new(0));
/// let count = calls.clone();
/// let watch = event_loop.add_reader(reader, move || count.set(count.get() + 1))?;
/// writer.write_all(b"x")?;
/// event_loop.turn(Some(Duration::ZERO))?;
/// event_loop.turn(Some(Duration::ZERO))?; // nobody has read it: ready again
/// drop(watch);
/// event_loop.turn(Some(Duration::ZERO))?;
/// assert_eq!(calls.get(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
#[doc(alias("remove_reader", "remove_writer"))]
#[must_use = "dropping it removes the watch"]
pub struct Watch {
    state: Rc<WatchState>,
    direction: Direction,
    callback: Rc<Callback>,
    detached: bool,
}

/// One descriptor's registration, for both directions.
pub(super) struct WatchState {
    fd: Box<dyn AsFd>,
    /// What `fd` said when it was registered: to ask it is to call code of the user's.
    number: RawFd,
    place: Cell<Option<Key>>,
    reactor: RefCell<Option<Rc<Reactor>>>,
    reader: RefCell<Option<Rc<Callback>>>,
    writer: RefCell<Option<Rc<Callback>>>,
}

impl WatchState {
    pub(super) fn number(&self) -> RawFd {
        self.number
    }

    fn side(&self, direction: Direction) -> &RefCell<Option<Rc<Callback>>> {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    fn interest(&self) -> Option<Interest> {
        match (self.reader.borrow().is_some(), self.writer.borrow().is_some()) {
            (true, true) => Some(Interest::ReadableAndWritable),
            (true, false) => Some(Interest::Readable),
            (false, true) => Some(Interest::Writable),
            (false, false) => None,
        }
    }

    /// Each ready direction's callback joins the queue. One that ends before its turn is not called.
    pub(super) fn deliver(&self, event: Event, home: &LocalHome) {
        for (seen, side) in [(event.readable, &self.reader), (event.writable, &self.writer)] {
            let callback = side.borrow().clone();
            if let (true, Some(callback)) = (seen, callback) {
                home.queue(home.callback(move || callback.run()));
            }
        }
    }

    pub(super) fn evict(&self) {
        self.place.set(None);
        let reactor = self.reactor.take();
        for side in [&self.reader, &self.writer] {
            if let Some(callback) = side.take() {
                callback.evict();
            }
        }
        drop(reactor);
    }

    /// Has `callback` called from now on; gives the one before.
    fn replace(
        &self,
        direction: Direction,
        callback: &Rc<Callback>,
    ) -> io::Result<Option<Rc<Callback>>> {
        let replaced = self.side(direction).replace(Some(Rc::clone(callback)));
        match self.update() {
            Ok(()) => Ok(replaced),
            Err(error) => {
                self.side(direction).replace(replaced);
                Err(error)
            }
        }
    }

    /// Its descriptor was closed behind our back: nobody is called any more.
    fn forget(&self) {
        if let (Some(key), Some(reactor)) = (self.place.take(), self.reactor.take()) {
            reactor.deregister(key);
        }
        let callbacks = [self.reader.take(), self.writer.take()];
        for callback in callbacks.iter().flatten() {
            callback.end();
        }
    }

    /// From its owner, who is the user's code, and may panic; the hook has said so then. This is asked in
    /// destructors, too, out of which no panic may come.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        caught(|| self.fd.as_fd()).ok()
    }

    /// Tells the system what is watched now.
    fn update(&self) -> io::Result<()> {
        let (Some(key), Some(reactor)) = (self.place.get(), self.reactor.borrow().clone()) else {
            return Ok(());
        };
        match self.interest() {
            Some(interest) => match self.descriptor() {
                Some(fd) => reactor.modify(fd, key, interest),
                None => Err(io::Error::other("the descriptor's owner panicked")),
            },
            None => {
                self.place.set(None);
                self.reactor.take();
                reactor.deregister(key);
                Ok(())
            }
        }
    }
}

impl Reactor {
    /// Has `call` called while `fd` is ready in `direction`, at each look.
    pub(crate) fn watch(
        self: &Rc<Self>,
        fd: impl AsFd + 'static,
        direction: Direction,
        call: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        let callback = Callback::new(call);
        let number = fd.as_fd().as_raw_fd();
        if let Some(known) = self.watch_on(number) {
            match known.replace(direction, &callback) {
                Ok(replaced) => {
                    // Made first: where the old one's destructor panics, the new one ends.
                    let watch = Watch { state: known, direction, callback, detached: false };
                    if let Some(replaced) = replaced {
                        replaced.end();
                    }
                    return Ok(watch);
                }
                // The system knows no such registration: that one is closed, and this is another
                // with its number.
                Err(error) if error.kind() == io::ErrorKind::NotFound => known.forget(),
                Err(error) => return Err(error),
            }
        }
        let state = Rc::new(WatchState {
            fd: Box::new(fd),
            number,
            place: Cell::new(None),
            reactor: RefCell::new(Some(Rc::clone(self))),
            reader: RefCell::new(None),
            writer: RefCell::new(None),
        });
        state.side(direction).replace(Some(Rc::clone(&callback)));
        let interest = match direction {
            Direction::Read => Interest::Readable,
            Direction::Write => Interest::Writable,
        };
        let key = self.register(state.fd.as_fd(), Tenant::Watch(Rc::clone(&state)), interest)?;
        state.place.set(Some(key));
        Ok(Watch { state, direction, callback, detached: false })
    }
}

impl Watch {
    /// Lets the watch go on until the loop is closed, or another replaces it.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let (writer, _reader) = UnixStream::pair()?;
    /// let stop = event_loop.clone();
    /// event_loop.add_writer(writer, move || stop.stop())?.detach();
    /// event_loop.run_forever()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn detach(mut self) {
        self.detached = true;
    }

    /// The descriptor that is watched.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::os::{fd::AsRawFd, unix::net::UnixStream};
    ///
    /// let event_loop = EventLoop::new()?;
    /// let (reader, _writer) = UnixStream::pair()?;
    /// let number = reader.as_raw_fd();
    /// let watch = event_loop.add_reader(reader, || {})?;
    /// assert_eq!(watch.get_ref().as_raw_fd(), number);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn get_ref(&self) -> BorrowedFd<'_> {
        self.state.fd.as_fd()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if self.detached || self.callback.is_over() {
            return;
        }
        let ours = self.state.side(self.direction).take();
        // Fails for a descriptor that was closed behind our back: it is watched no more, then.
        let _ = self.state.update();
        self.callback.end();
        drop(ours);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("fd", &self.state.number())
            .field("direction", &self.direction)
            .field("over", &self.callback.is_over())
            .finish()
    }
}
