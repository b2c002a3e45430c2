//! Forwards TCP connections: who connects to the first address talks to the second, both ways at once.
//! Ctrl-C ends it, once the connections are over, or after five seconds.
//!
//! ```sh
//! cargo run --example proxy 127.0.0.1:8080 example.org:80
//! curl -H 'Host: example.org' http://127.0.0.1:8080/
//! ```

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use loopbind::io::copy_bidirectional;
use loopbind::net::{Server, TcpStream};
use loopbind::{loop_main, signal};

async fn forward(client: TcpStream, peer: SocketAddr, target: Rc<str>) {
    match through(client, &target).await {
        Ok((up, down)) => println!("{peer}: {up} bytes to {target}, {down} bytes back"),
        Err(error) => eprintln!("{peer}: {error}"),
    }
}

async fn through(client: TcpStream, target: &str) -> io::Result<(u64, u64)> {
    let server = TcpStream::connect(target).await?;
    // What is typed is sent: the peers decide what is worth a packet.
    server.set_nodelay(true)?;
    client.set_nodelay(true)?;
    copy_bidirectional(client, server).await
}

#[loop_main]
async fn run(listen: &str, target: &str) -> io::Result<()> {
    let target: Rc<str> = target.into();
    let passed = Rc::clone(&target);
    let connected = move |client, peer| forward(client, peer, Rc::clone(&passed));
    let server = Server::builder().max_connections(1000).start(listen, connected).await?;
    for address in server.local_addrs() {
        println!("{address} leads to {target}; Ctrl-C ends it");
    }
    signal::ctrl_c().await?;
    println!("{} connections are left", server.connections());
    let aborted = server.shut_down(Duration::from_secs(5)).await;
    if aborted > 0 {
        println!("{aborted} of them did not end");
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, target] = &arguments[..] else {
        eprintln!("usage: proxy LISTEN TARGET, such as: proxy 127.0.0.1:8080 example.org:80");
        return ExitCode::from(2);
    };
    match run(listen, target) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proxy: {error}");
            ExitCode::FAILURE
        }
    }
}
