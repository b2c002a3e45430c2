//! Callbacks for descriptors, level-triggered as asyncio's are, and for signals.

use std::io;
use std::os::fd::AsFd;

use super::EventLoop;
use crate::error::LoopError;
use crate::reactor::{Direction, Watch};
use crate::sys::SignalKind;

impl EventLoop {
    /// Has `callback` called at each look of the loop while `fd` is readable, until what is returned
    /// drops. IO-01, IO-03.
    ///
    /// One reader and one writer per descriptor: a new one replaces the old. A hang-up or an error
    /// makes it readable and writable, since a read or a write would tell of it at once. Urgent data
    /// does not: await that with an [`Async`](crate::Async).
    ///
    /// # Errors
    /// [`LoopError::Closed`] where the loop is closed; the system's, for what is closed, and for what
    /// cannot be watched: regular files and directories, descriptors that an `Async` waits for on this
    /// loop, the loop's own descriptor, and that of a loop which watches this one. IO-05.
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
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use std::os::unix::net::UnixStream;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let (writer, _reader) = UnixStream::pair()?;
    /// let stop = event_loop.clone();
    /// let _watch = event_loop.add_writer(writer, move || stop.stop())?;
    /// event_loop.run_forever()?; // there is room at once
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn add_writer(
        &self,
        fd: impl AsFd + 'static,
        callback: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        self.watch(fd, Direction::Write, callback)
    }

    /// Has `callback` called by the loop when a signal of this kind comes: as any callback, not in
    /// the place that the signal interrupted, so that it may do everything. SIG-01.
    ///
    /// Any loop on any thread may listen, several to one kind, and a callback replaces the loop's
    /// former one for its kind. None is lost while the loop is busy or does not run, but many of one
    /// kind may be one call. The loop's callbacks are called in the order in which they were added.
    /// SIG-02, SIG-03, SIG-08.
    ///
    /// While anybody listens, the signal does not do what it does by default; handlers that others
    /// installed are called as well. Until [`remove_signal_handler`], or the loop is closed. SIG-06.
    ///
    /// # Errors
    /// [`LoopError::Closed`] where the loop is closed; a
    /// [`SignalError`](crate::signal::SignalError) for what is no signal, or cannot be caught.
    /// SIG-04.
    ///
    /// ```
    /// use loopbind::EventLoop;
    /// use loopbind::signal::SignalKind;
    ///
    /// let event_loop = EventLoop::new()?;
    /// let stop = event_loop.clone();
    /// event_loop.add_signal_handler(SignalKind::user_defined1(), move || stop.stop())?;
    /// std::process::Command::new("sh").args(["-c", "kill -USR1 $PPID"]).status()?;
    /// event_loop.run_forever()?; // until the signal stops it
    /// assert!(event_loop.remove_signal_handler(SignalKind::user_defined1()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// [`remove_signal_handler`]: EventLoop::remove_signal_handler
    pub fn add_signal_handler(
        &self,
        kind: SignalKind,
        callback: impl FnMut() + 'static,
    ) -> io::Result<()> {
        self.check_usable()?;
        self.hold().reactor.call_on_signal(kind, callback)
    }

    /// Takes the loop's callback for this kind away; false if there was none. With the last listener
    /// of the process, the signal does again what it did before the first. SIG-05.
    ///
    /// ```
    /// use loopbind::{EventLoop, signal::SignalKind};
    ///
    /// let event_loop = EventLoop::new()?;
    /// event_loop.add_signal_handler(SignalKind::user_defined2(), || {})?;
    /// assert!(event_loop.remove_signal_handler(SignalKind::user_defined2()));
    /// assert!(!event_loop.remove_signal_handler(SignalKind::user_defined2()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn remove_signal_handler(&self, kind: SignalKind) -> bool {
        self.hold().reactor.forget_signal(kind)
    }

    fn watch(
        &self,
        fd: impl AsFd + 'static,
        direction: Direction,
        callback: impl FnMut() + 'static,
    ) -> io::Result<Watch> {
        self.check_usable()?;
        self.hold().reactor.watch(fd, direction, callback)
    }

    fn check_usable(&self) -> io::Result<()> {
        self.hold().home.check_fork()?;
        if self.is_closed() { Err(LoopError::Closed.into()) } else { Ok(()) }
    }
}
