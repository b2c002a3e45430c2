//! A program that is wrong in its body or signature gets from rustc what the same plain function gets, letter for letter.
//!
//! Each program is compiled twice, side by side: with the attribute, and with a line of the same kind that does nothing in its place.
//! The comparison is live, so that another compiler with other words changes nothing here.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

/// Where the attribute stands in the programs.
const HERE: &str = "#[HERE]";
/// What a plain function has there.
const NOTHING: &str = "#[cfg(all())]";

/// One wrong program, with a word that must be in what rustc says, so that it is wrong for the reason it is here for.
struct Program {
    name: &'static str,
    says: &'static str,
    text: &'static str,
}

const fn program(name: &'static str, says: &'static str, text: &'static str) -> Program {
    Program { name, says, text }
}

const PROGRAMS: &[Program] = &[
    program(
        "wrong_tail",
        "mismatched types",
        "#[HERE]\npub async fn f() -> u32 {\n    \"five\"\n}",
    ),
    program(
        "wrong_return",
        "mismatched types",
        "#[HERE]\npub async fn f(early: bool) -> u32 {\n    if early {\n        return String::new();\n    }\n    5\n}",
    ),
    program(
        "no_tail",
        "mismatched types",
        "#[HERE]\npub(crate) async fn f() -> u32 {\n    std::future::ready(5).await;\n}",
    ),
    program(
        "never_that_returns",
        "mismatched types",
        "#[HERE]\npub async fn f() -> ! {\n    std::future::ready(()).await;\n}",
    ),
    program(
        "question_mark_without_await",
        "E0277",
        "async fn g() -> Result<u32, String> {\n    Ok(1)\n}\n\n#[HERE]\npub async fn f() -> Result<u32, String> {\n    Ok(g()? + 1)\n}",
    ),
    program(
        "question_mark_in_unit",
        "E0277",
        "#[HERE]\npub async fn f() {\n    let _: u32 = \"5\".parse()?;\n}",
    ),
    program(
        "question_mark_of_another_error",
        "E0277",
        "#[HERE]\npub async fn f() -> Result<u32, std::num::ParseIntError> {\n    Ok(std::fs::read_to_string(\"x\")?.parse()?)\n}",
    ),
    program(
        "borrowed_twice",
        "E0502",
        "#[HERE]\npub async fn f() -> usize {\n    let mut v = vec![1];\n    let first = &v;\n    v.push(2);\n    first.len()\n}",
    ),
    program(
        "borrowed_argument",
        "E0596",
        "#[HERE]\npub async fn f(v: &Vec<u32>) {\n    v.push(1);\n}",
    ),
    program(
        "moved",
        "E0382",
        "#[HERE]\npub async fn f(text: String) -> usize {\n    drop(text);\n    text.len()\n}",
    ),
    program("unknown_names", "E0425", "#[HERE]\npub async fn f() {\n    work(number).await;\n}"),
    program(
        "unknown_types",
        "cannot find type",
        "#[HERE]\npub async fn f(a: Foo) -> Bar {\n    a\n}",
    ),
    program(
        "missing_bound",
        "E0277",
        "#[HERE]\npub async fn f<T>(value: T) -> String {\n    format!(\"{value}\")\n}",
    ),
    program(
        "missing_bound_in_where",
        "E0405",
        "#[HERE]\npub async fn f<T>(value: T)\nwhere\n    T: Unknown,\n{\n    drop(value);\n}",
    ),
    program(
        "unused_must_use",
        "unused_must_use",
        "#[HERE]\npub async fn f() {\n    std::fs::read(\"x\");\n}",
    ),
    program(
        "unused_future",
        "unused_must_use",
        "async fn g() {}\n\n#[HERE]\npub async fn f() {\n    g();\n}",
    ),
    program(
        "unused_variables",
        "unused_variables",
        "#[HERE]\npub async fn f(unused: u32, mut kept: u32) -> u32 {\n    let other = 1;\n    kept\n}",
    ),
    program("dead_code", "dead_code", "#[HERE]\nasync fn f() {\n    fn inside() {}\n}"),
    program(
        "deprecated",
        "deprecated",
        "#[deprecated]\npub struct Old;\n\n#[HERE]\npub async fn f(_: Old) -> Old {\n    Old\n}",
    ),
    program(
        "bad_names",
        "should have",
        "#[HERE]\npub async fn BadName(BadArgument: u32) -> u32 {\n    BadArgument\n}",
    ),
    program(
        "unreachable",
        "unreachable",
        "#[HERE]\npub async fn f() -> u32 {\n    return 1;\n    println!(\"never\");\n}",
    ),
    program(
        "wrong_lifetime",
        "lifetime",
        "#[HERE]\npub async fn f<'a>(a: &'a str, b: &str) -> &'a str {\n    b\n}",
    ),
    program(
        "missing_lifetime",
        "E0106",
        "#[HERE]\npub async fn f(a: &str, b: &str) -> &str {\n    b\n}",
    ),
    program(
        "undeclared_lifetime",
        "E0261",
        "#[HERE]\npub async fn f(a: &'a str) {\n    drop(a);\n}",
    ),
    program(
        "returns_what_it_owns",
        "E0515",
        "#[HERE]\npub async fn f() -> &'static str {\n    let text = String::new();\n    &text\n}",
    ),
    program(
        "await_in_closure",
        "E0728",
        "#[HERE]\npub async fn f() {\n    let g = || std::future::ready(1).await;\n    g();\n}",
    ),
    program(
        "opaque_of_two_types",
        "E0308",
        "#[HERE]\npub async fn f(a: bool) -> impl std::fmt::Display {\n    if a {\n        return 1_u32;\n    }\n    \"a\"\n}",
    ),
    program(
        "opaque_without_bound",
        "E0277",
        "#[HERE]\npub async fn f() -> impl std::fmt::Display {\n    vec![1]\n}",
    ),
    program(
        "opaque_argument",
        "E0599",
        "#[HERE]\npub async fn f(a: impl Clone) {\n    a.work();\n}",
    ),
    program(
        "constant_argument",
        "E0308",
        "#[HERE]\npub async fn f<const N: usize>() -> [u8; N] {\n    [0; 3]\n}",
    ),
    program("unsafe_call", "E0133", "unsafe fn g() {}\n\n#[HERE]\npub async fn f() {\n    g();\n}"),
    program(
        "refutable_argument",
        "E0005",
        "#[HERE]\npub async fn f(Some(a): Option<u32>) -> u32 {\n    a\n}",
    ),
    program(
        "argument_twice",
        "E0415",
        "#[HERE]\npub async fn f(a: u32, a: u32) -> u32 {\n    a\n}",
    ),
    program("break_outside_of_loop", "E0267", "#[HERE]\npub async fn f() {\n    break;\n}"),
    program(
        "endless_future",
        "E0733",
        "#[HERE]\npub async fn f(n: u32) {\n    async fn g(n: u32) {\n        g(n - 1).await;\n    }\n    g(n).await;\n}",
    ),
    program("plain_wrong_tail", "E0308", "#[HERE]\npub fn f() -> u32 {\n    \"five\"\n}"),
    program(
        "plain_unused",
        "unused_variables",
        "#[HERE]\npub fn f(unused: u32) {\n    std::fs::read(\"x\");\n}",
    ),
];

