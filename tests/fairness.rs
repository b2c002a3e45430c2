//! Who never rests keeps nobody from anything: each of several greedy programs, and everything that a loop
//! serves, each served within two of a host's turns, and within one interval of a run.

#![cfg(target_os = "linux")]

mod support;

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::Write;
use std::os::unix::net::UnixStream as StdStream;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use futures::{AsyncReadExt, AsyncWriteExt};
use loopbind::net::UnixStream;
use loopbind::process::{Command, Stdio};
use loopbind::signal::SignalKind;
use loopbind::{Async, EventLoop, Task, run, sleep, spawn, yield_now};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use rustix::time::{ClockId, clock_gettime};
use support::{Trace, in_good_child, turn};

type Greed = (&'static str, fn(&EventLoop));

/// Programs that always have something to do.
const GREEDY: [Greed; 6] = [
    ("a task that wakes itself", |event_loop| {
        let busy = async {
            loop {
                yield_now().await;
            }
        };
        event_loop.create_task(busy).detach();
    }),
    ("two tasks that wake each other", |event_loop| {
        let ball: Rc<RefCell<Vec<Waker>>> = Rc::default();
        for _ in 0..2 {
            let ball = Rc::clone(&ball);
            let player = poll_fn(move |cx| {
                for waker in ball.take() {
                    waker.wake();
                }
                ball.borrow_mut().push(cx.waker().clone());
                Poll::<()>::Pending
            });
            event_loop.create_task(player).detach();
        }
    }),
    ("a callback that calls itself", |event_loop| {
        fn again(event_loop: EventLoop) {
            let same = event_loop.clone();
            event_loop.call_soon(move || again(same));
        }
        again(event_loop.clone());
    }),
    ("a timer without a delay that sets itself", |event_loop| {
        fn again(event_loop: EventLoop) {
            let same = event_loop.clone();
            event_loop.call_later(Duration::ZERO, move || again(same));
        }
        again(event_loop.clone());
    }),
    ("a descriptor that is always ready", |event_loop| {
        let (reader, mut writer) = StdStream::pair().unwrap();
        writer.write_all(b"x").unwrap();
        event_loop
            .add_reader(reader, move || {
                let _open = &writer;
            })
            .unwrap()
            .detach();
    }),
    ("a reader of what never ends", |event_loop| {
        let (reader, writer) = StdStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let reader = Async::new(reader).unwrap();
        let reading = async move {
            loop {
                // Full again after each byte.
                while (&writer).write(&[0; 4096]).is_ok() {}
                (&reader).read_exact(&mut [0]).await.unwrap();
            }
        };
        event_loop.create_task(reading).detach();
    }),
];

/// Who waits for something of each kind, and a way to make all of it ready at once.
struct Victims {
    writers: [StdStream; 2],
    stdin: loopbind::process::ChildStdin,
    child: Pid,
}

/// Registers them, with a mark in `trace` for each that is served.
fn victims(event_loop: &EventLoop, trace: &Trace) -> Victims {
    let (reader, awaited) = StdStream::pair().unwrap();
    let reader = Async::new(reader).unwrap();
    let mark = trace.noting("socket");
    let reading = async move {
        reader.readable().await.unwrap();
        mark();
    };
    event_loop.create_task(reading).detach();

    let (reader, watched) = StdStream::pair().unwrap();
    let mut mark = Some(trace.noting("watch"));
    let watch = move || {
        if let Some(mark) = mark.take() {
            mark();
        }
    };
    event_loop.add_reader(reader, watch).unwrap().detach();

    let mut mark = Some(trace.noting("signal"));
    let signalled = move || {
        if let Some(mark) = mark.take() {
            mark();
        }
    };
    event_loop.add_signal_handler(SignalKind::user_defined1(), signalled).unwrap();

    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
    let (stdin, id) = (child.stdin.take().unwrap(), child.id());
    let mark = trace.noting("child");
    let waiting = async move {
        assert!(child.wait().await.unwrap().success());
        mark();
    };
    event_loop.create_task(waiting).detach();
    Victims {
        writers: [awaited, watched],
        stdin,
        child: Pid::from_raw(id.try_into().unwrap()).unwrap(),
    }
}

impl Victims {
    fn make_ready(self, event_loop: &EventLoop, trace: &Trace) -> [StdStream; 2] {
        let Victims { mut writers, stdin, child } = self;
        drop(stdin);
        // Over, and not reaped.
        let over = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(child), over).unwrap();
        for writer in &mut writers {
            writer.write_all(b"x").unwrap();
        }
        // SAFETY: no preconditions; it is listened for.
        unsafe { libc::raise(libc::SIGUSR1) };
        let now = event_loop.time();
        event_loop.call_at(now, trace.noting("timer"));
        event_loop.call_at(now - Duration::from_millis(10), trace.noting("overdue timer"));
        let log = trace.clone();
        event_loop.handle().call_soon_threadsafe(move || log.note("remote")).unwrap();
        event_loop.call_soon(trace.noting("callback"));
        let mark = trace.noting("task");
        event_loop.create_task(async move { mark() }).detach();
        writers
    }
}

