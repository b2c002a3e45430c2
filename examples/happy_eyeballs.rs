//! Happy eyeballs: of several addresses of one host the first that answers wins. The next is tried when the
//! one before has had its time or has failed, and the losers are given up (RFC 8305, section 5).
//!
//! Three listeners stand in for a host: one that refuses, one that never answers, and one that is well.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use loopbind::net::{TcpSocket, TcpStream};
use loopbind::task::JoinSet;
use loopbind::{loop_main, timeout};

/// RFC 8305's "Connection Attempt Delay".
const DELAY: Duration = Duration::from_millis(250);

async fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let began = Instant::now();
    let mut attempts = JoinSet::new();
    let mut untried = addresses.iter();
    let mut failure = io::Error::new(io::ErrorKind::InvalidInput, "no address to connect to");
    loop {
        let next = untried.next().copied();
        if let Some(address) = next {
            println!("{:4} ms: trying {address}", began.elapsed().as_millis());
            attempts.spawn_named(address.to_string(), TcpStream::connect(address));
        }
        // With nobody left to try, whoever is still at it has all the time it needs.
        let patience = if next.is_some() { DELAY } else { Duration::MAX };
        match timeout(patience, attempts.next()).await {
            Ok(Some(Ok(Ok(stream)))) => {
                println!("{:4} ms: {} answers", began.elapsed().as_millis(), stream.peer_addr()?);
                return Ok(stream); // `attempts` drops, and ends the others
            }
            Ok(Some(Ok(Err(error)))) => {
                println!("{:4} ms: {error}", began.elapsed().as_millis());
                failure = error;
            }
            Ok(Some(Err(ended))) => failure = io::Error::other(ended),
            Ok(None) if next.is_none() => return Err(failure),
            Ok(None) | Err(_) => {}
        }
    }
}

#[loop_main]
async fn main() -> io::Result<()> {
    let local = SocketAddr::from(([127, 0, 0, 1], 0));
    // Nobody listens where somebody just did.
    let refusing = TcpListener::bind(local)?.local_addr()?;
    // Room for one connection, which nobody accepts: those that come later are not answered.
    let socket = TcpSocket::new_v4()?;
    socket.bind(local)?;
    let silent = socket.listen(0)?;
    let _room = std::net::TcpStream::connect(silent.local_addr()?)?;
    let well = TcpListener::bind(local)?;

    let addresses = [refusing, silent.local_addr()?, well.local_addr()?];
    let stream = connect(&addresses).await?;
    assert_eq!(stream.peer_addr()?, well.local_addr()?);
    Ok(())
}
