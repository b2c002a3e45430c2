//! HTTP servers on all cores, loopbind's and its peers', asked by `wrk`.
//!
//! `cargo run --release --bin http` prints one table. Every server says hello, to each by name, and keeps the
//! connection: first those that share a few lines for HTTP/1.1, then those that have hyper. They are asked by one thread
//! of wrk's over 64 connections, in two ways. *Apart*: the server has the first processor, with one loop there, and
//! wrk the second. *On all*: the server has a loop on each processor, and wrk runs among them: it takes from
//! the server what it needs, and the rates say how they share. The servers' processor time is that of the whole
//! process, in its share of the kernel, too.
//!
//! Every round starts every server anew, one after the other, so that what disturbs the machine for a while disturbs
//! all of them. Figures are medians. `... http 5 2` has five rounds of two seconds each, and with `hyper` behind that
//! only servers with `hyper` in their name. `... http serve <server> <processors>` is a server alone, on so many.
//!
//! Needs `wrk` (on Debian, `apt-get install wrk`).

mod hello;
mod server;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::{env, thread};

use peers::machine;
use rustix::thread::{CpuSet, sched_setaffinity};

const CONNECTIONS: usize = 64;

/// How many processors a server has; it is apart from wrk where that is one, and another one is there.
#[derive(Clone, Copy)]
enum Place {
    Apart,
    OnAll,
}

struct Sample {
    /// Requests a second.
    rate: f64,
    /// The server's processor time for each, in microseconds.
    cpu: f64,
    /// What ninety-nine of a hundred requests took at most, in microseconds.
    p99: f64,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => compare(5, 2, ""),
        ["serve", name, processors] => serve(name, number(processors)),
        [rounds, seconds] => compare(number(rounds), number(seconds), ""),
        [rounds, seconds, part] => compare(number(rounds), number(seconds), part),
        _ => panic!(
            "usage: http [rounds seconds [part of a name]] | http serve <server> <processors>"
        ),
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn serve(name: &str, processors: usize) {
    let mut allowed = CpuSet::new();
    machine::processors().into_iter().take(processors).for_each(|one| allowed.set(one));
    sched_setaffinity(None, &allowed).expect("some that it may run on");
    // A free port, which nobody else is likely to take in between.
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let address = server::listen(any).local_addr().expect("a socket");
    println!("{address}");
    let server = server::all().into_iter().find(|server| server.name == name);
    (server.unwrap_or_else(|| panic!("no server is called {name:?}")).serve)(address);
}

fn compare(rounds: usize, seconds: usize, part: &str) {
    let names: Vec<&str> = server::all().iter().map(|server| server.name).collect();
    let names: Vec<&str> = names.into_iter().filter(|name| name.contains(part)).collect();
    let places = [Place::Apart, Place::OnAll];
    let mut samples: Vec<Vec<Sample>> = (0..names.len() * 2).map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for (which, place) in places.into_iter().enumerate() {
            // Each round begins with another one: nobody always runs behind the same neighbour.
            for step in 0..names.len() {
                let at = (round + step) % names.len();
                samples[2 * at + which].push(measure(names[at], place, seconds));
            }
        }
    }
    println!("{CONNECTIONS} connections: median of {rounds} interleaved rounds of {seconds} s\n");
    println!(
        "| | apart: requests/s | server's us each | p99, us | on all: requests/s | server's us each | p99, us |"
    );
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, both) in names.iter().zip(samples.chunks_mut(2)) {
        let cells = both.iter_mut().map(|samples| {
            let rate = median(samples, |it| it.rate);
            let (cpu, p99) = (median(samples, |it| it.cpu), median(samples, |it| it.p99));
            format!("{rate:.0} | {cpu:.2} | {p99:.0}")
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

fn median(samples: &mut [Sample], figure: fn(&Sample) -> f64) -> f64 {
    samples.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
    figure(&samples[samples.len() / 2])
}

/// A server's process, which ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It is over already where it failed, and nobody waits for it anywhere else.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(server: &str, place: Place, seconds: usize) -> Sample {
    let all = machine::processors();
    let (processors, wrks) = match place {
        Place::Apart => (1, machine::two_processors()[1..].to_vec()),
        Place::OnAll => (all.len(), all),
    };
    let this = env::current_exe().expect("this program");
    let child = Command::new(this)
        .args(["serve", server, &processors.to_string()])
        .stdout(Stdio::piped())
        .spawn();
    let mut process = Process(child.expect("this program again"));
    let mut address = String::new();
    let stdout = process.0.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut address).expect("an address");
    let address: SocketAddr = address.trim().parse().unwrap_or_else(|_| panic!("{server} failed"));
    while std::net::TcpStream::connect(address).is_err() {
        thread::yield_now();
    }
    let before = machine::processor_time(process.0.id());
    let said = ask(address, &wrks, &format!("{seconds}s"), server);
    let cpu = machine::processor_time(process.0.id()) - before;
    let requests: f64 = said.number_before(" requests in ");
    Sample {
        rate: said.number_behind("Requests/sec:"),
        cpu: cpu.as_secs_f64() * 1e6 / requests,
        p99: said.p99(),
    }
}

/// What wrk said.
struct Said(String);

/// One thread of it, on one of these processors.
fn ask(address: SocketAddr, processors: &[usize], length: &str, server: &str) -> Said {
    let mut allowed = CpuSet::new();
    processors.iter().for_each(|&one| allowed.set(one));
    let ask = || {
        // This thread's, and so that of what it starts.
        sched_setaffinity(None, &allowed).expect("some that it may run on");
        let connections = CONNECTIONS.to_string();
        let url = format!("http://{address}/world");
        let mut wrk = Command::new("wrk");
        wrk.args(["-t", "1", "-c", &connections, "-d", length, "--latency", &url]);
        wrk.output().unwrap_or_else(|error| panic!("wrk: {error}; on Debian, apt-get install wrk"))
    };
    let output = thread::scope(|scope| scope.spawn(ask).join().expect("wrk"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let fine = output.status.success() && !said.contains("errors") && !said.contains("Non-2xx");
    assert!(fine, "{server}: {said}{}", String::from_utf8_lossy(&output.stderr));
    Said(said)
}

impl Said {
    fn number_behind(&self, title: &str) -> f64 {
        let (_, behind) = self.0.split_once(title).unwrap_or_else(|| panic!("{}", self.0));
        behind.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    }

    fn number_before(&self, title: &str) -> f64 {
        let (before, _) = self.0.split_once(title).unwrap_or_else(|| panic!("{}", self.0));
        before.split_whitespace().last().and_then(|word| word.parse().ok()).expect("a number")
    }

    /// In microseconds, whatever unit it has.
    fn p99(&self) -> f64 {
        // There are shares of other things above.
        let (_, shares) = self.0.split_once("Latency Distribution").expect("what was asked for");
        let (_, behind) = shares.split_once(" 99%").expect("the one of them");
        let word = behind.split_whitespace().next().expect("a figure");
        let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6)];
        let (number, unit) = units
            .into_iter()
            .find_map(|(unit, factor)| Some((word.strip_suffix(unit)?, factor)))
            .expect("a unit");
        number.parse::<f64>().expect("a number") * unit
    }
}
