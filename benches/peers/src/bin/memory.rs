//! What a pending task takes, by an allocator that counts what is asked of it, and what is left when all are gone.
//!
//! `cargo run --release --bin memory` prints one table: bytes per task, of a future without a size and of one of
//! 136 bytes, of 10,000 and of 1,000,000 tasks; then the bytes, per task, that are still there when those have ended,
//! at once and after the runtime has rested 64 times. Handles are kept, in a place that was there before. What the
//! allocator adds to a block, 8 to 16 bytes with the C library's, is in none of them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::panic::catch_unwind;
use std::pin::Pin;
use std::sync::atomic::AtomicIsize;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures::StreamExt as _;
use futures::channel::mpsc;
use peers::runtime::{
    AsyncExecutor, Compio, FuturesLocalPool, Glommio, MonoioEpoll, MonoioUring, Smol,
    TokioLocalRuntime, TokioLocalSet,
};
use workloads::{Loopbind, Runtime, Spawner};

const RESTS: usize = 64;

/// Bytes that are allocated, by any thread.
static LIVE: AtomicIsize = AtomicIsize::new(0);

struct Counting;

thread_local! {
    static GATE: Gate = const { Gate::new() };
}

fn count(bytes: isize) {
    LIVE.fetch_add(bytes, Relaxed);
}

fn live() -> isize {
    LIVE.load(Relaxed)
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: the system's allocator does the work, with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's promises, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's promises, passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Where tasks wait, without holding on to anything themselves.
struct Gate {
    is_open: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
    /// Who wants to know when all are there.
    keeper: Cell<Option<Waker>>,
}

impl Gate {
    const fn new() -> Self {
        Gate {
            is_open: Cell::new(false),
            waiting: RefCell::new(Vec::new()),
            keeper: Cell::new(None),
        }
    }

    fn shut(&self, many: usize) {
        self.is_open.set(false);
        self.waiting.borrow_mut().reserve_exact(many);
    }

    fn arrive(&self, waker: &Waker) {
        let is_last = {
            let mut waiting = self.waiting.borrow_mut();
            waiting.push(waker.clone());
            waiting.len() == waiting.capacity()
        };
        // It may come later than all of them, and finds them there.
        if is_last {
            self.keeper.take().into_iter().for_each(Waker::wake);
        }
    }

    fn poll_full(&self, cx: &Context<'_>) -> Poll<()> {
        let waiting = self.waiting.borrow();
        if waiting.len() == waiting.capacity() {
            return Poll::Ready(());
        }
        self.keeper.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn open(&self) {
        self.is_open.set(true);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }
}

/// Takes no place but its ballast's.
struct AtGate<const WORDS: usize>([u64; WORDS]);

impl<const WORDS: usize> Future for AtGate<WORDS> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        GATE.with(|gate| {
            if gate.is_open.get() {
                std::hint::black_box(&self.0);
                return Poll::Ready(());
            }
            gate.arrive(cx.waker());
            Poll::Pending
        })
    }
}

/// Bytes per task.
struct Taken {
    waiting: f64,
    at_once: f64,
    rested: f64,
}

fn measure<R: Runtime, const WORDS: usize>(many: usize) -> Taken {
    let mut runtime = R::new();
    // What a runtime makes when first used is not the tasks'.
    burst::<R, WORDS>(&mut runtime, 1);
    burst::<R, WORDS>(&mut runtime, many)
}

fn burst<R: Runtime, const WORDS: usize>(runtime: &mut R, many: usize) -> Taken {
    let spawner = runtime.spawner();
    runtime.block_on(async move {
        let per_task = move |bytes: isize| bytes as f64 / many as f64;
        let outside = live();
        GATE.with(|gate| gate.shut(many));
        let mut handles = Vec::with_capacity(many);
        let before = live();
        handles.extend((0..many).map(|_| spawner.spawn(AtGate([1; WORDS]))));
        poll_fn(|cx| GATE.with(|gate| gate.poll_full(cx))).await;
        let waiting = per_task(live() - before);
        GATE.with(Gate::open);
        for handle in handles {
            handle.await;
        }
        let at_once = per_task(live() - outside);
        rest().await;
        Taken { waiting, at_once, rested: per_task(live() - outside) }
    })
}

/// Nothing to do but to wait for a thread, several times.
async fn rest() {
    let (sender, mut receiver) = mpsc::unbounded();
    let thread = thread::spawn(move || {
        for _ in 0..RESTS {
            thread::sleep(Duration::from_millis(1));
            sender.unbounded_send(()).expect("somebody rests");
        }
    });
    while receiver.next().await.is_some() {}
    thread.join().expect("it ends well");
}

fn line<R: Runtime>() {
    let measured = catch_unwind(|| {
        let all = [measure::<R, 0>(10_000), measure::<R, 17>(10_000), measure::<R, 0>(1_000_000)];
        let cell = |taken: &Taken| {
            format!("{:.1} | {:.1} | {:.1}", taken.waiting, taken.at_once, taken.rested)
        };
        all.each_ref().map(cell).join(" | ")
    });
    println!("| {} | {} |", R::NAME, measured.unwrap_or_else(|_| "not on this machine".into()));
}

fn main() {
    println!("bytes per task, as requested from the allocator\n");
    let title = ["empty, of 10,000", "136 bytes, of 10,000", "empty, of 1,000,000"];
    println!("| | {} |", title.map(|title| format!("{title} | over | rested")).join(" | "));
    println!("|---|{}", "---:|".repeat(9));
    line::<Loopbind>();
    line::<TokioLocalRuntime>();
    line::<TokioLocalSet>();
    line::<AsyncExecutor>();
    line::<Smol>();
    line::<FuturesLocalPool>();
    line::<MonoioEpoll>();
    line::<MonoioUring>();
    line::<Compio>();
    line::<Glommio>();
}
