//! The lanes: how each is asked, and what it needs.

use std::path::Path;
use std::process::Command;

/// No canary takes longer to be found, once it is built.
const LIMIT: &str = "120";

/// What is built for, so that flags are not those of build scripts and attributes: this machine.
fn target() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc");
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.expect("what rustc is for").to_owned()
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lane {
    Address,
    Thread,
    Leak,
    Memcheck,
    /// The program counts by itself.
    Plain,
    /// `#[loop_test]`.
    Test,
    Models,
    Programs,
    Faults,
    Soak,
}

impl Lane {
    pub(crate) const ALL: [Lane; 10] = [
        Lane::Address,
        Lane::Thread,
        Lane::Leak,
        Lane::Memcheck,
        Lane::Plain,
        Lane::Test,
        Lane::Models,
        Lane::Programs,
        Lane::Faults,
        Lane::Soak,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Lane::Address => "address",
            Lane::Thread => "thread",
            Lane::Leak => "leak",
            Lane::Memcheck => "memcheck",
            Lane::Plain => "plain",
            Lane::Test => "test",
            Lane::Models => "models",
            Lane::Programs => "programs",
            Lane::Faults => "faults",
            Lane::Soak => "soak",
        }
    }

    fn sanitizer(self) -> Option<&'static str> {
        match self {
            Lane::Address => Some("-Zsanitizer=address"),
            Lane::Thread => Some("-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"),
            Lane::Leak => Some("-Zsanitizer=leak"),
            _ => None,
        }
    }

    /// What this machine lacks for it.
    pub(crate) fn lacks(self) -> Option<&'static str> {
        let runs = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).output();
            output.is_ok_and(|output| output.status.success())
        };
        match self {
            Lane::Address | Lane::Thread | Lane::Leak => {
                (!runs("rustc", &["+nightly", "--version"])).then_some("nightly Rust")
            }
            Lane::Memcheck => (!runs("valgrind", &["--version"])).then_some("valgrind"),
            _ => None,
        }
    }

    /// Runs the program as the lane does, in the repository at `root`, and keeps what is built in `built`.
    /// What it is told to build comes first: an error there is no canary that was found.
    pub(crate) fn commands(self, program: &str, root: &Path, built: &Path) -> [Command; 2] {
        let mut build = Command::new("cargo");
        // Of this program's own build.
        for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN", "CARGO_MANIFEST_DIR"] {
            build.env_remove(variable);
        }
        let built = built.join(match self {
            Lane::Memcheck | Lane::Plain | Lane::Test => "plain",
            other => other.name(),
        });
        if self.sanitizer().is_some() {
            build.arg("+nightly");
        }
        build.env("CARGO_TARGET_DIR", &built).env("CARGO_TERM_COLOR", "never");
        build.env("CARGO_INCREMENTAL", "0");
        let (target, here) = (target(), root.join("canaries/programs"));
        match self {
            Lane::Address | Lane::Thread | Lane::Leak | Lane::Memcheck | Lane::Plain => {
                build.current_dir(here).args(["build", "--locked", "--target", &target]);
                build.args(["--bin", program]);
            }
            Lane::Test => {
                build.current_dir(here).args(["test", "--locked", "--no-run", "--test", program]);
            }
            Lane::Models => {
                build.current_dir(root.join("models")).args(["build", "--release", "--locked"]);
            }
            Lane::Programs => {
                build.current_dir(root).args(["test", "--no-run", "--test", "core_model"]);
            }
            Lane::Faults => {
                build.current_dir(root);
                build.args(["test", "--no-run", "--features", "faults", "--test", "faults"]);
            }
            Lane::Soak => {
                build.current_dir(root.join("soak")).args(["build", "--release", "--locked"]);
            }
        }
        if let Some(flags) = self.sanitizer() {
            build.env("RUSTFLAGS", flags);
        }
        let mut run = Command::new("timeout");
        run.args(["-k", "5", LIMIT]);
        let binary = built.join(&target).join("debug").join(program);
        match self {
            Lane::Memcheck => {
                run.args(["valgrind", "--quiet", "--error-exitcode=9"]).arg(binary);
            }
            Lane::Address | Lane::Thread | Lane::Leak | Lane::Plain => {
                run.arg(binary);
            }
            Lane::Models => {
                run.arg(built.join("release/models"));
            }
            Lane::Soak => {
                run.arg(built.join("release/soak")).arg(program);
            }
            Lane::Test | Lane::Programs | Lane::Faults => {
                // What was built is run by who built it, who alone knows its name.
                run.arg("cargo");
                let words = build.get_args().filter(|word| *word != "--no-run");
                run.args(words);
                if self != Lane::Test {
                    run.args(["--", program]);
                }
                for (name, value) in build.get_envs() {
                    match value {
                        Some(value) => run.env(name, value),
                        None => run.env_remove(name),
                    };
                }
            }
        }
        if let Some(folder) = build.get_current_dir() {
            run.current_dir(folder);
        }
        run.env("ASAN_OPTIONS", "detect_stack_use_after_return=1:detect_leaks=1");
        let suppressions = root.join("lanes/thread.suppressions");
        let options = format!("suppressions={}", suppressions.display());
        run.env("TSAN_OPTIONS", options);
        [build, run]
    }
}
