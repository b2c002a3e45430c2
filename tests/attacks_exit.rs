//! Everything with a descriptor, and everything that waits, is held by a thread-local of the user's, used by its
//! destructor and dropped there, before the loop's own is destroyed and after.
//!
//! A panic in such a destructor is the end of the process, so that this has one of its own.

#![cfg(target_os = "linux")]

mod support;

use std::cell::RefCell;
use std::future::pending;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::AsyncReadExt;
use loopbind::net::{Server, TcpListener, TcpStream, UdpSocket, start_server};
use loopbind::process::{Child, Command, Stdio};
use loopbind::signal::{Signal, SignalKind, signal};
use loopbind::sync::{Event, Lock, Queue, oneshot};
use loopbind::task::JoinSet;
use loopbind::thread::{LoopThread, ThreadBuilder};
use loopbind::time::{Interval, Sleep, interval};
use loopbind::{
    AbortHandle, Async, EventLoop, Watch, get_running_loop, set_event_loop, sleep, spawn, yield_now,
};
use support::{in_good_child, on_drop, open_descriptors};

/// A thread-local of the user's, that calls what it was given when its thread ends.
struct AtExit(RefCell<Option<Box<dyn FnOnce()>>>);

impl Drop for AtExit {
    fn drop(&mut self) {
        if let Some(call) = self.0.take() {
            call();
        }
    }
}

// Destroyed in the reverse order of initialisation, the loop's own in between.
thread_local! {
    static FIRST: AtExit = const { AtExit(RefCell::new(None)) };
    static LAST: AtExit = const { AtExit(RefCell::new(None)) };
}

type Told = mpsc::Sender<(&'static str, thread::ThreadId)>;

struct Everything {
    event_loop: EventLoop,
    listener: TcpListener,
    client: TcpStream,
    server: Server,
    datagrams: UdpSocket,
    writes: std::os::unix::net::UnixStream,
    descriptor: Rc<Async<std::os::unix::net::UnixStream>>,
    #[expect(dead_code)]
    watch: Watch,
    signals: Signal,
    child: Child,
    set: JoinSet<()>,
    abort: AbortHandle,
    nap: std::pin::Pin<Box<Sleep>>,
    ticks: Interval,
    queue: Rc<Queue<()>>,
    lock: Rc<Lock<()>>,
    event: Rc<Event>,
    receiver: oneshot::Receiver<()>,
    #[expect(dead_code)]
    sender: oneshot::Sender<()>,
    thread: LoopThread<()>,
}

async fn everything(told: &Told) -> Everything {
    let tell = |name: &'static str| {
        let told = told.clone();
        on_drop(move || told.send((name, thread::current().id())).unwrap())
    };
    let event_loop = get_running_loop().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held = RefCell::new(Some(tell("connection")));
    let server = start_server("127.0.0.1:0", move |mut stream, _| {
        let held = held.take();
        async move {
            let _ = stream.read_exact(&mut [0; 100]).await;
            drop(held);
        }
    });
    let server = server.await.unwrap();
    let client = TcpStream::connect(server.local_addrs()[0]).await.unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    let descriptor = Rc::new(Async::new(ours).unwrap());
    let (watched, _) = std::os::unix::net::UnixStream::pair().unwrap();
    let held = tell("watch");
    let watch = event_loop.add_writer(watched, move || {
        let _held = &held;
    });
    let mut set = JoinSet::new();
    let held = tell("child of the set");
    let abort = set.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    let (queue, lock, event) =
        (Rc::new(Queue::unbounded()), Rc::new(Lock::new(())), Rc::new(Event::new()));
    let (gets, locks, waits, reads) =
        (Rc::clone(&queue), Rc::clone(&lock), Rc::clone(&event), Rc::clone(&descriptor));
    std::mem::forget(lock.lock().await);
    // Four who wait, each in a task of its own.
    let held = [tell("reads"), tell("gets"), tell("locks"), tell("waits")];
    let [first, second, third, fourth] = held;
    spawn(async move { drop((reads.readable().await, first)) }).detach();
    spawn(async move { drop((gets.get().await, second)) }).detach();
    spawn(async move { drop((locks.lock().await, third)) }).detach();
    spawn(async move { drop((waits.wait().await, fourth)) }).detach();
    let (sender, receiver) = oneshot::channel();
    let mut nap = Box::pin(sleep(Duration::from_secs(3600)));
    assert!(futures::poll!(nap.as_mut()).is_pending());
    let mut ticks = interval(Duration::from_secs(3600));
    ticks.tick().await;
    let child = Command::new("cat").stdin(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let thread = ThreadBuilder::new().spawn(pending::<()>).unwrap();
    for _ in 0..5 {
        yield_now().await;
    }
    Everything {
        listener,
        client,
        server,
        datagrams,
        writes: theirs,
        descriptor,
        watch: watch.unwrap(),
        signals: signal(SignalKind::user_defined1()).unwrap(),
        child,
        set,
        abort,
        nap,
        ticks,
        queue,
        lock,
        event,
        receiver,
        sender,
        thread,
        event_loop,
    }
}

/// Polls once, outside of every loop. It gives something, waits, or panics with a reason.
fn polled<F: Future>(future: F) -> &'static str {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut cx))) {
        Ok(Poll::Pending) => "waits",
        Ok(Poll::Ready(_)) => "answers",
        Err(payload) => {
            let text = support::text_of(&*payload);
            assert!(text.contains("event loop"), "{text}");
            "panics"
        }
    }
}

