//! The results, as a table for a page.

/// The first runtime is ours, the second the one it is held against; a row without results of
/// peers has no ratios. Ratios are of the least times: below 1 ours is the faster.
pub fn print(runtimes: &[&str], workloads: &[&str], results: &mut [Vec<Vec<f64>>]) {
    let columns = runtimes.join(" | ");
    println!("| workload | {columns} | ratio to best peer | ratio to {} |", runtimes[1]);
    println!("|---|{}", "---:|".repeat(runtimes.len() + 2));
    for (name, row) in workloads.iter().zip(results) {
        let cells: Vec<_> = row.iter_mut().map(|times| cell(times)).collect();
        // Sorted by now.
        let least: Vec<_> = row.iter().map(|times| times.first().copied()).collect();
        let best = least[1..].iter().flatten().copied().min_by(f64::total_cmp);
        let (best, other) = (ratio(least[0], best), ratio(least[0], least[1]));
        println!("| {name} | {} | {best} | {other} |", cells.join(" | "));
    }
}

fn cell(times: &mut [f64]) -> String {
    times.sort_by(f64::total_cmp);
    match (times.first(), times.get(times.len() / 2)) {
        (Some(least), Some(median)) => format!("{least:.1} / {median:.1}"),
        _ => "-".into(),
    }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => format!("{:.2}", ours / theirs),
        _ => "-".into(),
    }
}
