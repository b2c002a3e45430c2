//! tokio's traits beside those of `futures-io`, for whatever has these: codecs, TLS and protocols made for
//! tokio work on sockets of ours, under any executor.

use std::io::{self, IoSlice, Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Async, Stderr, Stdin, Stdout};
use crate::net::{TcpStream, UnixStream};
use crate::process::{ChildStderr, ChildStdin, ChildStdout};

/// In parentheses: generics, and bounds.
macro_rules! reads {
    ($(($($generics:tt)*) $name:ty, ($($bounds:tt)*);)*) => {$(
        impl<$($generics)*> AsyncRead for $name $($bounds)* {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let free = buffer.initialize_unfilled();
                let read = ready!(futures_io::AsyncRead::poll_read(self, cx, free))?;
                buffer.advance(read);
                Poll::Ready(Ok(()))
            }
        }
    )*};
}

/// In parentheses: generics, and bounds. Where a stream takes several buffers at once, it says so.
macro_rules! writes {
    ($(($($generics:tt)*) $name:ty, ($($bounds:tt)*), $vectored:literal;)*) => {$(
        impl<$($generics)*> AsyncWrite for $name $($bounds)* {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write(self, cx, buffer)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buffers: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                futures_io::AsyncWrite::poll_write_vectored(self, cx, buffers)
            }

            fn is_write_vectored(&self) -> bool {
                $vectored
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_flush(self, cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                futures_io::AsyncWrite::poll_close(self, cx)
            }
        }
    )*};
}

reads! {
    () TcpStream, ();
    () &TcpStream, ();
    () UnixStream, ();
    () &UnixStream, ();
    () Stdin, ();
    () ChildStdout, ();
    () ChildStderr, ();
    (T: AsFd) Async<T>, (where for<'a> &'a T: Read);
    (T: AsFd) &Async<T>, (where for<'a> &'a T: Read);
}

writes! {
    () TcpStream, (), true;
    () &TcpStream, (), true;
    () UnixStream, (), true;
    () &UnixStream, (), true;
    () Stdout, (), false;
    () Stderr, (), false;
    () ChildStdin, (), false;
    (T: AsFd) Async<T>, (where for<'a> &'a T: Write), true;
    (T: AsFd) &Async<T>, (where for<'a> &'a T: Write), true;
}
