//! What is to be run, and how.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::child::Child;
use super::error::ProcessError;
use super::orphans;

/// A program to be run: `std::process::Command`, whose methods it has.
///
/// Those that it has not are reached through [`as_std_mut`](Command::as_std_mut).
///
/// ```
/// use loopbind::process::Command;
/// use loopbind::run;
///
/// run(async {
///     let status = Command::new("test").args(["-d", "."]).current_dir("/").status().await?;
///     assert!(status.success());
///     Ok::<(), std::io::Error>(())
/// })??;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Command {
    inner: std::process::Command,
    kill_on_drop: bool,
    chosen: Chosen,
}

/// Which streams were said something about. For the others, `output` has defaults of its own.
#[derive(Clone, Copy, Debug, Default)]
struct Chosen {
    stdin: bool,
    stdout: bool,
    stderr: bool,
}

impl Command {
    /// A command that runs `program`, found as `std::process::Command::new` finds it, without
    /// arguments, with this process's environment, directory and standard streams.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(program).into()
    }

    /// Adds an argument.
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.inner.envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(key);
        self
    }

    /// Gives the child an environment of what is set here only.
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Where the child runs.
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(directory);
        self
    }

    /// The child's standard input: this process's, unless something else is said;
    /// [`output`](Command::output) gives it none.
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdin = true;
        self.inner.stdin(stdin);
        self
    }

    /// The child's standard output: this process's, unless something else is said;
    /// [`output`](Command::output) reads it.
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdout = true;
        self.inner.stdout(stdout);
        self
    }

    /// The child's standard error: see [`stdout`](Command::stdout).
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.chosen.stderr = true;
        self.inner.stderr(stderr);
        self
    }

    /// The user the child runs as.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// The group the child runs as.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// The name the program gets of itself, in the place of its path.
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg0(arg);
        self
    }

    /// The group of processes the child joins; 0 for a new one, out of reach of the terminal's
    /// Ctrl-C.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.inner.process_group(group);
        self
    }

    /// Whether a child is killed when its [`Child`] is dropped before its end, also by the
    /// cancellation of [`output`](Command::output) or [`status`](Command::status). It is not, unless
    /// asked for. SUB-08.
    pub fn kill_on_drop(&mut self, on: bool) -> &mut Self {
        self.kill_on_drop = on;
        self
    }

    /// The program.
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments.
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// What is set in, and taken out of, the child's environment.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// Where the child runs, if that was said.
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// Whether a child is killed when its [`Child`] is dropped.
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Std's command.
    pub fn as_std(&self) -> &std::process::Command {
        &self.inner
    }

    /// Std's command, for the methods that this one has not. What is said there about the standard
    /// streams is not known to [`output`](Command::output).
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.inner
    }

    /// Std's command again.
    pub fn into_std(self) -> std::process::Command {
        self.inner
    }

    /// Starts the program: returns once it runs, or is known not to. That takes a moment, in which
    /// the loop does nothing else.
    ///
    /// # Errors
    /// The system's, with its kind, in a [`ProcessError::Spawn`] that names the program. SUB-12.
    ///
    /// ```
    /// use futures::{AsyncReadExt, AsyncWriteExt};
    /// use loopbind::process::{Command, Stdio};
    /// use loopbind::run;
    ///
    /// run(async {
    ///     let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    ///     let (mut to, mut from) = (cat.stdin.take().unwrap(), cat.stdout.take().unwrap());
    ///     to.write_all(b"meow").await?;
    ///     to.close().await?;
    ///     let mut said = String::new();
    ///     from.read_to_string(&mut said).await?;
    ///     assert_eq!(said, "meow");
    ///     assert!(cat.wait().await?.success());
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        orphans::sweep();
        match self.inner.spawn() {
            Ok(child) => Child::adopt(child, self.kill_on_drop),
            Err(source) => Err(ProcessError::Spawn {
                program: self.get_program().to_owned(),
                directory: self.get_current_dir().map(Path::to_path_buf),
                source,
            }
            .into()),
        }
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    /// Dropping it drops the child.
    pub async fn status(&mut self) -> io::Result<ExitStatus> {
        let mut child = self.spawn()?;
        // Nobody reads them: a child that fills one must not wait for that.
        drop((child.stdout.take(), child.stderr.take()));
        child.wait().await
    }

    /// Runs the program to its end, and gives what it wrote. Its standard input is empty, unless
    /// something was said about it; its output and error are read, unless likewise.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait_with_output`].
    ///
    /// # Cancel safety
    /// Dropping it drops the child.
    pub async fn output(&mut self) -> io::Result<Output> {
        let chosen = self.chosen;
        self.set_unless(chosen, Stdio::null, Stdio::piped);
        let spawned = self.spawn();
        // What it would have been without this call.
        self.set_unless(chosen, Stdio::inherit, Stdio::inherit);
        spawned?.wait_with_output().await
    }

    fn set_unless(&mut self, chosen: Chosen, input: fn() -> Stdio, output: fn() -> Stdio) {
        if !chosen.stdin {
            self.inner.stdin(input());
        }
        if !chosen.stdout {
            self.inner.stdout(output());
        }
        if !chosen.stderr {
            self.inner.stderr(output());
        }
    }
}

/// Std's does not tell what was said about its standard streams: [`output`](Command::output) takes it
/// for nothing.
impl From<std::process::Command> for Command {
    fn from(inner: std::process::Command) -> Self {
        Command { inner, kill_on_drop: false, chosen: Chosen::default() }
    }
}
