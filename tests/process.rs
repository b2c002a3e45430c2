//! Child processes: what they say, how they end, and that nothing of them is left.

use std::cell::RefCell;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use futures::future::{join, join_all};
use futures::{AsyncReadExt, AsyncWriteExt, poll};
use loopbind::process::{Child, Command, ProcessError, Stdio};
use loopbind::signal::SignalKind;
use loopbind::{EventLoop, TaskError, run, spawn, timeout, yield_now};

use support::{in_good_child, virtual_loop};

mod support;

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// A child that lives until its input ends.
fn cat() -> Command {
    let mut command = Command::new("cat");
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// The state of a process, from the system's table; `None`: it is in no table.
fn state_of(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 2..].chars().next()
}

/// Waits, outside of any loop, until a child has ended; it may be a zombie.
fn await_end(pid: u32) {
    while state_of(pid).is_some_and(|state| state != 'Z') {
        thread::yield_now();
    }
}

/// Turns until the process is in no table.
#[track_caller]
fn turn_until_gone(event_loop: &EventLoop, pid: u32) {
    for _ in 0..1000 {
        if state_of(pid).is_none() {
            return;
        }
        event_loop.turn(Some(Duration::from_millis(10))).unwrap();
    }
    panic!("process {pid} is still there: {:?}", state_of(pid));
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// SUB-01.
#[test]
fn echo_says_what_it_is_told() {
    let output = run(async { Command::new("echo").args(["a", "b c"]).output().await });
    let output = output.unwrap().unwrap();
    assert!(output.status.success());
    assert_eq!((&output.stdout[..], &output.stderr[..]), (&b"a b c\n"[..], &b""[..]));
}

/// SUB-01: through `cat` and back, word by word, until its input is closed.
#[test]
fn cat_gives_back_each_word() {
    run(async {
        let mut child = cat().spawn().unwrap();
        let (mut to, mut from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        for word in ["one", "two", "three"] {
            to.write_all(word.as_bytes()).await.unwrap();
            let mut back = vec![0; word.len()];
            from.read_exact(&mut back).await.unwrap();
            assert_eq!(back, word.as_bytes());
        }
        to.close().await.unwrap();
        let refused = to.write_all(b"late").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
        assert_eq!(from.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(child.wait().await.unwrap().code(), Some(0));
        assert_eq!(child.wait().await.unwrap().code(), Some(0), "the same again");
    })
    .unwrap();
}

/// No deadlock with more on both pipes than they hold, and more to read than they hold.
#[test]
fn ten_megabytes_each_way_at_once() {
    const SIZE: usize = 10 << 20;
    run(async {
        let script = "head -c 10485760 /dev/zero; head -c 10485760 /dev/zero >&2; cat";
        let mut command = sh(script);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = piped.stdin(Stdio::piped()).spawn().unwrap();
        let output = child.communicate(vec![7; SIZE]).await.unwrap();
        assert!(output.status.success());
        assert_eq!((output.stdout.len(), output.stderr.len()), (2 * SIZE, SIZE));
        assert!(output.stdout[..SIZE].iter().all(|&byte| byte == 0));
        assert!(output.stdout[SIZE..].iter().all(|&byte| byte == 7));

        let both = sh("head -c 10485760 /dev/zero >&2 & head -c 10485760 /dev/zero; wait")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = both.wait_with_output().await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (SIZE, SIZE));
    })
    .unwrap();
}

/// A child that says more than there is memory for: an error, and not the end of the process that listens.
#[test]
#[cfg(target_os = "linux")]
fn more_is_said_than_there_is_memory_for() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    in_good_child("more_is_said_than_there_is_memory_for", || {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).unwrap();
        let size: u64 = size.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        let current = Some((size << 10) + (100 << 20));
        let maximum = getrlimit(Resource::As).maximum;
        setrlimit(Resource::As, Rlimit { current, maximum }).unwrap();
        run(async {
            let error = sh("head -c 4000000000 /dev/zero").output().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OutOfMemory);
            assert!(error.to_string().starts_with("no memory for more than "), "{error}");
            assert_eq!(sh("echo on").output().await.unwrap().stdout, b"on\n");
        })
        .unwrap();
    });
}

