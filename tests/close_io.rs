//! Closing a loop with sockets, watches, signals and children alive gives everything back: descriptors,
//! threads, handlers, processes.

#![cfg(feature = "macros")]
#![cfg(target_os = "linux")]

mod support;

use std::any::Any;
use std::fs;
use std::future::pending;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use futures::AsyncReadExt;
use futures::channel::oneshot;
use loopbind::net::{
    TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, lookup_host, start_server,
};
use loopbind::process::{Command, Stdio};
use loopbind::signal::{SignalKind, signal};
use loopbind::{
    Async, EventLoop, LoopError, get_running_loop, loop_thread, run, spawn, spawn_blocking,
    task::cancelled, yield_now,
};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use support::{in_good_child, open_descriptors};

/// What a process has that a loop may have taken.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holdings {
    descriptors: usize,
    threads: usize,
    /// The signals that are caught, as the system writes them.
    caught: String,
    children: String,
}

fn holdings() -> Holdings {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name| {
        let line = status.lines().find_map(|line: &str| line.strip_prefix(name));
        line.unwrap().trim().to_owned()
    };
    let me = std::process::id();
    let mut children = String::new();
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let thread = thread.unwrap().file_name();
        let path = format!("/proc/{me}/task/{}/children", thread.to_str().unwrap());
        children += &fs::read_to_string(path).unwrap_or_default();
    }
    Holdings {
        descriptors: open_descriptors(),
        threads: line("Threads:").parse().unwrap(),
        caught: line("SigCgt:"),
        children,
    }
}

const LOCALHOST: &str = "127.0.0.1:0";

/// Starts what a busy program has, and leaves it in the loop's tasks, waiting. Gives what is not in a
/// task, and the processes.
async fn be_busy() -> io::Result<(Vec<Box<dyn Any>>, Vec<Pid>)> {
    let event_loop = get_running_loop().unwrap();
    let mut parts: Vec<Box<dyn Any>> = Vec::new();
    let any: SocketAddr = LOCALHOST.parse().unwrap();

    // A server with connections, of which some are in the middle of a word.
    let server = start_server(any, |mut stream, _| async move {
        let _ = stream.read_exact(&mut [0; 100]).await;
    })
    .await?;
    let address = server.local_addrs()[0];
    for _ in 0..5 {
        let mut client = std::net::TcpStream::connect(address)?;
        client.write_all(b"half a wo")?;
        parts.push(Box::new(client));
    }
    spawn(async move { server.serve_forever().await });
    let mut client = TcpStream::connect(address).await?;
    spawn(async move { client.read(&mut [0]).await });
    let idle = TcpListener::bind(any).await?;
    let waiting = TcpListener::bind(any).await?;
    spawn(async move { waiting.accept().await });

    let datagrams = UdpSocket::bind(any).await?;
    spawn(async move { datagrams.recv_from(&mut [0]).await });
    let (mut left, right) = UnixStream::pair()?;
    spawn(async move { left.read(&mut [0]).await });
    let name = format!("loopbind-close-{}-{:?}", std::process::id(), event_loop.id());
    let path = std::env::temp_dir().join(name);
    let unix = UnixListener::bind(&path)?;
    fs::remove_file(&path)?;
    spawn(async move { unix.accept().await });

    let (reader, writer) = rustix::pipe::pipe()?;
    let reader = Rc::new(reader);
    parts.push(Box::new(event_loop.add_reader(Rc::clone(&reader), || {})?));
    let watch = event_loop.add_writer(writer, || {})?;
    spawn(async move {
        let _watch = watch;
        pending::<()>().await;
    });
    let duplicate = Async::new(reader.try_clone()?)?;
    spawn(async move { duplicate.readable().await });

    event_loop.add_signal_handler(SignalKind::user_defined1(), || {})?;
    let mut signals = signal(SignalKind::user_defined2())?;
    let unheard = signal(SignalKind::hangup())?;
    spawn(async move { signals.recv().await });

    // One that is waited for, one whose handle is gone, one that somebody keeps; all are killed.
    let mut processes = Vec::new();
    let mut start = |stdin: Stdio, stdout: Stdio| {
        let child = Command::new("cat").stdin(stdin).stdout(stdout).kill_on_drop(true).spawn()?;
        processes.push(Pid::from_raw(child.id() as i32).unwrap());
        io::Result::Ok(child)
    };
    let mut waited = start(Stdio::piped(), Stdio::null())?;
    let stdin = waited.stdin.take();
    spawn(async move { (waited.wait().await, stdin) });
    let mut talking = start(Stdio::piped(), Stdio::piped())?;
    let mut stdout = talking.stdout.take();
    spawn(async move { stdout.as_mut().unwrap().read(&mut [0]).await.map(|_| stdout) });
    let dropped = start(Stdio::piped(), Stdio::null())?;
    drop(dropped);

    parts.push(Box::new((idle, right, unheard, talking)));
    // Everything waits by now.
    for _ in 0..3 {
        yield_now().await;
    }
    Ok((parts, processes))
}

