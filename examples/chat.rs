//! A chat room: what one says, the others hear. The room is one `Rc<RefCell<..>>`, because all of its
//! tasks live on one thread, and no two of them run at once.
//!
//! ```sh
//! cargo run --example chat            # or with an address: 0.0.0.0:7008
//! nc 127.0.0.1 7008                   # in as many terminals as you like
//! ```

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use futures::channel::mpsc;
use futures::future::{Either, select};
use futures::io::BufReader;
use futures::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, StreamExt};
use loopbind::net::{TcpStream, start_server};
use loopbind::{loop_main, signal, yield_now};

/// Lines that wait for one who does not read. With one more, the reader leaves.
const PATIENCE: usize = 100;

/// Bytes of the longest line.
const LONGEST: u64 = 1000;

struct Guest {
    name: String,
    outbox: mpsc::Sender<Rc<str>>,
}

#[derive(Default)]
struct Room {
    guests: RefCell<BTreeMap<SocketAddr, Guest>>,
}

impl Room {
    fn enter(&self, peer: SocketAddr, name: String) -> mpsc::Receiver<Rc<str>> {
        let (outbox, inbox) = mpsc::channel(PATIENCE);
        self.tell_all_but(peer, &format!("* {name} is here\n"));
        self.guests.borrow_mut().insert(peer, Guest { name, outbox });
        inbox
    }

    fn leave(&self, peer: SocketAddr) {
        let gone = self.guests.borrow_mut().remove(&peer);
        if let Some(guest) = gone {
            self.tell_all_but(peer, &format!("* {} is gone\n", guest.name));
        }
    }

    fn tell_all_but(&self, speaker: SocketAddr, line: &str) {
        let line: Rc<str> = line.into();
        // One who is too slow loses the outbox, and so finds the end of the inbox. No borrow is held
        // across an await: nobody else can be in here.
        self.guests.borrow_mut().retain(|peer, guest| {
            *peer == speaker || guest.outbox.try_send(Rc::clone(&line)).is_ok()
        });
    }
}

/// The next line, without its end; `None` at the end of the stream.
async fn line(reader: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut bytes = Vec::new();
    if reader.take(LONGEST).read_until(b'\n', &mut bytes).await? == 0 {
        return Ok(None);
    }
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}

async fn chat(stream: &TcpStream, peer: SocketAddr, room: &Room) -> io::Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    writer.write_all(b"* who are you?\n").await?;
    let Some(name) = line(&mut reader).await? else { return Ok(()) };
    let mut inbox = room.enter(peer, name.clone());

    let listens = async {
        while let Some(line) = inbox.next().await {
            writer.write_all(line.as_bytes()).await?;
        }
        writer.write_all(b"* you did not listen\n").await
    };
    let speaks = async {
        while let Some(line) = line(&mut reader).await? {
            room.tell_all_but(peer, &format!("{name}: {line}\n"));
            // Who has more to say waits until the others have heard this.
            yield_now().await;
        }
        Ok(())
    };
    match select(Box::pin(listens), Box::pin(speaks)).await {
        Either::Left((outcome, _)) | Either::Right((outcome, _)) => outcome,
    }
}

#[loop_main]
async fn run(address: &str) -> io::Result<()> {
    let room = Rc::<Room>::default();
    let visited = Rc::clone(&room);
    let server = start_server(address, move |stream, peer| {
        let room = Rc::clone(&visited);
        async move {
            if let Err(error) = chat(&stream, peer, &room).await {
                eprintln!("{peer}: {error}");
            }
            room.leave(peer);
        }
    })
    .await?;
    for address in server.local_addrs() {
        println!("chatting on {address}; Ctrl-C ends it");
    }
    signal::ctrl_c().await?;
    println!("{} guests are sent home", room.guests.borrow().len());
    server.shut_down(Duration::from_secs(1)).await;
    Ok(())
}

fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:7008".to_owned());
    match run(&address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("chat: {error}");
            ExitCode::FAILURE
        }
    }
}
