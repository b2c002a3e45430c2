//! What a compiler says of an annotated function is what it says of the same plain function, letter for letter.
//!
//! Each program is compiled twice, side by side: with the attribute, and with a line of the same kind that does nothing in its place.
//! The comparison is live, so that another compiler with other words changes nothing here.
#![cfg(feature = "macros")]

mod built;
mod programs;

use built::{Built, Compiler, place};
use programs::{DIVERGING, LINTED, OTHER, Program, SPARED, WRONG};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fs, thread};

/// Where the attribute stands in the programs.
const HERE: &str = "#[HERE]";
/// What a plain function has there.
const NOTHING: &str = "#[rustfmt::skip]";

/// What is wrong, if the compiler says two different things.
fn compare(
    built: &Built,
    compiler: Compiler,
    program: &Program,
    attribute: &str,
    place: &Path,
) -> Option<String> {
    let Program { name, says, text } = program;
    assert!(text.contains(HERE), "{name} has no place for the attribute");
    let place = place.join(name);
    let plain = built.compile(compiler, &place.join("plain"), &text.replace(HERE, NOTHING));
    let annotated =
        built.compile(compiler, &place.join("annotated"), &text.replace(HERE, attribute));
    // Where it quotes the line above.
    let annotated = annotated.replace(attribute, NOTHING);
    if !plain.contains(says) {
        return Some(format!("{name}: the compiler does not speak of `{says}`:\n{plain}"));
    }
    (annotated != plain)
        .then(|| format!("{name}, under {attribute}:\n{annotated}\n{name}, plain:\n{plain}"))
}

fn all_alike(compiler: Compiler, programs: &[Program], attribute: &str) {
    let (built, place) = (Built::find(), place(attribute));
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let differences: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut differences = Vec::new();
            while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                differences.extend(compare(&built, compiler, program, attribute, &place));
            }
            differences
        };
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(
        differences.is_empty(),
        "{} of {} programs get other messages with {attribute}:\n\n{}",
        differences.len(),
        programs.len(),
        differences.join("\n\n")
    );
}

#[test]
fn rustc_says_the_same_under_loop_main() {
    all_alike(Compiler::RUSTC, WRONG, "#[loopbind::loop_main]");
}

#[test]
fn rustc_says_the_same_under_loop_thread() {
    all_alike(Compiler::RUSTC, WRONG, "#[loopbind::loop_thread(name = \"worker\")]");
}

#[test]
fn clippy_says_the_same() {
    if Compiler::CLIPPY.is_there() {
        all_alike(Compiler::CLIPPY, LINTED, "#[loopbind::loop_main]");
    } else {
        println!("clippy is not installed: nothing was compared");
    }
}

/// The first line of each message, and where it is.
fn headlines(said: &str) -> Vec<String> {
    let lines: Vec<&str> = said.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1].trim_start().starts_with("--> "))
        .map(|pair| pair.concat())
        .collect()
}

#[test]
fn clippy_says_no_more_of_what_it_spares() {
    if !Compiler::CLIPPY.is_there() {
        println!("clippy is not installed: nothing was compared");
        return;
    }
    let (built, place) = (Built::find(), place("spared"));
    let mut more = Vec::new();
    for Program { name, text, .. } in SPARED {
        for attribute in ["#[loopbind::loop_main]", "#[loopbind::loop_thread]"] {
            let place = place.join(name);
            let plain = text.replace(HERE, NOTHING).replace("#[loopbind::loop_thread]", NOTHING);
            let plain = headlines(&built.compile(Compiler::CLIPPY, &place, &plain));
            let text = text.replace(HERE, attribute);
            let said = headlines(&built.compile(Compiler::CLIPPY, &place, &text));
            more.extend(said.into_iter().filter(|line| !plain.contains(line)));
        }
    }
    assert!(more.is_empty(), "only under the attributes:\n{}", more.join("\n"));
}

#[test]
fn a_method_that_does_not_end_is_nothing_to_warn_of() {
    let methods: String = DIVERGING
        .iter()
        .map(|(name, rest)| {
            format!("#[loopbind::loop_thread]\npub async fn {name}(&self) {rest}\n")
        })
        .collect();
    let text = format!("#![deny(warnings)]\npub struct S(pub u8);\nimpl S {{\n{methods}}}\n");
    let (built, place) = (Built::find(), place("diverging"));
    assert_eq!(built.compile(Compiler::RUSTC, &place, &text), "");
    if Compiler::CLIPPY.is_there() {
        let said = built.compile(Compiler::CLIPPY, &place, &text);
        assert!(!said.contains("diverges"), "{said}");
    }
}

