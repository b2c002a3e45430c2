//! Callbacks for descriptors, level-triggered as asyncio's are.

use std::io;
use std::os::fd::AsFd;

use super::EventLoop;
use crate::error::LoopError;
use crate::reactor::{Direction, Watch};

impl EventLoop {
    /// Has `callback` called at each look of the loop while `fd` is readable, until what is returned
    /// drops. IO-01, IO-03.
    ///
    /// One reader and one writer per descriptor: a new one replaces the old.
    ///
    /// # Errors
    /// [`LoopError::Closed`] where the loop is closed; the system's, for what cannot be watched, such
    /// as regular files. IO-05.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::io::Write;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let (reader, mut writer) = UnixStream::pair()?;
    /// let stop = event_loop.clone();
    /// let _watch = event_loop.add_reader(reader, move || stop.stop())?;
    /// writer.write_all(b"x")?;
    /// event_loop.run_forever()?; // until the callback stops it
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add_reader(
        &self,
        fd: impl AsFd + 'static,
        callback: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        self.watch(fd, Direction::Read, callback)
    }

    /// Has `callback` called at each look of the loop while `fd` is writable: see
    /// [`add_reader`](EventLoop::add_reader).
    ///
    /// # Errors
    /// As [`add_reader`](EventLoop::add_reader).
    pub fn add_writer(
        &self,
        fd: impl AsFd + 'static,
        callback: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        self.watch(fd, Direction::Write, callback)
    }

    fn watch(
        &self,
        fd: impl AsFd + 'static,
        direction: Direction,
        callback: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        self.hold().home.check_fork()?;
        if self.is_closed() {
            return Err(LoopError::Closed.into());
        }
        self.hold().reactor.watch(fd, direction, callback)
    }
}
