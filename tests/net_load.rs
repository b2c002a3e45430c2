//! Much at once: ten thousand connections on one loop, and what is sent to who takes it slowly.

#![cfg(target_os = "linux")]

#[path = "support/sockets.rs"]
mod sockets;
mod support;

use std::fs;
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::net::{Shutdown, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures::future::{join_all, try_join};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use loopbind::net::{Server, TcpStream, UnixStream};
use loopbind::{get_running_loop, run, sleep, spawn, yield_now};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use sockets::{ANY, pair};
use support::{in_good_child, open_descriptors};

/// Processor time this process has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// As many descriptors as this process may have; gives how many those are.
fn raise_limit() -> usize {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    maximum.map_or(usize::MAX, |most| most as usize)
}

const WISHED: usize = 10_000;
const CLIENTS: &str = "LOOPBIND_CLIENTS_OF";
const TEN_THOUSAND: &str = "ten_thousand_connections_echo_then_rest_then_go";

/// The clients' process: all connect, each says its number and hears it; half of them say good-bye, and
/// the rest are reset.
fn be_clients(to: SocketAddr, count: usize) {
    raise_limit();
    run(async {
        let mut clients = Vec::new();
        while clients.len() < count {
            let some = (count - clients.len()).min(256);
            let connecting = (0..some).map(|_| TcpStream::connect(to));
            clients.extend(join_all(connecting).await.into_iter().map(Result::unwrap));
        }
        let echoes = clients.iter().enumerate().map(|(number, client)| async move {
            let (mut reader, mut writer) = (client, client);
            let (said, mut heard) = (number.to_ne_bytes(), 0_usize.to_ne_bytes());
            try_join(writer.write_all(&said), reader.read_exact(&mut heard)).await.unwrap();
            assert_eq!(heard, said);
        });
        join_all(echoes).await;
        println!("all heard");
        let mut line = String::new();
        io::stdin().read_line(&mut line).unwrap();
        for (number, client) in clients.iter().enumerate() {
            match number % 2 {
                0 => (&*client).close().await.unwrap(),
                _ => client.set_linger(Some(Duration::ZERO)).unwrap(),
            }
        }
    })
    .unwrap();
}

/// All are served, while they rest so does the processor, and when they go nothing of them is left.
#[test]
fn ten_thousand_connections_echo_then_rest_then_go() {
    if let Ok(clients) = std::env::var(CLIENTS) {
        support::limit_lifetime();
        let (to, count) = clients.split_once(' ').unwrap();
        be_clients(to.parse().unwrap(), count.parse().unwrap());
        // Libtest has something to say to who has gone.
        std::process::exit(0);
    }
    in_good_child(TEN_THOUSAND, || {
        let count = WISHED.min(raise_limit() - 200);
        assert!(count >= 1000, "{count} connections are not many: raise the limit of descriptors");
        let before = open_descriptors();
        run(async {
            let inside = open_descriptors();
            let echo = |mut stream: TcpStream, _| async move {
                let mut buffer = [0; 64];
                while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                    if stream.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
            };
            let server = Server::builder().backlog(4096).start(ANY, echo).await.unwrap();
            let mut clients = Command::new(std::env::current_exe().unwrap());
            clients.args([TEN_THOUSAND, "--exact", "--nocapture"]);
            clients.env(CLIENTS, format!("{} {count}", server.local_addrs()[0]));
            let mut clients = clients.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(clients.stdout.take().unwrap()).lines();
            let heard = loopbind::spawn_blocking(move || {
                lines.by_ref().map_while(Result::ok).find(|line| line.ends_with("all heard"))
            });
            assert!(heard.await.unwrap().is_some());
            assert_eq!(server.connections(), count);
            assert!(open_descriptors() >= inside + count);

            let began = processor_time();
            sleep(Duration::from_millis(300)).await;
            let spent = processor_time() - began;
            assert!(spent < Duration::from_millis(30), "{spent:?} of resting");

            clients.stdin.take().unwrap().write_all(b"go\n").unwrap();
            server.close();
            server.wait_closed().await;
            assert_eq!(server.connections(), 0);
            assert_eq!(get_running_loop().unwrap().all_tasks().len(), 1);
            assert!(clients.wait().unwrap().success());
        })
        .unwrap();
        assert_eq!(open_descriptors(), before);
    });
}

/// One write of much more than any buffer holds, read in pieces of an odd size: what arrives is what was sent.
#[test]
fn much_in_one_write_arrives_as_it_was() {
    const NUMBERS: u64 = 8 << 20;
    run(async {
        let sent: Vec<u8> = (0..NUMBERS).flat_map(u64::to_ne_bytes).collect();
        let expected = sent.clone();
        let (mut client, mut server) = pair().await.unwrap();
        let writing = spawn(async move {
            client.write_all(&sent).await?;
            client.close().await
        });
        let (mut piece, mut at) = (vec![0; 100_003], 0);
        while let read @ 1.. = server.read(&mut piece).await.unwrap() {
            assert!(piece[..read] == expected[at..at + read], "other bytes in {at}..");
            at += read;
        }
        writing.await.unwrap().unwrap();
        assert_eq!(at, expected.len());
    })
    .unwrap();
}

/// What is sent to who takes it slowly.
const SIZE: usize = 128 << 20;
const BLOCK: usize = 64 << 10;

/// What a process may take for it.
const ROOM: usize = 2 << 20;

/// In bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() << 10
}

