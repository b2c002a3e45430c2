//! Instructions, as valgrind's callgrind counts them: the same in every run, and on a busy machine.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::Command;

use crate::workload::Workload;

/// Whether there is a valgrind to ask.
pub fn is_here() -> bool {
    !matches!(Command::new("valgrind").arg("--version").output(), Err(error) if error.kind() == ErrorKind::NotFound)
}

/// What one operation takes: the difference between two runs of `program once <runtime> <workload> <n>`,
/// so that what comes before and after is in neither.
pub fn per_operation(program: &Path, runtime: &str, workload: Workload) -> io::Result<f64> {
    let few = workload.batch().max(2_000);
    let many = few * 2;
    let of_few = instructions(program, runtime, workload, few)?;
    let of_many = instructions(program, runtime, workload, many)?;
    Ok((of_many as f64 - of_few as f64) / (many - few) as f64)
}

fn instructions(program: &Path, runtime: &str, workload: Workload, n: usize) -> io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["once", runtime, workload.name(), &n.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split("Collected : ").nth(1));
    match count.and_then(|count| count.trim().parse().ok()) {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(io::Error::other(said.into_owned())),
    }
}
