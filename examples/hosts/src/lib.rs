//! What the hosts' programs share.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this process has used of processors.
pub fn cpu_time() -> Duration {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(used.tv_sec as u64, used.tv_nsec as u32)
}
