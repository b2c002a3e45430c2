//! The work: each kind of thing loopbind does, some of it in each round. Every kind knows what must come of
//! it, and comes to its end within the round.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use futures::future::join_all;
use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::net::{TcpStream, UdpSocket, UnixStream};
use loopbind::process::Command;
use loopbind::sync::{Lock, Queue, Semaphore, mpsc, oneshot};
use loopbind::task::{self, JoinSet, cancelled};
use loopbind::thread::ThreadBuilder;
use loopbind::{
    EventLoop, TaskError, get_running_loop, sleep, spawn, spawn_blocking, timeout, yield_now,
};

use crate::books::{
    CALLBACKS, CANCELLED, CHILDREN, CONNECTIONS, DATAGRAMS, JOBS, LOOPS, MESSAGES, PANICS, POSTS,
    TAKEN_BACK, TASKS, THREADS, TIMERS,
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// What is thrown, without the hook's message.
struct Thrown;

/// Tasks that yield, and are awaited by others, small and large.
pub(crate) async fn tasks() {
    let sums = (0..40_u64).map(|number| {
        spawn(async move {
            let children = (0..50_u64).map(|child| {
                spawn(async move {
                    yield_now().await;
                    number + child
                })
            });
            let children: Vec<_> = children.collect();
            let mut sum = 0;
            for child in children {
                sum += child.await.unwrap();
            }
            sum
        })
    });
    let sums = join_all(sums.collect::<Vec<_>>()).await;
    let sum: u64 = sums.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, 50 * (0..40).sum::<u64>() + 40 * (0..50).sum::<u64>());
    let large = spawn(async {
        let mut page = [0_u8; 4096];
        for at in 0..4 {
            page[at * 1000] = 1;
            yield_now().await;
        }
        page.iter().map(|&byte| u64::from(byte)).sum::<u64>()
    });
    assert_eq!(large.await.unwrap(), 4);
    TASKS.add(40 * 51 + 1);
}

/// Timers that fire, time-outs that do not, and what is taken back.
pub(crate) async fn timers() {
    let naps = (0..100).map(|number| sleep(MILLISECOND * (number % 3)));
    join_all(naps).await;
    let limits = (0..100).map(|_| timeout(Duration::from_secs(3600), yield_now()));
    assert!(join_all(limits).await.into_iter().all(|outcome| outcome.is_ok()));
    assert!(timeout(MILLISECOND, pending::<()>()).await.is_err());
    TIMERS.add(101);
    TAKEN_BACK.add(100);
}

pub(crate) async fn callbacks() {
    let event_loop = get_running_loop().unwrap();
    let called = Rc::new(Cell::new(0));
    let count = || {
        let called = Rc::clone(&called);
        move || called.set(called.get() + 1)
    };
    for number in 0..200 {
        let soon = event_loop.call_soon(count());
        let later = event_loop.call_later(MILLISECOND, count());
        if number % 2 == 0 {
            soon.cancel();
            later.cancel();
        }
    }
    sleep(2 * MILLISECOND).await;
    while called.get() < 200 {
        yield_now().await;
    }
    CALLBACKS.add(called.get());
    TAKEN_BACK.add(200);
}

/// Requests to end, heard and not heard, by handles that drop and from groups that fail.
pub(crate) async fn cancellations() {
    for number in 0..60 {
        let begun = Rc::new(Cell::new(false));
        let theirs = Rc::clone(&begun);
        let mut asked = spawn(async move {
            theirs.set(true);
            if number % 3 == 0 {
                cancelled().await;
                sleep(Duration::ZERO).await;
            } else {
                pending::<()>().await;
            }
        });
        // One that has not begun would not hear of it.
        while !begun.get() {
            yield_now().await;
        }
        match number % 2 {
            0 => asked.cancel(),
            _ => asked.abort(),
        };
        let outcome = (&mut asked).await;
        let was_told = number % 6 == 0;
        assert_eq!(outcome.is_ok(), was_told, "{outcome:?}");
    }
    let failed = task::group::<&str, ()>(async |group| {
        for _ in 0..20 {
            group.spawn(async { pending::<Result<(), &str>>().await });
        }
        group.spawn(async { Err::<(), _>("as it should") });
        Ok(())
    });
    assert!(failed.await.is_err());
    let mut set = JoinSet::new();
    for _ in 0..20 {
        set.spawn(pending::<()>());
    }
    set.shutdown().await;
    CANCELLED.add(60 + 20 + 20);
}

