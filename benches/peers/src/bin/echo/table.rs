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

/// The first server is ours, and what is called so with something behind it; the ratios are the first's. The last is the bare
/// loop, which is nobody's peer.
pub fn print(servers: &[&str], rows: &mut [Row]) {
    println!("| | {} | ratio to best peer | ratio to bare |", servers.join(" | "));
    println!("|---|{}", "---:|".repeat(servers.len() + 2));
    for Row { name, better, figures } in rows {
        let cells: Vec<_> = figures.iter_mut().map(|all| cell(*better, all)).collect();
        // Sorted by now.
        let best: Vec<_> = figures.iter().map(|all| all.first().copied()).collect();
        let [ours, others @ .., bare] = &best[..] else { panic!("ours, others, the bare loop") };
        let peers =
            others.iter().zip(&servers[1..]).filter(|(_, name)| !name.starts_with(servers[0]));
        let peer = peers.filter_map(|(best, _)| *best).min_by(|a, b| better.order(a, b));
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