/// SUB-03: who does not read it all is no error.
#[test]
fn input_that_nobody_reads_is_no_error() {
    run(async {
        let mut command = sh("exec 0<&-; echo done");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let output = child.communicate(vec![0; 1 << 20]).await.unwrap();
        assert_eq!(output.stdout, b"done\n");
    })
    .unwrap();
}

/// SUB-02: codes and signals.
#[test]
fn it_says_how_it_ended() {
    run(async {
        for code in [0, 1, 42, 255] {
            let status = sh(&format!("exit {code}")).status().await.unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None));
        }
        for signal in [libc::SIGTERM, libc::SIGKILL, libc::SIGUSR1] {
            let status = sh(&format!("kill -{signal} $$")).status().await.unwrap();
            assert_eq!((status.code(), status.signal()), (None, Some(signal)));
        }
    })
    .unwrap();
}

/// SUB-02: a signal to one that runs, to one that has ended, and to one that was waited for.
#[test]
fn killed_while_it_runs_and_refused_once_it_was_waited_for() {
    run(async {
        let mut child = cat().spawn().unwrap();
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        await_end(child.id());
        child.kill().unwrap();
        assert_eq!(child.wait().await.unwrap().signal(), Some(libc::SIGKILL));
        let error = child.kill().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), format!("process {} has ended", child.id()));

        let mut polite = cat().spawn().unwrap();
        polite.send_signal(SignalKind::terminate()).unwrap();
        assert_eq!(polite.wait().await.unwrap().signal(), Some(libc::SIGTERM));
        let mut other = cat().spawn().unwrap();
        let refused = other.send_signal(SignalKind::from_raw(-3)).unwrap_err();
        assert_eq!(refused.to_string(), "invalid signal number -3");
        other.kill().unwrap();
        other.wait().await.unwrap();
    })
    .unwrap();
}

