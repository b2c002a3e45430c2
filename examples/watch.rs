//! Runs a command, and runs it again each time one of the files changes; a run that is still on is
//! killed first. Ctrl-C ends it.
//!
//! ```sh
//! cargo run --example watch README.md DESIGN.md -- wc -w README.md DESIGN.md
//! cargo run --example watch main.c -- sh -c 'cc main.c -o main && ./main'
//! ```
//!
//! Editors write files in many ways, some by putting a new one in the place of the old. So the folders
//! are watched, with inotify, which is Linux's: a descriptor like any other to `Async`.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("watch: files are watched on Linux only");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::io;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::os::unix::ffi::OsStringExt;
    use std::path::Path;
    use std::process::ExitCode;
    use std::time::Duration;

    use futures::{FutureExt, select_biased};
    use loopbind::process::{Child, Command};
    use loopbind::{Async, loop_main, timeout};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    use rustix::process::{Pid, Signal, kill_process_group};

    /// An editor that saves a file touches it more than once.
    const MOMENT: Duration = Duration::from_millis(50);

    struct Files {
        watcher: Async<OwnedFd>,
        /// In the folder of this watch, the file of this name.
        names: BTreeSet<(i32, OsString)>,
    }

    impl Files {
        fn watch(paths: &[String]) -> io::Result<Self> {
            let watcher = inotify::init(CreateFlags::CLOEXEC)?;
            let written = WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO;
            let mut names = BTreeSet::new();
            for path in paths {
                let clearly =
                    |error: io::Error| io::Error::new(error.kind(), format!("{path}: {error}"));
                let name = Path::new(path).file_name();
                let name = name.ok_or_else(|| clearly(io::ErrorKind::InvalidInput.into()))?;
                let folder = match Path::new(path).parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                let watch = inotify::add_watch(&watcher, folder, written);
                names.insert((watch.map_err(|errno| clearly(errno.into()))?, name.to_owned()));
            }
            Ok(Files { watcher: Async::new(watcher)?, names })
        }

        /// Waits until one of the files has changed, and for a moment more.
        async fn changed(&self) -> io::Result<()> {
            while !self.watcher.read_with(|watcher| self.is_change(watcher)).await? {}
            while timeout(MOMENT, self.watcher.read_with(|watcher| self.is_change(watcher)))
                .await
                .is_ok()
            {}
            Ok(())
        }

        /// Whether one of our files is among what has changed.
        fn is_change(&self, watcher: &OwnedFd) -> io::Result<bool> {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(watcher, &mut buffer);
            let mut found = false;
            loop {
                let event = events.next()?;
                let name = event.file_name().map(|name| name.to_bytes().to_vec());
                found |= self
                    .names
                    .contains(&(event.wd(), OsString::from_vec(name.unwrap_or_default())));
                if events.is_buffer_empty() {
                    return Ok(found);
                }
            }
        }
    }

    /// A run of the command. Dropped, it ends, with all that it has started.
    struct Run(Child);

    impl Run {
        fn start(command: &[String]) -> io::Result<Self> {
            let mut child = Command::new(&command[0]);
            child.args(&command[1..]).process_group(0);
            Ok(Run(child.spawn()?))
        }
    }

    impl Drop for Run {
        fn drop(&mut self) {
            if let (Ok(None), Some(group)) = (self.0.try_wait(), Pid::from_raw(self.0.id() as i32))
            {
                let _ = kill_process_group(group, Signal::KILL);
            }
        }
    }

    #[loop_main(ctrl_c = "cancel")]
    async fn run(paths: &[String], command: &[String]) -> io::Result<()> {
        let files = Files::watch(paths)?;
        loop {
            let mut run = Run::start(command)?;
            select_biased! {
                changed = files.changed().fuse() => {
                    changed?;
                    println!("watch: changed; once more");
                    continue;
                }
                status = run.0.wait().fuse() => println!("watch: {}", status?),
            }
            files.changed().await?;
        }
    }

    pub(super) fn main() -> ExitCode {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let mut parts = arguments.splitn(2, |argument| argument == "--");
        let (Some(files @ [_, ..]), Some(command @ [_, ..])) = (parts.next(), parts.next()) else {
            eprintln!("usage: watch FILE.. -- COMMAND ARGUMENT..");
            return ExitCode::from(2);
        };
        match run(files, command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("watch: {error}");
                ExitCode::FAILURE
            }
        }
    }
}
