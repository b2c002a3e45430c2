//! What the programs share: a count of threads, and a small redis to talk to where there is no other.

pub mod resp;

/// How many threads this process has, as the system counts them. Linux.
///
/// # Panics
/// Where the system does not say.
pub fn threads() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.expect("a line of it").trim().parse().expect("a number")
}
