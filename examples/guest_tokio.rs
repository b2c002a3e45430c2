//! A loop as tokio's guest: a server on tokio's sockets and timers, in tasks that share what is not `Send`.
//!
//! ```sh
//! cargo run --features tokio --example guest_tokio
//! ```

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use loopbind::{get_running_loop, loop_main, spawn};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[loop_main(host = "tokio", name = "guest", ctrl_c = "cancel")]
async fn main() -> io::Result<()> {
    println!("our loop runs: {:?}", get_running_loop().unwrap().name());
    let said = Rc::new(RefCell::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;

    let kept = Rc::clone(&said);
    let server = spawn(async move {
        loop {
            let (stream, _) = listener.accept().await?;
            let kept = Rc::clone(&kept);
            spawn(async move { greet(stream, &kept).await }).detach();
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    });

    // tokio's own tasks, on the same thread; what they await must be `Send`.
    for name in ["ada", "grace"] {
        let answer = tokio::spawn(ask(address, name)).await??;
        println!("{name} is told: {answer}");
    }
    let digits = tokio::task::spawn_blocking(|| (1..=20_u64).product::<u64>()).await?;
    println!("meanwhile, on another thread: {digits}");
    println!("names so far: {}", said.borrow().join(", "));
    server.cancel();
    Ok(())
}

async fn greet(stream: TcpStream, said: &RefCell<Vec<String>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut name = String::new();
    stream.read_line(&mut name).await?;
    said.borrow_mut().push(name.trim().to_owned());
    loopbind::sleep(Duration::from_millis(5)).await;
    stream.write_all(format!("hello, {}", name.trim()).as_bytes()).await
}

async fn ask(address: std::net::SocketAddr, name: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    stream.write_all(format!("{name}\n").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
