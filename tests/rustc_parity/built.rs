//! The library as cargo built it for this test, and compilers that use it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, thread};

/// The library under test, and where its dependencies lie.
pub(crate) struct Built {
    /// What the programs call it.
    name: &'static str,
    library: PathBuf,
    dependencies: PathBuf,
}

/// A compiler and how it is called.
#[derive(Clone, Copy)]
pub(crate) struct Compiler {
    command: fn() -> Command,
    options: &'static [&'static str],
}

const LIBRARY: &[&str] =
    &["--crate-type=lib", "--emit=metadata", "-oprogram.rmeta", "--color=never"];

impl Compiler {
    pub(crate) const RUSTC: Compiler = Compiler { command: rustc, options: &["--edition=2024"] };
    pub(crate) const RUSTC_2021: Compiler =
        Compiler { command: rustc, options: &["--edition=2021"] };
    pub(crate) const RUSTC_2018: Compiler =
        Compiler { command: rustc, options: &["--edition=2018"] };
    /// One error a line, its place first.
    pub(crate) const BRIEF: Compiler =
        Compiler { command: rustc, options: &["--edition=2024", "--error-format=short"] };
    /// `missing_panics_doc` looks into a function that is exported, and the user's body no longer is.
    pub(crate) const CLIPPY: Compiler = Compiler {
        command: || Command::new("clippy-driver"),
        options: &[
            "--edition=2024",
            "-Wclippy::pedantic",
            "-Wunused_qualifications",
            "-Wunreachable_pub",
            "-Wrust_2018_idioms",
            "-Aclippy::missing_panics_doc",
        ],
    };

    pub(crate) fn is_there(self) -> bool {
        (self.command)().arg("--version").output().is_ok_and(|output| output.status.success())
    }
}

fn rustc() -> Command {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
}

impl Built {
    pub(crate) fn find() -> Built {
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
        let mut said = String::from("there is none");
        while let Some(library) = libraries.pop() {
            let built = Built { name: "loopbind", library, dependencies: dependencies.to_owned() };
            let right = "#[loopbind::loop_main]\npub async fn f() {}\n";
            said = built.compile(Compiler::RUSTC, &place("right"), right);
            if said.is_empty() {
                return built;
            }
        }
        panic!("no library that a program can use: {said}");
    }

    /// The same library as a dependency of another name.
    pub(crate) fn known_as(self, name: &'static str) -> Built {
        Built { name, ..self }
    }

    /// What the compiler says of a library with this text.
    pub(crate) fn compile(&self, compiler: Compiler, directory: &Path, text: &str) -> String {
        fs::create_dir_all(directory).expect("a directory for the program");
        fs::write(directory.join("program.rs"), text).expect("the program");
        let output = self
            .command(compiler, directory)
            .arg("program.rs")
            .args(LIBRARY)
            .output()
            .expect("the compiler can be run");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The compiler in `directory`, with the library at hand.
    pub(crate) fn command(&self, compiler: Compiler, directory: &Path) -> Command {
        let mut command = (compiler.command)();
        command
            .args(compiler.options)
            .arg("--extern")
            .arg(format!("{}={}", self.name, self.library.display()))
            .arg("-L")
            .arg(format!("dependency={}", self.dependencies.display()))
            .current_dir(directory);
        command
    }
}

/// A directory of its own for each test: they run side by side.
pub(crate) fn place(of: &str) -> PathBuf {
    let current = thread::current();
    let name: String = of.chars().filter(|letter| letter.is_alphanumeric()).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("rustc_parity")
        .join(current.name().unwrap_or("main").replace(':', "_"))
        .join(name)
}
