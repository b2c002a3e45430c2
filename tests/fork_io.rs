//! Forked with descriptors watched, signals heard and a child waited for: the forked process drops all
//! of it, uses a loop of its own, and the parent's goes on with every registration it had.
//!
//! Without libtest's harness, as in `fork.rs`.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod support;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    support::run_cases(cases::CASES)
}

#[cfg(target_os = "linux")]
mod cases {
    use std::any::Any;
    use std::cell::{Cell, RefCell};
    use std::fs;
    use std::io::{self, Write};
    use std::net::SocketAddr;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream as StdUnixStream;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;

    use futures::channel::{mpsc, oneshot};
    use futures::{AsyncReadExt, AsyncWriteExt, StreamExt, poll};
    use loopbind::net::{TcpListener, UdpSocket, UnixStream};
    use loopbind::process::{ChildStdin, Command, Stdio};
    use loopbind::signal::{SignalKind, signal};
    use loopbind::{EventLoop, LoopError, get_running_loop, run, spawn};
    use rustix::process::{Signal, getpid, kill_process};

    use super::support;

    pub(super) const CASES: &[support::Case] = support::cases![
        dropped_inside_the_callback_that_forked,
        dropped_before_there_is_another_loop,
        dropped_after_the_run_that_forked,
        kept_to_the_end_of_the_process_that_was_forked,
    ];

    /// Runs `body` in a forked process, which is to get to its end.
    #[track_caller]
    fn in_fork(body: impl FnOnce()) {
        if fork_until(|| {
            let ended = catch_unwind(AssertUnwindSafe(body));
            exit(if ended.is_ok() { 0 } else { 1 })
        }) {
            unreachable!("it has ended");
        }
    }

    /// Forks; true: this is the forked process, which has called `first`. The parent waits for its end.
    #[track_caller]
    fn fork_until(first: impl FnOnce()) -> bool {
        // SAFETY: the cases' processes have one thread.
        let forked = unsafe { libc::fork() };
        assert!(forked >= 0, "cannot fork: {}", io::Error::last_os_error());
        if forked == 0 {
            support::limit_lifetime();
            first();
            return true;
        }
        let mut status = 0;
        // SAFETY: `status` is ours; the process is ours and was not waited for yet.
        assert_eq!(unsafe { libc::waitpid(forked, &mut status, 0) }, forked);
        assert_eq!(status, 0, "how the forked process ended");
        false
    }

    /// Ends the process, without destructors.
    fn exit(code: i32) -> ! {
        // SAFETY: no preconditions.
        unsafe { libc::_exit(code) }
    }

