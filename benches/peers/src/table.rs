//! The results, as a table for a page.

use crate::Contender;

/// The first runtime is ours, and what is called so with something behind it; a row without results of peers has no ratio. Ratios are of the least times, and say how
/// many times as fast as the best of the others ours is: above 1 ours is the faster.
pub fn print(runtimes: &[&str], workloads: &[&str], results: &mut [Vec<Vec<f64>>]) {
    println!("| workload | {} | best peer | ours to it |", runtimes.join(" | "));
    println!("|---|{}---|---:|", "---:|".repeat(runtimes.len()));
    for (name, row) in workloads.iter().zip(results) {
        let cells: Vec<_> = row.iter_mut().map(|times| cell(times)).collect();
        // Sorted by now.
        let least = |which: usize| row[which].first().copied();
        let peers = (1..row.len()).filter(|&which| !Contender::is_ours(runtimes[which]));
        let best = peers.filter_map(|which| Some((least(which)?, runtimes[which])));
        let best = best.min_by(|one, other| one.0.total_cmp(&other.0));
        let (peer, ratio) = match (least(0), best) {
            (Some(ours), Some((theirs, peer))) => (peer, format!("{:.2}", theirs / ours)),
            _ => ("-", "-".into()),
        };
        println!("| {name} | {} | {peer} | {ratio} |", cells.join(" | "));
    }
}

fn cell(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    match (times.first(), times.get(times.len() / 2)) {
        (Some(least), Some(median)) if least != median => format!("{least:.1} / {median:.1}"),
        (Some(least), _) => format!("{least:.1}"),
        _ => "-".into(),
    }
}
