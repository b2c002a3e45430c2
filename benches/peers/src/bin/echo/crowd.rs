//! Many connections, few requests at a time: how long each request takes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Until, Witness, exchange};
use crate::process::Process;
use crate::server::{self, Server};
use crate::table::{self, Better, Row};
use peers::machine;

pub const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);
/// Requests at a time.
const FLIGHT: usize = 500;

/// What the requests of one round took, and how many overtook each: were sent later, and answered before. The
/// one says what a client sees, the other whether a server has favourites, on a busy machine as well.
struct Latencies {
    /// Of each stream, its last request: when, and which of all.
    sent: Vec<(Instant, usize)>,
    requests: usize,
    /// Those in flight, from the first to the last.
    flying: VecDeque<usize>,
    took: Vec<Duration>,
    overtaken: Vec<usize>,
}

impl Latencies {
    fn new(streams: usize) -> Self {
        Latencies {
            sent: vec![(Instant::now(), 0); streams],
            requests: 0,
            flying: VecDeque::with_capacity(FLIGHT),
            took: Vec::with_capacity(1 << 20),
            overtaken: Vec::with_capacity(1 << 20),
        }
    }
}

impl Witness for Latencies {
    fn sent(&mut self, stream: usize) {
        self.sent[stream] = (Instant::now(), self.requests);
        self.flying.push_back(self.requests);
        self.requests += 1;
    }

    fn answered(&mut self, stream: usize) {
        let (sent, number) = self.sent[stream];
        self.took.push(sent.elapsed());
        let at = self.flying.binary_search(&number).expect("it was in flight");
        self.flying.remove(at);
        let later = self.requests - number - 1;
        self.overtaken.push(later - (self.flying.len() - at));
    }
}

/// What so many in a thousand are not above. They are sorted.
fn share<T: Copy>(sorted: &[T], thousandths: usize) -> T {
    sorted[(sorted.len() - 1) * thousandths / 1000]
}

const FIGURES: [(&str, Better); 8] = [
    ("per second", Better::More),
    ("p50, us", Better::Less),
    ("p99, us", Better::Less),
    ("p99.9, us", Better::Less),
    ("most, us", Better::Less),
    ("overtaken by, p99", Better::Less),
    ("overtaken by, most", Better::Less),
    ("server's ns", Better::Less),
];

/// Ours, the peers with `part` in their name, and the bare loop.
pub fn compare(connections: usize, rounds: usize, part: &str) {
    // Some are needed for other things.
    let connections = connections.min(machine::most_descriptors().saturating_sub(100));
    let mut servers = server::all_apart();
    let ends = [servers[0].name, servers[servers.len() - 1].name];
    servers.retain(|server| ends.contains(&server.name) || server.name.contains(part));
    let mut rows = FIGURES.map(|(name, better)| Row {
        name: name.to_owned(),
        better,
        figures: vec![Vec::new(); servers.len()],
    });
    let mut failures: Vec<Option<String>> = vec![None; servers.len()];
    // The first round warms up and is thrown away.
    for round in 0..=rounds {
        // Each round begins with another one: nobody always runs behind the same neighbour.
        for step in 0..servers.len() {
            let which = (round + step) % servers.len();
            if failures[which].is_some() {
                continue;
            }
            match measure(&servers[which], connections) {
                Ok(figures) if round > 0 => {
                    for (row, figure) in rows.iter_mut().zip(figures) {
                        row.figures[which].push(figure);
                    }
                }
                Ok(_) => {}
                Err(failure) => failures[which] = Some(failure),
            }
        }
    }
    println!(
        "{connections} connections, {FLIGHT} requests in flight: best / median of {rounds} interleaved rounds of {LENGTH:?}\n"
    );
    let names: Vec<_> = servers.iter().map(|server| server.name).collect();
    table::print(&names, &mut rows);
    for (name, failure) in names.iter().zip(failures) {
        if let Some(failure) = failure {
            println!("\n{name}: {failure}");
        }
    }
}

/// The figures of one round; or why there are none.
fn measure(server: &Server, connections: usize) -> Result<[f64; 8], String> {
    let process = Process::start(server.name)?;
    let address = process.address();
    let visit = move || {
        // Of this thread alone: the next server has its choice of processors again.
        let [_, ours] = machine::two_processors();
        machine::pin(ours);
        let mut client = Client::new(address);
        let streams = client.connect(connections);
        let flight = FLIGHT.min(connections);
        exchange(&streams, flight, Until::Done(connections), &mut ());
        let mut latencies = Latencies::new(connections);
        let before = client.server_cpu();
        let exchanged = exchange(&streams, flight, Until::Over(LENGTH), &mut latencies);
        let cpu = client.server_cpu() - before;
        streams.iter().for_each(machine::hang_up);
        let Latencies { mut took, mut overtaken, .. } = latencies;
        took.sort_unstable();
        overtaken.sort_unstable();
        let [p50, p99, p999, most] =
            [500, 990, 999, 1000].map(|part| share(&took, part).as_nanos() as f64 / 1000.0);
        let [by_p99, by_most] = [990, 1000].map(|part| share(&overtaken, part) as f64);
        let cpu = cpu as f64 / exchanged.answered as f64;
        [exchanged.rate, p50, p99, p999, most, by_p99, by_most, cpu]
    };
    let visited = thread::scope(|scope| {
        scope
            .spawn(|| catch_unwind(AssertUnwindSafe(visit)))
            .join()
            .expect("what it threw is caught")
    });
    match visited {
        Ok(figures) => process.end().map(|()| figures),
        Err(_) => Err(process.kill()),
    }
}
