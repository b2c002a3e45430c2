//! What tokio lends a loop that it drives: its reactor's eyes, and its timer.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use loopbind::Host;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Sleep;

/// Made and polled on tokio's thread.
#[derive(Default)]
pub(crate) struct TokioHost {
    seen: Option<AsyncFd<OwnedFd>>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Host for TokioHost {
    fn poll_readable(&mut self, fd: BorrowedFd<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let seen = match &mut self.seen {
            Some(seen) => seen,
            None => {
                // A descriptor of our own for the same thing: tokio keeps it as long as it likes.
                let fd = fd.try_clone_to_owned()?;
                // SAFETY: an `OwnedFd` names the same descriptor until it is dropped.
                let seen = unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE)? };
                self.seen.insert(seen)
            }
        };
        let mut guard = ready!(seen.poll_read_ready(cx))?;
        guard.clear_ready();
        Poll::Ready(Ok(()))
    }

    fn poll_deadline(&mut self, at: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let at = tokio::time::Instant::from_std(at);
        let sleep = match &mut self.sleep {
            Some(sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            None => self.sleep.insert(Box::pin(tokio::time::sleep_until(at))),
        };
        sleep.as_mut().poll(cx)
    }
}