/// SUB-12: the system's kind of error, and the program's name.
#[test]
fn what_cannot_be_run_is_named() {
    let folder = Folder::new("what_cannot_be_run_is_named");
    let locked = folder.file("locked", "#!/bin/sh\n", 0o644);
    let garbage = folder.file("garbage", "\u{1}garbage", 0o755);
    let refused = |command: &mut Command| {
        let error = command.spawn().unwrap_err();
        let why = error.get_ref().unwrap().downcast_ref::<ProcessError>();
        let Some(ProcessError::Spawn { source, .. }) = why else { panic!("{error:?}") };
        assert_eq!(source.kind(), error.kind());
        (source.raw_os_error().unwrap(), error.to_string())
    };
    let (code, text) = refused(&mut Command::new("no-such-program"));
    assert_eq!(code, libc::ENOENT);
    assert!(text.starts_with("cannot run \"no-such-program\": No such file"), "{text}");
    let (code, text) = refused(Command::new("true").current_dir("/no/such/directory"));
    assert_eq!(code, libc::ENOENT);
    assert!(text.starts_with("cannot run \"true\" in \"/no/such/directory\": No such"), "{text}");
    let (code, text) = refused(&mut Command::new(&locked));
    assert_eq!(code, libc::EACCES);
    assert!(text.contains("locked\": Permission denied"), "{text}");
    assert_eq!(refused(&mut Command::new(&garbage)).0, libc::ENOEXEC);
    assert_eq!(refused(Command::new("true").arg("a".repeat(8 << 20))).0, libc::E2BIG);
    let output = run(async { Command::new("no-such-program").output().await }).unwrap();
    assert_eq!(output.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A thousand times, each kind of failure, while another thread opens and closes files: no
/// descriptor is left, and none of the other thread's is touched.
#[test]
fn a_thousand_failures_leave_nothing() {
    in_good_child("a_thousand_failures_leave_nothing", || {
        let folder = Folder::new("a_thousand_failures_leave_nothing");
        let locked = folder.file("locked", "#!/bin/sh\n", 0o644);
        let garbage = folder.file("garbage", "\u{1}garbage", 0o755);
        let more_than_fits = "x".repeat(1 << 18);
        let over = Arc::new(AtomicBool::new(false));
        let event_loop = EventLoop::new().unwrap();
        let before = descriptors();
        let other = thread::spawn({
            let (over, path) = (Arc::clone(&over), folder.file("theirs", "theirs", 0o644));
            move || {
                let identity = fs::metadata(&path).unwrap().ino();
                let mut open = std::collections::VecDeque::new();
                while !over.load(Ordering::SeqCst) {
                    open.push_back(fs::File::open(&path).unwrap());
                    if open.len() > 8 {
                        // Nobody closed it meanwhile, or put something else in its place.
                        let mut file = open.pop_front().unwrap();
                        assert_eq!(file.metadata().unwrap().ino(), identity);
                        let mut text = String::new();
                        file.read_to_string(&mut text).unwrap();
                        assert_eq!(text, "theirs");
                    }
                }
            }
        });
        for _ in 0..200 {
            for program in [Path::new("no-such-program"), &locked, &garbage] {
                let mut command = Command::new(program);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                event_loop.run_until_complete(command.output()).unwrap().unwrap_err();
            }
            Command::new("true").current_dir("/no/such/directory").spawn().unwrap_err();
            let refused = Command::new("true").arg(&more_than_fits).spawn().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::ArgumentListTooLong);
        }
        over.store(true, Ordering::SeqCst);
        other.join().unwrap();
        assert_eq!(descriptors(), before);
    });
}

/// SUB-04: a wait that is given up leaves the child alone, and the next goes on.
#[test]
fn a_cancelled_wait_leaves_the_child() {
    run(async {
        let child = Rc::new(RefCell::new(cat().spawn().unwrap()));
        let stdin = child.borrow_mut().stdin.take().unwrap();
        let pid = child.borrow().id();
        let waiting = spawn({
            let child = Rc::clone(&child);
            #[allow(clippy::await_holding_refcell_ref)] // Nobody else borrows it meanwhile.
            async move {
                child.borrow_mut().wait().await
            }
        });
        yield_now().await;
        waiting.cancel();
        assert!(matches!(waiting.await, Err(TaskError::Cancelled)));
        assert!(state_of(pid).is_some_and(|state| state != 'Z'));
        let mut child = Rc::into_inner(child).unwrap().into_inner();
        assert!(poll!(Box::pin(child.wait())).is_pending());
        drop(stdin);
        assert!(child.wait().await.unwrap().success());
        assert_eq!(state_of(pid), None);
    })
    .unwrap();
}

/// SUB-05: in turn, and at the end they all have the same answer.
#[test]
fn several_wait_for_one() {
    run(async {
        let mut child = cat().spawn().unwrap();
        let stdin = child.stdin.take();
        let child = Rc::new(futures::lock::Mutex::new(child));
        let waits = (0..3).map(|_| {
            let child = Rc::clone(&child);
            async move { child.lock().await.wait().await.unwrap().code() }
        });
        let ended = join(join_all(waits), async {
            yield_now().await;
            drop(stdin);
        });
        assert_eq!(ended.await.0, [Some(0); 3]);
    })
    .unwrap();
}

/// Waiting closes the input: a child that reads it to the end does not wait for us.
#[test]
fn waiting_closes_the_input() {
    let status = run(async { cat().spawn().unwrap().wait().await }).unwrap();
    assert_eq!(status.unwrap().code(), Some(0));
}

/// SUB-13.
#[test]
fn ended_and_waited_for_then_read() {
    run(async {
        let mut child = sh("echo late; exit 5").stdout(Stdio::piped()).spawn().unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(5));
        let mut said = String::new();
        child.stdout.take().unwrap().read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "late\n");
    })
    .unwrap();
}

/// `try_wait` needs no loop; and waiting needs one only where there is something to wait for.
#[test]
fn without_a_loop_what_has_ended_is_known() {
    let mut child = cat().spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    let stdin = child.stdin.take();
    let refused = futures::executor::block_on(child.wait()).unwrap_err();
    assert_eq!(refused.to_string(), "no running event loop");
    drop(stdin);
    await_end(child.id());
    assert_eq!(futures::executor::block_on(child.wait()).unwrap().code(), Some(0));
    assert_eq!(child.try_wait().unwrap().unwrap().code(), Some(0));
}

/// It moves to whichever loop of the thread waits for it.
#[test]
fn spawned_on_one_loop_and_awaited_on_another() {
    let (one, two) = (EventLoop::new().unwrap(), EventLoop::new().unwrap());
    let mut child = one.run_until_complete(async { cat().spawn() }).unwrap().unwrap();
    let stdin = child.stdin.take();
    let pending = one.run_until_complete(async { poll!(Box::pin(child.wait())).is_pending() });
    assert!(pending.unwrap());
    drop(one);
    two.call_soon(move || drop(stdin));
    assert!(two.run_until_complete(child.wait()).unwrap().unwrap().success());
}