/// `write` sends so many bytes as fast as it may, and `reader` takes them when nothing else can be done.
async fn take_slowly(
    what: &str,
    write: impl Future<Output = io::Result<()>> + 'static,
    mut reader: impl AsyncRead + Unpin,
) {
    let mut block = vec![1; BLOCK];
    let before = resident();
    let writing = spawn(write);
    // Nobody reads: it stands still, and what it has said by then is not kept here.
    for _ in 0..200 {
        yield_now().await;
    }
    assert!(!writing.is_finished(), "{what}");
    let (mut taken, mut most) = (0, resident());
    loop {
        match reader.read(&mut block).await.unwrap() {
            0 => break,
            read => taken += read,
        }
        if (taken / BLOCK) % 64 == 0 {
            most = most.max(resident());
            // The writer is always ahead.
            yield_now().await;
        }
    }
    writing.await.unwrap().unwrap();
    assert_eq!(taken, SIZE, "{what}");
    let grown = most.saturating_sub(before);
    assert!(grown < ROOM, "{what} took {} KiB", grown >> 10);
}

async fn write_all(mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let block = vec![1; BLOCK];
    for _ in 0..SIZE / BLOCK {
        to.write_all(&block).await?;
    }
    to.close().await
}

async fn write_vectored(mut to: impl AsyncWrite + Unpin) -> io::Result<()> {
    let part = vec![1; BLOCK / 16];
    let mut left = SIZE;
    while left > 0 {
        let last = [IoSlice::new(&part[..left.min(part.len())])];
        let many = [IoSlice::new(&part); 16];
        let slices = if left >= BLOCK { &many[..] } else { &last };
        left -= to.write_vectored(slices).await?;
    }
    to.close().await
}

fn much() -> impl AsyncRead + Unpin {
    futures::io::repeat(1).take(SIZE as u64)
}

/// Whatever a program writes with, a reader who is slow holds it up, and costs no memory here.
#[test]
fn a_slow_reader_costs_no_memory_whatever_writes() {
    in_good_child("a_slow_reader_costs_no_memory_whatever_writes", || {
        run(async {
            let (client, server) = pair().await.unwrap();
            take_slowly("write", write_all(client), server).await;

            let (client, server) = pair().await.unwrap();
            take_slowly("write_vectored", write_vectored(client), server).await;

            let (left, right) = UnixStream::pair().unwrap();
            take_slowly("a Unix socket", write_all(left), right).await;

            let (client, server) = pair().await.unwrap();
            let copy = async move {
                let mut client = client;
                assert_eq!(loopbind::io::copy(much(), &mut client).await?, SIZE as u64);
                client.close().await
            };
            take_slowly("copy", copy, server).await;

            let (client, left) = pair().await.unwrap();
            let (right, server) = pair().await.unwrap();
            let proxy = loopbind::io::copy_bidirectional(left, right);
            // The other way has nothing to say.
            server.shutdown(Shutdown::Write).unwrap();
            let both = async {
                try_join(write_all(client), async { proxy.await.map(drop) }).await.map(drop)
            };
            take_slowly("copy_bidirectional", both, server).await;

            let mut cat = loopbind::process::Command::new("cat");
            let mut cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let (stdin, stdout) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
            take_slowly("a child's input", write_all(stdin), stdout).await;
            assert!(cat.wait().await.unwrap().success());
        })
        .unwrap();
    });
}
