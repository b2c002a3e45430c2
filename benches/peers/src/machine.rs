//! What is asked of the system: processors, memory, descriptors.

use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Those that the calling thread may run on.
pub fn processors() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("some processors");
    (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect()
}

/// The processors for the server and for the client: the same, where there is but one.
pub fn two_processors() -> [usize; 2] {
    let allowed = processors();
    [allowed[0], *allowed.get(1).unwrap_or(&allowed[0])]
}

/// Has the calling thread run there and nowhere else.
pub fn pin(processor: usize) {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only).expect("one that it may run on");
}

/// Raises the limit of descriptors as far as it goes, and says how far.
pub fn most_descriptors() -> usize {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("the limit's own");
    maximum.map_or(usize::MAX, |most| most as usize)
}

/// Ends a connection at once when it is closed, and leaves nothing of it: of ten thousand that are closed
/// otherwise something would stay for a minute, in the way of those that come.
pub fn hang_up(stream: &TcpStream) {
    set_socket_linger(stream, Some(Duration::ZERO)).expect("an option");
}

/// What processor time a process has had, all its threads together, those that are gone, too. The system says it in
/// hundredths of a second.
pub fn processor_time(process: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("a living process");
    // Behind the name, which may have anything in it.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let times = fields.split(' ').skip(11).take(2);
    let ticks = times.map(|ticks| ticks.parse::<u64>().expect("a number")).sum::<u64>();
    Duration::from_millis(10 * ticks)
}

/// The memory of a process that is not swapped out, in bytes.
pub fn resident_memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process");
    let kilobytes = line.trim().strip_suffix(" kB").expect("the unit it always is");
    kilobytes.parse::<u64>().expect("a number") * 1024
}
