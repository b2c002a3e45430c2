//! UDP: datagrams arrive whole, from whom they say, and what cannot be sent is an error.

#![cfg(feature = "macros")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};
use std::pin::pin;

use futures::future::join;
use loopbind::net::UdpSocket;
use loopbind::{loop_test, spawn};
use sockets::{ANY, assert_waits, refusing};

async fn two() -> io::Result<(UdpSocket, UdpSocket)> {
    Ok((UdpSocket::bind(ANY).await?, UdpSocket::bind(ANY).await?))
}

/// DGM-01.
#[loop_test(timeout = "30s")]
async fn sent_to_anybody_then_connected_and_the_others_are_not_heard() -> io::Result<()> {
    let (left, right) = two().await?;
    let stranger = UdpSocket::bind(ANY).await?;
    let mut buffer = [0; 64];
    {
        let mut receive = pin!(right.recv_from(&mut buffer));
        assert_waits(&mut receive).await;
        assert_eq!(left.send_to(b"ping", right.local_addr()?).await?, 4);
        assert_eq!(receive.await?, (4, left.local_addr()?));
    }
    assert_eq!(&buffer[..4], b"ping");

    left.connect(right.local_addr()?).await?;
    assert_eq!(left.peer_addr()?, right.local_addr()?);
    assert_eq!(right.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    stranger.send_to(b"hey", left.local_addr()?).await?;
    right.send_to(b"pong", left.local_addr()?).await?;
    assert_eq!(left.recv(&mut buffer).await?, 4);
    assert_eq!(&buffer[..4], b"pong");
    assert_waits(&mut pin!(left.recv(&mut buffer))).await;
    Ok(())
}

/// Truncated, of no bytes, as long as may be, too long.
#[loop_test(timeout = "30s")]
async fn datagrams_of_every_length_arrive_whole_or_not_at_all() -> io::Result<()> {
    let (left, right) = two().await?;
    left.connect(right.local_addr()?).await?;
    let mut buffer = vec![0; 70_000];
    for length in [0, 1, 1500, 65_507] {
        assert_eq!(left.send(&vec![7; length]).await?, length);
        assert_eq!(right.recv(&mut buffer).await?, length);
    }
    let error = left.send(&buffer[..65_508]).await.unwrap_err();
    assert_eq!(error.raw_os_error(), Some(90), "EMSGSIZE: {error}");
    left.send(b"truncated").await?;
    left.send(b"next").await?;
    assert_eq!(right.recv(&mut buffer[..5]).await?, 5);
    assert_eq!(&buffer[..5], b"trunc");
    assert_eq!(right.recv(&mut buffer).await?, 4, "the rest is lost");
    Ok(())
}

#[loop_test(timeout = "30s")]
async fn peeked_then_received() -> io::Result<()> {
    let (left, right) = two().await?;
    let mut buffer = [0; 64];
    for round in 0..2 {
        {
            let mut peek = pin!(right.peek_from(&mut buffer));
            assert_waits(&mut peek).await;
            left.send_to(b"word", right.local_addr()?).await?;
            assert_eq!(peek.await?, (4, left.local_addr()?), "round {round}");
        }
        assert_eq!(right.peek(&mut buffer).await?, 4);
        right.readable().await?;
        assert_eq!(right.recv(&mut buffer).await?, 4);
    }
    Ok(())
}

/// A datagram that finds nobody is heard of by the next call.
#[loop_test(timeout = "30s")]
async fn refused_while_waiting_then_the_socket_goes_on() -> io::Result<()> {
    // An address nobody else here uses: once it is free, it stays so.
    let (left, right) = (UdpSocket::bind(ANY).await?, UdpSocket::bind("127.0.0.5:0").await?);
    let to = right.local_addr()?;
    left.connect(to).await?;
    let from = left.local_addr()?;
    drop(right);
    let mut buffer = [0; 64];
    {
        let mut receive = pin!(left.recv(&mut buffer));
        assert_waits(&mut receive).await;
        left.send(b"anybody?").await?;
        assert_eq!(receive.await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    let right = UdpSocket::bind(to).await?;
    right.send_to(b"me", from).await?;
    assert_eq!(left.recv(&mut buffer).await?, 2);
    Ok(())
}

/// The same, heard of by each of the other calls: once, and the socket goes on.
#[loop_test(timeout = "30s")]
async fn refused_then_told_to_whoever_calls_next() -> io::Result<()> {
    let (left, right) = (UdpSocket::bind(ANY).await?, UdpSocket::bind("127.0.0.6:0").await?);
    let to = right.local_addr()?;
    left.connect(to).await?;
    drop(right);
    let mut buffer = [0; 64];
    for call in ["send", "recv", "recv_from", "peek", "take_error"] {
        left.send(b"anybody?").await?;
        // On this machine's own network the answer is there by now, and makes the socket readable.
        left.readable().await?;
        let refused = match call {
            "send" => left.send(b"anybody?").await.unwrap_err(),
            "recv" => left.recv(&mut buffer).await.unwrap_err(),
            "recv_from" => left.recv_from(&mut buffer).await.unwrap_err(),
            "peek" => left.peek(&mut buffer).await.unwrap_err(),
            _ => left.take_error()?.unwrap(),
        };
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{call}");
        assert!(left.take_error()?.is_none(), "told once: {call}");
        assert_waits(&mut pin!(left.recv(&mut buffer))).await;
    }
    let right = UdpSocket::bind(to).await?;
    left.send(b"there?").await?;
    assert_eq!(right.recv_from(&mut buffer).await?, (6, left.local_addr()?));
    right.send_to(b"yes", left.local_addr()?).await?;
    assert_eq!(left.recv(&mut buffer).await?, 3);
    Ok(())
}

/// Two tasks, one socket: one sends while the other receives.
#[loop_test(timeout = "30s")]
async fn sends_while_it_receives() -> io::Result<()> {
    let (left, right) = two().await?;
    left.connect(right.local_addr()?).await?;
    right.connect(left.local_addr()?).await?;
    let echo = spawn(async move {
        let mut buffer = [0; 64];
        for _ in 0..200 {
            let count = right.recv(&mut buffer).await?;
            right.send(&buffer[..count]).await?;
        }
        Ok::<_, io::Error>(())
    });
    let send = async {
        for round in 0..200_u32 {
            left.send(&round.to_ne_bytes()).await?;
            loopbind::yield_now().await;
        }
        Ok::<_, io::Error>(())
    };
    let receive = async {
        let mut buffer = [0; 64];
        for round in 0..200_u32 {
            assert_eq!(left.recv(&mut buffer).await?, 4);
            assert_eq!(buffer[..4], round.to_ne_bytes());
        }
        Ok::<_, io::Error>(())
    };
    let (sent, received) = join(send, receive).await;
    sent.and(received)?;
    echo.await.unwrap()
}

#[loop_test(timeout = "30s")]
async fn options_addresses_and_std() -> io::Result<()> {
    let socket = UdpSocket::bind(ANY).await?;
    assert!(!socket.broadcast()?);
    socket.set_broadcast(true)?;
    assert!(socket.broadcast()?);
    socket.set_ttl(7)?;
    assert_eq!(socket.ttl()?, 7);
    socket.set_multicast_loop_v4(false)?;
    assert!(!socket.multicast_loop_v4()?);
    socket.set_multicast_ttl_v4(3)?;
    assert_eq!(socket.multicast_ttl_v4()?, 3);
    assert!(socket.take_error()?.is_none());
    assert_eq!(socket.as_fd().as_raw_fd(), socket.as_raw_fd());

    let address = socket.local_addr()?;
    let error = UdpSocket::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&format!("cannot bind {address}")), "{error}");
    let none: [SocketAddr; 0] = [];
    assert_eq!(UdpSocket::bind(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(socket.connect(none).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (_held, tcp) = refusing()?;
    socket.connect([tcp]).await?;

    assert_waits(&mut pin!(socket.recv(&mut [0; 8]))).await;
    let std = std::net::UdpSocket::try_from(socket)?;
    assert_eq!(std.recv(&mut [0; 8]).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert_eq!(UdpSocket::try_from(std)?.local_addr()?, address);
    Ok(())
}

/// To a group, on the loopback interface; where the system has groups there at all.
#[loop_test(timeout = "30s")]
async fn joined_then_heard_then_left() -> io::Result<()> {
    let group = Ipv4Addr::new(224, 0, 0, 213);
    let member = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    if let Err(error) = member.join_multicast_v4(group, Ipv4Addr::LOCALHOST) {
        eprintln!("no groups here: {error}");
        return Ok(());
    }
    let sender = UdpSocket::bind(ANY).await?;
    let to = SocketAddr::from((group, member.local_addr()?.port()));
    if sender.send_to(b"all", to).await.is_ok() {
        assert_eq!(member.recv_from(&mut [0; 8]).await?, (3, sender.local_addr()?));
    }
    member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST)?;
    assert!(member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err(), "left already");
    Ok(())
}
