//! The file with the numbers: a line for each workload, and the compiler that made them.

use std::fs;

use workloads::Workload;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../instructions.txt");

/// How many per cent a count may be off, up or down.
pub const TOLERANCE: f64 = 3.0;

pub struct Pins {
    pub compiler: String,
    counts: Vec<(String, f64)>,
}

impl Pins {
    pub fn read() -> Pins {
        let text = fs::read_to_string(PATH).unwrap_or_default();
        let mut pins = Pins { compiler: "nothing".into(), counts: Vec::new() };
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(": ")) {
            match value.trim().parse() {
                Ok(count) => pins.counts.push((name.into(), count)),
                Err(_) if name == "compiler" => pins.compiler = value.into(),
                Err(_) => panic!("{PATH}: what is {name}: {value}?"),
            }
        }
        pins
    }

    pub fn write(compiler: &str, counts: &[(Workload, f64)]) {
        let mut text = String::from(
            "# Instructions per operation, written by `cargo run --release -- pin` in benches/workloads.\n\n",
        );
        text += &format!("compiler: {compiler}\n");
        for (workload, count) in counts {
            text += &format!("{}: {count:.1}\n", workload.name());
        }
        fs::write(PATH, &text).expect("the file can be written");
        println!("{text}");
    }

    pub fn of(&self, workload: Workload) -> Option<f64> {
        self.counts.iter().find(|(name, _)| name == workload.name()).map(|(_, count)| *count)
    }
}
