//! The client: one thread, and as little of its own as can be.

use std::collections::VecDeque;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::retry_on_intr;
use rustix::net::{RecvFlags, SendFlags};

use crate::server::HELD;
use crate::{MESSAGE, TIME, WAIT};

/// Connections that wait at a time: std's queue has room for 128.
const QUEUE: usize = 100;

/// How long a measurement goes on.
#[derive(Clone, Copy)]
pub enum Until {
    Over(Duration),
    Done(usize),
}

/// What was measured.
#[derive(Clone, Copy)]
pub struct Sample {
    /// In a second.
    pub rate: f64,
    /// The server's processor time for each, in nanoseconds.
    pub cpu: f64,
}

/// The harness's connection to a server.
pub struct Client {
    server: SocketAddr,
    harness: TcpStream,
}

impl Client {
    pub fn new(server: SocketAddr) -> Client {
        let mut harness = TcpStream::connect(server).expect("a server");
        // Only once the server has it is it sure to be the first.
        harness.write_all(&[0]).expect("a server");
        harness.read_exact(&mut [0]).expect("a server");
        Client { server, harness }
    }

    pub fn server_cpu(&mut self) -> u64 {
        let mut answer = [0; TIME];
        self.harness.write_all(&answer).expect("a server");
        self.harness.read_exact(&mut answer).expect("a server");
        u64::from_ne_bytes(answer)
    }

    /// Connections that were served once.
    pub fn connect(&self, count: usize) -> Vec<TcpStream> {
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let first = streams.len();
            for _ in first..count.min(first + QUEUE) {
                let stream = TcpStream::connect(self.server).expect("a server");
                stream.set_nodelay(true).expect("an option");
                streams.push(stream);
            }
            for stream in &mut streams[first..] {
                stream.write_all(&[1; MESSAGE]).expect("a server");
                stream.read_exact(&mut [0; MESSAGE]).expect("a server");
            }
        }
        streams
    }

    /// Keeps one request in flight on each of `connections`.
    pub fn echo(&mut self, connections: usize, length: Duration) -> Sample {
        let streams = self.connect(connections);
        let cpu_before = self.server_cpu();
        let exchanged = exchange(&streams, connections, Until::Over(length), &mut ());
        let cpu = self.server_cpu() - cpu_before;
        Sample { rate: exchanged.rate, cpu: cpu as f64 / exchanged.answered as f64 }
    }

    /// Has connections wait in the server's queue, ended on this side, and lets it at them; again and
    /// again. Nothing else is timed: a server that were fed one by one would be measured by how often
    /// it had to be woken.
    pub fn accept(&mut self, length: Duration) -> Sample {
        let cpu_before = self.server_cpu();
        let began = Instant::now();
        let (mut accepted, mut took) = (0, Duration::ZERO);
        while began.elapsed() < length {
            let held = HELD.lock();
            self.harness.write_all(&[0; WAIT]).expect("a server");
            let connect = || {
                let stream = TcpStream::connect(self.server).expect("a server");
                stream.shutdown(Shutdown::Write).expect("a connection");
                stream
            };
            let streams: Vec<_> = (0..QUEUE).map(|_| connect()).collect();
            let released = Instant::now();
            drop(held);
            // From the last to the first: to be woken for each would be the server's work.
            for mut stream in streams.iter().rev() {
                let end = stream.read(&mut [0; 1]).expect("the server hangs up");
                assert_eq!(end, 0, "nobody asked anything");
            }
            took += released.elapsed();
            self.harness.read_exact(&mut [0; WAIT]).expect("a server");
            accepted += streams.len();
        }
        let cpu = self.server_cpu() - cpu_before;
        Sample { rate: accepted as f64 / took.as_secs_f64(), cpu: cpu as f64 / accepted as f64 }
    }
}

pub struct Exchanged {
    pub rate: f64,
    pub answered: usize,
}

/// Somebody who wants to know when each request was sent and answered.
pub trait Witness {
    fn sent(&mut self, stream: usize);
    fn answered(&mut self, stream: usize);
}

impl Witness for () {
    fn sent(&mut self, _: usize) {}
    fn answered(&mut self, _: usize) {}
}

/// Keeps `flight` requests in flight, never two on one of `streams`, and each at the one whose last is longest
/// ago.
pub fn exchange(
    streams: &[TcpStream],
    flight: usize,
    until: Until,
    witness: &mut impl Witness,
) -> Exchanged {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).expect("an epoll");
    for (key, stream) in streams.iter().enumerate() {
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, stream, EventData::new_u64(key as u64), flags).expect("a place");
    }
    let request = |key: usize, witness: &mut _| {
        Witness::sent(witness, key);
        let stream = streams[key].as_fd();
        let sent = rustix::net::send(stream, &[2; MESSAGE], SendFlags::NOSIGNAL);
        assert_eq!(sent, Ok(MESSAGE), "so little always fits");
    };

    let began = Instant::now();
    let mut missing = vec![MESSAGE; streams.len()];
    let mut resting: VecDeque<usize> = (0..streams.len()).collect();
    let (mut sent, mut answered, mut in_time) = (0, 0, 0);
    let mut took = None;
    for key in resting.drain(..flight.min(streams.len())) {
        request(key, witness);
        sent += 1;
    }
    let mut events = Vec::with_capacity(1024);
    let mut answer = [0; 4 * MESSAGE];
    while answered < sent {
        events.clear();
        let waited = retry_on_intr(|| epoll::wait(&epoll, spare_capacity(&mut events), None));
        waited.expect("events");
        for event in &events {
            let key = event.data.u64() as usize;
            let flags = RecvFlags::DONTWAIT;
            let (count, _) = rustix::net::recv(&streams[key], &mut answer[..], flags)
                .expect("an edge comes with bytes");
            assert_ne!(count, 0, "the server hung up");
            missing[key] -= count;
            if missing[key] > 0 {
                continue;
            }
            missing[key] = MESSAGE;
            answered += 1;
            witness.answered(key);
            resting.push_back(key);
            let more = match until {
                Until::Over(_) => took.is_none(),
                Until::Done(requests) => sent < requests,
            };
            if let (true, Some(key)) = (more, resting.pop_front()) {
                request(key, witness);
                sent += 1;
            }
        }
        let now = began.elapsed();
        if took.is_none() && matches!(until, Until::Over(limit) if now >= limit) {
            (took, in_time) = (Some(now), answered);
        }
    }
    let took = took.unwrap_or_else(|| {
        in_time = answered;
        began.elapsed()
    });
    Exchanged { rate: in_time as f64 / took.as_secs_f64(), answered }
}