/// Waits until the processes have ended, without reaping them, and has them reaped.
fn reap(processes: Vec<Pid>) {
    for process in processes {
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(process), ended) {
            Ok(_) | Err(rustix::io::Errno::CHILD) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // Whoever has to do with children sees to those that nobody asks for.
    let status = run(async { Command::new("true").status().await }).unwrap();
    assert!(status.unwrap().success());
}

/// Once everything was used that is made once and kept.
fn at_first() -> Holdings {
    let event_loop = EventLoop::new().unwrap();
    let (parts, processes) = event_loop.run_until_complete(be_busy()).unwrap().unwrap();
    drop(parts);
    drop(event_loop);
    reap(processes);
    holdings()
}

#[test]
fn a_loop_that_is_closed_gives_back_what_its_tasks_had() {
    in_good_child("a_loop_that_is_closed_gives_back_what_its_tasks_had", || {
        let before = at_first();
        for _ in 0..3 {
            let event_loop = EventLoop::new().unwrap();
            let (parts, processes) = event_loop.run_until_complete(be_busy()).unwrap().unwrap();
            let busy = holdings();
            assert!(busy.descriptors > before.descriptors + 20, "{busy:?}");
            // The one whose handle is gone was killed: its end may have come, and been seen to, or not.
            let children = busy.children.split_whitespace().count();
            assert!((2..=3).contains(&children), "{children}");
            assert_ne!(busy.caught, before.caught);
            event_loop.close().unwrap();
            drop(parts);
            reap(processes);
            // The loop's own are gone with the closing, not with the value.
            assert_eq!(holdings(), before);
            drop(event_loop);
            assert_eq!(holdings(), before);
        }
    });
}

#[test]
fn a_loop_that_is_dropped_gives_it_back_too() {
    in_good_child("a_loop_that_is_dropped_gives_it_back_too", || {
        let before = at_first();
        for _ in 0..3 {
            let event_loop = EventLoop::new().unwrap();
            let (parts, processes) = event_loop.run_until_complete(be_busy()).unwrap().unwrap();
            drop(parts);
            drop(event_loop);
            reap(processes);
            assert_eq!(holdings(), before);
        }
    });
}

#[test]
fn what_outlives_its_loop_says_so_and_gives_back_the_rest() {
    in_good_child("what_outlives_its_loop_says_so_and_gives_back_the_rest", || {
        let before = at_first();
        let event_loop = EventLoop::new().unwrap();
        let (parts, processes) = event_loop.run_until_complete(be_busy()).unwrap().unwrap();
        event_loop.close().unwrap();
        let kind = SignalKind::user_defined1();
        let refused = event_loop.add_signal_handler(kind, || {}).unwrap_err();
        assert_eq!(refused.to_string(), LoopError::Closed.to_string());
        drop(event_loop);
        // Another loop takes over what is left.
        run(async move {
            yield_now().await;
            drop(parts);
        })
        .unwrap();
        reap(processes);
        assert_eq!(holdings(), before);
    });
}

#[test]
fn the_end_of_a_run_gives_it_back() {
    in_good_child("the_end_of_a_run_gives_it_back", || {
        let before = at_first();
        let processes = run(async {
            let (parts, processes) = be_busy().await.unwrap();
            spawn(async move {
                let _parts = parts;
                pending::<()>().await;
            });
            processes
        });
        reap(processes.unwrap());
        assert_eq!(holdings(), before);
    });
}

/// The same with work on other threads that is not over: names being looked up, and a job that waits. The
/// closing waits for neither, and what they bring goes nowhere.
#[test]
fn closed_while_other_threads_work_for_it() {
    in_good_child("closed_while_other_threads_work_for_it", || {
        let before = at_first();
        for _ in 0..3 {
            let event_loop = EventLoop::new().unwrap();
            let (release, wait) = channel::<()>();
            let (begun, begins) = oneshot::channel();
            let (parts, processes) = event_loop
                .run_until_complete(async {
                    let busy = be_busy().await?;
                    let job = spawn_blocking(move || {
                        begun.send(()).unwrap();
                        wait.recv().is_err()
                    });
                    spawn(async move { job.await.unwrap() });
                    for _ in 0..3 {
                        spawn(lookup_host("localhost:80"));
                    }
                    spawn(TcpStream::connect("localhost:9"));
                    // One that has not begun is called off by the close.
                    begins.await.unwrap();
                    io::Result::Ok(busy)
                })
                .unwrap()
                .unwrap();
            event_loop.close().unwrap();
            drop((event_loop, parts));
            // The job has waited all the while.
            release.send(()).unwrap();
            reap(processes);
            // Who looks up a name has files open for a moment; the pool's threads stay for a while.
            let began = Instant::now();
            while holdings() != (Holdings { threads: holdings().threads, ..before.clone() }) {
                assert!(began.elapsed() < Duration::from_secs(20), "{:?}", holdings());
                std::thread::yield_now();
            }
        }
    });
}

#[loop_thread(spawn)]
async fn worker(started: Sender<Vec<Pid>>) {
    let (_parts, processes) = be_busy().await.unwrap();
    started.send(processes).unwrap();
    cancelled().await;
}

#[test]
fn a_thread_that_is_stopped_gives_it_back() {
    in_good_child("a_thread_that_is_stopped_gives_it_back", || {
        let before = at_first();
        for _ in 0..3 {
            let (sender, started) = channel();
            let threads = [worker(sender.clone()), worker(sender)];
            let processes: Vec<_> = started.iter().take(2).flatten().collect();
            for thread in threads {
                thread.stop();
                thread.join().unwrap();
            }
            reap(processes);
        }
        // A thread that was joined is on the system's list for a moment longer.
        while holdings().threads > before.threads {
            std::thread::yield_now();
        }
        assert_eq!(holdings(), before);
    });
}
