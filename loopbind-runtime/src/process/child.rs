//! A child process.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::process::{ExitStatus, Output};

use super::feed::{both, drain, feed};
use super::pipe::{ChildStderr, ChildStdin, ChildStdout};
use super::watched::Watched;
use crate::signal::SignalKind;

/// A process that [`Command::spawn`](super::Command::spawn) started.
///
/// Dropping it leaves the process running, unless `kill_on_drop` was asked for; either way it is
/// reaped when it ends: see [the module](super).
///
/// ```
/// use loopbind::process::{Command, Stdio};
/// use loopbind::run;
///
/// run(async {
///     let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
///     assert!(child.stdin.is_some() && child.stdout.is_none()); // as was asked for
///     assert!(child.wait().await?.success()); // the end of its input is its end
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Child {
    /// Writes to the child's standard input, where that is a pipe. [`wait`](Child::wait) closes it.
    pub stdin: Option<ChildStdin>,
    /// Reads the child's standard output, where that is a pipe.
    pub stdout: Option<ChildStdout>,
    /// Reads the child's standard error, where that is a pipe.
    pub stderr: Option<ChildStderr>,
    watched: Watched,
}

impl Child {
    pub(super) fn adopt(mut child: std::process::Child, kill_on_drop: bool) -> io::Result<Self> {
        // Killed where it cannot be given to the caller, who hears that it was not started.
        let mut watched = Watched::adopt(child.id(), true);
        let stdin = child.stdin.take().map(ChildStdin::from_std).transpose()?;
        let stdout = child.stdout.take().map(ChildStdout::from_std).transpose()?;
        let stderr = child.stderr.take().map(ChildStderr::from_std).transpose()?;
        watched.kill_on_drop(kill_on_drop);
        Ok(Child { stdin, stdout, stderr, watched })
    }

    /// The process's id. Once the child was waited for, it may be another's.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::run;
    ///
    /// let mut command = Command::new("sh");
    /// let child = command.args(["-c", "echo $$"]).stdout(Stdio::piped()).spawn()?;
    /// let id = child.id();
    /// let output = run(async { child.wait_with_output().await })??;
    /// assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), id.to_string());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn id(&self) -> u32 {
        self.watched.pid()
    }

    /// Kills the process: it gets `SIGKILL`. [`wait`](Child::wait) says when it is gone.
    ///
    /// # Errors
    /// [`ProcessError::Ended`](super::ProcessError::Ended), where it was waited for before: its id is
    /// free for others then, and nobody is hit. One that has ended and was not waited for is no
    /// error. SUB-02.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// loopbind::run(async {
    ///     let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    ///     child.kill()?;
    ///     assert_eq!(child.wait().await?.signal(), Some(9));
    ///     assert!(child.kill().is_err()); // its id is free for others by now
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill(&mut self) -> io::Result<()> {
        self.send_signal(SignalKind::from_raw(libc::SIGKILL))
    }

    /// Sends the process a signal: asyncio's `send_signal`, and with
    /// [`SignalKind::terminate`] its `terminate`.
    ///
    /// # Errors
    /// As [`kill`](Child::kill); a [`SignalError`](crate::signal::SignalError) for what is no
    /// signal with a name.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::signal::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// loopbind::run(async {
    ///     let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    ///     child.send_signal(SignalKind::terminate())?;
    ///     assert_eq!(child.wait().await?.signal(), Some(15));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn send_signal(&mut self, kind: SignalKind) -> io::Result<()> {
        self.watched.send_signal(kind)
    }

    /// Waits for the end of the process, after closing its standard input: one that reads to the end
    /// would wait for ever otherwise. Gives the same answer again after that.
    ///
    /// A child that writes more than its pipes hold waits for its reader: read them meanwhile, or
    /// call [`wait_with_output`](Child::wait_with_output).
    ///
    /// # Errors
    /// [`ProcessError::AlreadyReaped`](super::ProcessError::AlreadyReaped), where somebody else took
    /// its status (SUB-07); [`LoopError::NoRunningLoop`](crate::LoopError::NoRunningLoop) outside of
    /// runs, unless the process has ended.
    ///
    /// # Cancel safety
    /// Dropping it leaves the process alone; wait again as often as you like. SUB-04, SUB-05.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use loopbind::run;
    ///
    /// run(async {
    ///     let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
    ///     assert_eq!(child.wait().await?.code(), Some(3));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.watched.poll_wait(cx)).await
    }

    /// How the process ended, if it has. Does not close its standard input.
    ///
    /// # Errors
    /// As [`wait`](Child::wait)'s; it needs no loop.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::run;
    ///
    /// run(async {
    ///     let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    ///     assert_eq!(child.try_wait()?, None); // it waits for input
    ///     let status = child.wait().await?;
    ///     assert_eq!(child.try_wait()?, Some(status));
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.watched.try_wait()
    }

    /// Reads all that the process writes to its pipes, both at once, and waits for its end.
    ///
    /// # Errors
    /// As [`wait`](Child::wait); the pipes'; [`OutOfMemory`](io::ErrorKind::OutOfMemory), where there is no memory for
    /// what it says.
    ///
    /// # Cancel safety
    /// Dropping it drops the child, and what was read.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::run;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo hi; echo oops >&2"]);
    /// let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    /// let output = run(async { child.wait_with_output().await })??;
    /// assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"hi\n"[..], &b"oops\n"[..]));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn wait_with_output(self) -> io::Result<Output> {
        self.communicate([]).await
    }

    /// Feeds `input` to the process, reads all that it writes to its pipes meanwhile, and waits for
    /// its end: asyncio's `communicate`. A process that does not read all of its input is no error.
    /// Without a pipe for it, the input goes nowhere. SUB-01, SUB-03.
    ///
    /// # Errors
    /// As [`wait_with_output`](Child::wait_with_output).
    ///
    /// # Cancel safety
    /// As [`wait_with_output`](Child::wait_with_output).
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::run;
    ///
    /// run(async {
    ///     let mut sort = Command::new("sort");
    ///     let child = sort.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    ///     assert_eq!(child.communicate("b\na\n").await?.stdout, b"a\nb\n");
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn communicate(mut self, input: impl AsRef<[u8]>) -> io::Result<Output> {
        let fed = feed(self.stdin.take(), input.as_ref());
        let drained = both(drain(self.stdout.take()), drain(self.stderr.take()));
        let ((), (stdout, stderr)) = both(fed, drained).await?;
        let status = self.wait().await?;
        Ok(Output { status, stdout, stderr })
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("id", &self.id())
            .field("stdin", &self.stdin)
            .field("stdout", &self.stdout)
            .field("stderr", &self.stderr)
            .finish_non_exhaustive()
    }
}