const ALL: [&str; 9] =
    ["callback", "child", "overdue timer", "remote", "signal", "socket", "task", "timer", "watch"];

/// A host turns: two turns serve everybody.
#[test]
fn greedy_and_everybody_is_served_within_two_turns() {
    in_good_child("greedy_and_everybody_is_served_within_two_turns", || {
        for (greed, begin) in GREEDY {
            let (event_loop, trace) = (EventLoop::new().unwrap(), Trace::new());
            begin(&event_loop);
            let victims = victims(&event_loop, &trace);
            for _ in 0..5 {
                turn(&event_loop);
            }
            trace.assert(&[]);
            let _open = victims.make_ready(&event_loop, &trace);
            turn(&event_loop);
            turn(&event_loop);
            let mut served = trace.take();
            served.sort_unstable();
            assert_eq!(served, ALL, "{greed}");
            event_loop.close().unwrap();
        }
    });
}

/// A run looks outside at least once in each interval: as many steps of a busy main future, and two more.
#[test]
fn greedy_and_everybody_is_served_within_an_interval_of_a_run() {
    in_good_child("greedy_and_everybody_is_served_within_an_interval_of_a_run", || {
        for interval in [1, 8, 61] {
            for (greed, begin) in GREEDY {
                let event_loop = EventLoop::builder().event_interval(interval).build().unwrap();
                let trace = Trace::new();
                begin(&event_loop);
                let (outer, log) = (event_loop.clone(), trace.clone());
                let served = event_loop.run_until_complete(async move {
                    let victims = victims(&outer, &log);
                    for _ in 0..200 {
                        yield_now().await;
                    }
                    log.assert(&[]);
                    let _open = victims.make_ready(&outer, &log);
                    for _ in 0..interval + 2 {
                        yield_now().await;
                    }
                    let mut served = log.take();
                    served.sort_unstable();
                    served
                });
                assert_eq!(served.unwrap(), ALL, "{greed}, with an interval of {interval}");
                event_loop.close().unwrap();
            }
        }
    });
}

/// How many posts a thread has on their way at most. There is one queue, first come, first served: without
/// any bound, who posts faster than the loop runs makes it longer and longer.
const ON_THEIR_WAY: u64 = 100;

/// Eight threads that post without a pause: what came before an iteration runs in it, and what comes
/// meanwhile does not lengthen it; tasks, sockets and timers go on, and nothing that was taken is lost.
#[test]
fn posted_to_without_a_pause_and_tasks_and_sockets_go_on() {
    let event_loop = EventLoop::new().unwrap();
    let (over, in_all) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let begin = |_| {
        let (handle, over, in_all) = (event_loop.handle(), Arc::clone(&over), Arc::clone(&in_all));
        thread::spawn(move || {
            let (mut accepted, ran) = (0, Arc::new(AtomicU64::new(0)));
            while !over.load(Ordering::SeqCst) {
                if accepted - ran.load(Ordering::SeqCst) == ON_THEIR_WAY {
                    thread::yield_now();
                    continue;
                }
                let running = Arc::clone(&ran);
                let all = Arc::clone(&in_all);
                let run = move || {
                    running.fetch_add(1, Ordering::SeqCst);
                    all.fetch_add(1, Ordering::SeqCst);
                };
                handle.call_soon_threadsafe(run).unwrap();
                accepted += 1;
            }
            (accepted, ran)
        })
    };
    let posters: Vec<_> = (0..8).map(begin).collect();
    let most = Rc::new(Cell::new(0));
    let work = async {
        let (left, right) = UnixStream::pair().unwrap();
        let echo = spawn(async move { loopbind::io::copy(&right, &right).await });
        let mut number = 0_u32;
        while number < 100 || most.get() == 0 {
            number += 1;
            let before = in_all.load(Ordering::SeqCst);
            yield_now().await;
            most.set(most.get().max(in_all.load(Ordering::SeqCst) - before));
            (&left).write_all(&number.to_ne_bytes()).await.unwrap();
            let mut heard = [0; 4];
            (&left).read_exact(&mut heard).await.unwrap();
            assert_eq!(u32::from_ne_bytes(heard), number);
        }
        drop(left);
        echo.await.unwrap().unwrap();
        sleep(Duration::from_millis(1)).await;
    };
    event_loop.run_until_complete(work).unwrap();
    // In no iteration more than what was on its way at its beginning.
    assert!(most.get() <= 8 * ON_THEIR_WAY, "{} in one iteration", most.get());
    over.store(true, Ordering::SeqCst);
    let posters: Vec<_> = posters.into_iter().map(|poster| poster.join().unwrap()).collect();
    while event_loop.turn(Some(Duration::ZERO)).unwrap().polled > 0 {}
    for (accepted, ran) in posters {
        assert_eq!(ran.load(Ordering::SeqCst), accepted);
    }
}

