//! Unix sockets: by path, by abstract name, in pairs; and the two waits of theirs that no event ends.

#![cfg(feature = "macros")]
#![cfg(all(target_os = "linux", feature = "macros"))]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;

use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::net::{UnixDatagram, UnixListener, UnixStream};
use loopbind::{loop_test, spawn, yield_now};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use sockets::assert_waits;

/// A path of this test's, free, and free again when it drops.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let file = format!("loopbind-net-unix-{}-{name}", std::process::id());
        Place(std::env::temp_dir().join(file))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn abstract_name(name: &str) -> SocketAddr {
    SocketAddr::from_abstract_name(format!("loopbind-{}-{name}", std::process::id())).unwrap()
}

#[loop_test(timeout = "30s")]
async fn a_pair_talks_both_ways_and_hears_the_end() -> io::Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    let block = vec![5; 1 << 20];
    let sent = block.clone();
    let writing = spawn(async move {
        left.write_all(&sent).await?;
        left.close().await?;
        let mut answer = String::new();
        left.read_to_string(&mut answer).await?;
        Ok::<_, io::Error>(answer)
    });
    let mut heard = Vec::new();
    right.read_to_end(&mut heard).await?;
    assert!(heard == block);
    let words = [IoSlice::new(b"than"), IoSlice::new(b"ks")];
    assert_eq!(right.write_vectored(&words).await?, 6);
    right.shutdown(Shutdown::Write)?;
    assert_eq!(writing.await.unwrap()?, "thanks");
    assert_eq!(right.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn listened_at_a_path_and_at_an_abstract_name() -> io::Result<()> {
    let place = Place::new("listener");
    let by_path = SocketAddr::from_pathname(&place.0)?;
    for address in [by_path, abstract_name("listener")] {
        let listener = UnixListener::bind_addr(&address)?;
        assert_waits(&mut pin!(listener.accept())).await;
        let mut client = UnixStream::connect_addr(&address).await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"x").await?;
        assert_eq!(server.read(&mut [0; 8]).await?, 1);
        assert_eq!(format!("{:?}", client.peer_addr()?), format!("{:?}", listener.local_addr()?));
        let peer = server.peer_cred()?;
        assert_eq!(peer.pid, std::process::id() as i32);
        assert_eq!(
            (peer.uid, peer.gid),
            (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
        );
        let error = UnixListener::bind_addr(&address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let mut incoming = listener.incoming();
        let _second = UnixStream::connect_addr(&address).await?;
        incoming.next().await.unwrap()?;
        assert_waits(&mut incoming.next()).await;
        drop(incoming);
        drop(listener);
        let error = UnixStream::connect_addr(&address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
    Ok(())
}

/// What is wrong with a path is told with the path.
#[loop_test(timeout = "30s")]
async fn errors_name_the_path() -> io::Result<()> {
    let missing = Place::new("missing");
    let error = UnixStream::connect(&missing.0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains(&missing.0.display().to_string()), "{error}");
    let long = "x".repeat(200);
    for error in [
        UnixStream::connect(&long).await.unwrap_err(),
        UnixListener::bind(&long).unwrap_err(),
        UnixDatagram::bind(&long).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&long), "{error}");
    }
    Ok(())
}

/// A read stops behind a message that came with descriptors, with more behind it: a short read of a
/// Unix socket says nothing.
#[loop_test(timeout = "30s")]
async fn descriptors_came_along_and_what_follows_is_read() -> io::Result<()> {
    let (mut left, mut right) = UnixStream::pair()?;
    let reading = spawn(async move {
        let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
        while heard.len() < 8 {
            let count = right.read(&mut buffer).await?;
            assert_ne!(count, 0);
            heard.extend_from_slice(&buffer[..count]);
        }
        Ok::<_, io::Error>(heard)
    });
    yield_now().await;
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let fds = [left.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    rustix::net::sendmsg(&left, &[IoSlice::new(b"four")], &mut control, SendFlags::empty())?;
    left.write_all(b"more").await?;
    assert_eq!(reading.await.unwrap()?, b"fourmore");
    Ok(())
}

/// The queue of a listener is full: no event tells when it is not. Who connects is let in all the same.
#[loop_test(timeout = "30s")]
async fn the_listeners_queue_is_full_then_one_is_taken_and_the_next_comes_in() -> io::Result<()> {
    let address = abstract_name("full");
    let listener = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    let name = [&[0], address.as_abstract_name().unwrap()].concat();
    let name = std::str::from_utf8(&name).unwrap();
    listener.bind(&socket2::SockAddr::unix(name)?)?;
    listener.listen(0)?;
    let listener = UnixListener::from_std(listener.into())?;
    let mut queued = Vec::new();
    let mut next = loop {
        let to = address.clone();
        let mut connecting = spawn(async move { UnixStream::connect_addr(&to).await });
        yield_now().await;
        yield_now().await;
        match connecting.try_result() {
            Some(stream) => queued.push(stream.unwrap()?),
            None => break connecting,
        }
        assert!(queued.len() < 100, "the queue has no end");
    };
    assert_waits(&mut next.join()).await;
    listener.accept().await?;
    next.await.unwrap()?;
    Ok(())
}

/// Likewise the queue of who receives datagrams, connected or not; and no datagram is lost.
#[loop_test(timeout = "30s")]
async fn the_receivers_queue_is_full_then_drained_and_everything_arrives() -> io::Result<()> {
    for connected in [true, false] {
        let address = abstract_name(if connected { "connected" } else { "unconnected" });
        let receiver = UnixDatagram::bind_addr(&address)?;
        let sender = UnixDatagram::unbound()?;
        if connected {
            sender.connect_addr(&address)?;
        }
        let sending = spawn(async move {
            for round in 0..2_000_u32 {
                match connected {
                    true => sender.send(&round.to_ne_bytes()).await?,
                    false => sender.send_to_addr(&round.to_ne_bytes(), &address).await?,
                };
            }
            Ok::<_, io::Error>(())
        });
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(!sending.is_finished(), "the queue has an end");
        let mut buffer = [0; 8];
        for round in 0..2_000_u32 {
            assert_eq!(receiver.recv(&mut buffer).await?, 4);
            assert_eq!(buffer[..4], round.to_ne_bytes());
        }
        sending.await.unwrap()?;
    }
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn datagrams_by_path_answered_by_address() -> io::Result<()> {
    let (here, there) = (Place::new("here"), Place::new("there"));
    let (left, right) = (UnixDatagram::bind(&here.0)?, UnixDatagram::bind(&there.0)?);
    let mut buffer = [0; 64];
    {
        let mut receive = pin!(right.recv_from(&mut buffer));
        assert_waits(&mut receive).await;
        left.send_to(b"ping", &there.0).await?;
        let (count, from) = receive.await?;
        assert_eq!((count, from.as_pathname()), (4, Some(&*here.0)));
    }
    right.connect(&here.0)?;
    assert_eq!(right.peer_addr()?.as_pathname(), Some(&*here.0));
    right.send(b"pong!").await?;
    left.readable().await?;
    assert_eq!(left.recv(&mut buffer).await?, 5);
    drop(left);
    let error = right.send(b"anybody?").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    let error = right.connect(Place::new("nobody").0.clone()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn handed_over_to_std_and_back() -> io::Result<()> {
    let (left, right) = UnixStream::pair()?;
    let clone = left.clone();
    assert!(clone.into_std().unwrap_err().to_string().contains("clones exist"));
    assert_waits(&mut (&left).read(&mut [0; 8])).await;
    let left = std::os::unix::net::UnixStream::try_from(left)?;
    let mut left = UnixStream::try_from(left)?;
    (&right).write_all(b"x").await?;
    assert_eq!(left.read(&mut [0; 8]).await?, 1);
    assert!(left.take_error()?.is_none() && left.local_addr()?.is_unnamed());
    assert_eq!(left.as_fd().as_raw_fd(), left.as_raw_fd());

    let (left, right) = UnixDatagram::pair()?;
    assert_waits(&mut pin!(left.recv(&mut [0; 8]))).await;
    let left = UnixDatagram::try_from(std::os::unix::net::UnixDatagram::try_from(left)?)?;
    right.send(b"").await?;
    assert_eq!(left.recv(&mut [0; 8]).await?, 0);
    right.shutdown(Shutdown::Both)?;
    assert!(right.take_error()?.is_none() && right.local_addr()?.is_unnamed());

    let listener = UnixListener::bind_addr(&abstract_name("std"))?;
    let listener = std::os::unix::net::UnixListener::try_from(listener)?;
    let listener = UnixListener::try_from(listener)?;
    UnixStream::connect_addr(&listener.local_addr()?).await?;
    assert!(listener.take_error()?.is_none());
    listener.accept().await?;
    Ok(())
}

/// Who connects is named as it named itself: not at all, by a path, by an abstract name.
#[test]
fn accepted_and_the_other_side_has_its_name() {
    let number = std::process::id();
    let path = std::env::temp_dir().join(format!("loopbind-named-{number}"));
    let name = |what| {
        SocketAddr::from_abstract_name(format!("loopbind-{what}-{number}").as_bytes()).unwrap()
    };
    let to = name("listener");
    loopbind::run(async {
        let listener = UnixListener::bind_addr(&to).unwrap();
        let from_path = SocketAddr::from_pathname(&path).unwrap();
        for from in [None, Some(from_path), Some(name("client"))] {
            let kind = socket2::Type::STREAM;
            let socket = socket2::Socket::new(socket2::Domain::UNIX, kind, None).unwrap();
            if let Some(path) = from.as_ref().and_then(SocketAddr::as_pathname) {
                socket.bind(&socket2::SockAddr::unix(path).unwrap()).unwrap();
            } else if let Some(name) = from.as_ref().and_then(SocketAddr::as_abstract_name) {
                let name = [&[0], name].concat();
                let name = std::ffi::OsStr::from_bytes(&name);
                socket.bind(&socket2::SockAddr::unix(name).unwrap()).unwrap();
            }
            let name = to.as_abstract_name().unwrap();
            let address = rustix::net::SocketAddrUnix::new_abstract_name(name).unwrap();
            rustix::net::connect(&socket, &address).unwrap();
            let (_, peer) = listener.accept().await.unwrap();
            match from {
                None => assert!(peer.is_unnamed(), "{peer:?}"),
                Some(from) => {
                    assert_eq!(peer.as_pathname(), from.as_pathname());
                    assert_eq!(peer.as_abstract_name(), from.as_abstract_name());
                }
            }
        }
    })
    .unwrap();
    std::fs::remove_file(&path).unwrap();
}
