//! What is as large, as many, or as oddly shaped as it gets: tasks of any size and alignment, millions of them, wakers that
//! are forgotten, or used by many when nothing is left to wake.
//!
//! `LOOPBIND_TASKS=10000000 cargo test --release --test extremes` sends so many tasks through a loop, instead of one
//! million; `LOOPBIND_FORGOTTEN=5000000000` forgets so many clones of a waker, which is more than 32 bits can count.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn};
use std::mem::{align_of_val, size_of_val};
use std::pin::Pin;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

use loopbind::thread::ThreadBuilder;
use loopbind::{EventLoop, spawn, task, yield_now};
use support::{Trace, turn};

/// Counts the bytes that each thread has, and the blocks of one size that all have.
struct Counting;

thread_local! {
    static BYTES: Cell<isize> = const { Cell::new(0) };
}

/// A little less than the size of the blocks that are counted, and of no others.
const ODD: usize = 7_777;
static ODD_BLOCKS: AtomicIsize = AtomicIsize::new(0);

fn count(layout: Layout, sign: isize) {
    BYTES.set(BYTES.get() + sign * layout.size() as isize);
    if (ODD..ODD + 512).contains(&layout.size()) {
        ODD_BLOCKS.fetch_add(sign, Ordering::Relaxed);
    }
}

// SAFETY: everything is handed on to the system's allocator; the counters need no allocation and no destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the environment asks for, or less.
fn asked(name: &str, unless: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}: {text} is no number")),
        Err(_) => unless,
    }
}

/// A future that may not move, and whose place is as its type asks.
struct Placed<A> {
    place: Option<usize>,
    value: A,
}

impl<A> Placed<A> {
    fn new(value: A) -> Self {
        Placed { place: None, value }
    }

    fn check(&self) -> usize {
        let place = (&raw const self.value).addr();
        assert_eq!(place % align_of_val(&self.value), 0, "not aligned");
        place
    }
}

impl<A: Copy + Unpin> Future for Placed<A> {
    /// Stored in the task's place, when the future is gone.
    type Output = A;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let place = self.check();
        match self.place {
            Some(before) => {
                assert_eq!(before, place, "moved");
                Poll::Ready(self.value)
            }
            None => {
                self.place = Some(place);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// As a task, a main future, a remote task, a callback, and dropped with its loop: it is where it should be.
fn in_every_place<A: Copy + Unpin + Send + PartialEq + std::fmt::Debug + 'static>(value: A) {
    let event_loop = EventLoop::new().unwrap();
    let task = event_loop.create_task(Placed::new(value));
    assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), value);
    assert_eq!(event_loop.run_until_complete(Placed::new(value)).unwrap(), value);
    let thread = ThreadBuilder::new().spawn(task::cancelled).unwrap();
    let remote = thread.handle().spawn(move || Placed::new(value)).unwrap();
    assert_eq!(remote.join().unwrap(), value);
    thread.stop();
    thread.join().unwrap();
    let called = std::rc::Rc::new(Cell::new(false));
    let (callback, placed) = (called.clone(), Placed::new(value));
    event_loop.call_soon(move || {
        placed.check();
        callback.set(true);
    });
    let late = event_loop.create_task(async move {
        let placed = Placed::new(value);
        placed.check();
        pending::<()>().await;
        placed.check();
    });
    turn(&event_loop);
    assert!(called.get());
    event_loop.close().unwrap();
    assert!(late.is_finished());
}

#[test]
fn of_every_alignment_they_are_where_they_should_be_and_stay_there() {
    macro_rules! of {
        ($($align:literal)*) => { $({
            #[derive(Clone, Copy, Debug, PartialEq)]
            #[repr(align($align))]
            struct Aligned(u8);
            in_every_place(Aligned(7));
        })* };
    }
    of!(1 2 4 8 16 32 64 128 256 512 1024 2048 4096);
}

