//! Both ends of a child's pipes at once, so that neither it nor we wait for the other for ever.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

/// Read at least this much at once.
const CHUNK: usize = 32 * 1024;

/// Writes all of `input`, and closes. Who does not want it all is no error: SUB-03.
pub(super) async fn feed(pipe: Option<impl AsyncWrite + Unpin>, input: &[u8]) -> io::Result<()> {
    let Some(mut pipe) = pipe else { return Ok(()) };
    let mut left = input;
    while !left.is_empty() {
        match poll_fn(|cx| Pin::new(&mut pipe).poll_write(cx, left)).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => left = &left[written..],
            Err(error) => match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => return Ok(()),
                _ => return Err(error),
            },
        }
    }
    Ok(())
}

/// Reads to the end. How much that is, the other side decides: what there is no memory for is an error.
pub(super) async fn drain(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let Some(mut pipe) = pipe else { return Ok(all) };
    let mut filled = 0;
    poll_fn(|cx| {
        loop {
            if all.len() - filled < CHUNK {
                let wanted = filled + CHUNK.max(filled);
                if all.try_reserve_exact(wanted - all.len()).is_err() {
                    let text = format!("no memory for more than {filled} bytes of output");
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::OutOfMemory, text)));
                }
                all.resize(wanted, 0);
            }
            match ready!(Pin::new(&mut pipe).poll_read(cx, &mut all[filled..])) {
                Ok(0) => return Poll::Ready(Ok(())),
                Ok(read) => filled += read,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    })
    .await?;
    all.truncate(filled);
    Ok(all)
}

/// Both, or the first error.
pub(super) async fn both<A, B>(
    first: impl Future<Output = io::Result<A>>,
    second: impl Future<Output = io::Result<B>>,
) -> io::Result<(A, B)> {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(|cx| {
        if a.is_none() {
            if let Poll::Ready(done) = first.as_mut().poll(cx) {
                a = Some(done?);
            }
        }
        if b.is_none() {
            if let Poll::Ready(done) = second.as_mut().poll(cx) {
                b = Some(done?);
            }
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready(Ok((a, b))),
            (left, right) => {
                (a, b) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}
