//! A redis of a hundred lines, on the loop: what `cache` says is understood, `PING`, `HELLO 2`, `CLIENT SETINFO`, `GET`, `SET`,
//! `DEL`, `INCR`, `INCRBY` by one, `MULTI`, `EXEC`, `SUBSCRIBE`, `UNSUBSCRIBE` and `PUBLISH`, in RESP 2, and nothing else. It keeps nothing, and is no
//! redis: it lets the example run where none is installed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

use futures::{AsyncReadExt as _, AsyncWriteExt as _};
use loopbind::net::{Server, TcpStream, start_server};
use loopbind::spawn;
use loopbind::sync::mpsc::{Sender, unbounded};

/// What was said, a word each.
type Command = Vec<Vec<u8>>;

#[derive(Default)]
struct Store {
    values: HashMap<Vec<u8>, Vec<u8>>,
    /// Who listens to a channel: the way to each one's socket.
    listeners: HashMap<Vec<u8>, Vec<Sender<Vec<u8>>>>,
}

/// Serves on a port that the system finds.
///
/// # Errors
/// The system's.
pub async fn serve() -> io::Result<Server> {
    let store = Rc::new(RefCell::new(Store::default()));
    start_server("127.0.0.1:0", move |stream, _| {
        let store = Rc::clone(&store);
        async move {
            if let Err(error) = talk(stream, &store).await {
                eprintln!("a client is lost: {error}");
            }
        }
    })
    .await
}

async fn talk(stream: TcpStream, store: &RefCell<Store>) -> io::Result<()> {
    // Answers and messages go out in one order, whoever they come from.
    let (outbox, mut letters) = unbounded::<Vec<u8>>();
    let sink = stream.clone();
    spawn(async move {
        while let Some(letter) = letters.recv().await {
            if (&sink).write_all(&letter).await.is_err() {
                break;
            }
        }
    })
    .detach();
    let mut waiting: Option<Vec<Command>> = None;
    let (mut bytes, mut space) = (Vec::new(), [0; 4096]);
    loop {
        while let Some((command, length)) = parse(&bytes)? {
            bytes.drain(..length);
            let answer = store.borrow_mut().queue_or_answer(command, &mut waiting, &outbox);
            if outbox.try_send(answer).is_err() {
                return Ok(());
            }
        }
        match (&stream).read(&mut space).await? {
            0 => return Ok(()),
            read => bytes.extend_from_slice(&space[..read]),
        }
    }
}

impl Store {
    /// Between `MULTI` and `EXEC` they wait.
    fn queue_or_answer(
        &mut self,
        command: Command,
        waiting: &mut Option<Vec<Command>>,
        outbox: &Sender<Vec<u8>>,
    ) -> Vec<u8> {
        match (&*command[0].to_ascii_uppercase(), waiting.as_mut()) {
            (b"MULTI", None) => {
                *waiting = Some(Vec::new());
                b"+OK\r\n".to_vec()
            }
            (b"EXEC", Some(_)) => {
                let commands = waiting.take().unwrap_or_default();
                let mut answer = format!("*{}\r\n", commands.len()).into_bytes();
                commands.iter().for_each(|one| answer.extend(self.answer(one, outbox)));
                answer
            }
            (_, Some(commands)) => {
                commands.push(command);
                b"+QUEUED\r\n".to_vec()
            }
            (_, None) => self.answer(&command, outbox),
        }
    }

    fn answer(&mut self, command: &[Vec<u8>], outbox: &Sender<Vec<u8>>) -> Vec<u8> {
        let words: Vec<&[u8]> = command[1..].iter().map(Vec::as_slice).collect();
        match (&*command[0].to_ascii_uppercase(), &words[..]) {
            (b"PING", []) => b"+PONG\r\n".to_vec(),
            (b"CLIENT", [b"SETINFO", ..]) => b"+OK\r\n".to_vec(),
            (b"HELLO", [b"2"]) => {
                b"*4\r\n$6\r\nserver\r\n$6\r\nguests\r\n$5\r\nproto\r\n:2\r\n".to_vec()
            }
            (b"GET", [key]) => bulk(self.values.get(*key).map(Vec::as_slice)),
            (b"SET", [key, value]) => {
                self.values.insert(key.to_vec(), value.to_vec());
                b"+OK\r\n".to_vec()
            }
            (b"DEL", keys) => {
                number(keys.iter().filter(|key| self.values.remove(**key).is_some()).count())
            }
            (b"INCR", [key]) | (b"INCRBY", [key, b"1"]) => {
                let value = self.values.entry(key.to_vec()).or_insert_with(|| b"0".to_vec());
                match str::from_utf8(value).ok().and_then(|text| text.parse::<usize>().ok()) {
                    Some(known) => {
                        *value = (known + 1).to_string().into_bytes();
                        number(known + 1)
                    }
                    None => b"-ERR value is not an integer or out of range\r\n".to_vec(),
                }
            }
            (b"SUBSCRIBE", [channel]) => {
                self.listeners.entry(channel.to_vec()).or_default().push(outbox.clone());
                [&b"*3\r\n"[..], &bulk(Some(b"subscribe")), &bulk(Some(channel)), &number(1)]
                    .concat()
            }
            (b"UNSUBSCRIBE", [channel]) => {
                self.listeners.remove(*channel);
                [&b"*3\r\n"[..], &bulk(Some(b"unsubscribe")), &bulk(Some(channel)), &number(0)]
                    .concat()
            }
            (b"PUBLISH", [channel, text]) => {
                let message = [
                    &b"*3\r\n"[..],
                    &bulk(Some(b"message")),
                    &bulk(Some(channel)),
                    &bulk(Some(text)),
                ]
                .concat();
                let Some(listeners) = self.listeners.get_mut(*channel) else { return number(0) };
                listeners.retain(|listener| listener.try_send(message.clone()).is_ok());
                number(listeners.len())
            }
            (name, _) => format!("-ERR unknown command '{}'\r\n", name.escape_ascii()).into_bytes(),
        }
    }
}

fn number(value: usize) -> Vec<u8> {
    format!(":{value}\r\n").into_bytes()
}

fn bulk(value: Option<&[u8]>) -> Vec<u8> {
    match value {
        Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
        None => b"$-1\r\n".to_vec(),
    }
}

/// The first command, and how many bytes it takes; `None` where it is not all there.
fn parse(bytes: &[u8]) -> io::Result<Option<(Command, usize)>> {
    let Some((count, mut at)) = head(bytes, 0, b'*')? else { return Ok(None) };
    let mut command = Vec::new();
    for _ in 0..count {
        let Some((length, begin)) = head(bytes, at, b'$')? else { return Ok(None) };
        let Some(word) = bytes.get(begin..begin + length + 2) else { return Ok(None) };
        command.push(word[..length].to_vec());
        at = begin + length + 2;
    }
    if command.is_empty() { Err(confused()) } else { Ok(Some((command, at))) }
}

/// The number behind `kind` at `at`, and where its line ends.
fn head(bytes: &[u8], at: usize, kind: u8) -> io::Result<Option<(usize, usize)>> {
    let rest = &bytes[at..];
    let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
    let text = rest[..end].strip_prefix(&[kind]).and_then(|digits| str::from_utf8(digits).ok());
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number < 1 << 20);
    number.map(|number| Some((number, at + end + 2))).ok_or_else(confused)
}

fn confused() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "this is not how a client of redis speaks")
}
