//! What is to be run, and how.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{CommandArgs, CommandEnvs, ExitStatus, Output, Stdio};

use super::child::Child;
use super::error::ProcessError;
use super::orphans;
use crate::sys;
use crate::sys::fault::Call;

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
#[doc(alias(
    "create_subprocess_exec",
    "create_subprocess_shell",
    "subprocess_exec",
    "subprocess_shell",
    "open_process"
))]
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
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let status = loopbind::run(async { Command::new("true").status().await })??;
    /// assert!(status.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        std::process::Command::new(program).into()
    }

    /// Adds an argument.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let output = loopbind::run(async { Command::new("echo").arg("a  b; c").output().await })??;
    /// assert_eq!(output.stdout, b"a  b; c\n"); // one argument, and no shell to take it apart
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn arg(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg(arg);
        self
    }

    /// Adds arguments.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("echo");
    /// command.args(["one", "two"]);
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"one two\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn args(&mut self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> &mut Self {
        self.inner.args(args);
        self
    }

    /// Sets a variable of the child's environment.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("/bin/sh");
    /// command.args(["-c", "echo $GREETING"]).env("GREETING", "hello");
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env(key, value);
        self
    }

    /// Sets variables of the child's environment.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("/bin/sh");
    /// command.args(["-c", "echo $ONE $TWO"]).envs([("ONE", "1"), ("TWO", "2")]);
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"1 2\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn envs(
        &mut self,
        variables: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
    ) -> &mut Self {
        self.inner.envs(variables);
        self
    }

    /// Takes a variable out of the child's environment.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("/bin/sh");
    /// command.args(["-c", "echo ${HOME-nowhere}"]).env_remove("HOME");
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"nowhere\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_remove(&mut self, key: impl AsRef<OsStr>) -> &mut Self {
        self.inner.env_remove(key);
        self
    }

    /// Gives the child an environment of what is set here only.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("/bin/sh");
    /// command.args(["-c", "echo $ONE $TWO"]).env("ONE", "1").env_clear().env("TWO", "2");
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"2\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_clear(&mut self) -> &mut Self {
        self.inner.env_clear();
        self
    }

    /// Where the child runs.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let output = loopbind::run(async { Command::new("pwd").current_dir("/").output().await })??;
    /// assert_eq!(output.stdout, b"/\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn current_dir(&mut self, directory: impl AsRef<Path>) -> &mut Self {
        self.inner.current_dir(directory);
        self
    }

    /// The child's standard input: this process's, unless something else is said;
    /// [`output`](Command::output) gives it none.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use std::fs::{self, File};
    ///
    /// let mut command = Command::new("cat");
    /// command.stdin(File::open("Cargo.toml")?);
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, fs::read("Cargo.toml")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdin(&mut self, stdin: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdin = true;
        self.inner.stdin(stdin);
        self
    }

    /// The child's standard output: this process's, unless something else is said;
    /// [`output`](Command::output) reads it.
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    ///
    /// let mut command = Command::new("echo");
    /// command.arg("unheard").stdout(Stdio::null());
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdout(&mut self, stdout: impl Into<Stdio>) -> &mut Self {
        self.chosen.stdout = true;
        self.inner.stdout(stdout);
        self
    }

    /// The child's standard error: see [`stdout`](Command::stdout).
    ///
    /// ```
    /// use loopbind::process::{Command, Stdio};
    ///
    /// let mut command = Command::new("sh");
    /// let child = command.args(["-c", "echo oops >&2"]).stderr(Stdio::piped()).spawn()?;
    /// let output = loopbind::run(async { child.wait_with_output().await })??;
    /// assert_eq!(output.stderr, b"oops\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stderr(&mut self, stderr: impl Into<Stdio>) -> &mut Self {
        self.chosen.stderr = true;
        self.inner.stderr(stderr);
        self
    }

    /// The user the child runs as; where it may not, [`spawn`](Command::spawn) is an error.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// loopbind::run(async {
    ///     let ours = Command::new("id").arg("-u").output().await?.stdout;
    ///     let id = String::from_utf8_lossy(&ours).trim().parse().unwrap();
    ///     let output = Command::new("id").arg("-u").uid(id).output().await?; // our own is allowed
    ///     assert_eq!(output.stdout, ours);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.inner.uid(id);
        self
    }

    /// The group the child runs as: see [`uid`](Command::uid).
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// loopbind::run(async {
    ///     let ours = Command::new("id").arg("-g").output().await?.stdout;
    ///     let id = String::from_utf8_lossy(&ours).trim().parse().unwrap();
    ///     let output = Command::new("id").arg("-g").gid(id).output().await?; // our own is allowed
    ///     assert_eq!(output.stdout, ours);
    ///     Ok::<(), std::io::Error>(())
    /// })??;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.inner.gid(id);
        self
    }

    /// The name the program gets of itself, in the place of its path.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("/bin/sh");
    /// command.args(["-c", "echo $0"]).arg0("greeter");
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"greeter\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn arg0(&mut self, arg: impl AsRef<OsStr>) -> &mut Self {
        self.inner.arg0(arg);
        self
    }

    /// The group of processes the child joins; 0 for a new one, out of reach of the terminal's
    /// Ctrl-C.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "kill -s 0 -- -$$"]).process_group(0); // is there a group $$?
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert!(status.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.inner.process_group(group);
        self
    }

    /// Whether a child is killed when its [`Child`] is dropped before its end, also by the
    /// cancellation of [`output`](Command::output) or [`status`](Command::status). It is not, unless
    /// asked for. SUB-08.
    ///
    /// ```
    /// use futures::AsyncReadExt;
    /// use loopbind::process::{Command, Stdio};
    ///
    /// let mut command = Command::new("cat");
    /// command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    /// let mut cat = command.spawn()?;
    /// let (_input, mut output) = (cat.stdin.take(), cat.stdout.take().unwrap());
    /// drop(cat);
    /// let read = loopbind::run(async { output.read(&mut [0]).await })??;
    /// assert_eq!(read, 0); // it is gone, though its input is open
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn kill_on_drop(&mut self, on: bool) -> &mut Self {
        self.kill_on_drop = on;
        self
    }

    /// The program.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// assert_eq!(Command::new("cat").get_program(), "cat");
    /// ```
    pub fn get_program(&self) -> &OsStr {
        self.inner.get_program()
    }

    /// The arguments.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("echo");
    /// command.arg("a").arg("b");
    /// assert!(command.get_args().eq(["a", "b"]));
    /// ```
    pub fn get_args(&self) -> CommandArgs<'_> {
        self.inner.get_args()
    }

    /// What is set in, and taken out of, the child's environment.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("env");
    /// command.env("LANG", "C").env_remove("TZ");
    /// let set = command.get_envs().map(|(name, value)| (name.to_str().unwrap(), value.is_some()));
    /// assert!(set.eq([("LANG", true), ("TZ", false)]));
    /// ```
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.inner.get_envs()
    }

    /// Where the child runs, if that was said.
    ///
    /// ```
    /// use loopbind::process::Command;
    /// use std::path::Path;
    ///
    /// let mut command = Command::new("pwd");
    /// assert_eq!(command.get_current_dir(), None);
    /// command.current_dir("/");
    /// assert_eq!(command.get_current_dir(), Some(Path::new("/")));
    /// ```
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.inner.get_current_dir()
    }

    /// Whether a child is killed when its [`Child`] is dropped.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("cat");
    /// assert!(!command.get_kill_on_drop());
    /// assert!(command.kill_on_drop(true).get_kill_on_drop());
    /// ```
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Std's command.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("echo");
    /// command.arg("hello");
    /// assert!(command.as_std().get_args().eq(["hello"]));
    /// ```
    pub fn as_std(&self) -> &std::process::Command {
        &self.inner
    }

    /// Std's command, for the methods that this one has not. What is said there about the standard
    /// streams is not known to [`output`](Command::output).
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("echo");
    /// command.as_std_mut().arg("hello");
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn as_std_mut(&mut self) -> &mut std::process::Command {
        &mut self.inner
    }

    /// Std's command again.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut blocking = Command::new("true").into_std();
    /// assert!(blocking.status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
        let started = sys::fault::check(Call::Spawn)
            .and_then(|()| self.inner.spawn())
            .and_then(|child| Child::adopt(child, self.kill_on_drop));
        started.map_err(|source| {
            let program = self.get_program().to_owned();
            let directory = self.get_current_dir().map(Path::to_path_buf);
            ProcessError::Spawn { program, directory, source }.into()
        })
    }

    /// Runs the program to its end.
    ///
    /// # Errors
    /// As [`spawn`](Command::spawn) and [`Child::wait`].
    ///
    /// # Cancel safety
    /// Dropping it drops the child.
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "exit 3"]);
    /// let status = loopbind::run(async { command.status().await })??;
    /// assert_eq!(status.code(), Some(3));
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
    ///
    /// ```
    /// use loopbind::process::Command;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "cat; echo done"]);
    /// let output = loopbind::run(async { command.output().await })??;
    /// assert_eq!(output.stdout, b"done\n"); // there was nothing for `cat` to read
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[doc(alias = "run_process")]
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
