//! The server, written once for every runtime, and the bare loop they are held against.
//!
//! The first connection is the harness's: it asks for the server's time, has it wait, and its end is
//! the server's. All others are echoed.

use std::net::TcpListener;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{RecvFlags, SendFlags, SocketFlags};
use rustix::time::{ClockId, clock_gettime};

use crate::{TIME, WAIT};
use peers::sockets::{
    BUFFER, Compio, Glommio, Loopbind, MonoioEpoll, MonoioUring, Runtime, Smol, Tokio,
};

#[derive(Clone, Copy)]
pub struct Server {
    pub name: &'static str,
    pub serve: fn(TcpListener),
}

/// The first two are ours, the last the bare loop.
pub fn all() -> Vec<Server> {
    let mut servers = vec![
        Server { name: "loopbind", serve: serve::<Loopbind<0>> },
        Server { name: "loopbind, spinning", serve: serve::<Loopbind<50>> },
        Server { name: "tokio", serve: serve::<Tokio> },
        Server { name: "smol", serve: serve::<Smol> },
        Server { name: "monoio epoll", serve: serve::<MonoioEpoll> },
    ];
    if monoio::utils::detect_uring() {
        servers.push(Server { name: "monoio io_uring", serve: serve::<MonoioUring> });
    }
    servers.push(Server { name: "compio", serve: serve::<Compio> });
    servers.push(Server { name: "bare epoll", serve: bare });
    servers
}

/// Also those that a machine may refuse, for who has each in a process of its own.
pub fn all_apart() -> Vec<Server> {
    let mut servers = all();
    servers.insert(servers.len() - 1, Server { name: "glommio", serve: serve::<Glommio> });
    servers
}

fn serve<R: Runtime>(listener: TcpListener) {
    R::block_on(async {
        let listener = R::listener(listener);
        let harness = R::accept(&listener).await;
        R::spawn(async move {
            loop {
                let stream = R::accept(&listener).await;
                R::spawn(R::converse(stream, |_| {}));
            }
        });
        R::converse(harness, obey).await;
    });
}

/// Whoever has this holds the server up, once it was asked to wait.
pub static HELD: Mutex<()> = Mutex::new(());

/// The harness's questions differ by their lengths.
fn obey(question: &mut [u8]) {
    match question.len() {
        // What this thread has had of a processor, in nanoseconds.
        TIME => {
            let now = clock_gettime(ClockId::ThreadCPUTime);
            let now = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
            question.copy_from_slice(&now.to_ne_bytes());
        }
        WAIT => drop(HELD.lock()),
        _ => {}
    }
}

/// As little as can be done: edges, and no read behind one that came short.
fn bare(listener: TcpListener) {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    let watch = |fd: BorrowedFd<'_>| {
        let flags = EventFlags::IN | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&epoll, fd, EventData::new_u64(fd.as_raw_fd() as u64), flags).expect("a place");
    };
    watch(listener.as_fd());
    let mut connections: Vec<Option<OwnedFd>> = Vec::new();
    let mut harness = None;
    let mut events = Vec::with_capacity(256);
    let mut buffer = [0; BUFFER];
    loop {
        events.clear();
        let waited = retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None));
        waited.expect("events");
        for event in &events {
            let (key, flags) = (event.data.u64() as usize, event.flags);
            if key == listener.as_raw_fd() as usize {
                let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
                while let Ok(stream) = rustix::net::accept_with(&listener, flags) {
                    watch(stream.as_fd());
                    let key = stream.as_raw_fd() as usize;
                    harness.get_or_insert(key);
                    connections.resize_with(connections.len().max(key + 1), || None);
                    connections[key] = Some(stream);
                }
                continue;
            }
            while let Some(stream) = &connections[key] {
                let count = match rustix::net::recv(stream, &mut buffer[..], RecvFlags::empty()) {
                    Ok((count @ 1.., _)) => count,
                    Err(Errno::AGAIN) => break,
                    Ok(_) | Err(_) => {
                        connections[key] = None;
                        if harness == Some(key) {
                            return;
                        }
                        break;
                    }
                };
                if harness == Some(key) {
                    obey(&mut buffer[..count]);
                }
                let sent = rustix::net::send(stream, &buffer[..count], SendFlags::NOSIGNAL);
                assert_eq!(sent, Ok(count), "so little always fits");
                if count < BUFFER && !flags.contains(EventFlags::RDHUP) {
                    break;
                }
            }
        }
    }
}
