//! A loop inside a tokio runtime that is there already, on its own thread: tokio's reactor and timer do the
//! watching, and tokio's things can be awaited in our tasks. A program that has no runtime yet writes
//! `#[loop_main(host = "tokio")]`: see `guest_tokio`.
//!
//! ```sh
//! cargo run --features tokio --example embed_tokio
//! ```

use std::rc::Rc;
use std::time::Duration;

use loopbind::{EventLoop, get_running_loop, spawn};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let event_loop = EventLoop::builder().name("guest").build()?;

    let guest = event_loop.clone();
    event_loop
        .create_task(async move {
            println!("our loop runs: {:?}", get_running_loop().unwrap().name());
            let shared = Rc::new("nothing here is Send");

            // Ours and tokio's timers, in one task.
            loopbind::sleep(Duration::from_millis(20)).await;
            println!("our timer fired");
            tokio::time::sleep(Duration::from_millis(20)).await;
            println!("tokio's timer fired");

            // tokio's sockets, in tasks of ours.
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let kept = Rc::clone(&shared);
            let server = spawn(async move {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.write_all(kept.as_bytes()).await.unwrap();
            });
            let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
            let mut text = String::new();
            client.read_to_string(&mut text).await.unwrap();
            server.await.unwrap();
            println!("tokio's socket says: {text}");
            guest.stop();
        })
        .detach();

    let drive = event_loop.drive_with(loopbind::tokio::Host::new());
    runtime.block_on(drive)?;
    println!("the guest has stopped; tokio goes on");
    Ok(())
}
