//! Which signal, and whether it can be had.

use std::ffi::c_int;
use std::fmt;
use std::io;

/// Which signal: by name, or [from its number](SignalKind::from_raw).
///
/// ```
/// use loopbind::signal::SignalKind;
///
/// assert_eq!(SignalKind::terminate(), SignalKind::from_raw(15));
/// assert_eq!(SignalKind::terminate().to_string(), "SIGTERM");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// `SIGALRM`: a timer of `alarm(2)` is over.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "kill -ALRM $$"]);
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert_eq!(status.signal(), Some(SignalKind::alarm().as_raw()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn alarm() -> Self {
        SignalKind(libc::SIGALRM)
    }

    /// `SIGCHLD`: a child stopped or ended. [`process`](crate::process) needs no handler for it.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// loopbind::run(async {
    ///     let mut ends = signal(SignalKind::child())?;
    ///     std::process::Command::new("true").status()?;
    ///     assert_eq!(ends.recv().await, Some(()));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn child() -> Self {
        SignalKind(libc::SIGCHLD)
    }

    /// `SIGHUP`: the terminal is gone; for daemons, by custom, "read your configuration again".
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// let hangups = signal(SignalKind::hangup())?; // does not end the program now
    /// assert_eq!(hangups.kind().as_raw(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn hangup() -> Self {
        SignalKind(libc::SIGHUP)
    }

    /// `SIGINT`: Ctrl-C.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// let interrupts = signal(SignalKind::interrupt())?; // Ctrl-C does not end the program now
    /// assert_eq!(interrupts.kind().as_raw(), 2);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn interrupt() -> Self {
        SignalKind(libc::SIGINT)
    }

    /// `SIGPIPE`: a write that nobody can read. Rust programs ignore it from the start.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "while echo; do :; done"]).stdout(Stdio::piped());
    /// // `status` does not read what it writes.
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert_eq!(status.signal(), Some(SignalKind::pipe().as_raw()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn pipe() -> Self {
        SignalKind(libc::SIGPIPE)
    }

    /// `SIGQUIT`: Ctrl-\.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// let quits = signal(SignalKind::quit())?; // does not end the program now
    /// assert_eq!(quits.kind().as_raw(), 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn quit() -> Self {
        SignalKind(libc::SIGQUIT)
    }

    /// `SIGTERM`: the polite request to end.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// child.send_signal(SignalKind::terminate())?;
    /// let status = loopbind::run(async { child.wait().await })??;
    /// assert_eq!(status.signal(), Some(SignalKind::terminate().as_raw()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn terminate() -> Self {
        SignalKind(libc::SIGTERM)
    }

    /// `SIGUSR1`: means what the program says it means.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "kill -USR1 $$"]);
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert_eq!(status.signal(), Some(SignalKind::user_defined1().as_raw()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn user_defined1() -> Self {
        SignalKind(libc::SIGUSR1)
    }

    /// `SIGUSR2`: means what the program says it means.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "kill -USR2 $$"]);
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert_eq!(status.signal(), Some(SignalKind::user_defined2().as_raw()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn user_defined2() -> Self {
        SignalKind(libc::SIGUSR2)
    }

    /// `SIGWINCH`: the terminal's window has another size.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// loopbind::run(async {
    ///     let mut resizes = signal(SignalKind::window_change())?;
    ///     std::process::Command::new("sh").args(["-c", "kill -WINCH $PPID"]).status()?;
    ///     assert_eq!(resizes.recv().await, Some(()));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub const fn window_change() -> Self {
        SignalKind(libc::SIGWINCH)
    }

    /// The signal of this number. Whether there is one, and whether it can be caught, is said by
    /// whoever is asked to listen for it.
    ///
    /// ```
    /// use loopbind::signal::{SignalKind, signal};
    ///
    /// assert_eq!(SignalKind::from_raw(15), SignalKind::terminate());
    /// assert!(signal(SignalKind::from_raw(0)).is_err()); // there is none
    /// ```
    pub const fn from_raw(number: c_int) -> Self {
        SignalKind(number)
    }

    /// Its number on this system.
    ///
    /// ```
    /// use loopbind::signal::SignalKind;
    ///
    /// assert_eq!(SignalKind::interrupt().as_raw(), 2);
    /// ```
    pub const fn as_raw(self) -> c_int {
        self.0
    }

    /// Whether it can be listened for at all; what the system does not know, it says itself.
    pub(super) fn check(self) -> Result<(), SignalError> {
        match self.0 {
            ..=0 => Err(SignalError::Invalid { signal: self.0 }),
            libc::SIGKILL | libc::SIGSTOP => Err(SignalError::Uncatchable { signal: self.0 }),
            libc::SIGSEGV | libc::SIGBUS | libc::SIGFPE | libc::SIGILL => {
                Err(SignalError::Fault { signal: self.0 })
            }
            _ => Ok(()),
        }
    }
}

/// `SIGINT`; those without a name here by their numbers, as `signal 40`.
impl fmt::Display for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.0 {
            libc::SIGALRM => "SIGALRM",
            libc::SIGCHLD => "SIGCHLD",
            libc::SIGHUP => "SIGHUP",
            libc::SIGINT => "SIGINT",
            libc::SIGPIPE => "SIGPIPE",
            libc::SIGQUIT => "SIGQUIT",
            libc::SIGTERM => "SIGTERM",
            libc::SIGUSR1 => "SIGUSR1",
            libc::SIGUSR2 => "SIGUSR2",
            libc::SIGWINCH => "SIGWINCH",
            number => return write!(f, "signal {number}"),
        };
        f.write_str(name)
    }
}

impl fmt::Debug for SignalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SignalKind").field(&format_args!("{self}")).finish()
    }
}

/// Why a signal cannot be listened for: inside of the [`io::Error`] that says so. SIG-04.
///
/// ```
/// use loopbind::signal::{SignalError, SignalKind, signal};
///
/// let error = signal(SignalKind::from_raw(9)).unwrap_err();
/// assert_eq!(error.to_string(), "sig 9 cannot be caught");
/// let why = error.get_ref().unwrap().downcast_ref::<SignalError>();
/// assert!(matches!(why, Some(SignalError::Uncatchable { signal: 9 })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The system has no signal of this number, or keeps it for itself.
    #[error("invalid signal number {signal}")]
    Invalid {
        /// The number.
        signal: i32,
    },
    /// `SIGKILL` and `SIGSTOP` do what they do.
    #[error("sig {signal} cannot be caught")]
    Uncatchable {
        /// The number.
        signal: i32,
    },
    /// The processor raises it for what the program has just done, and would do again as soon as a
    /// handler returned.
    #[error("sig {signal} says that the program itself is at fault: it cannot be waited for")]
    Fault {
        /// The number.
        signal: i32,
    },
}

impl From<SignalError> for io::Error {
    fn from(error: SignalError) -> Self {
        io::Error::new(io::ErrorKind::InvalidInput, error)
    }
}