/// What each says where no loop runs.
fn use_each(held: &mut Everything) -> Vec<(&'static str, &'static str)> {
    let mut byte = [0; 1];
    let _ = (held.server.connections(), held.child.id(), held.abort.abort());
    (&held.writes).write_all(b"x").unwrap();
    vec![
        ("accept", polled(held.listener.accept())),
        ("read", polled(held.client.read(&mut byte))),
        ("datagram", polled(held.datagrams.recv_from(&mut byte))),
        ("descriptor", polled(held.descriptor.readable())),
        ("signal", polled(held.signals.recv())),
        ("child", polled(held.child.wait())),
        ("set", polled(held.set.next())),
        ("sleep", polled(held.nap.as_mut())),
        ("interval", polled(held.ticks.tick())),
        ("queue", polled(held.queue.get())),
        ("lock", polled(held.lock.lock())),
        ("event", polled(held.event.wait())),
        ("oneshot", polled(&mut held.receiver)),
        ("bind", polled(TcpListener::bind("127.0.0.1:0"))),
        ("connect", polled(TcpStream::connect("127.0.0.1:1"))),
    ]
}

/// Errors are answers; what has no `Result` says by a panic that there is no loop; what has nothing to do with
/// loops waits as ever.
const EXPECTED: [(&str, &str); 15] = [
    ("accept", "answers"),
    ("read", "answers"),
    ("datagram", "answers"),
    ("descriptor", "answers"),
    ("signal", "panics"),
    ("child", "answers"),
    ("set", "answers"),
    ("sleep", "panics"),
    ("interval", "panics"),
    ("queue", "waits"),
    ("lock", "waits"),
    ("event", "waits"),
    ("oneshot", "waits"),
    ("bind", "answers"),
    ("connect", "answers"),
];

/// Destroyed after the loop's own thread-local, which closed the loop, twice, and before it, once: the process
/// lives, each says something, each task is dropped once, at home, and no descriptor is left.
#[test]
fn everything_with_a_descriptor_is_used_and_dropped_by_a_thread_local() {
    in_good_child("everything_with_a_descriptor_is_used_and_dropped_by_a_thread_local", || {
        let mut before = None;
        for (round, last) in [(0, false), (1, false), (2, true)] {
            let (told, dropped) = mpsc::channel();
            let (said, says) = mpsc::channel();
            let body = move || {
                // Initialised before the loop's, it is destroyed after.
                FIRST.with(|_| ());
                let event_loop = EventLoop::new().unwrap();
                set_event_loop(Some(&event_loop));
                let mut held = event_loop.run_until_complete(everything(&told)).unwrap();
                drop(told);
                let hook = if last { &LAST } else { &FIRST };
                hook.with(|hook| {
                    *hook.0.borrow_mut() = Some(Box::new(move || {
                        assert_eq!(held.event_loop.is_closed(), !last);
                        said.send(use_each(&mut held)).unwrap();
                        // What lives by itself, and would be there for a while.
                        held.child.kill().unwrap();
                        while held.child.try_wait().unwrap().is_none() {
                            thread::yield_now();
                        }
                        held.thread.stop();
                        let Everything { thread, .. } = held;
                        thread.join().unwrap_err();
                    }));
                });
                thread::current().id()
            };
            let home = thread::spawn(body).join().unwrap();
            assert_eq!(says.recv().unwrap(), EXPECTED);
            let names = dropped.iter().map(|(name, at)| {
                assert_eq!(at, home, "{name}");
                name
            });
            let expected =
                ["watch", "child of the set", "reads", "gets", "locks", "waits", "connection"];
            assert_eq!(names.collect::<Vec<_>>(), expected);
            let open = open_descriptors();
            // What the process has for good is there after the first round.
            if round > 0 {
                assert_eq!(open, before.unwrap());
            }
            before = Some(open);
        }
    });
}
