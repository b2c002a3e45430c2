//! The results, as a table for a page.

/// Which of two figures is the better.
#[derive(Clone, Copy)]
pub enum Better {
    More,
    Less,
}

pub struct Row {
    pub name: String,
    pub better: Better,
    /// For each server, what the rounds gave.
    pub figures: Vec<Vec<f64>>,
}

/// The first two servers are ours, the ratios the first's; the last is the bare loop, which is nobody's peer.
pub fn print(servers: &[&str], rows: &mut [Row]) {
    println!("| | {} | ratio to best peer | ratio to bare |", servers.join(" | "));
    println!("|---|{}", "---:|".repeat(servers.len() + 2));
    for Row { name, better, figures } in rows {
        let cells: Vec<_> = figures.iter_mut().map(|all| cell(*better, all)).collect();
        // Sorted by now.
        let best: Vec<_> = figures.iter().map(|all| all.first().copied()).collect();
        let [ours, _, peers @ .., bare] = &best[..] else { panic!("ours, peers, the bare loop") };
        let peer = peers.iter().flatten().copied().min_by(|a, b| better.order(a, b));
        let (peer, bare) = (ratio(*ours, peer), ratio(*ours, *bare));
        println!("| {name} | {} | {peer} | {bare} |", cells.join(" | "));
    }
}

impl Better {
    fn order(self, a: &f64, b: &f64) -> std::cmp::Ordering {
        match self {
            Better::More => b.total_cmp(a),
            Better::Less => a.total_cmp(b),
        }
    }
}

fn cell(better: Better, figures: &mut [f64]) -> String {
    figures.sort_by(|a, b| better.order(a, b));
    match (figures.first(), figures.get(figures.len() / 2)) {
        (Some(best), Some(median)) => format!("{best:.0} / {median:.0}"),
        _ => "-".into(),
    }
}

fn ratio(ours: Option<f64>, theirs: Option<f64>) -> String {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) if theirs != 0.0 => format!("{:.2}", ours / theirs),
        _ => "-".into(),
    }
}
