//! A random program is what it draws. One that fails is made short: draws are left out, or calmed, for as long
//! as it fails in the same way. Each try is a process of its own, which may panic, abort, or hang.

#![allow(dead_code)] // Each file uses its share of this.

use std::fmt::Write;
use std::process::{Command, Output};

/// A draw of which nothing comes: whatever there is to choose from, the last.
pub(crate) const CALM: u64 = u64::MAX;

/// So many draws a program makes at most; and so many fit into a variable of the environment.
const MOST_DRAWS: usize = 7_000;

/// A multiple of all that there is to choose from, mostly.
const SMALL: u64 = 720_720;

/// So many tries are made: some are programs that hang, for as long as they may.
const MOST_TRIES: usize = 3_000;

/// The variable that has a program in it, for the process that plays it.
pub(crate) const PROGRAM: &str = "LOOPBIND_PROGRAM";

/// A line that a program says of what it does.
pub(crate) const SAYS: &str = "   | ";

/// A program to be played by itself: what it begins with, and its draws.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub(crate) seed: u64,
    /// One of the mistakes that the test makes itself.
    pub(crate) is_planted: bool,
    pub(crate) draws: Vec<u64>,
}

impl Script {
    /// What the environment says is to be played.
    pub(crate) fn of_environment() -> Option<Self> {
        let text = std::env::var(PROGRAM).ok()?;
        let mut words = text.split_whitespace();
        let first = words.next().expect("a seed");
        let (seed, is_planted) = match first.strip_suffix('!') {
            Some(seed) => (seed, true),
            None => (first, false),
        };
        let draw = |word: &str| if word == "-" { CALM } else { word.parse().expect("a draw") };
        let seed = seed.parse().expect("a seed");
        Some(Script { seed, is_planted, draws: words.map(draw).collect() })
    }

    fn text(&self) -> String {
        let mut text = format!("{}{}", self.seed, if self.is_planted { "!" } else { "" });
        for draw in &self.draws {
            let _ = match *draw {
                CALM => write!(text, " -"),
                draw => write!(text, " {draw}"),
            };
        }
        text
    }

    /// How it fails, if it does, played by `test` in a process of its own.
    fn failure(&self, test: &str) -> Option<Failure> {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([test, "--exact", "--nocapture"]).env(PROGRAM, self.text());
        let output = child.env("RUST_BACKTRACE", "0").output().unwrap();
        (!output.status.success()).then(|| Failure::of(&output))
    }
}

/// How a program fails.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Where it panicked, or what ended it: the same for the same failure.
    pub(crate) place: String,
    /// What it did before.
    pub(crate) lines: Vec<String>,
}

impl Failure {
    fn of(output: &Output) -> Self {
        let text = String::from_utf8_lossy(&output.stderr);
        let place = text.lines().find_map(|line| line.split_once("panicked at "));
        let place = place.map_or_else(|| output.status.to_string(), |(_, place)| place.to_owned());
        let lines = text.lines().filter_map(|line| line.strip_prefix(SAYS)).map(str::to_owned);
        Failure { place, lines: lines.collect() }
    }
}

/// What is left of the program of this seed, which draws `raw` numbers one after the other. `None`: alone it
/// does not fail.
pub(crate) fn shrink(
    test: &str,
    seed: u64,
    is_planted: bool,
    raw: impl Iterator<Item = u64>,
) -> Option<(Script, Failure)> {
    let draws = raw.take(MOST_DRAWS).collect();
    let mut script = Script { seed, is_planted, draws };
    let mut failure = script.failure(test)?;
    let mut tries = 0;
    let mut still_fails = |draws: Vec<u64>, script: &mut Script| {
        tries += 1;
        if tries > MOST_TRIES || draws == script.draws {
            return false;
        }
        let tried = Script { draws, ..script.clone() };
        match tried.failure(test) {
            Some(found) if found.place == failure.place => {
                (*script, failure) = (tried, found);
                true
            }
            _ => false,
        }
    };
    // Most of the list is never drawn.
    let (mut low, mut high) = (0, script.draws.len());
    while low < high {
        let middle = low.midpoint(high);
        if still_fails(script.draws[..middle].to_vec(), &mut script) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    loop {
        let before = script.draws.clone();
        let mut size = script.draws.len().div_ceil(2).max(1);
        loop {
            let mut at = 0;
            while at < script.draws.len() {
                let end = (at + size).min(script.draws.len());
                let mut shorter = script.draws.clone();
                shorter.drain(at..end);
                if still_fails(shorter, &mut script) {
                    continue;
                }
                let mut calmer = script.draws.clone();
                calmer[at..end].fill(CALM);
                still_fails(calmer, &mut script);
                at = end;
            }
            if size == 1 {
                break;
            }
            size = size.div_ceil(2);
        }
        if script.draws == before {
            break;
        }
    }
    // In small numbers, if it is the same in them.
    let small = script.draws.iter().map(|&draw| if draw == CALM { CALM } else { draw % SMALL });
    still_fails(small.collect(), &mut script);
    Some((script, failure))
}

/// What to print of it.
pub(crate) fn report(test: &str, script: &Script, failure: &Failure) -> String {
    let mut text = format!("program {}, made short, fails at {}\n", script.seed, failure.place);
    for line in &failure.lines {
        let _ = writeln!(text, "{SAYS}{line}");
    }
    let _ = write!(text, "{PROGRAM}='{}' cargo test {test} plays it alone", script.text());
    text
}