#[test]
fn older_editions_have_their_own_rules_of_capture() {
    let borrowing = "#[HERE]
pub async fn f(a: &str) -> Option<impl std::fmt::Display> {
    Some(a)
}";
    let right = "#[HERE]
pub async fn f<'a>(a: &'a str, b: &mut Vec<u8>) -> Option<impl std::fmt::Display + 'a> {
    b.push(1);
    Some(a)
}
#[HERE]
pub async fn g(a: &str) -> impl std::fmt::Display {
    a.len()
}
pub fn h() -> impl std::fmt::Display {
    let text = String::new();
    let _ = g(&text);
    text
}
pub struct S(pub u32);
impl S {
    #[loopbind::loop_thread]
    pub async fn g(&self, a: (u32, u32)) -> Result<u32, Box<dyn std::error::Error>> {
        Ok(self.0 + a.0)
    }
    #[loopbind::loop_thread]
    pub async fn h(&self) -> impl std::fmt::Display + '_ {
        &self.0
    }
}
";
    for (compiler, name) in [(Compiler::RUSTC_2018, "2018"), (Compiler::RUSTC_2021, "2021")] {
        let programs = [
            Program { name: "borrowing", says: "E0700", text: borrowing },
            Program { name: "right", says: "", text: right },
        ];
        all_alike(compiler, &programs, "#[loopbind::loop_main]");
        let right = right.replace(HERE, "#[loopbind::loop_main]");
        assert_eq!(Built::find().compile(compiler, &place(name), &right), "", "edition {name}");
    }
}

#[test]
fn what_an_opaque_output_captures_is_what_it_says() {
    // In the caller: the output of `f` outlives what it was made from, as the signature says.
    let text = "#[HERE]
pub fn f(a: &str) -> impl std::fmt::Display {
    a.len()
}
pub fn g() -> impl std::fmt::Display {
    let text = String::new();
    f(&text)
}";
    let built = Built::find();
    let right = text.replace(HERE, "#[loopbind::loop_main]");
    assert_eq!(built.compile(Compiler::RUSTC_2021, &place("2021"), &right), "");
    let wrong = built.compile(Compiler::RUSTC, &place("2024"), &right);
    assert!(wrong.contains("E0515") || wrong.contains("E0597"), "2024 captures: {wrong}");
}

#[test]
fn a_renamed_dependency_is_found_by_its_path() {
    let text = "#![deny(warnings)]
#![no_std]
#[lb::loop_main(crate = lb)]
pub async fn f() {}
#[lb::loop_thread(crate = ::lb, spawn, stack_size = 1 << 20)]
pub async fn g<T: Send + 'static>(a: T) -> Option<T> { Some(a) }
#[lb::loop_test(crate = lb)]
async fn h() {}
";
    let built = Built::find().known_as("lb");
    assert_eq!(built.compile(Compiler::RUSTC, &place("with"), text), "");
    let without = text.replace("crate = lb", "").replace("crate = ::lb,", "");
    assert!(built.compile(Compiler::RUSTC, &place("without"), &without).contains("loopbind"));
}

/// Where rustc reports errors, as `line:column`, sorted; how it words them is its own affair.
fn errors_of(name: &str, text: &str) -> Vec<String> {
    let said = Built::find().compile(Compiler::BRIEF, &place(name), text);
    let mut places: Vec<(u32, u32)> = said
        .lines()
        .filter(|line| line.contains(": error"))
        .map(|line| {
            let mut numbers = line.split(':').skip(1).map(str::parse);
            match (numbers.next(), numbers.next()) {
                (Some(Ok(line)), Some(Ok(column))) => (line, column),
                _ => panic!("an error without a place:\n{said}"),
            }
        })
        .collect();
    places.sort_unstable();
    places.into_iter().map(|(line, column)| format!("{line}:{column}")).collect()
}

/// The places that the program marks with `»`, and the program without the marks.
fn marked(text: &str) -> (String, Vec<String>) {
    let mut places = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (marks, (at, _)) in line.match_indices('»').enumerate() {
            let column = line[..at].chars().count() - marks + 1;
            places.push(format!("{}:{column}", number + 1));
        }
    }
    (text.replace('»', ""), places)
}

#[track_caller]
fn told_where_marked(name: &str, text: &str) {
    let (text, places) = marked(text);
    assert_eq!(errors_of(name, &text), places, "in {name}");
}