/// SUB-08: dropped, it runs on; and when it ends, its loop reaps it.
#[test]
fn dropped_it_runs_on_and_becomes_no_zombie() {
    let event_loop = EventLoop::new().unwrap();
    let mut child = event_loop.run_until_complete(async { cat().spawn() }).unwrap().unwrap();
    let (stdin, pid) = (child.stdin.take(), child.id());
    drop(child);
    assert!(state_of(pid).is_some_and(|state| state != 'Z'));
    drop(stdin);
    turn_until_gone(&event_loop, pid);
}

/// Dropped on a loop that lies idle: whoever has to do with children reaps it when it has ended, and
/// the loop finds nothing left to do.
#[test]
fn dropped_on_an_idle_loop_and_reaped_by_others() {
    in_good_child("dropped_on_an_idle_loop_and_reaped_by_others", || {
        let before = descriptors();
        let event_loop = EventLoop::new().unwrap();
        for of_idle_loop in [true, false] {
            let mut child =
                event_loop.run_until_complete(async { cat().spawn() }).unwrap().unwrap();
            let (stdin, pid) = (child.stdin.take(), child.id());
            drop(child);
            drop(stdin);
            await_end(pid);
            assert_eq!(state_of(pid), Some('Z'));
            if of_idle_loop {
                let other = thread::spawn(|| run(async { sh("exit").status().await }).unwrap());
                assert!(other.join().unwrap().unwrap().success());
                assert_eq!(state_of(pid), None);
            }
            turn_until_gone(&event_loop, pid);
            event_loop.turn(Some(Duration::ZERO)).unwrap();
        }
        drop(event_loop);
        assert_eq!(descriptors(), before, "also without another sweep");
    });
}

/// One that has ended is reaped as it is dropped, without a loop.
#[test]
fn ended_then_dropped_then_gone() {
    let mut child = cat().spawn().unwrap();
    drop(child.stdin.take());
    await_end(child.id());
    let pid = child.id();
    assert_eq!(state_of(pid), Some('Z'));
    drop(child);
    assert_eq!(state_of(pid), None);
}

/// SUB-08: killed only where that was asked for.
#[test]
fn killed_on_drop_if_asked_for() {
    let event_loop = EventLoop::new().unwrap();
    let mut command = cat();
    assert!(!command.get_kill_on_drop());
    let spawned = event_loop.run_until_complete(async { command.kill_on_drop(true).spawn() });
    let mut child = spawned.unwrap().unwrap();
    let (stdin, pid) = (child.stdin.take(), child.id());
    drop(child);
    turn_until_gone(&event_loop, pid);
    drop(stdin);
}

/// A forked process that drops what it inherited kills nobody.
#[test]
fn forked_then_dropped_there_then_alive_here() {
    in_good_child("forked_then_dropped_there_then_alive_here", || {
        let mut child = cat().kill_on_drop(true).spawn().unwrap();
        // SAFETY: the child closes descriptors, and leaves by `_exit`.
        unsafe {
            match libc::fork() {
                0 => {
                    drop(child);
                    libc::_exit(0)
                }
                other => assert_eq!(libc::waitpid(other, std::ptr::null_mut(), 0), other),
            }
        }
        assert_eq!(child.try_wait().unwrap(), None);
        let output = run(child.communicate("alive")).unwrap().unwrap();
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"alive"[..]));
    });
}

/// SUB-09: a call that is cancelled leaves no process and no pipes.
#[test]
fn a_cancelled_output_kills_if_asked_and_leaves_nothing() {
    in_good_child("a_cancelled_output_kills_if_asked_and_leaves_nothing", || {
        let event_loop = EventLoop::new().unwrap();
        let before = descriptors();
        let task = event_loop.create_task(async {
            // One that ends by itself could be gone before it is cancelled.
            let mut command = sh("exec sleep 1000");
            command.stdin(Stdio::piped()).kill_on_drop(true).output().await
        });
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        let pid = only_child();
        task.cancel();
        drop(task);
        turn_until_gone(&event_loop, pid);
        // Reaped by one hand, and struck off the list by another: a turn or two later.
        for _ in 0..1000 {
            if descriptors() == before {
                break;
            }
            event_loop.turn(Some(Duration::from_millis(1))).unwrap();
        }
        assert_eq!(descriptors(), before);
    });
}

