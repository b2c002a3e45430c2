//! Canaries: mistakes that are put into loopbind on purpose, one at a time, in a copy of it, each of which
//! the lane that is there for such mistakes must find. A lane that finds nothing in the code as it is means
//! something only if it finds these.
//!
//! Each program also runs as it is, and then its lane must be silent: one that always cries is no better.
//!
//! ```sh
//! cargo run --release                      # all of them
//! cargo run --release -- address 'lost'    # those whose lane or name has one of these in it
//! ```

mod copy;
mod lane;
mod mistakes;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use lane::Lane;
use mistakes::{CANARIES, Canary};

/// What came of a canary, or of a lane with the code as it is.
enum Fate {
    Found(String),
    /// What the lane needs, and this machine does not have.
    Lacking(&'static str),
    Failed(String),
}

struct Yard {
    root: PathBuf,
    copy: PathBuf,
    built: PathBuf,
}

fn main() -> ExitCode {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |canary: &&Canary| {
        let names = |word: &String| *word == canary.lane.name() || canary.name.contains(&**word);
        wanted.is_empty() || wanted.iter().any(names)
    };
    let chosen: Vec<&Canary> = CANARIES.iter().filter(is_wanted).collect();
    if chosen.is_empty() {
        eprintln!("no canary's lane or name has one of these in it: {}", wanted.join(", "));
        return ExitCode::FAILURE;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = std::path::absolute(target.unwrap_or_else(|| here.join("target")));
    let built = target.expect("a path").join("canaries");
    let yard = Yard {
        root: here.parent().expect("the repository").to_owned(),
        copy: built.join("copy"),
        built,
    };
    // There is one copy: who comes second waits.
    fs::create_dir_all(&yard.built).expect("a folder to build in");
    let turn = File::create(yard.built.join("turn")).expect("a file to lock");
    turn.lock().expect("a turn");
    let (mut silent, mut found, mut lacking) = (0, 0, 0);
    println!("{:>6} s  {:<9} {:<54} what the lane said", "", "lane", "what is wrong");
    for lane in Lane::ALL {
        let of_lane: Vec<_> = chosen.iter().filter(|canary| canary.lane == lane).collect();
        let mut programs: Vec<_> = of_lane.iter().map(|canary| canary.program).collect();
        programs.dedup();
        let healthy = programs.into_iter().map(|program| (None, program));
        let mistaken = of_lane.iter().map(|canary| (Some(**canary), canary.program));
        for (canary, program) in healthy.chain(mistaken) {
            let began = Instant::now();
            let fate = match lane.lacks() {
                Some(tool) => Fate::Lacking(tool),
                None => yard.try_one(lane, program, canary),
            };
            let name = canary.map_or("(as it is)", |canary| canary.name);
            let said = match fate {
                Fate::Found(said) => {
                    found += usize::from(canary.is_some());
                    said
                }
                Fate::Lacking(tool) => {
                    lacking += 1;
                    format!("not asked: there is no {tool} here")
                }
                Fate::Failed(why) => {
                    silent += 1;
                    format!("WRONG\n{why}\n")
                }
            };
            let took = began.elapsed().as_secs_f64();
            println!("{took:>6.1} s  {:<9} {name:<54} {said}", lane.name());
        }
    }
    println!("{found} canaries found, {silent} wrong, {lacking} not asked for");
    if silent == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Yard {
    fn try_one(&self, lane: Lane, program: &str, canary: Option<&Canary>) -> Fate {
        if let Err(error) = copy::renew(&self.root, &self.copy) {
            return Fate::Failed(format!("copying the repository: {error}"));
        }
        if let Some(Canary { file, right, wrong, .. }) = canary
            && let Err(why) = copy::put(&self.copy.join(file), right, wrong)
        {
            return Fate::Failed(format!("the mistake does not fit any more: {why}"));
        }
        let [mut build, mut run] = lane.commands(program, &self.copy, &self.built);
        let built = output(&mut build);
        if !built.status.success() {
            return Fate::Failed(format!("it does not build:\n{}", end_of(&built)));
        }
        let ran = output(&mut run);
        let text = text_of(&ran);
        match canary {
            None if ran.status.success() => Fate::Found("silent, as it should be".into()),
            None => Fate::Failed(format!("it cries without a mistake:\n{}", end_of(&ran))),
            Some(_) if ran.status.success() => Fate::Failed(format!("SILENT:\n{}", end_of(&ran))),
            Some(Canary { found, .. }) => match text.lines().find(|line| line.contains(found)) {
                Some(line) => Fate::Found(shortened(line)),
                None => {
                    Fate::Failed(format!("it fails, and does not say {found:?}:\n{}", end_of(&ran)))
                }
            },
        }
    }
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

fn text_of(output: &Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}\n{err}")
}

/// How it ended, and its last lines.
fn end_of(output: &Output) -> String {
    let text = text_of(output);
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(30)..];
    format!("{}\n{}", output.status, last.join("\n"))
}

fn shortened(line: &str) -> String {
    let line = line.trim();
    let line = line.rsplit_once("==").map_or(line, |(_, text)| text.trim());
    line.chars().take(70).collect()
}
