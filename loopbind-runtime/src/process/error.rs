//! What can go wrong with a child, beyond what the system says.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

/// Why something could not be done with a process: inside of the [`io::Error`] that says so.
///
/// ```
/// use loopbind::process::{Command, ProcessError};
///
/// let error = Command::new("no-such-program").spawn().unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// assert!(error.to_string().starts_with("cannot run \"no-such-program\": "));
/// let why = error.get_ref().unwrap().downcast_ref::<ProcessError>();
/// assert!(matches!(why, Some(ProcessError::Spawn { program, .. }) if program == "no-such-program"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessError {
    /// The program was not started. Its directory is named where it was given one, because a
    /// directory that is missing gives the same error as a program that is. SUB-12.
    #[error("cannot run {program:?}{}: {source}", In(.directory))]
    Spawn {
        /// The program.
        program: OsString,
        /// Where it was to run, if that was said.
        directory: Option<PathBuf>,
        /// The system's error.
        source: io::Error,
    },
    /// It has ended, and its status was given out: nobody is there to get a signal. SUB-02.
    #[error("process {pid} has ended")]
    Ended {
        /// Its id, which may be another process's by now.
        pid: u32,
    },
    /// Its status is lost: somebody else in this program waits for children that are not theirs, or
    /// has `SIGCHLD` ignored. SUB-07.
    #[error("the exit status of process {pid} was taken by somebody else in this program")]
    AlreadyReaped {
        /// Its id, which may be another process's by now.
        pid: u32,
    },
}

impl From<ProcessError> for io::Error {
    fn from(error: ProcessError) -> Self {
        let kind = match &error {
            ProcessError::Spawn { source, .. } => source.kind(),
            ProcessError::Ended { .. } | ProcessError::AlreadyReaped { .. } => {
                io::ErrorKind::NotFound
            }
        };
        io::Error::new(kind, error)
    }
}

/// "` in `" and the directory.
struct In<'a>(&'a Option<PathBuf>);

impl std::fmt::Display for In<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(directory) => write!(f, " in {directory:?}"),
            None => Ok(()),
        }
    }
}