/// Panics that an awaiter hears of, and such that only the handler does.
pub(crate) async fn panics() {
    for number in 0..10 {
        let bomb = spawn(async move {
            if number % 2 == 0 {
                yield_now().await;
            }
            resume_unwind(Box::new(Thrown));
        });
        let outcome: Result<(), TaskError> = bomb.await;
        assert!(matches!(outcome, Err(TaskError::Panicked(_))));
        PANICS.add(1);
    }
    // The handler counts them.
    spawn(async { resume_unwind(Box::new(Thrown)) }).detach();
    get_running_loop().unwrap().call_soon(|| resume_unwind(Box::new(Thrown)));
    yield_now().await;
    yield_now().await;
}

pub(crate) async fn messages() {
    let (sender, mut receiver) = mpsc::bounded(4);
    for number in 0..4 {
        let sender = sender.clone();
        spawn(async move {
            for message in 0..100_u64 {
                sender.send(number * 100 + message).await.unwrap();
            }
        })
        .detach();
    }
    drop(sender);
    let mut sum = 0;
    while let Some(message) = receiver.recv().await {
        sum += message;
    }
    assert_eq!(sum, (0..400).sum());
    let queue = Rc::new(Queue::bounded(2));
    let theirs = Rc::clone(&queue);
    let worker = spawn(async move {
        while theirs.get().await.is_some() {
            theirs.task_done();
        }
    });
    for number in 0..100 {
        queue.put(number).await.unwrap();
    }
    queue.join().await;
    queue.shutdown(false);
    worker.await.unwrap();
    let (lock, places) = (Rc::new(Lock::new(0)), Rc::new(Semaphore::new(3)));
    let turns = (0..50).map(|_| async {
        let _place = places.acquire().await;
        let mut number = lock.lock().await;
        yield_now().await;
        *number += 1;
    });
    join_all(turns).await;
    assert_eq!(*lock.lock().await, 50);
    let (answer, question) = oneshot::channel();
    spawn(async move { answer.send(1) }).detach();
    assert_eq!(question.await.unwrap(), 1);
    MESSAGES.add(400 + 100 + 1);
}

pub(crate) async fn jobs() {
    let jobs = (0..20_u64).map(|number| spawn_blocking(move || number * 2));
    let results = join_all(jobs.collect::<Vec<_>>()).await;
    let sum: u64 = results.into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, (0..20).sum::<u64>() * 2);
    JOBS.add(20);
}

/// A thread with a loop, which posts to ours and is posted to, and has loops of its own that it closes with
/// tasks in them.
pub(crate) async fn threads() {
    let ours = get_running_loop().unwrap().handle();
    let (arrived, expected) = (Rc::new(Cell::new(0_u64)), 200);
    ARRIVED.set(Some(Rc::clone(&arrived)));
    let thread = ThreadBuilder::new().spawn(move || async move {
        for number in 0..expected {
            ours.call_soon_threadsafe(arrive).unwrap();
            if number % 50 == 0 {
                let answer = ours.spawn(|| async { 1_u64 }).unwrap();
                assert_eq!(answer.await.unwrap(), 1);
            }
        }
        cancelled().await;
    });
    let thread = thread.unwrap();
    let answers = (0..10_u64).map(|number| {
        thread.handle().spawn(move || async move {
            yield_now().await;
            number
        })
    });
    let answers: Vec<_> = answers.map(Result::unwrap).collect();
    let mut sum = 0;
    for answer in answers {
        sum += answer.await.unwrap();
    }
    assert_eq!(sum, 45);
    let abandoned = thread.handle().spawn(|| async { pending::<()>().await }).unwrap();
    while arrived.get() < expected {
        sleep(MILLISECOND / 4).await;
    }
    ARRIVED.take();
    thread.stop();
    spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    assert!(abandoned.await.is_err());
    let plain = std::thread::spawn(|| {
        for _ in 0..5 {
            let event_loop = EventLoop::new().unwrap();
            for _ in 0..10 {
                event_loop.create_task(pending::<()>()).detach();
            }
            event_loop.turn(Some(Duration::ZERO)).unwrap();
            event_loop.create_task(pending::<()>()).detach();
            event_loop.call_later(MILLISECOND, || {});
            event_loop.close().unwrap();
        }
    });
    spawn_blocking(move || plain.join().unwrap()).await.unwrap();
    POSTS.add(expected + 4 + 11);
    THREADS.add(1);
    LOOPS.add(6);
    CANCELLED.add(56);
}

