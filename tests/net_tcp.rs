//! TCP: what is connected, read, written, shut down and handed over; and that none of it waits for ever.

#![cfg(feature = "macros")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::executor::block_on;
use futures::future::{join, try_join};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::net::{self, TcpListener, TcpSocket, TcpStream};
use loopbind::{EventLoop, loop_test, spawn, yield_now};
use rustix::net::SendFlags;
use sockets::{ANY, assert_waits, pair, refusing, std_pair};
use support::Trace;

/// Bytes that tell where they are.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at % 251) as u8 ^ (at >> 16) as u8).collect()
}

#[loop_test(timeout = "30s")]
async fn sent_both_ways_at_once_then_each_end_in_turn() -> io::Result<()> {
    let (client, server) = pair().await?;
    let sent = pattern(3 << 20);
    let send = |stream: TcpStream, bytes: Vec<u8>| async move {
        (&stream).write_all(&bytes).await?;
        (&stream).close().await
    };
    let receive = |stream: TcpStream| async move {
        let mut bytes = Vec::new();
        (&stream).read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    // Four tasks on two connections' ends; the buffers between them are smaller than what is sent.
    let up = spawn(send(client.clone(), sent.clone()));
    let down = spawn(send(server.clone(), sent.clone()));
    let (at_server, at_client) = (spawn(receive(server)), spawn(receive(client)));
    up.await.unwrap()?;
    down.await.unwrap()?;
    assert!(at_server.await.unwrap()? == sent);
    assert!(at_client.await.unwrap()? == sent);
    Ok(())
}

/// SRV-10: each address in turn, the last one's error with its name.
#[loop_test(timeout = "30s")]
async fn refused_then_accepted_by_the_next_address() -> io::Result<()> {
    let (_held, closed) = refusing()?;
    let (_held_too, last) = refusing()?;
    let listener = TcpListener::bind(ANY).await?;
    let open = listener.local_addr()?;
    let stream = TcpStream::connect([closed, open]).await?;
    assert_eq!(stream.peer_addr()?, open);

    let error = TcpStream::connect(&[closed, last][..]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert!(error.to_string().contains(&format!("cannot connect to {last}: ")), "{error}");
    let error = TcpSocket::new_v4()?.connect(closed).await.unwrap_err();
    assert!(error.to_string().contains(&closed.to_string()), "{error}");

    let none: [SocketAddr; 0] = [];
    assert_eq!(TcpStream::connect(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(TcpListener::bind(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let error = TcpListener::bind(open).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    Ok(())
}

/// Names go to the blocking pool, numbers do not; both may be borrowed from what is dropped meanwhile.
#[loop_test(timeout = "30s")]
async fn names_are_looked_up_and_numbers_are_not() -> io::Result<()> {
    let name = String::from("localhost");
    let found = net::lookup_host((name.as_str(), 7)).await?;
    assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 7));
    let at_once = futures::poll!(pin!(net::lookup_host("127.0.0.1:7")));
    assert!(at_once.is_ready(), "numbers need nobody's help");

    let error = net::lookup_host(("a\0b", 7)).await.unwrap_err();
    assert!(error.to_string().contains("cannot look up `a\0b`"), "{error}");
    let error = TcpStream::connect("no port").await.unwrap_err();
    assert_eq!(error.to_string(), "`no port` is not an address: write `host:port`");
    let listener = TcpListener::bind((name, 0)).await?;
    TcpStream::connect(("localhost", listener.local_addr()?.port())).await?;
    Ok(())
}

/// What a short read says: nothing more is there. It must not be believed when the end came with it.
#[loop_test(timeout = "30s")]
async fn data_and_end_together_or_apart_and_the_end_is_read() -> io::Result<()> {
    for order in ["together", "before the first read", "end after the read", "data in two parts"] {
        let trace = Trace::new();
        let (mut client, mut server) = pair().await?;
        let (note, probe) = (trace.clone(), server.clone());
        let heard = Rc::new(Cell::new(0));
        let count_of = Rc::clone(&heard);
        let reader = async move {
            let mut buffer = [0; 64];
            loop {
                let count = server.read(&mut buffer).await?;
                note.note(String::from_utf8_lossy(&buffer[..count]));
                count_of.set(count_of.get() + count);
                if count == 0 {
                    return Ok::<_, io::Error>(());
                }
            }
        };
        if order == "before the first read" {
            client.write_all(b"hello").await?;
            client.close().await?;
            // Both are there.
            let std = std::net::TcpStream::from(probe.as_fd().try_clone_to_owned()?);
            while std.peek(&mut [0; 64])? < 5 {}
        }
        let reading = spawn(reader);
        yield_now().await;
        match order {
            "together" => {
                client.write_all(b"hello").await?;
                client.close().await?;
            }
            "end after the read" => {
                client.write_all(b"hello").await?;
                while heard.get() == 0 {
                    yield_now().await;
                }
                client.close().await?;
            }
            "data in two parts" => {
                client.write_all(b"hel").await?;
                while heard.get() == 0 {
                    yield_now().await;
                }
                client.write_all(b"lo").await?;
                client.close().await?;
            }
            _ => {}
        }
        reading.await.unwrap()?;
        match order {
            "data in two parts" => trace.assert(&["hel", "lo", ""]),
            _ => trace.assert(&["hello", ""]),
        }
    }
    Ok(())
}

/// A read stops at urgent data, with more behind it: a short read that is not the last.
#[loop_test(timeout = "30s")]
async fn urgent_data_in_between_and_what_follows_is_read() -> io::Result<()> {
    let (mut client, server) = pair().await?;
    let reading = spawn(async move {
        let (mut heard, mut buffer) = (Vec::new(), [0; 64]);
        while heard.len() < 8 {
            let count = (&server).read(&mut buffer).await?;
            assert_ne!(count, 0);
            heard.extend_from_slice(&buffer[..count]);
        }
        Ok::<_, io::Error>(heard)
    });
    yield_now().await;
    client.write_all(b"four").await?;
    rustix::net::send(&client, b"!", SendFlags::OOB)?;
    client.write_all(b"more").await?;
    assert_eq!(reading.await.unwrap()?, b"fourmore");
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn vectored_writes_of_many_slices_are_read_into_many() -> io::Result<()> {
    let (client, server) = pair().await?;
    let sent = pattern(3000);
    // More than the system takes at once.
    let mut slices: Vec<_> = sent.chunks(1).map(IoSlice::new).collect();
    let mut slices = &mut slices[..];
    let writing = async {
        while !slices.is_empty() {
            let count = (&client).write_vectored(slices).await?;
            assert!((1..=1024).contains(&count), "{count}");
            IoSlice::advance_slices(&mut slices, count);
        }
        (&client).close().await
    };
    let reading = async {
        let mut heard = Vec::new();
        loop {
            let (mut head, mut tail) = ([0; 7], [0; 500]);
            let mut buffers = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut tail)];
            let count = (&server).read_vectored(&mut buffers).await?;
            heard.extend_from_slice(&head[..count.min(7)]);
            heard.extend_from_slice(&tail[..count.saturating_sub(7)]);
            if count == 0 {
                return Ok(heard);
            }
        }
    };
    let (_, heard) = try_join(writing, reading).await?;
    assert!(heard == sent);
    Ok(())
}

/// A call that fills all it can has left room, and is not taken for one that found no more.
#[loop_test(timeout = "30s")]
async fn vectored_reads_into_more_buffers_than_are_filled_at_once() -> io::Result<()> {
    let (client, server) = pair().await?;
    let sent = pattern(3000);
    (&client).write_all(&sent).await?;
    let mut heard = Vec::new();
    while heard.len() < sent.len() {
        let mut bytes = [0; 2000];
        let mut buffers: Vec<_> = bytes.chunks_mut(1).map(IoSliceMut::new).collect();
        let count = (&server).read_vectored(&mut buffers).await?;
        assert!((1..=1024).contains(&count), "{count}");
        heard.extend_from_slice(&bytes[..count]);
    }
    assert!(heard == sent);
    // Behind as many without room as are looked at in one call.
    (&client).write_all(b"word").await?;
    let mut word = [0; 8];
    let mut buffers: Vec<_> = (0..1500).map(|_| IoSliceMut::new(&mut [])).collect();
    buffers.push(IoSliceMut::new(&mut word));
    assert_eq!((&server).read_vectored(&mut buffers).await?, 4);
    assert_eq!(&word[..4], b"word");
    Ok(())
}

/// Outside of runs what is there is read to the end: nobody would correct what a short read makes
/// believe, so it is tried.
#[test]
fn read_to_the_end_without_a_loop() -> io::Result<()> {
    let (mut client, server) = std_pair()?;
    let mut server = TcpStream::from_std(server)?;
    client.write_all(b"hello")?;
    drop(client);
    let mut heard = Vec::new();
    block_on(server.read_to_end(&mut heard))?;
    assert_eq!(heard, b"hello");

    // The same where a loop knows it, and does not run.
    let event_loop = EventLoop::new()?;
    let (mut client, server) = std_pair()?;
    let mut server = TcpStream::from_std(server)?;
    let mut buffer = [0; 8];
    event_loop.run_until_complete(async { assert_waits(&mut server.read(&mut buffer)).await })?;
    client.write_all(b"hello")?;
    drop(client);
    let mut heard = Vec::new();
    block_on(server.read_to_end(&mut heard))?;
    assert_eq!(heard, b"hello");
    Ok(())
}

/// STR-01: a read of nothing is ready at once, with nothing.
#[loop_test(timeout = "30s")]
async fn a_read_of_nothing_and_a_write_of_nothing_are_ready_at_once() -> io::Result<()> {
    let (mut client, mut server) = pair().await?;
    assert_eq!(server.read(&mut []).await?, 0);
    assert_eq!(server.read_vectored(&mut []).await?, 0);
    assert_eq!(server.peek(&mut []).await?, 0);
    assert_eq!(client.write(&[]).await?, 0);
    assert_eq!(client.write_vectored(&[]).await?, 0);
    client.flush().await
}

/// A peek waits as a read does, also where one has just been told that nothing is there.
#[loop_test(timeout = "30s")]
async fn peeked_then_read_then_peeked_again() -> io::Result<()> {
    let (mut client, mut server) = pair().await?;
    let (mut peeked, mut read) = ([0; 8], [0; 8]);
    for word in [b"one", b"two"] {
        {
            let mut peek = pin!(server.peek(&mut peeked));
            assert_waits(&mut peek).await;
            client.write_all(word).await?;
            assert_eq!(peek.await?, 3);
        }
        assert_eq!(server.peek(&mut peeked).await?, 3);
        assert_eq!(server.read(&mut read).await?, 3);
        assert_eq!((&peeked[..3], &read[..3]), (&word[..], &word[..]));
    }
    Ok(())
}

/// IO-08: a read that is given up has read nothing, and does no harm to the next.
#[loop_test(timeout = "30s")]
async fn a_read_given_up_then_data_then_the_next_read_has_it_all() -> io::Result<()> {
    let (mut client, mut server) = pair().await?;
    let mut buffer = [0; 8];
    for _ in 0..3 {
        assert_waits(&mut server.read(&mut buffer)).await;
    }
    client.write_all(b"whole").await?;
    assert_eq!(server.read(&mut buffer).await?, 5);

    let listener = TcpListener::bind(ANY).await?;
    for _ in 0..3 {
        assert_waits(&mut pin!(listener.accept())).await;
    }
    let client = std::net::TcpStream::connect(listener.local_addr()?)?;
    assert_eq!(listener.accept().await?.1, client.local_addr()?);
    Ok(())
}

/// `close` ends the writing half alone; `shutdown` wakes who waits, whatever handle asked for it.
#[loop_test(timeout = "30s")]
async fn half_closed_then_answered_then_shut_down_under_a_waiting_read() -> io::Result<()> {
    let (mut client, mut server) = pair().await?;
    client.write_all(b"question").await?;
    client.close().await?;
    client.close().await?;
    let mut heard = String::new();
    server.read_to_string(&mut heard).await?;
    assert_eq!(heard, "question");
    let error = client.write(b"more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);

    let mut buffer = [0; 8];
    let other = server.clone();
    server.write_all(b"answer").await?;
    assert_eq!(client.read(&mut buffer).await?, 6);
    {
        let mut read = client.read(&mut buffer);
        assert_waits(&mut read).await;
        other.shutdown(Shutdown::Write)?;
        assert_eq!(read.await?, 0);
    }
    let (_client, mut server) = pair().await?;
    let other = server.clone();
    let mut read = server.read(&mut buffer);
    assert_waits(&mut read).await;
    other.shutdown(Shutdown::Read)?;
    assert_eq!(read.await?, 0);
    Ok(())
}

/// A handle cannot be turned into std's while others use the connection; the last one can.
#[loop_test(timeout = "30s")]
async fn handed_over_to_std_and_back() -> io::Result<()> {
    let (client, server) = pair().await?;
    let clone = client.clone();
    let error = clone.into_std().unwrap_err();
    assert!(error.to_string().contains("1 more of its clones exist"), "{error}");

    let mut std = client.into_std()?;
    let error = std.read(&mut [0; 1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "it stays non-blocking");
    std.write_all(b"std")?;
    let mut buffer = [0; 3];
    (&server).read_exact(&mut buffer).await?;
    let client = TcpStream::try_from(std)?;
    (&server).write_all(b"back").await?;
    let mut buffer = [0; 4];
    (&client).read_exact(&mut buffer).await?;
    let std = std::net::TcpStream::try_from(server)?;
    assert_eq!(std.peer_addr()?, client.local_addr()?);

    let listener = TcpListener::bind(ANY).await?;
    let address = listener.local_addr()?;
    assert_waits(&mut pin!(listener.accept())).await;
    let listener = std::net::TcpListener::try_from(listener)?;
    assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    let listener = TcpListener::try_from(listener)?;
    join(TcpStream::connect(address), listener.accept()).await.0?;

    let (left, right) = std_pair()?;
    (&left).write_all(b"x")?;
    assert_eq!(TcpStream::from_std(right)?.read(&mut [0; 2]).await?, 1);
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn options_are_the_systems() -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_nodelay(true)?;
    socket.set_reuse_address(true)?;
    socket.set_keepalive(Some(Duration::from_secs(60)))?;
    socket.set_keepalive(None)?;
    socket.set_linger(Some(Duration::from_secs(1)))?;
    socket.set_send_buffer_size(50_000)?;
    socket.set_recv_buffer_size(60_000)?;
    assert!(socket.send_buffer_size()? >= 50_000 && socket.recv_buffer_size()? >= 60_000);
    let listener = TcpListener::bind(ANY).await?;
    listener.set_ttl(65)?;
    assert_eq!(listener.ttl()?, 65);
    let stream = socket.connect(listener.local_addr()?).await?;
    assert!(stream.nodelay()?);
    stream.set_nodelay(false)?;
    assert!(!stream.nodelay()?);
    assert_eq!(stream.linger()?, Some(Duration::from_secs(1)));
    stream.set_linger(None)?;
    assert_eq!(stream.linger()?, None);
    stream.set_ttl(66)?;
    assert_eq!(stream.ttl()?, 66);
    assert!(stream.take_error()?.is_none() && listener.take_error()?.is_none());
    assert_eq!(stream.as_fd().as_raw_fd(), stream.as_raw_fd());
    assert!(format!("{stream:?}").contains(&stream.peer_addr()?.to_string()));
    assert!(format!("{listener:?}").contains(&listener.local_addr()?.to_string()));

    let v6 = TcpSocket::new_v6();
    if let Ok(v6) = v6 {
        v6.set_only_v6(true)?;
    }
    let error = TcpSocket::new_v4()?.bind(listener.local_addr()?).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&listener.local_addr()?.to_string()), "{error}");
    Ok(())
}

/// SRV-07: connections that wait are taken in portions, and the loop has its turn in between.
#[loop_test(timeout = "60s")]
async fn a_storm_of_connections_and_the_others_have_their_turns() -> io::Result<()> {
    let listener = TcpListener::bind(ANY).await?;
    let to = listener.local_addr()?;
    let clients: io::Result<Vec<_>> = (0..200).map(|_| std::net::TcpStream::connect(to)).collect();
    let clients = clients?;
    let turns = Rc::new(RefCell::new(vec![0]));
    let counting = Rc::clone(&turns);
    let accepting = spawn(async move {
        for _ in 0..200 {
            listener.accept().await?;
            *counting.borrow_mut().last_mut().unwrap() += 1;
        }
        Ok::<_, io::Error>(())
    });
    while !accepting.is_finished() {
        yield_now().await;
        turns.borrow_mut().push(0);
    }
    accepting.await.unwrap()?;
    let turns: Vec<_> = turns.take().into_iter().filter(|&count| count > 0).collect();
    assert_eq!(turns, [64, 64, 64, 8]);
    drop(clients);
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn incoming_gives_connections_in_order_without_end() -> io::Result<()> {
    let listener = TcpListener::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
    let mut incoming = listener.incoming();
    assert_waits(&mut incoming.next()).await;
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(std::net::TcpStream::connect(listener.local_addr()?)?);
    }
    for client in &clients {
        let stream = incoming.next().await.unwrap()?;
        assert_eq!(stream.peer_addr()?, client.local_addr()?);
    }
    assert_waits(&mut incoming.next()).await;
    Ok(())
}

/// A slow reader: what is written and not read is bounded by the system's buffers, and the writer waits.
#[loop_test(timeout = "30s")]
async fn a_slow_reader_holds_the_writer_back() -> io::Result<()> {
    let (client, mut server) = pair().await?;
    let written = Rc::new(RefCell::new(0));
    let count = Rc::clone(&written);
    let writer = client.clone();
    let writing = spawn(async move {
        let block = vec![7; 64 << 10];
        for _ in 0..512 {
            (&writer).write_all(&block).await?;
            *count.borrow_mut() += block.len();
        }
        (&writer).close().await
    });
    // Nobody reads: it stops by itself.
    let mut before = usize::MAX;
    while before != *written.borrow() {
        before = *written.borrow();
        for _ in 0..100 {
            yield_now().await;
        }
    }
    assert!(before < 32 << 20, "{before} bytes were written and not read");
    assert!(!writing.is_finished());
    let mut all = Vec::new();
    server.read_to_end(&mut all).await?;
    assert_eq!(all.len(), 32 << 20);
    writing.await.unwrap()
}

/// A reset is read as an error, by every handle, and not as an end.
#[loop_test(timeout = "30s")]
async fn reset_while_waiting_then_reset_at_once() -> io::Result<()> {
    for waits in [true, false] {
        let (client, mut server) = pair().await?;
        server.write_all(b"never read").await?;
        let mut buffer = [0; 8];
        client.set_linger(Some(Duration::ZERO))?;
        let error = if waits {
            let mut read = server.read(&mut buffer);
            assert_waits(&mut read).await;
            drop(client);
            read.await.unwrap_err()
        } else {
            drop(client);
            server.readable().await?;
            server.read(&mut buffer).await.unwrap_err()
        };
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "waits: {waits}");
        // There is nobody to be told, and nothing wrong with that.
        server.close().await?;
    }
    Ok(())
}