/// The process's one child.
fn only_child() -> u32 {
    let me = std::process::id();
    let children = fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let parent: u32 = stat[stat.rfind(')')? + 4..].split(' ').next()?.parse().ok()?;
        (parent == me).then_some(pid)
    });
    let children: Vec<_> = children.collect();
    assert_eq!(children.len(), 1, "{children:?}");
    children[0]
}

/// Its loop closes first: it is reaped when somebody next has to do with children.
#[test]
fn dropped_then_closed_then_ended_then_swept() {
    in_good_child("dropped_then_closed_then_ended_then_swept", || {
        let before = descriptors();
        let event_loop = EventLoop::new().unwrap();
        let mut child = event_loop.run_until_complete(async { cat().spawn() }).unwrap().unwrap();
        let (stdin, pid) = (child.stdin.take(), child.id());
        let owner = event_loop.create_task(async move {
            let _kept = child;
            std::future::pending::<()>().await;
        });
        event_loop.turn(Some(Duration::ZERO)).unwrap();
        owner.detach();
        event_loop.close().unwrap();
        drop(event_loop);
        assert!(state_of(pid).is_some_and(|state| state != 'Z'), "closing a loop kills nobody");
        drop(stdin);
        await_end(pid);
        assert_eq!(state_of(pid), Some('Z'));
        Command::new("no-such-program").spawn().unwrap_err();
        assert_eq!(state_of(pid), None);
        assert_eq!(descriptors(), before);
    });
}

/// Closed with a child, its pipes, a signal handler, a watch and a wait alive: every descriptor is back,
/// and the child lives on.
#[test]
fn closed_with_everything_alive() {
    in_good_child("closed_with_everything_alive", || {
        drop(loopbind::signal::signal(SignalKind::hangup()).unwrap());
        let before = descriptors();
        let event_loop = EventLoop::new().unwrap();
        let (pid, stdin) = event_loop
            .run_until_complete(async {
                let mut child = cat().spawn().unwrap();
                let (pid, stdin) = (child.id(), child.stdin.take());
                let mut stdout = child.stdout.take().unwrap();
                spawn(async move { stdout.read(&mut [0; 1]).await }).detach();
                spawn(async move { child.wait().await }).detach();
                spawn(loopbind::signal::ctrl_c()).detach();
                yield_now().await;
                (pid, stdin)
            })
            .unwrap();
        event_loop.add_signal_handler(SignalKind::hangup(), || {}).unwrap();
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        event_loop.add_reader(reader, || {}).unwrap().detach();
        event_loop.close().unwrap();
        drop((event_loop, writer));
        assert!(state_of(pid).is_some_and(|state| state != 'Z'));
        drop(stdin);
        await_end(pid);
        Command::new("no-such-program").spawn().unwrap_err();
        assert_eq!((descriptors(), state_of(pid)), (before, None));
    });
}

/// SUB-06: several loops on several threads, at once; nobody gets another's status.
#[test]
fn spawned_from_several_loops_at_once() {
    let threads = (0..4).map(|offset| {
        thread::spawn(move || {
            run(async {
                let children = (0..25).map(|index| async move {
                    let code = (offset * 25 + index) % 256;
                    let output = sh(&format!("echo {code}; exit {code}")).output().await.unwrap();
                    assert_eq!(output.status.code(), Some(code));
                    assert_eq!(output.stdout, format!("{code}\n").as_bytes());
                });
                join_all(children).await;
            })
            .unwrap();
        })
    });
    threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().unwrap());
}

/// SUB-07: a status that somebody else took is an error, and not invented.
#[test]
fn reaped_by_somebody_else_is_an_error() {
    run(async {
        let mut child = cat().spawn().unwrap();
        drop(child.stdin.take());
        let pid = child.id();
        // SAFETY: a child's number, and no room for its status.
        let taken = unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
        assert_eq!(taken, pid as i32);
        let error = child.wait().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("the exit status of process {pid} was taken by somebody else in this program")
        );
        assert!(child.try_wait().is_err());
        assert_eq!(child.kill().unwrap_err().to_string(), format!("process {pid} has ended"));
    })
    .unwrap();
}