/// The library under test and where its dependencies lie, as cargo built them for this test.
struct Built {
    library: PathBuf,
    dependencies: PathBuf,
}

impl Built {
    fn find() -> Built {
        let test = env::current_exe().expect("a test knows its own file");
        let dependencies = test.parent().expect("it lies in a directory");
        let mut libraries: Vec<PathBuf> = fs::read_dir(dependencies)
            .expect("the directory can be read")
            .map(|entry| entry.expect("and each of its entries").path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("libloopbind-") && name.ends_with(".rlib")
            })
            .collect();
        // A directory that was built into for long also holds older ones, and some without attributes: newest first.
        libraries.sort_by_key(|path| fs::metadata(path).and_then(|data| data.modified()).ok());
        libraries
            .into_iter()
            .rev()
            .map(|library| Built { library, dependencies: dependencies.to_owned() })
            .find(|built| {
                let right = "#[loopbind::loop_main]\npub async fn f() {}\n";
                built.compile(&place("right"), right, "human").is_empty()
            })
            .expect("this test depends on the library")
    }

    /// What rustc says of the program.
    fn compile(&self, directory: &Path, text: &str, format: &str) -> String {
        fs::create_dir_all(directory).expect("a directory for the program");
        fs::write(directory.join("program.rs"), text).expect("the program");
        let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
            .args(["program.rs", "--edition=2024", "--crate-type=lib", "--emit=metadata"])
            .args(["-o", "program.rmeta", "--color=never", "--error-format", format])
            .arg("--extern")
            .arg(format!("loopbind={}", self.library.display()))
            .arg("-L")
            .arg(format!("dependency={}", self.dependencies.display()))
            .current_dir(directory)
            .output()
            .expect("rustc can be run");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// What is wrong, if the two outputs differ.
    fn compare(&self, program: &Program, attribute: &str, place: &Path) -> Option<String> {
        let Program { name, says, text } = program;
        assert!(text.contains(HERE), "{name} has no place for the attribute");
        let place = place.join(name);
        let plain = self.compile(&place.join("plain"), &text.replace(HERE, NOTHING), "human");
        let annotated =
            self.compile(&place.join("annotated"), &text.replace(HERE, attribute), "human");
        // Where rustc quotes the line above.
        let annotated = annotated.replace(attribute, NOTHING);
        if !plain.contains(says) {
            return Some(format!("{name}: rustc does not speak of `{says}`:\n{plain}"));
        }
        (annotated != plain)
            .then(|| format!("{name}, under {attribute}:\n{annotated}\n{name}, plain:\n{plain}"))
    }
}