thread_local! {
    static ARRIVED: Cell<Option<Rc<Cell<u64>>>> = const { Cell::new(None) };
}

/// What the other thread posts.
fn arrive() {
    let arrived = ARRIVED.take();
    if let Some(count) = &arrived {
        count.set(count.get() + 1);
    }
    ARRIVED.set(arrived);
}

/// What the server does with a connection.
pub(crate) async fn echo(mut stream: TcpStream, _peer: SocketAddr) {
    let mut buffer = [0; 256];
    while let Ok(count @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..count]).await.is_err() {
            return;
        }
    }
}

pub(crate) async fn connections(server: SocketAddr) -> io::Result<()> {
    let clients = (0..8_u8).map(|number| async move {
        let mut stream = TcpStream::connect(server).await?;
        // No port waits for late packets of it: there are only so many ports.
        stream.set_linger(Some(Duration::ZERO))?;
        for message in 0..3 {
            let said = [number, message];
            stream.write_all(&said).await?;
            let mut heard = [0; 2];
            if number == 7 {
                // One leaves in the middle.
                return Ok(());
            }
            stream.read_exact(&mut heard).await?;
            assert_eq!(heard, said);
        }
        io::Result::Ok(())
    });
    for outcome in join_all(clients).await {
        outcome?;
    }
    for _ in 0..4 {
        let (mut here, mut there) = UnixStream::pair()?;
        let answering = spawn(async move {
            let mut word = [0; 4];
            there.read_exact(&mut word).await?;
            there.write_all(&word).await
        });
        here.write_all(b"echo").await?;
        let mut word = [0; 4];
        here.read_exact(&mut word).await?;
        assert_eq!(&word, b"echo");
        answering.await.unwrap()?;
    }
    CONNECTIONS.add(12);
    let (one, other) =
        (UdpSocket::bind("127.0.0.1:0").await?, UdpSocket::bind("127.0.0.1:0").await?);
    for number in 0..4 {
        one.send_to(&[number], other.local_addr()?).await?;
        let mut heard = [0; 8];
        assert_eq!(other.recv_from(&mut heard).await?, (1, one.local_addr()?));
        assert_eq!(heard[0], number);
    }
    DATAGRAMS.add(4);
    Ok(())
}

pub(crate) async fn children() -> io::Result<()> {
    let output = Command::new("cat").spawn_piped()?.communicate(b"to and fro").await?;
    assert_eq!(output.stdout, b"to and fro");
    let mut killed = Command::new("sleep").arg("3600").kill_on_drop(true).spawn()?;
    killed.kill()?;
    assert!(!killed.wait().await?.success());
    CHILDREN.add(2);
    Ok(())
}

trait Piped {
    fn spawn_piped(&mut self) -> io::Result<loopbind::process::Child>;
}

impl Piped for Command {
    fn spawn_piped(&mut self) -> io::Result<loopbind::process::Child> {
        use loopbind::process::Stdio;
        self.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
    }
}