/// A virtual clock stands still while a child runs.
#[test]
fn virtual_time_waits_for_children() {
    let event_loop = virtual_loop();
    let start = event_loop.time();
    let waited = event_loop.run_until_complete(async {
        timeout(Duration::from_secs(5), sh("echo done").output()).await
    });
    assert_eq!(waited.unwrap().unwrap().unwrap().stdout, b"done\n");
    assert_eq!(event_loop.time(), start);
    // Once it is over, time goes on.
    event_loop.run_until_complete(loopbind::sleep(Duration::from_secs(3600))).unwrap();
}

/// Descriptors have run out: a thread waits in the place of one.
#[test]
fn without_a_descriptor_to_be_had_a_thread_waits() {
    in_good_child("without_a_descriptor_to_be_had_a_thread_waits", || {
        let event_loop = EventLoop::new().unwrap();
        let set = |most| {
            let limit = rustix::process::Rlimit { current: Some(most), maximum: Some(4096) };
            rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).unwrap();
        };
        set(64);
        let open = std::iter::repeat_with(|| fs::File::open("/dev/null"));
        let room: Vec<_> = open.map_while(Result::ok).collect();
        let spawned = event_loop.run_until_complete(async { Command::new("true").spawn() });
        set(4096);
        let mut child = spawned.unwrap().unwrap();
        let is_open = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
        let links = fs::read_dir("/proc/self/fd").unwrap().filter_map(|e| is_open(e.unwrap()));
        assert!(!links.into_iter().any(|link| link.to_string_lossy().contains("pidfd")));
        assert!(event_loop.run_until_complete(child.wait()).unwrap().unwrap().success());
        assert_eq!(state_of(child.id()), None);
        drop(room);
    });
}

/// One child's output is another's input.
#[test]
fn piped_from_one_to_the_next() {
    run(async {
        let mut first = sh("echo b; echo a").stdout(Stdio::piped()).spawn().unwrap();
        let mut sort = Command::new("sort");
        let sorted = sort.stdin(first.stdout.take().unwrap()).output().await.unwrap();
        assert_eq!(sorted.stdout, b"a\nb\n");
        assert!(first.wait().await.unwrap().success());
    })
    .unwrap();
}

/// To std and back: std's ends block.
#[test]
fn into_std_and_back() {
    run(async {
        let mut child = cat().spawn().unwrap();
        let mut to = child.stdin.take().unwrap().into_std().unwrap();
        to.write_all(b"from std").unwrap();
        let mut back = [0; 8];
        let mut from = child.stdout.take().unwrap();
        assert!(matches!(poll!(from.read(&mut [])), Poll::Ready(Ok(0))));
        from.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"from std");
        let mut from = from.into_std().unwrap();
        let mut again: loopbind::process::ChildStdin = to.try_into().unwrap();
        again.close().await.unwrap();
        again.into_std().unwrap_err();
        // It waits for the end, as std's does.
        assert_eq!(from.read(&mut back).unwrap(), 0);
        child.wait().await.unwrap();
    })
    .unwrap();
}

/// The builder's methods are std's.
#[test]
fn the_builder_builds() {
    let mut command = Command::new("sh");
    command.arg("-c").args(["echo $0 $A $B$C; pwd"]).arg0("named").current_dir("/");
    command.env_clear().env("A", "a").envs([("B", "b"), ("C", "c")]).env_remove("C");
    assert_eq!(command.get_program(), "sh");
    assert_eq!(command.get_args().collect::<Vec<_>>(), ["-c", "echo $0 $A $B$C; pwd"]);
    assert_eq!(command.get_current_dir(), Some(Path::new("/")));
    assert_eq!(command.get_envs().count(), 2);
    command.process_group(0);
    let output = run(async { command.output().await }).unwrap().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "named a b\n/\n");

    let is_send = |_: &dyn Send| {};
    is_send(&command);
    let std = command.into_std();
    assert_eq!(Command::from(std).as_std().get_program(), "sh");
}

/// `output` leaves the command as it found it, and what was said before it counts.
#[test]
fn output_takes_what_was_not_said() {
    run(async {
        let mut command = sh("cat; echo err >&2");
        let input = fs::File::open("/dev/null").unwrap();
        let output = command.stdin(input).stderr(Stdio::null()).output().await.unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
        let child: Child = command.stdin(Stdio::null()).spawn().unwrap();
        assert!(child.stdout.is_none() && child.stderr.is_none());
        child.wait_with_output().await.unwrap();
    })
    .unwrap();
}

/// A folder that is gone with its test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("loopbind-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