/// A directory of its own for each test: they run side by side.
fn place(of: &str) -> PathBuf {
    let current = thread::current();
    let name: String = of.chars().filter(|letter| letter.is_alphanumeric()).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rustc_parity")
        .join(current.name().unwrap_or("main").replace(':', "_"))
        .join(name)
}

fn all_alike(attribute: &str) {
    let (built, place) = (Built::find(), place(attribute));
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let differences: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers)
            .map(|_| {
                scope.spawn(|| {
                    let mut differences = Vec::new();
                    while let Some(program) = PROGRAMS.get(next.fetch_add(1, Ordering::Relaxed)) {
                        differences.extend(built.compare(program, attribute, &place));
                    }
                    differences
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("no panic")).collect()
    });
    assert!(
        differences.is_empty(),
        "{} of {} programs get other messages with {attribute}:\n\n{}",
        differences.len(),
        PROGRAMS.len(),
        differences.join("\n\n")
    );
}

#[test]
fn under_loop_main() {
    all_alike("#[loopbind::loop_main]");
}

#[test]
fn under_loop_thread() {
    all_alike("#[loopbind::loop_thread(name = \"worker\")]");
}

/// Where rustc reports errors, as `line:column`, sorted; how it words them is its own affair.
fn errors_of(name: &str, text: &str) -> Vec<String> {
    let said = Built::find().compile(&place(name), text, "short");
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

/// Attribute macros as other crates have them: one that leaves a trace, and one that makes a test for each case.
const OTHER: &str = r##"
extern crate proc_macro;
use proc_macro::{TokenStream, TokenTree};

#[proc_macro_attribute]
pub fn counted(_: TokenStream, item: TokenStream) -> TokenStream {
    let mut item = item;
    item.extend("const COUNTED: u32 = 1;".parse::<TokenStream>().unwrap());
    item
}

/// Takes the attributes off, and puts them on a function for each case; `#[case]` marks the argument.
#[proc_macro_attribute]
pub fn cases(values: TokenStream, item: TokenStream) -> TokenStream {
    let trees: Vec<TokenTree> = item.into_iter().collect();
    let is_hash = |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == '#');
    let attributes = trees.chunks(2).take_while(|pair| is_hash(&pair[0])).count() * 2;
    let (attributes, function) = trees.split_at(attributes);
    let text = |trees: &[TokenTree]| trees.iter().cloned().collect::<TokenStream>().to_string();
    let (attributes, function) = (text(attributes), text(function));
    assert!(function.contains("#[case]"), "the argument has lost its mark: {function}");
    let function = function.replace("#[case]", "");
    let test = if attributes.contains("test]") { "" } else { "#[test]" };
    let (asynchronous, wait) = if function.contains("async fn check") { ("async", ".await") } else { ("", "") };
    let mut all = function;
    for (number, value) in values.to_string().split(',').enumerate() {
        all += &format!("{attributes} {test} {asynchronous} fn case_{number}() {{ check({value}){wait} }}");
    }
    all.parse().unwrap()
}
"##;

/// Compiles a program with the crate above, runs its tests, and gives what they write.
fn run_with_other_macros(name: &str, text: &str) -> String {
    let (built, directory) = (Built::find(), place(name));
    fs::create_dir_all(&directory).expect("a directory for the program");
    let rustc = || Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let run = |command: &mut Command| {
        let output = command.current_dir(&directory).output().expect("it can be run");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(output.status.success(), "in {name}:\n{said}");
        said
    };
    fs::write(directory.join("other.rs"), OTHER).expect("the macros");
    run(rustc().args(["other.rs", "--edition=2024", "--crate-type=proc-macro"]));
    fs::write(directory.join("program.rs"), text).expect("the program");
    run(rustc()
        .args(["program.rs", "--edition=2024", "--test", "-Dwarnings", "-L.", "--extern", "other"])
        .arg("--extern")
        .arg(format!("loopbind={}", built.library.display()))
        .arg("-L")
        .arg(format!("dependency={}", built.dependencies.display())));
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
        ("cases_above", "#[other::cases(1, 2, 3)]\n#[loopbind::loop_test(virtual_time)]"),
        ("cases_below", "#[loopbind::loop_test(virtual_time)]\n#[other::cases(1, 2, 3)]"),
        (
            "cases_below_with_seeds",
            "#[loopbind::loop_test(seeds = 0..4)]\n#[other::cases(1, 2, 3)]",
        ),
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