#[test]
fn without_a_size_they_take_no_place_and_run() {
    #[derive(Clone, Copy)]
    struct Nothing;
    impl Future for Nothing {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    #[repr(align(4096))]
    struct AlignedNothing;
    impl Future for AlignedNothing {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            assert_eq!((&raw const *self).addr() % 4096, 0);
            Poll::Ready(())
        }
    }
    assert_eq!((size_of_val(&Nothing), size_of_val(&AlignedNothing)), (0, 0));
    let event_loop = EventLoop::new().unwrap();
    let ran = event_loop.run_until_complete(async {
        let tasks: Vec<_> = (0..1000).map(|_| spawn(Nothing)).collect();
        let mut ran = 0;
        for task in tasks {
            task.await.unwrap();
            spawn(AlignedNothing).await.unwrap();
            ran += 1;
        }
        ran
    });
    assert_eq!(ran.unwrap(), 1000);
    in_every_place(());
}

const MEGABYTE: usize = 1 << 20;

/// In a box, which is made where it stays: there is no more of it on the stack than a pointer.
#[test]
fn as_large_as_a_megabyte_in_a_box_they_fit_a_thread_of_the_usual_stack() {
    let run = || {
        let mut large = Box::<Large<MEGABYTE>>::new_uninit();
        // SAFETY: zeros are bytes, and false.
        let large = unsafe {
            large.as_mut_ptr().write_bytes(0, 1);
            large.assume_init()
        };
        let event_loop = EventLoop::new().unwrap();
        let task = event_loop.create_task(Box::into_pin(large));
        assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), 0);
    };
    thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

