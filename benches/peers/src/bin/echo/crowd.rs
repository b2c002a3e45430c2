//! Many connections, few requests at a time: how long each request takes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Until, Witness, exchange};
use crate::machine;
use crate::process::Process;
use crate::server::{self, Server};
use crate::table::{self, Better, Row};

pub const ROUNDS: usize = 5;
const LENGTH: Duration = Duration::from_secs(1);
/// Requests at a time.
const FLIGHT: usize = 500;

/// What the requests of one round took.
struct Latencies {
    sent: Vec<Instant>,
    took: Vec<Duration>,
}

impl Latencies {
    fn new(streams: usize) -> Self {
        Latencies { sent: vec![Instant::now(); streams], took: Vec::with_capacity(1 << 20) }
    }

    /// So many in a thousand took no longer than this many microseconds. They are sorted.
    fn share(&self, thousandths: usize) -> f64 {
        let last = self.took.len() - 1;
        self.took[last * thousandths / 1000].as_nanos() as f64 / 1000.0
    }
}

impl Witness for Latencies {
    fn sent(&mut self, stream: usize) {
        self.sent[stream] = Instant::now();
    }

    fn answered(&mut self, stream: usize) {
        self.took.push(self.sent[stream].elapsed());
    }
}

const FIGURES: [(&str, Better); 6] = [
    ("per second", Better::More),
    ("p50, us", Better::Less),
    ("p99, us", Better::Less),
    ("p99.9, us", Better::Less),
    ("most, us", Better::Less),
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
fn measure(server: &Server, connections: usize) -> Result<[f64; 6], String> {
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
        latencies.took.sort_unstable();
        let most = latencies.share(1000);
        let [p50, p99, p999] = [500, 990, 999].map(|share| latencies.share(share));
        [exchanged.rate, p50, p99, p999, most, cpu as f64 / exchanged.answered as f64]
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
