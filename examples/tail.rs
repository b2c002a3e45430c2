//! Follows files, as they grow, and what a command says, all together. Ctrl-C ends it, and the command
//! with it.
//!
//! ```sh
//! cargo run --example tail /var/log/syslog /var/log/auth.log
//! cargo run --example tail a.log b.log -- ping localhost
//! ```
//!
//! Files are watched with inotify, which is Linux's: a descriptor like any other to `Async`.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("tail: files are followed on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::io::{self, Read, Seek, SeekFrom, Write};
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::process::ExitCode;

    use futures::io::{AsyncBufReadExt, AsyncRead, BufReader};
    use futures::{future, try_join};
    use loopbind::process::{Command, Stdio};
    use loopbind::{Async, loop_main};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

    struct Followed {
        path: String,
        file: File,
        read: u64,
    }

    impl Followed {
        fn open(path: &str) -> io::Result<Self> {
            let mut file = File::open(path)?;
            let read = file.seek(SeekFrom::End(0))?;
            Ok(Followed { path: path.to_owned(), file, read })
        }

        /// Says what was written since the last time.
        fn catch_up(&mut self) -> io::Result<()> {
            if self.file.metadata()?.len() < self.read {
                println!("{}: (starts anew)", self.path);
                self.read = self.file.seek(SeekFrom::Start(0))?;
            }
            let mut news = Vec::new();
            self.read += self.file.read_to_end(&mut news)? as u64;
            let mut out = io::stdout().lock();
            for line in news.split_inclusive(|byte| *byte == b'\n') {
                write!(out, "{}: {}", self.path, String::from_utf8_lossy(line))?;
            }
            out.flush()
        }
    }

    /// Follows the files for ever.
    async fn follow(paths: &[String]) -> io::Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let watcher = inotify::init(CreateFlags::CLOEXEC)?;
        let mut files = BTreeMap::new();
        for path in paths {
            let clearly =
                |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
            let file = Followed::open(path).map_err(clearly)?;
            let watch = inotify::add_watch(&watcher, path, WatchFlags::MODIFY);
            files.insert(watch.map_err(|errno| clearly(errno.into()))?, file);
        }
        let watcher = Async::new(watcher)?;
        loop {
            for watch in watcher.read_with(changed).await? {
                if let Some(file) = files.get_mut(&watch) {
                    file.catch_up()?;
                }
            }
        }
    }

    /// The watches of the files that changed, as long as there are any.
    fn changed(watcher: &OwnedFd) -> io::Result<Vec<i32>> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(watcher, &mut buffer);
        let mut changed = vec![events.next()?.wd()];
        while !events.is_buffer_empty() {
            changed.push(events.next()?.wd());
        }
        changed.dedup();
        Ok(changed)
    }

    /// Says what a command says, until it ends.
    async fn listen_to(command: &[String]) -> io::Result<()> {
        let Some((program, arguments)) = command.split_first() else { return Ok(()) };
        let mut command = Command::new(program);
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let (out, err) = (child.stdout.take(), child.stderr.take());
        try_join!(repeat(program, out), repeat(program, err))?;
        println!("{program}: ({})", child.wait().await?);
        Ok(())
    }

    async fn repeat(name: &str, stream: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(stream) = stream else { return Ok(()) };
        let (mut reader, mut line) = (BufReader::new(stream), Vec::new());
        while reader.read_until(b'\n', &mut line).await? > 0 {
            println!("{name}: {}", String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        Ok(())
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn run(files: &[String], command: &[String]) -> io::Result<()> {
        future::try_join(follow(files), listen_to(command)).await?;
        Ok(())
    }

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let end = arguments.iter().position(|argument| argument == "--");
        let (files, command) = match end {
            Some(end) => (&arguments[..end], &arguments[end + 1..]),
            None => (&arguments[..], &[][..]),
        };
        if files.is_empty() && command.is_empty() {
            eprintln!("usage: tail FILE.. [-- COMMAND ARGUMENT..]");
            return ExitCode::from(2);
        }
        match run(files, command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("tail: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