/// In place, where the compiler copies what is moved, several times on the way: on as much of a stack as that takes, and a
/// tenth of it on the usual one.
#[test]
fn as_large_as_a_megabyte_in_their_tasks_they_run_given_the_stack() {
    let thread = ThreadBuilder::new().stack_size(32 * MEGABYTE).spawn(|| async {
        let here = loopbind::get_running_loop().unwrap();
        assert_eq!(spawn(Large::<MEGABYTE>::new()).await.unwrap(), MEGABYTE);
        // From here to here, as from elsewhere.
        let remote = here.handle().spawn(Large::<MEGABYTE>::new).unwrap();
        assert_eq!(remote.await.unwrap(), MEGABYTE);
    });
    thread.unwrap().join().unwrap();
    let run = || {
        let event_loop = EventLoop::new().unwrap();
        let task = event_loop.create_task(Large::<{ MEGABYTE / 10 }>::new());
        assert_eq!(event_loop.run_until_complete(task).unwrap().unwrap(), MEGABYTE / 10);
    };
    thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

/// A future that has its bytes in itself.
struct Large<const SIZE: usize> {
    bytes: [u8; SIZE],
    woken: bool,
}

impl<const SIZE: usize> Future for Large<SIZE> {
    type Output = usize;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        if std::mem::replace(&mut self.woken, true) {
            return Poll::Ready(self.bytes.iter().map(|&byte| usize::from(byte)).sum());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<const SIZE: usize> Large<SIZE> {
    fn new() -> Self {
        Large { bytes: [1; SIZE], woken: false }
    }
}

/// Some at a time, started here and from another thread: a loop takes no more memory for ten million than for a few.
#[test]
fn millions_go_through_one_loop_in_the_memory_of_a_few() {
    const AT_A_TIME: usize = 100;
    let many = asked("LOOPBIND_TASKS", 1_000_000);
    let event_loop = EventLoop::new().unwrap();
    let handle = event_loop.handle();
    let (sender, receiver) = mpsc::sync_channel::<loopbind::RemoteTask<usize>>(AT_A_TIME);
    let remote = many / 20;
    let other = thread::spawn(move || {
        for number in 0..remote {
            sender.send(handle.spawn(move || async move { number }).unwrap()).unwrap();
        }
    });
    let (mut after_few, mut most) = (0, 0);
    event_loop
        .run_until_complete(async {
            let mut tasks = VecDeque::with_capacity(AT_A_TIME);
            for number in 0..many - remote {
                tasks.push_back(spawn(async move { number }));
                if tasks.len() == AT_A_TIME {
                    let first = tasks.pop_front().unwrap();
                    assert_eq!(first.await.unwrap() + AT_A_TIME - 1, number);
                }
                if number % 19 == 0 {
                    if let Ok(task) = receiver.try_recv() {
                        task.await.unwrap();
                    }
                }
                match number {
                    ..10_000 => after_few = BYTES.get().max(after_few),
                    _ => most = BYTES.get().max(most),
                }
            }
            drop(tasks);
            while let Ok(task) = receiver.try_recv() {
                task.await.unwrap();
            }
            // What the other thread still has in hand it sends to nobody.
            drop(receiver);
        })
        .unwrap();
    let _ = other.join();
    let (after_few, most) = (after_few as f64, most as f64);
    assert!(most < after_few * 1.1 + 64e3, "{most} bytes, after {after_few} in the beginning");
    assert_eq!(event_loop.metrics().tasks_alive, 0);
}

/// Each forgotten clone is a reference that nobody gives back: the task is over all the same, its future dropped, its
/// outcome there and its loop closed. What is left is its block.
#[test]
fn forgotten_clones_of_a_waker_cost_the_tasks_block_and_nothing_else() {
    let many = asked("LOOPBIND_FORGOTTEN", 1_000_000);
    let trace = Trace::new();
    let event_loop = EventLoop::new().unwrap();
    let probe = trace.probe("future");
    let (waker_sender, waker) = mpsc::channel::<Waker>();
    let task = event_loop.create_task(async move {
        let _probe = probe;
        poll_fn(|cx| {
            let waker = cx.waker();
            for _ in 0..many {
                std::mem::forget(waker.clone());
            }
            waker_sender.send(waker.clone()).unwrap();
            Poll::Ready(())
        })
        .await;
        yield_now().await;
        "done"
    });
    let other = thread::spawn(move || {
        let waker = waker.recv().unwrap();
        for _ in 0..many {
            std::mem::forget(waker.clone());
        }
        waker
    });
    let outcome = event_loop.run_until_complete(task).unwrap().unwrap();
    assert_eq!(outcome, "done");
    trace.assert(&["future dropped"]);
    event_loop.close().unwrap();
    drop(event_loop);
    let waker = other.join().unwrap();
    // As good as any other waker of a task that is over.
    waker.wake_by_ref();
    drop(waker.clone());
    waker.wake();
}

/// Used by several threads at once, all of them, when their loop and its thread are gone.
#[test]
fn thousands_of_wakers_outlive_their_loop_and_thread_and_are_used_by_many() {
    const TASKS: usize = 2_000;
    const THREADS: usize = 4;
    let polls = Arc::new(AtomicUsize::new(0));
    let owner = {
        let polls = Arc::clone(&polls);
        thread::spawn(move || {
            let event_loop = EventLoop::new().unwrap();
            let (sender, receiver) = mpsc::channel();
            for number in 0..TASKS {
                let (polls, sender) = (Arc::clone(&polls), sender.clone());
                let mut ballast = [0_u8; ODD];
                let task = event_loop.create_task(poll_fn(move |cx| {
                    ballast[number % ballast.len()] = 1;
                    polls.fetch_add(1, Ordering::Relaxed);
                    sender.send(cx.waker().clone()).unwrap();
                    // Some are over before the loop is.
                    if number % 2 == 0 { Poll::Ready(()) } else { Poll::Pending }
                }));
                task.detach();
            }
            turn(&event_loop);
            drop(sender);
            receiver.try_iter().collect::<Vec<Waker>>()
        })
    };
    let wakers = Arc::new(owner.join().unwrap());
    assert_eq!((wakers.len(), polls.load(Ordering::Relaxed)), (TASKS, TASKS));
    assert_eq!(ODD_BLOCKS.load(Ordering::Relaxed), TASKS as isize, "a block for each");
    let barrier = Arc::new(Barrier::new(THREADS));
    let use_all = |_| {
        let (wakers, barrier) = (Arc::clone(&wakers), Arc::clone(&barrier));
        thread::spawn(move || {
            barrier.wait();
            for _ in 0..10 {
                let clones: Vec<Waker> = wakers.iter().cloned().collect();
                wakers.iter().for_each(Waker::wake_by_ref);
                for (number, waker) in clones.into_iter().enumerate() {
                    assert!(waker.will_wake(&wakers[number]));
                    if number % 3 == 0 { drop(waker) } else { waker.wake() }
                }
            }
            drop(wakers);
        })
    };
    let threads: Vec<_> = (0..THREADS).map(use_all).collect();
    // The last one to let go is whichever it is.
    drop(wakers);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(polls.load(Ordering::Relaxed), TASKS, "nobody is polled any more");
    assert_eq!(ODD_BLOCKS.load(Ordering::Relaxed), 0, "and nothing is left");
}