#[test]
fn a_main_with_arguments_is_told_what_any_main_with_arguments_is() {
    let built = Built::find();
    let said = |name: &str, text: &str| {
        let directory = place(name);
        fs::create_dir_all(&directory).expect("a directory for the program");
        fs::write(directory.join("program.rs"), text).expect("the program");
        let mut command = built.command(Compiler::RUSTC, &directory);
        command.args(["program.rs", "--crate-type=bin", "--emit=metadata"]);
        let output = command.output().expect("the compiler can be run");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let annotated = "#[loopbind::loop_main]\nasync fn main(number: u32) {\n    drop(number);\n}\n";
    let annotated = said("annotated", annotated);
    let plain = said("plain", "#[rustfmt::skip]\nfn main(number: u32) {\n    drop(number);\n}\n");
    let errors = |said: &str| {
        let errors = said.lines().filter(|line| line.starts_with("error"));
        errors.map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(plain.contains("E0580"), "{plain}");
    assert_eq!(errors(&annotated), errors(&plain), "{annotated}");
}

#[test]
fn what_cannot_move_to_a_thread_is_told_at_its_type() {
    told_where_marked(
        "arguments",
        "use std::{fmt::Display, rc::Rc};
#[loopbind::loop_thread(spawn)]
pub async fn f(a: »Rc<u32>, b: u32, (c, _): »(Rc<u8>, u8), d: »impl Display) { drop((a, b, c, d.to_string())) }
#[loopbind::loop_thread(spawn)]
pub fn g(a: »Rc<u32>) -> u32 { *a }
#[loopbind::loop_thread(spawn)]
pub async fn h(a: »Option<&str>) -> usize { a.map_or(0, str::len) }",
    );
    told_where_marked(
        "outputs",
        "use std::{fmt::Display, rc::Rc};
#[loopbind::loop_thread(spawn)]
pub async fn f() -> »Rc<u32> { Rc::new(1) }
#[loopbind::loop_thread(spawn)]
pub fn g() -> »Result<Rc<u32>, u8> { Ok(Rc::new(1)) }
#[loopbind::loop_thread(spawn)]
pub async fn h<T: Display>(a: »T) -> »T { a }",
    );
    told_where_marked(
        "receiver",
        "use std::rc::Rc;
pub struct S(pub Rc<u32>);
impl S {
    #[loopbind::loop_thread(spawn)]
    pub async fn f(»self, a: u32) -> u32 { *self.0 + a }
    #[loopbind::loop_thread(spawn)]
    pub async fn made(a: u32) -> »Self { Self(Rc::new(a)) }
}",
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_at_the_value() {
    told_where_marked(
        "values",
        "const N: i32 = 1;
#[loopbind::loop_main(name = »N, debug = »N + 1, builder = »String::new())]
pub async fn f() {}
#[loopbind::loop_thread(spawn, stack_size = »N, core = »std::mem::size_of::<u8>() as u32)]
pub async fn g() {}
#[loopbind::loop_main(crate = »nowhere::loopbind)]
pub async fn h() {}
",
    );
}

#[test]
fn a_wrong_option_hides_no_error_of_the_body() {
    told_where_marked(
        "both",
        "#[loopbind::loop_main(»colour)]
pub async fn f() -> u32 { »\"five\" }",
    );
}

/// Compiles a program with attribute macros of another crate, runs its tests, and gives what they write.
fn run_with_other_macros(name: &str, text: &str) -> String {
    let (built, directory) = (Built::find(), place(name));
    fs::create_dir_all(&directory).expect("a directory for the program");
    let run = |command: &mut Command| {
        let output = command.current_dir(&directory).output().expect("it can be run");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "in {name}:\n{said}");
        said
    };
    let rustc = || built.command(Compiler::RUSTC, &directory);
    fs::write(directory.join("other.rs"), OTHER).expect("the macros");
    run(rustc().args(["other.rs", "--crate-type=proc-macro"]));
    fs::write(directory.join("program.rs"), text).expect("the program");
    run(rustc().args(["program.rs", "--test", "-Dwarnings", "-L.", "--extern=other"]));
    run(&mut Command::new(directory.join("program")))
}

#[test]
fn other_attribute_macros_work_above_and_below() {
    let written = run_with_other_macros(
        "counted",
        "mod above {
    #[other::counted]
    #[loopbind::loop_main]
    pub async fn f() -> u32 { std::future::ready(COUNTED).await }
}
mod below {
    #[loopbind::loop_main]
    #[other::counted]
    pub async fn f() -> u32 { std::future::ready(COUNTED).await }
}
#[test]
fn both() {
    assert_eq!(above::f() + below::f(), 2);
}",
    );
    assert!(written.contains("1 passed"), "{written}");
}

#[test]
fn a_macro_that_makes_tests_works_above_and_below() {
    for (name, attributes) in [
        ("above", "#[other::cases(1, 2, 3)]\n#[loopbind::loop_test(virtual_time)]"),
        ("below", "#[loopbind::loop_test(virtual_time)]\n#[other::cases(1, 2, 3)]"),
        ("below_with_seeds", "#[loopbind::loop_test(seeds = 0..4)]\n#[other::cases(1, 2, 3)]"),
    ] {
        let program = format!(
            "{attributes}
async fn check(#[case] number: u32) {{
    assert!(loopbind::get_running_loop().is_ok());
    assert!(std::future::ready(number).await < 4);
}}"
        );
        let written = run_with_other_macros(name, &program);
        assert!(written.contains("3 passed"), "{name}: {written}");
    }
}
