//! An echo server with a loop of its own on every core. They share a port, not a lock: the system
//! deals out the connections. Once a second it says how many there are and how much they say; Ctrl-C
//! ends it.
//!
//! ```sh
//! cargo run --release --example echo_server            # or with an address: 0.0.0.0:7007
//! echo hello | nc -N 127.0.0.1 7007
//! head -c 1G /dev/zero | socat -t 5 - TCP:127.0.0.1:7007 | wc -c
//! ```

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt, FutureExt, StreamExt, select_biased};
use loopbind::net::{Server, TcpSocket, TcpStream};
use loopbind::{loop_main, task, thread, time};

/// What all loops count together.
#[derive(Default)]
struct Counts {
    connections: AtomicUsize,
    bytes: AtomicU64,
}

async fn echo(mut stream: TcpStream, counts: Arc<Counts>) {
    counts.connections.fetch_add(1, Ordering::Relaxed);
    let mut buffer = vec![0; 16 * 1024];
    // A peer that goes away in the middle of a word is no trouble of ours.
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        counts.bytes.fetch_add(read as u64, Ordering::Relaxed);
    }
    counts.connections.fetch_sub(1, Ordering::Relaxed);
}

/// A socket at `address`, which other loops have too.
fn share(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuse_port(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// What each core's loop runs.
async fn serve(address: SocketAddr, counts: Arc<Counts>) -> io::Result<()> {
    let listener = share(address)?.listen(1024)?;
    let connected = move |stream, _peer| echo(stream, Arc::clone(&counts));
    let server = Server::builder().start_on([listener], connected)?;
    task::cancelled().await;
    server.shut_down(Duration::from_secs(1)).await;
    Ok(())
}

#[loop_main(ctrl_c = "cancel")]
async fn run(address: SocketAddr) -> io::Result<()> {
    // Bound and never listened on: it finds out whether the address can be had, and which port zero is.
    let place = share(address)?;
    let address = place.local_addr()?;
    let counts = Arc::<Counts>::default();
    let served = Arc::clone(&counts);
    let group = thread::per_core(move |_core| serve(address, Arc::clone(&served)))?;
    println!("echoing on {address}, on {} cores; Ctrl-C ends it", group.handles().len());

    let mut told = Box::pin(task::cancelled()).fuse();
    let mut seconds = time::interval(Duration::from_secs(1)).fuse();
    let mut before = 0;
    loop {
        select_biased! {
            () = told => break,
            _ = seconds.next() => {
                let now = counts.bytes.load(Ordering::Relaxed);
                let connections = counts.connections.load(Ordering::Relaxed);
                let rate = (now - before) as f64 / 1e6;
                println!("{connections} connections, {rate:.1} MB/s");
                before = now;
            }
        }
    }

    group.stop();
    for outcome in group.join() {
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    }
    println!("served {} bytes", counts.bytes.load(Ordering::Relaxed));
    Ok(())
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7007".to_owned());
    let outcome = match address.parse() {
        Ok(address) => run(address).map_err(|error| error.to_string()),
        Err(_) => Err(format!("`{address}` is no address; try 127.0.0.1:7007")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo_server: {error}");
            ExitCode::FAILURE
        }
    }
}