    /// What the process's epoll instances watch: the number of each descriptor, and its key.
    fn registrations() -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let path = entry.unwrap().path();
            if fs::read_link(&path).is_ok_and(|to| to.as_os_str() == "anon_inode:[eventpoll]") {
                let number = path.file_name().unwrap().to_str().unwrap();
                let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap();
                let lines = info.lines().filter(|line| line.starts_with("tfd:"));
                found.extend(lines.map(|line| {
                    let words: Vec<_> = line.split_whitespace().collect();
                    let key = words.iter().position(|word| word.starts_with("data:")).unwrap();
                    format!("{} {}", words[1], words[key..=key + 1].concat())
                }));
            }
        }
        found.sort();
        found
    }

    /// Something of every kind that hangs on a loop, and the other ends of it.
    struct World {
        /// Who heard something.
        news: RefCell<mpsc::UnboundedReceiver<&'static str>>,
        /// What is registered, and is not in a task.
        parts: RefCell<Vec<Box<dyn Any>>>,
        listening: SocketAddr,
        datagrams: SocketAddr,
        near: StdUnixStream,
        pipe: OwnedFd,
        cat: RefCell<Option<ChildStdin>>,
    }

    const ALL: [&str; 8] =
        ["accepted", "callback", "cat", "datagram", "signal", "stream", "tcp", "watch"];

    impl World {
        async fn begin() -> io::Result<Rc<Self>> {
            let event_loop = get_running_loop().unwrap();
            let (sender, news) = mpsc::unbounded();
            let mut parts: Vec<Box<dyn Any>> = Vec::new();
            let heard = move |what| {
                let sender = sender.clone();
                move || drop(sender.unbounded_send(what))
            };

            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let listening = listener.local_addr()?;
            let (accepted, tcp) = (heard("accepted"), heard("tcp"));
            spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    accepted();
                    let tcp = tcp.clone();
                    // Each stays, registered, with a task that waits.
                    spawn(async move {
                        while let Ok(1..) = stream.read(&mut [0]).await {
                            tcp();
                        }
                    });
                }
            });

            let socket = UdpSocket::bind("127.0.0.1:0").await?;
            let datagrams = socket.local_addr()?;
            let datagram = heard("datagram");
            spawn(async move {
                while socket.recv_from(&mut [0]).await.is_ok() {
                    datagram();
                }
            });

            let quiet = UdpSocket::bind("127.0.0.1:0").await?;
            assert!(poll!(pin!(quiet.recv_from(&mut [0]))).is_pending());
            parts.push(Box::new(quiet));

            let (near, far) = StdUnixStream::pair()?;
            let mut far = UnixStream::from_std(far)?;
            let stream = heard("stream");
            spawn(async move {
                while let Ok(1..) = far.read(&mut [0]).await {
                    stream();
                }
            });

            let (reader, pipe) = rustix::pipe::pipe()?;
            let reader = Rc::new(reader);
            let (read, watch) = (Rc::clone(&reader), heard("watch"));
            parts.push(Box::new(event_loop.add_reader(reader, move || {
                rustix::io::read(&read, &mut [0]).unwrap();
                watch();
            })?));

            event_loop.add_signal_handler(SignalKind::user_defined1(), heard("callback"))?;
            let mut idle = signal(SignalKind::user_defined2())?;
            assert!(poll!(pin!(idle.recv())).is_pending());
            parts.push(Box::new(idle));
            let mut signals = signal(SignalKind::user_defined2())?;
            let signal = heard("signal");
            spawn(async move {
                while signals.recv().await.is_some() {
                    signal();
                }
            });

            let mut command = Command::new("cat");
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
            let mut child = command.spawn()?;
            let stdin = child.stdin.take();
            let mut stdout = child.stdout.take().unwrap();
            let cat = heard("cat");
            spawn(async move {
                while let Ok(1..) = stdout.read(&mut [0]).await {
                    cat();
                }
            });
            // Watched, and in nobody's task.
            assert!(poll!(pin!(child.wait())).is_pending());
            parts.push(Box::new(child));

            Ok(Rc::new(World {
                news: RefCell::new(news),
                parts: RefCell::new(parts),
                listening,
                datagrams,
                near,
                pipe,
                cat: RefCell::new(stdin),
            }))
        }

        /// Makes each of them hear something, once, and waits until all have.
        async fn hear_all(&self) -> io::Result<()> {
            let mut client = std::net::TcpStream::connect(self.listening)?;
            client.write_all(b".")?;
            self.parts.borrow_mut().push(Box::new(client));
            std::net::UdpSocket::bind("127.0.0.1:0")?.send_to(b".", self.datagrams)?;
            (&self.near).write_all(b".")?;
            rustix::io::write(&self.pipe, b".")?;
            kill_process(getpid(), Signal::USR1)?;
            kill_process(getpid(), Signal::USR2)?;
            let mut cat = self.cat.take().unwrap();
            cat.write_all(b".").await?;
            self.cat.replace(Some(cat));
            let mut news = self.news.replace(mpsc::unbounded().1);
            let mut heard: Vec<_> = news.by_ref().take(ALL.len()).collect().await;
            heard.sort_unstable();
            assert_eq!(heard, ALL);
            self.news.replace(news);
            Ok(())
        }

        /// In the forked process: everything that is not in a task.
        fn drop_parts(&self) {
            let parts = self.parts.take();
            drop(parts);
            drop(self.cat.take());
        }
    }

    /// A loop of the forked process's own, with something of every kind.
    fn live_on() {
        run(async {
            let world = World::begin().await.unwrap();
            world.hear_all().await.unwrap();
        })
        .unwrap();
        run(async {
            let output = Command::new("echo").arg("hello").output().await.unwrap();
            assert_eq!(output.stdout, b"hello\n");
        })
        .unwrap();
    }

    /// In the parent: nothing was lost.
    async fn goes_on(world: &World, before: &[String]) {
        assert_eq!(registrations(), before);
        world.hear_all().await.unwrap();
    }

    fn dropped_inside_the_callback_that_forked() {
        forked_inside_a_callback(|inherited| {
            live_on();
            inherited.drop_parts();
            live_on();
        });
    }

    fn dropped_before_there_is_another_loop() {
        forked_inside_a_callback(World::drop_parts);
        forked_inside_a_callback(|inherited| {
            inherited.drop_parts();
            live_on();
        });
    }

    fn forked_inside_a_callback(in_child: fn(&World)) {
        let event_loop = EventLoop::new().unwrap();
        let ran = event_loop.run_until_complete(async {
            let world = World::begin().await.unwrap();
            world.hear_all().await.unwrap();
            let before = registrations();
            assert!(before.len() >= ALL.len(), "{before:?}");
            let (forked, done) = oneshot::channel();
            let inherited = Rc::clone(&world);
            get_running_loop().unwrap().call_soon(move || {
                in_fork(|| in_child(&inherited));
                forked.send(()).unwrap();
            });
            done.await.unwrap();
            goes_on(&world, &before).await;
        });
        ran.unwrap();
    }

    fn dropped_after_the_run_that_forked() {
        let event_loop = EventLoop::new().unwrap();
        let place = RefCell::new(None);
        let is_forked = Rc::new(Cell::new(false));
        let ran = event_loop.run_until_complete(async {
            let world = World::begin().await.unwrap();
            world.hear_all().await.unwrap();
            place.replace(Some(Rc::clone(&world)));
            let before = registrations();
            let (forked, done) = oneshot::channel();
            let flag = Rc::clone(&is_forked);
            get_running_loop().unwrap().call_soon(move || {
                flag.set(fork_until(|| {}));
                let _ = forked.send(());
            });
            done.await.unwrap();
            goes_on(&world, &before).await;
        });
        if !is_forked.get() {
            return ran.unwrap();
        }
        let ended = catch_unwind(AssertUnwindSafe(|| {
            assert!(matches!(ran, Err(LoopError::Forked)), "{ran:?}");
            let inherited = place.take().unwrap();
            live_on();
            inherited.drop_parts();
            assert!(matches!(event_loop.close(), Err(LoopError::Forked)));
            // With its tasks, and what is registered in them.
            drop(event_loop);
            drop(inherited);
            live_on();
        }));
        exit(if ended.is_ok() { 0 } else { 1 });
    }

    /// Nothing is dropped: the end of the process closes what it has.
    fn kept_to_the_end_of_the_process_that_was_forked() {
        run(async {
            let world = World::begin().await.unwrap();
            world.hear_all().await.unwrap();
            for _ in 0..3 {
                let before = registrations();
                in_fork(live_on);
                goes_on(&world, &before).await;
            }
        })
        .unwrap();
    }
}