/// Polls what is inside again for as long as that wakes it: what some combinators do, within one poll.
struct Eager<F>(F);

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Wakes whoever polls the combinator, and says so to the combinator.
struct Both(Arc<Flag>, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        Arc::clone(&self.0).wake();
        self.1.wake_by_ref();
    }
}

impl<F: Future + Unpin> Future for Eager<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let flag = Arc::new(Flag(AtomicBool::new(false)));
        let waker = Waker::from(Arc::new(Both(Arc::clone(&flag), cx.waker().clone())));
        loop {
            let polled = Pin::new(&mut self.0).poll(&mut Context::from_waker(&waker));
            if polled.is_ready() || !flag.0.swap(false, Ordering::SeqCst) {
                return polled;
            }
        }
    }
}

/// An eager combinator around what gives way, reads much and sleeps: each of those comes to its end.
#[test]
fn polled_again_as_soon_as_it_is_woken_and_it_comes_to_an_end() {
    in_good_child("polled_again_as_soon_as_it_is_woken_and_it_comes_to_an_end", || {
        run(async {
            let (left, right) = UnixStream::pair().unwrap();
            let writing = spawn(async move { (&left).write_all(&[1; 100_000]).await });
            let inside = pin!(async {
                for _ in 0..1000 {
                    yield_now().await;
                }
                let mut bytes = Vec::new();
                (&right).read_to_end(&mut bytes).await.unwrap();
                sleep(Duration::from_millis(5)).await;
                bytes.len()
            });
            assert_eq!(Eager(inside).await, 100_000);
            writing.await.unwrap().unwrap();
        })
        .unwrap();
    });
}

/// Processor time this process has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// So many tasks that wait, all woken at once; the time it takes.
fn woken_at_once(count: usize) -> Duration {
    let event_loop = EventLoop::new().unwrap();
    let (polls, wakers) = (Rc::new(Cell::new(0)), Rc::new(RefCell::new(Vec::new())));
    let begun = processor_time();
    let tasks: Vec<Task<()>> = (0..count)
        .map(|_| {
            let (polls, wakers) = (Rc::clone(&polls), Rc::clone(&wakers));
            let mut is_woken = false;
            event_loop.create_task(poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                if std::mem::replace(&mut is_woken, true) {
                    return Poll::Ready(());
                }
                wakers.borrow_mut().push(cx.waker().clone());
                Poll::Pending
            }))
        })
        .collect();
    turn(&event_loop);
    assert_eq!((polls.get(), event_loop.all_tasks().len()), (count, count));
    for waker in wakers.take() {
        waker.wake();
    }
    turn(&event_loop);
    assert_eq!((polls.get(), event_loop.all_tasks().len()), (2 * count, 0));
    drop(tasks);
    event_loop.close().unwrap();
    processor_time() - begun
}

/// A million tasks at once cost a million times one task, and no more.
#[test]
fn a_million_wait_and_are_woken_in_a_time_in_proportion() {
    in_good_child("a_million_wait_and_are_woken_in_a_time_in_proportion", || {
        woken_at_once(1_000);
        let (few, many) = (woken_at_once(50_000), woken_at_once(1_000_000));
        assert!(many < few * 20 * 5, "{many:?}, and {few:?} for a twentieth");
    });
}
