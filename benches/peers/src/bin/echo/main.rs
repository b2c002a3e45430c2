//! loopbind's sockets beside its peers', and beside a bare epoll loop: TCP on the loopback.
//!
//! `cargo run --release --bin echo` prints one table. Echo: messages of 64 bytes, one in flight on
//! each of 1, 50 and 500 connections. Accept: connections that wait, a hundred at a time, for a server
//! that was held up; each is accepted, found at its end, and closed. The server's thread has one processor to itself and the client's another; with a single processor
//! they share it, and the rates are of little worth. Every round starts every server anew, one after
//! the other, so that what disturbs the machine for a while disturbs all of them: compare figures of
//! one run only, and believe the processor times sooner than the rates. `... echo 20` takes 20 rounds.
//!
//! Memory: what a server in a process of its own grows by with each of 10,000 connections that were
//! served once and are silent. The kibibyte that the server reads into is in it.
//!
//! `... echo connections 10000` has 10,000 connections, with 500 requests in flight at a time that go round all of
//! them, and prints what each took as the client saw it, by how many others that were sent later it was overtaken, and
//! the server's processor time. Each server is a process of its own, so that both sides have descriptors enough.
//! `... echo connections 10000 20` takes 20 rounds, and with `tokio` behind that only peers with `tokio` in their
//! name.
//!
//! `... echo once <server> <connections> <requests>` does that and measures nothing: for a profiler.
//! The server is on a thread of its own; the instructions of one request are the difference between
//! two such counts.

mod client;
mod crowd;
mod process;
mod server;
mod table;

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;
use std::{env, thread};

use peers::machine;

use client::{Client, Sample, Until, exchange};
use process::Process;
use server::Server;
use table::{Better, Row};

const ROUNDS: usize = 7;
const LENGTH: Duration = Duration::from_millis(250);
const CONNECTIONS: [usize; 3] = [1, 50, 500];
const IDLE: usize = 10_000;

const MESSAGE: usize = 64;
/// The harness's questions to a server, by their lengths, which are the answers' too: what processor
/// time it had, and to wait.
const TIME: usize = 8;
const WAIT: usize = 2;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => compare(ROUNDS),
        ["once", server, connections, requests] => {
            let (connections, requests) = (number(connections), number(requests));
            beside(find(server), |client| {
                let streams = client.connect(connections);
                exchange(&streams, connections, Until::Done(requests), &mut ());
            });
        }
        ["serve", server] => {
            machine::most_descriptors();
            let [theirs, _] = machine::two_processors();
            machine::pin(theirs);
            let listener = listen();
            println!("{}", listener.local_addr().expect("a socket").port());
            (find(server).serve)(listener);
        }
        ["connections", count] => crowd::compare(number(count), crowd::ROUNDS, ""),
        ["connections", count, rounds] => crowd::compare(number(count), number(rounds), ""),
        ["connections", count, rounds, part] => {
            crowd::compare(number(count), number(rounds), part);
        }
        [rounds] => compare(number(rounds)),
        _ => panic!(
            "usage: echo [rounds] | echo connections <count> [rounds [part of a name]] | echo once <server> <connections> <requests>"
        ),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn find(name: &str) -> Server {
    let known = server::all_apart().into_iter().find(|server| server.name == name);
    known.unwrap_or_else(|| panic!("no server is called {name:?}"))
}

fn listen() -> TcpListener {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    listener
}

/// Starts a server, for as long as `visit` goes on; both on threads of their own.
fn beside<R: Send>(server: Server, visit: impl FnOnce(&mut Client) -> R + Send) -> R {
    let [theirs, ours] = machine::two_processors();
    let listener = listen();
    let address = listener.local_addr().expect("a socket");
    thread::scope(|scope| {
        scope.spawn(move || {
            machine::pin(theirs);
            (server.serve)(listener);
        });
        let visitor = scope.spawn(move || {
            machine::pin(ours);
            visit(&mut Client::new(address))
        });
        visitor.join().expect("a visit without trouble")
    })
}

fn compare(rounds: usize) {
    machine::most_descriptors();
    let servers = server::all();
    let row = |name, better| Row { name, better, figures: vec![Vec::new(); servers.len()] };
    let mut rows = Vec::new();
    let echoes = CONNECTIONS.map(|connections| format!("echo, connections: {connections}"));
    for what in echoes.into_iter().chain(["accept".to_owned()]) {
        rows.push(row(format!("{what}: per second"), Better::More));
        rows.push(row(format!("{what}: server's ns"), Better::Less));
    }
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        for measured in 0..=CONNECTIONS.len() {
            // Each round begins with another one: nobody always runs behind the same neighbour.
            for step in 0..servers.len() {
                let which = (round + step) % servers.len();
                let Sample { rate, cpu } =
                    beside(servers[which], |client| match CONNECTIONS.get(measured) {
                        Some(&connections) => client.echo(connections, LENGTH),
                        None => client.accept(LENGTH),
                    });
                if round > 0 {
                    rows[2 * measured].figures[which].push(rate);
                    rows[2 * measured + 1].figures[which].push(cpu);
                }
            }
        }
    }
    let idle = IDLE.min(machine::most_descriptors().saturating_sub(100));
    let mut memory = row(format!("memory, idle connections: {idle}: bytes"), Better::Less);
    // Not of the bare loop: all it has of a connection is its number.
    for (figures, server) in memory.figures.iter_mut().zip(&servers[..servers.len() - 1]) {
        figures.push(idle_memory(server.name, idle));
    }
    rows.push(memory);
    println!("best / median of {rounds} interleaved rounds of {LENGTH:?}\n");
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    table::print(&names, &mut rows);
}

/// Of a process that serves nothing else: what was freed and kept is not in it.
fn idle_memory(server: &str, connections: usize) -> f64 {
    let process = Process::start(server).unwrap_or_else(|failure| panic!("{server}: {failure}"));
    let client = Client::new(process.address());
    let before = machine::resident_memory(process.id());
    let streams = client.connect(connections);
    let after = machine::resident_memory(process.id());
    drop((streams, client));
    process.end().expect("a server that ends");
    (after - before) as f64 / connections as f64
}
